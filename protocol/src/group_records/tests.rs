//! Byte vectors from Kafka's schemas (group-coordinator, 4.3), one record of each kind at least.

use uuid::Uuid;

use super::*;

/// A topic's id, and a time as its bytes.
const ID: Uuid = Uuid::from_u128(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10);
const TIME: i64 = 1_700_000_000_000;

fn hex(digits: &str) -> Bytes {
    let digits: Vec<u8> = digits.bytes().filter(|digit| !digit.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

/// `record` is written as these bytes, and they are read as `record`.
fn is(record: &GroupRecord, key: &str, value: &str) {
    let (key, value) = (hex(key), hex(value));
    assert_eq!(GroupRecord::decode(&key, Some(&value)).as_ref(), Ok(record));
    assert_eq!(record.encode().unwrap(), (key, Some(value)), "{}", record.kind_name());
    assert!(!record.is_tombstone());
}

fn offset_key() -> OffsetCommitKey {
    OffsetCommitKey { group: "g1".into(), topic: "orders".into(), partition: 3 }
}

const OFFSET_KEY: &str = "0001 0002 6731 0006 6f7264657273 00000003";

fn offset_value() -> OffsetCommitValue {
    OffsetCommitValue {
        offset: 42,
        leader_epoch: 7,
        metadata: "m".into(),
        commit_timestamp: TIME,
        expire_timestamp: -1,
        topic_id: ID,
    }
}

#[test]
fn a_committed_offset() {
    let record = GroupRecord::OffsetCommit(offset_key(), Some(offset_value()));
    is(
        &record,
        OFFSET_KEY,
        "0004 000000000000002a 00000007 02 6d 0000018bcfe56800
         01 00 10 0102030405060708090a0b0c0d0e0f10",
    );
    let by_name = OffsetCommitValue { topic_id: Uuid::nil(), ..offset_value() };
    is(
        &GroupRecord::OffsetCommit(offset_key(), Some(by_name)),
        OFFSET_KEY,
        "0004 000000000000002a 00000007 02 6d 0000018bcfe56800 00",
    );
}

#[test]
fn a_committed_offset_of_older_versions() {
    let expiring = OffsetCommitValue {
        leader_epoch: -1,
        expire_timestamp: TIME,
        topic_id: Uuid::nil(),
        ..offset_value()
    };
    is(
        &GroupRecord::OffsetCommit(offset_key(), Some(expiring.clone())),
        OFFSET_KEY,
        "0001 000000000000002a 0001 6d 0000018bcfe56800 0000018bcfe56800",
    );
    let plain = OffsetCommitValue { expire_timestamp: -1, ..expiring };
    let with_epoch = OffsetCommitValue { leader_epoch: 7, ..plain.clone() };
    for (value, read) in [
        ("0000 000000000000002a 0001 6d 0000018bcfe56800", &plain),
        ("0002 000000000000002a 0001 6d 0000018bcfe56800", &plain),
        ("0003 000000000000002a 00000007 0001 6d 0000018bcfe56800", &with_epoch),
    ] {
        for kind in ["0000", "0001"] {
            let key = hex(&OFFSET_KEY.replacen("0001", kind, 1));
            let record = GroupRecord::decode(&key, Some(&hex(value))).unwrap();
            assert_eq!(record, GroupRecord::OffsetCommit(offset_key(), Some(read.clone())));
        }
    }
}

#[test]
fn a_generation_of_a_classic_group() {
    let member = MemberMetadata {
        member_id: "m1".into(),
        group_instance_id: None,
        client_id: "c".into(),
        client_host: "/h".into(),
        rebalance_timeout: 300_000,
        session_timeout: 45_000,
        subscription: Bytes::from_static(b"\xaa\xbb"),
        assignment: Bytes::new(),
    };
    let value = GroupMetadataValue {
        protocol_type: "consumer".into(),
        generation: 5,
        protocol: Some("range".into()),
        leader: Some("m1".into()),
        current_state_timestamp: TIME,
        members: vec![member],
    };
    let key = GroupMetadataKey { group: "g1".into() };
    is(
        &GroupRecord::GroupMetadata(key.clone(), Some(value)),
        "0002 0002 6731",
        "0003 0008 636f6e73756d6572 00000005 0005 72616e6765 0002 6d31 0000018bcfe56800
         00000001 0002 6d31 ffff 0001 63 0002 2f68 000493e0 0000afc8 00000002 aabb 00000000",
    );
    let empty = GroupMetadataValue { protocol: None, leader: None, ..Default::default() };
    is(
        &GroupRecord::GroupMetadata(key.clone(), Some(empty.clone())),
        "0002 0002 6731",
        "0003 0000 00000000 ffff ffff ffffffffffffffff 00000000",
    );
    let flexible = hex("0004 01 00000000 00 00 ffffffffffffffff 01 00");
    assert_eq!(
        GroupRecord::decode(&hex("0002 0002 6731"), Some(&flexible)),
        Ok(GroupRecord::GroupMetadata(key, Some(empty)))
    );
}

#[test]
fn the_epochs_of_a_consumer_group() {
    let key = ConsumerGroupMetadataKey { group_id: "g1".into() };
    let value = ConsumerGroupMetadataValue { epoch: 9, metadata_hash: 0x1122 };
    is(
        &GroupRecord::ConsumerGroupMetadata(key.clone(), Some(value)),
        "0003 0002 6731",
        "0000 00000009 01 00 08 0000000000001122",
    );
    let value = ConsumerGroupMetadataValue { epoch: 9, metadata_hash: 0 };
    let record = GroupRecord::ConsumerGroupMetadata(key, Some(value));
    is(&record, "0003 0002 6731", "0000 00000009 00");
    let key = ConsumerGroupTargetAssignmentMetadataKey { group_id: "g1".into() };
    let value = ConsumerGroupTargetAssignmentMetadataValue {
        assignment_epoch: 9,
        assignment_timestamp: TIME,
    };
    is(
        &GroupRecord::ConsumerGroupTargetAssignmentMetadata(key, Some(value)),
        "0006 0002 6731",
        "0000 00000009 01 00 08 0000018bcfe56800",
    );
}

#[test]
fn the_topics_of_a_consumer_group() {
    let partition = PartitionMetadata { partition: 1, racks: vec!["r".into()] };
    let topic = TopicMetadata {
        topic_id: ID,
        topic_name: "t".into(),
        num_partitions: 2,
        partition_metadata: vec![partition],
    };
    let key = ConsumerGroupPartitionMetadataKey { group_id: "g1".into() };
    let value = ConsumerGroupPartitionMetadataValue { topics: vec![topic] };
    is(
        &GroupRecord::ConsumerGroupPartitionMetadata(key, Some(value)),
        "0004 0002 6731",
        "0000 02 0102030405060708090a0b0c0d0e0f10 02 74 00000002
         02 00000001 02 02 72 00 00 00",
    );
    let key = ConsumerGroupRegularExpressionKey {
        group_id: "g1".into(),
        regular_expression: "o.*".into(),
    };
    let value = ConsumerGroupRegularExpressionValue {
        topics: vec!["orders".into()],
        version: 8,
        timestamp: TIME,
    };
    is(
        &GroupRecord::ConsumerGroupRegularExpression(key, Some(value)),
        "0010 0002 6731 0003 6f2e2a",
        "0000 02 07 6f7264657273 0000000000000008 0000018bcfe56800 00",
    );
}

#[test]
fn a_member_of_a_consumer_group() {
    let key = ConsumerGroupMemberMetadataKey { group_id: "g1".into(), member_id: "m1".into() };
    let protocol = ClassicProtocol { name: "range".into(), metadata: Bytes::from_static(b"\xaa") };
    let classic =
        ClassicMemberMetadata { session_timeout_ms: 45_000, supported_protocols: vec![protocol] };
    let value = ConsumerGroupMemberMetadataValue {
        instance_id: None,
        rack_id: Some("r1".into()),
        client_id: "c".into(),
        client_host: "/h".into(),
        subscribed_topic_names: vec!["orders".into()],
        subscribed_topic_regex: None,
        rebalance_timeout_ms: 300_000,
        server_assignor: Some("uniform".into()),
        classic_member_metadata: None,
    };
    let plain = "0000 00 03 7231 02 63 03 2f68 02 07 6f7264657273 00 000493e0 08 756e69666f726d";
    let record = GroupRecord::ConsumerGroupMemberMetadata(key.clone(), Some(value.clone()));
    is(&record, "0005 0002 6731 0002 6d31", &format!("{plain} 00"));
    let value =
        ConsumerGroupMemberMetadataValue { classic_member_metadata: Some(classic), ..value };
    // A nullable struct has a byte before it that says that it is there.
    is(
        &GroupRecord::ConsumerGroupMemberMetadata(key, Some(value)),
        "0005 0002 6731 0002 6d31",
        &format!("{plain} 01 00 10 01 0000afc8 02 06 72616e6765 02 aa 00 00"),
    );
}

#[test]
fn the_assignments_of_a_member() {
    let key =
        ConsumerGroupTargetAssignmentMemberKey { group_id: "g1".into(), member_id: "m1".into() };
    let partitions = TopicPartitions { topic_id: ID, partitions: vec![0, 2] };
    let value = ConsumerGroupTargetAssignmentMemberValue { topic_partitions: vec![partitions] };
    is(
        &GroupRecord::ConsumerGroupTargetAssignmentMember(key, Some(value)),
        "0007 0002 6731 0002 6d31",
        "0000 02 0102030405060708090a0b0c0d0e0f10 03 00000000 00000002 00 00",
    );
    let key =
        ConsumerGroupCurrentMemberAssignmentKey { group_id: "g1".into(), member_id: "m1".into() };
    let assigned = AssignedTopicPartitions {
        topic_id: ID,
        partitions: vec![0, 2],
        assignment_epochs: Some(vec![8, 9]),
    };
    let revoked =
        AssignedTopicPartitions { topic_id: ID, partitions: vec![1], assignment_epochs: None };
    let value = ConsumerGroupCurrentMemberAssignmentValue {
        member_epoch: 9,
        previous_member_epoch: 8,
        state: 1,
        assigned_partitions: vec![assigned],
        partitions_pending_revocation: vec![revoked],
    };
    is(
        &GroupRecord::ConsumerGroupCurrentMemberAssignment(key, Some(value)),
        "0008 0002 6731 0002 6d31",
        "0000 00000009 00000008 01
         02 0102030405060708090a0b0c0d0e0f10 03 00000000 00000002 01 00 09 03 00000008 00000009
         02 0102030405060708090a0b0c0d0e0f10 02 00000001 00 00",
    );
}

#[test]
fn a_tombstone() {
    let record = GroupRecord::OffsetCommit(offset_key(), None);
    assert!(record.is_tombstone());
    assert_eq!(record.encode().unwrap(), (hex(OFFSET_KEY), None));
    assert_eq!(GroupRecord::decode(&hex(OFFSET_KEY), None), Ok(record));
}

#[test]
fn an_unknown_kind_is_told_apart() {
    // Share and streams groups, and what is yet to come.
    for kind in [-1, 9, 15, 17, i16::MAX] {
        let key = Bytes::copy_from_slice(&kind.to_be_bytes());
        let error = GroupRecord::decode(&key, Some(&Bytes::from_static(b"whatever")));
        assert_eq!(error, Err(GroupRecordError::UnknownKind { kind }));
    }
}

#[test]
fn what_is_malformed_says_where() {
    let error = |key: &str, value: &str| {
        GroupRecord::decode(&hex(key), Some(&hex(value))).unwrap_err().to_string()
    };
    for (key, value, expected) in [
        ("00", "", "GroupRecordKey v0: GroupRecordKey needs 2 bytes where 1 are left"),
        (
            "0002 0009 67",
            "",
            "GroupMetadataKey v0: GroupMetadataKey.group needs 9 bytes where 1 are left",
        ),
        (
            "0002 ffff",
            "",
            "GroupMetadataKey v0: GroupMetadataKey.group is null, which this version does not allow",
        ),
        (
            "0002 0001 6700",
            "",
            "GroupMetadataKey v0: GroupMetadataKey is followed by 1 bytes too many",
        ),
        (
            "0003 0001 67",
            "",
            "ConsumerGroupMetadataValue v0: ConsumerGroupMetadataValue needs 2 bytes where 0 are left",
        ),
        (
            "0003 0001 67",
            "0001 00000009 00",
            "ConsumerGroupMetadataValue v1: ConsumerGroupMetadataValue has no such version",
        ),
        (
            "0003 0001 67",
            "0000 00000009 00 00",
            "ConsumerGroupMetadataValue v0: ConsumerGroupMetadataValue is followed by 1 bytes too many",
        ),
    ] {
        assert_eq!(error(key, value), format!("malformed group record: {expected}"));
    }
}
