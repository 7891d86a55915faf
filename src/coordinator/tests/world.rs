//! Short words for what members ask of a shard without tasks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use duramen_protocol::consumer_protocol::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription, TopicPartition,
};
use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::consumer_group_describe::DescribedGroup;
use duramen_protocol::messages::join_group::JoinGroupRequestProtocol;
use duramen_protocol::messages::leave_group::MemberIdentity;
use duramen_protocol::messages::offset_commit::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use duramen_protocol::messages::sync_group::SyncGroupRequestAssignment;
use duramen_protocol::messages::{
    ConsumerGroupHeartbeatRequest, HeartbeatRequest, HeartbeatResponse, JoinGroupRequest,
    JoinGroupResponse, LeaveGroupRequest, LeaveGroupResponse, OffsetCommitRequest,
    OffsetCommitResponse, SyncGroupRequest, SyncGroupResponse,
};
use duramen_protocol::text::Text;

use crate::coordinator::command::{Answer, Command, Commit, ConsumerBeat, Join, ReplyTo};

pub(super) use crate::coordinator::rehearsal::Rehearsal as World;
pub(in crate::coordinator) use crate::coordinator::rehearsal::limits;

pub(in crate::coordinator) const GROUP: &str = "payment-service";
static NEXT_ID: AtomicU64 = AtomicU64::new(1 << 40);

pub(super) const TOPIC: &str = "orders";

/// Runs a model with each of the first `count` seeds, or of `GROUP_SEEDS=2000`; `GROUP_SEED` is the only one.
pub(super) fn with_seeds<T>(count: u64, run: fn(u64) -> T) -> Vec<T> {
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let seeds = match number("GROUP_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("GROUP_SEEDS").unwrap_or(count),
    };
    let one = |seed| {
        let ran = std::panic::catch_unwind(|| run(seed));
        ran.unwrap_or_else(|_| panic!("seed {seed}: GROUP_SEED={seed} replays it"))
    };
    seeds.map(one).collect()
}

impl World {
    pub(super) fn pass_ms(&mut self, ms: u64) {
        self.pass(Duration::from_millis(ms));
    }

    /// The answer, if it has come.
    pub(super) fn poll<A: TryFrom<Answer>>(&mut self, to: ReplyTo) -> Option<Result<A, ErrorCode>>
    where
        A::Error: std::fmt::Debug,
    {
        let outcome = self.outcome(to)?;
        Some(outcome.map(|answer| A::try_from(answer).unwrap()))
    }

    /// Sends a command whose answer comes at once.
    pub(super) fn ask<A: TryFrom<Answer>>(&mut self, command: Command) -> Result<A, ErrorCode>
    where
        A::Error: std::fmt::Debug,
    {
        let to = self.send(command);
        self.poll(to).expect("an answer at once")
    }

    pub(super) fn heartbeat(&mut self, member: &str, generation: i32) -> ErrorCode {
        let request = HeartbeatRequest {
            group_id: GROUP.into(),
            generation_id: generation,
            member_id: member.into(),
            ..HeartbeatRequest::default()
        };
        match self.ask::<HeartbeatResponse>(Command::Heartbeat(request)) {
            Ok(answer) => ErrorCode::from_code(answer.error_code),
            Err(code) => code,
        }
    }

    pub(super) fn described_consumers(&mut self) -> DescribedGroup {
        self.ask(Command::DescribeConsumers { group: GROUP.into() }).unwrap()
    }

    pub(super) fn leave(&mut self, member: &str) -> ErrorCode {
        let members = vec![MemberIdentity { member_id: member.into(), ..Default::default() }];
        let request = LeaveGroupRequest { group_id: GROUP.into(), members, ..Default::default() };
        match self.ask::<LeaveGroupResponse>(Command::Leave(request)) {
            Ok(answer) => ErrorCode::from_code(answer.members[0].error_code),
            Err(code) => code,
        }
    }

    pub(super) fn commit(
        &mut self,
        member: &str,
        generation: i32,
        partition: i32,
        offset: i64,
    ) -> ErrorCode {
        let to = self.send(commit(member, generation, partition, offset));
        match self.poll::<OffsetCommitResponse>(to).expect("an answer at once") {
            Ok(answer) => ErrorCode::from_code(answer.topics[0].partitions[0].error_code),
            Err(code) => code,
        }
    }

    /// One member joins, waits for the first generation, and leads it.
    pub(super) fn alone(&mut self) -> (Text, i32) {
        let to = self.send(joining("", None, 5));
        let Some(Ok(given)) = self.poll::<JoinGroupResponse>(to) else { panic!("no id") };
        assert_eq!(given.error_code, ErrorCode::MemberIdRequired.code());
        let to = self.send(joining(&given.member_id, None, 5));
        self.pass_ms(3_001);
        let joined: JoinGroupResponse = self.poll(to).expect("a generation").unwrap();
        assert_eq!((joined.error_code, &joined.leader), (0, &joined.member_id));
        let assigned = [(joined.member_id.clone(), Bytes::from_static(b"all"))];
        let synced = self.sync(&joined.member_id, joined.generation_id, &assigned);
        assert_eq!(synced.unwrap().assignment, "all");
        (joined.member_id, joined.generation_id)
    }

    pub(super) fn sync(
        &mut self,
        member: &str,
        generation: i32,
        assignments: &[(Text, Bytes)],
    ) -> Result<SyncGroupResponse, ErrorCode> {
        let to = self.send(syncing(member, generation, assignments));
        self.poll(to).expect("an answer at once")
    }
}

pub(in crate::coordinator) fn joining(
    member: &str,
    instance: Option<&str>,
    version: i16,
) -> Command {
    join_with(member, instance, version, &[("range", "a")])
}

pub(super) fn join_with(
    member: &str,
    instance: Option<&str>,
    version: i16,
    protocols: &[(&str, &str)],
) -> Command {
    let protocols: Vec<(&str, Bytes)> = protocols
        .iter()
        .map(|(name, metadata)| (*name, Bytes::copy_from_slice(metadata.as_bytes())))
        .collect();
    join_bytes(member, instance, version, &protocols)
}

/// A consumer that subscribes to [`TOPIC`] joins, and says that it owns these partitions.
pub(super) fn join_consumer(
    member: &str,
    instance: Option<&str>,
    version: i16,
    owned: &[i32],
) -> Command {
    let metadata = subscription(owned);
    join_bytes(member, instance, version, &[("best", metadata.clone()), ("range", metadata)])
}

/// What a consumer of [`TOPIC`] says to its assignors.
pub(super) fn subscription(owned: &[i32]) -> Bytes {
    let owned = TopicPartition { topic: TOPIC.into(), partitions: owned.to_vec() };
    let subscription = ConsumerProtocolSubscription {
        topics: vec![TOPIC.into()],
        owned_partitions: vec![owned],
        ..ConsumerProtocolSubscription::default()
    };
    subscription.to_bytes(1).unwrap()
}

/// What a leader assigns to a consumer.
pub(super) fn assign_blob(partitions: &[i32]) -> Bytes {
    assign_with(partitions, None)
}

/// The same, with something beside it.
pub(super) fn assign_with(partitions: &[i32], user_data: Option<Bytes>) -> Bytes {
    let assigned = TopicPartition { topic: TOPIC.into(), partitions: partitions.to_vec() };
    let assignment = ConsumerProtocolAssignment { assigned_partitions: vec![assigned], user_data };
    assignment.to_bytes(1).unwrap()
}

/// The partitions of [`TOPIC`] that a consumer was assigned.
pub(super) fn read_blob(assignment: &Bytes) -> Vec<i32> {
    let read = ConsumerProtocolAssignment::from_bytes(assignment).unwrap();
    read.assigned_partitions.into_iter().flat_map(|topic| topic.partitions).collect()
}

pub(super) fn join_bytes(
    member: &str,
    instance: Option<&str>,
    version: i16,
    protocols: &[(&str, Bytes)],
) -> Command {
    let protocol = |(name, metadata): &(&str, Bytes)| JoinGroupRequestProtocol {
        name: (*name).into(),
        metadata: metadata.clone(),
    };
    let request = JoinGroupRequest {
        group_id: GROUP.into(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 30_000,
        member_id: member.into(),
        group_instance_id: instance.map(Text::from),
        protocol_type: "consumer".into(),
        protocols: protocols.iter().map(protocol).collect(),
        ..JoinGroupRequest::default()
    };
    Command::Join(Box::new(Join {
        request,
        version,
        client_id: "client".into(),
        client_host: "/127.0.0.1".into(),
        // Always rising, so that a seed replays whatever else runs.
        unique: uuid::Uuid::from_u128(NEXT_ID.fetch_add(1, Ordering::Relaxed).into()),
    }))
}

pub(super) fn syncing(member: &str, generation: i32, assignments: &[(Text, Bytes)]) -> Command {
    let assignment = |(member, assignment): &(Text, Bytes)| SyncGroupRequestAssignment {
        member_id: member.clone(),
        assignment: assignment.clone(),
    };
    Command::Sync(SyncGroupRequest {
        group_id: GROUP.into(),
        generation_id: generation,
        member_id: member.into(),
        assignments: assignments.iter().map(assignment).collect(),
        ..SyncGroupRequest::default()
    })
}

pub(in crate::coordinator) fn commit(
    member: &str,
    generation: i32,
    partition: i32,
    offset: i64,
) -> Command {
    let partition = OffsetCommitRequestPartition {
        partition_index: partition,
        committed_offset: offset,
        ..OffsetCommitRequestPartition::default()
    };
    let topic = OffsetCommitRequestTopic {
        name: TOPIC.into(),
        partitions: vec![partition],
        ..OffsetCommitRequestTopic::default()
    };
    let request = OffsetCommitRequest {
        group_id: GROUP.into(),
        generation_id_or_member_epoch: generation,
        member_id: member.into(),
        topics: vec![topic],
        ..OffsetCommitRequest::default()
    };
    Command::Commit(Commit { request, version: 9 })
}

/// A heartbeat of a member of a KIP-848 group.
pub(super) fn beat(request: ConsumerGroupHeartbeatRequest, version: i16) -> Command {
    Command::ConsumerBeat(Box::new(ConsumerBeat {
        request,
        version,
        client_id: "client".into(),
        client_host: "/127.0.0.1".into(),
        unique: uuid::Uuid::from_u128(NEXT_ID.fetch_add(1, Ordering::Relaxed).into()),
    }))
}
