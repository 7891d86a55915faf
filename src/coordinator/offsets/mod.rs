//! PURE. The committed offsets of all groups of a shard: how far each has read.
//!
//! | file | what lives there |
//! |---|---|
//! | this one | the offsets, and how records change them |
//! | `commit.rs` | OffsetCommit |
//! | `fetch.rs` | OffsetFetch |
//! | `forget.rs` | OffsetDelete, deleted groups and topics, and what has expired |

mod commit;
mod fetch;
mod forget;

use std::collections::BTreeMap;

use duramen_protocol::group_records::{GroupRecord, OffsetCommitKey, OffsetCommitValue};
use duramen_protocol::ids::TopicId;
use duramen_protocol::text::Text;

pub(crate) use forget::Aging;

/// A committed offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Committed {
    /// The offset of the next record to read.
    pub(crate) offset: i64,
    /// The leader epoch of the last record read; -1 when unknown.
    pub(crate) leader_epoch: i32,
    /// What the client keeps beside it.
    pub(crate) metadata: Text,
    /// When it was committed, in ms since 1970.
    pub(crate) commit_ms: i64,
    /// When it expires, in ms since 1970, if its client said so.
    pub(crate) expire_ms: Option<i64>,
    /// The topic's id; nil when unknown.
    pub(crate) topic_id: TopicId,
}

/// How far a group has read in one partition.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct GroupOffset {
    /// The group.
    pub(crate) group: Text,
    /// The topic, by name and by id; nil when the id is not known.
    pub(crate) topic: Text,
    /// See `topic`.
    pub(crate) topic_id: TopicId,
    /// The partition.
    pub(crate) partition: i32,
    /// The offset of the next record to read.
    pub(crate) offset: i64,
}

/// The offsets of one group: topic → partition → offset.
type OfGroup = BTreeMap<Text, BTreeMap<i32, Committed>>;

/// All committed offsets of a shard.
#[derive(Debug, Default)]
pub(crate) struct Offsets {
    by_group: BTreeMap<Text, OfGroup>,
}

impl Offsets {
    /// Whether a group has any.
    pub(crate) fn has(&self, group: &str) -> bool {
        self.by_group.contains_key(group)
    }

    /// One committed offset.
    #[cfg(test)]
    pub(crate) fn get(&self, group: &str, topic: &str, partition: i32) -> Option<&Committed> {
        self.by_group.get(group)?.get(topic)?.get(&partition)
    }

    /// Becomes what a record says.
    pub(crate) fn replay(&mut self, key: OffsetCommitKey, value: Option<OffsetCommitValue>) {
        let OffsetCommitKey { group, topic, partition } = key;
        let Some(value) = value else {
            self.remove(&group, &topic, partition);
            return;
        };
        let committed = Committed {
            offset: value.offset,
            leader_epoch: value.leader_epoch,
            metadata: value.metadata,
            commit_ms: value.commit_timestamp,
            expire_ms: (value.expire_timestamp >= 0).then_some(value.expire_timestamp),
            topic_id: value.topic_id,
        };
        let of_group = self.by_group.entry(group).or_default();
        of_group.entry(topic).or_default().insert(partition, committed);
    }

    fn remove(&mut self, group: &Text, topic: &Text, partition: i32) {
        let Some(of_group) = self.by_group.get_mut(group) else { return };
        if let Some(of_topic) = of_group.get_mut(topic) {
            of_topic.remove(&partition);
            if of_topic.is_empty() {
                of_group.remove(topic);
            }
        }
        if of_group.is_empty() {
            self.by_group.remove(group);
        }
    }
}

/// The record that deletes an offset.
fn tombstone(group: &Text, topic: &Text, partition: i32) -> GroupRecord {
    let key = OffsetCommitKey { group: group.clone(), topic: topic.clone(), partition };
    GroupRecord::OffsetCommit(key, None)
}
