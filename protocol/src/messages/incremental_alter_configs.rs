//! IncrementalAlterConfigs (key 44): changes single configurations of a resource (KIP-339).

use crate::codec::declare;

declare! {
    /// Asks to change configurations of some resources.
    request IncrementalAlterConfigsRequest -> IncrementalAlterConfigsResponse, IncrementalAlterConfigs 0-1 {
        /// The resources.
        resources: [AlterConfigsResource] (0+),
        /// Whether to check only.
        validate_only: bool (0+),
    }

    /// A resource and what to change in it.
    struct AlterConfigsResource {
        /// The kind of resource.
        resource_type: int8 (0+),
        /// Its name.
        resource_name: string (0+),
        /// The changes.
        configs: [AlterableConfig] (0+),
    }

    /// A change of one configuration.
    struct AlterableConfig {
        /// Its name.
        name: string (0+),
        /// 0 sets, 1 goes back to the default, 2 appends to a list, 3 takes out of a list.
        config_operation: int8 (0+),
        /// The value.
        value: string (0+, nullable 0+),
    }

    /// What became of each resource.
    response IncrementalAlterConfigsResponse, IncrementalAlterConfigs 0-1 {
        /// How long the client was held back by a quota, in milliseconds.
        throttle_time_ms: int32 (0+),
        /// The outcomes.
        responses: [AlterConfigsResourceResponse] (0+),
    }

    /// The outcome of one resource.
    struct AlterConfigsResourceResponse {
        /// The error, or 0.
        error_code: int16 (0+),
        /// What is wrong, for a person.
        error_message: string (0+, nullable 0+),
        /// The kind of resource.
        resource_type: int8 (0+),
        /// Its name.
        resource_name: string (0+),
    }
}
