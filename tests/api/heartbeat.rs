//! Heartbeat.

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::HeartbeatRequest;

use crate::support::Node;
use crate::support::client::{error, versions};
use crate::support::groups::{Member, coordinator, heartbeat_request, join_request};

#[tokio::test]
async fn a_member_lives_in_every_version() {
    let (_node, client) = coordinator().await;
    let member = client.member().await;
    for version in versions::<HeartbeatRequest>() {
        let answer = client.call(version, &heartbeat_request(&member)).await;
        assert_eq!(error(answer.error_code), ErrorCode::None, "v{version}");
    }
}

#[tokio::test]
async fn an_error_tells_what_to_do() {
    let (node, client) = coordinator().await;
    let nobody = Member { id: "nobody".into(), generation: 1 };
    assert_eq!(client.heartbeat(&nobody).await, ErrorCode::UnknownMemberId);
    let mut unnamed = heartbeat_request(&nobody);
    unnamed.group_id = "".into();
    assert_eq!(error(client.ask(&unnamed).await.error_code), ErrorCode::InvalidGroupId);

    let member = client.member().await;
    assert_eq!(client.heartbeat(&nobody).await, ErrorCode::UnknownMemberId);
    let late = Member { generation: 0, ..member.clone() };
    assert_eq!(client.heartbeat(&late).await, ErrorCode::IllegalGeneration);
    let newcomer = node.connect().await;
    let waiting = tokio::spawn(async move { newcomer.call(2, &join_request("")).await });
    crate::support::eventually("a member is called to join again", async || {
        (client.heartbeat(&member).await == ErrorCode::RebalanceInProgress).then_some(())
    })
    .await;
    waiting.abort();
}

#[tokio::test]
async fn a_static_member_that_was_replaced_is_fenced() {
    let (_node, client) = coordinator().await;
    let mut join = join_request("");
    join.group_instance_id = Some("reader-1".into());
    let first = client.ask(&join).await;
    client.ask(&join).await;
    let first = Member { id: first.member_id, generation: first.generation_id };
    let mut request = heartbeat_request(&first);
    request.group_instance_id = Some("reader-1".into());
    assert_eq!(error(client.ask(&request).await.error_code), ErrorCode::FencedInstanceId);
}

#[tokio::test]
async fn without_a_topic_for_groups_there_is_no_coordinator() {
    let (_node, client) = Node::client().await;
    let nobody = Member { id: "nobody".into(), generation: 1 };
    assert_eq!(client.heartbeat(&nobody).await, ErrorCode::NotCoordinator);
}
