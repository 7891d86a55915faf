use duramen_protocol::error::ErrorCode;
use duramen_protocol::text::Text;

use crate::controller::command::{Command, CreatePartitions, MorePartitions, Refusal, Reply};
use crate::controller::decide::testing::{Cluster, seen};

fn add(cluster: &mut Cluster, topics: Vec<MorePartitions>) -> Vec<(Text, Result<(), Refusal>)> {
    let command = CreatePartitions { topics, validate_only: false };
    match cluster.run(Command::CreatePartitions(command)) {
        Reply::CreatePartitions(results) => results,
        other => panic!("{other:?}"),
    }
}

fn to(topic: &str, count: i32) -> MorePartitions {
    MorePartitions { topic: topic.into(), count, assignments: None }
}

#[test]
fn partitions_are_added_behind_those_there_are() {
    let mut cluster = Cluster::of(&[1]).with_topic("a", 2);
    let before = cluster.image.topics().partition("a", 1).cloned();
    let results = add(&mut cluster, vec![to("a", 5)]);
    assert_eq!(seen(&results[0].1).0, ErrorCode::None);
    let topic = cluster.image.topics().by_name("a").unwrap();
    assert_eq!(topic.partitions().map(|(at, _)| at).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    assert_eq!(topic.partition(1), before.as_ref());
    assert_eq!(topic.partition(4).unwrap().leader, 1);
}

#[test]
fn every_error() {
    let assigned = |assignments: &[&[i32]]| MorePartitions {
        assignments: Some(assignments.iter().map(|ids| ids.to_vec()).collect()),
        ..to("a", 3)
    };
    for (topic, code, message) in [
        (
            to("missing", 3),
            ErrorCode::UnknownTopicOrPartition,
            ErrorCode::UnknownTopicOrPartition.message(),
        ),
        (to("a", 2), ErrorCode::InvalidPartitions, "Topic already has 2 partition(s)."),
        (
            to("a", 1),
            ErrorCode::InvalidPartitions,
            "The topic a currently has 2 partition(s); 1 would not be an increase.",
        ),
        (
            to("a", i32::MIN),
            ErrorCode::InvalidPartitions,
            "The topic a currently has 2 partition(s); -2147483648 would not be an increase.",
        ),
        (
            to("a", i32::MAX),
            ErrorCode::PolicyViolation,
            "Excessively large number of partitions per request.",
        ),
        (
            assigned(&[&[1], &[1]]),
            ErrorCode::InvalidReplicaAssignment,
            "Attempted to add 1 additional partition(s), but only 2 assignment(s) were specified.",
        ),
        (
            assigned(&[&[9]]),
            ErrorCode::InvalidReplicaAssignment,
            "The manual partition assignment includes broker 9, but no such broker is registered.",
        ),
        (
            assigned(&[&[1, 2]]),
            ErrorCode::InvalidReplicaAssignment,
            "The manual partition assignment includes a partition with 2 replica(s), but this is \
             not consistent with previous partitions, which have 1 replica(s).",
        ),
    ] {
        let mut cluster = Cluster::of(&[1, 2]).with_topic("a", 2);
        let results = add(&mut cluster, vec![topic.clone()]);
        assert_eq!(seen(&results[0].1), (code, message), "{topic:?}");
        assert_eq!(cluster.image.topics().by_name("a").unwrap().partition_count(), 2);
    }
}

#[test]
fn a_topic_that_comes_twice_is_refused() {
    let mut cluster = Cluster::of(&[1]).with_topic("a", 2);
    let results = add(&mut cluster, vec![to("a", 3), to("a", 4)]);
    assert_eq!(results.len(), 1);
    assert_eq!(seen(&results[0].1), (ErrorCode::InvalidRequest, "Duplicate topic name."));
}

#[test]
fn validate_only_changes_nothing() {
    let mut cluster = Cluster::of(&[1]).with_topic("a", 2);
    let command = CreatePartitions { topics: vec![to("a", 3)], validate_only: true };
    let Reply::CreatePartitions(results) = cluster.run(Command::CreatePartitions(command)) else {
        panic!()
    };
    assert_eq!(seen(&results[0].1).0, ErrorCode::None);
    assert_eq!(cluster.image.topics().by_name("a").unwrap().partition_count(), 2);
}
