//! DescribeConfigs (key 32): values, where they come from, and what else would apply (KIP-226).
//!
//! A source is 1 for a topic's own value, 2 for a broker's dynamic one, 3 for the cluster's dynamic
//! default, 4 for the broker's properties file, 5 for the built-in default, 6 for a broker's log
//! levels, 7 for client metrics and 8 for a group. The kinds of resource are in [`ids`](crate::ids).

use crate::codec::declare;

declare! {
    /// Asks for the configurations of some resources.
    request DescribeConfigsRequest -> DescribeConfigsResponse, DescribeConfigs 1-4 {
        /// The resources.
        resources: [DescribeConfigsResource] (0+),
        /// Whether to tell what else would apply.
        include_synonyms: bool (1+),
        /// Whether to tell what each configuration is for.
        include_documentation: bool (3+),
    }

    /// A resource that is asked for.
    struct DescribeConfigsResource {
        /// The kind of resource.
        resource_type: int8 (0+),
        /// Its name.
        resource_name: string (0+),
        /// The configurations; null asks for all.
        configuration_keys: [string] (0+, nullable 0+),
    }

    /// The configurations.
    response DescribeConfigsResponse, DescribeConfigs 1-4 {
        /// How long the client was held back by a quota, in milliseconds.
        throttle_time_ms: int32 (0+),
        /// The configurations, by resource.
        results: [DescribeConfigsResult] (0+),
    }

    /// The configurations of one resource.
    struct DescribeConfigsResult {
        /// The error, or 0.
        error_code: int16 (0+),
        /// What is wrong, for a person.
        error_message: string (0+, nullable 0+),
        /// The kind of resource.
        resource_type: int8 (0+),
        /// Its name.
        resource_name: string (0+),
        /// Its configurations.
        configs: [DescribeConfigsResourceResult] (0+),
    }

    /// A configuration.
    struct DescribeConfigsResourceResult {
        /// Its name.
        name: string (0+),
        /// Its value; null when it is secret or not set.
        value: string (0+, nullable 0+),
        /// Whether it can't be changed.
        read_only: bool (0+),
        /// Where the value comes from.
        config_source: int8 (1+, default -1) ignorable,
        /// Whether the value is secret.
        is_sensitive: bool (0+),
        /// The values that apply, the effective one first.
        synonyms: [DescribeConfigsSynonym] (1+) ignorable,
        /// Its type: 1 bool, 2 string, 3 int, 4 short, 5 long, 6 double, 7 list, 8 class,
        /// 9 password; 0 unknown.
        config_type: int8 (3+) ignorable,
        /// What it is for, for a person.
        documentation: string (3+, nullable 0+) ignorable,
    }

    /// A value that applies to the configuration, perhaps under another name.
    struct DescribeConfigsSynonym {
        /// The name under which it is set.
        name: string (1+),
        /// The value.
        value: string (1+, nullable 0+),
        /// Where the value comes from.
        source: int8 (1+),
    }
}
