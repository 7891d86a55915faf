//! How much an answer may hold, and who gets the room.

use super::*;
use crate::support::batches::whole_batches;

/// A broker with three partitions of five batches each, and the size of such a batch.
async fn three_partitions() -> (Node, Client, i32) {
    let (node, client) = Node::client().await;
    client.create("orders", 3).await;
    let batch = Batch::noise(1000);
    for partition in 0..3 {
        for _ in 0..5 {
            client.send("orders", partition, &batch).await;
        }
    }
    (node, client, i32::try_from(batch.build().len()).unwrap())
}

/// How many batches came of each partition of an answer.
fn batches(response: &FetchResponse) -> Vec<(i32, usize)> {
    let count =
        |records: &Option<Bytes>| whole_batches(records.as_deref().unwrap_or_default()).len();
    let partitions = response.responses.iter().flat_map(|topic| &topic.partitions);
    partitions.map(|data| (data.partition_index, count(&data.records))).collect()
}

#[tokio::test]
async fn a_partition_gets_as_many_whole_batches_as_fit() {
    let (_node, client, size) = three_partitions().await;
    for (room, expected) in [
        (3 * size, 3),
        (3 * size + size / 2, 3),
        (100 * size, 5),
        // The first batch comes whatever its size, or nobody would ever get past it.
        (size - 1, 1),
        (1, 1),
        (0, 1),
        (-5, 1),
    ] {
        let mut request = fetch_request("orders", 0, 0);
        request.topics[0].partitions[0].partition_max_bytes = room;
        let whole = batches(&client.call(12, &request).await);
        assert_eq!(whole, [(0, expected)], "room for {room} bytes");
    }
}

#[tokio::test]
async fn an_answer_as_a_whole_has_room_for_so_much() {
    let (_node, client, size) = three_partitions().await;
    let all = fetch_topic("orders", &[(0, 0), (1, 0), (2, 0)]);
    for (room, expected) in [
        (7 * size, [5, 2, 0]),
        (5 * size, [5, 0, 0]),
        (1, [1, 0, 0]),
        (0, [1, 0, 0]),
        (-1, [1, 0, 0]),
        (i32::MAX, [5, 5, 5]),
    ] {
        let request = FetchRequest {
            max_bytes: room,
            topics: vec![all.clone()],
            ..fetch_request("orders", 0, 0)
        };
        let found = batches(&client.call(12, &request).await);
        let expected: Vec<_> = (0..).zip(expected).collect();
        assert_eq!(found, expected, "room for {room} bytes");
    }
}

#[tokio::test]
async fn the_first_batch_comes_from_the_first_partition_that_has_one() {
    let (_node, client, _) = three_partitions().await;
    let request = FetchRequest {
        max_bytes: 1,
        topics: vec![fetch_topic("orders", &[(2, 5), (1, 0), (0, 0)])],
        ..fetch_request("orders", 0, 0)
    };
    let found = batches(&client.call(12, &request).await);
    assert_eq!(found, [(2, 0), (1, 1), (0, 0)]);
}

#[tokio::test]
async fn the_brokers_own_limit_holds_too() {
    let node = Node::with(&["fetch.max.bytes=4096"]).await;
    let client = node.connect().await;
    client.create("orders", 1).await;
    for _ in 0..8 {
        client.send("orders", 0, &Batch::noise(1000)).await;
    }
    let found = batches(&client.call(12, &fetch_request("orders", 0, 0)).await);
    assert_eq!(found, [(0, 3)]);
}

#[tokio::test]
async fn in_a_session_every_partition_gets_its_turn() {
    let (_node, client, size) = three_partitions().await;
    let first = FetchRequest {
        session_epoch: 0,
        max_bytes: size,
        topics: vec![fetch_topic("orders", &[(0, 0), (1, 0), (2, 0)])],
        ..fetch_request("orders", 0, 0)
    };
    let response = client.call(12, &first).await;
    assert_ne!(response.session_id, 0);
    let mut served = vec![with_records(&response)];
    for epoch in 1..6 {
        let next = FetchRequest {
            session_id: response.session_id,
            session_epoch: epoch,
            topics: Vec::new(),
            ..first.clone()
        };
        served.push(with_records(&client.call(12, &next).await));
    }
    assert_eq!(served, [[0], [1], [2], [0], [1], [2]], "room for one batch at a time");
}

fn with_records(response: &FetchResponse) -> Vec<i32> {
    batches(response).into_iter().filter(|(_, count)| *count > 0).map(|(index, _)| index).collect()
}
