//! ListGroups (key 16): the groups that a broker coordinates.

use crate::codec::declare;

declare! {
    /// Asks for groups.
    request ListGroupsRequest -> ListGroupsResponse, ListGroups 0-5 {
        /// The states to tell of (KIP-518); none asks for all.
        states_filter: [string] (4+),
        /// The types to tell of (KIP-848): `classic`, `consumer`, …; none asks for all.
        types_filter: [string] (5+),
    }

    /// The groups.
    response ListGroupsResponse, ListGroups 0-5 {
        /// How long the client was held back by a quota, in milliseconds.
        throttle_time_ms: int32 (1+) ignorable,
        /// The error, or 0.
        error_code: int16 (0+),
        /// The groups.
        groups: [ListedGroup] (0+),
    }

    /// A group.
    struct ListedGroup {
        /// Its id.
        group_id: string (0+),
        /// What it is for.
        protocol_type: string (0+),
        /// Its state.
        group_state: string (4+) ignorable,
        /// Its type.
        group_type: string (5+) ignorable,
    }
}
