//! PURE. A group of KIP-848: the coordinator assigns, and each member comes to its assignment by
//! heartbeats of its own, without a moment at which all of them stop.
//!
//! ```text
//!   what members subscribe to, or the topics, change ─▶ the group's epoch rises
//!   the group's epoch is above the target's          ─▶ a new target assignment
//!   a member's position differs from the target      ─▶ it gives up, then it gets
//! ```
//!
//! | file | what lives there |
//! |---|---|
//! | this one | what a group is, what its records make of it, what runs out |
//! | `member.rs` | a member, and its position |
//! | `heartbeat.rs` | ConsumerGroupHeartbeat |
//! | `draft.rs` | a member's request on its way into records |
//! | `classic/` | members that speak the classic protocol |
//! | `leave.rs` | members that leave, or are not heard of any more |
//! | `checks.rs` | what a heartbeat must be |
//! | `subscription.rs` | the topics that members ask for, by name and by regular expression |
//! | `topic_regex.rs` | a regular expression, at a bounded cost |
//! | `reconcile.rs` | a member's next step towards its target |
//! | `assignor/` | who is to have what |
//! | `records.rs` | the records |
//! | `admin.rs` | what is told about a group; who may commit and fetch offsets |
//!
//! What is kept changes by [`ConsumerGroup::replay`] alone. Only timers are lost with the broker, and
//! begin anew when the group is loaded.

mod admin;
mod assignor;
mod checks;
mod classic;
mod draft;
mod heartbeat;
mod leave;
mod member;
mod reconcile;
mod records;
mod subscription;
mod topic_regex;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::group_records::GroupRecord;
use duramen_protocol::ids::TopicId;
use duramen_protocol::text::Text;

use super::super::command::{Limits, Now};
use crate::metadata::MetadataImage;
use member::{Member, MemberState};

pub(crate) use assignor::{Assignment, AssignorKind};
pub(crate) use checks::{JOIN, check};
pub(in crate::coordinator::group) use member::ordered;
pub(crate) use records::group_of;

/// Why a request of a member is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The error.
    pub(crate) code: ErrorCode,
    /// What is wrong, for a person.
    pub(crate) message: String,
}

impl Refusal {
    /// An error, and what is wrong.
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// There is no group of the protocol that was asked for.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::GroupIdNotFound, message)
    }
}

/// What a group is doing. A group that is dead is not there any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// It has no members; it may have offsets.
    Empty,
    /// A target assignment is to be made.
    Assigning,
    /// Some members are on their way to their target.
    Reconciling,
    /// Everyone has what it is to have.
    Stable,
}

impl State {
    /// Kafka's name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Assigning => "Assigning",
            Self::Reconciling => "Reconciling",
            Self::Stable => "Stable",
        }
    }
}

/// What runs out when. It may name members that are gone, or never came to be.
#[derive(Debug, Default)]
struct Timers {
    /// Until when each member must be heard of.
    sessions: BTreeMap<Text, Duration>,
    /// Until when a member must have given up partitions, and in which epoch it was told so.
    revocations: BTreeMap<Text, (Duration, i32)>,
    /// Until when a classic member that was told to must have joined again.
    joins: BTreeMap<Text, Duration>,
    /// Until when a classic member that has joined must have asked for its assignment.
    syncs: BTreeMap<Text, Duration>,
    /// None of them is earlier.
    wake_at: Option<Duration>,
}

impl Timers {
    fn wake_by(&mut self, at: Duration) {
        self.wake_at = Some(self.wake_at.map_or(at, |earlier| earlier.min(at)));
    }

    fn heard(&mut self, member: &Text, until: Duration) {
        self.sessions.insert(member.clone(), until);
        self.wake_by(until);
    }

    /// A member has to give up partitions; what it was given for the same before goes on.
    fn revoking(&mut self, member: &Text, until: Duration, epoch: i32) {
        let known = self.revocations.get(member).is_some_and(|(_, before)| *before == epoch);
        if !known {
            self.revocations.insert(member.clone(), (until, epoch));
            self.wake_by(until);
        }
    }

    /// What has run out is over.
    fn expire(&mut self, now: Duration) {
        self.sessions.retain(|_, until| *until > now);
        self.revocations.retain(|_, (until, _)| *until > now);
        self.joins.retain(|_, until| *until > now);
        self.syncs.retain(|_, until| *until > now);
        let revocations = self.revocations.values().map(|(until, _)| *until);
        let others = [&self.sessions, &self.joins, &self.syncs];
        let others = others.into_iter().flat_map(|timers| timers.values().copied());
        self.wake_at = revocations.chain(others).min();
    }

    fn forget(&mut self, member: &str) {
        self.sessions.remove(member);
        self.revocations.remove(member);
        self.joins.remove(member);
        self.syncs.remove(member);
    }
}

/// A group of KIP-848.
#[derive(Debug)]
pub(crate) struct ConsumerGroup {
    id: Text,
    /// Whether the log has a record of it.
    recorded: bool,
    epoch: i32,
    /// Hash of the topics that it subscribes to.
    metadata_hash: i64,
    /// The group's epoch that the targets were made for.
    target_epoch: i32,
    /// When they were made, or the last member went, in ms since 1970; 0 when unknown.
    target_ms: i64,
    members: BTreeMap<Text, Member>,
    /// Member ids of static members, by instance id.
    statics: BTreeMap<Text, Text>,
    targets: BTreeMap<Text, Assignment>,
    /// The topics that each regular expression matched.
    regexes: BTreeMap<Text, BTreeSet<Text>>,
    /// Who may be reading a partition: it was given to them, and they have not given it up.
    owners: BTreeMap<(TopicId, i32), Text>,
    timers: Timers,
    /// Offset of the metadata that the hash was last found to be right for.
    seen: Option<i64>,
    /// When each regular expression was last matched, and in the metadata of which offset.
    matched: BTreeMap<Text, (Duration, i64)>,
}

impl ConsumerGroup {
    /// A group without members.
    pub(crate) fn new(id: Text) -> Self {
        Self {
            id,
            recorded: false,
            epoch: 0,
            metadata_hash: 0,
            target_epoch: 0,
            target_ms: 0,
            members: BTreeMap::new(),
            statics: BTreeMap::new(),
            targets: BTreeMap::new(),
            regexes: BTreeMap::new(),
            owners: BTreeMap::new(),
            timers: Timers::default(),
            seen: None,
            matched: BTreeMap::new(),
        }
    }

    /// Its name.
    pub(crate) fn id(&self) -> &Text {
        &self.id
    }

    /// What it is doing.
    pub(crate) fn state(&self) -> State {
        let settled = |member: &Member| {
            member.position.state == MemberState::Stable
                && member.position.epoch == self.target_epoch
        };
        if self.members.is_empty() {
            State::Empty
        } else if self.epoch > self.target_epoch {
            State::Assigning
        } else if self.members.values().all(settled) {
            State::Stable
        } else {
            State::Reconciling
        }
    }

    /// Whether the log has a record of it.
    pub(crate) fn is_recorded(&self) -> bool {
        self.recorded
    }

    /// Whether it has no members.
    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Since when a group without members has been so, in ms since 1970; 0 when unknown.
    pub(crate) fn empty_since_ms(&self) -> i64 {
        self.target_ms
    }

    /// When it wants to be woken.
    pub(crate) fn wake_at(&self) -> Option<Duration> {
        self.timers.wake_at
    }

    /// Becomes what a record says.
    pub(crate) fn replay(&mut self, record: GroupRecord) {
        self.recorded = true;
        match record {
            GroupRecord::ConsumerGroupMetadata(_, Some(value)) => {
                self.epoch = value.epoch;
                self.metadata_hash = value.metadata_hash;
            }
            GroupRecord::ConsumerGroupMemberMetadata(key, value) => {
                self.replay_member(key.member_id, value);
            }
            GroupRecord::ConsumerGroupTargetAssignmentMetadata(_, value) => {
                (self.target_epoch, self.target_ms) =
                    value.map_or((0, 0), |it| (it.assignment_epoch, it.assignment_timestamp));
            }
            GroupRecord::ConsumerGroupTargetAssignmentMember(key, Some(value)) => {
                self.targets.insert(key.member_id, records::read_target(&value));
            }
            GroupRecord::ConsumerGroupTargetAssignmentMember(key, None) => {
                self.targets.remove(&key.member_id);
            }
            GroupRecord::ConsumerGroupCurrentMemberAssignment(key, value) => {
                if let Some(value) = &value {
                    // Compaction may leave a member's position before what it said of itself.
                    let id = &key.member_id;
                    self.members.entry(id.clone()).or_insert_with(|| Member::new(id.clone()));
                    self.replay_position(id, records::read_position(value));
                } else {
                    self.replay_position(&key.member_id, member::Position::default());
                }
            }
            GroupRecord::ConsumerGroupRegularExpression(key, Some(value)) => {
                self.regexes.insert(key.regular_expression, value.topics.into_iter().collect());
            }
            GroupRecord::ConsumerGroupRegularExpression(key, None) => {
                self.regexes.remove(&key.regular_expression);
                self.matched.remove(&key.regular_expression);
            }
            // Kafka writes the topics of a group no more (KIP-1101); the rest is not a group's.
            _ => {}
        }
    }

    fn replay_member(
        &mut self,
        id: Text,
        value: Option<duramen_protocol::group_records::ConsumerGroupMemberMetadataValue>,
    ) {
        let before = self.members.get(&id).and_then(|member| member.about.instance_id.clone());
        if let Some(instance) = before
            && self.statics.get(&instance) == Some(&id)
        {
            self.statics.remove(&instance);
        }
        let Some(mut about) = value else {
            self.replay_position(&id, member::Position::default());
            self.members.remove(&id);
            self.timers.forget(&id);
            return;
        };
        // Earlier builds wrote empty texts where nothing was said.
        for said in [&mut about.instance_id, &mut about.rack_id, &mut about.server_assignor] {
            said.take_if(|text| text.is_empty());
        }
        if let Some(instance) = &about.instance_id {
            self.statics.insert(instance.clone(), id.clone());
        }
        self.members.entry(id.clone()).or_insert_with(|| Member::new(id)).about = about;
    }

    /// A member's position, which says what is in its hands.
    fn replay_position(&mut self, id: &Text, position: member::Position) {
        let Some(member) = self.members.get_mut(id) else { return };
        for partition in member.position.held() {
            if self.owners.get(&partition) == Some(id) {
                self.owners.remove(&partition);
            }
        }
        self.owners.extend(position.held().map(|partition| (partition, id.clone())));
        member.position = position;
    }

    /// How long a member that speaks the protocol of KIP-848 may be silent.
    fn session_timeout(&self, limits: &Limits, image: &MetadataImage) -> Duration {
        limits.consumer.times_of(&self.id, image).session_timeout()
    }

    /// The log was read to its end: from now on the members must be heard of.
    pub(crate) fn loaded(&mut self, now: Now, limits: &Limits, image: &MetadataImage) {
        self.timers = Timers::default();
        let session = self.session_timeout(limits, image);
        for (id, member) in &self.members {
            self.timers.heard(id, now.at + member.session_timeout(session));
            if member.position.state == MemberState::Unrevoked && !member.is_classic() {
                let until = now.at + member.rebalance_timeout();
                self.timers.revoking(id, until, member.position.epoch);
            }
        }
    }
}
