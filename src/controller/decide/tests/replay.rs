//! Random commands: what replay makes of their metadata records, in one go, record by record, and
//! through a snapshot, is always the same image.

use std::sync::Arc;

use duramen_protocol::metadata::{Framed, MetadataRecord};
use duramen_protocol::text::Text;
use proptest::prelude::*;

use crate::controller::command::{
    AllocateProducerIds, AlterConfigs, Command, ConfigChange, CreatePartitions, CreateTopics,
    DeleteTopics, IncrementalAlterConfigs, MorePartitions, NewTopic, TopicRef,
};
use crate::controller::decide::testing::{Cluster, registration};
use crate::controller::decide::{View, decide};
use crate::metadata::{ConfigResource, MetadataImage, Provenance, Replay, record};

fn name() -> impl Strategy<Value = Text> {
    prop::sample::select(vec!["a", "b", "a.b", "a_b", "c-c", "bad/name"]).prop_map(Text::from)
}

fn resource() -> impl Strategy<Value = ConfigResource> {
    prop_oneof![
        name().prop_map(ConfigResource::topic),
        (0..3).prop_map(ConfigResource::broker),
        Just(ConfigResource::cluster()),
    ]
}

fn config_value() -> impl Strategy<Value = (Text, Option<Text>)> {
    let names = prop::sample::select(vec!["retention.ms", "log.retention.ms", "segment.ms"]);
    let values = prop::sample::select(vec!["1000", "2000", "no number"]);
    (names, values).prop_map(|(name, value)| (name.into(), Some(value.into())))
}

fn new_topic() -> impl Strategy<Value = NewTopic> {
    (name(), -1i32..4, -1i16..3, prop::collection::vec(config_value(), 0..2)).prop_map(
        |(name, partitions, replication_factor, configs)| NewTopic {
            name,
            partitions,
            replication_factor,
            assignments: Vec::new(),
            configs,
        },
    )
}

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        3 => (prop::collection::vec(new_topic(), 1..3), any::<bool>()).prop_map(
            |(topics, validate_only)| Command::CreateTopics(CreateTopics { topics, validate_only })
        ),
        2 => prop::collection::vec(name().prop_map(TopicRef::name), 1..3)
            .prop_map(|topics| Command::DeleteTopics(DeleteTopics { topics })),
        2 => (name(), 0i32..8).prop_map(|(topic, count)| {
            let topics = vec![MorePartitions { topic, count, assignments: None }];
            Command::CreatePartitions(CreatePartitions { topics, validate_only: false })
        }),
        2 => (resource(), prop::collection::vec(config_value(), 0..3)).prop_map(
            |(resource, configs)| Command::AlterConfigs(AlterConfigs {
                resources: vec![(resource, configs)],
                validate_only: false,
            })
        ),
        2 => (resource(), config_value(), 0i8..4).prop_map(|(resource, (name, value), operation)| {
            let changes = vec![ConfigChange { name, operation, value }];
            Command::IncrementalAlterConfigs(IncrementalAlterConfigs {
                resources: vec![(resource, changes)],
                validate_only: false,
            })
        }),
        1 => (0..3, 0i64..40).prop_map(|(broker_id, broker_epoch)| {
            Command::AllocateProducerIds(AllocateProducerIds { broker_id, broker_epoch })
        }),
        1 => (0..3, 1u128..5).prop_map(|(id, incarnation)| {
            Command::RegisterBroker(registration(id, incarnation))
        }),
    ]
}

/// The image that `records` make of nothing.
fn replayed(records: &[MetadataRecord], at: Provenance) -> Arc<MetadataImage> {
    let mut replay = Replay::new(&Arc::default());
    for record in records {
        // As they come from the log.
        let Ok(Framed::Record(record)) = Framed::decode(&record.to_value()) else { panic!() };
        replay.apply(&record).unwrap();
    }
    let delta = replay.finish(at);
    assert_eq!(delta.ignored(), 0);
    delta.after().clone()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn replay_is_deterministic_and_a_snapshot_is_the_same_state(
        commands in prop::collection::vec(command(), 1..30),
    ) {
        let mut cluster = Cluster::of(&[]);
        for command in commands {
            // Decided twice with the same dice: the same decision.
            let view = View { image: &cluster.image, settings: &cluster.settings };
            let [once, again] = [1, 1].map(|seed: u64| {
                let mut rolled = seed;
                decide(view, &command, &mut || {
                    rolled = rolled.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    rolled
                })
            });
            prop_assert_eq!(once, again);
            cluster.run(command);
        }
        let image = &cluster.image;
        for topic in image.topics().iter() {
            let indexes: Vec<_> = topic.partitions().map(|(at, _)| at).collect();
            let expected: Vec<_> = (0..topic.partition_count()).collect();
            prop_assert_eq!(indexes, expected);
            prop_assert_eq!(image.topics().by_id(topic.id()), Some(topic));
        }
        let at = image.provenance();
        prop_assert_eq!(&replayed(&cluster.log, at), image);
        prop_assert_eq!(&replayed(&cluster.log, at), image);
        prop_assert_eq!(&replayed(&record::image_records(image), at), image);
    }
}
