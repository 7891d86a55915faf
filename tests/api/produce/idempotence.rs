//! Producers with an id: what is sent twice is there once, and in order.

use super::*;

#[tokio::test]
async fn what_is_sent_twice_is_there_once_and_has_its_first_offset() {
    let (_node, client) = Node::client().await;
    client.create("orders", 1).await;
    let (id, epoch) = client.producer_id().await;
    let batch = |n: i32| Batch::of([format!("{n}a"), format!("{n}b")]).producer(id, epoch, 2 * n);
    for n in 0..7 {
        assert_eq!(client.send("orders", 0, &batch(n)).await, i64::from(2 * n));
    }
    // The last five are known, in whatever order they come again.
    for n in [6, 2, 4, 3, 5, 6] {
        assert_eq!(client.send("orders", 0, &batch(n)).await, i64::from(2 * n));
    }
    assert_eq!(client.end("orders", 0).await, 14);
    assert_eq!(client.read("orders", 0, 0).await.len(), 14);
}

#[tokio::test]
async fn a_gap_and_a_batch_of_long_ago_are_out_of_order() {
    let (_node, client) = Node::client().await;
    client.create("orders", 1).await;
    let (id, epoch) = client.producer_id().await;
    let batch = |n: i32| Batch::of([n.to_string()]).producer(id, epoch, n);
    for n in 0..7 {
        client.send("orders", 0, &batch(n)).await;
    }
    for n in [8, 0, 1, i32::MAX] {
        let error = ErrorCode::OutOfOrderSequenceNumber;
        client.refused("orders", &batch(n).build(), error).await;
    }
    assert_eq!(client.send("orders", 0, &batch(7)).await, 7);
}

#[tokio::test]
async fn a_newer_epoch_shuts_the_older_one_out() {
    let (_node, client) = Node::client().await;
    client.create("orders", 1).await;
    let (id, _) = client.producer_id().await;
    let batch = |epoch, n: i32| Batch::of([format!("{epoch}-{n}")]).producer(id, epoch, n);
    client.send("orders", 0, &batch(3, 0)).await;
    client.refused("orders", &batch(4, 1).build(), ErrorCode::OutOfOrderSequenceNumber).await;
    client.send("orders", 0, &batch(4, 0)).await;
    client.refused("orders", &batch(3, 1).build(), ErrorCode::InvalidProducerEpoch).await;
    client.send("orders", 0, &batch(4, 1)).await;
    assert_eq!(client.read("orders", 0, 0).await, ["3-0", "4-0", "4-1"]);
}

#[tokio::test]
async fn sequences_go_on_at_zero_after_the_largest() {
    let (_node, client) = Node::client().await;
    client.create("orders", 1).await;
    let (id, epoch) = client.producer_id().await;
    let batch = |n, records: &[&str]| Batch::of(records).producer(id, epoch, n);
    client.send("orders", 0, &batch(i32::MAX - 1, &["a", "b", "c"])).await;
    assert_eq!(client.send("orders", 0, &batch(1, &["d"])).await, 3);
    assert_eq!(client.send("orders", 0, &batch(i32::MAX - 1, &["a", "b", "c"])).await, 0);
}

#[tokio::test]
async fn producers_and_partitions_do_not_see_each_other() {
    let (_node, client) = Node::client().await;
    client.create("orders", 2).await;
    let (one, _) = client.producer_id().await;
    let (two, _) = client.producer_id().await;
    for id in [one, two] {
        for partition in 0..2 {
            client.send("orders", partition, &Batch::of(["x"]).producer(id, 0, 0)).await;
        }
    }
    for partition in 0..2 {
        assert_eq!(client.end("orders", partition).await, 2);
    }
}

#[tokio::test]
async fn duplicates_are_known_after_a_restart_and_after_a_crash() {
    let (mut node, client) = Node::client().await;
    client.create("orders", 1).await;
    let (id, epoch) = client.producer_id().await;
    let batch = |n: i32| Batch::of([n.to_string()]).producer(id, epoch, n);
    for n in 0..3 {
        client.send("orders", 0, &batch(n)).await;
    }
    drop(client);
    let client = node.restart().await;
    assert_eq!(client.send("orders", 0, &batch(2)).await, 2);
    assert_eq!(client.send("orders", 0, &batch(3)).await, 3);
    drop(client);
    let client = node.drop_and_restart().await;
    assert_eq!(client.send("orders", 0, &batch(3)).await, 3);
    client.refused("orders", &batch(5).build(), ErrorCode::OutOfOrderSequenceNumber).await;
    assert_eq!(client.send("orders", 0, &batch(4)).await, 4);
    assert_eq!(client.read("orders", 0, 0).await, ["0", "1", "2", "3", "4"]);
}

#[tokio::test]
async fn a_pipeline_with_a_hole_fails_behind_the_hole_only() {
    let (_node, client) = Node::client().await;
    client.create("orders", 1).await;
    let (id, epoch) = client.producer_id().await;
    let mut pending = Vec::new();
    for n in [0, 1, 3, 4, 2, 3] {
        let batch = Batch::of([n.to_string()]).producer(id, epoch, n).build();
        let request = produce_request("orders", 0, &batch);
        pending.push(client.connection.begin(9, &request, crate::support::PATIENCE).unwrap());
    }
    let mut codes = Vec::new();
    for pending in pending {
        let response = pending.await.unwrap();
        codes.push(error(response.responses[0].partition_responses[0].error_code));
    }
    let hole = ErrorCode::OutOfOrderSequenceNumber;
    let none = ErrorCode::None;
    assert_eq!(codes, [none, none, hole, hole, none, none]);
    assert_eq!(client.read("orders", 0, 0).await, ["0", "1", "2", "3"]);
}
