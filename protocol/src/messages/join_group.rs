//! JoinGroup (key 11): enters a classic group and waits for its next generation.

use crate::codec::declare;

declare! {
    /// Asks to be a member of the next generation.
    request JoinGroupRequest -> JoinGroupResponse, JoinGroup 0-9 {
        /// The group.
        group_id: string (0+),
        /// How long the member may be silent before it is taken for dead, in milliseconds.
        session_timeout_ms: int32 (0+),
        /// How long the member has to join again when the group rebalances, in milliseconds; -1 for
        /// the session timeout.
        rebalance_timeout_ms: int32 (1+, default -1) ignorable,
        /// The member; empty when it is new.
        member_id: string (0+),
        /// The name of a static member (KIP-345).
        group_instance_id: string (5+, nullable 5+, default null),
        /// What the group is for: `consumer`, `connect`, …
        protocol_type: string (0+),
        /// The assignors that the member speaks, the best first.
        protocols: [JoinGroupRequestProtocol] (0+),
        /// Why it joins, for a person (KIP-800).
        reason: string (8+, nullable 8+, default null) ignorable,
    }

    /// An assignor that a member speaks.
    struct JoinGroupRequestProtocol {
        /// Its name.
        name: string (0+),
        /// What the leader has to know of the member: a
        /// `ConsumerProtocolSubscription` in consumers' groups.
        metadata: bytes (0+),
    }

    /// The generation.
    response JoinGroupResponse, JoinGroup 0-9 {
        /// How long the client was held back by a quota, in milliseconds.
        throttle_time_ms: int32 (2+) ignorable,
        /// The error, or 0.
        error_code: int16 (0+),
        /// The generation; -1 for none.
        generation_id: int32 (0+, default -1),
        /// What the group is for.
        protocol_type: string (7+, nullable 7+, default null) ignorable,
        /// The assignor that all members speak.
        protocol_name: string (0+, nullable 7+),
        /// The member that leads, and has to assign.
        leader: string (0+),
        /// Whether the leader need not assign, because nothing changed (KIP-814).
        skip_assignment: bool (9+),
        /// The member's id.
        member_id: string (0+),
        /// All members; told to the leader only.
        members: [JoinGroupResponseMember] (0+),
    }

    /// A member.
    struct JoinGroupResponseMember {
        /// Its id.
        member_id: string (0+),
        /// The name of a static member (KIP-345).
        group_instance_id: string (5+, nullable 5+, default null) ignorable,
        /// What it sent for the assignor.
        metadata: bytes (0+),
    }
}
