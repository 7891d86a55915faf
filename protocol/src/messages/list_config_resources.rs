//! ListConfigResources (key 74): what can be configured (KIP-714, KIP-1142). Version 0 was called
//! ListClientMetricsResources, and knows of nothing else.

use crate::codec::declare;

declare! {
    /// Asks for the resources of some kinds.
    request ListConfigResourcesRequest -> ListConfigResourcesResponse, ListConfigResources 0-1 {
        /// The kinds; none asks for all.
        resource_types: [int8] (1+),
    }

    /// The resources.
    response ListConfigResourcesResponse, ListConfigResources 0-1 {
        /// How long the client was held back by a quota, in milliseconds.
        throttle_time_ms: int32 (0+),
        /// The error, or 0.
        error_code: int16 (0+),
        /// The resources.
        config_resources: [ConfigResource] (0+),
    }

    /// A resource.
    struct ConfigResource {
        /// Its name.
        resource_name: string (0+),
        /// Its kind.
        resource_type: int8 (1+, default 16) ignorable,
    }
}
