//! ApiVersions (key 18): what the broker speaks. A client's first question (KIP-511, KIP-584).

use crate::codec::declare;

declare! {
    /// Asks which APIs and versions the broker serves.
    request ApiVersionsRequest -> ApiVersionsResponse, ApiVersions 0-4 {
        /// The client library's name, like `librdkafka`.
        client_software_name: string (3+) ignorable,
        /// The client library's version.
        client_software_version: string (3+) ignorable,
    }

    /// What the broker serves. The header before it never has tagged fields.
    response ApiVersionsResponse, ApiVersions 0-4 {
        /// 35 when the request's version is too new; the answer is then in version 0.
        error_code: int16 (0+),
        /// The APIs served.
        api_keys: [ApiVersion] (0+),
        /// How long the client was held back by a quota, in milliseconds.
        throttle_time_ms: int32 (1+) ignorable,
        /// The features that this broker could run.
        supported_features: [SupportedFeatureKey] (3+, tag 0) ignorable,
        /// The epoch of the finalized features; -1 when unknown.
        finalized_features_epoch: int64 (3+, default -1, tag 1) ignorable,
        /// The features in force in the whole cluster.
        finalized_features: [FinalizedFeatureKey] (3+, tag 2) ignorable,
        /// Whether a migration from ZooKeeper may begin.
        zk_migration_ready: bool (3+, tag 3) ignorable,
    }

    /// One API and the versions of it that are served.
    struct ApiVersion {
        /// The API's key.
        api_key: int16 (0+),
        /// The lowest version.
        min_version: int16 (0+),
        /// The highest version.
        max_version: int16 (0+),
    }

    /// A feature and the levels that the broker supports.
    struct SupportedFeatureKey {
        /// The feature's name, like `metadata.version`.
        name: string (3+),
        /// The lowest level.
        min_version: int16 (3+),
        /// The highest level.
        max_version: int16 (3+),
    }

    /// A feature and the levels in force.
    struct FinalizedFeatureKey {
        /// The feature's name.
        name: string (3+),
        /// The highest level in force.
        max_version_level: int16 (3+),
        /// The lowest level in force.
        min_version_level: int16 (3+),
    }
}
