//! Appending to a log on the real disk: check a batch of 16 KiB as a client sent it, write it, and
//! (durability) wait until it is on the disk.
//!
//! `cargo bench --bench log_append`; with `-- --quick` in a few seconds. It writes into the folder
//! for temporary files, which for a true figure must be on the disk that is meant (`TMPDIR`).
#![allow(missing_docs, clippy::unwrap_used, reason = "a bench may panic, and has no readers")]

mod support;

use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use duramen::storage::validate::check_client_batch;
use duramen::storage::{Durability, LogConfig};

use support::{NOW_MS, Place, batch, info, rules};

/// The log is made anew when it has grown so large, in bytes: the disk is not to fill up.
const LOG_MAX: u64 = 256 << 20;

fn append(criterion: &mut Criterion) {
    let batch = batch(16 * 1024);
    let rules = rules();
    let mut group = criterion.benchmark_group("log append");
    group.throughput(Throughput::Bytes(u64::try_from(batch.len()).unwrap()));

    group.bench_function("check", |bencher| {
        bencher.iter(|| check_client_batch(&batch, &rules, NOW_MS).unwrap());
    });

    let config = LogConfig { durability: Durability::PageCache, ..LogConfig::default() };
    let mut place = Place::new(&config);
    group.bench_function("check and write, page cache", |bencher| {
        bencher.iter(|| {
            let checked = check_client_batch(&batch, &rules, NOW_MS).unwrap();
            place.log(LOG_MAX).append(&checked, info()).unwrap()
        });
    });

    let mut place = Place::new(&LogConfig::default());
    group.bench_function("check, write and sync", |bencher| {
        bencher.iter(|| {
            let checked = check_client_batch(&batch, &rules, NOW_MS).unwrap();
            let appended = place.log(LOG_MAX).append(&checked, info()).unwrap();
            place.sync();
            assert!(place.log(LOG_MAX).durable_offset() > appended.last_offset);
        });
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(20);
    targets = append
}
criterion_main!(benches);
