//! ConsumerGroupDescribe (key 69): the state and the members of consumer groups (KIP-848).

use crate::codec::declare;

declare! {
    /// Asks what some groups are doing.
    request ConsumerGroupDescribeRequest -> ConsumerGroupDescribeResponse, ConsumerGroupDescribe 0-1 {
        /// The groups.
        group_ids: [string] (0+),
        /// Whether to tell what the client may do with them.
        include_authorized_operations: bool (0+),
    }

    /// The groups.
    response ConsumerGroupDescribeResponse, ConsumerGroupDescribe 0-1 {
        /// How long the client was held back by a quota, in milliseconds.
        throttle_time_ms: int32 (0+),
        /// The groups.
        groups: [DescribedGroup] (0+),
    }

    /// A group, or why nothing can be said about it.
    struct DescribedGroup {
        /// The error, or 0.
        error_code: int16 (0+),
        /// What is wrong, for a person.
        error_message: string (0+, nullable 0+, default null),
        /// The group.
        group_id: string (0+),
        /// Its state.
        group_state: string (0+),
        /// Its epoch.
        group_epoch: int32 (0+),
        /// The epoch of its target assignment.
        assignment_epoch: int32 (0+),
        /// The assignor.
        assignor_name: string (0+),
        /// The members.
        members: [Member] (0+),
        /// What the client may do with the group, one bit an operation.
        authorized_operations: int32 (0+, default -2147483648),
    }

    /// A member.
    struct Member {
        /// Its id.
        member_id: string (0+),
        /// The name of a static member.
        instance_id: string (0+, nullable 0+, default null),
        /// Its rack.
        rack_id: string (0+, nullable 0+, default null),
        /// Its epoch.
        member_epoch: int32 (0+),
        /// Its client id.
        client_id: string (0+),
        /// The host that it came from.
        client_host: string (0+),
        /// The topics it subscribes to.
        subscribed_topic_names: [string] (0+),
        /// The regular expression it subscribes to.
        subscribed_topic_regex: string (0+, nullable 0+, default null),
        /// What it has.
        assignment: Assignment (0+),
        /// What it is to have.
        target_assignment: Assignment (0+),
        /// -1 unknown, 0 a classic member, 1 a consumer member (KIP-1099).
        member_type: int8 (1+, default -1) ignorable,
    }

    /// The partitions of a member.
    struct Assignment {
        /// The partitions, by topic.
        topic_partitions: [TopicPartitions] (0+),
    }

    /// Partitions of one topic.
    struct TopicPartitions {
        /// The topic's id.
        topic_id: uuid (0+),
        /// The topic's name.
        topic_name: string (0+),
        /// The partitions' indexes.
        partitions: [int32] (0+),
    }
}
