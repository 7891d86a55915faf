//! ConsumerGroupDescribe.

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::{ConsumerGroupDescribeRequest, ListGroupsRequest};

use crate::support::client::{error, versions};
use crate::support::groups::{GROUP, TOPIC, consumer_join, coordinator};

#[tokio::test]
async fn every_version_shows_epochs_members_and_assignments() {
    let (_node, client) = coordinator().await;
    let joined = client.ask(&consumer_join("mine")).await;
    for version in versions::<ConsumerGroupDescribeRequest>() {
        let request = ConsumerGroupDescribeRequest {
            group_ids: vec![GROUP.into(), "stranger".into()],
            include_authorized_operations: true,
        };
        let response = client.call(version, &request).await;
        let [group, stranger] = &response.groups[..] else { panic!("{response:?}") };
        assert_eq!((group.error_code, &*group.group_state), (0, "Stable"), "v{version}");
        assert_eq!(
            (group.group_epoch, group.assignment_epoch),
            (joined.member_epoch, joined.member_epoch)
        );
        assert_eq!((&*group.assignor_name, group.authorized_operations), ("uniform", 3400));
        let member = &group.members[0];
        assert_eq!((&*member.member_id, member.member_epoch), ("mine", joined.member_epoch));
        assert_eq!(member.member_type, if version >= 1 { 1 } else { -1 });
        let topic = &member.assignment.topic_partitions[0];
        assert_eq!((&*topic.topic_name, &topic.partitions[..]), (TOPIC, &[0, 1, 2, 3][..]));
        assert_eq!(member.assignment, member.target_assignment);
        assert_eq!(error(stranger.error_code), ErrorCode::GroupIdNotFound);
        assert_eq!(stranger.error_message.as_deref(), Some("Group stranger not found."));
    }
    for (kind, expected) in [("consumer", 1), ("Classic", 0)] {
        let request = ListGroupsRequest { types_filter: vec![kind.into()], ..Default::default() };
        let listed = client.ask(&request).await;
        assert_eq!(listed.groups.len(), expected, "{kind}");
    }
}

#[tokio::test]
async fn a_classic_group_is_not_found() {
    let (_node, client) = coordinator().await;
    client.member().await;
    let request =
        ConsumerGroupDescribeRequest { group_ids: vec![GROUP.into()], ..Default::default() };
    let response = client.ask(&request).await;
    assert_eq!(error(response.groups[0].error_code), ErrorCode::GroupIdNotFound);
}
