//! Kafka's error codes: number, name, whether a client should try again, and one line for a person.

use std::fmt;

macro_rules! error_codes {
    ($( $variant:ident = $code:literal $name:ident $retry:ident $message:literal; )*) => {
        /// An error code as it stands in responses (`int16`), in Kafka 4.3's numbering.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(i16)]
        pub enum ErrorCode {
            $( #[doc = concat!("`", stringify!($name), "` (", $code, "): ", $message, ".")]
               $variant = $code, )*
        }

        impl ErrorCode {
            /// Every code, in rising order.
            pub const ALL: &'static [Self] = &[$( Self::$variant ),*];

            /// The code with this number, if Kafka 4.3 has one.
            pub const fn known(code: i16) -> Option<Self> {
                match code {
                    $( $code => Some(Self::$variant), )*
                    _ => None,
                }
            }

            /// Kafka's name, like `UNKNOWN_TOPIC_OR_PARTITION`.
            pub const fn name(self) -> &'static str {
                match self {
                    $( Self::$variant => stringify!($name), )*
                }
            }

            /// Whether the same request may succeed when it is sent again later (perhaps to another
            /// broker, after a metadata refresh).
            pub const fn is_retriable(self) -> bool {
                match self {
                    $( Self::$variant => error_codes!(@ $retry), )*
                }
            }

            /// One lower-case line that says what went wrong.
            pub const fn message(self) -> &'static str {
                match self {
                    $( Self::$variant => $message, )*
                }
            }
        }
    };
    (@ retry) => { true };
    (@ final) => { false };
}

error_codes! {
    UnknownServerError = -1 UNKNOWN_SERVER_ERROR final "the broker met an unexpected error";
    None = 0 NONE final "success";
    OffsetOutOfRange = 1 OFFSET_OUT_OF_RANGE final "the offset is outside the partition's log";
    CorruptMessage = 2 CORRUPT_MESSAGE retry "the batch is damaged: wrong CRC, wrong size, or no key on a compacted topic";
    UnknownTopicOrPartition = 3 UNKNOWN_TOPIC_OR_PARTITION retry "this broker does not host the topic or partition";
    InvalidFetchSize = 4 INVALID_FETCH_SIZE final "the fetch size is not valid";
    LeaderNotAvailable = 5 LEADER_NOT_AVAILABLE retry "the partition has no leader at the moment";
    NotLeaderOrFollower = 6 NOT_LEADER_OR_FOLLOWER retry "this broker is neither the leader nor a replica that may answer";
    RequestTimedOut = 7 REQUEST_TIMED_OUT retry "the request took longer than its timeout";
    BrokerNotAvailable = 8 BROKER_NOT_AVAILABLE final "the broker is not available";
    ReplicaNotAvailable = 9 REPLICA_NOT_AVAILABLE retry "the replica is not available";
    MessageTooLarge = 10 MESSAGE_TOO_LARGE final "the batch is larger than max.message.bytes allows";
    StaleControllerEpoch = 11 STALE_CONTROLLER_EPOCH final "the request carries the epoch of a former controller";
    OffsetMetadataTooLarge = 12 OFFSET_METADATA_TOO_LARGE final "the metadata of the committed offset is too large";
    NetworkException = 13 NETWORK_EXCEPTION retry "the connection closed before the answer came";
    CoordinatorLoadInProgress = 14 COORDINATOR_LOAD_IN_PROGRESS retry "the coordinator is still loading its state";
    CoordinatorNotAvailable = 15 COORDINATOR_NOT_AVAILABLE retry "no coordinator is available";
    NotCoordinator = 16 NOT_COORDINATOR retry "this broker is not the coordinator asked for";
    InvalidTopicException = 17 INVALID_TOPIC_EXCEPTION final "the topic name is not valid or the topic may not be used so";
    RecordListTooLarge = 18 RECORD_LIST_TOO_LARGE final "the batch is larger than a segment";
    NotEnoughReplicas = 19 NOT_ENOUGH_REPLICAS retry "too few replicas are in sync for acks=all";
    NotEnoughReplicasAfterAppend = 20 NOT_ENOUGH_REPLICAS_AFTER_APPEND retry "the batch was written, but to fewer in-sync replicas than required";
    InvalidRequiredAcks = 21 INVALID_REQUIRED_ACKS final "acks must be 0, 1 or -1";
    IllegalGeneration = 22 ILLEGAL_GENERATION final "the group's generation has moved on";
    InconsistentGroupProtocol = 23 INCONSISTENT_GROUP_PROTOCOL final "the member's protocols do not fit the group's";
    InvalidGroupId = 24 INVALID_GROUP_ID final "the group id is not valid";
    UnknownMemberId = 25 UNKNOWN_MEMBER_ID final "the coordinator does not know this member";
    InvalidSessionTimeout = 26 INVALID_SESSION_TIMEOUT final "the session timeout is outside the broker's limits";
    RebalanceInProgress = 27 REBALANCE_IN_PROGRESS final "the group is rebalancing: join again";
    InvalidCommitOffsetSize = 28 INVALID_COMMIT_OFFSET_SIZE final "the committed offset is too large to store";
    TopicAuthorizationFailed = 29 TOPIC_AUTHORIZATION_FAILED final "not authorized for the topic";
    GroupAuthorizationFailed = 30 GROUP_AUTHORIZATION_FAILED final "not authorized for the group";
    ClusterAuthorizationFailed = 31 CLUSTER_AUTHORIZATION_FAILED final "not authorized for the cluster";
    InvalidTimestamp = 32 INVALID_TIMESTAMP final "the record's timestamp is out of range";
    UnsupportedSaslMechanism = 33 UNSUPPORTED_SASL_MECHANISM final "the broker does not offer this SASL mechanism";
    IllegalSaslState = 34 ILLEGAL_SASL_STATE final "the request does not fit the state of SASL authentication";
    UnsupportedVersion = 35 UNSUPPORTED_VERSION final "the broker does not serve this version of the API";
    TopicAlreadyExists = 36 TOPIC_ALREADY_EXISTS final "a topic with this name exists already";
    InvalidPartitions = 37 INVALID_PARTITIONS final "the number of partitions is not valid";
    InvalidReplicationFactor = 38 INVALID_REPLICATION_FACTOR final "the replication factor is below 1 or above the number of brokers";
    InvalidReplicaAssignment = 39 INVALID_REPLICA_ASSIGNMENT final "the replica assignment is not valid";
    InvalidConfig = 40 INVALID_CONFIG final "the configuration is not valid";
    NotController = 41 NOT_CONTROLLER retry "this node is not the active controller";
    InvalidRequest = 42 INVALID_REQUEST final "the request is not well formed; see the broker's log";
    UnsupportedForMessageFormat = 43 UNSUPPORTED_FOR_MESSAGE_FORMAT final "the message format does not allow this";
    PolicyViolation = 44 POLICY_VIOLATION final "a policy of the cluster forbids this";
    OutOfOrderSequenceNumber = 45 OUT_OF_ORDER_SEQUENCE_NUMBER final "the sequence number is not the next one";
    DuplicateSequenceNumber = 46 DUPLICATE_SEQUENCE_NUMBER final "the sequence number was written before";
    InvalidProducerEpoch = 47 INVALID_PRODUCER_EPOCH final "the producer's epoch is older than the current one";
    InvalidTxnState = 48 INVALID_TXN_STATE final "the transaction's state does not allow this";
    InvalidProducerIdMapping = 49 INVALID_PRODUCER_ID_MAPPING final "the producer id is not the one of this transactional id";
    InvalidTransactionTimeout = 50 INVALID_TRANSACTION_TIMEOUT final "the transaction timeout is above transaction.max.timeout.ms";
    ConcurrentTransactions = 51 CONCURRENT_TRANSACTIONS retry "another operation on the same transaction is under way";
    TransactionCoordinatorFenced = 52 TRANSACTION_COORDINATOR_FENCED final "the marker comes from a former transaction coordinator";
    TransactionalIdAuthorizationFailed = 53 TRANSACTIONAL_ID_AUTHORIZATION_FAILED final "not authorized for the transactional id";
    SecurityDisabled = 54 SECURITY_DISABLED final "no authorizer is configured";
    OperationNotAttempted = 55 OPERATION_NOT_ATTEMPTED final "the operation was not attempted, because another one of the request failed";
    KafkaStorageError = 56 KAFKA_STORAGE_ERROR retry "the log directory of the partition is offline or the disk failed";
    LogDirNotFound = 57 LOG_DIR_NOT_FOUND final "the broker has no such log directory";
    SaslAuthenticationFailed = 58 SASL_AUTHENTICATION_FAILED final "SASL authentication failed";
    UnknownProducerId = 59 UNKNOWN_PRODUCER_ID final "the broker holds no state of this producer id";
    ReassignmentInProgress = 60 REASSIGNMENT_IN_PROGRESS final "the partition is being reassigned";
    DelegationTokenAuthDisabled = 61 DELEGATION_TOKEN_AUTH_DISABLED final "delegation tokens are not enabled";
    DelegationTokenNotFound = 62 DELEGATION_TOKEN_NOT_FOUND final "the broker knows no such delegation token";
    DelegationTokenOwnerMismatch = 63 DELEGATION_TOKEN_OWNER_MISMATCH final "the principal neither owns nor may renew the token";
    DelegationTokenRequestNotAllowed = 64 DELEGATION_TOKEN_REQUEST_NOT_ALLOWED final "delegation tokens can't be asked for over this channel";
    DelegationTokenAuthorizationFailed = 65 DELEGATION_TOKEN_AUTHORIZATION_FAILED final "not authorized for the delegation token";
    DelegationTokenExpired = 66 DELEGATION_TOKEN_EXPIRED final "the delegation token has expired";
    InvalidPrincipalType = 67 INVALID_PRINCIPAL_TYPE final "the principal type is not supported";
    NonEmptyGroup = 68 NON_EMPTY_GROUP final "the group still has members";
    GroupIdNotFound = 69 GROUP_ID_NOT_FOUND final "there is no such group";
    FetchSessionIdNotFound = 70 FETCH_SESSION_ID_NOT_FOUND retry "there is no such fetch session: begin a new one";
    InvalidFetchSessionEpoch = 71 INVALID_FETCH_SESSION_EPOCH retry "the fetch session's epoch is not the expected one";
    ListenerNotFound = 72 LISTENER_NOT_FOUND retry "the leader has no listener with the name of this one";
    TopicDeletionDisabled = 73 TOPIC_DELETION_DISABLED final "topics can't be deleted: delete.topic.enable is false";
    FencedLeaderEpoch = 74 FENCED_LEADER_EPOCH retry "the request's leader epoch is older than the broker's";
    UnknownLeaderEpoch = 75 UNKNOWN_LEADER_EPOCH retry "the request's leader epoch is newer than the broker's";
    UnsupportedCompressionType = 76 UNSUPPORTED_COMPRESSION_TYPE final "this version of the API can't carry the batch's compression type";
    StaleBrokerEpoch = 77 STALE_BROKER_EPOCH final "the broker has registered again since";
    OffsetNotAvailable = 78 OFFSET_NOT_AVAILABLE retry "the new leader's high watermark is not known yet";
    MemberIdRequired = 79 MEMBER_ID_REQUIRED final "join again with the member id of this answer";
    PreferredLeaderNotAvailable = 80 PREFERRED_LEADER_NOT_AVAILABLE retry "the preferred leader is not available";
    GroupMaxSizeReached = 81 GROUP_MAX_SIZE_REACHED final "the group has as many members as it may";
    FencedInstanceId = 82 FENCED_INSTANCE_ID final "another member has taken over this group.instance.id";
    EligibleLeadersNotAvailable = 83 ELIGIBLE_LEADERS_NOT_AVAILABLE retry "no replica that may lead is available";
    ElectionNotNeeded = 84 ELECTION_NOT_NEEDED retry "no election is needed";
    NoReassignmentInProgress = 85 NO_REASSIGNMENT_IN_PROGRESS final "no reassignment is under way";
    GroupSubscribedToTopic = 86 GROUP_SUBSCRIBED_TO_TOPIC final "the group is subscribed to the topic";
    InvalidRecord = 87 INVALID_RECORD final "the broker refused a record";
    UnstableOffsetCommit = 88 UNSTABLE_OFFSET_COMMIT retry "offsets of an unfinished transaction are pending";
    ThrottlingQuotaExceeded = 89 THROTTLING_QUOTA_EXCEEDED retry "a quota is exhausted: slow down";
    ProducerFenced = 90 PRODUCER_FENCED final "a newer producer with this transactional id has taken over";
    ResourceNotFound = 91 RESOURCE_NOT_FOUND final "there is no such resource";
    DuplicateResource = 92 DUPLICATE_RESOURCE final "the resource is named twice";
    UnacceptableCredential = 93 UNACCEPTABLE_CREDENTIAL final "the credential does not meet the requirements";
    InconsistentVoterSet = 94 INCONSISTENT_VOTER_SET final "sender and receiver disagree on the set of voters";
    InvalidUpdateVersion = 95 INVALID_UPDATE_VERSION final "the feature version is not valid";
    FeatureUpdateFailed = 96 FEATURE_UPDATE_FAILED final "the features could not be updated";
    PrincipalDeserializationFailure = 97 PRINCIPAL_DESERIALIZATION_FAILURE final "the forwarded principal could not be read";
    SnapshotNotFound = 98 SNAPSHOT_NOT_FOUND final "there is no such snapshot";
    PositionOutOfRange = 99 POSITION_OUT_OF_RANGE final "the position is outside the snapshot";
    UnknownTopicId = 100 UNKNOWN_TOPIC_ID retry "this broker hosts no topic with this id";
    DuplicateBrokerRegistration = 101 DUPLICATE_BROKER_REGISTRATION final "another broker uses this broker id";
    BrokerIdNotRegistered = 102 BROKER_ID_NOT_REGISTERED final "no broker with this id is registered";
    InconsistentTopicId = 103 INCONSISTENT_TOPIC_ID retry "the topic id is not the one of the log";
    InconsistentClusterId = 104 INCONSISTENT_CLUSTER_ID final "the cluster id is not the one of this cluster";
    TransactionalIdNotFound = 105 TRANSACTIONAL_ID_NOT_FOUND final "there is no such transactional id";
    FetchSessionTopicIdError = 106 FETCH_SESSION_TOPIC_ID_ERROR retry "the fetch session mixes topic names and topic ids";
    IneligibleReplica = 107 INELIGIBLE_REPLICA final "a replica of the new ISR may not join it";
    NewLeaderElected = 108 NEW_LEADER_ELECTED final "the partition was changed and has another leader now";
    OffsetMovedToTieredStorage = 109 OFFSET_MOVED_TO_TIERED_STORAGE final "the offset has moved to tiered storage";
    FencedMemberEpoch = 110 FENCED_MEMBER_EPOCH final "the coordinator fenced the member: give up all partitions and join again";
    UnreleasedInstanceId = 111 UNRELEASED_INSTANCE_ID final "another member still uses this instance id";
    UnsupportedAssignor = 112 UNSUPPORTED_ASSIGNOR final "the group does not support this assignor";
    StaleMemberEpoch = 113 STALE_MEMBER_EPOCH final "the member's epoch is old: send a heartbeat first";
    MismatchedEndpointType = 114 MISMATCHED_ENDPOINT_TYPE final "this listener does not serve requests of this kind";
    UnsupportedEndpointType = 115 UNSUPPORTED_ENDPOINT_TYPE final "this kind of endpoint is not supported";
    UnknownControllerId = 116 UNKNOWN_CONTROLLER_ID final "there is no controller with this id";
    UnknownSubscriptionId = 117 UNKNOWN_SUBSCRIPTION_ID final "the telemetry subscription is not the current one";
    TelemetryTooLarge = 118 TELEMETRY_TOO_LARGE final "the telemetry is larger than telemetry.max.bytes";
    InvalidRegistration = 119 INVALID_REGISTRATION final "the broker's registration is not valid";
    TransactionAbortable = 120 TRANSACTION_ABORTABLE final "the transaction failed: abort it and go on";
    InvalidRecordState = 121 INVALID_RECORD_STATE final "the record's delivery state does not allow this";
    ShareSessionNotFound = 122 SHARE_SESSION_NOT_FOUND retry "there is no such share session: begin a new one";
    InvalidShareSessionEpoch = 123 INVALID_SHARE_SESSION_EPOCH retry "the share session's epoch is not the expected one";
    FencedStateEpoch = 124 FENCED_STATE_EPOCH final "the share group's state epoch is not the expected one";
    InvalidVoterKey = 125 INVALID_VOTER_KEY final "the voter's key is not the one of this replica";
    DuplicateVoter = 126 DUPLICATE_VOTER final "the voter is one of the voters already";
    VoterNotFound = 127 VOTER_NOT_FOUND final "the voter is none of the voters";
    InvalidRegularExpression = 128 INVALID_REGULAR_EXPRESSION final "the regular expression is not valid";
    RebootstrapRequired = 129 REBOOTSTRAP_REQUIRED final "the client's metadata is too old: bootstrap again";
    StreamsInvalidTopology = 130 STREAMS_INVALID_TOPOLOGY final "the topology is not valid";
    StreamsInvalidTopologyEpoch = 131 STREAMS_INVALID_TOPOLOGY_EPOCH final "the topology's epoch is not valid";
    StreamsTopologyFenced = 132 STREAMS_TOPOLOGY_FENCED final "the topology's epoch is old";
    ShareSessionLimitReached = 133 SHARE_SESSION_LIMIT_REACHED retry "the broker holds as many share sessions as it may";
}

impl ErrorCode {
    /// The number on the wire.
    pub const fn code(self) -> i16 {
        self as i16
    }

    /// The code with this number; as in Kafka, a number of the future reads as
    /// `UNKNOWN_SERVER_ERROR`.
    pub const fn from_code(code: i16) -> Self {
        match Self::known(code) {
            Some(known) => known,
            None => Self::UnknownServerError,
        }
    }

    /// Whether this is `NONE`.
    pub const fn is_none(self) -> bool {
        matches!(self, Self::None)
    }
}

impl From<ErrorCode> for i16 {
    fn from(code: ErrorCode) -> Self {
        code.code()
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({})", self.message(), self.name())
    }
}

impl std::error::Error for ErrorCode {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_from_minus_one_to_133_has_its_code() {
        let numbers: Vec<i16> = ErrorCode::ALL.iter().map(|code| code.code()).collect();
        assert_eq!(numbers, (-1..=133).collect::<Vec<i16>>());
        for code in ErrorCode::ALL {
            assert_eq!(ErrorCode::from_code(code.code()), *code);
        }
        assert_eq!(ErrorCode::from_code(4711), ErrorCode::UnknownServerError);
    }

    #[test]
    fn a_code_prints_its_reason_and_its_name() {
        assert_eq!(
            ErrorCode::UnknownTopicOrPartition.to_string(),
            "this broker does not host the topic or partition (UNKNOWN_TOPIC_OR_PARTITION)"
        );
    }

    #[test]
    fn a_client_retries_what_passes_and_nothing_else() {
        assert!(ErrorCode::NotLeaderOrFollower.is_retriable());
        assert!(ErrorCode::KafkaStorageError.is_retriable());
        assert!(!ErrorCode::MessageTooLarge.is_retriable());
        assert!(!ErrorCode::None.is_retriable());
    }
}
