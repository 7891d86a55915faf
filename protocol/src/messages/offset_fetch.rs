//! OffsetFetch (key 9): how far groups have read. Up to version 7 of one group, in the fields
//! themselves; from 8 of several.

use crate::codec::declare;

declare! {
    /// Asks for the committed offsets of groups.
    request OffsetFetchRequest -> OffsetFetchResponse, OffsetFetch 1-10 {
        /// The group.
        group_id: string (0-7),
        /// The partitions, by topic; null asks for all.
        topics: [OffsetFetchRequestTopic] (0-7, nullable 2-7),
        /// The groups.
        groups: [OffsetFetchRequestGroup] (8+),
        /// Whether offsets that an open transaction may yet change are an error (KIP-447).
        require_stable: bool (7+),
    }

    /// The partitions of one topic.
    struct OffsetFetchRequestTopic {
        /// The topic's name.
        name: string (0-7),
        /// The partitions' indexes.
        partition_indexes: [int32] (0-7),
    }

    /// A group, and what is asked of it.
    struct OffsetFetchRequestGroup {
        /// The group.
        group_id: string (8+),
        /// The member of a consumer group that asks (KIP-848); null for none.
        member_id: string (9+, nullable 9+, default null) ignorable,
        /// Its epoch; -1 for none.
        member_epoch: int32 (9+, default -1) ignorable,
        /// The partitions, by topic; null asks for all.
        topics: [OffsetFetchRequestTopics] (8+, nullable 8+),
    }

    /// The partitions of one topic.
    struct OffsetFetchRequestTopics {
        /// The topic's name.
        name: string (8-9) ignorable,
        /// The topic's id.
        topic_id: uuid (10+) ignorable,
        /// The partitions' indexes.
        partition_indexes: [int32] (8+),
    }

    /// The offsets.
    response OffsetFetchResponse, OffsetFetch 1-10 {
        /// How long the client was held back by a quota, in milliseconds.
        throttle_time_ms: int32 (3+) ignorable,
        /// The offsets, by topic.
        topics: [OffsetFetchResponseTopic] (0-7),
        /// The group's error, or 0.
        error_code: int16 (2-7) ignorable,
        /// The offsets, by group.
        groups: [OffsetFetchResponseGroup] (8+),
    }

    /// The offsets of one topic.
    struct OffsetFetchResponseTopic {
        /// The topic's name.
        name: string (0-7),
        /// The offsets, by partition.
        partitions: [OffsetFetchResponsePartition] (0-7),
    }

    /// The offset of one partition.
    struct OffsetFetchResponsePartition {
        /// The partition's index.
        partition_index: int32 (0-7),
        /// The offset of the next record to read; -1 for none.
        committed_offset: int64 (0-7),
        /// The leader epoch of the last record read; -1 when unknown.
        committed_leader_epoch: int32 (5-7, default -1) ignorable,
        /// What the client kept beside it.
        metadata: string (0-7, nullable 0-7),
        /// The error, or 0.
        error_code: int16 (0-7),
    }

    /// The offsets of one group.
    struct OffsetFetchResponseGroup {
        /// The group.
        group_id: string (8+),
        /// The offsets, by topic.
        topics: [OffsetFetchResponseTopics] (8+),
        /// The group's error, or 0.
        error_code: int16 (8+),
    }

    /// The offsets of one topic.
    struct OffsetFetchResponseTopics {
        /// The topic's name.
        name: string (8-9) ignorable,
        /// The topic's id.
        topic_id: uuid (10+) ignorable,
        /// The offsets, by partition.
        partitions: [OffsetFetchResponsePartitions] (8+),
    }

    /// The offset of one partition.
    struct OffsetFetchResponsePartitions {
        /// The partition's index.
        partition_index: int32 (8+),
        /// The offset of the next record to read; -1 for none.
        committed_offset: int64 (8+),
        /// The leader epoch of the last record read; -1 when unknown.
        committed_leader_epoch: int32 (8+, default -1) ignorable,
        /// What the client kept beside it.
        metadata: string (8+, nullable 8+),
        /// The error, or 0.
        error_code: int16 (8+),
    }
}
