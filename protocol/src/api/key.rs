//! The keys of Kafka's APIs, served here or not.

use std::fmt;

use super::VersionRange;

macro_rules! api_keys {
    ($( $name:ident = $code:literal, flexible $flexible:tt, kafka $low:tt $(- $high:literal)?; )*) => {
        /// An API of Kafka's protocol, by its key: all of Kafka 4.4's, whether served here or not.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(i16)]
        pub enum ApiKey {
            $( #[doc = concat!("Key ", $code, ".")] $name = $code, )*
        }

        impl ApiKey {
            /// Every key, in rising order.
            pub const ALL: &'static [Self] = &[$( Self::$name ),*];

            /// The API with this key.
            pub const fn from_code(code: i16) -> Option<Self> {
                match code {
                    $( $code => Some(Self::$name), )*
                    _ => None,
                }
            }

            /// Kafka's name, like `Produce`.
            pub const fn name(self) -> &'static str {
                match self {
                    $( Self::$name => stringify!($name), )*
                }
            }

            /// The first version with compact lengths and tagged fields (KIP-482), if there is one.
            pub const fn first_flexible(self) -> Option<i16> {
                match self {
                    $( Self::$name => api_keys!(@ flexible $flexible), )*
                }
            }

            /// The stable versions that a broker of Kafka 4.3 serves; `None` when it has none.
            pub const fn kafka_versions(self) -> Option<VersionRange> {
                match self {
                    $( Self::$name => api_keys!(@ kafka $low $($high)?), )*
                }
            }
        }
    };
    (@ flexible never) => { None };
    (@ flexible $first:literal) => { Some($first) };
    (@ kafka none) => { None };
    (@ kafka $low:literal $high:literal) => { Some(VersionRange::new($low, $high)) };
}

api_keys! {
    Produce = 0, flexible 9, kafka 3-13;
    Fetch = 1, flexible 12, kafka 4-18;
    ListOffsets = 2, flexible 6, kafka 1-11;
    Metadata = 3, flexible 9, kafka 0-13;
    LeaderAndIsr = 4, flexible 4, kafka none;
    StopReplica = 5, flexible 2, kafka none;
    UpdateMetadata = 6, flexible 6, kafka none;
    ControlledShutdown = 7, flexible 3, kafka none;
    OffsetCommit = 8, flexible 8, kafka 2-10;
    OffsetFetch = 9, flexible 6, kafka 1-10;
    FindCoordinator = 10, flexible 3, kafka 0-6;
    JoinGroup = 11, flexible 6, kafka 0-9;
    Heartbeat = 12, flexible 4, kafka 0-4;
    LeaveGroup = 13, flexible 4, kafka 0-5;
    SyncGroup = 14, flexible 4, kafka 0-5;
    DescribeGroups = 15, flexible 5, kafka 0-6;
    ListGroups = 16, flexible 3, kafka 0-5;
    SaslHandshake = 17, flexible never, kafka 0-1;
    ApiVersions = 18, flexible 3, kafka 0-4;
    CreateTopics = 19, flexible 5, kafka 2-7;
    DeleteTopics = 20, flexible 4, kafka 1-6;
    DeleteRecords = 21, flexible 2, kafka 0-2;
    InitProducerId = 22, flexible 2, kafka 0-5;
    OffsetForLeaderEpoch = 23, flexible 4, kafka 2-4;
    AddPartitionsToTxn = 24, flexible 3, kafka 0-5;
    AddOffsetsToTxn = 25, flexible 3, kafka 0-4;
    EndTxn = 26, flexible 3, kafka 0-5;
    WriteTxnMarkers = 27, flexible 1, kafka 1-2;
    TxnOffsetCommit = 28, flexible 3, kafka 0-5;
    DescribeAcls = 29, flexible 2, kafka 1-3;
    CreateAcls = 30, flexible 2, kafka 1-3;
    DeleteAcls = 31, flexible 2, kafka 1-3;
    DescribeConfigs = 32, flexible 4, kafka 1-4;
    AlterConfigs = 33, flexible 2, kafka 0-2;
    AlterReplicaLogDirs = 34, flexible 2, kafka 1-2;
    DescribeLogDirs = 35, flexible 2, kafka 1-5;
    SaslAuthenticate = 36, flexible 2, kafka 0-2;
    CreatePartitions = 37, flexible 2, kafka 0-3;
    CreateDelegationToken = 38, flexible 2, kafka 1-3;
    RenewDelegationToken = 39, flexible 2, kafka 1-2;
    ExpireDelegationToken = 40, flexible 2, kafka 1-2;
    DescribeDelegationToken = 41, flexible 2, kafka 1-3;
    DeleteGroups = 42, flexible 2, kafka 0-2;
    ElectLeaders = 43, flexible 2, kafka 0-2;
    IncrementalAlterConfigs = 44, flexible 1, kafka 0-1;
    AlterPartitionReassignments = 45, flexible 0, kafka 0-1;
    ListPartitionReassignments = 46, flexible 0, kafka 0-0;
    OffsetDelete = 47, flexible never, kafka 0-0;
    DescribeClientQuotas = 48, flexible 1, kafka 0-1;
    AlterClientQuotas = 49, flexible 1, kafka 0-1;
    DescribeUserScramCredentials = 50, flexible 0, kafka 0-0;
    AlterUserScramCredentials = 51, flexible 0, kafka 0-0;
    Vote = 52, flexible 0, kafka 0-2;
    BeginQuorumEpoch = 53, flexible 1, kafka 0-1;
    EndQuorumEpoch = 54, flexible 1, kafka 0-1;
    DescribeQuorum = 55, flexible 0, kafka 0-2;
    AlterPartition = 56, flexible 0, kafka 2-3;
    UpdateFeatures = 57, flexible 0, kafka 0-2;
    Envelope = 58, flexible 0, kafka 0-0;
    FetchSnapshot = 59, flexible 0, kafka 0-1;
    DescribeCluster = 60, flexible 0, kafka 0-2;
    DescribeProducers = 61, flexible 0, kafka 0-0;
    BrokerRegistration = 62, flexible 0, kafka 0-4;
    BrokerHeartbeat = 63, flexible 0, kafka 0-2;
    UnregisterBroker = 64, flexible 0, kafka 0-0;
    DescribeTransactions = 65, flexible 0, kafka 0-0;
    ListTransactions = 66, flexible 0, kafka 0-2;
    AllocateProducerIds = 67, flexible 0, kafka 0-0;
    ConsumerGroupHeartbeat = 68, flexible 0, kafka 0-1;
    ConsumerGroupDescribe = 69, flexible 0, kafka 0-1;
    ControllerRegistration = 70, flexible 0, kafka 0-0;
    GetTelemetrySubscriptions = 71, flexible 0, kafka 0-0;
    PushTelemetry = 72, flexible 0, kafka 0-0;
    AssignReplicasToDirs = 73, flexible 0, kafka 0-0;
    ListConfigResources = 74, flexible 0, kafka 0-1;
    DescribeTopicPartitions = 75, flexible 0, kafka 0-0;
    ShareGroupHeartbeat = 76, flexible 0, kafka 1-1;
    ShareGroupDescribe = 77, flexible 0, kafka 1-1;
    ShareFetch = 78, flexible 0, kafka 1-2;
    ShareAcknowledge = 79, flexible 0, kafka 1-2;
    AddRaftVoter = 80, flexible 0, kafka 0-1;
    RemoveRaftVoter = 81, flexible 0, kafka 0-0;
    UpdateRaftVoter = 82, flexible 0, kafka 0-0;
    InitializeShareGroupState = 83, flexible 0, kafka 0-0;
    ReadShareGroupState = 84, flexible 0, kafka 0-0;
    WriteShareGroupState = 85, flexible 0, kafka 0-1;
    DeleteShareGroupState = 86, flexible 0, kafka 0-0;
    ReadShareGroupStateSummary = 87, flexible 0, kafka 0-1;
    StreamsGroupHeartbeat = 88, flexible 0, kafka 0-0;
    StreamsGroupDescribe = 89, flexible 0, kafka 0-0;
    DescribeShareGroupOffsets = 90, flexible 0, kafka 0-1;
    AlterShareGroupOffsets = 91, flexible 0, kafka 0-0;
    DeleteShareGroupOffsets = 92, flexible 0, kafka 0-0;
    StreamsGroupTopologyDescriptionUpdate = 93, flexible 0, kafka none;
    UnregisterController = 94, flexible 0, kafka none;
}

impl ApiKey {
    /// The key's number.
    pub const fn code(self) -> i16 {
        self as i16
    }

    /// Whether this version has compact lengths and tagged fields.
    pub const fn is_flexible(self, version: i16) -> bool {
        match self.first_flexible() {
            Some(first) => version >= first,
            None => false,
        }
    }
}

impl fmt::Display for ApiKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_run_from_0_to_94_without_a_gap() {
        let codes: Vec<i16> = ApiKey::ALL.iter().map(|key| key.code()).collect();
        assert_eq!(codes, (0..=94).collect::<Vec<i16>>());
        for key in ApiKey::ALL {
            assert_eq!(ApiKey::from_code(key.code()), Some(*key));
        }
        assert_eq!(ApiKey::from_code(-1), None);
        assert_eq!(ApiKey::from_code(95), None);
    }

    #[test]
    fn flexible_versions_begin_where_kafka_begins_them() {
        assert!(!ApiKey::Produce.is_flexible(8));
        assert!(ApiKey::Produce.is_flexible(9));
        assert!(!ApiKey::SaslHandshake.is_flexible(1));
    }
}
