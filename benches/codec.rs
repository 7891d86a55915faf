//! The wire: what it costs to read a produce request, and to write fetch and metadata answers.
//!
//! `cargo bench --bench codec`; with `-- --quick` in a few seconds. The time of the first two must
//! not depend on how many bytes the records have: they are passed on, not copied.
#![allow(missing_docs, clippy::unwrap_used, reason = "a bench may panic, and has no readers")]

use std::hint::black_box;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use duramen_protocol::frame;
use duramen_protocol::messages::Message;
use duramen_protocol::messages::fetch::{FetchResponse, FetchableTopicResponse, PartitionData};
use duramen_protocol::messages::metadata::{
    MetadataResponse, MetadataResponsePartition, MetadataResponseTopic,
};
use duramen_protocol::messages::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use duramen_protocol::primitives::{Decoder, Encoder};

const PARTITIONS: i32 = 10;

fn records(len: usize) -> Option<Bytes> {
    Some(Bytes::from(vec![7; len]))
}

fn body<M: Message>(message: &M, version: i16) -> Bytes {
    let mut encoder = Encoder::new();
    message.encode(&mut encoder, version).unwrap();
    encoder.finish().into_bytes()
}

fn read_produce(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("read_produce_request_10_partitions");
    for len in [1 << 10, 1 << 14, 1 << 18] {
        let partition_data = (0..PARTITIONS)
            .map(|index| PartitionProduceData { index, records: records(len) })
            .collect();
        let topic =
            TopicProduceData { name: "orders".into(), partition_data, ..Default::default() };
        let request = ProduceRequest { topic_data: vec![topic], ..Default::default() };
        let frame = body(&request, 9);
        group.bench_with_input(BenchmarkId::from_parameter(len), &frame, |bencher, frame| {
            bencher.iter(|| ProduceRequest::decode(&mut Decoder::new(black_box(frame).clone()), 9));
        });
    }
    group.finish();
}

fn write_fetch(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("write_fetch_response_10_partitions");
    for len in [1 << 10, 1 << 14, 1 << 18] {
        let partitions = (0..PARTITIONS)
            .map(|partition_index| PartitionData {
                partition_index,
                records: records(len),
                ..Default::default()
            })
            .collect();
        let topic = FetchableTopicResponse { partitions, ..Default::default() };
        let response = FetchResponse { responses: vec![topic], ..Default::default() };
        group.bench_with_input(BenchmarkId::from_parameter(len), &response, |bencher, response| {
            bencher.iter(|| frame::response(16, 1, black_box(response)).unwrap());
        });
    }
    group.finish();
}

fn metadata(criterion: &mut Criterion) {
    let partitions: Vec<MetadataResponsePartition> = (0..100)
        .map(|partition_index| MetadataResponsePartition {
            partition_index,
            replica_nodes: vec![1, 2, 3],
            isr_nodes: vec![1, 2, 3],
            ..Default::default()
        })
        .collect();
    let topics = (0..10)
        .map(|number| MetadataResponseTopic {
            name: Some(format!("topic-{number}").into()),
            partitions: partitions.clone(),
            ..Default::default()
        })
        .collect();
    let response = MetadataResponse { topics, ..Default::default() };
    let frame = body(&response, 12);
    let mut group = criterion.benchmark_group("metadata_response_1000_partitions");
    group.throughput(Throughput::Elements(1000));
    group.bench_function("write", |bencher| {
        bencher.iter(|| frame::response(12, 1, black_box(&response)).unwrap());
    });
    group.bench_function("read", |bencher| {
        bencher.iter(|| MetadataResponse::decode(&mut Decoder::new(black_box(&frame).clone()), 12));
    });
    group.finish();
}

criterion_group!(benches, read_produce, write_fetch, metadata);
criterion_main!(benches);
