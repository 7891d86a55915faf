//! DescribeProducers (key 61): who writes to a partition, idempotently or in transactions (KIP-664).

use crate::codec::declare;

declare! {
    /// Asks for the producers of some partitions.
    request DescribeProducersRequest -> DescribeProducersResponse, DescribeProducers 0-0 {
        /// The partitions.
        topics: [TopicRequest] (0+),
    }

    /// The partitions of one topic.
    struct TopicRequest {
        /// The topic's name.
        name: string (0+),
        /// The partitions' indexes.
        partition_indexes: [int32] (0+),
    }

    /// The producers.
    response DescribeProducersResponse, DescribeProducers 0-0 {
        /// How long the client was held back by a quota, in milliseconds.
        throttle_time_ms: int32 (0+),
        /// The producers, by topic.
        topics: [TopicResponse] (0+),
    }

    /// The producers of one topic.
    struct TopicResponse {
        /// The topic's name.
        name: string (0+),
        /// The producers, by partition.
        partitions: [PartitionResponse] (0+),
    }

    /// The producers of one partition.
    struct PartitionResponse {
        /// The partition's index.
        partition_index: int32 (0+),
        /// The error, or 0.
        error_code: int16 (0+),
        /// What is wrong, for a person.
        error_message: string (0+, nullable 0+, default null),
        /// The producers that the leader remembers.
        active_producers: [ProducerState] (0+),
    }

    /// A producer.
    struct ProducerState {
        /// Its id.
        producer_id: int64 (0+),
        /// Its epoch.
        producer_epoch: int32 (0+),
        /// The sequence number of its last record; -1 for none.
        last_sequence: int32 (0+, default -1),
        /// The timestamp of its last record, in milliseconds since the epoch; -1 for none.
        last_timestamp: int64 (0+, default -1),
        /// The epoch of the transaction coordinator that wrote its last marker.
        coordinator_epoch: int32 (0+),
        /// The first offset of its open transaction; -1 for none.
        current_txn_start_offset: int64 (0+, default -1),
    }
}
