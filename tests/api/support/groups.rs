//! Groups: short words for what a member does.

use bytes::Bytes;
use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::find_coordinator::FindCoordinatorRequest;
use duramen_protocol::messages::join_group::JoinGroupRequestProtocol;
use duramen_protocol::messages::leave_group::MemberIdentity;
use duramen_protocol::messages::offset_commit::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use duramen_protocol::messages::offset_fetch::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopics, OffsetFetchResponseGroup,
};
use duramen_protocol::messages::sync_group::SyncGroupRequestAssignment;
use duramen_protocol::messages::{
    ConsumerGroupHeartbeatRequest, HeartbeatRequest, JoinGroupRequest, JoinGroupResponse,
    LeaveGroupRequest, OffsetCommitRequest, OffsetFetchRequest, SyncGroupRequest,
};
use duramen_protocol::text::Text;

use super::client::error;
use super::{Client, Node, eventually};

pub const GROUP: &str = "payment-service";
pub const TOPIC: &str = "orders";
/// The newest version of OffsetCommit and OffsetFetch that names topics by name.
pub const BY_NAME: i16 = 9;

/// Groups that do not wait for more members, on a small topic.
pub const QUICK: [&str; 2] =
    ["group.initial.rebalance.delay.ms=0", "offsets.topic.num.partitions=3"];

/// A member in a generation.
#[derive(Debug, Clone)]
pub struct Member {
    pub id: Text,
    pub generation: i32,
}

/// A broker with the topic, whose coordinator was looked for, and a client.
pub async fn coordinator() -> (Node, Client) {
    coordinator_with(&[]).await
}

/// The same, with more settings.
pub async fn coordinator_with(settings: &[&str]) -> (Node, Client) {
    let node = Node::with(&[&QUICK, settings].concat()).await;
    let client = node.connect().await;
    client.create(TOPIC, 4).await;
    client.find_coordinator().await;
    (node, client)
}

/// A member joins that is not given up, however long the machine holds the test up.
pub fn join_request(member: &str) -> JoinGroupRequest {
    JoinGroupRequest {
        group_id: GROUP.into(),
        session_timeout_ms: 300_000,
        rebalance_timeout_ms: 300_000,
        member_id: member.into(),
        protocol_type: "consumer".into(),
        protocols: vec![JoinGroupRequestProtocol {
            name: "range".into(),
            metadata: Bytes::from_static(b"what I want"),
        }],
        ..JoinGroupRequest::default()
    }
}

/// A member of a KIP-848 group joins.
pub fn consumer_join(member: &str) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        group_id: GROUP.into(),
        member_id: member.into(),
        rebalance_timeout_ms: 300_000,
        subscribed_topic_names: Some(vec![TOPIC.into()]),
        topic_partitions: Some(Vec::new()),
        ..ConsumerGroupHeartbeatRequest::default()
    }
}

pub fn sync_request(member: &Member, assignments: &[(&str, &'static str)]) -> SyncGroupRequest {
    let assignment = |(member, assignment): &(&str, &'static str)| SyncGroupRequestAssignment {
        member_id: (*member).into(),
        assignment: Bytes::from_static(assignment.as_bytes()),
    };
    SyncGroupRequest {
        group_id: GROUP.into(),
        generation_id: member.generation,
        member_id: member.id.clone(),
        assignments: assignments.iter().map(assignment).collect(),
        ..SyncGroupRequest::default()
    }
}

pub fn heartbeat_request(member: &Member) -> HeartbeatRequest {
    HeartbeatRequest {
        group_id: GROUP.into(),
        generation_id: member.generation,
        member_id: member.id.clone(),
        ..HeartbeatRequest::default()
    }
}

/// Offsets of partitions of [`TOPIC`], by a member or by nobody.
pub fn commit_request(member: Option<&Member>, offsets: &[(i32, i64)]) -> OffsetCommitRequest {
    let partition =
        |&(partition_index, committed_offset): &(i32, i64)| OffsetCommitRequestPartition {
            partition_index,
            committed_offset,
            committed_metadata: Some("note".into()),
            ..OffsetCommitRequestPartition::default()
        };
    let topic = OffsetCommitRequestTopic {
        name: TOPIC.into(),
        partitions: offsets.iter().map(partition).collect(),
        ..OffsetCommitRequestTopic::default()
    };
    OffsetCommitRequest {
        group_id: GROUP.into(),
        generation_id_or_member_epoch: member.map_or(-1, |it| it.generation),
        member_id: member.map(|it| it.id.clone()).unwrap_or_default(),
        topics: vec![topic],
        ..OffsetCommitRequest::default()
    }
}

impl Client {
    /// Waits until there is a coordinator for [`GROUP`], and it has loaded.
    pub async fn find_coordinator(&self) {
        let keys = vec![GROUP.into()];
        let request = FindCoordinatorRequest { coordinator_keys: keys, ..Default::default() };
        let found = self.ask(&request).await;
        assert_eq!(error(found.coordinators[0].error_code), ErrorCode::None, "{found:?}");
        eventually("the coordinator loads", async || {
            let code = self.offsets(None).await.error_code;
            (error(code) != ErrorCode::CoordinatorLoadInProgress).then_some(())
        })
        .await;
    }

    /// Joins, with the id that a new member is given, and waits for the generation.
    pub async fn join(&self, member: &str) -> JoinGroupResponse {
        let joined = self.ask(&join_request(member)).await;
        match error(joined.error_code) {
            ErrorCode::MemberIdRequired => self.ask(&join_request(&joined.member_id)).await,
            _ => joined,
        }
    }

    /// A member that is alone in [`GROUP`] and has its work.
    pub async fn member(&self) -> Member {
        let joined = self.join("").await;
        assert_eq!(error(joined.error_code), ErrorCode::None);
        let member = Member { id: joined.member_id, generation: joined.generation_id };
        let synced = self.ask(&sync_request(&member, &[(&member.id, "everything")])).await;
        assert_eq!((synced.error_code, &*synced.assignment), (0, &b"everything"[..]));
        member
    }

    pub async fn heartbeat(&self, member: &Member) -> ErrorCode {
        error(self.ask(&heartbeat_request(member)).await.error_code)
    }

    pub async fn leave(&self, member: &str) -> ErrorCode {
        let members = vec![MemberIdentity { member_id: member.into(), ..Default::default() }];
        let request = LeaveGroupRequest { group_id: GROUP.into(), members, ..Default::default() };
        let answer = self.ask(&request).await;
        match error(answer.error_code) {
            ErrorCode::None => error(answer.members[0].error_code),
            code => code,
        }
    }

    /// Commits one offset; the outcome.
    pub async fn commit(&self, member: Option<&Member>, partition: i32, offset: i64) -> ErrorCode {
        let request = commit_request(member, &[(partition, offset)]);
        let answer = self.call(BY_NAME, &request).await;
        error(answer.topics[0].partitions[0].error_code)
    }

    /// The offsets of [`GROUP`]: of these partitions of [`TOPIC`], or all.
    pub async fn offsets(&self, partitions: Option<&[i32]>) -> OffsetFetchResponseGroup {
        let topics = partitions.map(|partitions| {
            vec![OffsetFetchRequestTopics {
                name: TOPIC.into(),
                partition_indexes: partitions.to_vec(),
                ..OffsetFetchRequestTopics::default()
            }]
        });
        let group =
            OffsetFetchRequestGroup { group_id: GROUP.into(), topics, ..Default::default() };
        let request = OffsetFetchRequest { groups: vec![group], ..Default::default() };
        self.call(BY_NAME, &request).await.groups.remove(0)
    }

    /// What was committed for one partition, -1 for nothing.
    pub async fn committed(&self, partition: i32) -> i64 {
        let group = self.offsets(Some(&[partition])).await;
        assert_eq!(error(group.error_code), ErrorCode::None);
        group.topics[0].partitions[0].committed_offset
    }
}
