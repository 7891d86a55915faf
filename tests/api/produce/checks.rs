//! Batches that are refused, and with which error.

use super::*;

/// A client with a topic `orders`, in which nothing may have been written at the end.
async fn refusing(bytes: &Bytes, expected: ErrorCode) -> String {
    let (_node, client) = Node::client().await;
    client.create("orders", 1).await;
    let message = client.refused("orders", bytes, expected).await;
    assert_eq!(client.end("orders", 0).await, 0, "nothing is written");
    message
}

fn damaged(at: usize) -> Bytes {
    let mut bytes = Batch::of(["value"]).build().to_vec();
    bytes[at] ^= 0x40;
    Bytes::from(bytes)
}

#[tokio::test]
async fn damage_is_noticed_wherever_it_is() {
    let (_node, client) = Node::client().await;
    client.create("orders", 1).await;
    let len = Batch::of(["value"]).build().len();
    for at in 17..len {
        client.refused("orders", &damaged(at), ErrorCode::CorruptMessage).await;
    }
    assert_eq!(client.send("orders", 0, &Batch::of(["value"])).await, 0);
}

#[tokio::test]
async fn old_formats_are_refused_in_words() {
    for magic in [0, 1] {
        let mut bytes = Batch::of(["value"]).build().to_vec();
        bytes[16] = magic;
        let message = refusing(&Bytes::from(bytes), ErrorCode::InvalidRecord).await;
        assert!(message.contains("magic version 2"), "{message}");
    }
    let mut bytes = Batch::of(["value"]).build().to_vec();
    bytes[16] = 9;
    refusing(&Bytes::from(bytes), ErrorCode::CorruptMessage).await;
}

#[tokio::test]
async fn the_length_field_is_not_believed() {
    let (_node, client) = Node::client().await;
    client.create("orders", 1).await;
    let batch = Batch::of(["value"]).build();
    for (length, expected) in [
        (i32::MAX, ErrorCode::InvalidRecord),
        (batch.len() as i32, ErrorCode::InvalidRecord),
        (48, ErrorCode::CorruptMessage),
        (0, ErrorCode::CorruptMessage),
        (-1, ErrorCode::CorruptMessage),
        (i32::MIN, ErrorCode::CorruptMessage),
    ] {
        let mut bytes = batch.to_vec();
        bytes[8..12].copy_from_slice(&length.to_be_bytes());
        client.refused("orders", &Bytes::from(bytes), expected).await;
    }
    assert_eq!(client.end("orders", 0).await, 0);
}

#[tokio::test]
async fn exactly_one_batch_a_partition() {
    refusing(&Bytes::new(), ErrorCode::InvalidRecord).await;
    refusing(&Batch::of(["x"]).build().slice(..30), ErrorCode::InvalidRecord).await;
    let two = [Batch::of(["x"]).build(), Batch::of(["y"]).build()].concat();
    refusing(&Bytes::from(two), ErrorCode::InvalidRecord).await;
}

#[tokio::test]
async fn no_records_at_all_are_refused() {
    let (_node, client) = Node::client().await;
    client.create("orders", 1).await;
    let mut request = produce_request("orders", 0, &Bytes::new());
    request.topic_data[0].partition_data[0].records = None;
    let response = client.call(9, &request).await;
    let outcome = &response.responses[0].partition_responses[0];
    assert_eq!(error(outcome.error_code), ErrorCode::InvalidRecord);
}

#[tokio::test]
async fn a_batch_above_the_limit_is_too_large_and_one_at_the_limit_is_not() {
    let (_node, client) = Node::client().await;
    let batch = Batch::noise(3000).build();
    client.create_with("fits", 1, &[("max.message.bytes", &batch.len().to_string())]).await;
    assert_eq!(client.produce("fits", 0, &batch).await.error_code, 0);
    let limit = (batch.len() - 1).to_string();
    client.create_with("small", 1, &[("max.message.bytes", &limit)]).await;
    let message = client.refused("small", &batch, ErrorCode::MessageTooLarge).await;
    assert!(message.contains(&limit), "{message}");
}

#[tokio::test]
async fn a_batch_larger_than_a_segment_is_told_so() {
    let (_node, client) = Node::client().await;
    let configs = [("segment.bytes", "1048576"), ("max.message.bytes", "3000000")];
    client.create_with("orders", 1, &configs).await;
    let batch = Batch::noise(1_100_000).build();
    client.refused("orders", &batch, ErrorCode::RecordListTooLarge).await;
    assert_eq!(client.send("orders", 0, &Batch::noise(1_000_000)).await, 0);
}

#[tokio::test]
async fn the_largest_batch_of_the_defaults_goes_through() {
    let (_node, client) = Node::client().await;
    client.create("orders", 1).await;
    let mut len = 1_048_588 - 61;
    while Batch::noise(len).build().len() > 1_048_588 {
        len -= 1;
    }
    let batch = Batch::noise(len).build();
    assert_eq!(client.produce("orders", 0, &batch).await.error_code, 0);
    let stored = client.fetch("orders", 0, 0).await.records.unwrap();
    assert!(stored[61..] == batch[61..]);
}

#[tokio::test]
async fn counts_and_offsets_must_agree() {
    for (count, delta) in [(3, 1), (1, 1), (0, -1), (-1, -2), (0, 1), (i32::MIN, i32::MAX)] {
        let bytes = Batch::of(["x", "y"]).forged(|header| {
            header.record_count = count;
            header.last_offset_delta = delta;
        });
        refusing(&bytes, ErrorCode::InvalidRecord).await;
    }
}

#[tokio::test]
async fn the_leader_assigns_offsets_and_nobody_else() {
    for base_offset in [1, -1, i64::MAX] {
        let bytes = Batch::of(["x"]).forged(|header| header.base_offset = base_offset);
        refusing(&bytes, ErrorCode::InvalidRecord).await;
    }
}

#[tokio::test]
async fn control_records_are_the_brokers() {
    let bytes = Batch::of(["x"]).forged(|header| header.attributes.0 |= 1 << 5);
    refusing(&bytes, ErrorCode::InvalidRecord).await;
}

#[tokio::test]
async fn unknown_codecs_are_refused() {
    for codec in 5..8 {
        let bytes = Batch::of(["x"]).forged(|header| header.attributes = Attributes(codec));
        refusing(&bytes, ErrorCode::UnsupportedCompressionType).await;
    }
}

#[tokio::test]
async fn zstd_needs_version_7() {
    let (_node, client) = Node::client().await;
    client.create("orders", 1).await;
    let request = produce_request("orders", 0, &Batch::of(["x"]).codec(Compression::Zstd).build());
    for version in versions::<ProduceRequest>().filter(|version| *version < 13) {
        let response = client.call(version, &request).await;
        let expected =
            if version < 7 { ErrorCode::UnsupportedCompressionType } else { ErrorCode::None };
        let outcome = &response.responses[0].partition_responses[0];
        assert_eq!(error(outcome.error_code), expected, "v{version}");
    }
}

#[tokio::test]
async fn timestamps_far_in_the_future_are_refused() {
    let hour = 3_600_000;
    let bytes = Batch::timed(&[now_ms() + 2 * hour]).build();
    refusing(&bytes, ErrorCode::InvalidTimestamp).await;
    let bytes = Batch::timed(&[now_ms(), now_ms() + 2 * hour]).build();
    refusing(&bytes, ErrorCode::InvalidTimestamp).await;
    let (_node, client) = Node::client().await;
    client.create("orders", 1).await;
    client.send("orders", 0, &Batch::timed(&[now_ms() + hour / 2, 0, 1])).await;
    client.send("orders", 0, &Batch::timed(&[-1])).await;
}

#[tokio::test]
async fn timestamps_too_far_in_the_past_are_refused_where_the_topic_says_so() {
    let (_node, client) = Node::client().await;
    client.create_with("orders", 1, &[("message.timestamp.before.max.ms", "60000")]).await;
    let old = Batch::timed(&[now_ms() - 120_000]).build();
    client.refused("orders", &old, ErrorCode::InvalidTimestamp).await;
    client.send("orders", 0, &Batch::timed(&[now_ms() - 30_000])).await;
}

#[tokio::test]
async fn a_producer_does_not_choose_the_timestamp_type() {
    let bytes = Batch::of(["x"]).forged(|header| header.attributes.0 |= 1 << 3);
    refusing(&bytes, ErrorCode::InvalidTimestamp).await;
}

#[tokio::test]
async fn a_producer_id_comes_with_epoch_and_sequence() {
    for (epoch, sequence) in [(-1, 0), (0, -1), (-1, -1)] {
        let bytes = Batch::of(["x"]).producer(5, epoch, sequence).build();
        refusing(&bytes, ErrorCode::InvalidRecord).await;
    }
}

#[tokio::test]
async fn transactions_that_nobody_could_end_are_refused() {
    let (_node, client) = Node::client().await;
    client.create("orders", 1).await;
    let (id, epoch) = client.producer_id().await;
    let bytes = Batch::of(["x"]).producer(id, epoch, 0).transactional().build();
    client.refused("orders", &bytes, ErrorCode::InvalidTxnState).await;
    client.send("orders", 0, &Batch::of(["y"])).await;
    // A consumer of committed records alone would stand still before an open transaction.
    assert_eq!(client.fetch("orders", 0, 0).await.last_stable_offset, 1);
}

#[tokio::test]
async fn what_is_wrong_is_told_from_version_8_on() {
    let (_node, client) = Node::client().await;
    client.create("orders", 1).await;
    let request = produce_request("orders", 0, &damaged(30));
    for version in versions::<ProduceRequest>().filter(|version| *version < 13) {
        let response = client.call(version, &request).await;
        let outcome = &response.responses[0].partition_responses[0];
        assert_eq!(error(outcome.error_code), ErrorCode::CorruptMessage);
        assert_eq!(outcome.error_message.is_some(), version >= 8, "v{version}");
    }
}
