//! OffsetForLeaderEpoch.

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::offset_for_leader_epoch::{
    EpochEndOffset, OffsetForLeaderEpochRequest, OffsetForLeaderPartition, OffsetForLeaderTopic,
};

use crate::support::client::{error, versions};
use crate::support::{Batch, Client, Node};

/// `known` is the epoch that the client takes for the current one.
fn request(topic: &str, partition: i32, known: i32, epoch: i32) -> OffsetForLeaderEpochRequest {
    let partition = OffsetForLeaderPartition {
        partition,
        current_leader_epoch: known,
        leader_epoch: epoch,
        ..Default::default()
    };
    let topic = OffsetForLeaderTopic {
        topic: topic.into(),
        partitions: vec![partition],
        ..Default::default()
    };
    OffsetForLeaderEpochRequest { replica_id: -1, topics: vec![topic], ..Default::default() }
}

async fn ask(client: &Client, version: i16, known: i32, epoch: i32) -> EpochEndOffset {
    let mut response = client.call(version, &request("orders", 0, known, epoch)).await;
    assert_eq!(response.topics[0].topic, "orders");
    response.topics.remove(0).partitions.remove(0)
}

/// Epoch 0 wrote two records, epoch 1 none, epoch 2 one.
async fn three_terms() -> (Node, Client) {
    let (mut node, client) = Node::client().await;
    client.create("orders", 1).await;
    client.send("orders", 0, &Batch::of(["a", "b"])).await;
    drop(client);
    drop(node.restart().await);
    let client = node.restart().await;
    client.send("orders", 0, &Batch::of(["c"])).await;
    (node, client)
}

#[tokio::test]
async fn every_version_tells_where_a_term_ended() {
    let (_node, client) = three_terms().await;
    for version in versions::<OffsetForLeaderEpochRequest>() {
        for (epoch, found, end) in [(0, 0, 2), (2, 2, 3), (3, -1, -1), (99, -1, -1), (-1, -1, -1)] {
            let answer = ask(&client, version, -1, epoch).await;
            assert_eq!(error(answer.error_code), ErrorCode::None);
            assert_eq!((answer.leader_epoch, answer.end_offset), (found, end), "epoch {epoch}");
        }
        // Nothing was written in term 1: its history is that of the term before.
        let answer = ask(&client, version, -1, 1).await;
        assert_eq!(answer.end_offset, 2);
    }
}

#[tokio::test]
async fn the_current_term_is_compared_first() {
    let (_node, client) = three_terms().await;
    for version in versions::<OffsetForLeaderEpochRequest>() {
        for (known, expected) in [
            (2, ErrorCode::None),
            (1, ErrorCode::FencedLeaderEpoch),
            (3, ErrorCode::UnknownLeaderEpoch),
        ] {
            let answer = ask(&client, version, known, 0).await;
            assert_eq!(error(answer.error_code), expected, "{known}");
            if expected != ErrorCode::None {
                assert_eq!((answer.leader_epoch, answer.end_offset), (-1, -1));
            }
        }
    }
}

#[tokio::test]
async fn unknown_topics_and_partitions_are_named() {
    let (_node, client) = Node::client().await;
    client.create("orders", 1).await;
    for version in versions::<OffsetForLeaderEpochRequest>() {
        for (topic, partition) in [("none", 0), ("orders", 3), ("orders", -1)] {
            let response = client.call(version, &request(topic, partition, -1, 0)).await;
            let answer = &response.topics[0].partitions[0];
            assert_eq!(error(answer.error_code), ErrorCode::UnknownTopicOrPartition);
            assert_eq!((answer.leader_epoch, answer.end_offset), (-1, -1));
        }
    }
}
