//! Topic settings that change or check what is appended.

use super::*;

#[tokio::test]
async fn log_append_time_replaces_the_producers_times() {
    let (_node, client) = Node::client().await;
    client.create_with("orders", 1, &[("message.timestamp.type", "LogAppendTime")]).await;
    let before = now_ms();
    let far = now_ms() + 1_000_000_000;
    let outcome = client.produce("orders", 0, &Batch::timed(&[5, far, -1]).build()).await;
    let after = now_ms();
    assert_eq!(error(outcome.error_code), ErrorCode::None);
    assert!((before..=after).contains(&outcome.log_append_time_ms), "{outcome:?}");
    let stored = client.fetch("orders", 0, 0).await.records.unwrap();
    let batch = BatchView::split(&stored).unwrap().0;
    assert!(batch.crc_is_valid());
    assert_eq!(batch.max_timestamp(), outcome.log_append_time_ms);
    assert_eq!(batch.attributes().0 & (1 << 3), 1 << 3);
    let times: Vec<_> = records_of(&stored).into_iter().map(|(_, time, _)| time).collect();
    assert_eq!(times, [outcome.log_append_time_ms; 3]);
}

#[tokio::test]
async fn batches_get_the_topics_codec() {
    let (_node, client) = Node::client().await;
    for (name, target) in [
        ("gzip", Compression::Gzip),
        ("snappy", Compression::Snappy),
        ("lz4", Compression::Lz4),
        ("zstd", Compression::Zstd),
        ("uncompressed", Compression::None),
    ] {
        client.create_with(name, 1, &[("compression.type", name)]).await;
        for (codec, at) in Compression::ALL.into_iter().zip(0..) {
            let values = ["the same words again and again"; 20];
            let sent = Batch::of(values).codec(codec);
            assert_eq!(client.send(name, 0, &sent).await, 20 * at);
            let stored = client.fetch(name, 0, 20 * at).await.records.unwrap();
            let batch = BatchView::split(&stored).unwrap().0;
            assert_eq!(batch.compression().unwrap(), target, "{} into {name}", codec.name());
            assert_eq!(crate::support::values_of(&stored), values);
        }
    }
}

#[tokio::test]
async fn a_recompressed_batch_that_outgrows_the_limit_is_refused() {
    let (_node, client) = Node::client().await;
    let configs = [("compression.type", "uncompressed"), ("max.message.bytes", "2000")];
    client.create_with("orders", 1, &configs).await;
    let batch = Batch::of(["x".repeat(10_000)]).codec(Compression::Zstd).build();
    assert!(batch.len() < 2000);
    client.refused("orders", &batch, ErrorCode::MessageTooLarge).await;
}

#[tokio::test]
async fn records_that_can_not_be_read_are_refused_where_somebody_must_read_them() {
    let (_node, client) = Node::client().await;
    client.create("blind", 1).await;
    client.create_with("strict", 1, &[("validate.records", "true")]).await;
    client.create_with("packed", 1, &[("compression.type", "gzip")]).await;
    client.create_with("compact", 1, &[("cleanup.policy", "compact")]).await;
    // A checksum that fits, around bytes that are no records.
    let header = Batch::of(["some value"]).build().slice(..61);
    let rubbish = forge(&Bytes::from([&header[..], &[0xff; 40]].concat()), |_| {});
    for codec in [Compression::None, Compression::Zstd, Compression::Lz4, Compression::Gzip] {
        let bytes = forge(&rubbish, |header| {
            header.attributes = header.attributes.with_codec(codec.code());
        });
        // By the header alone it can't be seen, and whoever reads it will tell.
        assert_eq!(client.produce("blind", 0, &bytes).await.error_code, 0);
        client.refused("strict", &bytes, ErrorCode::InvalidRecord).await;
        if codec != Compression::Gzip {
            client.refused("packed", &bytes, ErrorCode::InvalidRecord).await;
        }
        client.refused("compact", &bytes, ErrorCode::InvalidRecord).await;
    }
    for topic in ["strict", "packed", "compact"] {
        assert_eq!(client.end(topic, 0).await, 0);
    }
}

#[tokio::test]
async fn validated_records_must_be_as_many_as_claimed() {
    let (_node, client) = Node::client().await;
    client.create_with("strict", 1, &[("validate.records", "true")]).await;
    for claimed in [2, 4] {
        let bytes = Batch::of(["a", "b", "c"]).forged(|header| {
            header.record_count = claimed;
            header.last_offset_delta = claimed - 1;
        });
        client.refused("strict", &bytes, ErrorCode::InvalidRecord).await;
    }
    client.send("strict", 0, &Batch::of(["a", "b", "c"])).await;
}

#[tokio::test]
async fn a_compacted_topic_needs_keys_and_names_the_records_without() {
    let (_node, client) = Node::client().await;
    client.create_with("compact", 1, &[("cleanup.policy", "compact,delete")]).await;
    let outcome = client.produce("compact", 0, &Batch::of(["a", "b"]).build()).await;
    assert_eq!(error(outcome.error_code), ErrorCode::InvalidRecord);
    let named: Vec<_> = outcome.record_errors.iter().map(|record| record.batch_index).collect();
    assert_eq!(named, [0, 1]);
    let message = outcome.record_errors[1].batch_index_error_message.as_deref().unwrap();
    assert!(message.contains("without key"), "{message}");
    let keyed = Batch::keyed(&[("a", Some("1")), ("b", None)]);
    assert_eq!(client.send("compact", 0, &keyed).await, 0);
}

#[tokio::test]
async fn settings_that_change_hold_from_then_on() {
    let (_node, client) = Node::client().await;
    client.create("orders", 1).await;
    let batch = Batch::noise(4000).build();
    assert_eq!(client.produce("orders", 0, &batch).await.error_code, 0);
    let topic = duramen_protocol::ids::RESOURCE_TOPIC;
    client.configure(topic, "orders", &[("max.message.bytes", "3000")]).await;
    eventually("the smaller limit holds", async || {
        let code = client.produce("orders", 0, &batch).await.error_code;
        (error(code) == ErrorCode::MessageTooLarge).then_some(())
    })
    .await;
    assert!(!client.read("orders", 0, 0).await.is_empty());
}
