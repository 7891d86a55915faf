//! CreatePartitions.

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::create_partitions::{
    CreatePartitionsAssignment, CreatePartitionsRequest, CreatePartitionsTopic,
};
use duramen_protocol::messages::metadata::{MetadataRequest, MetadataRequestTopic};

use crate::support::client::{error, versions};
use crate::support::{Batch, Client, Node};

fn more(name: &str, count: i32) -> CreatePartitionsTopic {
    CreatePartitionsTopic { name: name.into(), count, assignments: None, ..Default::default() }
}

fn assigned(name: &str, count: i32, assignments: &[&[i32]]) -> CreatePartitionsTopic {
    let assignment = |brokers: &&[i32]| CreatePartitionsAssignment {
        broker_ids: brokers.to_vec(),
        ..Default::default()
    };
    CreatePartitionsTopic {
        assignments: Some(assignments.iter().map(assignment).collect()),
        ..more(name, count)
    }
}

fn request(topics: Vec<CreatePartitionsTopic>) -> CreatePartitionsRequest {
    CreatePartitionsRequest { topics, timeout_ms: 30_000, ..Default::default() }
}

async fn refused(client: &Client, topic: CreatePartitionsTopic) -> (ErrorCode, String) {
    let outcome = client.ask(&request(vec![topic])).await.results.remove(0);
    (error(outcome.error_code), outcome.error_message.map(String::from).unwrap_or_default())
}

async fn partitions(client: &Client, name: &str) -> usize {
    let topic = MetadataRequestTopic { name: Some(name.into()), ..Default::default() };
    let request = MetadataRequest { topics: Some(vec![topic]), ..Default::default() };
    client.ask(&request).await.topics[0].partitions.len()
}

#[tokio::test]
async fn every_version_adds_partitions_that_are_usable_when_the_answer_is_there() {
    let (_node, client) = Node::client().await;
    client.create("orders", 1).await;
    client.send("orders", 0, &Batch::of(["first"])).await;
    for (version, count) in versions::<CreatePartitionsRequest>().zip(2..) {
        let response = client.call(version, &request(vec![more("orders", count)])).await;
        let outcome = &response.results[0];
        assert_eq!((outcome.name.as_str(), error(outcome.error_code)), ("orders", ErrorCode::None));
        assert_eq!(client.send("orders", count - 1, &Batch::of(["x"])).await, 0, "v{version}");
        assert_eq!(partitions(&client, "orders").await, count as usize);
    }
    assert_eq!(client.read("orders", 0, 0).await, ["first"]);
}

#[tokio::test]
async fn counts_only_grow() {
    let (_node, client) = Node::client().await;
    client.create("orders", 3).await;
    for (count, words) in [(3, "already has 3"), (2, "increase"), (0, "increase"), (-1, "increase")]
    {
        let (code, message) = refused(&client, more("orders", count)).await;
        assert_eq!(code, ErrorCode::InvalidPartitions, "{count}");
        assert!(message.contains(words), "{message}");
    }
    let (code, _) = refused(&client, more("orders", i32::MAX)).await;
    assert_eq!(code, ErrorCode::PolicyViolation);
    assert_eq!(partitions(&client, "orders").await, 3);
}

#[tokio::test]
async fn unknown_and_repeated_topics_are_named() {
    let (_node, client) = Node::client().await;
    client.create("orders", 1).await;
    let (code, _) = refused(&client, more("none", 4)).await;
    assert_eq!(code, ErrorCode::UnknownTopicOrPartition);
    let response =
        client.ask(&request(vec![more("orders", 2), more("orders", 3), more("none", 2)])).await;
    let code = |name: &str| {
        error(response.results.iter().find(|result| result.name == name).unwrap().error_code)
    };
    assert_eq!(code("orders"), ErrorCode::InvalidRequest);
    assert_eq!(code("none"), ErrorCode::UnknownTopicOrPartition);
    assert_eq!(partitions(&client, "orders").await, 1);
}

#[tokio::test]
async fn assignments_by_hand_are_checked() {
    let (_node, client) = Node::client().await;
    client.create("orders", 1).await;
    let tries: [&[&[i32]]; 6] =
        [&[&[1]], &[&[1], &[9]], &[&[1], &[]], &[&[1], &[1, 1]], &[], &[&[1], &[1], &[1]]];
    for assignments in tries {
        let (code, message) = refused(&client, assigned("orders", 3, assignments)).await;
        assert_eq!(code, ErrorCode::InvalidReplicaAssignment, "{message}");
    }
    let outcome = client.ask(&request(vec![assigned("orders", 3, &[&[1], &[1]])])).await;
    assert_eq!(outcome.results[0].error_code, 0);
    assert_eq!(client.send("orders", 2, &Batch::of(["x"])).await, 0);
}

#[tokio::test]
async fn to_validate_only_adds_nothing() {
    let (_node, client) = Node::client().await;
    client.create("orders", 1).await;
    for version in versions::<CreatePartitionsRequest>() {
        let request = CreatePartitionsRequest {
            validate_only: true,
            ..request(vec![more("orders", 5), more("none", 5)])
        };
        let response = client.call(version, &request).await;
        let codes: Vec<_> = response.results.iter().map(|r| error(r.error_code)).collect();
        assert_eq!(codes, [ErrorCode::None, ErrorCode::UnknownTopicOrPartition]);
    }
    assert_eq!(partitions(&client, "orders").await, 1);
}

#[tokio::test]
async fn added_partitions_last_and_have_the_topics_settings() {
    let (mut node, client) = Node::client().await;
    client.create_with("orders", 1, &[("max.message.bytes", "500")]).await;
    client.ask(&request(vec![more("orders", 2)])).await;
    client.send("orders", 1, &Batch::of(["x"])).await;
    let large = Batch::noise(600).build();
    let outcome = client.produce("orders", 1, &large).await;
    assert_eq!(error(outcome.error_code), ErrorCode::MessageTooLarge);
    drop(client);
    let client = node.restart().await;
    assert_eq!(client.read("orders", 1, 0).await, ["x"]);
}
