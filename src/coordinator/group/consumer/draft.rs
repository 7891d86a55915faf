//! PURE. The group as it will be when the records of a decision are written: a copy that is made with
//! the first record, so that each step of a decision sees what the one before came to.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use duramen_protocol::group_records::{
    ConsumerGroupMetadataKey, ConsumerGroupMetadataValue, ConsumerGroupRegularExpressionKey,
    ConsumerGroupRegularExpressionValue, ConsumerGroupTargetAssignmentMetadataKey,
    ConsumerGroupTargetAssignmentMetadataValue, GroupRecord,
};
use duramen_protocol::ids::TopicId;
use duramen_protocol::text::Text;

use super::assign::{Assignor, Partitions, Subscriber};
use super::member::{target_record, tombstones};
use super::{ConsumerGroup, Topics, pattern};
use crate::coordinator::command::{ConsumerLimits, Now};

/// A group with changes that are not written yet.
pub(super) struct Draft<'a> {
    pub(super) group: Cow<'a, ConsumerGroup>,
    pub(super) topics: &'a dyn Topics,
    pub(super) records: Vec<GroupRecord>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(group: &'a ConsumerGroup, topics: &'a dyn Topics) -> Self {
        Self { group: Cow::Borrowed(group), topics, records: Vec::new() }
    }

    /// Writes a record.
    pub(super) fn put(&mut self, record: GroupRecord) {
        self.group.to_mut().replay(&record);
        self.records.push(record);
    }

    /// Takes a member out.
    pub(super) fn remove(&mut self, id: &Text) {
        for record in tombstones(&self.group.id, id) {
            self.put(record);
        }
    }

    /// Matches the regular expressions with the topics that there are; forgets those that nobody
    /// uses.
    pub(super) fn match_patterns(&mut self, now: Now) {
        let version = self.topics.version();
        let members = self.group.members.values();
        let used: BTreeSet<Text> =
            members.filter_map(|member| member.said.subscribed_topic_regex.clone()).collect();
        let unused = self.group.patterns.keys().filter(|pattern| !used.contains(*pattern));
        let mut changes: Vec<(Text, Option<ConsumerGroupRegularExpressionValue>)> =
            unused.map(|pattern| (pattern.clone(), None)).collect();
        let mut names: Option<Vec<Text>> = None;
        for pattern in used.iter() {
            let Ok(regex) = pattern::compile(pattern) else { continue };
            let names = names.get_or_insert_with(|| self.topics.names());
            let topics: Vec<Text> =
                names.iter().filter(|name| regex.is_match(name)).cloned().collect();
            let known = self.group.patterns.get(pattern);
            if known.is_none_or(|known| known.topics != topics) {
                let value =
                    ConsumerGroupRegularExpressionValue { topics, version, timestamp: now.wall_ms };
                changes.push((pattern.clone(), Some(value)));
            }
        }
        for (regular_expression, value) in changes {
            let group_id = self.group.id.clone();
            let key = ConsumerGroupRegularExpressionKey { group_id, regular_expression };
            self.put(GroupRecord::ConsumerGroupRegularExpression(key, value));
        }
    }

    /// A number that changes with the topics that members subscribe to; 0 for none.
    pub(super) fn metadata_hash(&self) -> i64 {
        let members = self.group.members.values();
        let names: BTreeSet<&Text> =
            members.flat_map(|member| self.group.subscribed_by(member)).collect();
        let mut hash = Fnv::default();
        for name in names {
            let Some(topic) = self.topics.by_name(name) else { continue };
            hash.write(topic.id.as_bytes());
            hash.write(&topic.partitions.to_be_bytes());
        }
        hash.finish()
    }

    /// The group's next epoch.
    pub(super) fn bump(&mut self) {
        let key = ConsumerGroupMetadataKey { group_id: self.group.id.clone() };
        let epoch = self.group.epoch.saturating_add(1);
        let value = ConsumerGroupMetadataValue { epoch, metadata_hash: self.metadata_hash() };
        self.put(GroupRecord::ConsumerGroupMetadata(key, Some(value)));
    }

    /// Makes the target assignment of this epoch, if it is not made.
    pub(super) fn assign(&mut self, now: Now, limits: &ConsumerLimits) {
        if self.group.target_epoch == self.group.epoch {
            return;
        }
        let group_id = self.group.id.clone();
        for (id, partitions) in self.new_target(limits) {
            if self.group.target.get(&id) != Some(&partitions) {
                self.put(target_record(&group_id, &id, &partitions));
            }
        }
        let key = ConsumerGroupTargetAssignmentMetadataKey { group_id };
        let value = ConsumerGroupTargetAssignmentMetadataValue {
            assignment_epoch: self.group.epoch,
            assignment_timestamp: now.wall_ms,
        };
        self.put(GroupRecord::ConsumerGroupTargetAssignmentMetadata(key, Some(value)));
    }

    fn new_target(&self, limits: &ConsumerLimits) -> Vec<(Text, Partitions)> {
        let group = &self.group;
        let mut counts: BTreeMap<TopicId, i32> = BTreeMap::new();
        let members: Vec<Subscriber<'_>> = group
            .members
            .iter()
            .map(|(id, member)| {
                let names = group.subscribed_by(member);
                let topics = names.into_iter().filter_map(|name| self.topics.by_name(name));
                let topics = topics.map(|topic| {
                    counts.insert(topic.id, topic.partitions);
                    topic.id
                });
                Subscriber {
                    id,
                    instance_id: member.instance_id(),
                    topics: topics.collect(),
                    held: group.target.get(id),
                }
            })
            .collect();
        let assigned = self.assignor(limits).assign(&members, &counts);
        members.iter().map(|member| member.id.clone()).zip(assigned).collect()
    }

    fn assignor(&self, limits: &ConsumerLimits) -> Assignor {
        self.group.assignor().unwrap_or(limits.assignor())
    }
}

impl ConsumerGroup {
    /// The assignor that most members want; `None` when nobody wants one.
    pub(super) fn assignor(&self) -> Option<Assignor> {
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        let wanted =
            self.members.values().filter_map(|member| member.said.server_assignor.as_deref());
        for name in wanted {
            *votes.entry(name).or_default() += 1;
        }
        let name = votes.into_iter().max_by_key(|(_, votes)| *votes).map(|(name, _)| name)?;
        Assignor::named(name)
    }
}

/// FNV-1a, of 64 bits: the same in every version of this program, for it is kept.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(self) -> i64 {
        match self.0 == Self::default().0 {
            true => 0,
            false => i64::from_be_bytes(self.0.to_be_bytes()),
        }
    }
}
