//! DescribeGroups (key 15): the state and the members of classic groups.

use crate::codec::declare;

declare! {
    /// Asks what some groups are doing.
    request DescribeGroupsRequest -> DescribeGroupsResponse, DescribeGroups 0-6 {
        /// The groups.
        groups: [string] (0+),
        /// Whether to tell what the client may do with them.
        include_authorized_operations: bool (3+),
    }

    /// The groups.
    response DescribeGroupsResponse, DescribeGroups 0-6 {
        /// How long the client was held back by a quota, in milliseconds.
        throttle_time_ms: int32 (1+) ignorable,
        /// The groups.
        groups: [DescribedGroup] (0+),
    }

    /// A group, or why nothing can be said about it.
    struct DescribedGroup {
        /// The error, or 0.
        error_code: int16 (0+),
        /// What is wrong, for a person.
        error_message: string (6+, nullable 6+, default null),
        /// The group.
        group_id: string (0+),
        /// Its state: `Stable`, `Dead`, …
        group_state: string (0+),
        /// What it is for.
        protocol_type: string (0+),
        /// The assignor.
        protocol_data: string (0+),
        /// The members.
        members: [DescribedGroupMember] (0+),
        /// What the client may do with the group, one bit an operation.
        authorized_operations: int32 (3+, default -2147483648),
    }

    /// A member.
    struct DescribedGroupMember {
        /// Its id.
        member_id: string (0+),
        /// The name of a static member (KIP-345).
        group_instance_id: string (4+, nullable 4+, default null) ignorable,
        /// The client id of its last JoinGroup.
        client_id: string (0+),
        /// The host that it came from.
        client_host: string (0+),
        /// What it sent for the assignor.
        member_metadata: bytes (0+),
        /// What it was assigned.
        member_assignment: bytes (0+),
    }
}
