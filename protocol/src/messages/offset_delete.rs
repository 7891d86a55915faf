//! OffsetDelete (key 47): forgets committed offsets of a group (KIP-496).

use crate::codec::declare;

declare! {
    /// Asks to forget the offsets of some partitions.
    request OffsetDeleteRequest -> OffsetDeleteResponse, OffsetDelete 0-0 {
        /// The group.
        group_id: string (0+),
        /// The partitions, by topic.
        topics: [OffsetDeleteRequestTopic] (0+),
    }

    /// The partitions of one topic.
    struct OffsetDeleteRequestTopic {
        /// The topic's name.
        name: string (0+),
        /// The partitions.
        partitions: [OffsetDeleteRequestPartition] (0+),
    }

    /// A partition.
    struct OffsetDeleteRequestPartition {
        /// Its index.
        partition_index: int32 (0+),
    }

    /// What became of each partition.
    response OffsetDeleteResponse, OffsetDelete 0-0 {
        /// The error of the whole request, or 0.
        error_code: int16 (0+),
        /// How long the client was held back by a quota, in milliseconds.
        throttle_time_ms: int32 (0+) ignorable,
        /// The outcomes, by topic.
        topics: [OffsetDeleteResponseTopic] (0+),
    }

    /// The outcomes of one topic.
    struct OffsetDeleteResponseTopic {
        /// The topic's name.
        name: string (0+),
        /// The outcomes, by partition.
        partitions: [OffsetDeleteResponsePartition] (0+),
    }

    /// The outcome of one partition.
    struct OffsetDeleteResponsePartition {
        /// The partition's index.
        partition_index: int32 (0+),
        /// The error, or 0.
        error_code: int16 (0+),
    }
}
