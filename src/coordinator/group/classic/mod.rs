//! PURE. A classic group: its members choose an assignor, one of them leads and assigns.
//!
//! ```text
//!            a member joins              everyone has joined,         the leader
//!   Empty ───────────────────▶ Preparing ──or the time is over──▶ Completing ──assigns──▶ Stable
//!     ▲                        ▲  │  ▲                              │                       │
//!     └──── nobody is left ────┼──┘  └── a member joins, leaves ────┴── or is not heard ────┘
//! ```
//!
//! | file | what lives there |
//! |---|---|
//! | this one | what a group is, its record, its deadlines |
//! | `member.rs` | a member |
//! | `join.rs` | JoinGroup |
//! | `rebalance.rs` | how a generation comes to be |
//! | `sync.rs` | SyncGroup |
//! | `members.rs` | Heartbeat, LeaveGroup, members that are not heard of any more |
//! | `migrate.rs` | a group taken apart into its members, and put together from some |
//! | `admin.rs` | DescribeGroups, ListGroups; who may commit |
//!
//! What is kept is a generation with its assignments, and that changes by [`ClassicGroup::replay`]
//! alone. All else (who waits, what runs out when) is lost with the broker, and made up for by the
//! members: whoever is not known joins again.

mod admin;
mod join;
mod member;
mod members;
mod migrate;
mod rebalance;
mod sync;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use duramen_protocol::consumer_protocol::{self, ConsumerProtocolSubscription};
use duramen_protocol::error::ErrorCode;
use duramen_protocol::group_records::{GroupMetadataKey, GroupMetadataValue, GroupRecord};
use duramen_protocol::text::Text;

use super::super::command::{Now, Turn};
use member::Member;

pub(crate) use join::{ID_REQUIRED_VERSION, fresh_id, refused_join};

/// How long a new member waits for its first generation before it is taken for dead.
const NEW_MEMBER_TIMEOUT: Duration = Duration::from_secs(300);

/// The shortest wait.
const INSTANT: Duration = Duration::from_millis(1);

/// What a group is doing. A group that is dead is not there any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    /// It has no members; it may have offsets.
    Empty,
    /// It waits for its members to join.
    PreparingRebalance,
    /// It waits for the leader to assign.
    CompletingRebalance,
    /// Everyone has work.
    Stable,
}

impl State {
    /// Kafka's name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
        }
    }
}

/// The first rebalance of an empty group: it waits a little, for others will come.
#[derive(Debug, Clone, Copy)]
struct Gathering {
    /// How long it may still wait after the current delay.
    remaining: Duration,
    /// The current delay.
    delay: Duration,
    /// Somebody came during the current delay.
    grew: bool,
}

/// A classic group.
#[derive(Debug)]
pub(crate) struct ClassicGroup {
    id: Text,
    state: State,
    /// Wall clock, ms since 1970, of the last change of state; -1 when unknown.
    since_ms: i64,
    generation: i32,
    protocol_type: Option<Text>,
    /// The assignor of this generation.
    protocol: Option<Text>,
    leader: Option<Text>,
    members: BTreeMap<Text, Member>,
    /// Member ids of static members, by instance id.
    statics: BTreeMap<Text, Text>,
    /// Ids that were given to members who have not joined with them yet, and until when they may.
    pending: BTreeMap<Text, Duration>,
    /// How many members speak each assignor.
    spoken: BTreeMap<Text, usize>,
    /// How many members' JoinGroup waits.
    joining: usize,
    gathering: Option<Gathering>,
    /// When the members must have joined.
    join_deadline: Option<Duration>,
    /// When the members must have asked for their assignments.
    sync_deadline: Option<Duration>,
    /// No deadline is earlier.
    wake_at: Option<Duration>,
    /// Whether the log has a record of it.
    recorded: bool,
}

impl ClassicGroup {
    /// A group without members.
    pub(crate) fn new(id: Text) -> Self {
        Self {
            id,
            state: State::Empty,
            since_ms: -1,
            generation: 0,
            protocol_type: None,
            protocol: None,
            leader: None,
            members: BTreeMap::new(),
            statics: BTreeMap::new(),
            pending: BTreeMap::new(),
            spoken: BTreeMap::new(),
            joining: 0,
            gathering: None,
            join_deadline: None,
            sync_deadline: None,
            wake_at: None,
            recorded: false,
        }
    }

    /// Its name.
    pub(crate) fn id(&self) -> &Text {
        &self.id
    }

    /// What it is doing.
    pub(crate) fn state(&self) -> State {
        self.state
    }

    /// Its generation.
    pub(crate) fn generation(&self) -> i32 {
        self.generation
    }

    /// How many ids it has given that were not used yet.
    #[cfg(test)]
    pub(crate) fn promised(&self) -> usize {
        self.pending.len()
    }

    /// Whether the log has a record of it.
    pub(crate) fn is_recorded(&self) -> bool {
        self.recorded
    }

    /// Whether anyone is in it, or has the promise of a place.
    pub(crate) fn is_vacant(&self) -> bool {
        self.state == State::Empty && self.pending.is_empty()
    }

    /// Since when an empty group has been so, in ms since 1970: from then on its offsets age.
    /// `None` for a group that only ever committed offsets: each ages from its commit.
    pub(crate) fn empty_since_ms(&self) -> Option<i64> {
        self.protocol_type.as_ref().map(|_| self.since_ms).filter(|ms| *ms >= 0)
    }

    /// When it wants to be woken.
    pub(crate) fn wake_at(&self) -> Option<Duration> {
        self.wake_at
    }

    fn wake_by(&mut self, deadline: Duration) {
        if self.wake_at.is_none_or(|at| deadline < at) {
            self.wake_at = Some(deadline);
        }
    }

    fn enter(&mut self, state: State, now: Now) {
        self.state = state;
        self.since_ms = now.wall_ms;
    }

    fn is_leader(&self, member: &str) -> bool {
        self.leader.as_deref() == Some(member)
    }

    /// A member is heard of.
    fn heard(&mut self, member: &str, now: Now) {
        let Some(member) = self.members.get_mut(member) else { return };
        let deadline = now.at + member.session_timeout;
        member.deadline = deadline;
        self.wake_by(deadline);
    }

    fn insert(&mut self, member: Member) {
        if self.leader.is_none() {
            self.leader = Some(member.id.clone());
        }
        self.pending.remove(&member.id);
        if let Some(instance) = &member.instance_id {
            self.statics.insert(instance.clone(), member.id.clone());
        }
        for name in member.spoken() {
            *self.spoken.entry(name.clone()).or_default() += 1;
        }
        self.joining += usize::from(member.join.is_some());
        self.wake_by(member.deadline);
        self.members.insert(member.id.clone(), member);
    }

    /// Takes a member out. What it waits for is the caller's to answer.
    fn remove(&mut self, id: &str) -> Option<Member> {
        let member = self.members.remove(id)?;
        for name in member.spoken() {
            if let Some(count) = self.spoken.get_mut(name) {
                *count -= 1;
                if *count == 0 {
                    self.spoken.remove(name);
                }
            }
        }
        self.joining -= usize::from(member.join.is_some());
        if let Some(instance) = &member.instance_id
            && self.statics.get(instance).is_some_and(|current| *current == member.id)
        {
            self.statics.remove(instance);
        }
        if self.is_leader(id) {
            self.leader = self.members.keys().next().cloned();
        }
        Some(member)
    }

    /// The checks that all requests of a member have in common.
    fn check_member(&self, id: &str, instance: Option<&Text>) -> Result<(), ErrorCode> {
        if let Some(instance) = instance {
            match self.statics.get(instance) {
                None => return Err(ErrorCode::UnknownMemberId),
                Some(current) if *current != id => return Err(ErrorCode::FencedInstanceId),
                Some(_) => {}
            }
        }
        self.members.contains_key(id).then_some(()).ok_or(ErrorCode::UnknownMemberId)
    }

    /// The record of the group as it is, with these assignments.
    fn record(&self, assignment: impl Fn(&Member) -> Bytes) -> GroupRecord {
        let protocol = self.protocol.clone().unwrap_or_default();
        let value = GroupMetadataValue {
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            generation: self.generation,
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            current_state_timestamp: self.since_ms,
            members: self
                .members
                .values()
                .map(|member| member.to_record(&protocol, assignment(member)))
                .collect(),
        };
        GroupRecord::GroupMetadata(GroupMetadataKey { group: self.id.clone() }, Some(value))
    }

    /// Becomes what a record says. Whoever waits goes on waiting.
    pub(crate) fn replay(&mut self, value: GroupMetadataValue) {
        let mut known = std::mem::take(&mut self.members);
        self.statics.clear();
        self.spoken.clear();
        self.joining = 0;
        self.recorded = true;
        self.generation = value.generation;
        self.protocol_type = Some(value.protocol_type).filter(|kind| !kind.is_empty());
        self.protocol = value.protocol;
        self.since_ms = value.current_state_timestamp;
        self.leader = value.leader.filter(|leader| !leader.is_empty());
        // Members without a leader came from a group that needed none, and are called together.
        let led = self.leader.is_some();
        let protocol = self.protocol.clone().unwrap_or_default();
        for record in value.members {
            let existing = known.remove(&record.member_id);
            self.insert(Member::replay(existing, record, &protocol));
        }
        self.state = match self.members.is_empty() {
            true => State::Empty,
            false if led => State::Stable,
            false => State::PreparingRebalance,
        };
        if !led {
            self.leader = None;
        }
    }

    /// The log was read to its end: from now on the members must be heard of.
    pub(crate) fn loaded(&mut self, now: Now) {
        self.wake_at = None;
        let ids: Vec<Text> = self.members.keys().cloned().collect();
        for id in ids {
            self.heard(&id, now);
        }
        if self.state == State::PreparingRebalance {
            self.await_joins(now, self.rebalance_timeout());
        }
    }

    /// The topics that its members read; `None` when that can't be told.
    pub(crate) fn topics(&self) -> Option<BTreeSet<Text>> {
        if self.protocol_type.as_deref() != Some(consumer_protocol::PROTOCOL_TYPE) {
            return None;
        }
        let protocol = self.protocol.as_deref()?;
        let mut topics = BTreeSet::new();
        for member in self.members.values() {
            let metadata = member.metadata(protocol);
            topics.extend(ConsumerProtocolSubscription::from_bytes(&metadata).ok()?.topics);
        }
        Some(topics)
    }

    /// Does what is due.
    pub(crate) fn on_time(&mut self, turn: &mut Turn<'_>) {
        self.wake_at = None;
        self.expire_pending(turn);
        self.expire_members(turn);
        self.expire_joins(turn);
        self.expire_syncs(turn);
        let deadlines = self.members.values().map(|member| member.deadline);
        let earliest = deadlines
            .chain(self.pending.values().copied())
            .chain(self.join_deadline)
            .chain(self.sync_deadline)
            .min();
        self.wake_at = earliest;
    }
}
