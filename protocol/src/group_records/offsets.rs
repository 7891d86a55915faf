//! Committed offsets.

use super::Written;
use crate::codec::declare;

declare! {
    /// Names a partition, as a group reads it. Kind 0, which Kafka before 0.9 wrote, is the same.
    data OffsetCommitKey: 0-0 flexible never {
        /// The group.
        group: string (0+),
        /// The topic's name.
        topic: string (0+),
        /// The partition's index.
        partition: int32 (0+),
    }

    /// How far the group has read.
    data OffsetCommitValue: 0-4 flexible 4 {
        /// The offset of the next record to read.
        offset: int64 (0+),
        /// The leader epoch of the last record read; -1 when unknown.
        leader_epoch: int32 (3+, default -1) ignorable,
        /// What the client wants to keep beside it.
        metadata: string (0+),
        /// When it was committed, in milliseconds since the epoch.
        commit_timestamp: int64 (0+),
        /// When it expires, in milliseconds since the epoch; -1 when the broker's configuration says.
        expire_timestamp: int64 (1-1, default -1) ignorable,
        /// The topic's id; nil when it was committed by name only.
        topic_id: uuid (4+, tag 0) ignorable,
    }
}

impl Written for OffsetCommitValue {
    /// The newest version has no time of expiry: an offset with one is written in version 1.
    fn written_version(&self) -> i16 {
        if self.expire_timestamp == -1 { 4 } else { 1 }
    }
}
