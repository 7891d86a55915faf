//! DeleteGroups.

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::DeleteGroupsRequest;

use crate::support::Node;
use crate::support::client::{Client, error, versions};
use crate::support::groups::{GROUP, coordinator};

async fn delete(client: &Client, version: i16) -> (ErrorCode, ErrorCode) {
    let request = DeleteGroupsRequest { groups_names: vec![GROUP.into(), "stranger".into()] };
    let response = client.call(version, &request).await;
    let [group, stranger] = &response.results[..] else { panic!("{response:?}") };
    (error(group.error_code), error(stranger.error_code))
}

#[tokio::test]
async fn a_group_without_members_goes_with_its_offsets_and_stays_away() {
    for version in versions::<DeleteGroupsRequest>() {
        let (mut node, client) = coordinator().await;
        assert_eq!(client.commit(None, 0, 5).await, ErrorCode::None);
        let outcome = delete(&client, version).await;
        assert_eq!(outcome, (ErrorCode::None, ErrorCode::GroupIdNotFound), "v{version}");
        let client = node.restart().await;
        client.find_coordinator().await;
        assert_eq!(client.committed(0).await, -1);
        assert_eq!(delete(&client, version).await.0, ErrorCode::GroupIdNotFound);
    }
}

#[tokio::test]
async fn a_group_with_members_is_kept() {
    let (_node, client) = coordinator().await;
    let member = client.member().await;
    assert_eq!(delete(&client, 2).await.0, ErrorCode::NonEmptyGroup);
    assert_eq!(client.heartbeat(&member).await, ErrorCode::None);
    assert_eq!(client.leave(&member.id).await, ErrorCode::None);
    assert_eq!(delete(&client, 2).await.0, ErrorCode::None);
}

#[tokio::test]
async fn without_a_topic_for_groups_there_is_no_coordinator() {
    let (_node, client) = Node::client().await;
    let none = ErrorCode::NotCoordinator;
    assert_eq!(delete(&client, 2).await, (none, none));
}
