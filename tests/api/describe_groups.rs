//! DescribeGroups.

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::DescribeGroupsRequest;

use crate::support::Node;
use crate::support::client::{error, versions};
use crate::support::groups::{GROUP, coordinator};

fn request(include_authorized_operations: bool) -> DescribeGroupsRequest {
    DescribeGroupsRequest {
        groups: vec![GROUP.into(), "stranger".into()],
        include_authorized_operations,
    }
}

#[tokio::test]
async fn every_version_shows_state_and_members() {
    let (_node, client) = coordinator().await;
    let member = client.member().await;
    for version in versions::<DescribeGroupsRequest>() {
        let response = client.call(version, &request(version >= 3)).await;
        let [group, stranger] = &response.groups[..] else { panic!("{response:?}") };
        assert_eq!((group.error_code, &*group.group_state), (0, "Stable"), "v{version}");
        assert_eq!((&*group.protocol_type, &*group.protocol_data), ("consumer", "range"));
        let described = &group.members[0];
        assert_eq!(described.member_id, member.id);
        assert_eq!(described.client_host, "/127.0.0.1");
        assert_eq!(described.member_metadata, "what I want");
        assert_eq!(described.member_assignment, "everything");
        let operations = if version >= 3 { 3400 } else { i32::MIN };
        assert_eq!(group.authorized_operations, operations);
        assert_eq!(stranger.group_state, "Dead");
        match version >= 6 {
            true => {
                assert_eq!(error(stranger.error_code), ErrorCode::GroupIdNotFound);
                assert_eq!(stranger.error_message.as_deref(), Some("Group stranger not found."));
            }
            false => assert_eq!(stranger.error_code, 0),
        }
    }
}

#[tokio::test]
async fn a_group_that_is_not_stable_says_nothing_of_assignments() {
    let (_node, client) = coordinator().await;
    client.join("").await;
    let response = client.ask(&request(false)).await;
    let group = &response.groups[0];
    assert_eq!((&*group.group_state, &*group.protocol_data), ("CompletingRebalance", ""));
    assert!(group.members[0].member_metadata.is_empty());
}

#[tokio::test]
async fn without_a_topic_for_groups_there_is_no_coordinator() {
    let (_node, client) = Node::client().await;
    let response = client.ask(&request(false)).await;
    for group in &response.groups {
        assert_eq!(error(group.error_code), ErrorCode::NotCoordinator);
    }
}
