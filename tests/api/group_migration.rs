//! A group with members that goes over to KIP-848 and back.

use bytes::Bytes;
use duramen_protocol::consumer_protocol::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription, TopicPartition,
};
use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::join_group::{JoinGroupRequestProtocol, JoinGroupResponse};
use duramen_protocol::messages::sync_group::SyncGroupRequestAssignment;
use duramen_protocol::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest, DescribeGroupsRequest,
    JoinGroupRequest, ListGroupsRequest, SyncGroupRequest,
};

use crate::support::Client;
use crate::support::client::error;
use crate::support::groups::{
    GROUP, Member, TOPIC, consumer_join, coordinator, join_request, sync_request,
};

fn partitions(partitions: &[i32]) -> Vec<TopicPartition> {
    vec![TopicPartition { topic: TOPIC.into(), partitions: partitions.to_vec() }]
}

/// A consumer joins, and says that it owns these partitions.
fn join(member: &str, owned: &[i32]) -> JoinGroupRequest {
    let subscription = ConsumerProtocolSubscription {
        topics: vec![TOPIC.into()],
        owned_partitions: partitions(owned),
        ..ConsumerProtocolSubscription::default()
    };
    let metadata = subscription.to_bytes(1).unwrap();
    JoinGroupRequest {
        protocols: vec![JoinGroupRequestProtocol { name: "range".into(), metadata }],
        ..join_request(member)
    }
}

async fn sync(client: &Client, joined: &JoinGroupResponse, leads: bool) -> (ErrorCode, Vec<i32>) {
    let member = Member { id: joined.member_id.clone(), generation: joined.generation_id };
    let assignment = ConsumerProtocolAssignment {
        assigned_partitions: partitions(&[0, 1, 2, 3]),
        ..ConsumerProtocolAssignment::default()
    };
    let all = SyncGroupRequestAssignment {
        member_id: member.id.clone(),
        assignment: assignment.to_bytes(1).unwrap(),
    };
    let request = SyncGroupRequest {
        assignments: if leads { vec![all] } else { Vec::new() },
        ..sync_request(&member, &[])
    };
    let synced = client.ask(&request).await;
    (error(synced.error_code), read(&synced.assignment))
}

fn read(assignment: &Bytes) -> Vec<i32> {
    if assignment.is_empty() {
        return Vec::new();
    }
    let assignment = ConsumerProtocolAssignment::from_bytes(assignment).unwrap();
    assignment.assigned_partitions.into_iter().flat_map(|topic| topic.partitions).collect()
}

/// The group's type and state as ListGroups tells.
async fn listed(client: &Client) -> (String, String) {
    let group = client.ask(&ListGroupsRequest::default()).await.groups.remove(0);
    (group.group_type.to_string(), group.group_state.to_string())
}

/// A classic member alone, which a KIP-848 member joins.
async fn mixed(client: &Client) -> Member {
    let given = client.ask(&join("", &[])).await;
    assert_eq!(error(given.error_code), ErrorCode::MemberIdRequired);
    let joined = client.ask(&join(&given.member_id, &[])).await;
    assert_eq!(sync(client, &joined, true).await, (ErrorCode::None, vec![0, 1, 2, 3]));
    let old = Member { id: joined.member_id, generation: joined.generation_id };
    assert_eq!(client.commit(Some(&old), 0, 5).await, ErrorCode::None);
    let new = client.ask(&consumer_join("new")).await;
    assert_eq!((error(new.error_code), new.member_epoch), (ErrorCode::None, old.generation + 1));
    old
}

#[tokio::test]
async fn a_group_with_members_goes_over_and_back_and_keeps_its_offsets() {
    let (mut node, client) = coordinator().await;
    let old = mixed(&client).await;
    assert_eq!(listed(&client).await.0, "consumer");
    let request = DescribeGroupsRequest { groups: vec![GROUP.into()], ..Default::default() };
    let described = client.ask(&request).await;
    assert_eq!(error(described.groups[0].error_code), ErrorCode::GroupIdNotFound);

    // All of it was written, and is there again.
    let client = node.restart().await;
    client.find_coordinator().await;
    let request =
        ConsumerGroupDescribeRequest { group_ids: vec![GROUP.into()], ..Default::default() };
    let members = client.ask(&request).await.groups.remove(0).members;
    let mut types: Vec<_> = members.iter().map(|it| (&*it.member_id, it.member_type)).collect();
    types.sort_unstable_by_key(|(_, kind)| *kind);
    assert_eq!(types, [(&*old.id, 0), ("new", 1)]);

    assert_eq!(client.heartbeat(&old).await, ErrorCode::RebalanceInProgress);
    assert_eq!(client.commit(Some(&old), 0, 6).await, ErrorCode::None);
    let joined = client.ask(&join(&old.id, &[0, 1, 2, 3])).await;
    assert_eq!((joined.error_code, joined.generation_id), (0, old.generation));
    assert_eq!(sync(&client, &joined, false).await, (ErrorCode::None, vec![0, 1]));
    let joined = client.ask(&join(&old.id, &[0, 1])).await;
    assert_eq!((joined.error_code, joined.generation_id), (0, old.generation + 1));
    assert_eq!(sync(&client, &joined, false).await, (ErrorCode::None, vec![0, 1]));
    let old = Member { generation: joined.generation_id, ..old };
    let stay = ConsumerGroupHeartbeatRequest {
        group_id: GROUP.into(),
        member_id: "new".into(),
        member_epoch: old.generation,
        topic_partitions: Some(Vec::new()),
        ..ConsumerGroupHeartbeatRequest::default()
    };
    let got = client.ask(&stay).await.assignment.unwrap();
    assert_eq!(got.topic_partitions[0].partitions, [2, 3]);
    assert_eq!(client.heartbeat(&old).await, ErrorCode::None);
    assert_eq!(listed(&client).await, ("consumer".into(), "Stable".into()));

    let left = client.ask(&ConsumerGroupHeartbeatRequest { member_epoch: -1, ..stay }).await;
    assert_eq!(left.error_code, 0);
    assert_eq!(listed(&client).await, ("classic".into(), "PreparingRebalance".into()));
    let client = node.restart().await;
    client.find_coordinator().await;
    assert_eq!(client.heartbeat(&old).await, ErrorCode::RebalanceInProgress);
    let joined = client.ask(&join(&old.id, &[0, 1])).await;
    assert_eq!((joined.generation_id, &joined.leader), (old.generation + 1, &old.id));
    assert_eq!(sync(&client, &joined, true).await, (ErrorCode::None, vec![0, 1, 2, 3]));
    assert_eq!(listed(&client).await, ("classic".into(), "Stable".into()));
    assert_eq!(client.committed(0).await, 6);
}

#[tokio::test]
async fn a_classic_member_joins_in_every_version() {
    let (_node, client) = coordinator().await;
    let first = client.ask(&consumer_join("new")).await;
    assert_eq!(first.error_code, 0);
    for version in crate::support::client::versions::<JoinGroupRequest>() {
        let mut joined = client.call(version, &join("", &[])).await;
        if version >= 4 {
            assert_eq!(error(joined.error_code), ErrorCode::MemberIdRequired, "v{version}");
            joined = client.call(version, &join(&joined.member_id, &[])).await;
        }
        assert_eq!(error(joined.error_code), ErrorCode::None, "v{version}");
        assert!(joined.generation_id > first.member_epoch && joined.leader.is_empty());
        assert_eq!(joined.protocol_name.as_deref(), Some("range"));
        assert_eq!(sync(&client, &joined, false).await, (ErrorCode::None, Vec::new()));
        assert_eq!(client.leave(&joined.member_id).await, ErrorCode::None);
    }
    let strange = client.call(2, &join_request("")).await;
    assert_eq!(error(strange.error_code), ErrorCode::InconsistentGroupProtocol);
}
