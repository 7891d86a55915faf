//! Classic groups.

use super::Written;
use crate::codec::declare;

declare! {
    /// Names a classic group.
    data GroupMetadataKey: 0-0 flexible never {
        /// The group.
        group: string (0+),
    }

    /// A generation of a classic group.
    data GroupMetadataValue: 0-4 flexible 4 {
        /// What the group is for.
        protocol_type: string (0+),
        /// The generation.
        generation: int32 (0+),
        /// The assignor; null when the group is empty.
        protocol: string (0+, nullable 0+),
        /// The member that leads; null when the group is empty.
        leader: string (0+, nullable 0+),
        /// When the group came into its state, in milliseconds since the epoch; -1 when unknown.
        current_state_timestamp: int64 (2+, default -1) ignorable,
        /// The members.
        members: [MemberMetadata] (0+),
    }

    /// A member.
    struct MemberMetadata {
        /// Its id.
        member_id: string (0+),
        /// The name of a static member (KIP-345).
        group_instance_id: string (3+, nullable 3+, default null) ignorable,
        /// Its client id.
        client_id: string (0+),
        /// The host that it came from.
        client_host: string (0+),
        /// How long it has to join again, in milliseconds; -1 for the session timeout.
        rebalance_timeout: int32 (1+, default -1) ignorable,
        /// How long it may be silent, in milliseconds.
        session_timeout: int32 (0+),
        /// What it sent for the assignor.
        subscription: bytes (0+),
        /// What it was assigned.
        assignment: bytes (0+),
    }
}

impl Written for GroupMetadataValue {
    /// Kafka writes the version before the newest, which differs in nothing but the form of lengths.
    fn written_version(&self) -> i16 {
        3
    }
}
