//! THE table of APIs: what this broker serves, in which versions, where, and under which quota.
//!
//! An API is added here with one row, and nothing that has no row is ever advertised: ApiVersions
//! answers from [`TABLE`]. The row names the request's struct too, so code that has to do something
//! for each API is written once, with [`for_each_api!`](crate::for_each_api). A message whose handler
//! is still to come has its row in [`for_each_unserved_api!`](crate::for_each_unserved_api).

mod key;

use std::fmt;

pub use key::ApiKey;

/// Versions from `min` to `max`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionRange {
    /// The lowest version.
    pub min: i16,
    /// The highest version.
    pub max: i16,
}

impl VersionRange {
    /// Versions `min` to `max`, both included.
    pub const fn new(min: i16, max: i16) -> Self {
        Self { min, max }
    }

    /// Whether `version` is one of them.
    pub const fn contains(&self, version: i16) -> bool {
        self.min <= version && version <= self.max
    }

    /// The versions, from the lowest.
    pub fn iter(&self) -> std::ops::RangeInclusive<i16> {
        self.min..=self.max
    }
}

impl fmt::Display for VersionRange {
    /// `3-13`, or `0` when there is one version only.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.min == self.max {
            true => write!(formatter, "{}", self.min),
            false => write!(formatter, "{}-{}", self.min, self.max),
        }
    }
}

/// The kinds of listener that serve an API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listeners {
    /// Brokers.
    Broker,
    /// Controllers.
    Controller,
    /// Brokers and controllers.
    Both,
}

/// The quota that a request counts against, over and above its time on the request handlers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Throttle {
    /// `producer_byte_rate`, by the bytes produced.
    Produce,
    /// `consumer_byte_rate`, by the bytes fetched.
    Fetch,
    /// `controller_mutation_rate`, by the partitions made or deleted.
    Mutation,
    /// `request_percentage` only.
    Request,
    /// None: the request belongs to the cluster's own work.
    Never,
}

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApiSpec {
    /// The API.
    pub key: ApiKey,
    /// Kafka's name of it.
    pub name: &'static str,
    /// The lowest version served.
    pub min: i16,
    /// The highest version served.
    pub max: i16,
    /// The lowest version that ApiVersions tells. Lower than `min` where old clients need to see it
    /// (Produce, KAFKA-18659); what lies between is refused when it is sent.
    pub advertised_min: i16,
    /// The first version with compact lengths and tagged fields (KIP-482), if there is one.
    pub first_flexible: Option<i16>,
    /// The listeners that serve it.
    pub listeners: Listeners,
    /// The quota that it counts against.
    pub throttle: Throttle,
    /// What a reader of `docs/protocol-support.md` should know.
    pub note: &'static str,
}

impl ApiSpec {
    /// Whether requests of this version are served.
    pub const fn serves(&self, version: i16) -> bool {
        self.versions().contains(version)
    }

    /// The versions served.
    pub const fn versions(&self) -> VersionRange {
        VersionRange::new(self.min, self.max)
    }
}

/// Calls the macro `$each` with every row of the table:
/// `Key RequestStruct, versions MIN-MAX (from ADVERTISED_MIN), Listeners, Throttle, "note";`
#[macro_export]
macro_rules! for_each_api {
    ($each:ident) => {
        $each! {
            Produce ProduceRequest, 3-13 (from 0), Broker, Produce,
                "0 to 2 are advertised, because librdkafka would turn compression off otherwise, and refused when sent";
            Fetch FetchRequest, 4-18 (from 4), Both, Fetch, "";
            ListOffsets ListOffsetsRequest, 1-11 (from 1), Broker, Request, "";
            Metadata MetadataRequest, 0-13 (from 0), Broker, Request, "";
            OffsetCommit OffsetCommitRequest, 2-10 (from 2), Broker, Request, "";
            OffsetFetch OffsetFetchRequest, 1-10 (from 1), Broker, Request, "";
            FindCoordinator FindCoordinatorRequest, 0-6 (from 0), Broker, Request, "";
            JoinGroup JoinGroupRequest, 0-9 (from 0), Broker, Request, "";
            Heartbeat HeartbeatRequest, 0-4 (from 0), Broker, Request, "";
            LeaveGroup LeaveGroupRequest, 0-5 (from 0), Broker, Request, "";
            SyncGroup SyncGroupRequest, 0-5 (from 0), Broker, Request, "";
            DescribeGroups DescribeGroupsRequest, 0-6 (from 0), Broker, Request, "";
            ListGroups ListGroupsRequest, 0-5 (from 0), Broker, Request, "";
            ApiVersions ApiVersionsRequest, 0-4 (from 0), Both, Request,
                "a newer version is answered in version 0, with error 35 and the range";
            CreateTopics CreateTopicsRequest, 2-7 (from 2), Both, Mutation, "";
            DeleteTopics DeleteTopicsRequest, 1-6 (from 1), Both, Mutation, "";
            DeleteRecords DeleteRecordsRequest, 0-2 (from 0), Broker, Request, "";
            InitProducerId InitProducerIdRequest, 0-5 (from 0), Broker, Request,
                "6 is unstable in Kafka";
            OffsetForLeaderEpoch OffsetForLeaderEpochRequest, 2-4 (from 2), Broker, Request, "";
            DescribeConfigs DescribeConfigsRequest, 1-4 (from 1), Both, Request, "";
            AlterConfigs AlterConfigsRequest, 0-2 (from 0), Both, Request, "";
            DescribeLogDirs DescribeLogDirsRequest, 1-5 (from 1), Broker, Request, "";
            CreatePartitions CreatePartitionsRequest, 0-3 (from 0), Both, Mutation, "";
            DeleteGroups DeleteGroupsRequest, 0-2 (from 0), Broker, Request, "";
            IncrementalAlterConfigs IncrementalAlterConfigsRequest, 0-1 (from 0), Both, Request, "";
            OffsetDelete OffsetDeleteRequest, 0-0 (from 0), Broker, Request, "";
            DescribeCluster DescribeClusterRequest, 0-2 (from 0), Both, Request, "";
            DescribeProducers DescribeProducersRequest, 0-0 (from 0), Broker, Request, "";
            ConsumerGroupHeartbeat ConsumerGroupHeartbeatRequest, 0-1 (from 0), Broker, Request, "";
            ConsumerGroupDescribe ConsumerGroupDescribeRequest, 0-1 (from 0), Broker, Request, "";
            ListConfigResources ListConfigResourcesRequest, 0-1 (from 0), Broker, Request, "";
            DescribeTopicPartitions DescribeTopicPartitionsRequest, 0-0 (from 0), Broker, Request, "";
        }
    };
}

/// Calls the macro `$each` with the rows of APIs whose messages are here and whose handlers are not:
/// they are tested as all others and never advertised. To serve one, move its row to
/// [`for_each_api!`](crate::for_each_api), to the place of its key.
#[macro_export]
macro_rules! for_each_unserved_api {
    ($each:ident) => {
        $each! {}
    };
}

macro_rules! table {
    ($( $key:ident $request:ident, $min:literal - $max:literal (from $advertised:literal),
        $listeners:ident, $throttle:ident, $note:literal; )*) => {
        /// The APIs served, by rising key.
        pub const TABLE: &[ApiSpec] = &[$( ApiSpec {
            key: ApiKey::$key,
            name: stringify!($key),
            min: $min,
            max: $max,
            advertised_min: $advertised,
            first_flexible: ApiKey::$key.first_flexible(),
            listeners: Listeners::$listeners,
            throttle: Throttle::$throttle,
            note: $note,
        } ),*];
    };
}

for_each_api!(table);

/// The row of an API; `None` when it is not served.
pub fn spec(key: ApiKey) -> Option<&'static ApiSpec> {
    let row = TABLE.binary_search_by_key(&key, |row| row.key).ok()?;
    TABLE.get(row)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_by_rising_key_and_are_found() {
        assert!(TABLE.is_sorted_by(|left, right| left.key < right.key));
        for row in TABLE {
            assert_eq!(spec(row.key), Some(row));
            assert!(row.advertised_min <= row.min, "{}", row.name);
        }
        assert_eq!(spec(ApiKey::LeaderAndIsr), None);
    }

    #[test]
    fn nothing_is_served_that_kafka_does_not_have() {
        for row in TABLE {
            let kafka = row.key.kafka_versions().unwrap();
            assert!(kafka.contains(row.min) && kafka.contains(row.max), "{}", row.name);
        }
    }
}
