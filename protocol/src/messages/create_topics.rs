//! CreateTopics (key 19).

use crate::codec::declare;

declare! {
    /// Asks to make topics.
    request CreateTopicsRequest -> CreateTopicsResponse, CreateTopics 2-7 {
        /// The topics.
        topics: [CreatableTopic] (0+),
        /// How long to wait until they are there, in milliseconds.
        timeout_ms: int32 (0+, default 60000),
        /// Whether to check only.
        validate_only: bool (1+),
    }

    /// A topic to make.
    struct CreatableTopic {
        /// Its name.
        name: string (0+),
        /// How many partitions; -1 for the broker's default, or with assignments.
        num_partitions: int32 (0+),
        /// How many replicas of each; -1 for the broker's default, or with assignments.
        replication_factor: int16 (0+),
        /// Which brokers get which partitions; empty leaves it to the cluster.
        assignments: [CreatableReplicaAssignment] (0+),
        /// Configurations other than the defaults.
        configs: [CreatableTopicConfig] (0+),
    }

    /// The replicas of one partition.
    struct CreatableReplicaAssignment {
        /// The partition's index.
        partition_index: int32 (0+),
        /// The brokers, the preferred leader first.
        broker_ids: [int32] (0+),
    }

    /// A configuration of the topic.
    struct CreatableTopicConfig {
        /// Its name.
        name: string (0+),
        /// Its value.
        value: string (0+, nullable 0+),
    }

    /// What became of each topic.
    response CreateTopicsResponse, CreateTopics 2-7 {
        /// How long the client was held back by a quota, in milliseconds.
        throttle_time_ms: int32 (2+) ignorable,
        /// The outcomes.
        topics: [CreatableTopicResult] (0+),
    }

    /// The outcome of one topic.
    struct CreatableTopicResult {
        /// The topic's name.
        name: string (0+),
        /// The id that it got.
        topic_id: uuid (7+) ignorable,
        /// The error, or 0.
        error_code: int16 (0+),
        /// What is wrong, for a person.
        error_message: string (1+, nullable 0+) ignorable,
        /// Why the configurations are not told (29: not authorized), or 0.
        topic_config_error_code: int16 (5+, tag 0) ignorable,
        /// How many partitions it has.
        num_partitions: int32 (5+, default -1) ignorable,
        /// How many replicas each has.
        replication_factor: int16 (5+, default -1) ignorable,
        /// Its configurations; null when they are not told.
        configs: [CreatableTopicConfigs] (5+, nullable 5+) ignorable,
    }

    /// A configuration of the topic that was made.
    struct CreatableTopicConfigs {
        /// Its name.
        name: string (5+),
        /// Its value.
        value: string (5+, nullable 5+),
        /// Whether it can't be changed.
        read_only: bool (5+),
        /// Where the value comes from: see [`describe_configs`](super::describe_configs).
        config_source: int8 (5+, default -1) ignorable,
        /// Whether the value is secret.
        is_sensitive: bool (5+),
    }
}
