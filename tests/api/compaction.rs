//! Compaction as clients see it: `cleanup.policy=compact` on a broker that runs.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use duramen_client::cluster::{Cluster, ClusterOptions};
use duramen_client::consumer::{Assignment, Consumer, ConsumerOptions, Event, Start};
use duramen_protocol::error::ErrorCode;
use duramen_protocol::ids::MAX_TIMESTAMP;
use duramen_protocol::messages::offset_for_leader_epoch::{
    OffsetForLeaderEpochRequest, OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use duramen_protocol::records::Compression;

use crate::support::batches::whole_batches;
use crate::support::client::error;
use crate::support::{Batch, Client, Node, eventually, now_ms};

/// Segments are small and looked at all the time; deletions are kept long.
const COMPACT: [(&str, &str); 4] = [
    ("cleanup.policy", "compact"),
    ("internal.segment.bytes", "3000"),
    ("index.interval.bytes", "300"),
    ("min.cleanable.dirty.ratio", "0"),
];

/// Offset, timestamp, key and value.
type Record = (i64, i64, String, Option<String>);

async fn node() -> (Node, Client) {
    let node = Node::with(&["log.cleaner.backoff.ms=20"]).await;
    let client = node.connect().await;
    (node, client)
}

/// Every record of the partition from an offset on, over whatever gaps.
async fn read(client: &Client, topic: &str, from: i64) -> Vec<Record> {
    let (mut records, mut next) = (Vec::new(), from);
    loop {
        let data = client.fetch(topic, 0, next).await;
        assert_eq!(error(data.error_code), ErrorCode::None);
        let bytes = data.records.unwrap_or_default();
        let batches = whole_batches(&bytes);
        if batches.is_empty() {
            assert!(next >= data.high_watermark, "nothing at {next} of {}", data.high_watermark);
            return records;
        }
        let mut scratch = Vec::new();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        for batch in batches {
            assert!(batch.crc_is_valid());
            for record in batch.records(&mut scratch, 1 << 20).unwrap().map(Result::unwrap) {
                let (key, value) = (text(record.key.unwrap()), record.value.map(text));
                if record.offset >= next {
                    records.push((record.offset, record.timestamp, key, value));
                }
            }
            next = batch.next_offset();
        }
    }
}

fn latest(records: &[Record]) -> BTreeMap<String, String> {
    let mut latest = BTreeMap::new();
    for (_, _, key, value) in records {
        match value {
            Some(value) => latest.insert(key.clone(), value.clone()),
            None => latest.remove(key),
        };
    }
    latest
}

/// Two hundred batches of three records in all codecs, thirty keys, by an idempotent producer.
/// Returns what was written.
async fn fill(client: &Client, topic: &str, (id, epoch): (i64, i16)) -> Vec<Record> {
    let mut written = Vec::new();
    for n in 0..200_usize {
        let key = |k: usize| format!("key {}", (n * 7 + k * 11) % 30);
        let value =
            |k: usize| format!("value {n} {k} and something that a codec can work on aaaaaaaaa");
        let pairs: Vec<_> = (0..3).map(|k| (key(k), (n % 9 != k).then(|| value(k)))).collect();
        let borrowed: Vec<_> =
            pairs.iter().map(|(key, value)| (key.as_str(), value.as_deref())).collect();
        let codec = Compression::ALL[n % Compression::ALL.len()];
        let sequence = i32::try_from(n * 3).unwrap();
        let batch = Batch::keyed(&borrowed).codec(codec).producer(id, epoch, sequence);
        let base = client.send(topic, 0, &batch).await;
        for (offset, (key, value)) in (base..).zip(pairs) {
            written.push((offset, 0, key, value));
        }
    }
    written
}

/// Waits until all but the active segment holds each key once.
async fn compacted(node: &Node, client: &Client, topic: &str) -> Vec<Record> {
    eventually("the log is compacted", async || {
        let records = read(client, topic, 0).await;
        let base = node.segments(topic, 0).last()?.file_stem()?.to_str()?.parse::<i64>().ok()?;
        let closed: Vec<_> = records.iter().filter(|record| record.0 < base).collect();
        let keys: BTreeSet<_> = closed.iter().map(|record| &record.2).collect();
        (closed.len() == keys.len() && !closed.is_empty()).then_some(records)
    })
    .await
}

#[tokio::test]
async fn a_compacted_topic_keeps_the_last_record_of_each_key_and_all_readers_cope() {
    let (mut node, client) = node().await;
    client.create_with("orders", 1, &COMPACT).await;
    let producer = client.producer_id().await;
    let written = fill(&client, "orders", producer).await;
    let records = compacted(&node, &client, "orders").await;
    assert!(records.len() < 150, "{} are left", records.len());
    assert_eq!(latest(&records), latest(&written));
    let end = client.end("orders", 0).await;
    assert_eq!((client.start("orders", 0).await, end), (0, 600));

    // from every offset, gap or not, a reader finds the next record
    for from in 0..end {
        let next = records.iter().find(|record| record.0 >= from).map(|record| record.0);
        let data = client.fetch("orders", 0, from).await;
        let bytes = data.records.unwrap_or_default();
        let batches = whole_batches(&bytes);
        let first = batches.first().map(|batch| batch.last_offset());
        assert!(first.is_some_and(|last| last >= from), "from {from}: {first:?}");
        let found = read(&client, "orders", from).await;
        assert_eq!(found.first().map(|record| record.0), next, "from {from}");
    }
    // by time: the first of what is left
    for (offset, timestamp, ..) in &records {
        let first = records.iter().find(|record| record.1 >= *timestamp).unwrap();
        let found = client.list("orders", 0, *timestamp).await;
        assert_eq!((found.offset, found.timestamp), (first.0, first.1), "of {offset}");
    }
    assert_eq!(client.list("orders", 0, now_ms() + 100_000).await.offset, -1);
    let newest = records.iter().map(|record| record.1).max().unwrap();
    assert_eq!(client.list("orders", 0, MAX_TIMESTAMP).await.timestamp, newest);
    let partition = OffsetForLeaderPartition {
        partition: 0,
        current_leader_epoch: -1,
        leader_epoch: 0,
        ..Default::default()
    };
    let topic = OffsetForLeaderTopic {
        topic: "orders".into(),
        partitions: vec![partition],
        ..Default::default()
    };
    let request =
        OffsetForLeaderEpochRequest { replica_id: -1, topics: vec![topic], ..Default::default() };
    let ended = client.ask(&request).await;
    assert_eq!(ended.topics[0].partitions[0].end_offset, 600);

    // our own consumer, over all codecs, batches without records and gaps
    let cluster = Cluster::new(&node.address().to_string(), ClusterOptions::default()).unwrap();
    let from = Assignment::new("orders", 0, Start::Offset(0)).end(end);
    let mut consumer = Consumer::start(&cluster, ConsumerOptions::default(), vec![from]).unwrap();
    let (mut offsets, mut scratch) = (Vec::new(), Vec::new());
    while let Some(event) = consumer.next().await {
        let Event::Records(fetched) = event.unwrap() else { panic!("the position moved") };
        let visited = fetched.visit(&mut scratch, |_, record| {
            offsets.push(record.offset);
            ControlFlow::<()>::Continue(())
        });
        assert!(visited.unwrap().is_continue());
    }
    let expected: Vec<_> = records.iter().map(|record| record.0).collect();
    assert_eq!(offsets, expected);

    // after a restart, and after one without a clean end, it is the same, and the producer goes on
    for round in 0..2 {
        let client = if round == 0 { node.restart().await } else { node.drop_and_restart().await };
        let mut found = latest(&read(&client, "orders", 0).await);
        found.remove("more");
        // what was written before this start is not taken for being in memory
        for from in (0..end).step_by(7) {
            let data = client.fetch("orders", 0, from).await;
            let bytes = data.records.unwrap_or_default();
            let last = whole_batches(&bytes).first().map(|batch| batch.last_offset());
            assert!(last.is_some_and(|last| last >= from), "from {from}: {last:?}");
        }
        assert_eq!(found, latest(&written));
        let batch = Batch::keyed(&[("more", Some("value"))]);
        let batch = batch.producer(producer.0, producer.1, 600 + round);
        assert_eq!(client.send("orders", 0, &batch).await, i64::from(600 + round));
        assert_eq!(client.send("orders", 0, &batch).await, i64::from(600 + round), "a duplicate");
    }
}

#[tokio::test]
async fn what_a_compacted_topic_refuses() {
    let (_node, client) = node().await;
    client.create_with("orders", 1, &COMPACT).await;
    let reason =
        client.refused("orders", &Batch::of(["no key"]).build(), ErrorCode::InvalidRecord).await;
    assert!(reason.contains("records"), "{reason}");
    client.send("orders", 0, &Batch::keyed(&[("a", Some("b"))])).await;
    assert_eq!(
        crate::delete_records::refusal(&client, "orders", 1).await,
        ErrorCode::PolicyViolation
    );
    // what is deleted too may be cut off by hand
    client.configure(2, "orders", &[("cleanup.policy", "compact,delete")]).await;
    eventually("the policy is changed", async || {
        let refused = crate::delete_records::refusal(&client, "orders", 1).await;
        (refused == ErrorCode::None).then_some(())
    })
    .await;
    assert_eq!(client.start("orders", 0).await, 1);
}

#[tokio::test]
async fn compaction_begins_and_ends_with_the_topics_policy() {
    let (mut node, client) = node().await;
    let neither = [("cleanup.policy", ""), COMPACT[1], COMPACT[2], COMPACT[3]];
    client.create_with("orders", 1, &neither).await;
    let producer = client.producer_id().await;
    let written = fill(&client, "orders", producer).await;
    assert_eq!(read(&client, "orders", 0).await.len(), 600);
    client.configure(2, "orders", &[("cleanup.policy", "compact")]).await;
    let records = compacted(&node, &client, "orders").await;
    assert_eq!(latest(&records), latest(&written));
    // a log with gaps whose policy is another now is no damaged log
    client.configure(2, "orders", &[("cleanup.policy", "delete")]).await;
    let client = node.drop_and_restart().await;
    assert_eq!(latest(&read(&client, "orders", 0).await), latest(&written));
    assert_eq!(client.end("orders", 0).await, 600);
}
