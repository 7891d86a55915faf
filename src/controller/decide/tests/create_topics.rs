use std::collections::BTreeSet;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::ids::topic_id_to_base64;
use duramen_protocol::text::Text;

use crate::controller::command::{Command, CreateTopics, CreatedTopic, NewTopic, Refusal, Reply};
use crate::controller::decide::testing::{Cluster, seen};
use crate::metadata::ConfigResource;

type Results = Vec<(Text, Result<CreatedTopic, Refusal>)>;

fn create(cluster: &mut Cluster, topics: Vec<NewTopic>) -> Results {
    match cluster.run(Command::CreateTopics(CreateTopics { topics, validate_only: false })) {
        Reply::CreateTopics(results) => results,
        other => panic!("{other:?}"),
    }
}

/// The error that creating `topic` on one broker gives.
fn refused(topic: NewTopic) -> (ErrorCode, String) {
    let mut cluster = Cluster::of(&[1]).with_topic("a.b", 1);
    let results = create(&mut cluster, vec![topic]);
    let (code, message) = seen(&results[0].1);
    (code, message.to_owned())
}

fn named(name: &str) -> NewTopic {
    NewTopic::with_defaults(name)
}

fn configured(name: &str, value: Option<&str>) -> NewTopic {
    NewTopic { configs: vec![(name.into(), value.map(Text::from))], ..named("t") }
}

fn assigned(assignments: &[(i32, &[i32])]) -> NewTopic {
    let assignments = assignments.iter().map(|(at, ids)| (*at, ids.to_vec())).collect();
    NewTopic { assignments, ..named("t") }
}

#[test]
fn a_topic_with_defaults_gets_the_brokers_defaults() {
    let mut cluster = Cluster::of(&[1]);
    let results = create(&mut cluster, vec![named("orders")]);
    let created = results[0].1.as_ref().unwrap();
    assert_eq!((created.partitions, created.replication_factor), (3, 1));
    let topic = cluster.image.topics().by_name("orders").unwrap();
    assert_eq!(topic.id(), created.id);
    assert_eq!(topic.id().get_version_num(), 4);
    for (_, partition) in topic.partitions() {
        assert_eq!(partition.replicas, [1]);
        assert_eq!(partition.isr, [1]);
        assert_eq!((partition.leader, partition.leader_epoch), (1, 0));
    }
}

#[test]
fn every_error_of_a_single_topic() {
    for (topic, code, message) in [
        (named("a.b"), ErrorCode::TopicAlreadyExists, "Topic 'a.b' already exists."),
        (
            named("a_b"),
            ErrorCode::InvalidTopicException,
            "Topic 'a_b' collides with existing topic: a.b",
        ),
        (
            named("a/b"),
            ErrorCode::InvalidTopicException,
            "Topic name is invalid: 'a/b' contains one or more characters other than ASCII \
             alphanumerics, '.', '_' and '-'",
        ),
        (
            named("__cluster_metadata"),
            ErrorCode::InvalidRequest,
            "Creation of internal topic __cluster_metadata is prohibited.",
        ),
        (
            NewTopic { partitions: 0, ..named("t") },
            ErrorCode::InvalidPartitions,
            "Number of partitions was set to an invalid non-positive value.",
        ),
        (
            NewTopic { partitions: -2, ..named("t") },
            ErrorCode::InvalidPartitions,
            "Number of partitions was set to an invalid non-positive value.",
        ),
        (
            NewTopic { partitions: i32::MAX, ..named("t") },
            ErrorCode::PolicyViolation,
            "Excessively large number of partitions per request.",
        ),
        (
            NewTopic { replication_factor: 0, ..named("t") },
            ErrorCode::InvalidReplicationFactor,
            "Replication factor must be larger than 0, or -1 to use the default value.",
        ),
        (
            NewTopic { replication_factor: 2, ..named("t") },
            ErrorCode::InvalidReplicationFactor,
            "Unable to replicate the partition 2 time(s): The target replication factor of 2 \
             cannot be reached because only 1 broker(s) are registered.",
        ),
        (
            configured("retention.ms", None),
            ErrorCode::InvalidConfig,
            "Null value not supported for topic configs: retention.ms",
        ),
        (
            configured("retention.mss", Some("1")),
            ErrorCode::InvalidConfig,
            "Unknown topic config name: retention.mss; did you mean `retention.ms`?",
        ),
        (
            configured("retention.ms", Some("soon")),
            ErrorCode::InvalidConfig,
            "Invalid value soon for configuration retention.ms: Not a number of type LONG",
        ),
    ] {
        assert_eq!(refused(topic.clone()), (code, message.to_owned()), "{topic:?}");
    }
}

#[test]
fn every_error_of_a_manual_assignment() {
    for (topic, code, message) in [
        (
            NewTopic { replication_factor: 1, ..assigned(&[(0, &[1])]) },
            ErrorCode::InvalidRequest,
            "A manual partition assignment was specified, but replication factor was not set to \
             -1.",
        ),
        (
            NewTopic { partitions: 1, ..assigned(&[(0, &[1])]) },
            ErrorCode::InvalidRequest,
            "A manual partition assignment was specified, but numPartitions was not set to -1.",
        ),
        (
            assigned(&[(0, &[1]), (0, &[1])]),
            ErrorCode::InvalidReplicaAssignment,
            "Found multiple manual partition assignments for partition 0",
        ),
        (
            assigned(&[(1, &[1])]),
            ErrorCode::InvalidReplicaAssignment,
            "partitions should be a consecutive 0-based integer sequence",
        ),
        (
            assigned(&[(0, &[])]),
            ErrorCode::InvalidReplicaAssignment,
            "The manual partition assignment includes an empty replica list.",
        ),
        (
            assigned(&[(0, &[9])]),
            ErrorCode::InvalidReplicaAssignment,
            "The manual partition assignment includes broker 9, but no such broker is registered.",
        ),
        (
            assigned(&[(0, &[1, 1])]),
            ErrorCode::InvalidReplicaAssignment,
            "The manual partition assignment includes the broker 1 more than once.",
        ),
    ] {
        assert_eq!(refused(topic.clone()), (code, message.to_owned()), "{topic:?}");
    }
}

#[test]
fn an_assignment_says_who_leads_and_must_be_even() {
    let mut cluster = Cluster::of(&[1, 2]);
    let results = create(&mut cluster, vec![assigned(&[(1, &[1, 2]), (0, &[2, 1])])]);
    assert_eq!(results[0].1.as_ref().unwrap().replication_factor, 2);
    let topic = cluster.image.topics().by_name("t").unwrap();
    assert_eq!(topic.partition(0).unwrap().leader, 2);
    assert_eq!(topic.partition(1).unwrap().leader, 1);
    assert_eq!(topic.partition(1).unwrap().isr, [1, 2]);

    let uneven = NewTopic { name: "u".into(), ..assigned(&[(0, &[2, 1]), (1, &[1])]) };
    assert_eq!(
        seen(&create(&mut cluster, vec![uneven])[0].1),
        (
            ErrorCode::InvalidReplicaAssignment,
            "The manual partition assignment includes a partition with 1 replica(s), but this is \
             not consistent with previous partitions, which have 2 replica(s)."
        )
    );
}

#[test]
fn a_name_that_comes_twice_is_refused_once_and_the_rest_is_created() {
    let mut cluster = Cluster::of(&[1]);
    let results = create(&mut cluster, vec![named("twice"), named("once"), named("twice")]);
    let answers: Vec<_> = results.iter().map(|(name, result)| (&**name, seen(result))).collect();
    assert_eq!(
        answers,
        [
            ("twice", (ErrorCode::InvalidRequest, "Duplicate topic name.")),
            ("once", (ErrorCode::None, "")),
        ]
    );
    assert!(cluster.image.topics().by_name("twice").is_none());
    assert!(cluster.image.topics().by_name("once").is_some());
}

#[test]
fn two_topics_of_one_request_that_collide_are_not_both_created() {
    let mut cluster = Cluster::of(&[1]);
    let results = create(&mut cluster, vec![named("a.b_c"), named("a_b.c")]);
    assert_eq!(seen(&results[0].1).0, ErrorCode::None);
    assert_eq!(
        seen(&results[1].1),
        (ErrorCode::InvalidTopicException, "Topic 'a_b.c' collides with existing topic: a.b_c")
    );
}

#[test]
fn without_brokers_nothing_can_be_placed() {
    let results = create(&mut Cluster::of(&[]), vec![named("t")]);
    assert_eq!(
        seen(&results[0].1),
        (
            ErrorCode::InvalidReplicationFactor,
            "Unable to replicate the partition 1 time(s): All brokers are currently fenced."
        )
    );
}

#[test]
fn validate_only_answers_the_same_and_changes_nothing() {
    let mut cluster = Cluster::of(&[1]);
    let before = cluster.image.clone();
    let command = CreateTopics { topics: vec![named("t"), named("")], validate_only: true };
    let Reply::CreateTopics(results) = cluster.run(Command::CreateTopics(command)) else {
        panic!()
    };
    assert_eq!(results[0].1.as_ref().unwrap().partitions, 3);
    assert_eq!(seen(&results[1].1).0, ErrorCode::InvalidTopicException);
    assert_eq!(cluster.image, before);
}

#[test]
fn configs_of_a_new_topic_are_stored_and_answered() {
    let mut cluster = Cluster::of(&[1]);
    let results = create(&mut cluster, vec![configured("retention.ms", Some("1000"))]);
    let created = results[0].1.as_ref().unwrap();
    assert_eq!(created.configs.get("retention.ms").unwrap(), "1000");
    let stored = cluster.image.configs().of(&ConfigResource::topic("t"));
    assert_eq!(*stored, created.configs);
}

#[test]
fn ids_are_never_repeated_nor_begin_like_an_option() {
    let mut cluster = Cluster::of(&[1]);
    let mut ids = BTreeSet::new();
    for round in 0..200 {
        let results = create(&mut cluster, vec![named(&format!("t{round}"))]);
        let id = results[0].1.as_ref().unwrap().id;
        assert!(!topic_id_to_base64(&id).starts_with('-') && id.as_u128() > 1);
        assert!(ids.insert(id));
    }
}
