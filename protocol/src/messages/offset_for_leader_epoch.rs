//! OffsetForLeaderEpoch (key 23): where an epoch ends in the leader's log (KIP-101, KIP-320).

use crate::codec::declare;

declare! {
    /// Asks where epochs end, for some partitions.
    request OffsetForLeaderEpochRequest -> OffsetForLeaderEpochResponse, OffsetForLeaderEpoch 2-4 {
        /// The replica that asks; -1 for a consumer, -2 for one that may read uncommitted data.
        replica_id: int32 (3+, default -2) ignorable,
        /// The partitions.
        topics: [OffsetForLeaderTopic] (0+),
    }

    /// The partitions of one topic.
    struct OffsetForLeaderTopic {
        /// The topic's name.
        topic: string (0+),
        /// The partitions.
        partitions: [OffsetForLeaderPartition] (0+),
    }

    /// A partition and the epoch to look for.
    struct OffsetForLeaderPartition {
        /// The partition's index.
        partition: int32 (0+),
        /// The leader epoch that the sender knows; -1 for none.
        current_leader_epoch: int32 (2+, default -1) ignorable,
        /// The epoch to look for.
        leader_epoch: int32 (0+),
    }

    /// The ends.
    response OffsetForLeaderEpochResponse, OffsetForLeaderEpoch 2-4 {
        /// How long the client was held back by a quota, in milliseconds.
        throttle_time_ms: int32 (2+) ignorable,
        /// The ends, by topic.
        topics: [OffsetForLeaderTopicResult] (0+),
    }

    /// The ends of one topic.
    struct OffsetForLeaderTopicResult {
        /// The topic's name.
        topic: string (0+),
        /// The ends, by partition.
        partitions: [EpochEndOffset] (0+),
    }

    /// The end of an epoch in one partition.
    struct EpochEndOffset {
        /// The error, or 0.
        error_code: int16 (0+),
        /// The partition's index.
        partition: int32 (0+),
        /// The largest epoch in the log that is not above the one asked for; -1 for none.
        leader_epoch: int32 (1+, default -1) ignorable,
        /// The offset after its last record; -1 for none.
        end_offset: int64 (0+, default -1),
    }
}
