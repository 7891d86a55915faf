//! Heartbeat (key 12): a member of a classic group lives, and learns whether the group rebalances.

use crate::codec::declare;

declare! {
    /// Says that a member lives.
    request HeartbeatRequest -> HeartbeatResponse, Heartbeat 0-4 {
        /// The group.
        group_id: string (0+),
        /// The generation that the member belongs to.
        generation_id: int32 (0+),
        /// The member.
        member_id: string (0+),
        /// The name of a static member (KIP-345).
        group_instance_id: string (3+, nullable 3+, default null),
    }

    /// Whether all is well.
    response HeartbeatResponse, Heartbeat 0-4 {
        /// How long the client was held back by a quota, in milliseconds.
        throttle_time_ms: int32 (1+) ignorable,
        /// The error, or 0.
        error_code: int16 (0+),
    }
}
