//! The member of a group, PURE: what happened → what to do next. `now` is the time since the member began;
//! the task beside it ([`super::task`]) does what is asked and tells how it went.
//!
//! `classic.rs` is the member of a group whose members share the partitions out among themselves,
//! `consumer.rs` that of one whose coordinator does (KIP-848). This file holds what both are told and ask
//! for, and the member that is one of the two.

mod classic;
mod consumer;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use duramen_protocol::ids::TopicId;
use duramen_protocol::text::Text;

use super::TopicPartition;
use crate::backoff::Backoff;
use crate::error::ClientError;
use crate::random::Random;
use classic::ClassicMember;
use consumer::ConsumerMember;

pub(super) type Parts = BTreeSet<TopicPartition>;

/// A partition by its topic's id: that of a topic made again under its name is another.
pub(super) type Place = (TopicId, i32);

/// What a member is from its start on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Habits {
    /// All its assignors are cooperative.
    pub(super) cooperative: bool,
    /// It has an instance id, and its place is kept when it goes.
    pub(super) is_static: bool,
    /// It may be a member of either kind of group.
    pub(super) either: bool,
    pub(super) heartbeat: Duration,
    pub(super) session_timeout: Duration,
    pub(super) backoff: Backoff,
}

/// A JoinGroup that succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Joined {
    pub(super) member_id: Text,
    pub(super) generation: i32,
    pub(super) protocol: Text,
    pub(super) leads: bool,
    /// The leader's assignment stands already (KIP-814).
    pub(super) skip_assignment: bool,
    /// Of the leader: member id, instance id, subscription.
    pub(super) members: Vec<(Text, Option<Text>, Bytes)>,
}

/// The answer to a JoinGroup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum JoinAnswer {
    Member(Joined),
    /// Join again with this member id (KIP-394).
    Id(Text),
}

/// Assignments by member id, as they are sent.
pub(super) type Assignments = Vec<(Text, Bytes)>;

/// A heartbeat of KIP-848, but for what the options say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Beat {
    pub(super) member_id: Text,
    /// 0 joins, -1 leaves, -2 leaves a static place for a while.
    pub(super) epoch: i32,
    /// Says everything, not only what changed.
    pub(super) full: bool,
    /// What the member reads; `None` when that was said before.
    pub(super) owned: Option<BTreeSet<Place>>,
}

/// The answer to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Heard {
    pub(super) member_id: Option<Text>,
    pub(super) epoch: i32,
    /// Until the next one.
    pub(super) interval: Duration,
    /// What the member is to read, when that changed.
    pub(super) assignment: Option<BTreeSet<Place>>,
}

/// What happened. Answers bear the number of what they answer; those to something else are passed over.
#[derive(Debug)]
pub(super) enum Event {
    Joined(u64, Result<JoinAnswer, ClientError>),
    /// The leader has shared the partitions out.
    Led(u64, Result<Assignments, ClientError>),
    Synced(u64, Result<Parts, ClientError>),
    Beat(u64, Result<(), ClientError>),
    /// KIP-848: a heartbeat was answered.
    Heard(u64, Result<Heard, ClientError>),
    /// KIP-848: the names of topics, as far as they are known.
    Named(BTreeMap<TopicId, Text>),
    /// What was revoked is not read any more, and what was read of it is committed.
    Released,
    /// The member wants other topics, or the topics have other partitions than at the last assignment.
    Changed,
    /// A commit was refused.
    CommitRefused(ClientError),
    /// The user has not come for records for too long.
    Quiet,
    /// The user came again.
    Back,
    /// The member is to leave for good.
    Leave,
    Left,
    /// Time has passed.
    Wake,
}

/// What to do.
#[derive(Debug)]
pub(super) enum Action {
    Join {
        attempt: u64,
        member_id: Text,
        generation: i32,
        owned: Parts,
        /// The last share and its generation, for assignors that ask for it (`sticky`).
        last: (Parts, i32),
    },
    Lead {
        attempt: u64,
        joined: Joined,
    },
    Sync {
        attempt: u64,
        member_id: Text,
        generation: i32,
        protocol: Text,
        shares: Assignments,
    },
    Beat {
        attempt: u64,
        member_id: Text,
        generation: i32,
    },
    /// KIP-848: send a heartbeat.
    Hear {
        attempt: u64,
        beat: Beat,
    },
    /// KIP-848: ask for the names of these topics, and tell those that are known.
    Name(BTreeSet<TopicId>),
    /// The group is of the other kind, which this error told: go on as a member of that.
    ChangeSides(ClientError),
    /// Tell the user, and tell when he has let go of them.
    Revoke(Parts),
    /// They belong to others by now: nothing can be committed.
    Lose(Parts),
    /// Read them too, from where the group stands.
    Assign(Parts),
    /// Say goodbye to the coordinator, once.
    LeaveGroup(Text),
    /// KIP-848: the same, with this heartbeat.
    Depart(Beat),
    /// It is over, by this error.
    Fail(ClientError),
    /// It is over.
    End,
}

/// See the top of the file.
#[derive(Debug)]
pub(super) enum Member {
    Classic(ClassicMember),
    Consumer(ConsumerMember),
}

impl Member {
    pub(super) fn classic(habits: Habits, random: Random) -> Self {
        Self::Classic(ClassicMember::new(habits, random))
    }

    /// `member_id` is one that nobody else has.
    pub(super) fn consumer(habits: Habits, member_id: Text, random: Random) -> Self {
        Self::Consumer(ConsumerMember::new(habits, member_id, random))
    }

    /// Takes in what happened.
    pub(super) fn step(&mut self, now: Duration, event: Event) -> Vec<Action> {
        match self {
            Self::Classic(member) => member.step(now, event),
            Self::Consumer(member) => member.step(now, event),
        }
    }

    pub(super) fn is_classic(&self) -> bool {
        matches!(self, Self::Classic(_))
    }

    /// Who to say that commits come from, with the generation or epoch; `None` while the member has no
    /// place in the group.
    pub(super) fn identity(&self) -> Option<(&Text, i32)> {
        match self {
            Self::Classic(member) => member.identity(),
            Self::Consumer(member) => member.identity(),
        }
    }

    /// The id of the topic of a partition that it has by the group; nil where the group knows names only.
    pub(super) fn topic_of(&self, at: &TopicPartition) -> Option<TopicId> {
        match self {
            Self::Classic(_) => Some(TopicId::nil()),
            Self::Consumer(member) => member.topic_of(at),
        }
    }

    /// Whether commits may be sent now.
    pub(super) fn takes_commits(&self) -> bool {
        match self {
            Self::Classic(member) => member.takes_commits(),
            Self::Consumer(member) => member.takes_commits(),
        }
    }

    /// Whether commits may be tried now: they are taken, or come back to be sent after the rebalance.
    pub(super) fn may_commit(&self) -> bool {
        match self {
            Self::Classic(member) => member.may_commit(),
            Self::Consumer(_) => false,
        }
    }

    /// Whether it shares the partitions out, and nothing is under way.
    pub(super) fn leads(&self) -> bool {
        match self {
            Self::Classic(member) => member.leads() && member.is_stable(),
            Self::Consumer(_) => false,
        }
    }

    /// Whether it has its place, and gives nothing back.
    pub(super) fn is_stable(&self) -> bool {
        match self {
            Self::Classic(member) => member.is_stable(),
            Self::Consumer(member) => member.is_stable(),
        }
    }

    /// When to tell that time has passed.
    pub(super) fn wake(&self) -> Option<Duration> {
        match self {
            Self::Classic(member) => member.wake(),
            Self::Consumer(member) => member.wake(),
        }
    }
}
