//! ListGroups.

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::ListGroupsRequest;

use crate::support::Node;
use crate::support::client::versions;
use crate::support::groups::{GROUP, commit_request, coordinator};

#[tokio::test]
async fn every_version_lists_all_groups_of_all_shards() {
    let (_node, client) = coordinator().await;
    client.member().await;
    for name in ["one", "two", "three", "four"] {
        let mut commit = commit_request(None, &[(0, 1)]);
        commit.group_id = name.into();
        client.call(9, &commit).await;
    }
    for version in versions::<ListGroupsRequest>() {
        let response = client.call(version, &ListGroupsRequest::default()).await;
        assert_eq!(response.error_code, 0);
        let mut names: Vec<_> = response.groups.iter().map(|it| &*it.group_id).collect();
        names.sort_unstable();
        assert_eq!(names, ["four", "one", GROUP, "three", "two"], "v{version}");
        let group = response.groups.iter().find(|it| it.group_id == GROUP).unwrap();
        assert_eq!(group.protocol_type, "consumer");
        assert_eq!(&*group.group_state, if version >= 4 { "Stable" } else { "" });
        assert_eq!(&*group.group_type, if version >= 5 { "classic" } else { "" });
    }
}

#[tokio::test]
async fn states_and_types_are_filtered_whatever_their_case() {
    let (_node, client) = coordinator().await;
    client.member().await;
    let count = async |states: &[&str], types: &[&str]| {
        let texts = |words: &[&str]| words.iter().map(|word| (*word).into()).collect();
        let request =
            ListGroupsRequest { states_filter: texts(states), types_filter: texts(types) };
        client.ask(&request).await.groups.len()
    };
    assert_eq!(count(&["stable", "Empty"], &["CLASSIC"]).await, 1);
    assert_eq!(count(&["Empty"], &[]).await, 0);
    assert_eq!(count(&[], &["consumer"]).await, 0);
}

#[tokio::test]
async fn a_broker_without_groups_lists_none() {
    let (_node, client) = Node::client().await;
    let response = client.ask(&ListGroupsRequest::default()).await;
    assert_eq!((response.error_code, response.groups.len()), (ErrorCode::None.code(), 0));
}
