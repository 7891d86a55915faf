//! What Kafka's error codes mean to whoever meets them: which kind of failure, and what to do.

use duramen_protocol::error::ErrorCode;

use super::Remedy;

/// The kind of a failure. Retriable is what Kafka's clients retry, and what passes once the group or a
/// former self of the client has moved on.
pub(super) fn remedy(code: ErrorCode) -> Remedy {
    match code {
        ErrorCode::ProducerFenced
        | ErrorCode::InvalidProducerEpoch
        | ErrorCode::FencedInstanceId
        | ErrorCode::FencedMemberEpoch
        | ErrorCode::UnknownMemberId
        | ErrorCode::IllegalGeneration => Remedy::Fenced,
        ErrorCode::RebalanceInProgress
        | ErrorCode::StaleMemberEpoch
        | ErrorCode::UnreleasedInstanceId => Remedy::Retry,
        code if code.is_retriable() => Remedy::Retry,
        _ => Remedy::Change,
    }
}

/// One line on the way out, where there is one that helps.
pub(super) fn advice(code: ErrorCode) -> Option<&'static str> {
    of_topics(code)
        .or_else(|| of_groups(code))
        .or_else(|| of_producers(code))
        .or_else(|| of_rights(code))
}

fn of_topics(code: ErrorCode) -> Option<&'static str> {
    Some(match code {
        ErrorCode::UnknownTopicOrPartition | ErrorCode::UnknownTopicId => {
            "list the topics there are, or create it"
        }
        ErrorCode::TopicAlreadyExists => "choose another name, or use the topic that is there",
        ErrorCode::InvalidTopicException => {
            "a name has up to 249 letters, digits, dots, underscores and hyphens"
        }
        ErrorCode::InvalidPartitions => "use one partition or more; their number can only grow",
        ErrorCode::InvalidReplicationFactor => {
            "use a replication factor up to the number of brokers"
        }
        ErrorCode::InvalidReplicaAssignment => "name brokers that live, each once a partition",
        ErrorCode::InvalidConfig => "see the setting's type and range",
        ErrorCode::PolicyViolation => "ask whoever runs the cluster what its policy allows",
        ErrorCode::TopicDeletionDisabled => "set delete.topic.enable on the brokers",
        ErrorCode::ReassignmentInProgress => "wait until it is done, or cancel it",
        ErrorCode::OffsetOutOfRange => {
            "that offset was deleted or never written: see the topic's offsets"
        }
        ErrorCode::LeaderNotAvailable
        | ErrorCode::PreferredLeaderNotAvailable
        | ErrorCode::EligibleLeadersNotAvailable => "start the brokers that hold its replicas",
        ErrorCode::KafkaStorageError => "a disk of the broker failed or is full: see its log",
        ErrorCode::CorruptMessage => {
            "the bytes changed on a disk or on the way: see the broker's log"
        }
        ErrorCode::UnsupportedVersion => "the broker is older than this client for that request",
        ErrorCode::InvalidRequest | ErrorCode::UnknownServerError => "see the broker's log",
        ErrorCode::ThrottlingQuotaExceeded => "slow down, or have the quota raised",
        ErrorCode::RequestTimedOut => "the brokers are slow: look at them, or allow more time",
        _ => return None,
    })
}

fn of_groups(code: ErrorCode) -> Option<&'static str> {
    Some(match code {
        ErrorCode::UnknownMemberId
        | ErrorCode::IllegalGeneration
        | ErrorCode::FencedMemberEpoch => {
            "its partitions are another member's by now: come for more to join again, within max_poll_interval"
        }
        ErrorCode::RebalanceInProgress | ErrorCode::StaleMemberEpoch => {
            "come for more, then commit again"
        }
        ErrorCode::FencedInstanceId => "another client uses this instance id: choose another",
        ErrorCode::UnreleasedInstanceId => {
            "the former member of this instance id is not dead yet: wait, or choose another"
        }
        ErrorCode::InconsistentGroupProtocol => {
            "its members share partitions out in other ways: use one that they know, or another group"
        }
        ErrorCode::UnsupportedAssignor => "use an assignor that the broker has: uniform or range",
        ErrorCode::InvalidRegularExpression => "write the pattern in the syntax of RE2",
        ErrorCode::InvalidSessionTimeout => {
            "use a session timeout from group.min.session.timeout.ms to group.max.session.timeout.ms"
        }
        ErrorCode::InvalidGroupId => "give the group a name",
        ErrorCode::GroupIdNotFound => "list the groups there are",
        ErrorCode::NonEmptyGroup | ErrorCode::GroupSubscribedToTopic => "stop its members first",
        ErrorCode::GroupMaxSizeReached => "stop a member, or raise group.max.size",
        ErrorCode::OffsetMetadataTooLarge | ErrorCode::InvalidCommitOffsetSize => {
            "commit less metadata, or raise offset.metadata.max.bytes"
        }
        ErrorCode::UnstableOffsetCommit => {
            "wait until the transaction that commits there has ended"
        }
        ErrorCode::CoordinatorNotAvailable => {
            "no broker looks after the group: are those of __consumer_offsets running?"
        }
        _ => return None,
    })
}

fn of_producers(code: ErrorCode) -> Option<&'static str> {
    Some(match code {
        ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge => {
            "send smaller records, or raise max.message.bytes of the topic"
        }
        ErrorCode::NotEnoughReplicas | ErrorCode::NotEnoughReplicasAfterAppend => {
            "too few replicas are in sync: start the missing brokers, or lower min.insync.replicas"
        }
        ErrorCode::InvalidTimestamp => {
            "use the time of now, or widen message.timestamp.before.max.ms and after.max.ms of the topic"
        }
        ErrorCode::InvalidRecord => "a compacted topic takes no records without a key",
        ErrorCode::UnsupportedCompressionType => "use another codec",
        ErrorCode::ProducerFenced | ErrorCode::InvalidProducerEpoch => {
            "another producer goes on in its place: end this one, or make a new one"
        }
        ErrorCode::OutOfOrderSequenceNumber | ErrorCode::UnknownProducerId => {
            "the broker has lost records of this producer, or their sequence: make a new one"
        }
        ErrorCode::InvalidTransactionTimeout => {
            "use a transaction timeout up to transaction.max.timeout.ms"
        }
        ErrorCode::InvalidTxnState | ErrorCode::TransactionAbortable => "abort the transaction",
        _ => return None,
    })
}

fn of_rights(code: ErrorCode) -> Option<&'static str> {
    Some(match code {
        ErrorCode::TopicAuthorizationFailed => "have the right to this topic granted (ACL)",
        ErrorCode::GroupAuthorizationFailed => "have the right to this group granted (ACL)",
        ErrorCode::ClusterAuthorizationFailed => "have the right to this operation granted (ACL)",
        ErrorCode::TransactionalIdAuthorizationFailed => {
            "have the right to this transactional id granted (ACL)"
        }
        ErrorCode::DelegationTokenAuthorizationFailed => {
            "have the right to this delegation token granted (ACL)"
        }
        ErrorCode::SaslAuthenticationFailed => "check the user's name and password",
        ErrorCode::UnsupportedSaslMechanism => "use a mechanism that the broker's listener offers",
        ErrorCode::IllegalSaslState => {
            "does this listener want SASL? compare its security protocol"
        }
        ErrorCode::DelegationTokenExpired => "get a new delegation token",
        ErrorCode::SecurityDisabled => "turn on an authorizer at the brokers first",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Kafka's clients (4.3) retry: the codes of subclasses of its RetriableException.
    const KAFKA_RETRIES: &[i16] = &[
        2, 3, 5, 6, 7, 9, 13, 14, 15, 16, 19, 20, 41, 51, 56, 70, 71, 72, 74, 75, 78, 80, 83, 84,
        88, 89, 100, 103, 106, 122, 123, 133,
    ];
    /// REBALANCE_IN_PROGRESS, UNRELEASED_INSTANCE_ID, STALE_MEMBER_EPOCH: not as they are, but later.
    const LATER: &[i16] = &[27, 111, 113];
    /// ILLEGAL_GENERATION, UNKNOWN_MEMBER_ID, INVALID_PRODUCER_EPOCH, FENCED_INSTANCE_ID, PRODUCER_FENCED,
    /// FENCED_MEMBER_EPOCH.
    const FENCED: &[i16] = &[22, 25, 47, 82, 90, 110];
    /// What passes by itself, what clients mend without a word, and what only brokers, Kafka Streams and
    /// share groups say to each other: nobody needs advice.
    const WITHOUT_ADVICE: &[i16] = &[
        0, 4, 6, 8, 9, 11, 13, 14, 16, 21, 41, 43, 46, 49, 51, 52, 55, 57, 61, 62, 63, 64, 67, 70,
        71, 72, 74, 75, 77, 78, 79, 84, 85, 91, 92, 93, 94, 95, 96, 97, 98, 99, 101, 102, 103, 104,
        105, 106, 107, 108, 109, 114, 115, 116, 117, 118, 119, 121, 122, 123, 124, 125, 126, 127,
        129, 130, 131, 132, 133,
    ];

    #[test]
    fn every_code_has_its_kind() {
        for code in ErrorCode::ALL {
            let number = code.code();
            let want = match number {
                _ if KAFKA_RETRIES.contains(&number) || LATER.contains(&number) => Remedy::Retry,
                _ if FENCED.contains(&number) => Remedy::Fenced,
                _ => Remedy::Change,
            };
            assert_eq!(remedy(*code), want, "{code:?}");
            assert_eq!(code.is_retriable(), KAFKA_RETRIES.contains(&number), "{code:?}");
        }
    }

    #[test]
    fn what_users_meet_has_advice_and_it_is_a_librarys() {
        for code in ErrorCode::ALL {
            let said = advice(*code);
            assert_eq!(said.is_none(), WITHOUT_ADVICE.contains(&code.code()), "{code:?}: {said:?}");
            let said = said.unwrap_or_default();
            assert!(!said.contains("--") && !said.contains("duramen "), "{code:?}: {said}");
        }
    }
}
