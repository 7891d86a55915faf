//! DescribeProducers.

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::describe_producers::{
    DescribeProducersRequest, PartitionResponse, TopicRequest,
};

use crate::support::client::error;
use crate::support::{Batch, Client, Node, now_ms};

fn asking(topic: &str, partitions: &[i32]) -> DescribeProducersRequest {
    let topic = TopicRequest {
        name: topic.into(),
        partition_indexes: partitions.to_vec(),
        ..Default::default()
    };
    DescribeProducersRequest { topics: vec![topic], ..Default::default() }
}

async fn ask(client: &Client, topic: &str, partitions: &[i32]) -> Vec<PartitionResponse> {
    let mut response = client.call(0, &asking(topic, partitions)).await;
    assert_eq!(response.topics[0].name, topic);
    response.topics.remove(0).partitions
}

#[tokio::test]
async fn producers_are_told_with_where_they_are() {
    let (mut node, client) = Node::client().await;
    client.create("orders", 2).await;
    let (one, epoch) = client.producer_id().await;
    let (two, _) = client.producer_id().await;
    let at = now_ms() - 5000;
    client.send("orders", 0, &Batch::of(["a", "b"]).producer(one, epoch, 0)).await;
    client.send("orders", 0, &Batch::timed(&[at]).producer(one, epoch, 2)).await;
    client.send("orders", 0, &Batch::of(["x"]).producer(two, 7, 0)).await;
    client.send("orders", 0, &Batch::of(["nobody's"])).await;
    let check = async |client: &Client| {
        let partitions = ask(client, "orders", &[0, 1]).await;
        assert_eq!(partitions[1].active_producers, []);
        let mut producers = partitions[0].active_producers.clone();
        producers.sort_unstable_by_key(|producer| producer.producer_id);
        let told: Vec<_> =
            producers.iter().map(|p| (p.producer_id, p.producer_epoch, p.last_sequence)).collect();
        assert_eq!(told, [(one, i32::from(epoch), 2), (two, 7, 0)]);
        assert_eq!(producers[0].last_timestamp, at);
        assert_eq!(producers[0].current_txn_start_offset, -1);
    };
    check(&client).await;
    drop(client);
    check(&node.restart().await).await;
    check(&node.drop_and_restart().await).await;
}

#[tokio::test]
async fn unknown_topics_and_partitions_are_named() {
    let (_node, client) = Node::client().await;
    client.create("orders", 1).await;
    for (topic, partition) in [("none", 0), ("orders", 1), ("orders", -1)] {
        let partition = ask(&client, topic, &[partition]).await.remove(0);
        assert_eq!(error(partition.error_code), ErrorCode::UnknownTopicOrPartition);
        assert!(partition.error_message.is_some());
    }
    assert_eq!(ask(&client, "orders", &[]).await, []);
}

#[tokio::test]
async fn names_that_no_topic_can_have_are_invalid() {
    let (_node, client) = Node::client().await;
    for name in ["", "..", "a/b"] {
        let partition = ask(&client, name, &[0]).await.remove(0);
        assert_eq!(error(partition.error_code), ErrorCode::InvalidTopicException, "{name}");
    }
}
