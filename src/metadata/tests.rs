//! Replay of anything whatever, what a delta says of it, and that a snapshot is the same state.

use std::sync::Arc;

use duramen_protocol::metadata::{
    BrokerChangeRecord, BrokerList, FramedError, Kind, MetadataRecord, PartitionChangeRecord,
    UnregisterBrokerRecord,
};
use proptest::prelude::*;
use uuid::Uuid;

use super::image::brokers::Endpoint;
use super::{
    BrokerImage, ConfigResource, MetadataDelta, MetadataImage, PartitionImage, Provenance, Replay,
    record,
};

fn partition(leader: i32) -> PartitionImage {
    PartitionImage {
        replicas: vec![1, 2],
        isr: vec![1, 2],
        removing_replicas: Vec::new(),
        adding_replicas: Vec::new(),
        leader,
        recovering: false,
        leader_epoch: 4,
        partition_epoch: 6,
        directories: Vec::new(),
        eligible_leader_replicas: Vec::new(),
        last_known_elr: Vec::new(),
    }
}

fn broker(id: i32, epoch: i64) -> BrokerImage {
    BrokerImage {
        id,
        incarnation_id: Uuid::from_u128(9),
        epoch,
        endpoints: vec![Endpoint {
            name: "PLAINTEXT".into(),
            host: "localhost".into(),
            port: 9092,
            security_protocol: 0,
        }],
        features: [].into(),
        rack: Some("r".into()),
        fenced: false,
        in_controlled_shutdown: false,
        log_dirs: vec![Uuid::from_u128(3)],
    }
}

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn replay(image: &Arc<MetadataImage>, records: &[MetadataRecord]) -> MetadataDelta {
    let mut replay = Replay::new(image);
    replay.apply_all(records).unwrap();
    replay.finish(Provenance { offset: 1, epoch: 1, timestamp: 1 })
}

/// Two topics, `a` with two partitions and a config, `b` with one.
fn two_topics() -> Arc<MetadataImage> {
    let records = [
        record::topic("a", id(10)),
        record::config(&ConfigResource::topic("a"), "retention.ms", Some("1")),
        record::partition(id(10), 0, &partition(1)),
        record::partition(id(10), 1, &partition(2)),
        record::topic("b", id(11)),
        record::partition(id(11), 0, &partition(1)),
    ];
    Arc::clone(replay(&Arc::default(), &records).after())
}

#[test]
fn a_change_of_one_partition_names_that_partition_only() {
    let before = two_topics();
    let delta = replay(&before, &[record::partition_leader(id(10), 1, 1)]);
    let changes: Vec<_> = delta.partitions().collect();
    assert_eq!(changes.len(), 1);
    assert_eq!((changes[0].topic.name().as_str(), changes[0].index), ("a", 1));
    let (old, new) = (changes[0].before.unwrap(), changes[0].after.unwrap());
    assert_eq!((old.leader, old.leader_epoch, old.partition_epoch), (2, 4, 6));
    assert_eq!((new.leader, new.leader_epoch, new.partition_epoch), (1, 5, 7));
    assert_eq!(before, two_topics(), "an image never changes");
}

#[test]
fn what_is_absent_in_a_partition_change_stays() {
    let change = PartitionChangeRecord {
        topic_id: Some(id(10).into()),
        isr: Some(BrokerList { ids: vec![2] }),
        ..Default::default()
    };
    let delta = replay(&two_topics(), &[Kind::PartitionChange(change).into()]);
    let expected = PartitionImage { isr: vec![2], partition_epoch: 7, ..partition(1) };
    assert_eq!(**delta.after().topics().partition("a", 0).unwrap(), expected);
}

#[test]
fn a_topic_made_again_is_removed_first_and_its_configs_are_gone() {
    let delta = replay(
        &two_topics(),
        &[
            record::remove_topic(id(10)),
            record::topic("a", id(5)),
            record::partition(id(5), 0, &partition(1)),
        ],
    );
    let changes: Vec<_> =
        delta.topics().map(|change| (change.before.is_some(), change.after.is_some())).collect();
    assert_eq!(changes, [(true, false), (false, true)]);
    let partitions: Vec<_> = delta
        .partitions()
        .map(|change| (change.topic.id(), change.index, change.after.is_some()))
        .collect();
    assert_eq!(partitions, [(id(10), 0, false), (id(10), 1, false), (id(5), 0, true)]);
    assert_eq!(delta.configs().collect::<Vec<_>>(), [&ConfigResource::topic("a")]);
    assert_eq!(delta.after().topics().by_name("a").unwrap().id(), id(5));
    assert_eq!(delta.after().topics().by_id(id(10)), None);
}

#[test]
fn what_is_undone_in_one_delta_is_no_change() {
    let before = two_topics();
    let resource = ConfigResource::topic("b");
    let delta = replay(
        &before,
        &[
            record::topic("c", id(12)),
            record::remove_topic(id(12)),
            record::config(&resource, "segment.ms", Some("1")),
            record::config(&resource, "segment.ms", None),
        ],
    );
    assert_eq!(delta.topics().count() + delta.configs().count() + delta.brokers().count(), 0);
}

#[test]
fn brokers_change_under_their_own_epoch_only() {
    let fence = |broker_epoch| -> MetadataRecord {
        let fenced = Some(true);
        let record =
            BrokerChangeRecord { broker_id: 1, broker_epoch, fenced, ..Default::default() };
        Kind::BrokerChange(record).into()
    };
    let registered = replay(&Arc::default(), &[record::broker_registration(&broker(1, 5))]);
    assert_eq!(**registered.after().brokers().get(1).unwrap(), broker(1, 5));
    assert!(registered.after().brokers().is_active(1));

    let stale = replay(registered.after(), &[fence(4)]);
    assert_eq!((stale.ignored(), stale.brokers().count()), (1, 0));
    let fenced = replay(registered.after(), &[fence(5)]);
    assert!(!fenced.after().brokers().is_active(1));
    let gone = UnregisterBrokerRecord { broker_id: 1, broker_epoch: 5 };
    let gone = replay(fenced.after(), &[Kind::UnregisterBroker(gone).into()]);
    assert!(gone.after().brokers().is_empty());
}

#[test]
fn what_refers_to_nothing_is_ignored_and_counted() {
    let before = two_topics();
    let delta = replay(
        &before,
        &[
            record::remove_topic(id(99)),
            record::partition(id(99), 0, &partition(1)),
            record::partition(id(10), -1, &partition(1)),
            record::partition_leader(id(10), 7, 1),
            record::topic("a", id(99)),
            record::topic("z", id(10)),
        ],
    );
    assert_eq!(delta.ignored(), 6);
    assert_eq!(delta.topics().count(), 0);
}

#[test]
fn a_metadata_record_of_the_future_stops_replay() {
    let mut newer = record::topic("a", id(1));
    newer.version = 1;
    let refused = Replay::new(&Arc::default()).apply(&newer);
    assert!(matches!(refused, Err(FramedError::UnknownVersion { kind: "TopicRecord", .. })));
    let nothing = MetadataRecord { version: 0, kind: None };
    let refused = Replay::new(&Arc::default()).apply(&nothing);
    assert_eq!(refused, Err(FramedError::UnknownKind { number: 0 }));
}

#[test]
fn producer_ids_never_go_back() {
    let image = replay(&Arc::default(), &[record::producer_ids(1, 1, 5000)]);
    let image = replay(image.after(), &[record::producer_ids(1, 1, 1000)]);
    assert_eq!(image.after().next_producer_id(), 5000);
}

#[test]
fn a_reset_tells_of_everything_that_a_snapshot_lacks() {
    let before = two_topics();
    let mut replay = Replay::new(&before);
    replay.reset();
    replay.apply_all(&[record::topic("b", id(11))]).unwrap();
    replay.apply(&record::partition(id(11), 0, &partition(1))).unwrap();
    let delta = replay.finish(Provenance::default());
    let removed: Vec<_> = delta.partitions().map(|change| change.topic.name().clone()).collect();
    assert_eq!(removed, ["a", "a"]);
    assert_eq!(delta.configs().count(), 1);
}

/// Any metadata record on a handful of names and numbers, whether it makes sense or not.
fn any_record() -> impl Strategy<Value = MetadataRecord> {
    let name = || prop::sample::select(vec!["", "a", "a.b", "a_b", "long-name"]);
    let topic_id = || (0u128..4).prop_map(Uuid::from_u128);
    let number = || prop_oneof![-2i32..4, Just(i32::MIN), Just(i32::MAX)];
    prop_oneof![
        name().prop_map(record::cluster),
        (name(), -1i16..3).prop_map(|(name, level)| record::feature_level(name, level)),
        (name(), topic_id()).prop_map(|(name, id)| record::topic(name, id)),
        (topic_id(), number(), number()).prop_map(|(id, at, leader)| record::partition(
            id,
            at,
            &partition(leader)
        )),
        (topic_id(), number(), number())
            .prop_map(|(id, at, leader)| record::partition_leader(id, at, leader)),
        topic_id().prop_map(record::remove_topic),
        (any::<i8>(), name(), name(), prop::option::of(name())).prop_map(
            |(kind, resource, name, value)| {
                let resource = ConfigResource { kind: kind % 5, name: resource.into() };
                record::config(&resource, name, value)
            }
        ),
        (number(), -1i64..4)
            .prop_map(|(id, epoch)| { record::broker_registration(&broker(id, epoch)) }),
        (number(), -1i64..4).prop_map(|(broker_id, broker_epoch)| {
            Kind::UnregisterBroker(UnregisterBrokerRecord { broker_id, broker_epoch }).into()
        }),
        any::<i64>().prop_map(|next| record::producer_ids(0, 0, next)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn replay_of_anything_is_total_deterministic_and_survives_a_snapshot(
        records in prop::collection::vec(any_record(), 0..60),
        cut in any::<prop::sample::Index>(),
    ) {
        let whole = replay(&Arc::default(), &records);
        // In one go or in two deltas: the same image.
        let (first, second) = records.split_at(cut.index(records.len() + 1));
        let halfway = replay(&Arc::default(), first);
        let rest = replay(halfway.after(), second);
        prop_assert_eq!(rest.after(), whole.after());
        // What a delta names is all that differs.
        for topic in rest.after().topics().iter() {
            let named = rest.topics().any(|change| change.after == Some(topic));
            let same = halfway.after().topics().by_id(topic.id()) == Some(topic);
            prop_assert!(named != same, "{topic:?}");
        }
        let snapshot = replay(&Arc::default(), &record::image_records(whole.after()));
        prop_assert_eq!(snapshot.after(), whole.after());
        prop_assert_eq!(snapshot.ignored(), 0);
    }
}
