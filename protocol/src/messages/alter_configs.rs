//! AlterConfigs (key 33): replaces all configurations of a resource. Clients of today send
//! IncrementalAlterConfigs.

use crate::codec::declare;

declare! {
    /// Asks to replace the configurations of some resources.
    request AlterConfigsRequest -> AlterConfigsResponse, AlterConfigs 0-2 {
        /// The resources.
        resources: [AlterConfigsResource] (0+),
        /// Whether to check only.
        validate_only: bool (0+),
    }

    /// A resource and all its configurations.
    struct AlterConfigsResource {
        /// The kind of resource.
        resource_type: int8 (0+),
        /// Its name.
        resource_name: string (0+),
        /// The configurations; those that are not named go back to their defaults.
        configs: [AlterableConfig] (0+),
    }

    /// A configuration.
    struct AlterableConfig {
        /// Its name.
        name: string (0+),
        /// Its value; null goes back to the default.
        value: string (0+, nullable 0+),
    }

    /// What became of each resource.
    response AlterConfigsResponse, AlterConfigs 0-2 {
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
