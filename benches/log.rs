//! What a log costs: an append to the page cache beside the bare write that it can't do without, an
//! indexed read.
//!
//! `cargo bench --bench log`; with `-- --quick` in a few seconds.
#![allow(missing_docs, clippy::unwrap_used, reason = "a bench may panic, and has no readers")]

use std::fs::File;
use std::hint::black_box;
use std::os::unix::fs::FileExt;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use duramen::env::Env;
use duramen::storage::producer_state::Origin;
use duramen::storage::validate::ValidatedBatch;
use duramen::storage::{
    AppendInfo, Durability, Log, LogConfig, LogDir, LogDirOptions, ReadRequest,
};
use duramen_protocol::ids::TopicPartition;
use duramen_protocol::records::{BatchBuilder, BatchOptions};
use uuid::Uuid;

const INFO: AppendInfo = AppendInfo { leader_epoch: 1, now_ms: 1_000, origin: Origin::Client };

fn batch(size: usize) -> Bytes {
    let mut builder = BatchBuilder::new(size);
    let value = vec![b'x'; 1000.min(size / 2)];
    while builder.append(1_000, None, Some(&value), &[]).is_ok_and(|added| added) {}
    builder.build(&BatchOptions::default()).unwrap()
}

fn open(durability: Durability) -> (tempfile::TempDir, LogDir, Log) {
    let path = tempfile::tempdir().unwrap();
    let dir = LogDir::open(&Env::real(), path.path(), LogDirOptions::default());
    let dir = dir.unwrap();
    let config = LogConfig { durability, segment_bytes: 64 << 20, ..LogConfig::default() };
    let log = dir.create_log(&TopicPartition::new("bench", 0), Uuid::from_u128(1), config);
    let log = log.unwrap();
    (path, dir, log)
}

/// Keeps the disk from filling: retention by size, now and then.
fn trim(log: &mut Log) {
    let end = log.log_end_offset();
    if log.size_bytes() > 256 << 20 {
        log.advance_log_start(end).unwrap();
    }
}

fn appends(criterion: &mut Criterion) {
    for size in [1 << 10, 16 << 10, 256 << 10] {
        let bytes = batch(size);
        let mut group = criterion.benchmark_group(format!("append {} KiB", size >> 10));
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        let path = tempfile::tempdir().unwrap();
        #[expect(clippy::disallowed_methods, reason = "the bare write, without our disk")]
        let file = File::create(path.path().join("bare")).unwrap();
        let mut position = 0;
        group.bench_function("bare pwrite", |bench| {
            bench.iter(|| {
                position = (position + bytes.len() as u64) % (64 << 20);
                file.write_all_at(black_box(&bytes), position).unwrap();
            });
        });
        let (_path, _dir, mut log) = open(Durability::PageCache);
        let valid = ValidatedBatch::own(&bytes).unwrap();
        group.bench_function("page cache", |bench| {
            bench.iter(|| {
                trim(&mut log);
                black_box(log.append(black_box(&valid), INFO)).is_ok()
            });
        });
        group.finish();
    }
}

fn reads(criterion: &mut Criterion) {
    let (_path, _dir, mut log) = open(Durability::PageCache);
    let valid = ValidatedBatch::own(&batch(16 << 10)).unwrap();
    while log.size_bytes() < 128 << 20 {
        log.append(&valid, INFO).unwrap();
    }
    let end = log.log_end_offset();
    let mut group = criterion.benchmark_group("read");
    for max_bytes in [1 << 10, 1 << 20] {
        let mut offset = 0;
        group.bench_function(format!("at most {} KiB", max_bytes >> 10), |bench| {
            bench.iter(|| {
                offset = (offset + 7_919) % end;
                let request = ReadRequest { offset, max_bytes, min_one: true, up_to: end };
                black_box(log.read(black_box(&request))).is_ok()
            });
        });
    }
    let request = ReadRequest { offset: end - 1, max_bytes: 1 << 20, min_one: true, up_to: end };
    group.bench_function("the tail", |bench| bench.iter(|| black_box(log.read(&request)).is_ok()));
    group.finish();
}

criterion_group!(benches, appends, reads);
criterion_main!(benches);
