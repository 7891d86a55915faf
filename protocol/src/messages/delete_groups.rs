//! DeleteGroups (key 42): deletes groups that have no members, with their offsets.

use crate::codec::declare;

declare! {
    /// Asks to delete groups.
    request DeleteGroupsRequest -> DeleteGroupsResponse, DeleteGroups 0-2 {
        /// The groups.
        groups_names: [string] (0+),
    }

    /// What became of each group.
    response DeleteGroupsResponse, DeleteGroups 0-2 {
        /// How long the client was held back by a quota, in milliseconds.
        throttle_time_ms: int32 (0+),
        /// The outcomes.
        results: [DeletableGroupResult] (0+),
    }

    /// The outcome of one group.
    struct DeletableGroupResult {
        /// The group.
        group_id: string (0+),
        /// The error, or 0.
        error_code: int16 (0+),
    }
}
