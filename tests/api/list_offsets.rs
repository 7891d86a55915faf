//! ListOffsets.

use duramen_protocol::error::ErrorCode;
use duramen_protocol::ids::{
    EARLIEST, EARLIEST_LOCAL, EARLIEST_PENDING_UPLOAD, LATEST, LATEST_TIERED, MAX_TIMESTAMP,
};
use duramen_protocol::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsTopic,
};
use duramen_protocol::records::Compression;

use crate::support::client::{error, versions};
use crate::support::{Batch, Client, Node, now_ms};

fn request(topic: &str, partitions: &[(i32, i64)]) -> ListOffsetsRequest {
    let partition = |&(partition_index, timestamp): &(i32, i64)| ListOffsetsPartition {
        partition_index,
        timestamp,
        ..Default::default()
    };
    let topic = ListOffsetsTopic {
        name: topic.into(),
        partitions: partitions.iter().map(partition).collect(),
        ..Default::default()
    };
    ListOffsetsRequest { replica_id: -1, topics: vec![topic], ..Default::default() }
}

async fn ask(client: &Client, version: i16, timestamp: i64) -> ListOffsetsPartitionResponse {
    let mut response = client.call(version, &request("orders", &[(0, timestamp)])).await;
    response.topics.remove(0).partitions.remove(0)
}

/// Records of the times 1000, 1010, … in batches of `size`.
async fn timed(codec: Compression, size: usize) -> (Node, Client, i64) {
    let (node, client) = Node::client().await;
    client.create("orders", 1).await;
    let base = now_ms() - 100_000;
    let times: Vec<_> = (0..12).map(|n| base + 10 * n).collect();
    for times in times.chunks(size) {
        client.send("orders", 0, &Batch::timed(times).codec(codec)).await;
    }
    (node, client, base)
}

#[tokio::test]
async fn every_version_tells_the_two_ends() {
    let (_node, client, _) = timed(Compression::None, 4).await;
    crate::delete_records::delete(&client, "orders", 0, 3).await;
    for version in versions::<ListOffsetsRequest>() {
        for (timestamp, offset) in [(EARLIEST, 3), (LATEST, 12)] {
            let found = ask(&client, version, timestamp).await;
            assert_eq!(error(found.error_code), ErrorCode::None, "v{version}");
            assert_eq!((found.offset, found.timestamp), (offset, -1), "v{version}");
            assert_eq!(found.leader_epoch, if version >= 4 { 0 } else { -1 }, "v{version}");
        }
    }
}

#[tokio::test]
async fn a_time_finds_the_first_record_at_or_after_it() {
    for (codec, size) in [
        (Compression::None, 1),
        (Compression::None, 5),
        (Compression::Gzip, 5),
        (Compression::Snappy, 12),
        (Compression::Lz4, 3),
        (Compression::Zstd, 12),
    ] {
        let (_node, client, base) = timed(codec, size).await;
        for n in 0..12 {
            for (wanted, offset) in [(base + 10 * n, n), (base + 10 * n - 9, n)] {
                let found = ask(&client, 11, wanted).await;
                assert_eq!(
                    (found.offset, found.timestamp),
                    (offset, base + 10 * offset),
                    "{wanted} in {} batches of {size}",
                    codec.name()
                );
                assert_eq!(found.leader_epoch, 0);
            }
        }
        for (wanted, offset) in [(0, 0), (base + 111, -1), (i64::MAX, -1)] {
            assert_eq!(ask(&client, 11, wanted).await.offset, offset, "{wanted}");
        }
        assert_eq!(ask(&client, 1, base + 110).await.offset, 11);
    }
}

#[tokio::test]
async fn times_that_go_back_and_forth_find_the_first_that_is_late_enough() {
    let (_node, client) = Node::client().await;
    client.create("orders", 1).await;
    let base = now_ms() - 100_000;
    client.send("orders", 0, &Batch::timed(&[base + 50, base + 10, base + 90])).await;
    client.send("orders", 0, &Batch::timed(&[base + 20, base + 100, base + 5])).await;
    for (after, offset) in [(0, 0), (50, 0), (51, 2), (90, 2), (91, 4), (100, 4), (101, -1)] {
        assert_eq!(ask(&client, 11, base + after).await.offset, offset, "{after}");
    }
    let newest = ask(&client, 11, MAX_TIMESTAMP).await;
    assert_eq!((newest.offset, newest.timestamp), (4, base + 100));
}

#[tokio::test]
async fn times_before_the_log_start_find_the_start() {
    let (_node, client, base) = timed(Compression::None, 4).await;
    crate::delete_records::delete(&client, "orders", 0, 6).await;
    let found = ask(&client, 11, base).await;
    assert_eq!((found.offset, found.timestamp), (6, base + 60));
}

#[tokio::test]
async fn times_are_found_across_segments_and_after_a_restart() {
    let (mut node, client) = Node::client().await;
    client.create_with("orders", 1, &[("segment.ms", "1000")]).await;
    let base = now_ms() - 100_000;
    for n in 0..8 {
        client.send("orders", 0, &Batch::timed(&[base + 2000 * n, base + 2000 * n + 1])).await;
    }
    assert!(node.segments("orders", 0).len() > 3);
    let check = async |client: &Client| {
        for n in 0..8 {
            let found = ask(client, 11, base + 2000 * n + 1).await;
            assert_eq!((found.offset, found.timestamp), (2 * n + 1, base + 2000 * n + 1));
            let found = ask(client, 11, base + 2000 * n - 1000).await;
            assert_eq!(found.offset, 2 * n);
        }
    };
    check(&client).await;
    drop(client);
    check(&node.restart().await).await;
    check(&node.drop_and_restart().await).await;
}

#[tokio::test]
async fn the_newest_record_is_found_from_version_7_on() {
    let (_node, client, base) = timed(Compression::Lz4, 5).await;
    for version in versions::<ListOffsetsRequest>() {
        let found = ask(&client, version, MAX_TIMESTAMP).await;
        match version >= 7 {
            true => assert_eq!((found.offset, found.timestamp), (11, base + 110), "v{version}"),
            false => assert_eq!(error(found.error_code), ErrorCode::UnsupportedVersion),
        }
    }
}

#[tokio::test]
async fn nothing_is_in_tiered_storage() {
    let (_node, client, _) = timed(Compression::None, 4).await;
    for (timestamp, since, offset) in
        [(EARLIEST_LOCAL, 8, 0), (LATEST_TIERED, 9, -1), (EARLIEST_PENDING_UPLOAD, 11, -1)]
    {
        for version in versions::<ListOffsetsRequest>() {
            let found = ask(&client, version, timestamp).await;
            match version >= since {
                true => assert_eq!((found.error_code, found.offset), (0, offset), "v{version}"),
                false => assert_eq!(error(found.error_code), ErrorCode::UnsupportedVersion),
            }
        }
    }
}

#[tokio::test]
async fn special_times_that_nobody_defined_are_refused() {
    let (_node, client, _) = timed(Compression::None, 4).await;
    for timestamp in [-7, -100, i64::MIN] {
        let found = ask(&client, 11, timestamp).await;
        assert_eq!(error(found.error_code), ErrorCode::UnsupportedVersion);
        assert_eq!((found.offset, found.timestamp), (-1, -1));
    }
}

#[tokio::test]
async fn an_empty_log_has_ends_and_no_records() {
    let (_node, client) = Node::client().await;
    client.create("orders", 1).await;
    for (timestamp, offset) in
        [(EARLIEST, 0), (LATEST, 0), (MAX_TIMESTAMP, -1), (0, -1), (now_ms(), -1)]
    {
        let found = ask(&client, 11, timestamp).await;
        assert_eq!((found.error_code, found.offset, found.timestamp), (0, offset, -1));
    }
}

#[tokio::test]
async fn unknown_topics_and_partitions_are_named() {
    let (_node, client, _) = timed(Compression::None, 4).await;
    for version in versions::<ListOffsetsRequest>() {
        for (topic, partition) in [("none", 0), ("orders", 4), ("orders", -1)] {
            let response = client.call(version, &request(topic, &[(partition, LATEST)])).await;
            let found = &response.topics[0].partitions[0];
            assert_eq!(error(found.error_code), ErrorCode::UnknownTopicOrPartition);
            assert_eq!((found.partition_index, found.offset), (partition, -1));
        }
    }
}

#[tokio::test]
async fn a_partition_that_is_named_twice_is_refused() {
    let (_node, client, _) = timed(Compression::None, 4).await;
    let response = client.ask(&request("orders", &[(0, LATEST), (0, EARLIEST)])).await;
    let codes = response.topics[0].partitions.iter().map(|found| error(found.error_code));
    assert!(codes.into_iter().all(|code| code == ErrorCode::InvalidRequest), "{response:?}");
}

#[tokio::test]
async fn leader_epochs_are_compared() {
    let (mut node, client, _) = timed(Compression::None, 4).await;
    drop(client);
    let client = node.restart().await;
    for (known, expected) in [
        (-1, ErrorCode::None),
        (0, ErrorCode::FencedLeaderEpoch),
        (1, ErrorCode::None),
        (2, ErrorCode::UnknownLeaderEpoch),
    ] {
        let mut request = request("orders", &[(0, LATEST)]);
        request.topics[0].partitions[0].current_leader_epoch = known;
        let found = client.ask(&request).await.topics.remove(0).partitions.remove(0);
        assert_eq!(error(found.error_code), expected, "epoch {known}");
    }
    let (latest, earliest) = (ask(&client, 11, LATEST).await, ask(&client, 11, EARLIEST).await);
    assert_eq!((latest.leader_epoch, earliest.leader_epoch), (1, 0));
}
