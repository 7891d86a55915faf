//! DeleteRecords.

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::delete_records::{
    DeleteRecordsPartition, DeleteRecordsPartitionResult, DeleteRecordsRequest, DeleteRecordsTopic,
};

use crate::support::client::{error, fetched, versions};
use crate::support::{Batch, Client, Node};

fn request(topic: &str, partitions: &[(i32, i64)]) -> DeleteRecordsRequest {
    let partition = |&(partition_index, offset): &(i32, i64)| DeleteRecordsPartition {
        partition_index,
        offset,
        ..Default::default()
    };
    let topic = DeleteRecordsTopic {
        name: topic.into(),
        partitions: partitions.iter().map(partition).collect(),
        ..Default::default()
    };
    DeleteRecordsRequest { topics: vec![topic], timeout_ms: 30_000, ..Default::default() }
}

async fn outcome(
    client: &Client,
    topic: &str,
    partition: i32,
    offset: i64,
) -> DeleteRecordsPartitionResult {
    let response = client.ask(&request(topic, &[(partition, offset)])).await;
    assert_eq!(response.topics[0].name, topic);
    response.topics[0].partitions[0].clone()
}

/// Deletes what lies before `offset` of a partition.
pub async fn delete(client: &Client, topic: &str, partition: i32, offset: i64) {
    let outcome = outcome(client, topic, partition, offset).await;
    assert_eq!(error(outcome.error_code), ErrorCode::None);
}

async fn orders(records: usize) -> (Node, Client) {
    let (node, client) = Node::client().await;
    client.create("orders", 1).await;
    for n in 0..records {
        client.send("orders", 0, &Batch::of([n.to_string()])).await;
    }
    (node, client)
}

#[tokio::test]
async fn every_version_moves_the_start() {
    let (_node, client) = orders(10).await;
    for (version, offset) in versions::<DeleteRecordsRequest>().zip([2, 4, 7]) {
        let response = client.call(version, &request("orders", &[(0, offset)])).await;
        let outcome = &response.topics[0].partitions[0];
        assert_eq!((outcome.error_code, outcome.low_watermark), (0, offset), "v{version}");
        assert_eq!(client.start("orders", 0).await, offset);
        assert_eq!(client.read("orders", 0, offset).await.len(), 10 - offset as usize);
    }
}

#[tokio::test]
async fn an_offset_inside_a_batch_is_the_new_start_to_the_record() {
    let (_node, client) = orders(0).await;
    client.send("orders", 0, &Batch::of(["a", "b", "c"])).await;
    delete(&client, "orders", 0, 1).await;
    assert_eq!(client.start("orders", 0).await, 1);
    assert_eq!(client.read("orders", 0, 1).await, ["b", "c"]);
    let below = client.fetch("orders", 0, 0).await;
    assert_eq!(error(below.error_code), ErrorCode::OffsetOutOfRange);
}

#[tokio::test]
async fn minus_one_is_the_high_watermark() {
    let (_node, client) = orders(4).await;
    let outcome = outcome(&client, "orders", 0, -1).await;
    assert_eq!((outcome.error_code, outcome.low_watermark), (0, 4));
    assert_eq!(client.start("orders", 0).await, 4);
    assert_eq!(client.end("orders", 0).await, 4);
    assert_eq!(client.send("orders", 0, &Batch::of(["next"])).await, 4);
}

#[tokio::test]
async fn the_start_never_goes_back() {
    let (_node, client) = orders(4).await;
    delete(&client, "orders", 0, 3).await;
    let outcome = outcome(&client, "orders", 0, 1).await;
    assert_eq!((outcome.error_code, outcome.low_watermark), (0, 3));
    assert_eq!(client.start("orders", 0).await, 3);
}

#[tokio::test]
async fn what_is_not_there_is_out_of_range() {
    let (_node, client) = orders(4).await;
    for offset in [5, i64::MAX, -2, i64::MIN] {
        let outcome = outcome(&client, "orders", 0, offset).await;
        assert_eq!(error(outcome.error_code), ErrorCode::OffsetOutOfRange, "{offset}");
        assert_eq!(outcome.low_watermark, -1);
    }
    assert_eq!(client.start("orders", 0).await, 0);
}

#[tokio::test]
async fn unknown_topics_and_partitions_are_named() {
    let (_node, client) = orders(4).await;
    for (topic, partition) in [("none", 0), ("orders", 3), ("orders", -1), ("", 0)] {
        let outcome = outcome(&client, topic, partition, 1).await;
        assert_eq!(error(outcome.error_code), ErrorCode::UnknownTopicOrPartition);
        assert_eq!(outcome.low_watermark, -1);
    }
}

#[tokio::test]
async fn several_partitions_are_each_their_own() {
    let (_node, client) = orders(4).await;
    let response = client.ask(&request("orders", &[(7, 0), (0, 2), (0, 99)])).await;
    let codes: Vec<_> =
        response.topics[0].partitions.iter().map(|outcome| error(outcome.error_code)).collect();
    assert_eq!(
        codes,
        [ErrorCode::UnknownTopicOrPartition, ErrorCode::None, ErrorCode::OffsetOutOfRange]
    );
    assert_eq!(client.start("orders", 0).await, 2);
}

#[tokio::test]
async fn a_compacted_topic_is_cleaned_by_key_alone() {
    let (_node, client) = Node::client().await;
    client.create_with("compact", 1, &[("cleanup.policy", "compact")]).await;
    client.create_with("both", 1, &[("cleanup.policy", "compact,delete")]).await;
    for topic in ["compact", "both"] {
        client.send(topic, 0, &Batch::keyed(&[("a", Some("1"))])).await;
    }
    let refused = outcome(&client, "compact", 0, 1).await;
    assert_eq!(error(refused.error_code), ErrorCode::PolicyViolation);
    delete(&client, "both", 0, 1).await;
}

#[tokio::test]
async fn the_new_start_lasts() {
    let (mut node, client) = orders(6).await;
    delete(&client, "orders", 0, 2).await;
    drop(client);
    let client = node.restart().await;
    assert_eq!(client.start("orders", 0).await, 2);
    delete(&client, "orders", 0, 4).await;
    drop(client);
    let client = node.drop_and_restart().await;
    assert_eq!(client.start("orders", 0).await, 4);
    assert_eq!(fetched(&client.fetch("orders", 0, 4).await), ["4", "5"]);
}

#[tokio::test]
async fn segments_before_the_start_are_given_back_to_the_disk() {
    let (node, client) = Node::client().await;
    let configs = [("segment.bytes", "1048576"), ("file.delete.delay.ms", "0")];
    client.create_with("orders", 1, &configs).await;
    for _ in 0..5 {
        client.send("orders", 0, &Batch::noise(700_000)).await;
    }
    assert_eq!(node.segments("orders", 0).len(), 5);
    delete(&client, "orders", 0, 3).await;
    crate::support::eventually("the first three segments go", async || {
        (node.segments("orders", 0).len() == 2).then_some(())
    })
    .await;
    assert_eq!(client.read("orders", 0, 3).await.len(), 2);
}

/// The error of deleting what lies before `offset` of partition 0.
pub async fn refusal(client: &Client, topic: &str, offset: i64) -> ErrorCode {
    error(outcome(client, topic, 0, offset).await.error_code)
}
