//! Reading from a log on the real disk: a batch found by its offset through the index, as a slice
//! of the file's map. Nothing is copied, so that the size of the answer must hardly matter.
//!
//! `cargo bench --bench log_read`; with `-- --quick` in a few seconds.
#![allow(missing_docs, clippy::unwrap_used, reason = "a bench may panic, and has no readers")]

mod support;

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use duramen::env::Patience;
use duramen::storage::validate::check_client_batch;
use duramen::storage::{Durability, LogConfig, ReadRequest};

use support::{NOW_MS, Place, batch, info, rules};

/// Bytes of the log, in segments of an eighth.
const LOG_BYTES: u32 = 64 << 20;

fn read(criterion: &mut Criterion) {
    let config = LogConfig {
        durability: Durability::PageCache,
        segment_bytes: LOG_BYTES / 8,
        ..LogConfig::default()
    };
    let mut place = Place::new(&config);
    let checked = check_client_batch(&batch(16 * 1024), &rules(), NOW_MS).unwrap();
    let log = place.log(u64::MAX);
    while log.size_bytes() < u64::from(LOG_BYTES) {
        log.append(&checked, info()).unwrap();
    }
    let end = log.log_end_offset();

    let mut group = criterion.benchmark_group("log read");
    let mut offset = 0;
    for max_bytes in [16 * 1024, 1 << 20] {
        group.bench_function(BenchmarkId::new("any offset", max_bytes), |bencher| {
            bencher.iter(|| {
                // Steps of a golden section visit the whole log without order.
                offset = (offset + end * 618 / 1000) % end;
                let request = ReadRequest {
                    offset,
                    max_bytes,
                    min_one: true,
                    up_to: end,
                    patience: Patience::Wait,
                };
                log.read(black_box(&request)).unwrap()
            });
        });
    }
    group.bench_function("at the end", |bencher| {
        let request = ReadRequest {
            offset: end,
            max_bytes: 1 << 20,
            min_one: true,
            up_to: end,
            patience: Patience::Wait,
        };
        bencher.iter(|| log.read(black_box(&request)).unwrap());
    });
    group.bench_function("offset of a timestamp", |bencher| {
        bencher.iter(|| log.offset_for_timestamp(black_box(NOW_MS - 10)).unwrap());
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(20);
    targets = read
}
criterion_main!(benches);
