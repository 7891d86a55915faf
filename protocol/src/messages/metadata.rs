//! Metadata (key 3): the brokers, the topics, and who leads each partition.

use crate::codec::declare;

declare! {
    /// Asks for some topics, for all, or for the brokers alone.
    request MetadataRequest -> MetadataResponse, Metadata 0-13 {
        /// The topics. Null asks for all; so does the empty array of version 0, which is none later.
        topics: [MetadataRequestTopic] (0+, nullable 1+),
        /// Whether a topic that is not there may be made, if the broker does so at all.
        allow_auto_topic_creation: bool (4+, default true),
        /// Whether to tell what the client may do with the cluster.
        include_cluster_authorized_operations: bool (8-10),
        /// Whether to tell what the client may do with each topic.
        include_topic_authorized_operations: bool (8+),
    }

    /// A topic that is asked for, by id or by name.
    struct MetadataRequestTopic {
        /// The topic's id; nil to ask by name.
        topic_id: uuid (10+) ignorable,
        /// The topic's name; null to ask by id.
        name: string (0+, nullable 10+),
    }

    /// The cluster as this broker knows it.
    response MetadataResponse, Metadata 0-13 {
        /// How long the client was held back by a quota, in milliseconds.
        throttle_time_ms: int32 (3+) ignorable,
        /// The live brokers.
        brokers: [MetadataResponseBroker] (0+),
        /// The cluster's id.
        cluster_id: string (2+, nullable 2+, default null) ignorable,
        /// The broker to send changes of topics and configurations to; -1 for none.
        controller_id: int32 (1+, default -1) ignorable,
        /// The topics.
        topics: [MetadataResponseTopic] (0+),
        /// What the client may do with the cluster, one bit an operation; `i32::MIN` if not asked.
        cluster_authorized_operations: int32 (8-10, default -2147483648),
        /// 129 when the client's metadata is too old to go on with (KIP-1102).
        error_code: int16 (13+) ignorable,
    }

    /// A live broker.
    struct MetadataResponseBroker {
        /// The broker's id.
        node_id: int32 (0+),
        /// The host name to connect to.
        host: string (0+),
        /// The port to connect to.
        port: int32 (0+),
        /// The broker's rack.
        rack: string (1+, nullable 1+, default null) ignorable,
    }

    /// A topic, or why nothing can be said about it.
    struct MetadataResponseTopic {
        /// The topic's error, or 0.
        error_code: int16 (0+),
        /// The topic's name; null when it was asked for by an id that is not known.
        name: string (0+, nullable 12+),
        /// The topic's id.
        topic_id: uuid (10+) ignorable,
        /// Whether the topic is one of the broker's own.
        is_internal: bool (1+) ignorable,
        /// The partitions.
        partitions: [MetadataResponsePartition] (0+),
        /// What the client may do with the topic, one bit an operation; `i32::MIN` if not asked.
        topic_authorized_operations: int32 (8+, default -2147483648),
    }

    /// A partition.
    struct MetadataResponsePartition {
        /// The partition's error, or 0.
        error_code: int16 (0+),
        /// The partition's index.
        partition_index: int32 (0+),
        /// The leader's broker id; -1 for none.
        leader_id: int32 (0+),
        /// The leader's epoch.
        leader_epoch: int32 (7+, default -1) ignorable,
        /// The brokers that hold a replica.
        replica_nodes: [int32] (0+),
        /// The brokers whose replica is in sync.
        isr_nodes: [int32] (0+),
        /// The brokers whose replica is offline.
        offline_replicas: [int32] (5+) ignorable,
    }
}
