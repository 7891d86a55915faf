//! ListOffsets (key 2): the offset at a time, and the ends of the log. The special timestamps are
//! in [`ids`](crate::ids).

use crate::codec::declare;

declare! {
    /// Asks for the offset at a timestamp, for some partitions.
    request ListOffsetsRequest -> ListOffsetsResponse, ListOffsets 1-11 {
        /// The replica that asks; -1 for a consumer.
        replica_id: int32 (0+),
        /// 0 takes the high watermark for the end of the log, 1 the last stable offset.
        isolation_level: int8 (2+),
        /// The partitions.
        topics: [ListOffsetsTopic] (0+),
        /// How long tiered storage may take to look it up, in milliseconds.
        timeout_ms: int32 (10+) ignorable,
    }

    /// The partitions of one topic.
    struct ListOffsetsTopic {
        /// The topic's name.
        name: string (0+),
        /// The partitions.
        partitions: [ListOffsetsPartition] (0+),
    }

    /// A partition and the time to look for.
    struct ListOffsetsPartition {
        /// The partition's index.
        partition_index: int32 (0+),
        /// The leader epoch that the sender knows; -1 for none.
        current_leader_epoch: int32 (4+, default -1) ignorable,
        /// Milliseconds since the epoch, or a special timestamp.
        timestamp: int64 (0+),
    }

    /// The offsets.
    response ListOffsetsResponse, ListOffsets 1-11 {
        /// How long the client was held back by a quota, in milliseconds.
        throttle_time_ms: int32 (2+) ignorable,
        /// The offsets, by topic.
        topics: [ListOffsetsTopicResponse] (0+),
    }

    /// The offsets of one topic.
    struct ListOffsetsTopicResponse {
        /// The topic's name.
        name: string (0+),
        /// The offsets, by partition.
        partitions: [ListOffsetsPartitionResponse] (0+),
    }

    /// The offset of one partition.
    struct ListOffsetsPartitionResponse {
        /// The partition's index.
        partition_index: int32 (0+),
        /// The error, or 0.
        error_code: int16 (0+),
        /// The timestamp of the record found; -1 for the ends of the log or when there is none.
        timestamp: int64 (1+, default -1),
        /// The offset found; -1 when there is none.
        offset: int64 (1+, default -1),
        /// The leader epoch of the record at that offset; -1 when unknown.
        leader_epoch: int32 (4+, default -1),
    }
}
