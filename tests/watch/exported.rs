//! The figures themselves: what is done to a broker is what it counts.

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::find_coordinator::FindCoordinatorRequest;
use duramen_protocol::messages::metadata::{MetadataRequest, MetadataRequestTopic};
use duramen_protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::broker::{Batch, Client, eventually};
use super::scraped::{get, value};
use super::with_http;

#[tokio::test]
async fn what_is_done_is_counted() {
    let (node, kafka, http) = with_http(&["auto.create.topics.enable=false"]).await;
    let client = node.connect().await;
    client.create_with("orders", 2, &[("durability", "page-cache")]).await;
    let batch = Batch::of(["a", "b", "c"]);
    let size = batch.build().len() as f64;
    client.send("orders", 1, &batch).await;
    client.read("orders", 1, 0).await;
    let missing = MetadataRequestTopic { name: Some("none".into()), ..Default::default() };
    let request = MetadataRequest { topics: Some(vec![missing]), ..Default::default() };
    let answer = client.ask(&request).await;
    assert_eq!(answer.topics[0].error_code, ErrorCode::UnknownTopicOrPartition.code());
    // A length that is no frame's.
    TcpStream::connect(&kafka).await.unwrap().write_all(&[0xff; 8]).await.unwrap();

    let text = eventually("the connection is refused", async || {
        let (_, text) = get(&http, "/metrics").await;
        let refused = value(&text, "duramen_connections_ended_total{reason=\"framing\"}");
        (refused == Some(1.0)).then_some(text)
    });
    let text = text.await;
    let of = |sample: &str| value(&text, sample).unwrap_or_else(|| panic!("no {sample}"));
    assert_eq!(of("duramen_produced_records_total"), 3.0);
    assert_eq!(of("duramen_produced_batches_total"), 1.0);
    assert_eq!(of("duramen_produced_bytes_total"), size);
    assert_eq!(of("duramen_topic_produced_bytes_total{topic=\"orders\"}"), size);
    assert_eq!(of("duramen_topic_fetched_bytes_total{topic=\"orders\"}"), size);
    assert_eq!(of("duramen_topic_produced_records_total{topic=\"orders\"}"), 3.0);
    assert_eq!(of("duramen_log_size_bytes{topic=\"orders\",partition=\"1\"}"), size);
    assert_eq!(of("duramen_log_end_offset{topic=\"orders\",partition=\"1\"}"), 3.0);
    assert_eq!(of("duramen_log_end_offset{topic=\"orders\",partition=\"0\"}"), 0.0);
    let durability = "duramen_topic_durability_info{topic=\"orders\",durability=\"page-cache\"}";
    assert_eq!(of(durability), 1.0);
    let error =
        "duramen_request_errors_total{api=\"Metadata\",error=\"UNKNOWN_TOPIC_OR_PARTITION\"}";
    assert_eq!(of(error), 1.0);
    assert_eq!(of("duramen_requests_total{api=\"Produce\"}"), 1.0);
    assert_eq!(of("duramen_request_latency_seconds_count{api=\"Produce\"}"), 1.0);
    assert_eq!(of("duramen_requests_in_flight"), 0.0);
    assert_eq!(of("duramen_connections"), 1.0);
    assert!(of("duramen_network_received_bytes_total") > size);
    assert!(of("duramen_network_sent_bytes_total") > size);
    assert!(of("duramen_process_anonymous_memory_bytes") > 1e5);
    assert!(of("process_open_fds") > 3.0 && of("duramen_runtime_tasks") > 3.0);
    assert_eq!(of("duramen_ready"), 1.0);
}

#[tokio::test]
async fn syncs_and_waits_are_counted_with_durability_disk() {
    let (node, _, http) = with_http(&[]).await;
    let client = node.connect().await;
    client.create("orders", 1).await;
    for _ in 0..5 {
        client.send("orders", 0, &Batch::of(["x"])).await;
    }
    let (_, text) = get(&http, "/metrics").await;
    let dir = node.log_dir();
    let of = |name: &str| {
        let sample = format!("{name}{{dir=\"{}\"}}", dir.display());
        value(&text, &sample).unwrap_or_else(|| panic!("no {sample}"))
    };
    // One after another, so each has a sync of its own; the metadata log's come on top.
    assert!(of("duramen_flush_seconds_count") >= 5.0);
    assert!(of("duramen_flush_batches_sum") >= 5.0);
    assert!(of("duramen_flush_seconds_sum") > 0.0);
    assert_eq!((of("duramen_disk_full"), of("duramen_directory_offline")), (0.0, 0.0));
    assert!(of("duramen_disk_low_mark_bytes") <= of("duramen_disk_high_mark_bytes"));
    assert_eq!(value(&text, "duramen_produce_wait_seconds_count"), Some(5.0));
    assert_eq!(value(&text, "duramen_produce_waiting"), Some(0.0));
}

#[tokio::test]
async fn what_lies_beyond_a_thousand_partitions_is_one_sum() {
    let (node, _, http) = with_http(&[]).await;
    let client = node.connect().await;
    client.create("a", 700).await;
    client.create("b", 700).await;
    let batch = Batch::of(["x"]);
    client.send("b", 699, &batch).await;
    let (_, text) = get(&http, "/metrics").await;
    let listed = text.lines().filter(|line| line.starts_with("duramen_log_end_offset{")).count();
    assert_eq!(listed, 1000);
    assert_eq!(value(&text, "duramen_partitions"), Some(1400.0));
    let others = "duramen_log_size_bytes{topic=\"(others)\",partition=\"(others)\"}";
    assert_eq!(value(&text, others), Some(batch.build().len() as f64));
}

/// Commits an offset of `orders` for a group without members.
pub(super) async fn commit(client: &Client, group: &str, partition_index: i32, offset: i64) {
    let find =
        FindCoordinatorRequest { coordinator_keys: vec![group.into()], ..Default::default() };
    let partition = OffsetCommitRequestPartition {
        partition_index,
        committed_offset: offset,
        ..Default::default()
    };
    let topics = vec![OffsetCommitRequestTopic {
        name: "orders".into(),
        partitions: vec![partition],
        ..Default::default()
    }];
    let commit = OffsetCommitRequest { group_id: group.into(), topics, ..Default::default() };
    eventually("a commit", async || {
        // Whoever looks for a coordinator has its topic made.
        client.ask(&find).await;
        let answer = client.call(9, &commit).await;
        (answer.topics[0].partitions[0].error_code == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn how_far_a_group_is_behind() {
    let (node, _, http) = with_http(&[]).await;
    let client = node.connect().await;
    client.create("orders", 2).await;
    client.send("orders", 1, &Batch::of(["a", "b", "c"])).await;
    let lag = "duramen_group_lag_records{group=\"g\\\"1\",topic=\"orders\",partition=\"1\"}";
    let seconds = "duramen_group_lag_seconds{group=\"g\\\"1\",topic=\"orders\",partition=\"1\"}";
    for (committed, behind) in [(0, 3.0), (2, 1.0), (3, 0.0)] {
        commit(&client, "g\"1", 1, committed).await;
        let (_, text) = get(&http, "/metrics").await;
        assert_eq!(value(&text, lag), Some(behind), "{text}");
        let age = value(&text, seconds).unwrap();
        assert!(if behind == 0.0 { age == 0.0 } else { age > 0.0 }, "{age}");
        assert_eq!(value(&text, "duramen_groups{type=\"classic\",state=\"Empty\"}"), Some(1.0));
        assert_eq!(value(&text, "duramen_group_committed_offsets"), Some(1.0));
    }
}
