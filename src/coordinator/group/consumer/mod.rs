//! PURE. A consumer group (KIP-848): the coordinator assigns, each member moves to its target by
//! itself, and a partition is given to nobody before its owner has let go of it.
//!
//! ```text
//! a member or a topic comes, changes, goes ─▶ group epoch ─▶ target assignment of that epoch
//! a heartbeat ─▶ the member's own assignment, one step nearer to its target
//! ```
//!
//! | file | what lives there |
//! |---|---|
//! | this one | what a group is, and how records change it |
//! | `member.rs` | a member, and its records |
//! | `topics.rs` | the topics of the cluster, as groups see them |
//! | `assign/` | who is to read which partition |
//! | `pattern.rs` | subscriptions by regular expression |
//! | `draft.rs` | the group as it will be when the records of a decision are written |
//! | `heartbeat.rs` | a heartbeat: checks, joining, the answer |
//! | `reconcile.rs` | a member's step towards its target |
//! | `members.rs` | leaving, silence, partitions that were not given up in time |
//! | `admin.rs` | descriptions; who may commit; what deletes a group |

mod admin;
mod assign;
mod draft;
mod heartbeat;
mod member;
mod members;
mod pattern;
mod reconcile;
mod topics;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use duramen_protocol::group_records::{ConsumerGroupRegularExpressionValue, GroupRecord};
use duramen_protocol::ids::TopicId;
use duramen_protocol::text::Text;

use super::super::command::{ConsumerLimits, Now};
use assign::Partitions;
use member::{Member, Progress};

pub(crate) use assign::Assignor;
pub(crate) use heartbeat::{Beat, check as check_heartbeat, refused as refused_heartbeat};
#[cfg(test)]
pub(crate) use topics::TopicFacts;
pub(crate) use topics::Topics;

/// A group of KIP-848.
#[derive(Debug, Clone)]
pub(crate) struct ConsumerGroup {
    id: Text,
    /// Whether the log has a record of it.
    recorded: bool,
    /// Rises whenever the target assignment has to be made anew.
    epoch: i32,
    /// Of the topics that the target assignment was made for.
    metadata_hash: i64,
    members: BTreeMap<Text, Member>,
    /// Member ids of static members, by instance id.
    statics: BTreeMap<Text, Text>,
    /// The group epoch that the target assignment was made for.
    target_epoch: i32,
    target: BTreeMap<Text, Partitions>,
    /// The topics that match each regular expression.
    patterns: BTreeMap<Text, ConsumerGroupRegularExpressionValue>,
    /// Who has each partition, until it is given up.
    owners: BTreeMap<TopicId, BTreeMap<i32, Text>>,
    /// Lost with the broker, and begun anew by the next.
    timers: Timers,
}

/// What runs out when.
#[derive(Debug, Clone, Default)]
struct Timers {
    /// Until when a member must be heard of.
    sessions: BTreeMap<Text, Duration>,
    /// Until when a member must have given up partitions, and in which epoch it was told to.
    revocations: BTreeMap<Text, (i32, Duration)>,
    /// No deadline is earlier.
    wake_at: Option<Duration>,
    /// The version of the topics that the group was last compared with.
    seen_version: Option<i64>,
}

impl Timers {
    fn wake_by(&mut self, deadline: Duration) {
        if self.wake_at.is_none_or(|at| deadline < at) {
            self.wake_at = Some(deadline);
        }
    }

    fn heard(&mut self, member: &Text, deadline: Duration) {
        self.sessions.insert(member.clone(), deadline);
        self.wake_by(deadline);
    }

    /// Partitions have to be given up in this epoch; the time runs from when that was first said.
    fn revokes(&mut self, member: &Text, epoch: i32, deadline: Duration, anew: bool) {
        if anew || self.revocations.get(member).is_none_or(|(since, _)| *since != epoch) {
            self.revocations.insert(member.clone(), (epoch, deadline));
            self.wake_by(deadline);
        }
    }

    fn forget(&mut self, member: &str) {
        self.sessions.remove(member);
        self.revocations.remove(member);
    }
}

impl ConsumerGroup {
    /// A group without members.
    pub(crate) fn new(id: Text) -> Self {
        Self {
            id,
            recorded: false,
            epoch: 0,
            metadata_hash: 0,
            members: BTreeMap::new(),
            statics: BTreeMap::new(),
            target_epoch: 0,
            target: BTreeMap::new(),
            patterns: BTreeMap::new(),
            owners: BTreeMap::new(),
            timers: Timers::default(),
        }
    }

    /// What it is doing, in Kafka's words.
    pub(crate) fn state(&self) -> &'static str {
        let stable = |member: &Member| {
            member.progress == Progress::Stable && member.epoch == self.target_epoch
        };
        if self.members.is_empty() {
            "Empty"
        } else if self.epoch > self.target_epoch {
            "Assigning"
        } else if self.members.values().all(stable) {
            "Stable"
        } else {
            "Reconciling"
        }
    }

    /// Whether it has no members.
    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Whether nothing is left of it, and nothing is under way.
    pub(crate) fn is_nothing(&self) -> bool {
        self.members.is_empty() && !self.recorded && self.timers.sessions.is_empty()
    }

    /// Whether the log has a record of it.
    pub(crate) fn is_recorded(&self) -> bool {
        self.recorded
    }

    /// When it wants to be woken.
    pub(crate) fn wake_at(&self) -> Option<Duration> {
        self.timers.wake_at
    }

    /// The log was read to its end: everyone has a whole session, and time to give up partitions.
    pub(crate) fn loaded(&mut self, now: Now, limits: &ConsumerLimits) {
        for (id, member) in &self.members {
            self.timers.heard(id, now.at + limits.session_timeout);
            if member.progress == Progress::Unrevoked {
                let deadline = now.at + member.rebalance_timeout();
                self.timers.revokes(id, member.epoch, deadline, true);
            }
        }
    }

    /// Becomes what a record says.
    pub(crate) fn replay(&mut self, record: &GroupRecord) {
        match record {
            GroupRecord::ConsumerGroupMetadata(_, Some(value)) => {
                self.recorded = true;
                self.epoch = value.epoch;
                self.metadata_hash = value.metadata_hash;
            }
            GroupRecord::ConsumerGroupMemberMetadata(key, Some(value)) => {
                let member = self.members.entry(key.member_id.clone()).or_default();
                member.describe_as(value);
                if let Some(instance) = &value.instance_id {
                    self.statics.insert(instance.clone(), key.member_id.clone());
                }
            }
            GroupRecord::ConsumerGroupMemberMetadata(key, None) => self.forget(&key.member_id),
            GroupRecord::ConsumerGroupTargetAssignmentMetadata(_, value) => {
                self.target_epoch = value.as_ref().map_or(0, |value| value.assignment_epoch);
            }
            GroupRecord::ConsumerGroupTargetAssignmentMember(key, Some(value)) => {
                let partitions = value.topic_partitions.iter();
                let partitions = partitions
                    .map(|it| (it.topic_id, it.partitions.iter().copied().collect()))
                    .collect();
                self.target.insert(key.member_id.clone(), partitions);
            }
            GroupRecord::ConsumerGroupTargetAssignmentMember(key, None) => {
                self.target.remove(&key.member_id);
            }
            GroupRecord::ConsumerGroupCurrentMemberAssignment(key, value) => {
                self.disown(&key.member_id);
                let Some(member) = self.members.get_mut(&key.member_id) else { return };
                member.stand_at(value.as_ref());
                self.own(&key.member_id);
            }
            GroupRecord::ConsumerGroupRegularExpression(key, Some(value)) => {
                self.patterns.insert(key.regular_expression.clone(), value.clone());
            }
            GroupRecord::ConsumerGroupRegularExpression(key, None) => {
                self.patterns.remove(&key.regular_expression);
            }
            // What a group of an older Kafka knew of its topics is worked out anew.
            _ => {}
        }
    }

    fn forget(&mut self, id: &Text) {
        self.disown(id);
        let Some(member) = self.members.remove(id) else { return };
        self.timers.forget(id);
        if let Some(instance) = member.instance_id()
            && self.statics.get(instance).is_some_and(|current| current == id)
        {
            self.statics.remove(instance);
        }
    }

    fn disown(&mut self, id: &Text) {
        let Some(member) = self.members.get(id) else { return };
        for (topic, indexes) in member.assigned.iter().chain(&member.revoking) {
            let Some(of_topic) = self.owners.get_mut(topic) else { continue };
            for index in indexes {
                if of_topic.get(index).is_some_and(|owner| owner == id) {
                    of_topic.remove(index);
                }
            }
            if of_topic.is_empty() {
                self.owners.remove(topic);
            }
        }
    }

    fn own(&mut self, id: &Text) {
        let Some(member) = self.members.get(id) else { return };
        for (topic, indexes) in member.assigned.iter().chain(&member.revoking) {
            let of_topic = self.owners.entry(*topic).or_default();
            of_topic.extend(indexes.iter().map(|index| (*index, id.clone())));
        }
    }

    /// The names of the topics that a member subscribes to, also by its regular expression.
    fn subscribed_by<'a>(&'a self, member: &'a Member) -> BTreeSet<&'a Text> {
        let pattern = member.said.subscribed_topic_regex.as_ref();
        let matched = pattern.and_then(|pattern| self.patterns.get(pattern));
        let matched = matched.into_iter().flat_map(|resolved| &resolved.topics);
        member.said.subscribed_topic_names.iter().chain(matched).collect()
    }
}
