//! Fetch.

use std::time::{Duration, Instant};

use bytes::Bytes;
use duramen_protocol::error::ErrorCode;
use duramen_protocol::ids::{READ_COMMITTED, TopicId};
use duramen_protocol::messages::fetch::{FetchRequest, FetchResponse, FetchTopic};

use crate::support::client::{error, fetch_request, fetch_topic, fetched, partition_of, versions};
use crate::support::{Batch, Client, Node, PATIENCE};

mod limits;
mod sessions;
mod waiting;

/// First version that names topics by id.
const BY_ID: i16 = 13;

/// A topic named by its id.
fn by_id(id: TopicId, partitions: &[(i32, i64)]) -> FetchTopic {
    FetchTopic { topic_id: id, ..fetch_topic("", partitions) }
}

/// A broker and a topic `orders` with the records "0", "1", … each in a batch of its own.
async fn orders(records: usize) -> (Node, Client, TopicId) {
    let (node, client) = Node::client().await;
    let id = client.create("orders", 1).await;
    for n in 0..records {
        client.send("orders", 0, &Batch::of([n.to_string()])).await;
    }
    (node, client, id)
}

#[tokio::test]
async fn every_version_reads() {
    let (_node, client, id) = orders(3).await;
    for version in versions::<FetchRequest>() {
        let mut request = fetch_request("orders", 0, 1);
        request.topics[0].topic_id = id;
        let response = client.call(version, &request).await;
        match version >= BY_ID {
            true => assert_eq!(response.responses[0].topic_id, id),
            false => assert_eq!(response.responses[0].topic, "orders"),
        }
        let data = partition_of(response);
        assert_eq!(error(data.error_code), ErrorCode::None, "v{version}");
        assert_eq!((data.partition_index, data.high_watermark), (0, 3), "v{version}");
        assert_eq!(data.last_stable_offset, 3, "v{version}");
        assert_eq!(data.log_start_offset, if version >= 5 { 0 } else { -1 }, "v{version}");
        assert_eq!(data.preferred_read_replica, -1);
        assert_eq!(fetched(&data), ["1", "2"], "v{version}");
    }
}

#[tokio::test]
async fn a_flipped_bit_is_told_in_every_version_and_takes_nothing_else_along() {
    let (mut node, client, id) = orders(5).await;
    drop(client);
    node.stop().await;
    let segment = node.segments("orders", 0).remove(0);
    let mut bytes = std::fs::read(&segment).unwrap();
    let size = bytes.len() / 5;
    // In the value of the second record.
    bytes[2 * size - 2] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let client = node.again().await;
    for version in versions::<FetchRequest>() {
        let read = async |offset| {
            let mut request = fetch_request("orders", 0, offset);
            request.topics[0].topic_id = id;
            let data = partition_of(client.call(version, &request).await);
            (error(data.error_code), fetched(&data))
        };
        assert_eq!(read(0).await, (ErrorCode::None, vec!["0".to_owned()]), "v{version}");
        assert_eq!(read(1).await, (ErrorCode::CorruptMessage, vec![]), "v{version}");
        assert_eq!(read(2).await.1, ["2", "3", "4"], "v{version}");
    }
}

#[tokio::test]
async fn an_empty_log_has_nothing_and_says_so_at_once() {
    let (_node, client, _) = orders(0).await;
    let data = client.fetch("orders", 0, 0).await;
    assert_eq!((data.error_code, data.high_watermark, data.log_start_offset), (0, 0, 0));
    assert_eq!(data.records, Some(Bytes::new()));
}

#[tokio::test]
async fn an_offset_inside_a_batch_gets_the_whole_batch() {
    let (_node, client, _) = orders(0).await;
    client.send("orders", 0, &Batch::of(["a", "b", "c"])).await;
    client.send("orders", 0, &Batch::of(["d", "e"])).await;
    for (offset, expected) in [(0, "abcde"), (2, "abcde"), (3, "de"), (4, "de"), (5, "")] {
        assert_eq!(fetched(&client.fetch("orders", 0, offset).await).concat(), expected);
    }
}

#[tokio::test]
async fn offsets_that_are_not_there_are_out_of_range() {
    let (_node, client, _) = orders(3).await;
    for offset in [4, i64::MAX, -1, i64::MIN] {
        let data = client.fetch("orders", 0, offset).await;
        assert_eq!(error(data.error_code), ErrorCode::OffsetOutOfRange, "{offset}");
        assert_eq!((data.high_watermark, data.last_stable_offset), (-1, -1));
        assert_eq!(data.records.unwrap_or_default(), Bytes::new());
    }
}

#[tokio::test]
async fn unknown_topics_ids_and_partitions_are_named() {
    let (_node, client, id) = orders(1).await;
    let request = FetchRequest {
        topics: vec![
            fetch_topic("none", &[(0, 0)]),
            fetch_topic("orders", &[(7, 0), (0, 0), (-1, 0)]),
        ],
        ..fetch_request("orders", 0, 0)
    };
    let response = client.call(12, &request).await;
    let codes: Vec<_> = response
        .responses
        .iter()
        .flat_map(|topic| &topic.partitions)
        .map(|data| (data.partition_index, error(data.error_code)))
        .collect();
    let unknown = ErrorCode::UnknownTopicOrPartition;
    assert_eq!(codes, [(0, unknown), (7, unknown), (0, ErrorCode::None), (-1, unknown)]);

    let stranger = uuid::Uuid::new_v4();
    let request = FetchRequest {
        topics: vec![by_id(stranger, &[(0, 0)]), by_id(id, &[(0, 0), (3, 0)])],
        ..fetch_request("orders", 0, 0)
    };
    let response = client.ask(&request).await;
    assert_eq!(response.responses[0].topic_id, stranger);
    let code = |topic: usize, partition: usize| {
        error(response.responses[topic].partitions[partition].error_code)
    };
    assert_eq!(code(0, 0), ErrorCode::UnknownTopicId);
    assert_eq!((code(1, 0), code(1, 1)), (ErrorCode::None, unknown));
}

#[tokio::test]
async fn leader_epochs_are_compared() {
    let (_node, client, _) = orders(1).await;
    for (known, expected) in
        [(-1, ErrorCode::None), (0, ErrorCode::None), (1, ErrorCode::UnknownLeaderEpoch)]
    {
        let mut request = fetch_request("orders", 0, 0);
        request.topics[0].partitions[0].current_leader_epoch = known;
        let data = partition_of(client.call(12, &request).await);
        assert_eq!(error(data.error_code), expected, "epoch {known}");
    }
}

#[tokio::test]
async fn an_older_leader_epoch_is_fenced_and_a_longer_history_is_cut() {
    let (mut node, client, _) = orders(3).await;
    drop(client);
    // A process that starts again leads in a new term.
    let client = node.restart().await;
    client.send("orders", 0, &Batch::of(["3"])).await;
    let mut request = fetch_request("orders", 0, 0);
    request.topics[0].partitions[0].current_leader_epoch = 0;
    let data = partition_of(client.call(12, &request).await);
    assert_eq!(error(data.error_code), ErrorCode::FencedLeaderEpoch);

    let ask = async |offset, last_fetched_epoch| {
        let mut request = fetch_request("orders", 0, offset);
        request.topics[0].partitions[0].last_fetched_epoch = last_fetched_epoch;
        partition_of(client.call(12, &request).await)
    };
    let data = ask(4, 0).await;
    assert_eq!((data.diverging_epoch.epoch, data.diverging_epoch.end_offset), (0, 3));
    assert_eq!(data.records.unwrap_or_default(), Bytes::new());
    let data = ask(3, 0).await;
    assert_eq!(data.diverging_epoch.end_offset, -1, "its history is a part of ours");
    assert_eq!(fetched(&data), ["3"]);
    let data = ask(3, 1).await;
    assert_eq!(fetched(&data), ["3"]);
}

#[tokio::test]
async fn committed_isolation_tells_of_no_aborted_transactions() {
    let (_node, client, _) = orders(2).await;
    let mut request = fetch_request("orders", 0, 0);
    let data = partition_of(client.call(12, &request).await);
    assert_eq!(data.aborted_transactions, None);
    request.isolation_level = READ_COMMITTED;
    let data = partition_of(client.call(12, &request).await);
    assert_eq!(data.aborted_transactions, Some(Vec::new()));
    assert_eq!(fetched(&data), ["0", "1"]);
}

#[tokio::test]
async fn a_log_of_many_segments_is_read_from_end_to_end() {
    let (node, client) = Node::client().await;
    client.create_with("orders", 1, &[("segment.bytes", "1048576")]).await;
    for _ in 0..4 {
        client.send("orders", 0, &Batch::noise(600_000)).await;
        client.send("orders", 0, &Batch::of(["small"])).await;
    }
    assert!(node.segments("orders", 0).len() >= 3);
    let read = client.read("orders", 0, 0).await;
    assert_eq!(read.len(), 8);
    assert!(read.iter().skip(1).step_by(2).all(|value| value == "small"));
    assert_eq!(client.read("orders", 0, 5).await.len(), 3);
}

#[tokio::test]
async fn what_was_deleted_is_out_of_range() {
    let (_node, client, _) = orders(5).await;
    crate::delete_records::delete(&client, "orders", 0, 3).await;
    let data = client.fetch("orders", 0, 2).await;
    assert_eq!(error(data.error_code), ErrorCode::OffsetOutOfRange);
    let data = client.fetch("orders", 0, 3).await;
    assert_eq!(fetched(&data), ["3", "4"]);
    assert_eq!(data.log_start_offset, 3);
}

#[tokio::test]
async fn no_partitions_are_answered_at_once() {
    let (_node, client, _) = orders(1).await;
    let request = FetchRequest {
        topics: Vec::new(),
        max_wait_ms: i32::MAX,
        min_bytes: i32::MAX,
        ..fetch_request("orders", 0, 0)
    };
    for version in versions::<FetchRequest>() {
        assert_eq!(client.call(version, &request).await.responses, []);
    }
}
