use duramen_protocol::error::ErrorCode;
use duramen_protocol::ids::TopicId;

use crate::controller::command::{
    Command, CreateTopics, DeleteTopics, DeletedTopic, NewTopic, Reply, TopicRef,
};
use crate::controller::decide::testing::{Cluster, seen};
use crate::metadata::ConfigResource;

fn delete(cluster: &mut Cluster, topics: Vec<TopicRef>) -> Vec<DeletedTopic> {
    match cluster.run(Command::DeleteTopics(DeleteTopics { topics })) {
        Reply::DeleteTopics(results) => results,
        other => panic!("{other:?}"),
    }
}

fn id_of(cluster: &Cluster, name: &str) -> TopicId {
    cluster.image.topics().by_name(name).unwrap().id()
}

#[test]
fn a_topic_is_deleted_by_name_or_by_id_and_its_answer_has_both() {
    let mut cluster = Cluster::of(&[1]).with_topic("a", 1).with_topic("b", 2);
    let (a, b) = (id_of(&cluster, "a"), id_of(&cluster, "b"));
    let results = delete(&mut cluster, vec![TopicRef::name("a"), TopicRef::id(b)]);
    assert_eq!(results[0], DeletedTopic { name: Some("a".into()), id: a, result: Ok(()) });
    assert_eq!(results[1], DeletedTopic { name: Some("b".into()), id: b, result: Ok(()) });
    assert!(cluster.image.topics().is_empty());
}

#[test]
fn every_error() {
    let mut cluster = Cluster::of(&[1]).with_topic("a", 1).with_topic("b", 1);
    let (a, other) = (id_of(&cluster, "a"), TopicId::from_u128(99));
    let topics = vec![
        TopicRef::name("missing"),
        TopicRef::id(other),
        TopicRef { name: None, id: TopicId::nil() },
        TopicRef { name: Some("b".into()), id: other },
        TopicRef::name("twice"),
        TopicRef::name("twice"),
        TopicRef::name("a"),
        TopicRef::id(a),
    ];
    let results = delete(&mut cluster, topics);
    let answers: Vec<_> = results.iter().map(|topic| seen(&topic.result)).collect();
    let mapped = "The provided topic name maps to an ID that was already supplied.";
    assert_eq!(
        answers,
        [
            (ErrorCode::UnknownTopicOrPartition, ErrorCode::UnknownTopicOrPartition.message()),
            (ErrorCode::UnknownTopicId, ErrorCode::UnknownTopicId.message()),
            (ErrorCode::InvalidRequest, "Neither topic name nor id were specified."),
            (ErrorCode::InvalidRequest, "You may not specify both topic name and topic id."),
            (ErrorCode::InvalidRequest, "Duplicate topic name."),
            (ErrorCode::InvalidRequest, mapped),
            (ErrorCode::InvalidRequest, mapped),
        ]
    );
    assert_eq!(cluster.image.topics().len(), 2);
}

#[test]
fn an_id_that_comes_twice_is_refused() {
    let mut cluster = Cluster::of(&[1]).with_topic("a", 1);
    let a = id_of(&cluster, "a");
    let results = delete(&mut cluster, vec![TopicRef::id(a), TopicRef::id(a)]);
    assert_eq!(results.len(), 1);
    assert_eq!(seen(&results[0].result), (ErrorCode::InvalidRequest, "Duplicate topic id."));
}

#[test]
fn deletion_can_be_forbidden() {
    let mut cluster = Cluster::of(&[1]).with_topic("a", 1);
    cluster.settings.delete_topic_enable = false;
    let results = delete(&mut cluster, vec![TopicRef::name("a")]);
    assert_eq!(seen(&results[0].result).0, ErrorCode::TopicDeletionDisabled);
    assert_eq!(cluster.image.topics().len(), 1);
}

#[test]
fn a_topic_made_again_has_another_id_and_none_of_the_old_configs() {
    let mut cluster = Cluster::of(&[1]);
    let mut topic = NewTopic::with_defaults("a.b");
    topic.configs = vec![("retention.ms".into(), Some("1000".into()))];
    cluster.run(Command::CreateTopics(CreateTopics { topics: vec![topic], validate_only: false }));
    let before = id_of(&cluster, "a.b");
    delete(&mut cluster, vec![TopicRef::name("a.b")]);
    let cluster = cluster.with_topic("a_b", 1);
    assert_ne!(id_of(&cluster, "a_b"), before);
    assert!(cluster.image.configs().get(&ConfigResource::topic("a.b")).is_none());
}
