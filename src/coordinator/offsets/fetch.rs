//! PURE. OffsetFetch: what a group has committed. A partition without an offset is no error.

use duramen_protocol::ids::{NO_EPOCH, NO_OFFSET};
use duramen_protocol::messages::offset_fetch::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartitions, OffsetFetchResponseTopics,
};
use duramen_protocol::text::Text;

use super::{Committed, GroupOffset, Offsets};
use crate::coordinator::command::Wanted;

impl Offsets {
    /// All offsets of all groups.
    pub(crate) fn all(&self) -> Vec<GroupOffset> {
        let mut all = Vec::new();
        for (group, of_group) in &self.by_group {
            for (topic, of_topic) in of_group {
                all.extend(of_topic.iter().map(|(partition, committed)| GroupOffset {
                    group: group.clone(),
                    topic: topic.clone(),
                    topic_id: committed.topic_id,
                    partition: *partition,
                    offset: committed.offset,
                }));
            }
        }
        all
    }

    /// The offsets of a group, of these partitions or of all that have one.
    pub(crate) fn fetch(&self, group: &Text, wanted: Option<&Wanted>) -> OffsetFetchResponseGroup {
        let of_group = self.by_group.get(group);
        let topics = match wanted {
            None => of_group
                .into_iter()
                .flatten()
                .map(|(name, offsets)| {
                    let shown = offsets.iter().map(|(index, offset)| show(*index, Some(offset)));
                    topic(name, shown.collect())
                })
                .collect(),
            Some(wanted) => wanted
                .iter()
                .map(|(name, partitions)| {
                    let of_topic = of_group.and_then(|topics| topics.get(name));
                    let of = |index: &i32| show(*index, of_topic.and_then(|it| it.get(index)));
                    topic(name, partitions.iter().map(of).collect())
                })
                .collect(),
        };
        OffsetFetchResponseGroup { group_id: group.clone(), topics, error_code: 0 }
    }
}

fn topic(name: &Text, partitions: Vec<OffsetFetchResponsePartitions>) -> OffsetFetchResponseTopics {
    OffsetFetchResponseTopics {
        name: name.clone(),
        partitions,
        ..OffsetFetchResponseTopics::default()
    }
}

fn show(partition_index: i32, committed: Option<&Committed>) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions {
        partition_index,
        committed_offset: committed.map_or(NO_OFFSET, |it| it.offset),
        committed_leader_epoch: committed.map_or(NO_EPOCH, |it| it.leader_epoch),
        metadata: Some(committed.map(|it| it.metadata.clone()).unwrap_or_default()),
        error_code: 0,
    }
}
