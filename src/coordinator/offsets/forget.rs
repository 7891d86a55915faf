//! PURE. What makes a committed offset go: a client, a deleted group or topic, and time.

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteResponse, OffsetDeleteResponsePartition,
    OffsetDeleteResponseTopic,
};
use duramen_protocol::text::Text;

use super::{Committed, Offsets, tombstone};
use crate::coordinator::command::{TopicExists, Turn};

/// From when on the offsets of a group age.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aging {
    /// Someone reads: none do.
    No,
    /// Nobody has read since then, in ms since 1970; what was committed later ages from its commit.
    Since(i64),
    /// Each from its commit.
    EachFromCommit,
}

impl Committed {
    fn is_expired(&self, aging: Aging, now_ms: i64, retention_ms: i64) -> bool {
        let since = match aging {
            Aging::No => return false,
            Aging::Since(ms) => ms.max(self.commit_ms),
            Aging::EachFromCommit => self.commit_ms,
        };
        match self.expire_ms {
            Some(at) => now_ms >= at,
            None => now_ms.saturating_sub(since) >= retention_ms,
        }
    }
}

impl Offsets {
    /// Forgets the offsets that a client names; `may` says whether it may, by topic.
    pub(crate) fn delete(
        &self,
        turn: &mut Turn<'_>,
        request: &OffsetDeleteRequest,
        may: impl Fn(&str) -> Result<(), ErrorCode>,
    ) -> OffsetDeleteResponse {
        let of_group = self.by_group.get(&request.group_id);
        let mut topics = Vec::with_capacity(request.topics.len());
        for topic in &request.topics {
            let allowed = may(&topic.name);
            let of_topic = of_group.and_then(|topics| topics.get(&topic.name));
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for partition in &topic.partitions {
                let index = partition.partition_index;
                if allowed.is_ok() && of_topic.is_some_and(|it| it.contains_key(&index)) {
                    turn.record(tombstone(&request.group_id, &topic.name, index));
                }
                partitions.push(OffsetDeleteResponsePartition {
                    partition_index: index,
                    error_code: allowed.err().unwrap_or(ErrorCode::None).code(),
                });
            }
            topics.push(OffsetDeleteResponseTopic { name: topic.name.clone(), partitions });
        }
        OffsetDeleteResponse { topics, ..OffsetDeleteResponse::default() }
    }

    /// Forgets all offsets of a group.
    pub(crate) fn forget_group(&self, turn: &mut Turn<'_>, group: &Text) {
        self.forget(turn, group, |_, _| true);
    }

    /// Forgets those offsets of a group that have expired; true when none is left.
    pub(crate) fn expire(&self, turn: &mut Turn<'_>, group: &Text, aging: Aging) -> bool {
        let (now_ms, retention_ms) = (turn.now.wall_ms, turn.limits.offsets_retention_ms);
        self.forget(turn, group, |_, offset| offset.is_expired(aging, now_ms, retention_ms))
    }

    /// Forgets the offsets of topics that are there no longer.
    pub(crate) fn forget_topics(&self, turn: &mut Turn<'_>, exists: TopicExists<'_>) {
        for group in self.by_group.keys() {
            self.forget(turn, group, |topic, offset| !exists(topic, offset.topic_id));
        }
    }

    fn forget(
        &self,
        turn: &mut Turn<'_>,
        group: &Text,
        goes: impl Fn(&str, &Committed) -> bool,
    ) -> bool {
        let mut left = false;
        for (topic, offsets) in self.by_group.get(group).into_iter().flatten() {
            for (partition, offset) in offsets {
                match goes(topic, offset) {
                    true => turn.record(tombstone(group, topic, *partition)),
                    false => left = true,
                }
            }
        }
        !left
    }
}
