//! The story: a compacted log reads as the latest value of each key, before, while and after it is
//! cleaned, and whenever the power fails.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use duramen_protocol::records::batch::BatchView;
use duramen_protocol::records::{BatchBuilder, BatchOptions, Compression, Producer};

use super::support::*;
use crate::env::Patience;
use crate::env::sim::{Fault, SimEnv};
use crate::storage::compaction::{
    CleanError, CleanLimits, CleanOutcome, CompactionPolicy, SharedLog, clean,
};
use crate::storage::{
    AppendInfo, Log, LogConfig, LogDir, ReadError, ReadRequest, Recovered, StorageError, offline,
};

const PATH: &str = "/data/logs";

/// A log under a lock, as a partition has it.
pub(super) struct Shared(pub(super) Mutex<Log>);

impl SharedLog for Shared {
    fn with_log<T>(&self, work: impl FnOnce(&mut Log) -> T) -> Option<T> {
        Some(work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

pub(super) fn limits() -> CleanLimits {
    CleanLimits { map_bytes: 24 * 100, io_bytes: 700, ..CleanLimits::default() }
}

pub(super) fn config() -> LogConfig {
    LogConfig {
        segment_bytes: 1500,
        index_interval_bytes: 200,
        compact: true,
        delete: false,
        compaction: CompactionPolicy { delete_retention_ms: 1000, ..CompactionPolicy::default() },
        ..LogConfig::default()
    }
}

pub(super) fn go_on(_: Duration) -> bool {
    true
}

pub(super) fn clean_all(shared: &Shared, now_ms: i64) -> Result<CleanOutcome, CleanError> {
    loop {
        let outcome = clean(shared, &limits(), &go_on, now_ms)?;
        if !outcome.is_partial {
            return Ok(outcome);
        }
    }
}

/// One batch of records of key and value; `None` deletes.
pub(super) type Writes = Vec<(u8, Option<u16>)>;

/// A producer's batch, in one of the codecs.
pub(super) fn batch_of_writes(writes: &Writes, step: i64, sequence: i32) -> Bytes {
    let mut builder = BatchBuilder::new(1 << 20);
    for (n, (key, value)) in writes.iter().enumerate() {
        let value = value.map(|value| value.to_be_bytes().repeat(12));
        let timestamp = 1000 + step * 10 + n as i64;
        assert!(builder.append(timestamp, Some(&[*key]), value.as_deref(), &[]).unwrap());
    }
    let compression = Compression::ALL[usize::try_from(step).unwrap() % Compression::ALL.len()];
    let producer = Some(Producer { id: 9 + step % 3, epoch: 0, base_sequence: sequence });
    builder.build(&BatchOptions { compression, producer, ..BatchOptions::default() }).unwrap()
}

/// What a reader from the start has seen of each key, and every record by its offset.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) latest: BTreeMap<u8, u16>,
    pub(super) records: BTreeMap<i64, (u8, Option<u16>, i64)>,
}

pub(super) fn seen(log: &Log) -> Seen {
    let mut seen = Seen::default();
    let mut scratch = Vec::new();
    let bytes = read_all(log, log.log_start_offset());
    for batch in BatchView::iter(&bytes) {
        let batch = batch.unwrap();
        for record in batch.records(&mut scratch, 1 << 20).unwrap() {
            let record = record.unwrap();
            let key = record.key.unwrap()[0];
            let value = record.value.map(|v| u16::from_be_bytes([v[0], v[1]]));
            assert!(batch.base_offset() <= record.offset && record.offset <= batch.last_offset());
            let before = seen.records.insert(record.offset, (key, value, record.timestamp));
            assert_eq!(before, None, "offset {} twice", record.offset);
            match value {
                Some(value) => seen.latest.insert(key, value),
                None => seen.latest.remove(&key),
            };
        }
    }
    seen
}

/// What was written, and how far it is on the disk.
#[derive(Debug, Default)]
pub(super) struct Story {
    pub(super) written: BTreeMap<i64, (u8, Option<u16>, i64)>,
    pub(super) acked: i64,
    sequences: [i32; 3],
    /// Reads may fail.
    disk_fails: bool,
}

impl Story {
    /// Appends the batch of a step, unless the log is past it.
    fn append(&mut self, log: &mut Log, step: i64, writes: &Writes) -> Result<(), String> {
        let (base, which) = (log.log_end_offset(), usize::try_from(step % 3).unwrap());
        for (offset, (n, (key, value))) in (base..).zip(writes.iter().enumerate()) {
            self.written.insert(offset, (*key, *value, 1000 + step * 10 + n as i64));
        }
        let batch = batch_of_writes(writes, step, self.sequences[which]);
        let info = AppendInfo { leader_epoch: 3, now_ms: 1000, ..info(1000) };
        append(log, &batch, info).map_err(|error| error.to_string())?;
        self.sequences[which] += i32::try_from(writes.len()).unwrap();
        Ok(())
    }

    pub(super) fn latest_at(&self, end: i64) -> BTreeMap<u8, u16> {
        let mut latest = BTreeMap::new();
        for (key, value, _) in self.written.range(..end).map(|(_, record)| *record) {
            match value {
                Some(value) => latest.insert(key, value),
                None => latest.remove(&key),
            };
        }
        latest
    }

    /// The log reads as the latest values; nothing in it was never written, or elsewhere.
    pub(super) fn check(&self, log: &Log) -> Seen {
        assert!(log.log_end_offset() >= self.acked, "{} < {}", log.log_end_offset(), self.acked);
        assert_eq!(log.damage(), []);
        let seen = seen(log);
        assert_eq!(seen.latest, self.latest_at(log.log_end_offset()));
        for (offset, record) in &seen.records {
            assert_eq!(self.written.get(offset), Some(record), "at {offset}");
        }
        seen
    }
}

/// The writes of a step: hot keys, cold ones, deletions.
fn writes(step: i64) -> Writes {
    let write = |n: i64| {
        let key = u8::try_from((step * step + n * 7) % 13 + (step % 5) * 3 * (n % 2)).unwrap();
        let value = u16::try_from(step * 8 + n).unwrap();
        (key, ((step + n) % 4 != 0).then_some(value))
    };
    (0..1 + step % 5).map(write).collect()
}

pub(super) fn open_log(world: &SimEnv) -> Result<(LogDir, Log), String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let dir = LogDir::open(&world.env(), Path::new(PATH), options()).map_err(|e| text(&e))?;
    let log = match dir.unrecovered().map_err(|e| text(&e))?.pop() {
        Some(found) => {
            let Recovered { log, report } =
                found.recover(TOPIC_ID, config()).map_err(|e| text(&e))?;
            assert_eq!(report.damage, []);
            log
        }
        None => dir.create_log(&tp(), TOPIC_ID, config()).map_err(|e| text(&e))?,
    };
    Ok((dir, log))
}

/// Marks all as committed, and has it synced.
pub(super) fn settle(dir: &LogDir, log: &mut Log, story: &mut Story) {
    log.request_flush();
    dir.run_once();
    log.set_high_watermark(log.log_end_offset());
    story.acked = story.acked.max(log.durable_offset());
}

/// Writes, cleans now and then, restarts once.
fn work(world: &SimEnv, story: &mut Story, steps: i64) -> Result<(LogDir, Shared), String> {
    let (mut dir, mut log) = open_log(world)?;
    for step in 0..steps {
        story.append(&mut log, step, &writes(step))?;
        if step % 4 == 3 {
            settle(&dir, &mut log, story);
        }
        if step % 20 == 19 {
            let now_ms = 1_000_000 + step * 40;
            let shared = Shared(Mutex::new(log));
            let cleaned = clean_all(&shared, now_ms);
            log = shared.0.into_inner().unwrap();
            cleaned.map_err(|error| error.to_string())?;
            dir.run_once();
            if !story.disk_fails {
                story.check(&log);
            }
        }
        if step == steps / 2 {
            log.close().map_err(|error| error.to_string())?;
            dir.close(-1).map_err(|error| error.to_string())?;
            (dir, log) = open_log(world)?;
            log.set_high_watermark(log.log_end_offset());
        }
    }
    settle(&dir, &mut log, story);
    Ok((dir, Shared(Mutex::new(log))))
}

#[test]
fn a_compacted_log_reads_as_the_latest_values() {
    let world = SimEnv::new(1, 1_000_000);
    let mut story = Story::default();
    let (dir, shared) = work(&world, &mut story, 218).unwrap();
    let before = shared.with_log(|log| log.size_bytes()).unwrap();
    let outcome = clean_all(&shared, 1_200_000).unwrap();
    dir.run_once();
    let mut log = shared.0.into_inner().unwrap();
    let seen = story.check(&log);
    assert!(log.size_bytes() < before && outcome.bytes_after <= outcome.bytes_before);
    assert!(log.segments.iter().all(|segment| segment.len <= 1500));
    // below the active segment each key is there once at most, and no deletion
    let clean_to = log.segments.back().unwrap().base;
    assert_eq!(outcome.cleaned_to, clean_to);
    let clean: Vec<_> = seen.records.range(..clean_to).map(|(_, (key, ..))| key).collect();
    let distinct: std::collections::BTreeSet<_> = clean.iter().collect();
    assert!(clean.len() > 5 && clean.len() == distinct.len(), "{seen:?}");
    // producers go on with their sequences, also after a restart that knows only the batches
    for round in 0..3 {
        story.append(&mut log, 219 + round, &writes(3)).unwrap();
    }
    settle(&dir, &mut log, &mut story);
    log.close().unwrap();
    dir.close(-1).unwrap();
    for entry in world.env().disk.list(&Path::new(PATH).join("orders-0")).unwrap() {
        if entry.name.ends_with(".snapshot") {
            world
                .env()
                .disk
                .remove_file(&Path::new(PATH).join("orders-0").join(entry.name))
                .unwrap();
        }
    }
    let (_dir, mut log) = open_log(&world).unwrap();
    story.check(&log);
    for round in 0..3 {
        story.append(&mut log, 222 + round, &writes(3)).unwrap();
    }
    story.check(&log);
}

#[test]
fn a_power_loss_at_any_operation_of_a_pass_loses_nothing_and_brings_nothing_back() {
    let counting = SimEnv::new(1, 1_000_000);
    work(&counting, &mut Story::default(), 90).unwrap();
    let operations = counting.disk.operations();
    assert!(operations > 500, "{operations}");
    for at in 0..operations {
        let world = SimEnv::new(1, 1_000_000);
        let mut story = Story { disk_fails: true, ..Story::default() };
        world.disk.power_off_at(at);
        let _ = work(&world, &mut story, 90);
        world.disk.power_loss(at * 31);
        // once more while what was left half done is completed
        let again = world.disk.fork();
        again.power_off_at(at % 23);
        if let Ok((dir, log)) = open_log(&SimEnv { disk: again.clone(), ..world.clone() }) {
            dir.run_once();
            drop(log);
        }
        again.power_loss(at);
        for disk in [world.disk.clone(), again] {
            let world = SimEnv { disk, ..world.clone() };
            let (dir, mut log) = open_log(&world).unwrap_or_else(|e| panic!("{at}: {e}"));
            assert_eq!((names(&world, ".cleaned"), names(&world, ".swap")), (0, 0), "{at}");
            story.check(&log);
            log.set_high_watermark(log.log_end_offset());
            let shared = Shared(Mutex::new(log));
            clean_all(&shared, 1_100_000).unwrap();
            dir.run_once();
            story.check(&shared.0.into_inner().unwrap());
        }
    }
}

#[test]
fn an_error_of_any_operation_of_a_pass_leaves_the_log_whole() {
    let counting = SimEnv::new(1, 1_000_000);
    work(&counting, &mut Story::default(), 60).unwrap();
    let (operations, looks) = (counting.disk.operations(), counting.disk.looks());
    let fails_once = |fail: &dyn Fn(&SimEnv)| {
        let world = SimEnv::new(1, 1_000_000);
        let mut story = Story { disk_fails: true, ..Story::default() };
        fail(&world);
        let _ = work(&world, &mut story, 60);
        world.disk.kill();
        let (_dir, log) = open_log(&world).unwrap();
        story.check(&log);
    };
    for nth in 0..operations {
        fails_once(&|world| world.disk.fail_nth(nth, Fault::Io));
    }
    for nth in 0..looks {
        fails_once(&|world| world.disk.fail_nth_look(nth));
    }
}

/// A log of `steps` steps, all of it committed and on the disk.
pub(super) fn written(world: &SimEnv, steps: i64, config: LogConfig) -> (LogDir, Log, Story) {
    let dir = open(&world.env(), Path::new(PATH));
    let mut log = dir.create_log(&tp(), TOPIC_ID, config).unwrap();
    let mut story = Story::default();
    for step in 0..steps {
        story.append(&mut log, step, &writes(step)).unwrap();
    }
    settle(&dir, &mut log, &mut story);
    // the roll's own work comes first, then the sync
    settle(&dir, &mut log, &mut story);
    (dir, log, story)
}

pub(super) fn names(world: &SimEnv, ending: &str) -> usize {
    let entries = world.env().disk.list(&Path::new(PATH).join("orders-0")).unwrap();
    entries.iter().filter(|entry| entry.name.ends_with(ending)).count()
}

fn verified(world: &SimEnv) {
    struct Strict;
    impl offline::Watch for Strict {
        fn found(&mut self, finding: offline::Finding) {
            assert!(finding.severity == offline::Severity::Note, "{finding}");
        }
        fn progress(&mut self, _: u64, _: u64) {}
        fn rebuilt(&mut self, _: &Path) {}
    }
    offline::verify(&*world.env().disk, Path::new(PATH), &mut Strict).unwrap();
}

#[test]
fn a_check_of_a_compacted_directory_finds_nothing_wrong() {
    let world = SimEnv::new(1, 1_000_000);
    let mut story = Story::default();
    let (dir, shared) = work(&world, &mut story, 150).unwrap();
    clean_all(&shared, 2_000_000).unwrap();
    // the tombstones of before go now
    let again = LogConfig {
        compaction: CompactionPolicy { min_dirty_ratio: 0.0, ..config().compaction },
        ..config()
    };
    shared.with_log(|log| log.set_config(again));
    clean_all(&shared, 3_000_000).unwrap();
    dir.run_once();
    verified(&world);
    let log = shared.0.into_inner().unwrap();
    log.close().unwrap();
    dir.close(-1).unwrap();
    verified(&world);
    assert_eq!(
        (names(&world, ".cleaned"), names(&world, ".swap"), names(&world, ".deleted")),
        (0, 0, 0)
    );
    let checkpoint =
        world.env().disk.read(&Path::new(PATH).join("cleaner-offset-checkpoint"), 1 << 10);
    let text = String::from_utf8(checkpoint.unwrap()).unwrap();
    assert!(text.starts_with("0\n2\norders 0 "), "{text}");
}

#[test]
fn a_deletion_stays_for_its_time_and_what_it_deleted_never_comes_back() {
    let world = SimEnv::new(1, 1_000_000);
    let (dir, mut log, mut story) = written(&world, 0, config());
    let keys = |log: &Log| seen(log).records.values().map(|record| record.0).collect::<Vec<_>>();
    story.append(&mut log, 0, &vec![(1, Some(1)), (2, Some(2))]).unwrap();
    story.append(&mut log, 1, &vec![(1, None)]).unwrap();
    let fill = |log: &mut Log, story: &mut Story, from: i64| {
        for step in from..from + 24 {
            story.append(log, step, &vec![(9, Some(u16::try_from(step).unwrap()))]).unwrap();
        }
        settle(&dir, log, story);
        settle(&dir, log, story);
    };
    fill(&mut log, &mut story, 2);
    let shared = Shared(Mutex::new(log));
    clean_all(&shared, 10_000).unwrap();
    shared
        .with_log(|log| assert_eq!(keys(log)[..2], [2, 1], "the value is gone, its deletion not"));
    // the time of the deletion counts from the first pass, whatever later ones do
    for (now_ms, there) in [(10_900, true), (10_999, true), (11_000, false)] {
        shared.with_log(|log| {
            let from = 26 + (now_ms - 10_000) / 10;
            fill(log, &mut story, from);
        });
        clean_all(&shared, now_ms).unwrap();
        shared.with_log(|log| {
            story.check(log);
            assert_eq!(keys(log).contains(&1), there, "at {now_ms}");
        });
    }
}

#[test]
fn a_full_disk_stops_a_pass_and_nothing_else() {
    let mut stopped = 0;
    for room in (0..1200).step_by(20) {
        let world = SimEnv::new(1, 1_000_000);
        let (dir, log, story) = written(&world, 60, config());
        let shared = Shared(Mutex::new(log));
        world.disk.set_capacity(Some(world.disk.used() + room));
        let outcome = clean_all(&shared, 1_000_000);
        assert!(!dir.is_offline(), "with room for {room}: {outcome:?}");
        if let Err(error) = &outcome {
            assert!(matches!(error, CleanError::Storage(StorageError::NoSpace { .. })), "{error}");
            stopped += 1;
        }
        shared.with_log(|log| story.check(log));
        assert_eq!((names(&world, ".cleaned"), names(&world, ".swap")), (0, 0));
        world.disk.set_capacity(None);
        clean_all(&shared, 1_000_000).unwrap();
        shared.with_log(|log| _ = story.check(log));
    }
    assert!(stopped > 3, "{stopped}");
}

#[test]
fn a_pass_that_is_stopped_or_overtaken_leaves_nothing_behind() {
    for at in 1..60 {
        let world = SimEnv::new(1, 1_000_000);
        let (_dir, log, story) = written(&world, 60, config());
        let shared = Shared(Mutex::new(log));
        let calls = std::cell::Cell::new(0);
        let stop = |_| {
            calls.set(calls.get() + 1);
            calls.get() < at
        };
        match clean(&shared, &limits(), &stop, 1_000_000) {
            Err(error) => assert_eq!(error, CleanError::Stopped),
            Ok(_) => assert!(calls.get() < at),
        }
        assert_eq!((names(&world, ".cleaned"), names(&world, ".swap")), (0, 0));
        shared.with_log(|log| _ = story.check(log));
        // the log loses its begin while it is cleaned
        let calls = std::cell::Cell::new(0);
        let cut = |_| {
            calls.set(calls.get() + 1);
            if calls.get() == at {
                shared.with_log(|log| _ = log.advance_log_start(log.log_end_offset() / 2).unwrap());
            }
            true
        };
        if let Err(error) = clean(&shared, &limits(), &cut, 1_000_000) {
            assert_eq!(error, CleanError::Changed);
        }
        shared.with_log(|log| {
            for (offset, record) in seen(log).records {
                assert_eq!(story.written.get(&offset), Some(&record));
            }
        });
        clean_all(&shared, 1_000_000).unwrap();
    }
}

#[test]
fn what_cant_be_read_is_left_alone_until_the_settings_change() {
    let world = SimEnv::new(1, 1_000_000);
    let (_dir, log, _) = written(&world, 60, config());
    let base = log.segments[1].base;
    let path = Path::new(PATH).join(format!("orders-0/{base:020}.log"));
    world.disk.flip_bit(&path, 100, 3).unwrap();
    let shared = Shared(Mutex::new(log));
    let error = clean_all(&shared, 1_000_000).unwrap_err();
    assert!(matches!(error, CleanError::Uncleanable { segment, .. } if segment == base), "{error}");
    assert_eq!(shared.with_log(|log| log.clean_plan(1_000_000)), Some(None));
    assert_eq!(clean_all(&shared, 1_000_000), Ok(CleanOutcome::default()));
    world.disk.flip_bit(&path, 100, 3).unwrap();
    shared.with_log(|log| log.set_config(config()));
    assert!(clean_all(&shared, 1_000_000).unwrap().cleaned_to > 0);
}

#[test]
fn readers_that_began_before_a_swap_see_the_old_bytes_or_begin_again() {
    let path = tempfile::tempdir().unwrap();
    let dir = open(&crate::env::Env::real(), path.path());
    let mut log = dir.create_log(&tp(), TOPIC_ID, config()).unwrap();
    let mut story = Story::default();
    for step in 0..100 {
        story.append(&mut log, step, &writes(step)).unwrap();
    }
    settle(&dir, &mut log, &mut story);
    settle(&dir, &mut log, &mut story);
    let request = |offset| ReadRequest {
        offset,
        max_bytes: 1 << 20,
        min_one: true,
        up_to: i64::MAX,
        patience: Patience::Wait,
    };
    let opened = log.read(&request(0)).unwrap().bytes;
    let copy = opened.to_vec();
    let (end, view) = (log.log_end_offset(), log.view(0, usize::MAX).unwrap());
    let shared = Shared(Mutex::new(log));
    clean_all(&shared, 1_000_000).unwrap();
    dir.run_once();
    assert_eq!(opened[..], copy[..], "what was handed out stays");
    for offset in 0..end {
        assert!(matches!(view.read(&request(offset)), Err(ReadError::Changed)));
    }
    assert!(!dir.is_offline());
    shared.with_log(|log| _ = story.check(log));
}

#[test]
fn a_log_is_written_and_read_while_it_is_cleaned() {
    let path = tempfile::tempdir().unwrap();
    let dir = open(&crate::env::Env::real(), path.path());
    let log = dir.create_log(&tp(), TOPIC_ID, config()).unwrap();
    let shared = Shared(Mutex::new(log));
    let done = std::sync::atomic::AtomicBool::new(false);
    let mut story = Story::default();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(std::sync::atomic::Ordering::Acquire) {
                clean_all(&shared, 1_000_000).unwrap();
            }
        });
        for step in 0..400 {
            shared.with_log(|log| {
                story.append(log, step, &writes(step)).unwrap();
                settle(&dir, log, &mut story);
                if step % 20 == 0 {
                    story.check(log);
                }
            });
        }
        done.store(true, std::sync::atomic::Ordering::Release);
    });
    // Neighbours are put together by their sizes before a pass: what the last one made small, the next
    // ones unite, when there is something to clean.
    for step in 400..430 {
        shared.with_log(|log| {
            story.append(log, step, &writes(step)).unwrap();
            settle(&dir, log, &mut story);
        });
        if step % 10 == 9 {
            clean_all(&shared, 1_000_000).unwrap();
        }
    }
    shared.with_log(|log| {
        story.check(log);
        assert!(log.segments.len() < 10, "{} segments", log.segments.len());
    });
}

#[test]
fn old_segments_of_a_compacted_log_go_by_age_where_the_policy_says_so() {
    let world = SimEnv::new(1, 1_000_000);
    let both = LogConfig { delete: true, retention_ms: Some(1000), ..config() };
    let (dir, log, story) = written(&world, 90, both);
    let shared = Shared(Mutex::new(log));
    clean_all(&shared, 1500).unwrap();
    let mut log = shared.0.into_inner().unwrap();
    let before = seen(&log).records;
    // the last step is of 1890: what was written up to 1300 may go
    let end = log.log_end_offset();
    let outcome = log.apply_retention(2301, end).unwrap();
    dir.run_once();
    assert!(outcome.segments > 0 && log.segments.len() > 1, "{outcome:?}");
    let start = log.log_start_offset();
    assert!(start > 0 && start < end);
    let left = seen(&log).records;
    let expected: Vec<_> = before.range(start..).collect();
    assert_eq!(left.iter().collect::<Vec<_>>(), expected);
    assert!(before.range(..start).all(|(_, (.., timestamp))| *timestamp < 1301));
    assert_eq!(log.advance_log_start(start + 5), Ok(start + 5));
    let shared = Shared(Mutex::new(log));
    clean_all(&shared, 1500).unwrap();
    for (offset, record) in seen(&shared.0.into_inner().unwrap()).records {
        assert_eq!(story.written.get(&offset), Some(&record));
    }
}
