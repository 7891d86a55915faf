//! The story: requests about groups that no client sends: ids that are empty, huge or strange, blobs
//! that are no subscriptions, numbers below nothing. Each gets Kafka's error and costs what it weighs.

use bytes::Bytes;
use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::leave_group::MemberIdentity;
use duramen_protocol::messages::offset_commit::OffsetCommitRequestPartition;
use duramen_protocol::messages::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use duramen_protocol::messages::sync_group::SyncGroupRequestAssignment;
use duramen_protocol::messages::{
    DescribeGroupsRequest, HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest,
    ListGroupsRequest, SyncGroupRequest,
};

use crate::group_lab::{
    BY_NAME, GROUP, HEARTBEAT, JOIN, LEAVE, Ledger, Member, SYNC, assignment, commit_request,
    error, join_request, node_with, offsets, protocol,
};
use crate::hostile_peers::anonymous_kib;
use crate::support::node::Node;
use crate::support::wire::Wire;

/// What all of it together may make the node hold.
const MEMORY_MAX_KIB: u64 = 64 << 10;

fn quick() -> Node {
    node_with(&["group.initial.rebalance.delay.ms=0"], 1)
}

fn joined(wire: &mut Wire, request: &JoinGroupRequest) -> ErrorCode {
    error(wire.ask(JOIN, request).unwrap().error_code)
}

#[test]
fn group_ids_of_every_kind() {
    let node = quick();
    let mut wire = Wire::connect(node.port()).unwrap();
    let empty = JoinGroupRequest { group_id: "".into(), ..join_request("") };
    assert_eq!(joined(&mut wire, &empty), ErrorCode::InvalidGroupId);
    let beat = HeartbeatRequest::default();
    let code = error(wire.ask(HEARTBEAT, &beat).unwrap().error_code);
    assert_eq!(code, ErrorCode::InvalidGroupId);
    let code = error(wire.ask(SYNC, &sync("", "", 0)).unwrap().error_code);
    assert_eq!(code, ErrorCode::InvalidGroupId);
    let strange = ["\u{202e}gruppe", "a/../b", "\u{0}", "🦀🦀", " ", "e\u{301}", "\u{e9}"];
    for id in strange {
        let mut request = commit_request("", -1, 0, 5, "");
        request.group_id = id.into();
        let answer = wire.ask(BY_NAME, &request).unwrap();
        assert_eq!(answer.topics[0].partitions[0].error_code, 0, "{id:?}");
    }
    let listed = wire.ask(5, &ListGroupsRequest::default()).unwrap();
    assert_eq!(listed.groups.len(), strange.len(), "{listed:?}");
    assert!(strange.iter().all(|id| listed.groups.iter().any(|it| &*it.group_id == *id)));
    // Longer than a record of Kafka's can name: refused, and nothing of it stays.
    for length in [32_768, 65_536] {
        let id = "g".repeat(length);
        let mut request = commit_request("", -1, 0, 5, "");
        request.group_id = id.as_str().into();
        let answer = wire.ask(BY_NAME, &request).unwrap();
        assert_ne!(answer.topics[0].partitions[0].error_code, 0, "{length} bytes");
        let mut member = Member::new(node.port()).unwrap();
        let join = |member: &str| JoinGroupRequest {
            group_id: id.as_str().into(),
            ..join_request(member)
        };
        let answer = member.join(join).unwrap();
        if answer.error_code == 0 {
            let mut request = sync(&id, &member.id, member.generation);
            request.assignments = vec![SyncGroupRequestAssignment {
                member_id: member.id.clone(),
                assignment: Bytes::from_static(b"all"),
            }];
            assert_ne!(member.wire.ask(SYNC, &request).unwrap().error_code, 0, "{length} bytes");
        }
    }
    serves(&node);
}

#[test]
fn members_that_are_not_what_they_say() {
    let node = quick();
    let ledger = Ledger::default();
    let mut member = Member::new(node.port()).unwrap();
    let named = |id: &str| JoinGroupRequest {
        group_instance_id: Some("static".into()),
        session_timeout_ms: 300_000,
        ..join_request(id)
    };
    member.enter(named, 1, &ledger).unwrap();
    let mut wire = Wire::connect(node.port()).unwrap();
    for (session, wanted) in [
        (i32::MIN, ErrorCode::InvalidSessionTimeout),
        (-1, ErrorCode::InvalidSessionTimeout),
        (i32::MAX, ErrorCode::InvalidSessionTimeout),
    ] {
        let request = JoinGroupRequest { session_timeout_ms: session, ..join_request("") };
        assert_eq!(joined(&mut wire, &request), wanted, "{session}");
    }
    let stranger = join_request("someone-else");
    assert_eq!(joined(&mut wire, &stranger), ErrorCode::UnknownMemberId);
    assert_eq!(joined(&mut wire, &named("someone-else")), ErrorCode::FencedInstanceId);
    let other = JoinGroupRequest { protocol_type: "connect".into(), ..join_request("") };
    assert_eq!(joined(&mut wire, &other), ErrorCode::InconsistentGroupProtocol);
    let none = JoinGroupRequest { protocols: Vec::new(), ..join_request("") };
    assert_eq!(joined(&mut wire, &none), ErrorCode::InconsistentGroupProtocol);
    let many = (0..100_000).map(|at| protocol(&at.to_string(), b"")).collect();
    let many = JoinGroupRequest { protocols: many, ..join_request("") };
    assert_eq!(joined(&mut wire, &many), ErrorCode::InconsistentGroupProtocol);
    let mut request = sync(GROUP, &member.id, member.generation);
    request.protocol_name = Some("cooperative".into());
    let code = error(wire.ask(SYNC, &request).unwrap().error_code);
    assert_eq!(code, ErrorCode::InconsistentGroupProtocol);
    for (id, generation, wanted) in [
        ("someone-else", member.generation, ErrorCode::UnknownMemberId),
        (&*member.id, member.generation + 1, ErrorCode::IllegalGeneration),
        (&*member.id, i32::MAX, ErrorCode::IllegalGeneration),
        ("", i32::MIN, ErrorCode::UnknownMemberId),
    ] {
        let answer = wire.ask(BY_NAME, &commit_request(id, generation, 0, 9, "")).unwrap();
        assert_eq!(error(answer.topics[0].partitions[0].error_code), wanted, "{id} {generation}");
    }
    let members = vec![MemberIdentity { member_id: "someone-else".into(), ..Default::default() }];
    let leave = LeaveGroupRequest { group_id: GROUP.into(), members, ..Default::default() };
    let answer = wire.ask(LEAVE, &leave).unwrap();
    assert_eq!(error(answer.members[0].error_code), ErrorCode::UnknownMemberId);
    assert_eq!(member.heartbeat().unwrap(), ErrorCode::None);
    serves(&node);
}

#[test]
fn blobs_that_are_no_subscriptions() {
    let node = quick();
    let before = anonymous_kib(&node);
    let ledger = Ledger::default();
    // It announces two thousand million topics and ends there.
    let announced = [0, 1, 0x7f, 0xff, 0xff, 0xff];
    let mut member = Member::new(node.port()).unwrap();
    let request = |id: &str| JoinGroupRequest {
        session_timeout_ms: 300_000,
        rebalance_timeout_ms: -5,
        protocols: vec![protocol("range", &announced)],
        ..join_request(id)
    };
    member.enter(request, 1, &ledger).unwrap();
    assert_eq!(member.commit(0, 5).unwrap(), ErrorCode::None);
    let mut wire = Wire::connect(node.port()).unwrap();
    let described = DescribeGroupsRequest { groups: vec![GROUP.into()], ..Default::default() };
    let group = wire.ask(5, &described).unwrap().groups.remove(0);
    assert_eq!(&*group.members[0].member_metadata, announced);
    // What it may read is not known: its offsets stay.
    let partitions = vec![OffsetDeleteRequestPartition::default()];
    let topics = [OffsetDeleteRequestTopic { name: "t".into(), partitions }];
    let delete = OffsetDeleteRequest { group_id: GROUP.into(), topics: topics.into() };
    let answer = wire.ask(0, &delete).unwrap();
    let code = error(answer.topics[0].partitions[0].error_code);
    assert_eq!(code, ErrorCode::GroupSubscribedToTopic);
    // Blobs that no record can keep.
    let huge = JoinGroupRequest {
        group_id: "huge".into(),
        protocols: vec![protocol("range", &vec![7; 8 << 20])],
        ..join_request("")
    };
    let mut other = Member::new(node.port()).unwrap();
    let answer =
        other.join(|id| JoinGroupRequest { member_id: id.into(), ..huge.clone() }).unwrap();
    assert_ne!(answer.error_code, 0);
    let mut request = sync(GROUP, &member.id, member.generation);
    request.assignments = vec![SyncGroupRequestAssignment {
        member_id: "someone-else".into(),
        assignment: vec![7; 8 << 20].into(),
    }];
    let answer = wire.ask(SYNC, &request).unwrap();
    assert_eq!((answer.error_code, answer.assignment), (0, assignment(vec![0])));
    let now = anonymous_kib(&node);
    assert!(now < before + MEMORY_MAX_KIB, "{before} KiB before, {now} KiB after");
    serves(&node);
}

#[test]
fn offsets_with_too_much_to_say() {
    let node = quick();
    let mut wire = Wire::connect(node.port()).unwrap();
    let mut request = commit_request("", -1, 0, 5, &"m".repeat(4_096));
    let more = |partition_index, bytes: usize| OffsetCommitRequestPartition {
        partition_index,
        committed_offset: 6,
        committed_metadata: Some("m".repeat(bytes).into()),
        ..OffsetCommitRequestPartition::default()
    };
    request.topics[0].partitions.extend([
        more(0, 4_097),
        more(0, 30 << 10),
        more(-1, 1),
        more(7, 1),
    ]);
    let answer = wire.ask(BY_NAME, &request).unwrap();
    let codes: Vec<_> = answer.topics[0].partitions.iter().map(|it| error(it.error_code)).collect();
    let wanted = [
        ErrorCode::None,
        ErrorCode::OffsetMetadataTooLarge,
        ErrorCode::OffsetMetadataTooLarge,
        ErrorCode::UnknownTopicOrPartition,
        ErrorCode::UnknownTopicOrPartition,
    ];
    assert_eq!(codes, wanted);
    assert_eq!(offsets(&mut wire, 1), Ok(vec![5]));
    serves(&node);
}

fn sync(group: &str, member: &str, generation_id: i32) -> SyncGroupRequest {
    SyncGroupRequest {
        group_id: group.into(),
        generation_id,
        member_id: member.into(),
        ..SyncGroupRequest::default()
    }
}

/// After all that, a client that does as it should is served.
fn serves(node: &Node) {
    let mut wire = Wire::connect(node.port()).unwrap();
    let mut request = commit_request("", -1, 0, 77, "");
    request.group_id = "another".into();
    assert_eq!(wire.ask(BY_NAME, &request).unwrap().topics[0].partitions[0].error_code, 0);
    assert!(!node.output().contains("panicked"), "{}", node.output());
}
