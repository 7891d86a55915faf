//! The messages of the data path: what it costs to read a produce and a fetch request and to write
//! their answers. Record bytes are neither parsed nor copied, so that their size must not matter.
//!
//! `cargo bench --bench codec`; with `-- --quick` in a few seconds.
#![allow(missing_docs, clippy::unwrap_used, reason = "a bench may panic, and has no readers")]

use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use duramen_protocol::frame;
use duramen_protocol::header::RequestHeader;
use duramen_protocol::messages::fetch::{
    FetchPartition, FetchTopic, FetchableTopicResponse, PartitionData,
};
use duramen_protocol::messages::produce::{
    PartitionProduceData, PartitionProduceResponse, TopicProduceData, TopicProduceResponse,
};
use duramen_protocol::messages::{
    FetchRequest, FetchResponse, Message, ProduceRequest, ProduceResponse, Request,
};
use duramen_protocol::primitives::Decoder;

/// What a producer sends with its default `batch.size`.
const BATCH_BYTES: usize = 16 * 1024;

/// Partitions of one topic in each message: a small client's, and a busy one's.
const PARTITIONS: [i32; 2] = [1, 100];

/// The versions of today's clients.
const PRODUCE_VERSION: i16 = 13;
const FETCH_VERSION: i16 = 17;

/// A request as it comes from the socket, without its length.
fn received<R: Request>(version: i16, request: &R) -> Bytes {
    let frame = frame::request(version, 7, Some("producer-1".into()), request).unwrap();
    frame.into_bytes().slice(4..)
}

fn decode<R: Request>(frame: &Bytes) -> (RequestHeader, R) {
    let mut decoder = Decoder::new(frame.clone());
    let header = RequestHeader::decode(&mut decoder).unwrap();
    let body = R::decode(&mut decoder, header.version).unwrap();
    (header, body)
}

fn produce_request(partitions: i32) -> ProduceRequest {
    let records = Some(Bytes::from(vec![7; BATCH_BYTES]));
    let partition_data = (0..partitions)
        .map(|index| PartitionProduceData { index, records: records.clone() })
        .collect();
    let topic = TopicProduceData { partition_data, ..Default::default() };
    ProduceRequest { acks: -1, timeout_ms: 30_000, topic_data: vec![topic], ..Default::default() }
}

fn produce_response(partitions: i32) -> ProduceResponse {
    let partition_responses = (0..partitions)
        .map(|index| PartitionProduceResponse { index, base_offset: 1 << 33, ..Default::default() })
        .collect();
    let topic = TopicProduceResponse { partition_responses, ..Default::default() };
    ProduceResponse { responses: vec![topic], ..Default::default() }
}

fn fetch_request(partitions: i32) -> FetchRequest {
    let partitions = (0..partitions)
        .map(|partition| FetchPartition {
            partition,
            fetch_offset: 1 << 33,
            partition_max_bytes: 1 << 20,
            ..Default::default()
        })
        .collect();
    let topics = vec![FetchTopic { partitions, ..Default::default() }];
    FetchRequest { max_wait_ms: 500, min_bytes: 1, topics, ..Default::default() }
}

fn fetch_response(partitions: i32) -> FetchResponse {
    let records = Some(Bytes::from(vec![7; BATCH_BYTES]));
    let partitions = (0..partitions)
        .map(|partition_index| PartitionData {
            partition_index,
            high_watermark: 1 << 33,
            records: records.clone(),
            ..Default::default()
        })
        .collect();
    let responses = vec![FetchableTopicResponse { partitions, ..Default::default() }];
    FetchResponse { responses, ..Default::default() }
}

fn messages(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("codec");
    for partitions in PARTITIONS {
        let produce = received(PRODUCE_VERSION, &produce_request(partitions));
        group.bench_function(BenchmarkId::new("decode produce request", partitions), |bencher| {
            bencher.iter(|| decode::<ProduceRequest>(black_box(&produce)));
        });
        let answer = produce_response(partitions);
        group.bench_function(BenchmarkId::new("encode produce response", partitions), |bencher| {
            bencher.iter(|| frame::response(PRODUCE_VERSION, 7, black_box(&answer)).unwrap());
        });
        let fetch = received(FETCH_VERSION, &fetch_request(partitions));
        group.bench_function(BenchmarkId::new("decode fetch request", partitions), |bencher| {
            bencher.iter(|| decode::<FetchRequest>(black_box(&fetch)));
        });
        let answer = fetch_response(partitions);
        group.bench_function(BenchmarkId::new("encode fetch response", partitions), |bencher| {
            bencher.iter(|| frame::response(FETCH_VERSION, 7, black_box(&answer)).unwrap());
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(20);
    targets = messages
}
criterion_main!(benches);
