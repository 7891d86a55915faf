//! Record batches: what it costs to check one, to read and to make its records.
//!
//! `cargo bench --bench batch`; with `-- --quick` in a few seconds.
#![allow(
    missing_docs,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a bench may panic, and has no readers"
)]

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use duramen_protocol::records::batch::{stamp_base_offset, stamp_log_append_time};
use duramen_protocol::records::repack::recompress;
use duramen_protocol::records::{BatchBuilder, BatchHeader, BatchOptions, BatchView, Compression};

/// What a producer sends with its default `batch.size`.
const BATCH_BYTES: usize = 16 * 1024;

/// Values of 100 bytes that look like JSON: half of it repeats, half does not.
fn values() -> impl Iterator<Item = Vec<u8>> {
    (0_u64..).map(|number| {
        let noise = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut value = format!(
            "{{\"order\":{number},\"customer\":\"{noise:016x}\",\"state\":\"shipped\",\"amount\":{}}}",
            noise % 10_000
        )
        .into_bytes();
        value.resize(100, b' ');
        value
    })
}

fn filled(size: usize) -> BatchBuilder {
    let mut builder = BatchBuilder::new(size);
    for (timestamp, value) in (1_700_000_000_000..).zip(values()) {
        if !builder.append(timestamp, Some(&value[9..17]), Some(&value), &[]).unwrap() {
            break;
        }
    }
    builder
}

fn batch(size: usize, compression: Compression) -> Vec<u8> {
    filled(size).build(&BatchOptions { compression, ..Default::default() }).unwrap().to_vec()
}

fn length(bytes: usize) -> Throughput {
    Throughput::Bytes(u64::try_from(bytes).unwrap())
}

fn check(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("check");
    let small = batch(BATCH_BYTES, Compression::None);
    group.bench_function("header", |bencher| {
        bencher.iter(|| {
            let (batch, rest) = BatchView::split(black_box(&small)).unwrap();
            batch.attributes().codec() == 0
                && rest.is_empty()
                && batch.base_offset() == 0
                && batch.record_count() == batch.last_offset_delta() + 1
                && batch.producer_id() == -1
        });
    });
    group.bench_function("header by value", |bencher| {
        bencher.iter(|| BatchHeader::parse(black_box(&small)).unwrap());
    });
    for size in [1024, BATCH_BYTES, 64 * 1024, 1 << 20] {
        let bytes = batch(size, Compression::None);
        group.throughput(length(bytes.len()));
        group.bench_with_input(
            BenchmarkId::new("header and crc", size),
            &bytes,
            |bencher, bytes| {
                bencher.iter(|| BatchView::split(black_box(bytes)).unwrap().0.crc_is_valid());
            },
        );
    }
    group.finish();
}

fn stamp(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("stamp");
    let mut bytes = batch(BATCH_BYTES, Compression::None);
    group.bench_function("base offset", |bencher| {
        bencher.iter(|| stamp_base_offset(black_box(&mut bytes), 1 << 33).unwrap());
    });
    group.bench_function("log append time", |bencher| {
        bencher.iter(|| stamp_log_append_time(black_box(&mut bytes), 1_700_000_000_000).unwrap());
    });
    group.finish();
}

fn records(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("records");
    let unpacked = batch(BATCH_BYTES, Compression::None).len();
    group.throughput(length(unpacked));
    for compression in Compression::ALL {
        let bytes = batch(BATCH_BYTES, compression);
        let (batch, _) = BatchView::split(&bytes).unwrap();
        let mut scratch = Vec::new();
        group.bench_function(BenchmarkId::new("read", compression), |bencher| {
            bencher.iter(|| {
                let records = batch.records(&mut scratch, 1 << 20).unwrap();
                records.map(|record| record.unwrap().value.map_or(0, <[u8]>::len)).sum::<usize>()
            });
        });
        let builder = filled(BATCH_BYTES);
        let options = BatchOptions { compression, ..Default::default() };
        group.bench_function(BenchmarkId::new("build", compression), |bencher| {
            bencher.iter(|| builder.clone().build(&options).unwrap());
        });
    }
    let values: Vec<_> = values().take(140).collect();
    group.bench_function("append", |bencher| {
        bencher.iter(|| {
            let mut builder = BatchBuilder::new(BATCH_BYTES);
            for value in &values {
                builder.append(1_700_000_000_000, None, Some(value), &[]).unwrap();
            }
            builder
        });
    });
    let plain = batch(BATCH_BYTES, Compression::None);
    let (plain, _) = BatchView::split(&plain).unwrap();
    group.bench_function("recompress none to lz4", |bencher| {
        bencher.iter(|| recompress(&plain, Compression::Lz4, None, 1 << 20).unwrap());
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(20);
    targets = check, stamp, records
}
criterion_main!(benches);
