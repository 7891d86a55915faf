//! Compacting a log on the real disk: one pass over a dirty log, in MB/s of the log, processor time,
//! memory and allocations. Keys of 16 bytes, batches of 16 KiB, durability left to the page cache.
//!
//! `cargo bench --bench clean -- 200 /folder/on/the/disk` cleans logs of 200 MB (64 without a number)
//! and prints a line for each kind; a word more chooses among them, as in `-- 200 /tmp lz4`.
#![allow(missing_docs, clippy::unwrap_used, clippy::disallowed_methods, reason = "a bench")]
#![allow(clippy::indexing_slicing, clippy::print_stdout, reason = "a bench")]

use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use bytes::Bytes;
use duramen::env::Env;
use duramen::storage::compaction::{CleanLimits, SharedLog, clean};
use duramen::storage::producer_state::Origin;
use duramen::storage::validate::ValidatedBatch;
use duramen::storage::{AppendInfo, Durability, Log, LogConfig, LogDir, LogDirOptions};
use duramen_protocol::ids::TopicPartition;
use duramen_protocol::records::{BatchBuilder, BatchOptions, Compression};
use uuid::Uuid;

const NOW_MS: i64 = 1_700_000_000_000;
const BATCH: usize = 16 * 1024;
/// How often each key is written where keys repeat.
const REPEATED: u64 = 10;

struct Shared(Mutex<Log>);

impl SharedLog for Shared {
    fn with_log<T>(&self, work: impl FnOnce(&mut Log) -> T) -> Option<T> {
        Some(work(&mut self.0.lock().unwrap()))
    }
}

/// What a log is made of.
#[derive(Clone, Copy)]
struct Kind {
    record: usize,
    codec: Compression,
    repeats: u64,
}

impl Kind {
    fn name(self) -> String {
        let keys = if self.repeats == 1 { "unique" } else { "10x" };
        format!("{}B {:?} {keys}", self.record, self.codec).to_lowercase()
    }

    /// Batches whose records come to `bytes`.
    fn batches(self, bytes: u64) -> impl Iterator<Item = Bytes> {
        let records = bytes / self.record as u64;
        let keys = (records / self.repeats).max(1);
        let (mut next, mut noise) = (0, 0x9e37_79b9_7f4a_7c15_u64);
        std::iter::from_fn(move || {
            let mut builder = BatchBuilder::new(BATCH);
            let mut value = vec![b'v'; self.record - 16];
            loop {
                // Half of each value is noise: a codec has something to find, but not all of it.
                for part in value.chunks_exact_mut(16) {
                    noise ^= noise << 13;
                    noise ^= noise >> 7;
                    noise ^= noise << 17;
                    part[..8].copy_from_slice(&noise.to_le_bytes());
                }
                let key = format!("{:016}", next % keys);
                let is_end = next >= records;
                if is_end
                    || !builder.append(NOW_MS, Some(key.as_bytes()), Some(&value), &[]).unwrap()
                {
                    break;
                }
                next += 1;
            }
            let options = BatchOptions { compression: self.codec, ..BatchOptions::default() };
            (builder.record_count() > 0).then(|| builder.build(&options).unwrap())
        })
    }
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let megabytes = words.first().and_then(|word| word.parse().ok()).unwrap_or(64_u64);
    let folder = words.get(1).map_or_else(std::env::temp_dir, Into::into);
    let wanted = words.get(2).map_or("", String::as_str);
    println!(
        "{:24} {:>8} {:>10} {:>8} {:>12}",
        "log", "MB/s", "CPU-s/GB", "peak MB", "allocations"
    );
    for record in [1000, 100] {
        for codec in [Compression::None, Compression::Lz4] {
            for repeats in [1, REPEATED] {
                let kind = Kind { record, codec, repeats };
                if kind.name().contains(wanted) {
                    run(kind, megabytes * 1_000_000, &folder);
                }
            }
        }
    }
}

/// Writes a log of `bytes` and cleans it.
fn run(kind: Kind, bytes: u64, folder: &Path) {
    let place = tempfile::tempdir_in(folder).unwrap();
    let options = LogDirOptions { threads: false, ..LogDirOptions::default() };
    let dir = LogDir::open(&Env::real(), place.path(), options).unwrap();
    let config = LogConfig {
        durability: Durability::PageCache,
        segment_bytes: 32 << 20,
        compact: true,
        delete: false,
        ..LogConfig::default()
    };
    let orders = TopicPartition::new("orders", 0);
    let mut log = dir.create_log(&orders, Uuid::from_u128(7), config).unwrap();
    let info = AppendInfo { leader_epoch: 0, now_ms: NOW_MS, origin: Origin::Client };
    for batch in kind.batches(bytes) {
        log.append(&ValidatedBatch::own(&batch).unwrap(), info).unwrap();
    }
    log.request_flush();
    (0..3).for_each(|_| _ = dir.run_once());
    log.set_high_watermark(log.log_end_offset());
    let shared = Shared(Mutex::new(log));
    let (began, cpu) = (Instant::now(), cpu_seconds());
    let mut outcome = None;
    let took = allocation_counter::measure(|| {
        outcome = Some(clean(&shared, &CleanLimits::default(), &|_: Duration| true, NOW_MS));
    });
    let (seconds, cpu) = (began.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    let outcome = outcome.unwrap().unwrap();
    assert!(!outcome.is_partial && outcome.bytes_before > 0, "the log has one segment");
    let gb = outcome.bytes_before as f64 / 1e9;
    println!(
        "{:24} {:8.0} {:10.2} {:8.1} {:12}",
        kind.name(),
        gb * 1e3 / seconds,
        cpu / gb,
        took.bytes_max as f64 / 1e6,
        took.count_total,
    );
}

/// Processor time of this thread so far.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    stat.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e9
}
