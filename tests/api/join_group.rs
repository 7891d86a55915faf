//! JoinGroup.

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::{
    DescribeGroupsRequest, JoinGroupRequest, JoinGroupResponse, ListGroupsRequest,
};

use crate::support::client::{error, versions};
use crate::support::groups::{GROUP, QUICK, coordinator, coordinator_with, join_request};
use crate::support::{Client, Node, eventually};

#[tokio::test]
async fn every_version_enters_and_hears_of_its_generation() {
    for version in versions::<JoinGroupRequest>() {
        let (_node, client) = coordinator().await;
        let mut joined = client.call(version, &join_request("")).await;
        if version >= 4 {
            assert_eq!(error(joined.error_code), ErrorCode::MemberIdRequired, "v{version}");
            joined = client.call(version, &join_request(&joined.member_id)).await;
        }
        assert_eq!(error(joined.error_code), ErrorCode::None, "v{version}");
        assert_eq!((joined.generation_id, &joined.leader), (1, &joined.member_id));
        assert_eq!(joined.protocol_name.as_deref(), Some("range"));
        assert_eq!(joined.protocol_type.as_deref(), (version >= 7).then_some("consumer"));
        assert_eq!(joined.members.len(), 1);
        assert_eq!(joined.members[0].metadata, "what I want");
    }
}

#[tokio::test]
async fn what_can_not_join_is_told_why() {
    let (_node, client) = coordinator_with(&["group.max.size=1"]).await;
    let outcome = async |change: &dyn Fn(&mut JoinGroupRequest)| {
        let mut request = join_request("");
        change(&mut request);
        error(client.ask(&request).await.error_code)
    };
    assert_eq!(outcome(&|it| it.group_id = "".into()).await, ErrorCode::InvalidGroupId);
    for ms in [5_999, 1_800_001] {
        let code = outcome(&|it| it.session_timeout_ms = ms).await;
        assert_eq!(code, ErrorCode::InvalidSessionTimeout);
    }
    assert_eq!(outcome(&|it| it.member_id = "stranger".into()).await, ErrorCode::UnknownMemberId);
    assert_eq!(outcome(&|it| it.protocols.clear()).await, ErrorCode::InconsistentGroupProtocol);
    let long = vec![0; (1 << 20) + 1];
    let code = outcome(&|it| it.protocols[0].metadata = long.clone().into()).await;
    assert_eq!(code, ErrorCode::InvalidRequest);
    client.member().await;
    assert_eq!(outcome(&|_| {}).await, ErrorCode::GroupMaxSizeReached);
    let other = outcome(&|it| {
        it.group_id = "other".into();
        it.protocol_type = "connect".into();
    });
    assert_eq!(other.await, ErrorCode::MemberIdRequired, "another group is free");
}

#[tokio::test]
async fn a_group_whose_members_speak_something_else_is_not_joined() {
    let (_node, client) = coordinator().await;
    client.member().await;
    let mut request = join_request("");
    request.protocols[0].name = "sticky".into();
    let joined = client.ask(&request).await;
    assert_eq!(error(joined.error_code), ErrorCode::InconsistentGroupProtocol);
    let mut request = join_request("");
    request.group_instance_id = Some("static".into());
    request.member_id = "not-that-one".into();
    let joined = client.ask(&request).await;
    assert_eq!(error(joined.error_code), ErrorCode::UnknownMemberId);
}

#[tokio::test]
async fn a_static_member_that_was_replaced_is_fenced() {
    let (_node, client) = coordinator().await;
    let mut request = join_request("");
    request.group_instance_id = Some("reader-1".into());
    let first = client.ask(&request).await;
    assert_eq!(error(first.error_code), ErrorCode::None);
    let second = client.ask(&request).await;
    assert_eq!(error(second.error_code), ErrorCode::None);
    assert_ne!(first.member_id, second.member_id);
    request.member_id = first.member_id;
    let fenced = client.ask(&request).await;
    assert_eq!(error(fenced.error_code), ErrorCode::FencedInstanceId);
}

#[tokio::test]
async fn without_a_topic_for_groups_there_is_no_coordinator() {
    let (_node, client) = Node::client().await;
    let joined = client.ask(&join_request("")).await;
    assert_eq!(error(joined.error_code), ErrorCode::NotCoordinator);
}

#[tokio::test]
async fn a_member_whose_connection_ends_before_its_first_generation_is_gone() {
    let (node, client) = coordinator().await;
    let member = client.member().await;
    let lost = node.connect().await;
    let parked = tokio::spawn(async move { lost.call(2, &join_request("")).await });
    eventually("the group is called together", async || {
        (client.heartbeat(&member).await == ErrorCode::RebalanceInProgress).then_some(())
    })
    .await;
    parked.abort();
    // Were it still there, it would be in the next generation.
    eventually("it is gone with its connection", async || {
        let request = DescribeGroupsRequest { groups: vec![GROUP.into()], ..Default::default() };
        (client.ask(&request).await.groups[0].members.len() == 1).then_some(())
    })
    .await;
    let again = client.join(&member.id).await;
    assert_eq!((error(again.error_code), again.members.len()), (ErrorCode::None, 1));
}

#[tokio::test]
async fn a_broker_that_stops_does_not_wait_for_those_who_wait() {
    let settings = ["group.initial.rebalance.delay.ms=600000", QUICK[1]];
    let mut node = Node::with(&settings).await;
    let client = node.connect().await;
    client.find_coordinator().await;
    let waiting = {
        let client = client.clone();
        tokio::spawn(async move { client.call(2, &join_request("")).await })
    };
    let other = node.connect().await;
    eventually("the member waits", async || {
        let listed = other.ask(&ListGroupsRequest::default()).await;
        (listed.groups.len() == 1).then_some(())
    })
    .await;
    node.stop().await;
    assert_eq!(error(waiting.await.unwrap().error_code), ErrorCode::NotCoordinator);
}

/// When the machine holds up some of those that join, the others are called together again and do not come:
/// they are given up long before anybody's patience ends.
async fn join_once(client: Client) -> JoinGroupResponse {
    let request = |id: &str| JoinGroupRequest { session_timeout_ms: 20_000, ..join_request(id) };
    let given = client.ask(&request("")).await;
    assert_eq!(error(given.error_code), ErrorCode::MemberIdRequired);
    client.ask(&request(&given.member_id)).await
}

#[tokio::test]
async fn a_thousand_members_join_at_once_and_are_one_generation() {
    // 20 connections with 50 members each, as the requests of one connection may wait side by side.
    let node = Node::with(&["group.initial.rebalance.delay.ms=3000", QUICK[1]]).await;
    node.connect().await.find_coordinator().await;
    let mut joining = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let client = node.connect().await;
        for _ in 0..50 {
            joining.spawn(join_once(client.clone()));
        }
    }
    let joined = joining.join_all().await;
    let last = joined.iter().map(|it| it.generation_id).max();
    let leaders: std::collections::BTreeSet<_> =
        joined.iter().filter(|it| it.generation_id == last.unwrap()).map(|it| &it.leader).collect();
    assert!(joined.iter().all(|it| it.error_code == 0));
    assert_eq!((joined.len(), leaders.len()), (1_000, 1));
}
