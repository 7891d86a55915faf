//! CreatePartitions (key 37): more partitions for topics that exist (KIP-195).

use crate::codec::declare;

declare! {
    /// Asks to add partitions.
    request CreatePartitionsRequest -> CreatePartitionsResponse, CreatePartitions 0-3 {
        /// The topics.
        topics: [CreatePartitionsTopic] (0+),
        /// How long to wait until the partitions are there, in milliseconds.
        timeout_ms: int32 (0+),
        /// Whether to check only.
        validate_only: bool (0+),
    }

    /// A topic to grow.
    struct CreatePartitionsTopic {
        /// Its name.
        name: string (0+),
        /// How many partitions it shall have in all.
        count: int32 (0+),
        /// The replicas of each new partition; null leaves it to the cluster.
        assignments: [CreatePartitionsAssignment] (0+, nullable 0+),
    }

    /// The replicas of one new partition.
    struct CreatePartitionsAssignment {
        /// The brokers, the preferred leader first.
        broker_ids: [int32] (0+),
    }

    /// What became of each topic.
    response CreatePartitionsResponse, CreatePartitions 0-3 {
        /// How long the client was held back by a quota, in milliseconds.
        throttle_time_ms: int32 (0+),
        /// The outcomes.
        results: [CreatePartitionsTopicResult] (0+),
    }

    /// The outcome of one topic.
    struct CreatePartitionsTopicResult {
        /// The topic's name.
        name: string (0+),
        /// The error, or 0.
        error_code: int16 (0+),
        /// What is wrong, for a person.
        error_message: string (0+, nullable 0+, default null),
    }
}
