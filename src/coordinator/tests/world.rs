//! A shard without tasks: its log is a vector, its clock is moved by hand.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use duramen_protocol::error::ErrorCode;
use duramen_protocol::group_records::GroupRecord;
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

use crate::config::ConsumerTimes;
use crate::config::consumer_times::Bounded;
use crate::coordinator::command::{
    Answer, Command, Commit, ConsumerBeat, ConsumerLimits, Decision, Join, Limits, Now, Outcome,
    ReplyTo,
};
use crate::coordinator::group::consumer::AssignorKind;
use crate::coordinator::groups::Groups;
use crate::metadata::MetadataImage;

pub(in crate::coordinator) const GROUP: &str = "payment-service";
static NEXT_ID: AtomicU64 = AtomicU64::new(1 << 40);

pub(super) const TOPIC: &str = "orders";

/// What the settings allow by default.
pub(in crate::coordinator) fn limits() -> Limits {
    Limits {
        initial_rebalance_delay: Duration::from_secs(3),
        session_timeout_min_ms: 6_000,
        session_timeout_max_ms: 1_800_000,
        members_max: usize::MAX,
        offset_metadata_max: 4096,
        offsets_retention_ms: 7 * 24 * 3_600_000,
        expiry_interval: Duration::from_secs(600),
        member_bytes_max: 1 << 20,
        pending_max: 2_000,
        groups_max: 100_000,
        consumer: ConsumerLimits {
            times: ConsumerTimes {
                session: Bounded { ms: 45_000, min: 1_000, max: 60_000 },
                heartbeat: Bounded { ms: 5_000, min: 500, max: 15_000 },
            },
            members_max: 100,
            assignors: [Some(AssignorKind::Uniform), Some(AssignorKind::Range)],
        },
    }
}

pub(super) struct World {
    pub(super) limits: Limits,
    pub(super) groups: Groups,
    pub(super) log: Vec<GroupRecord>,
    pub(super) now: Now,
    /// The cluster.
    pub(super) image: Arc<MetadataImage>,
    /// The next append fails with this.
    pub(super) fails: Option<ErrorCode>,
    answers: BTreeMap<ReplyTo, Outcome>,
    next: u64,
}

impl World {
    pub(super) fn new() -> Self {
        Self::with(limits())
    }

    pub(super) fn with(limits: Limits) -> Self {
        let now = Now { at: Duration::from_secs(1_000), wall_ms: 1_700_000_000_000 };
        Self {
            limits,
            groups: Groups::new(limits, now),
            log: Vec::new(),
            now,
            image: Arc::default(),
            fails: None,
            answers: BTreeMap::new(),
            next: 0,
        }
    }

    /// The broker dies and comes back: all that is left is the log.
    pub(super) fn crash(&mut self) {
        self.answers.clear();
        self.groups = Groups::new(self.limits, self.now);
        for record in &self.log {
            // What is read back is what was written, byte for byte.
            let (key, value) = record.encode().unwrap();
            self.groups.replay(GroupRecord::decode(&key, value.as_ref()).unwrap());
        }
        self.groups.see(Arc::clone(&self.image));
        self.groups.loaded(self.now);
    }

    /// Sends a command; the answer may come later.
    pub(super) fn send(&mut self, command: Command) -> ReplyTo {
        let to = ReplyTo(self.next);
        self.next += 1;
        let decision = self.groups.decide(self.now, to, command);
        self.carry_out(decision);
        to
    }

    pub(super) fn carry_out(&mut self, decision: Decision) {
        let failed = self.fails.take_if(|_| !decision.records.is_empty());
        if failed.is_none() {
            for record in decision.records {
                self.log.push(record.clone());
                self.groups.replay(record);
            }
        }
        for (to, outcome) in decision.replies {
            let outcome = failed.map_or(outcome, Err);
            assert!(self.answers.insert(to, outcome).is_none(), "{to:?} was answered twice");
        }
    }

    /// Lets time pass, and what is due happen.
    pub(super) fn pass(&mut self, time: Duration) {
        let until = self.now.at + time;
        loop {
            let wake = self.groups.wake_at().max(self.now.at);
            let to = wake.min(until);
            self.now.wall_ms += i64::try_from((to - self.now.at).as_millis()).unwrap();
            self.now.at = to;
            if wake > until {
                return;
            }
            let decision = self.groups.on_time(self.now);
            self.carry_out(decision);
            assert!(self.groups.wake_at() > self.now.at || self.is_due(), "it spins");
        }
    }

    /// Several groups may be due at once.
    fn is_due(&self) -> bool {
        self.groups.wake_at() <= self.now.at
    }

    pub(super) fn pass_ms(&mut self, ms: u64) {
        self.pass(Duration::from_millis(ms));
    }

    /// The answer, if it has come.
    pub(super) fn poll<A: TryFrom<Answer>>(&mut self, to: ReplyTo) -> Option<Result<A, ErrorCode>>
    where
        A::Error: std::fmt::Debug,
    {
        let outcome = self.answers.remove(&to)?;
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
        let answer: HeartbeatResponse = self.ask(Command::Heartbeat(request)).unwrap();
        ErrorCode::from_code(answer.error_code)
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

pub(super) fn joining(member: &str, instance: Option<&str>, version: i16) -> Command {
    join_with(member, instance, version, &[("range", "a")])
}

pub(super) fn join_with(
    member: &str,
    instance: Option<&str>,
    version: i16,
    protocols: &[(&str, &str)],
) -> Command {
    let protocol = |(name, metadata): &(&str, &str)| JoinGroupRequestProtocol {
        name: (*name).into(),
        metadata: Bytes::copy_from_slice(metadata.as_bytes()),
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
