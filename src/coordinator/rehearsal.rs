//! A shard without tasks: its log is a vector, its clock is moved by hand. It decides and replays as
//! `runtime/shard.rs` does. For the tests here, and for the fuzzer, which sees no more of the coordinator
//! than this.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::group_records::GroupRecord;
use duramen_protocol::messages::consumer_group_describe::DescribedGroup as DescribedConsumers;
use duramen_protocol::messages::delete_groups::DeletableGroupResult;
use duramen_protocol::messages::describe_groups::DescribedGroup;
use duramen_protocol::messages::offset_fetch::OffsetFetchResponseGroup;
use duramen_protocol::messages::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, HeartbeatRequest,
    HeartbeatResponse, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, LeaveGroupResponse,
    ListGroupsRequest, ListGroupsResponse, OffsetCommitRequest, OffsetCommitResponse,
    OffsetDeleteRequest, OffsetDeleteResponse, SyncGroupRequest, SyncGroupResponse,
};
use duramen_protocol::text::Text;
use uuid::Uuid;

use super::command::{
    Answer, Command, Commit, ConsumerBeat, ConsumerLimits, Decision, Join, Limits, Now, Outcome,
    ReplyTo,
};
use super::group::consumer::AssignorKind;
use super::groups::Groups;
use crate::config::consumer_times::Bounded;
use crate::config::{ConsumerTimes, MigrationPolicy};
use crate::metadata::MetadataImage;

/// A shard, its log, and the time.
#[derive(Debug)]
pub struct Rehearsal {
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

/// Stands for a request whose answer may come later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token(u64);

macro_rules! requests {
    ($( $(#[$meta:meta])* $name:ident($request:ty) => $answer:ident($response:ty), )*) => {
        /// What a shard may be asked.
        #[derive(Debug, Clone)]
        pub enum Request {
            $( $(#[$meta])* $name($request), )*
        }

        /// What it answers to the request of the same name.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Response {
            $( $(#[$meta])* $name($response), )*
        }

        fn response(answer: Answer) -> Option<Response> {
            match answer {
                $( Answer::$answer(response) => Some(Response::$name(response)), )*
                Answer::Surveyed(_) => None,
            }
        }
    };
}

requests! {
    /// JoinGroup.
    Join(JoinGroupRequest) => Join(JoinGroupResponse),
    /// SyncGroup.
    Sync(SyncGroupRequest) => Sync(SyncGroupResponse),
    /// Heartbeat.
    Heartbeat(HeartbeatRequest) => Heartbeat(HeartbeatResponse),
    /// ConsumerGroupHeartbeat.
    ConsumerBeat(ConsumerGroupHeartbeatRequest) => ConsumerBeat(ConsumerGroupHeartbeatResponse),
    /// LeaveGroup, in the form of version 3.
    Leave(LeaveGroupRequest) => Leave(LeaveGroupResponse),
    /// OffsetCommit, by the names of topics.
    Commit(OffsetCommitRequest) => Commit(OffsetCommitResponse),
    /// OffsetFetch of all that a group has committed.
    Offsets(Text) => Offsets(OffsetFetchResponseGroup),
    /// OffsetDelete.
    DeleteOffsets(OffsetDeleteRequest) => DeletedOffsets(OffsetDeleteResponse),
    /// DescribeGroups of one group.
    Describe(Text) => Described(DescribedGroup),
    /// ConsumerGroupDescribe of one group.
    DescribeConsumers(Text) => DescribedConsumers(DescribedConsumers),
    /// ListGroups.
    List(ListGroupsRequest) => Listed(ListGroupsResponse),
    /// DeleteGroups of one group.
    Delete(Text) => Deleted(DeletableGroupResult),
}

/// What the settings allow by default; groups may have shorter times than those say.
pub(super) fn limits() -> Limits {
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
            migration: MigrationPolicy::Bidirectional,
        },
    }
}

impl Default for Rehearsal {
    fn default() -> Self {
        Self::new()
    }
}

impl Rehearsal {
    /// A shard with an empty log in a cluster without topics.
    #[must_use]
    pub fn new() -> Self {
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

    /// The same shard in a world where members may ask for 50 ms, offsets are kept for an hour, and
    /// groups have at most eight members.
    #[must_use]
    pub fn hasty() -> Self {
        let limits = limits();
        Self::with(Limits {
            session_timeout_min_ms: 50,
            members_max: 8,
            offsets_retention_ms: 3_600_000,
            pending_max: 8,
            groups_max: 8,
            consumer: ConsumerLimits { members_max: 8, ..limits.consumer },
            ..limits
        })
    }

    /// All that was written, in order.
    #[must_use]
    pub fn log(&self) -> &[GroupRecord] {
        &self.log
    }

    /// The wall clock, in ms since 1970.
    #[must_use]
    pub fn wall_ms(&self) -> i64 {
        self.now.wall_ms
    }

    /// The next batch of records is not written.
    pub fn fail_next_append(&mut self) {
        self.fails = Some(ErrorCode::NotCoordinator);
    }

    /// The cluster has changed; the offsets of topics that are gone go.
    pub fn see(&mut self, image: Arc<MetadataImage>) {
        self.image = image;
        self.groups.see(Arc::clone(&self.image));
        let topics = self.image.topics();
        let exists = |name: &str, id: Uuid| {
            topics.by_name(name).is_some_and(|topic| id.is_nil() || topic.id() == id)
        };
        let decision = self.groups.forget_topics(self.now, &exists);
        self.carry_out(decision);
    }

    /// The broker dies and comes back with `log`: all else is lost.
    pub fn crash_to(&mut self, log: Vec<GroupRecord>) {
        self.log = log;
        self.crash();
    }

    /// The broker dies and comes back: all that is left is the log.
    pub fn crash(&mut self) {
        self.answers.clear();
        self.groups = Groups::new(self.limits, self.now);
        for record in &self.log {
            // What is read back is what was written, byte for byte.
            let read =
                record.encode().map(|(key, value)| GroupRecord::decode(&key, value.as_ref()));
            match read {
                Ok(Ok(read)) => self.groups.replay(read),
                unread => debug_assert!(false, "{record:?}: {unread:?}"),
            }
        }
        self.groups.see(Arc::clone(&self.image));
        self.groups.loaded(self.now);
    }

    /// Sends a request of this version; the answer may come later. `unique` is taken for random.
    pub fn ask_for(&mut self, version: i16, unique: u64, request: Request) -> Token {
        let client = || (Text::from("client"), Text::from("/127.0.0.1"));
        let unique = Uuid::from_u128(unique.into());
        let command = match request {
            Request::Join(request) => {
                let (client_id, client_host) = client();
                Command::Join(Box::new(Join { request, version, client_id, client_host, unique }))
            }
            Request::ConsumerBeat(request) => {
                let (client_id, client_host) = client();
                Command::ConsumerBeat(Box::new(ConsumerBeat {
                    request,
                    version,
                    client_id,
                    client_host,
                    unique,
                }))
            }
            Request::Sync(request) => Command::Sync(request),
            Request::Heartbeat(request) => Command::Heartbeat(request),
            Request::Leave(request) => Command::Leave(request),
            Request::Commit(request) => Command::Commit(Commit { request, version }),
            Request::Offsets(group) => Command::FetchOffsets { group, wanted: None, member: None },
            Request::DeleteOffsets(request) => Command::DeleteOffsets(request),
            Request::Describe(group) => Command::Describe { group, version },
            Request::DescribeConsumers(group) => Command::DescribeConsumers { group },
            Request::List(request) => Command::List(request),
            Request::Delete(group) => Command::Delete { group },
        };
        Token(self.send(command).0)
    }

    /// The answer, if it has come.
    pub fn answer(&mut self, token: Token) -> Option<Result<Response, ErrorCode>> {
        let outcome = self.outcome(ReplyTo(token.0))?;
        Some(outcome.and_then(|answer| response(answer).ok_or(ErrorCode::UnknownServerError)))
    }

    /// Nobody waits for this answer any more.
    pub fn abandon(&mut self, group: &Text, token: Token) {
        let to = ReplyTo(token.0);
        if self.answers.remove(&to).is_none() {
            let decision = self.groups.abandoned(self.now, group, to);
            self.carry_out(decision);
            self.answers.remove(&to);
        }
    }

    /// Sends a command; the answer may come later.
    pub(super) fn send(&mut self, command: Command) -> ReplyTo {
        let to = ReplyTo(self.next);
        self.next += 1;
        let before = self.groups.give_way(self.now, &command);
        self.carry_out(before);
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
            let before = self.answers.insert(to, outcome);
            debug_assert!(before.is_none(), "{to:?} was answered twice");
        }
    }

    /// Lets time pass, and what is due happen.
    pub fn pass(&mut self, time: Duration) {
        let until = self.now.at + time;
        let mut turns = 0_u32;
        loop {
            let wake = self.groups.wake_at().max(self.now.at);
            let to = wake.min(until);
            let passed = (to - self.now.at).as_millis();
            self.now.wall_ms =
                self.now.wall_ms.saturating_add_unsigned(u64::try_from(passed).unwrap_or(u64::MAX));
            self.now.at = to;
            if wake > until {
                return;
            }
            let decision = self.groups.on_time(self.now);
            self.carry_out(decision);
            turns += 1;
            debug_assert!(turns < 1_000_000, "it spins");
        }
    }

    /// Takes the answer out, if it has come.
    pub(super) fn outcome(&mut self, to: ReplyTo) -> Option<Outcome> {
        self.answers.remove(&to)
    }
}
