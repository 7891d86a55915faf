//! LeaveGroup.

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::LeaveGroupRequest;
use duramen_protocol::messages::leave_group::MemberIdentity;

use crate::support::Node;
use crate::support::client::{error, versions};
use crate::support::groups::{GROUP, coordinator, join_request};

#[tokio::test]
async fn a_member_leaves_in_every_version() {
    let (_node, client) = coordinator().await;
    for version in versions::<LeaveGroupRequest>() {
        let member = client.member().await;
        let mut request = LeaveGroupRequest { group_id: GROUP.into(), ..Default::default() };
        match version < 3 {
            true => request.member_id = member.id.clone(),
            false => {
                let gone = MemberIdentity { member_id: member.id.clone(), ..Default::default() };
                let unknown = MemberIdentity { member_id: "nobody".into(), ..Default::default() };
                request.members = vec![gone, unknown];
            }
        }
        let answer = client.call(version, &request).await;
        assert_eq!(error(answer.error_code), ErrorCode::None, "v{version}");
        let codes: Vec<_> = answer.members.iter().map(|it| error(it.error_code)).collect();
        if version >= 3 {
            assert_eq!(codes, [ErrorCode::None, ErrorCode::UnknownMemberId]);
        }
        assert_eq!(client.heartbeat(&member).await, ErrorCode::UnknownMemberId);
    }
}

#[tokio::test]
async fn who_is_not_there_can_not_leave() {
    let (_node, client) = coordinator().await;
    assert_eq!(client.leave("nobody").await, ErrorCode::UnknownMemberId);
    let request = LeaveGroupRequest {
        group_id: GROUP.into(),
        member_id: "nobody".into(),
        ..Default::default()
    };
    let answer = client.call(2, &request).await;
    assert_eq!(error(answer.error_code), ErrorCode::UnknownMemberId);
    let answer = client.ask(&LeaveGroupRequest::default()).await;
    assert_eq!(error(answer.error_code), ErrorCode::InvalidGroupId);
}

#[tokio::test]
async fn an_operator_removes_a_static_member_by_its_name() {
    let (_node, client) = coordinator().await;
    let mut join = join_request("");
    join.group_instance_id = Some("reader-1".into());
    let first = client.ask(&join).await;
    let leave = async |member: &str, instance: &str| {
        let member = MemberIdentity {
            member_id: member.into(),
            group_instance_id: Some(instance.into()),
            ..Default::default()
        };
        let members = vec![member];
        let request = LeaveGroupRequest { group_id: GROUP.into(), members, ..Default::default() };
        error(client.ask(&request).await.members[0].error_code)
    };
    assert_eq!(leave("", "reader-2").await, ErrorCode::UnknownMemberId);
    assert_eq!(leave("another", "reader-1").await, ErrorCode::FencedInstanceId);
    assert_eq!(leave("", "reader-1").await, ErrorCode::None);
    assert_eq!(leave(&first.member_id, "reader-1").await, ErrorCode::UnknownMemberId);
}

#[tokio::test]
async fn without_a_topic_for_groups_there_is_no_coordinator() {
    let (_node, client) = Node::client().await;
    assert_eq!(client.leave("nobody").await, ErrorCode::NotCoordinator);
}
