//! DescribeLogDirs (key 35): how large the replicas are, by directory (KIP-113, KIP-827, KIP-1066).

use crate::codec::declare;

declare! {
    /// Asks for the sizes of some partitions' replicas.
    request DescribeLogDirsRequest -> DescribeLogDirsResponse, DescribeLogDirs 1-5 {
        /// The partitions; null asks for all.
        topics: [DescribableLogDirTopic] (0+, nullable 0+),
    }

    /// The partitions of one topic.
    struct DescribableLogDirTopic {
        /// The topic's name.
        topic: string (0+),
        /// The partitions' indexes.
        partitions: [int32] (0+),
    }

    /// The directories.
    response DescribeLogDirsResponse, DescribeLogDirs 1-5 {
        /// How long the client was held back by a quota, in milliseconds.
        throttle_time_ms: int32 (0+),
        /// The error of the whole request, or 0.
        error_code: int16 (3+) ignorable,
        /// The directories.
        results: [DescribeLogDirsResult] (0+),
    }

    /// A directory.
    struct DescribeLogDirsResult {
        /// 56 when the directory is offline, or 0.
        error_code: int16 (0+),
        /// Its absolute path.
        log_dir: string (0+),
        /// The replicas in it, by topic.
        topics: [DescribeLogDirsTopic] (0+),
        /// The size of the volume, in bytes; -1 when unknown.
        total_bytes: int64 (4+, default -1) ignorable,
        /// The free space of the volume, in bytes; -1 when unknown.
        usable_bytes: int64 (4+, default -1) ignorable,
        /// Whether no new replicas are placed in it.
        is_cordoned: bool (5+) ignorable,
    }

    /// The replicas of one topic.
    struct DescribeLogDirsTopic {
        /// The topic's name.
        name: string (0+),
        /// The replicas, by partition.
        partitions: [DescribeLogDirsPartition] (0+),
    }

    /// A replica.
    struct DescribeLogDirsPartition {
        /// The partition's index.
        partition_index: int32 (0+),
        /// The size of its segments, in bytes.
        partition_size: int64 (0+),
        /// How many offsets it is behind the high watermark (a future replica: the current one).
        offset_lag: int64 (0+),
        /// Whether the replica is being moved into this directory.
        is_future_key: bool (0+),
    }
}
