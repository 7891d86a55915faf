//! DescribeTopicPartitions (key 75): topics in pages, with eligible leaders (KIP-966).

use crate::codec::declare;

declare! {
    /// Asks for a page of some topics' partitions.
    request DescribeTopicPartitionsRequest -> DescribeTopicPartitionsResponse, DescribeTopicPartitions 0-0 {
        /// The topics; none asks for all.
        topics: [TopicRequest] (0+),
        /// The partitions to tell of at most.
        response_partition_limit: int32 (0+, default 2000),
        /// Where to begin; null for the beginning.
        cursor: Cursor (0+, nullable 0+, default null),
    }

    /// A topic that is asked for.
    struct TopicRequest {
        /// Its name.
        name: string (0+),
    }

    /// A place between two pages.
    struct Cursor {
        /// The topic to go on with.
        topic_name: string (0+),
        /// The partition to go on with.
        partition_index: int32 (0+),
    }

    /// A page.
    response DescribeTopicPartitionsResponse, DescribeTopicPartitions 0-0 {
        /// How long the client was held back by a quota, in milliseconds.
        throttle_time_ms: int32 (0+) ignorable,
        /// The topics.
        topics: [DescribeTopicPartitionsResponseTopic] (0+),
        /// Where the next page begins; null when this is the last.
        next_cursor: Cursor (0+, nullable 0+, default null),
    }

    /// A topic, or why nothing can be said about it.
    struct DescribeTopicPartitionsResponseTopic {
        /// The topic's error, or 0.
        error_code: int16 (0+),
        /// The topic's name.
        name: string (0+, nullable 0+),
        /// The topic's id.
        topic_id: uuid (0+) ignorable,
        /// Whether the topic is one of the broker's own.
        is_internal: bool (0+) ignorable,
        /// The partitions.
        partitions: [DescribeTopicPartitionsResponsePartition] (0+),
        /// What the client may do with the topic, one bit an operation.
        topic_authorized_operations: int32 (0+, default -2147483648),
    }

    /// A partition.
    struct DescribeTopicPartitionsResponsePartition {
        /// The partition's error, or 0.
        error_code: int16 (0+),
        /// The partition's index.
        partition_index: int32 (0+),
        /// The leader's broker id; -1 for none.
        leader_id: int32 (0+),
        /// The leader's epoch.
        leader_epoch: int32 (0+, default -1) ignorable,
        /// The brokers that hold a replica.
        replica_nodes: [int32] (0+),
        /// The brokers whose replica is in sync.
        isr_nodes: [int32] (0+),
        /// The brokers outside the in-sync replicas that may lead all the same. Null is allowed, but
        /// Kafka's own tools fail on it: send an empty array.
        eligible_leader_replicas: [int32] (0+, nullable 0+, default null),
        /// The brokers that were the last eligible leaders. Likewise never null, in practice.
        last_known_elr: [int32] (0+, nullable 0+, default null),
        /// The brokers whose replica is offline.
        offline_replicas: [int32] (0+) ignorable,
    }
}
