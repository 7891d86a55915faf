//! CreateTopics.

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::create_topics::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreatableTopicResult,
    CreateTopicsRequest,
};
use duramen_protocol::messages::metadata::{MetadataRequest, MetadataResponseTopic};

use crate::support::client::{error, versions};
use crate::support::{Batch, Client, Node};

fn topic(name: &str) -> CreatableTopic {
    CreatableTopic {
        name: name.into(),
        num_partitions: 1,
        replication_factor: 1,
        ..Default::default()
    }
}

fn assigned(name: &str, assignments: &[(i32, &[i32])]) -> CreatableTopic {
    let assignment = |&(partition_index, brokers): &(i32, &[i32])| CreatableReplicaAssignment {
        partition_index,
        broker_ids: brokers.to_vec(),
        ..Default::default()
    };
    CreatableTopic {
        num_partitions: -1,
        replication_factor: -1,
        assignments: assignments.iter().map(assignment).collect(),
        ..topic(name)
    }
}

fn configured(name: &str, configs: &[(&str, Option<&str>)]) -> CreatableTopic {
    let config = |&(name, value): &(&str, Option<&str>)| CreatableTopicConfig {
        name: name.into(),
        value: value.map(Into::into),
        ..Default::default()
    };
    CreatableTopic { configs: configs.iter().map(config).collect(), ..topic(name) }
}

async fn create(client: &Client, topics: Vec<CreatableTopic>) -> Vec<CreatableTopicResult> {
    client.ask(&CreateTopicsRequest { topics, ..Default::default() }).await.topics
}

/// The error for one topic, and its words.
async fn refused(client: &Client, topic: CreatableTopic) -> (ErrorCode, String) {
    let name = topic.name.clone();
    let outcome = create(client, vec![topic]).await.remove(0);
    assert_eq!(outcome.name, name);
    assert!(outcome.topic_id.is_nil(), "no id for what was not created");
    (error(outcome.error_code), outcome.error_message.map(String::from).unwrap_or_default())
}

async fn described(client: &Client) -> Vec<MetadataResponseTopic> {
    let request = MetadataRequest { topics: None, ..Default::default() };
    client.ask(&request).await.topics
}

#[tokio::test]
async fn every_version_makes_a_topic_that_is_usable_when_the_answer_is_there() {
    let (_node, client) = Node::client().await;
    for version in versions::<CreateTopicsRequest>() {
        let name = format!("made-in-{version}");
        let wanted = CreatableTopic { num_partitions: 3, ..topic(&name) };
        let request = CreateTopicsRequest { topics: vec![wanted], ..Default::default() };
        let outcome = client.call(version, &request).await.topics.remove(0);
        assert_eq!(error(outcome.error_code), ErrorCode::None, "{:?}", outcome.error_message);
        if version >= 5 {
            assert_eq!((outcome.num_partitions, outcome.replication_factor), (3, 1));
        }
        assert_eq!(outcome.topic_id.is_nil(), version < 7);
        for partition in 0..3 {
            assert_eq!(client.send(&name, partition, &Batch::of(["x"])).await, 0);
        }
        let known = described(&client).await;
        let known = known.iter().find(|topic| topic.name.as_deref() == Some(&name)).unwrap();
        if version >= 7 {
            assert_eq!(known.topic_id, outcome.topic_id);
        }
    }
}

#[tokio::test]
async fn minus_one_takes_the_brokers_defaults() {
    let node = Node::with(&["num.partitions=5"]).await;
    let client = node.connect().await;
    let wanted = CreatableTopic { num_partitions: -1, replication_factor: -1, ..topic("orders") };
    let outcome = create(&client, vec![wanted]).await.remove(0);
    assert_eq!((outcome.error_code, outcome.num_partitions), (0, 5));
    assert_eq!(outcome.replication_factor, 1);
}

#[tokio::test]
async fn what_exists_is_told() {
    let (_node, client) = Node::client().await;
    let id = client.create("orders", 2).await;
    let (code, message) = refused(&client, topic("orders")).await;
    assert_eq!(code, ErrorCode::TopicAlreadyExists);
    assert_eq!(message, "Topic 'orders' already exists.");
    let known = described(&client).await;
    assert_eq!((known.len(), known[0].topic_id, known[0].partitions.len()), (1, id, 2));
}

#[tokio::test]
async fn names_follow_kafkas_rules() {
    let (_node, client) = Node::client().await;
    let long = "x".repeat(250);
    for name in ["", ".", "..", "a b", "a/b", "../../etc/x", "ä", "a\0b", &long] {
        let (code, message) = refused(&client, topic(name)).await;
        assert_eq!(code, ErrorCode::InvalidTopicException, "{name:?}");
        assert!(message.contains("invalid"), "{message}");
    }
    client.create("a.b", 1).await;
    let (code, message) = refused(&client, topic("a_b")).await;
    assert_eq!(code, ErrorCode::InvalidTopicException);
    assert!(message.contains("collides"), "{message}");
    for name in ["...", "-x", "A", "a", &"y".repeat(249)] {
        client.create(name, 1).await;
        client.send(name, 0, &Batch::of(["x"])).await;
    }
}

#[tokio::test]
async fn the_brokers_own_log_is_not_for_clients() {
    let (_node, client) = Node::client().await;
    let (code, _) = refused(&client, topic("__cluster_metadata")).await;
    assert_eq!(code, ErrorCode::InvalidRequest);
}

#[tokio::test]
async fn counts_are_checked() {
    let (_node, client) = Node::client().await;
    for partitions in [0, -2, i32::MIN] {
        let wanted = CreatableTopic { num_partitions: partitions, ..topic("orders") };
        assert_eq!(refused(&client, wanted).await.0, ErrorCode::InvalidPartitions);
    }
    for (factor, words) in [(0, "larger than 0"), (-2, "larger than 0"), (2, "registered")] {
        let wanted = CreatableTopic { replication_factor: factor, ..topic("orders") };
        let (code, message) = refused(&client, wanted).await;
        assert_eq!(code, ErrorCode::InvalidReplicationFactor);
        assert!(message.contains(words), "{message}");
    }
    for partitions in [10_001, i32::MAX] {
        let wanted = CreatableTopic { num_partitions: partitions, ..topic("orders") };
        assert_eq!(refused(&client, wanted).await.0, ErrorCode::PolicyViolation);
    }
    assert_eq!(described(&client).await, []);
}

#[tokio::test]
async fn assignments_by_hand_are_checked() {
    let (_node, client) = Node::client().await;
    let invalid = ErrorCode::InvalidReplicaAssignment;
    for (wanted, expected) in [
        (assigned("orders", &[(0, &[1]), (0, &[1])]), invalid),
        (assigned("orders", &[(1, &[1])]), invalid),
        (assigned("orders", &[(0, &[1]), (2, &[1])]), invalid),
        (assigned("orders", &[(-1, &[1])]), invalid),
        (assigned("orders", &[(0, &[])]), invalid),
        (assigned("orders", &[(0, &[9])]), invalid),
        (assigned("orders", &[(0, &[1, 1])]), invalid),
        (
            CreatableTopic { num_partitions: 1, ..assigned("orders", &[(0, &[1])]) },
            ErrorCode::InvalidRequest,
        ),
        (
            CreatableTopic { replication_factor: 1, ..assigned("orders", &[(0, &[1])]) },
            ErrorCode::InvalidRequest,
        ),
    ] {
        let (code, message) = refused(&client, wanted).await;
        assert_eq!(code, expected, "{message}");
    }
    let outcome =
        create(&client, vec![assigned("orders", &[(1, &[1]), (0, &[1])])]).await.remove(0);
    assert_eq!((outcome.error_code, outcome.num_partitions), (0, 2));
}

#[tokio::test]
async fn configs_are_checked_and_hold() {
    let (_node, client) = Node::client().await;
    for (configs, words) in [
        ([("retention.ms", Some("soon"))], "retention.ms"),
        ([("no.such.config", Some("1"))], "no.such.config"),
        ([("segment.bytes", Some("5"))], "segment.bytes"),
        ([("cleanup.policy", Some("forget"))], "cleanup.policy"),
        ([("compression.type", Some("rar"))], "compression.type"),
        ([("retention.ms", None)], "retention.ms"),
    ] {
        let (code, message) = refused(&client, configured("orders", &configs)).await;
        assert_eq!(code, ErrorCode::InvalidConfig, "{configs:?}");
        assert!(message.contains(words), "{message}");
    }
    let outcome =
        create(&client, vec![configured("orders", &[("max.message.bytes", Some("500"))])])
            .await
            .remove(0);
    assert_eq!(outcome.error_code, 0);
    let large = Batch::noise(600).build();
    client.refused("orders", &large, ErrorCode::MessageTooLarge).await;
}

#[tokio::test]
async fn several_topics_are_each_their_own() {
    let (_node, client) = Node::client().await;
    client.create("there", 1).await;
    let outcomes = create(
        &client,
        vec![topic("one"), topic("there"), topic("a b"), topic("two"), topic("x.y"), topic("x_y")],
    )
    .await;
    let codes: Vec<_> = outcomes.iter().map(|t| (t.name.as_str(), error(t.error_code))).collect();
    assert_eq!(
        codes,
        [
            ("one", ErrorCode::None),
            ("there", ErrorCode::TopicAlreadyExists),
            ("a b", ErrorCode::InvalidTopicException),
            ("two", ErrorCode::None),
            ("x.y", ErrorCode::None),
            ("x_y", ErrorCode::InvalidTopicException),
        ]
    );
    assert_eq!(described(&client).await.len(), 4);
}

#[tokio::test]
async fn a_name_that_comes_twice_is_not_created_at_all() {
    let (_node, client) = Node::client().await;
    let outcomes = create(&client, vec![topic("twice"), topic("once"), topic("twice")]).await;
    let code = |name: &str| {
        let found: Vec<_> = outcomes.iter().filter(|topic| topic.name == name).collect();
        assert_eq!(found.len(), 1, "each name is answered once");
        error(found[0].error_code)
    };
    assert_eq!(code("twice"), ErrorCode::InvalidRequest);
    assert_eq!(code("once"), ErrorCode::None);
    assert_eq!(described(&client).await.len(), 1);
}

#[tokio::test]
async fn to_validate_only_creates_nothing() {
    let (_node, client) = Node::client().await;
    client.create("there", 1).await;
    for version in versions::<CreateTopicsRequest>() {
        let request = CreateTopicsRequest {
            topics: vec![CreatableTopic { num_partitions: 4, ..topic("new") }, topic("there")],
            validate_only: true,
            ..Default::default()
        };
        let response = client.call(version, &request).await;
        let codes: Vec<_> = response.topics.iter().map(|t| error(t.error_code)).collect();
        assert_eq!(codes, [ErrorCode::None, ErrorCode::TopicAlreadyExists]);
        if version >= 5 {
            assert_eq!(response.topics[0].num_partitions, 4);
        }
    }
    assert_eq!(described(&client).await.len(), 1);
}

#[tokio::test]
async fn topics_last() {
    let (mut node, client) = Node::client().await;
    let id = client.create_with("orders", 2, &[("max.message.bytes", "500")]).await;
    drop(client);
    for dropped in [false, true] {
        let client = if dropped { node.drop_and_restart().await } else { node.restart().await };
        let known = described(&client).await;
        assert_eq!((known[0].topic_id, known[0].partitions.len()), (id, 2));
        let large = Batch::noise(600).build();
        client.refused("orders", &large, ErrorCode::MessageTooLarge).await;
    }
}

#[tokio::test]
async fn two_clients_at_once_create_it_once() {
    let (node, client) = Node::client().await;
    let other = node.connect().await;
    for n in 0..5 {
        let name = format!("race-{n}");
        let (one, two) =
            tokio::join!(create(&client, vec![topic(&name)]), create(&other, vec![topic(&name)]),);
        let mut codes = [error(one[0].error_code), error(two[0].error_code)];
        codes.sort_unstable_by_key(|code| code.code());
        assert_eq!(codes, [ErrorCode::None, ErrorCode::TopicAlreadyExists]);
    }
}

#[tokio::test]
async fn nothing_asked_nothing_answered() {
    let (_node, client) = Node::client().await;
    assert_eq!(create(&client, Vec::new()).await, []);
}
