//! The story: the disk fills up, by others or by the topics themselves. Producers get a retriable error
//! soon and go on by themselves when there is room; reads, metadata and deletes go on meanwhile; the
//! process stays; nothing acknowledged is lost.

use std::time::Duration;

use duramen_client::admin::OffsetSpec;
use duramen_protocol::error::ErrorCode;

use crate::device::{Device, or_skip};
use crate::stream::{Client, Stream};
use crate::support::eventually;
use crate::support::node::Node;
use crate::support::wire::Wire;

/// How often the disk is full and free again.
const ROUNDS: usize = 10;
const PATIENCE: Duration = Duration::from_secs(120);
const PROBE: &str = "probe";

const SETTINGS: &[&str] = &["log.segment.bytes=1048576", "log.segment.delete.delay.ms=0"];

#[test]
fn a_disk_that_is_full_ten_times_over_loses_nothing() {
    let Some(mut device) = or_skip("disk_full", Device::new(48)) else { return };
    let mut node = Node::start_at(&device.path().join("data"), SETTINGS);
    let client = Client::new(node.port());
    client.create("to-disk", &[("durability", "disk")]).unwrap();
    client.create("to-cache", &[("durability", "page-cache")]).unwrap();
    client.create(PROBE, &[]).unwrap();
    // reads are of what was there before
    assert_eq!(produce(node.port()), ErrorCode::None);
    let streams = [client.stream("to-disk", 20), client.stream("to-cache", 20)];
    for round in 0..ROUNDS {
        let by_others = round % 2 == 0;
        if by_others {
            device.fill();
        }
        let refused = eventually("produce is refused", PATIENCE, || {
            let code = produce(node.port());
            (code != ErrorCode::None).then_some(code)
        });
        // soon: not the error of a request whose time was over
        assert_eq!(refused, ErrorCode::KafkaStorageError);
        assert!(refused.is_retriable());
        assert!(client.offset(PROBE, OffsetSpec::Latest).unwrap() > 0, "reads go on");
        for stream in &streams {
            client.verify(&stream.topic, &stream.truth);
        }
        if by_others {
            device.free();
        } else {
            // all but the last records go; their segments with them
            for (topic, keep) in [("to-disk", 50), ("to-cache", 50), (PROBE, 1)] {
                let start = (client.offset(topic, OffsetSpec::Latest).unwrap() - keep).max(0);
                client.delete_before(topic, start).unwrap();
                assert!(
                    client.offset(topic, OffsetSpec::Earliest).unwrap() >= start,
                    "deletes go on"
                );
            }
        }
        println!("disk_full: round {round}: refused, and room made");
        let before: Vec<i64> = streams.iter().map(Stream::acked).collect();
        eventually("writes go on by themselves", PATIENCE, || {
            let resumed =
                streams.iter().zip(&before).all(|(now, before)| now.acked() > before + 200);
            assert!(!streams.iter().any(Stream::has_ended), "a producer gave up");
            resumed.then_some(())
        });
        assert!(node.is_running(), "the process has ended: {}", node.output());
    }
    let done = streams.map(|stream| client.finish(stream));
    let counts = done.each_ref().map(|stream| client.verify(&stream.topic, &stream.truth));
    println!("disk_full: {ROUNDS} rounds, {counts:?} records left and as sent");
    node.kill();
    node.restart();
    for stream in &done {
        client.verify(&stream.topic, &stream.truth);
    }
    let output = node.output();
    assert!(!output.contains("panicked"), "{output}");
}

/// Sends a batch of some size without any retry; the outcome.
fn produce(port: u16) -> ErrorCode {
    Wire::connect(port).unwrap().produce(PROBE, 0, &[7; 900_000]).unwrap()
}
