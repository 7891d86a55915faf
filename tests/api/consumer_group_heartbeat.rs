//! ConsumerGroupHeartbeat.

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::ConsumerGroupHeartbeatRequest;

use crate::support::client::{error, versions};
use crate::support::groups::{GROUP, TOPIC, coordinator};

/// A request to join a group of KIP-848.
pub(crate) fn enter(member: &str) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        group_id: GROUP.into(),
        member_id: member.into(),
        rebalance_timeout_ms: 60_000,
        subscribed_topic_names: Some(vec![TOPIC.into()]),
        topic_partitions: Some(Vec::new()),
        ..ConsumerGroupHeartbeatRequest::default()
    }
}

#[tokio::test]
async fn a_member_joins_and_leaves_in_every_version() {
    let (_node, client) = coordinator().await;
    for version in versions::<ConsumerGroupHeartbeatRequest>() {
        let joined = client.call(version, &enter("reader")).await;
        assert_eq!(error(joined.error_code), ErrorCode::None, "v{version}");
        let assigned = joined.assignment.unwrap().topic_partitions;
        assert_eq!(assigned[0].partitions, [0, 1, 2, 3], "v{version}");
        let mut leave = enter("reader");
        leave.member_epoch = -1;
        assert_eq!(client.call(version, &leave).await.error_code, 0, "v{version}");
    }
}

#[tokio::test]
async fn only_version_0_gives_member_ids() {
    let (_node, client) = coordinator().await;
    let refused = client.call(1, &enter("")).await;
    assert_eq!(error(refused.error_code), ErrorCode::InvalidRequest);
    let joined = client.call(0, &enter("")).await;
    assert!(!joined.member_id.unwrap().is_empty());
}

#[tokio::test]
async fn an_error_tells_what_to_do() {
    let (_node, client) = coordinator().await;
    let mut request = enter("reader");
    request.member_epoch = 3;
    assert_eq!(error(client.ask(&request).await.error_code), ErrorCode::GroupIdNotFound);
    client.ask(&enter("reader")).await;
    assert_eq!(error(client.ask(&request).await.error_code), ErrorCode::FencedMemberEpoch);
    request.member_id = "nobody".into();
    assert_eq!(error(client.ask(&request).await.error_code), ErrorCode::UnknownMemberId);
    let mut request = enter("reader");
    request.subscribed_topic_regex = Some("(".into());
    let refused = client.ask(&request).await;
    assert_eq!(error(refused.error_code), ErrorCode::InvalidRegularExpression);
    assert!(refused.error_message.is_some());
}
