//! Fetch (key 1): reads record batches; consumers, replicas and the metadata quorum all use it.

use crate::codec::declare;

declare! {
    /// Asks for batches from some partitions, or goes on with a fetch session (KIP-227).
    request FetchRequest -> FetchResponse, Fetch 4-18 {
        /// The cluster that the sender believes in; null when it does not care.
        cluster_id: string (12+, nullable 12+, default null, tag 0) ignorable,
        /// The replica that asks; -1 for a consumer.
        replica_id: int32 (0-14, default -1),
        /// The replica that asks, with its epoch (KIP-903).
        replica_state: ReplicaState (15+, tag 1),
        /// How long the broker may wait for `min_bytes`, in milliseconds.
        max_wait_ms: int32 (0+),
        /// The bytes to wait for.
        min_bytes: int32 (0+),
        /// The bytes that the answer should not exceed; the first batch is sent all the same.
        max_bytes: int32 (3+, default 0x7fffffff) ignorable,
        /// 0 reads up to the high watermark, 1 up to the last stable offset.
        isolation_level: int8 (4+) ignorable,
        /// The fetch session; 0 for none.
        session_id: int32 (7+) ignorable,
        /// The session's epoch; 0 begins a session, -1 is a fetch without one.
        session_epoch: int32 (7+, default -1) ignorable,
        /// The partitions to read; in a session those that are new or changed.
        topics: [FetchTopic] (0+),
        /// The partitions to take out of the session.
        forgotten_topics_data: [ForgottenTopic] (7+),
        /// The consumer's rack (KIP-392).
        rack_id: string (11+) ignorable,
    }

    /// The replica that asks.
    struct ReplicaState {
        /// Its broker id; -1 for a consumer.
        replica_id: int32 (15+, default -1),
        /// Its broker epoch; -1 when unknown.
        replica_epoch: int64 (15+, default -1),
    }

    /// The partitions of one topic to read.
    struct FetchTopic {
        /// The topic's name.
        topic: string (0-12) ignorable,
        /// The topic's id.
        topic_id: uuid (13+) ignorable,
        /// The partitions.
        partitions: [FetchPartition] (0+),
    }

    /// A partition to read.
    struct FetchPartition {
        /// The partition's index.
        partition: int32 (0+),
        /// The leader epoch that the sender knows; -1 for none.
        current_leader_epoch: int32 (9+, default -1) ignorable,
        /// The offset to read from.
        fetch_offset: int64 (0+),
        /// The epoch of the last record that the replica has; -1 for none (KIP-595).
        last_fetched_epoch: int32 (12+, default -1),
        /// The replica's log start offset; -1 from a consumer.
        log_start_offset: int64 (5+, default -1) ignorable,
        /// The bytes to read at most from this partition.
        partition_max_bytes: int32 (0+),
        /// The id of the directory that holds the replica (KIP-853).
        replica_directory_id: uuid (17+, tag 0) ignorable,
        /// The high watermark that the replica knows (KIP-1166).
        high_watermark: int64 (18+, default 9223372036854775807, tag 1) ignorable,
    }

    /// The partitions of one topic to take out of the session.
    struct ForgottenTopic {
        /// The topic's name.
        topic: string (7-12) ignorable,
        /// The topic's id.
        topic_id: uuid (13+) ignorable,
        /// The partitions' indexes.
        partitions: [int32] (7+),
    }

    /// The batches.
    response FetchResponse, Fetch 4-18 {
        /// How long the client was held back by a quota, in milliseconds.
        throttle_time_ms: int32 (1+) ignorable,
        /// The error of the whole fetch, or 0.
        error_code: int16 (7+) ignorable,
        /// The fetch session; 0 when there is none.
        session_id: int32 (7+),
        /// The batches, by topic.
        responses: [FetchableTopicResponse] (0+),
        /// Where the leaders named in the partitions are to be reached (KIP-951).
        node_endpoints: [NodeEndpoint] (16+, tag 0),
    }

    /// The batches of one topic.
    struct FetchableTopicResponse {
        /// The topic's name.
        topic: string (0-12) ignorable,
        /// The topic's id.
        topic_id: uuid (13+) ignorable,
        /// The batches, by partition.
        partitions: [PartitionData] (0+),
    }

    /// What was read from one partition.
    struct PartitionData {
        /// The partition's index.
        partition_index: int32 (0+),
        /// The error, or 0.
        error_code: int16 (0+),
        /// The high watermark.
        high_watermark: int64 (0+),
        /// The last stable offset: everything below it is decided; -1 when unknown.
        last_stable_offset: int64 (4+, default -1) ignorable,
        /// The log start offset.
        log_start_offset: int64 (5+, default -1) ignorable,
        /// Where the replica's log parts from the leader's, when it does (KIP-595).
        diverging_epoch: EpochEndOffset (12+, tag 0),
        /// The leader to ask instead.
        current_leader: LeaderIdAndEpoch (12+, tag 1),
        /// The snapshot to fetch, when the offset lies before the log (KIP-630).
        snapshot_id: SnapshotId (12+, tag 2),
        /// The aborted transactions within what was read; null when the fetch is read-uncommitted.
        aborted_transactions: [AbortedTransaction] (4+, nullable 4+) ignorable,
        /// The replica to read from instead; -1 for this one (KIP-392).
        preferred_read_replica: int32 (11+, default -1),
        /// The batches, as they are stored.
        records: records (0+, nullable 0+, default null),
    }

    /// Where an epoch ends in the leader's log.
    struct EpochEndOffset {
        /// The largest epoch that both logs have; -1 for none.
        epoch: int32 (12+, default -1),
        /// The offset after its last record.
        end_offset: int64 (12+, default -1),
    }

    /// A partition's leader.
    struct LeaderIdAndEpoch {
        /// The leader's broker id; -1 when it is not known.
        leader_id: int32 (12+, default -1),
        /// The leader's epoch.
        leader_epoch: int32 (12+, default -1),
    }

    /// A snapshot of the metadata log.
    struct SnapshotId {
        /// The offset after the last record in the snapshot.
        end_offset: int64 (0+, default -1),
        /// The epoch of that record.
        epoch: int32 (0+, default -1),
    }

    /// A transaction that was aborted.
    struct AbortedTransaction {
        /// Its producer.
        producer_id: int64 (4+),
        /// The offset of its first record.
        first_offset: int64 (4+),
    }

    /// Where a broker is to be reached.
    struct NodeEndpoint {
        /// The broker's id.
        node_id: int32 (16+),
        /// The host name.
        host: string (16+),
        /// The port.
        port: int32 (16+),
        /// The broker's rack.
        rack: string (16+, nullable 16+, default null),
    }
}
