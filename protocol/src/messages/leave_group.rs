//! LeaveGroup (key 13): members leave a group. Up to version 2 one, in the fields themselves; from 3
//! several.

use crate::codec::declare;

declare! {
    /// Says that members leave.
    request LeaveGroupRequest -> LeaveGroupResponse, LeaveGroup 0-5 {
        /// The group.
        group_id: string (0+),
        /// The member.
        member_id: string (0-2),
        /// The members.
        members: [MemberIdentity] (3+),
    }

    /// A member that leaves.
    struct MemberIdentity {
        /// Its id; may be empty for a static member.
        member_id: string (3+),
        /// The name of a static member (KIP-345).
        group_instance_id: string (3+, nullable 3+, default null),
        /// Why it leaves, for a person (KIP-800).
        reason: string (5+, nullable 5+, default null) ignorable,
    }

    /// What became of each member.
    response LeaveGroupResponse, LeaveGroup 0-5 {
        /// How long the client was held back by a quota, in milliseconds.
        throttle_time_ms: int32 (1+) ignorable,
        /// The error, or 0; up to version 2 that of the member.
        error_code: int16 (0+),
        /// The outcomes, by member.
        members: [MemberResponse] (3+),
    }

    /// The outcome of one member.
    struct MemberResponse {
        /// Its id.
        member_id: string (3+),
        /// The name of a static member (KIP-345).
        group_instance_id: string (3+, nullable 3+),
        /// The error, or 0.
        error_code: int16 (3+),
    }
}
