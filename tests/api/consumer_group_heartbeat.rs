//! ConsumerGroupHeartbeat.

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};

use crate::support::client::{error, versions};
use crate::support::eventually;
use crate::support::groups::{GROUP, TOPIC, consumer_join, coordinator, coordinator_with};

fn count(answer: &ConsumerGroupHeartbeatResponse) -> usize {
    let topics = answer.assignment.iter().flat_map(|it| &it.topic_partitions);
    topics.map(|topic| topic.partitions.len()).sum()
}

#[tokio::test]
async fn a_member_joins_and_leaves_in_every_version() {
    let (_node, client) = coordinator().await;
    for version in versions::<ConsumerGroupHeartbeatRequest>() {
        let mut join = consumer_join("mine");
        if version == 0 {
            join.member_id = "".into();
        }
        let joined = client.call(version, &join).await;
        assert_eq!(error(joined.error_code), ErrorCode::None, "{:?}", joined.error_message);
        assert_eq!((joined.heartbeat_interval_ms, count(&joined)), (5_000, 4), "v{version}");
        let member_id = joined.member_id.unwrap();
        assert_eq!(&*member_id == "mine", version > 0);
        let stay = ConsumerGroupHeartbeatRequest {
            group_id: GROUP.into(),
            member_id,
            member_epoch: joined.member_epoch,
            ..Default::default()
        };
        let stays = client.call(version, &stay).await;
        assert_eq!((stays.error_code, stays.member_epoch), (0, joined.member_epoch));
        assert_eq!(stays.assignment, None);
        let left =
            client.call(version, &ConsumerGroupHeartbeatRequest { member_epoch: -1, ..stay }).await;
        assert_eq!((left.error_code, left.member_epoch), (0, -1));
    }
}

#[tokio::test]
async fn what_a_heartbeat_must_not_be() {
    let (_node, client) = coordinator().await;
    let join = consumer_join("mine");
    let wrong = [
        (
            ErrorCode::InvalidRequest,
            ConsumerGroupHeartbeatRequest { group_id: "".into(), ..join.clone() },
        ),
        (
            ErrorCode::InvalidRequest,
            ConsumerGroupHeartbeatRequest { member_id: "".into(), ..join.clone() },
        ),
        (
            ErrorCode::InvalidRequest,
            ConsumerGroupHeartbeatRequest { member_epoch: -3, ..join.clone() },
        ),
        (
            ErrorCode::InvalidRequest,
            ConsumerGroupHeartbeatRequest { member_epoch: -2, ..join.clone() },
        ),
        (
            ErrorCode::InvalidRequest,
            ConsumerGroupHeartbeatRequest { rebalance_timeout_ms: -1, ..join.clone() },
        ),
        (
            ErrorCode::InvalidRequest,
            ConsumerGroupHeartbeatRequest { topic_partitions: None, ..join.clone() },
        ),
        (
            ErrorCode::InvalidRequest,
            ConsumerGroupHeartbeatRequest { subscribed_topic_names: None, ..join.clone() },
        ),
        (
            ErrorCode::UnsupportedAssignor,
            ConsumerGroupHeartbeatRequest { server_assignor: Some("best".into()), ..join.clone() },
        ),
        (
            ErrorCode::InvalidRegularExpression,
            ConsumerGroupHeartbeatRequest {
                subscribed_topic_regex: Some("(".into()),
                ..join.clone()
            },
        ),
        (
            ErrorCode::InvalidRegularExpression,
            ConsumerGroupHeartbeatRequest {
                subscribed_topic_regex: Some("a{1000}{1000}{1000}".into()),
                ..join.clone()
            },
        ),
        (
            ErrorCode::GroupIdNotFound,
            ConsumerGroupHeartbeatRequest { member_epoch: 1, ..join.clone() },
        ),
    ];
    for (code, request) in wrong {
        let answer = client.ask(&request).await;
        assert_eq!(error(answer.error_code), code, "{request:?}");
        assert!(answer.error_message.is_some());
    }
    let joined = client.ask(&join).await;
    let stay = ConsumerGroupHeartbeatRequest { member_epoch: joined.member_epoch, ..join };
    let late =
        ConsumerGroupHeartbeatRequest { member_epoch: joined.member_epoch + 1, ..stay.clone() };
    assert_eq!(error(client.ask(&late).await.error_code), ErrorCode::FencedMemberEpoch);
    let stranger = ConsumerGroupHeartbeatRequest { member_id: "stranger".into(), ..stay };
    assert_eq!(error(client.ask(&stranger).await.error_code), ErrorCode::UnknownMemberId);
}

#[tokio::test]
async fn a_static_member_leaves_its_place_to_itself_alone() {
    let (_node, client) = coordinator_with(&["group.consumer.max.size=2"]).await;
    let join =
        ConsumerGroupHeartbeatRequest { instance_id: Some("one".into()), ..consumer_join("first") };
    let joined = client.ask(&join).await;
    let second = ConsumerGroupHeartbeatRequest { member_id: "second".into(), ..join.clone() };
    assert_eq!(error(client.ask(&second).await.error_code), ErrorCode::UnreleasedInstanceId);
    let away = ConsumerGroupHeartbeatRequest { member_epoch: -2, ..join.clone() };
    assert_eq!(client.ask(&away).await.error_code, 0);
    let back = client.ask(&second).await;
    assert_eq!((back.error_code, back.member_epoch, count(&back)), (0, joined.member_epoch, 4));
    let former = ConsumerGroupHeartbeatRequest { member_epoch: joined.member_epoch, ..join };
    assert_eq!(error(client.ask(&former).await.error_code), ErrorCode::FencedInstanceId);
    assert_eq!(client.ask(&consumer_join("third")).await.error_code, 0);
    let fourth = client.ask(&consumer_join("fourth")).await;
    assert_eq!(error(fourth.error_code), ErrorCode::GroupMaxSizeReached);
}

#[tokio::test]
async fn an_expression_finds_topics_that_come_and_none_that_are_internal() {
    let (_node, client) = coordinator().await;
    let join = ConsumerGroupHeartbeatRequest {
        subscribed_topic_names: Some(Vec::new()),
        subscribed_topic_regex: Some(".*".into()),
        ..consumer_join("mine")
    };
    let joined = client.ask(&join).await;
    assert_eq!(count(&joined), 4, "the partitions of {TOPIC} alone");
    client.create("payments", 3).await;
    // Whoever joins with another expression has it matched at once.
    let other =
        ConsumerGroupHeartbeatRequest { subscribed_topic_regex: Some("pay.*".into()), ..join };
    eventually("the new topic is found", async || {
        let answer = client.ask(&other).await;
        (count(&answer) == 3).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_empty_group_changes_sides_whatever_the_policy_says() {
    let (_node, client) = coordinator_with(&["group.consumer.migration.policy=disabled"]).await;
    let member = client.member().await;
    let refused = client.ask(&consumer_join("mine")).await;
    assert_eq!(error(refused.error_code), ErrorCode::GroupIdNotFound);
    client.leave(&member.id).await;
    let joined = client.ask(&consumer_join("mine")).await;
    assert_eq!(error(joined.error_code), ErrorCode::None, "an empty group changes sides");
    let classic = client.call(2, &crate::support::groups::join_request("")).await;
    assert_eq!(error(classic.error_code), ErrorCode::InconsistentGroupProtocol);
    let leave = ConsumerGroupHeartbeatRequest { member_epoch: -1, ..consumer_join("mine") };
    assert_eq!(client.ask(&leave).await.error_code, 0);
    client.member().await;
}
