//! FindCoordinator (key 10): which broker looks after a group, a transactional id or a share group.

use crate::codec::declare;

declare! {
    /// Asks who coordinates some keys.
    request FindCoordinatorRequest -> FindCoordinatorResponse, FindCoordinator 0-6 {
        /// The key.
        key: string (0-3),
        /// What the keys are: 0 groups, 1 transactional ids, 2 share-group partitions.
        key_type: int8 (1+),
        /// The keys.
        coordinator_keys: [string] (4+),
    }

    /// The coordinators; up to version 3 of one key, in the fields themselves.
    response FindCoordinatorResponse, FindCoordinator 0-6 {
        /// How long the client was held back by a quota, in milliseconds.
        throttle_time_ms: int32 (1+) ignorable,
        /// The error, or 0.
        error_code: int16 (0-3),
        /// What is wrong, for a person.
        error_message: string (1-3, nullable 1-3) ignorable,
        /// The coordinator's broker id.
        node_id: int32 (0-3),
        /// Its host name.
        host: string (0-3),
        /// Its port.
        port: int32 (0-3),
        /// The coordinators, by key.
        coordinators: [Coordinator] (4+),
    }

    /// The coordinator of one key.
    struct Coordinator {
        /// The key.
        key: string (4+),
        /// The coordinator's broker id.
        node_id: int32 (4+),
        /// Its host name.
        host: string (4+),
        /// Its port.
        port: int32 (4+),
        /// The error, or 0.
        error_code: int16 (4+),
        /// What is wrong, for a person.
        error_message: string (4+, nullable 4+) ignorable,
    }
}
