//! Kill -9 at any moment: each record that was acknowledged (acks=all, `durability=disk`) is there
//! once, in its order, byte for byte.
//!
//! An idempotent producer a partition keeps five batches in flight. When the node dies it sends
//! again what was not acknowledged, with the same sequence numbers, as every Kafka client does.
//! Record number `n` of a partition must therefore have offset `n`, whatever happened.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::create_topics::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use duramen_protocol::messages::fetch::{FetchPartition, FetchRequest, FetchTopic};
use duramen_protocol::messages::init_producer_id::InitProducerIdRequest;
use duramen_protocol::messages::produce::{
    PartitionProduceData, PartitionProduceResponse, ProduceRequest, TopicProduceData,
};
use duramen_protocol::records::BatchView;
use duramen_protocol::records::builder::{BatchBuilder, BatchOptions, Producer};

use crate::runner::{Case, Context, Need};
use crate::support::chance::Chance;
use crate::support::eventually;
use crate::support::node::Node;
use crate::support::wire::Wire;

pub const CASES: &[Case] = &[Case {
    name: "kill_loop::every_acknowledged_record_survives_kill_9",
    need: Need::Nothing,
    run: kill_loop,
}];

const TOPIC: &str = "kills";
const PARTITIONS: i32 = 3;
const KILLS: usize = 50;
/// Apache Kafka takes seconds to come back.
const KILLS_OF_REFERENCE: usize = 4;
/// For whatever must happen in the end, on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(180);
const IN_FLIGHT: usize = 5;
/// After a crash Apache Kafka knows only the last batch of a producer, and refuses an older one that
/// it has (OUT_OF_ORDER_SEQUENCE_NUMBER).
const IN_FLIGHT_OF_REFERENCE: usize = 1;
/// The last versions that name topics by name.
const PRODUCE: i16 = 12;
const FETCH: i16 = 12;
const BATCH_BYTES: usize = 1 << 20;

fn kill_loop(_: &Context) {
    let mut node = Node::start(&["log.segment.bytes=1048576"]);
    create_topic(&node);
    let kills = if node.is_reference() { KILLS_OF_REFERENCE } else { KILLS };
    let mut chance = Chance::new();
    println!("kill_loop: seed {}", chance.seed);
    let (stop, acks) = (AtomicBool::new(false), AtomicU64::new(0));
    let port = node.port();
    let acked: Vec<i64> = thread::scope(|scope| {
        let producers: Vec<_> = (0..PARTITIONS)
            .map(|partition| {
                let (stop, acks) = (&stop, &acks);
                let producer = IdempotentProducer::new(&node, partition);
                scope.spawn(move || producer.run(stop, acks))
            })
            .collect();
        for kill in 0..kills {
            if producers.iter().any(|producer| producer.is_finished()) {
                break; // it has failed, and says how when it is joined
            }
            // every other kill may come before the node has served anything
            if node.is_reference() || kill % 2 == 0 {
                let before = acks.load(Ordering::Relaxed);
                eventually("acknowledgements flow", PATIENCE, || {
                    (acks.load(Ordering::Relaxed) > before).then_some(())
                });
            }
            thread::sleep(Duration::from_millis(5 + chance.below(200))); // the moment of the kill
            node.kill();
            node.restart();
        }
        stop.store(true, Ordering::Relaxed);
        producers.into_iter().map(|producer| producer.join().expect("the producer")).collect()
    });
    println!("kill_loop: {kills} kills, {acked:?} records acknowledged");
    verify_all(port, &acked);
    node.stop();
    node.restart();
    verify_all(port, &acked);
}

fn create_topic(node: &Node) {
    // so small that batches in flight often lie on both sides of a roll
    let segment =
        CreatableTopicConfig { name: "internal.segment.bytes".into(), value: Some("65536".into()) };
    let topic = CreatableTopic {
        name: TOPIC.into(),
        num_partitions: PARTITIONS,
        replication_factor: 1,
        configs: if node.is_reference() { Vec::new() } else { vec![segment] },
        ..CreatableTopic::default()
    };
    let request =
        CreateTopicsRequest { topics: vec![topic], timeout_ms: 30_000, ..Default::default() };
    let answer = Wire::connect(node.port()).unwrap().ask(7, &request).unwrap();
    assert_eq!(answer.topics[0].error_code, 0, "{answer:?}");
}

/// Value of record `n`: every one differs, in length too, and can be made again.
fn value(partition: i32, n: i64) -> Vec<u8> {
    let mut chance = Chance::of((n as u64) << 8 | partition as u64);
    let length = chance.below(400);
    let mut value = format!("{partition}/{n}:").into_bytes();
    value.extend((0..length).map(|_| chance.below(256) as u8));
    value
}

/// A batch that was sent and not yet acknowledged.
struct Sent {
    first: i64,
    count: i64,
    batch: Bytes,
}

struct IdempotentProducer {
    port: u16,
    partition: i32,
    producer_id: i64,
    /// The number of the next record.
    next: i64,
    in_flight: usize,
    window: VecDeque<Sent>,
    chance: Chance,
    /// Timestamps of today: Kafka forgets a producer whose last record is a day old.
    began_ms: i64,
}

impl IdempotentProducer {
    fn new(node: &Node, partition: i32) -> Self {
        let port = node.port();
        let in_flight = if node.is_reference() { IN_FLIGHT_OF_REFERENCE } else { IN_FLIGHT };
        let request = InitProducerIdRequest { transactional_id: None, ..Default::default() };
        let producer_id = eventually("a producer id", PATIENCE, || {
            let answer = Wire::connect(port).ok()?.ask(4, &request).ok()?;
            (answer.error_code == 0).then_some(answer.producer_id)
        });
        let chance = Chance::new();
        let began_ms = (chance.seed / 1_000_000) as i64;
        let window = VecDeque::new();
        Self { port, partition, producer_id, next: 0, in_flight, window, chance, began_ms }
    }

    /// Produces until told to stop and all is acknowledged; returns how many records.
    fn run(mut self, stop: &AtomicBool, acks: &AtomicU64) -> i64 {
        let mut progress = (self.next, Instant::now());
        loop {
            // a broken connection is what this test is about; a refusal panics inside
            if self.session(stop, acks).is_ok() {
                return self.next;
            }
            if self.next > progress.0 {
                progress = (self.next, Instant::now());
            }
            assert!(progress.1.elapsed() < PATIENCE, "no progress");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// One connection: sends again what is unacknowledged, then goes on.
    fn session(&mut self, stop: &AtomicBool, acks: &AtomicU64) -> io::Result<()> {
        let mut wire = Wire::connect(self.port)?;
        let mut correlations = VecDeque::new();
        for sent in &self.window {
            correlations.push_back(wire.send(PRODUCE, &self.request(&sent.batch))?);
        }
        loop {
            while self.window.len() < self.in_flight && !stop.load(Ordering::Relaxed) {
                let sent = self.batch();
                let request = self.request(&sent.batch);
                self.window.push_back(sent);
                correlations.push_back(wire.send(PRODUCE, &request)?);
            }
            let Some(correlation) = correlations.pop_front() else { return Ok(()) };
            let answer = wire.receive::<ProduceRequest>(PRODUCE, correlation)?;
            self.acknowledge(&answer.responses[0].partition_responses[0])?;
            acks.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn batch(&mut self) -> Sent {
        let (first, count) = (self.next, 1 + self.chance.below(40) as i64);
        let mut builder = BatchBuilder::new(BATCH_BYTES);
        for n in first..first + count {
            let added =
                builder.append(self.began_ms + n, None, Some(&value(self.partition, n)), &[]);
            assert!(added.unwrap());
        }
        let base_sequence = i32::try_from(first).expect("a short test");
        let producer = Producer { id: self.producer_id, epoch: 0, base_sequence };
        let options = BatchOptions { producer: Some(producer), ..BatchOptions::default() };
        self.next += count;
        Sent { first, count, batch: builder.build(&options).unwrap() }
    }

    fn request(&self, batch: &Bytes) -> ProduceRequest {
        let data = PartitionProduceData { index: self.partition, records: Some(batch.clone()) };
        let topic = TopicProduceData {
            name: TOPIC.into(),
            partition_data: vec![data],
            ..TopicProduceData::default()
        };
        ProduceRequest {
            acks: -1,
            timeout_ms: 30_000,
            topic_data: vec![topic],
            ..Default::default()
        }
    }

    /// Takes the answer to the oldest batch in flight. A retriable error ends the connection.
    fn acknowledge(&mut self, answer: &PartitionProduceResponse) -> io::Result<()> {
        let sent = self.window.front().expect("an answer belongs to a batch");
        let code = ErrorCode::from_code(answer.error_code);
        if code == ErrorCode::None {
            assert_eq!(answer.base_offset, sent.first, "of {} records", sent.count);
        } else if code != ErrorCode::DuplicateSequenceNumber {
            assert!(code.is_retriable(), "record {} was refused: {answer:?}", sent.first);
            return Err(io::Error::other(format!("{answer:?}")));
        }
        self.window.pop_front();
        Ok(())
    }
}

fn verify_all(port: u16, acked: &[i64]) {
    let mut wire = Wire::connect(port).unwrap();
    for (partition, acked) in (0..).zip(acked) {
        let mut next = 0;
        while next < *acked {
            let (records, high_watermark) = fetch(&mut wire, partition, next);
            assert_eq!(high_watermark, *acked, "partition {partition} has another end");
            assert!(!records.is_empty(), "partition {partition}: nothing at offset {next}");
            next = verify(&records, partition, next);
        }
        assert_eq!(next, *acked, "partition {partition}");
    }
}

/// Checks each record from offset `next` on; returns the offset after the last.
fn verify(records: &Bytes, partition: i32, mut next: i64) -> i64 {
    let mut scratch = Vec::new();
    for batch in BatchView::iter(records) {
        let Ok(batch) = batch else { break }; // the last one may be cut by the size of the answer
        assert!(batch.crc_is_valid(), "partition {partition}: the batch at {next} is damaged");
        for record in batch.records(&mut scratch, BATCH_BYTES).unwrap() {
            let record = record.unwrap();
            if record.offset < next {
                continue; // the batch began before the offset that was asked for
            }
            assert_eq!(record.offset, next, "partition {partition}");
            assert!(record.value == Some(&value(partition, next)), "{partition}: record {next}");
            next += 1;
        }
    }
    next
}

fn fetch(wire: &mut Wire, partition: i32, offset: i64) -> (Bytes, i64) {
    let wanted = FetchPartition {
        partition,
        fetch_offset: offset,
        partition_max_bytes: 4 << 20,
        ..FetchPartition::default()
    };
    let topic =
        FetchTopic { topic: TOPIC.into(), partitions: vec![wanted], ..FetchTopic::default() };
    let request = FetchRequest {
        max_wait_ms: 1000,
        min_bytes: 1,
        topics: vec![topic],
        ..FetchRequest::default()
    };
    let answer = wire.ask(FETCH, &request).unwrap();
    assert_eq!(answer.error_code, 0, "{answer:?}");
    let data = &answer.responses[0].partitions[0];
    assert_eq!(data.error_code, 0, "partition {partition}, offset {offset}");
    (data.records.clone().unwrap_or_default(), data.high_watermark)
}
