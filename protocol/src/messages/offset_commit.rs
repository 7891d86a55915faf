//! OffsetCommit (key 8): stores how far a group has read.

use crate::codec::declare;

declare! {
    /// Asks to store the offsets of a group.
    request OffsetCommitRequest -> OffsetCommitResponse, OffsetCommit 2-10 {
        /// The group.
        group_id: string (0+),
        /// The generation of a classic group, or the member's epoch in a consumer group (KIP-848);
        /// -1 from a client that is no member.
        generation_id_or_member_epoch: int32 (1+, default -1) ignorable,
        /// The member; empty from a client that is no member.
        member_id: string (1+) ignorable,
        /// The name of a static member (KIP-345).
        group_instance_id: string (7+, nullable 7+, default null),
        /// How long to keep the offsets, in milliseconds; -1 for as long as the broker is configured to.
        retention_time_ms: int64 (2-4, default -1) ignorable,
        /// The offsets, by topic.
        topics: [OffsetCommitRequestTopic] (0+),
    }

    /// The offsets of one topic.
    struct OffsetCommitRequestTopic {
        /// The topic's name.
        name: string (0-9) ignorable,
        /// The topic's id.
        topic_id: uuid (10+) ignorable,
        /// The offsets, by partition.
        partitions: [OffsetCommitRequestPartition] (0+),
    }

    /// The offset of one partition.
    struct OffsetCommitRequestPartition {
        /// The partition's index.
        partition_index: int32 (0+),
        /// The offset of the next record to read.
        committed_offset: int64 (0+),
        /// The leader epoch of the last record read; -1 when unknown.
        committed_leader_epoch: int32 (6+, default -1) ignorable,
        /// What the client wants to keep beside it.
        committed_metadata: string (0+, nullable 0+),
    }

    /// What became of each offset.
    response OffsetCommitResponse, OffsetCommit 2-10 {
        /// How long the client was held back by a quota, in milliseconds.
        throttle_time_ms: int32 (3+) ignorable,
        /// The outcomes, by topic.
        topics: [OffsetCommitResponseTopic] (0+),
    }

    /// The outcomes of one topic.
    struct OffsetCommitResponseTopic {
        /// The topic's name.
        name: string (0-9) ignorable,
        /// The topic's id.
        topic_id: uuid (10+) ignorable,
        /// The outcomes, by partition.
        partitions: [OffsetCommitResponsePartition] (0+),
    }

    /// The outcome of one partition.
    struct OffsetCommitResponsePartition {
        /// The partition's index.
        partition_index: int32 (0+),
        /// The error, or 0.
        error_code: int16 (0+),
    }
}
