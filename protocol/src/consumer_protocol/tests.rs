//! Byte vectors from Kafka's schemas, and what is lenient.

use super::*;

const TOPICS: &[u8] = b"\0\0\0\x01\0\x06orders";
const NO_USER_DATA: &[u8] = b"\xff\xff\xff\xff";
/// `orders`, partitions 0 and 2.
const OWNED: &[u8] = b"\0\0\0\x01\0\x06orders\0\0\0\x02\0\0\0\0\0\0\0\x02";
const GENERATION: &[u8] = b"\0\0\0\x05";
const RACK: &[u8] = b"\0\x02r1";

fn bytes(parts: &[&[u8]]) -> Bytes {
    Bytes::from(parts.concat())
}

fn owned() -> Vec<TopicPartition> {
    vec![TopicPartition { topic: "orders".into(), partitions: vec![0, 2] }]
}

fn subscription() -> ConsumerProtocolSubscription {
    ConsumerProtocolSubscription {
        topics: vec!["orders".into()],
        user_data: None,
        owned_partitions: owned(),
        generation_id: 5,
        rack_id: Some("r1".into()),
    }
}

#[test]
fn a_subscription_in_each_version() {
    let older =
        ConsumerProtocolSubscription { topics: subscription().topics, ..Default::default() };
    let with_owned = ConsumerProtocolSubscription { owned_partitions: owned(), ..older.clone() };
    let with_generation = ConsumerProtocolSubscription { generation_id: 5, ..with_owned.clone() };
    let expected = [
        (bytes(&[b"\0\0", TOPICS, NO_USER_DATA]), older),
        (bytes(&[b"\0\x01", TOPICS, NO_USER_DATA, OWNED]), with_owned),
        (bytes(&[b"\0\x02", TOPICS, NO_USER_DATA, OWNED, GENERATION]), with_generation),
        (bytes(&[b"\0\x03", TOPICS, NO_USER_DATA, OWNED, GENERATION, RACK]), subscription()),
    ];
    for (version, (vector, read)) in (0..).zip(expected) {
        assert_eq!(subscription().to_bytes(version).unwrap(), vector, "v{version}");
        assert_eq!(ConsumerProtocolSubscription::from_bytes(&vector).unwrap(), read);
    }
}

#[test]
fn an_assignment_in_each_version() {
    let user_data = Some(Bytes::from_static(b"xy"));
    let assignment = ConsumerProtocolAssignment { assigned_partitions: owned(), user_data };
    for version in 0..=3 {
        let vector = bytes(&[b"\0", &[version as u8], OWNED, b"\0\0\0\x02xy"]);
        assert_eq!(assignment.to_bytes(version).unwrap(), vector);
        assert_eq!(ConsumerProtocolAssignment::from_bytes(&vector).unwrap(), assignment);
    }
}

#[test]
fn a_newer_version_is_read_as_the_newest_known() {
    let newer = bytes(&[b"\0\x09", TOPICS, NO_USER_DATA, OWNED, GENERATION, RACK, b"more"]);
    assert_eq!(ConsumerProtocolSubscription::from_bytes(&newer).unwrap(), subscription());
    let newer = bytes(&[b"\x7f\xff", OWNED, NO_USER_DATA, b"more"]);
    let read = ConsumerProtocolAssignment::from_bytes(&newer).unwrap();
    assert_eq!(read.assigned_partitions, owned());
}

#[test]
fn what_is_no_subscription_says_why() {
    let error = |bytes: &'static [u8]| {
        ConsumerProtocolSubscription::from_bytes(&Bytes::from_static(bytes)).unwrap_err()
    };
    assert_eq!(
        error(b"\0").to_string(),
        "ConsumerProtocolSubscription v0: ConsumerProtocolSubscription needs 2 bytes where 1 are left"
    );
    assert_eq!(error(b"\xff\xff\0\0\0\0").kind, DecodeErrorKind::UnsupportedVersion);
    let many = error(b"\0\x01\x7f\xff\xff\xff\0\0");
    assert_eq!((many.version, many.field), (1, "ConsumerProtocolSubscription.topics"));
    assert!(matches!(many.kind, DecodeErrorKind::CountTooLarge { .. }));
}

#[test]
fn the_user_data_of_the_sticky_assignors() {
    let data = StickyAssignorUserData { previous_assignment: owned(), generation: 5 };
    let newer = bytes(&[OWNED, GENERATION]);
    assert_eq!(data.to_bytes().unwrap(), newer);
    assert_eq!(StickyAssignorUserData::from_bytes(&newer).unwrap(), data);
    let older = StickyAssignorUserData::from_bytes(&bytes(&[OWNED])).unwrap();
    assert_eq!(older, StickyAssignorUserData { generation: -1, ..data });
    assert!(StickyAssignorUserData::from_bytes(&bytes(&[OWNED]).slice(..20)).is_err());

    let data = CooperativeStickyAssignorUserData { generation: 5 };
    assert_eq!(data.to_bytes().unwrap(), GENERATION);
    assert_eq!(CooperativeStickyAssignorUserData::from_bytes(&bytes(&[GENERATION])).unwrap(), data);
    assert!(CooperativeStickyAssignorUserData::from_bytes(&Bytes::new()).is_err());
}
