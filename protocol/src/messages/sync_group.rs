//! SyncGroup (key 14): the leader of a classic group tells who reads what, and every member learns it.

use crate::codec::declare;

declare! {
    /// Asks for a member's assignment; the leader brings those of all.
    request SyncGroupRequest -> SyncGroupResponse, SyncGroup 0-5 {
        /// The group.
        group_id: string (0+),
        /// The generation that the member belongs to.
        generation_id: int32 (0+),
        /// The member.
        member_id: string (0+),
        /// The name of a static member (KIP-345).
        group_instance_id: string (3+, nullable 3+, default null),
        /// What the group is for.
        protocol_type: string (5+, nullable 5+, default null) ignorable,
        /// The assignor.
        protocol_name: string (5+, nullable 5+, default null) ignorable,
        /// The assignments, by member; from the leader only.
        assignments: [SyncGroupRequestAssignment] (0+),
    }

    /// The assignment of one member.
    struct SyncGroupRequestAssignment {
        /// The member.
        member_id: string (0+),
        /// What it is to do: an `ConsumerProtocolAssignment` in consumers'
        /// groups.
        assignment: bytes (0+),
    }

    /// The member's assignment.
    response SyncGroupResponse, SyncGroup 0-5 {
        /// How long the client was held back by a quota, in milliseconds.
        throttle_time_ms: int32 (1+) ignorable,
        /// The error, or 0.
        error_code: int16 (0+),
        /// What the group is for.
        protocol_type: string (5+, nullable 5+, default null) ignorable,
        /// The assignor.
        protocol_name: string (5+, nullable 5+, default null) ignorable,
        /// What the leader assigned.
        assignment: bytes (0+),
    }
}
