//! Consumer groups (KIP-848).

use super::Written;
use crate::codec::declare;

declare! {
    /// Names a consumer group.
    data ConsumerGroupMetadataKey: 0-0 flexible never {
        /// The group.
        group_id: string (0+),
    }

    /// The group's epoch.
    data ConsumerGroupMetadataValue: 0-0 flexible 0 {
        /// The epoch; it rises whenever the assignment has to be made anew.
        epoch: int32 (0+),
        /// The hash of the topics that the group subscribes to (KIP-1101); 0 for none.
        metadata_hash: int64 (0+, tag 0),
    }

    /// Names the topics of a group.
    data ConsumerGroupPartitionMetadataKey: 0-0 flexible never {
        /// The group.
        group_id: string (0+),
    }

    /// The topics that a group subscribes to. Kafka writes no more of these since 4.1, only tombstones.
    data ConsumerGroupPartitionMetadataValue: 0-0 flexible 0 {
        /// The topics.
        topics: [TopicMetadata] (0+),
    }

    /// A topic, as it was when the assignment was made.
    struct TopicMetadata {
        /// Its id.
        topic_id: uuid (0+),
        /// Its name.
        topic_name: string (0+),
        /// How many partitions it had.
        num_partitions: int32 (0+),
        /// The racks of its partitions; no longer used.
        partition_metadata: [PartitionMetadata] (0+),
    }

    /// The racks of a partition.
    struct PartitionMetadata {
        /// The partition's index.
        partition: int32 (0+),
        /// The racks.
        racks: [string] (0+),
    }

    /// Names a member.
    data ConsumerGroupMemberMetadataKey: 0-0 flexible never {
        /// The group.
        group_id: string (0+),
        /// The member.
        member_id: string (0+),
    }

    /// What a member said of itself.
    data ConsumerGroupMemberMetadataValue: 0-0 flexible 0 {
        /// The name of a static member.
        instance_id: string (0+, nullable 0+),
        /// Its rack.
        rack_id: string (0+, nullable 0+),
        /// Its client id.
        client_id: string (0+),
        /// The host that it came from.
        client_host: string (0+),
        /// The topics it subscribes to.
        subscribed_topic_names: [string] (0+),
        /// The regular expression it subscribes to.
        subscribed_topic_regex: string (0+, nullable 0+),
        /// How long it may take to give up partitions, in milliseconds.
        rebalance_timeout_ms: int32 (0+, default -1),
        /// The assignor it wants.
        server_assignor: string (0+, nullable 0+),
        /// What a member that speaks the classic protocol adds; null for others.
        classic_member_metadata: ClassicMemberMetadata (0+, nullable 0+, default null, tag 0),
    }

    /// What a member that speaks the classic protocol adds.
    struct ClassicMemberMetadata {
        /// How long it may be silent, in milliseconds.
        session_timeout_ms: int32 (0+),
        /// The assignors that it speaks.
        supported_protocols: [ClassicProtocol] (0+),
    }

    /// An assignor of a client.
    struct ClassicProtocol {
        /// Its name.
        name: string (0+),
        /// What the member sent for it.
        metadata: bytes (0+),
    }

    /// Names the target assignment of a group.
    data ConsumerGroupTargetAssignmentMetadataKey: 0-0 flexible never {
        /// The group.
        group_id: string (0+),
    }

    /// The target assignment as a whole.
    data ConsumerGroupTargetAssignmentMetadataValue: 0-0 flexible 0 {
        /// The group's epoch that it was made for.
        assignment_epoch: int32 (0+),
        /// When it was done, in milliseconds since the epoch (KIP-1263); 0 when unknown.
        assignment_timestamp: int64 (0+, tag 0) ignorable,
    }

    /// Names the target assignment of a member.
    data ConsumerGroupTargetAssignmentMemberKey: 0-0 flexible never {
        /// The group.
        group_id: string (0+),
        /// The member.
        member_id: string (0+),
    }

    /// What a member is to have.
    data ConsumerGroupTargetAssignmentMemberValue: 0-0 flexible 0 {
        /// The partitions.
        topic_partitions: [TopicPartitions] (0+),
    }

    /// Partitions of one topic.
    struct TopicPartitions {
        /// The topic's id.
        topic_id: uuid (0+),
        /// The partitions' indexes.
        partitions: [int32] (0+),
    }

    /// Names the current assignment of a member.
    data ConsumerGroupCurrentMemberAssignmentKey: 0-0 flexible never {
        /// The group.
        group_id: string (0+),
        /// The member.
        member_id: string (0+),
    }

    /// What a member has.
    data ConsumerGroupCurrentMemberAssignmentValue: 0-0 flexible 0 {
        /// Its epoch, as its heartbeats should have it.
        member_epoch: int32 (0+),
        /// The epoch before, which its heartbeats may have while it has not learned of the newer.
        previous_member_epoch: int32 (0+),
        /// 0 stable, 1 has partitions to give up, 2 waits for partitions of others.
        state: int8 (0+),
        /// The partitions that it may read.
        assigned_partitions: [AssignedTopicPartitions] (0+),
        /// The partitions that it must give up.
        partitions_pending_revocation: [AssignedTopicPartitions] (0+),
    }

    /// Partitions of one topic, with their epochs.
    struct AssignedTopicPartitions {
        /// The topic's id.
        topic_id: uuid (0+),
        /// The partitions' indexes.
        partitions: [int32] (0+),
        /// For each of the partitions the epoch in which the member was given it; null when unknown.
        assignment_epochs: [int32] (0+, nullable 0+, default null, tag 0),
    }

    /// Names a regular expression that members of a group subscribe to.
    data ConsumerGroupRegularExpressionKey: 0-0 flexible never {
        /// The group.
        group_id: string (0+),
        /// The regular expression.
        regular_expression: string (0+),
    }

    /// The topics that matched it.
    data ConsumerGroupRegularExpressionValue: 0-0 flexible 0 {
        /// The topics' names.
        topics: [string] (0+),
        /// The version of the metadata that it was matched against.
        version: int64 (0+),
        /// When it was matched, in milliseconds since the epoch.
        timestamp: int64 (0+),
    }
}

impl Written for ConsumerGroupMetadataValue {}
impl Written for ConsumerGroupPartitionMetadataValue {}
impl Written for ConsumerGroupMemberMetadataValue {}
impl Written for ConsumerGroupTargetAssignmentMetadataValue {}
impl Written for ConsumerGroupTargetAssignmentMemberValue {}
impl Written for ConsumerGroupCurrentMemberAssignmentValue {}
impl Written for ConsumerGroupRegularExpressionValue {}
