//! Long polls.

use duramen_protocol::messages::produce::ProduceRequest;

use super::*;
use crate::support::eventually;

/// A fetch that waits as long as it may.
fn patient(offset: i64) -> FetchRequest {
    FetchRequest { max_wait_ms: i32::MAX, ..fetch_request("orders", 0, offset) }
}

#[tokio::test]
async fn a_record_wakes_those_who_wait_for_it() {
    let (node, client, _) = orders(1).await;
    let waiting = node.connect().await;
    let others = node.connect().await;
    let first = waiting.connection.begin(12, &patient(1), PATIENCE).unwrap();
    let second = others.connection.begin(12, &patient(1), PATIENCE).unwrap();
    client.send("orders", 0, &Batch::of(["news"])).await;
    for pending in [first, second] {
        let data = partition_of(pending.await.unwrap());
        assert_eq!(fetched(&data), ["news"]);
        assert_eq!(data.high_watermark, 2);
    }
}

#[tokio::test]
async fn without_news_the_answer_comes_when_the_time_is_over() {
    let (_node, client, _) = orders(1).await;
    let request = FetchRequest { max_wait_ms: 300, ..fetch_request("orders", 0, 1) };
    let began = Instant::now();
    let data = partition_of(client.call(12, &request).await);
    assert!(began.elapsed() >= Duration::from_millis(300), "{:?}", began.elapsed());
    assert_eq!((data.error_code, fetched(&data).len()), (0, 0));
}

#[tokio::test]
async fn it_waits_for_as_many_bytes_as_asked() {
    let (node, client, _) = orders(0).await;
    let (small, large) = (Batch::of(["small"]), Batch::noise(3000));
    let request = FetchRequest { min_bytes: 2000, ..patient(0) };
    let waiting = client.connection.begin(12, &request, PATIENCE).unwrap();
    let writer = node.connect().await;
    writer.send("orders", 0, &small).await;
    writer.send("orders", 0, &large).await;
    let data = partition_of(waiting.await.unwrap());
    assert_eq!(fetched(&data).len(), 2);
}

#[tokio::test]
async fn what_is_there_is_not_waited_for() {
    let (_node, client, _) = orders(1).await;
    assert_eq!(fetched(&partition_of(client.call(12, &patient(0)).await)), ["0"]);
    // Not enough bytes, but no time to wait either.
    let request = FetchRequest { min_bytes: i32::MAX, max_wait_ms: 0, ..patient(0) };
    assert_eq!(fetched(&partition_of(client.call(12, &request).await)), ["0"]);
    let request = FetchRequest { min_bytes: 0, ..patient(1) };
    assert_eq!(fetched(&partition_of(client.call(12, &request).await)).len(), 0);
}

#[tokio::test]
async fn an_error_is_told_at_once() {
    let (_node, client, _) = orders(1).await;
    let request = FetchRequest {
        topics: vec![fetch_topic("orders", &[(0, 1)]), fetch_topic("none", &[(0, 0)])],
        ..patient(1)
    };
    let response = client.call(12, &request).await;
    let code = response.responses[1].partitions[0].error_code;
    assert_eq!(error(code), ErrorCode::UnknownTopicOrPartition);
}

#[tokio::test]
async fn any_of_several_partitions_wakes() {
    let (node, client) = Node::client().await;
    client.create("orders", 3).await;
    let request = FetchRequest {
        topics: vec![fetch_topic("orders", &[(0, 0), (1, 0), (2, 0)])],
        ..patient(0)
    };
    let waiting = client.connection.begin(12, &request, PATIENCE).unwrap();
    node.connect().await.send("orders", 2, &Batch::of(["two"])).await;
    let response = waiting.await.unwrap();
    let found: Vec<_> = response.responses[0].partitions.iter().map(fetched).collect();
    assert_eq!(found, [vec![], vec![], vec!["two".to_owned()]]);
}

#[tokio::test]
async fn a_deleted_topic_ends_the_wait() {
    let (node, client, _) = orders(1).await;
    let waiting = client.connection.begin(12, &patient(1), PATIENCE).unwrap();
    node.connect().await.delete("orders").await;
    let data = partition_of(waiting.await.unwrap());
    let gone = [ErrorCode::UnknownTopicOrPartition, ErrorCode::NotLeaderOrFollower];
    assert!(gone.contains(&error(data.error_code)), "{data:?}");
}

#[tokio::test]
async fn requests_behind_a_long_poll_are_served_and_answered_after_it() {
    let (node, client, _) = orders(1).await;
    let waiting = client.connection.begin(12, &patient(1), PATIENCE).unwrap();
    let produce = crate::support::client::produce_request("orders", 0, &Batch::of(["x"]).build());
    // The produce request behind the poll is what the poll waits for.
    let behind = client.connection.begin(12, &produce, PATIENCE).unwrap();
    assert_eq!(fetched(&partition_of(waiting.await.unwrap())), ["x"]);
    assert_eq!(behind.await.unwrap().responses[0].partition_responses[0].base_offset, 1);
    drop(node);
}

#[tokio::test]
async fn a_broker_that_stops_answers_those_who_wait() {
    let (mut node, client, _) = orders(1).await;
    let other = node.connect().await;
    other.create("behind", 1).await;
    let waiting = client.connection.begin(12, &patient(1), PATIENCE).unwrap();
    // Requests of a connection are served in their order: the poll has begun when others see what was
    // done behind it.
    let produce = crate::support::client::produce_request("behind", 0, &Batch::of(["x"]).build());
    client.connection.begin_unanswered(9, &ProduceRequest { acks: 0, ..produce }).unwrap();
    eventually("what was sent behind the poll is there", async || {
        (other.end("behind", 0).await == 1).then_some(())
    })
    .await;
    tokio::time::timeout(PATIENCE, node.stop()).await.expect("the broker stops");
    let data = partition_of(waiting.await.unwrap());
    assert_eq!((data.error_code, fetched(&data).len()), (0, 0));
}
