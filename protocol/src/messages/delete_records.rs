//! DeleteRecords (key 21): moves the log start offset forward (KIP-204).

use crate::codec::declare;

declare! {
    /// Asks to drop the records before an offset.
    request DeleteRecordsRequest -> DeleteRecordsResponse, DeleteRecords 0-2 {
        /// The partitions.
        topics: [DeleteRecordsTopic] (0+),
        /// How long to wait until every replica has done it, in milliseconds.
        timeout_ms: int32 (0+),
    }

    /// The partitions of one topic.
    struct DeleteRecordsTopic {
        /// The topic's name.
        name: string (0+),
        /// The partitions.
        partitions: [DeleteRecordsPartition] (0+),
    }

    /// A partition and where its log shall begin.
    struct DeleteRecordsPartition {
        /// The partition's index.
        partition_index: int32 (0+),
        /// The first offset to keep; -1 for the high watermark.
        offset: int64 (0+),
    }

    /// What became of each partition.
    response DeleteRecordsResponse, DeleteRecords 0-2 {
        /// How long the client was held back by a quota, in milliseconds.
        throttle_time_ms: int32 (0+),
        /// The outcomes, by topic.
        topics: [DeleteRecordsTopicResult] (0+),
    }

    /// The outcomes of one topic.
    struct DeleteRecordsTopicResult {
        /// The topic's name.
        name: string (0+),
        /// The outcomes, by partition.
        partitions: [DeleteRecordsPartitionResult] (0+),
    }

    /// The outcome of one partition.
    struct DeleteRecordsPartitionResult {
        /// The partition's index.
        partition_index: int32 (0+),
        /// The lowest offset that any replica still has; -1 with an error.
        low_watermark: int64 (0+),
        /// The error, or 0.
        error_code: int16 (0+),
    }
}
