//! ConsumerGroupHeartbeat (key 68): a member of a consumer group lives, says what changed and learns
//! what it is to read (KIP-848). From version 1 the client makes its member id itself (KIP-1082).

use crate::codec::declare;

declare! {
    /// Says that a member lives, and what changed since its last heartbeat.
    request ConsumerGroupHeartbeatRequest -> ConsumerGroupHeartbeatResponse, ConsumerGroupHeartbeat 0-1 {
        /// The group.
        group_id: string (0+),
        /// The member.
        member_id: string (0+),
        /// Its epoch: 0 to join, -1 to leave, -2 for a static member that will be back.
        member_epoch: int32 (0+),
        /// The name of a static member; null when it has none or it did not change.
        instance_id: string (0+, nullable 0+, default null),
        /// The member's rack; null when it has none or it did not change.
        rack_id: string (0+, nullable 0+, default null),
        /// How long it may take to give up partitions, in milliseconds; -1 when it did not change.
        rebalance_timeout_ms: int32 (0+, default -1),
        /// The topics it subscribes to; null when they did not change.
        subscribed_topic_names: [string] (0+, nullable 0+, default null),
        /// A regular expression of the topics it subscribes to; null when it did not change.
        subscribed_topic_regex: string (1+, nullable 1+, default null),
        /// The assignor it wants; null when it wants none or it did not change.
        server_assignor: string (0+, nullable 0+, default null),
        /// The partitions it owns; null when they did not change.
        topic_partitions: [TopicPartitions] (0+, nullable 0+, default null),
    }

    /// Partitions of one topic.
    struct TopicPartitions {
        /// The topic's id.
        topic_id: uuid (0+),
        /// The partitions' indexes.
        partitions: [int32] (0+),
    }

    /// What the member is to do.
    response ConsumerGroupHeartbeatResponse, ConsumerGroupHeartbeat 0-1 {
        /// How long the client was held back by a quota, in milliseconds.
        throttle_time_ms: int32 (0+),
        /// The error, or 0.
        error_code: int16 (0+),
        /// What is wrong, for a person.
        error_message: string (0+, nullable 0+, default null),
        /// The member's id.
        member_id: string (0+, nullable 0+, default null),
        /// Its epoch.
        member_epoch: int32 (0+),
        /// How long until its next heartbeat, in milliseconds.
        heartbeat_interval_ms: int32 (0+),
        /// What it is to read; null when it did not change.
        assignment: Assignment (0+, nullable 0+, default null),
    }

    /// The partitions of a member.
    struct Assignment {
        /// Those it may read at once.
        topic_partitions: [TopicPartitions] (0+),
    }
}
