//! Produce (key 0): appends record batches to partitions.

use crate::codec::declare;

declare! {
    /// Asks the leaders of some partitions to append a batch each.
    request ProduceRequest -> ProduceResponse, Produce 3-13 {
        /// The transactional id; null outside transactions.
        transactional_id: string (3+, nullable 3+, default null),
        /// Who must have the batches before the answer: 0 nobody (and there is no answer), 1 the
        /// leader, -1 all in-sync replicas.
        acks: int16 (0+),
        /// How long the leader may wait for the other replicas, in milliseconds.
        timeout_ms: int32 (0+),
        /// The batches, by topic.
        topic_data: [TopicProduceData] (0+),
    }

    /// The batches of one topic.
    struct TopicProduceData {
        /// The topic's name.
        name: string (0-12) ignorable,
        /// The topic's id.
        topic_id: uuid (13+) ignorable,
        /// The batches, by partition.
        partition_data: [PartitionProduceData] (0+),
    }

    /// The batch of one partition.
    struct PartitionProduceData {
        /// The partition's index.
        index: int32 (0+),
        /// The batch as it is to be stored.
        records: records (0+, nullable 0+, default null),
    }

    /// What became of each batch.
    response ProduceResponse, Produce 3-13 {
        /// The outcomes, by topic.
        responses: [TopicProduceResponse] (0+),
        /// How long the client was held back by a quota, in milliseconds.
        throttle_time_ms: int32 (1+) ignorable,
        /// Where the leaders named in the outcomes are to be reached (KIP-951).
        node_endpoints: [NodeEndpoint] (10+, tag 0),
    }

    /// The outcomes of one topic.
    struct TopicProduceResponse {
        /// The topic's name.
        name: string (0-12) ignorable,
        /// The topic's id.
        topic_id: uuid (13+) ignorable,
        /// The outcomes, by partition.
        partition_responses: [PartitionProduceResponse] (0+),
    }

    /// The outcome of one partition's batch.
    struct PartitionProduceResponse {
        /// The partition's index.
        index: int32 (0+),
        /// The error, or 0.
        error_code: int16 (0+),
        /// The offset that the batch's first record got; -1 with an error.
        base_offset: int64 (0+),
        /// The broker's time for the batch, in milliseconds since the epoch; -1 when the records
        /// keep the client's.
        log_append_time_ms: int64 (2+, default -1) ignorable,
        /// The partition's log start offset.
        log_start_offset: int64 (5+, default -1) ignorable,
        /// The records that made the broker refuse the batch.
        record_errors: [BatchIndexAndErrorMessage] (8+) ignorable,
        /// What the records that were refused have in common, for a person.
        error_message: string (8+, nullable 8+, default null) ignorable,
        /// The leader to send to instead (KIP-951).
        current_leader: LeaderIdAndEpoch (10+, tag 0),
    }

    /// A record that was refused.
    struct BatchIndexAndErrorMessage {
        /// The record's place in its batch, from 0.
        batch_index: int32 (8+),
        /// Why, for a person.
        batch_index_error_message: string (8+, nullable 8+, default null),
    }

    /// A partition's leader.
    struct LeaderIdAndEpoch {
        /// The leader's broker id; -1 when it is not known.
        leader_id: int32 (10+, default -1),
        /// The leader's epoch.
        leader_epoch: int32 (10+, default -1),
    }

    /// Where a broker is to be reached.
    struct NodeEndpoint {
        /// The broker's id.
        node_id: int32 (10+),
        /// The host name.
        host: string (10+),
        /// The port.
        port: int32 (10+),
        /// The broker's rack.
        rack: string (10+, nullable 10+, default null),
    }
}
