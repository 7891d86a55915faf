//! The story: a pass keeps to its memory, to its bytes a second and to the lags that the topic sets,
//! and still cleans all.

use std::cell::Cell;
use std::sync::Mutex;
use std::time::Duration;

use duramen_protocol::records::{BatchBuilder, BatchOptions};

use super::compaction::{Shared, config, go_on, limits, settle, written};
use super::support::*;
use crate::env::sim::SimEnv;
use crate::env::{Clock, Env};
use crate::storage::LogConfig;
use crate::storage::compaction::{CleanLimits, CompactionPolicy, SharedLog, clean};

#[test]
fn a_pass_reads_and_writes_so_many_bytes_a_second_and_no_more() {
    const RATE: f64 = 5000.0;
    let world = SimEnv::new(1, 1_000_000);
    let (_dir, log, _) = written(&world, 60, config());
    let shared = Shared(Mutex::new(log));
    let longest = Cell::new(Duration::ZERO);
    let wait = |time: Duration| {
        longest.set(longest.get().max(time));
        world.clock.advance(time);
        true
    };
    let began = world.clock.now();
    let limits = CleanLimits { bytes_per_second: RATE, ..limits() };
    let outcome = clean(&shared, &limits, &wait, 1_000_000).unwrap();
    let took = (world.clock.now() - began).as_secs_f64();
    // read for the map and to be written anew, and written; what is left over may be less than a step
    let least = outcome.bytes_before * 2 - 1500;
    let most = outcome.bytes_before * 2 + outcome.bytes_after;
    assert!(took >= least as f64 / RATE && took <= most as f64 / RATE, "{took} s for {outcome:?}");
    assert!(longest.get() < Duration::from_secs(1), "{:?} at once", longest.get());
}

#[test]
fn more_keys_than_the_map_holds_take_more_passes_and_no_more_memory() {
    const KEYS: u32 = 30_000;
    const MAP: u64 = 24 * 1024;
    let path = tempfile::tempdir().unwrap();
    let dir = open(&Env::real(), path.path());
    let whole = LogConfig { segment_bytes: 100_000, ..config() };
    let mut log = dir.create_log(&tp(), TOPIC_ID, whole).unwrap();
    // all keys once, then all of them again
    for first in (0..KEYS).step_by(100).chain((0..KEYS).step_by(100)) {
        let mut builder = BatchBuilder::new(1 << 16);
        for key in first..first + 100 {
            assert!(builder.append(1000, Some(&key.to_be_bytes()), Some(b"v"), &[]).unwrap());
        }
        append(&mut log, &builder.build(&BatchOptions::default()).unwrap(), info(1000)).unwrap();
    }
    let mut story = super::compaction::Story::default();
    settle(&dir, &mut log, &mut story);
    settle(&dir, &mut log, &mut story);
    let active = log.segments.back().unwrap().base;
    let shared = Shared(Mutex::new(log));
    let limits = CleanLimits { map_bytes: MAP, io_bytes: 8192, ..CleanLimits::default() };
    let (mut passes, mut cleaned_to) = (0, 0);
    loop {
        let mut outcome = None;
        let took = allocation_counter::measure(|| {
            outcome = Some(clean(&shared, &limits, &go_on, 1_000_000).unwrap());
        });
        assert!(took.bytes_max < MAP + 256 * 1024, "{} bytes at once", took.bytes_max);
        passes += 1;
        let outcome = outcome.unwrap();
        assert!(outcome.cleaned_to > cleaned_to, "each pass gets further");
        cleaned_to = outcome.cleaned_to;
        if !outcome.is_partial {
            break;
        }
    }
    // a map of all keys would have taken one pass and three times what is allowed
    assert_eq!(cleaned_to, active);
    assert!(passes >= active / 1024, "{passes} passes");
    shared.with_log(|log| {
        let mut offsets = Vec::new();
        let mut scratch = Vec::new();
        for batch in duramen_protocol::records::BatchView::iter(&read_all(log, 0)) {
            let records = batch.unwrap().records(&mut scratch, 1 << 20).unwrap();
            offsets.extend(records.map(|record| record.unwrap().offset));
        }
        let first = active - i64::from(KEYS);
        assert_eq!(offsets, (first..log.log_end_offset()).collect::<Vec<_>>());
    });
}

#[test]
fn the_lags_of_the_topic_hold_and_hurry_a_pass() {
    let world = SimEnv::new(1, 1_000_000);
    let (_dir, mut log, _) = written(&world, 60, config());
    let mut with = |policy: CompactionPolicy, now_ms: i64| {
        log.set_config(LogConfig { compaction: policy, ..config() });
        let plan = log.clean_plan(now_ms).unwrap();
        (plan.end, plan.is_due(&policy))
    };
    let active = with(CompactionPolicy::default(), 5000).0;
    // the records of a step are of 1000 ms and ten more a step
    let young = CompactionPolicy { min_lag_ms: 1000, ..CompactionPolicy::default() };
    assert_eq!(with(young, 1900), (0, false));
    let (part, due) = with(young, 2300);
    assert!(due && 0 < part && part < active, "{part} of {active}");
    assert_eq!(with(young, 2600), (active, true));
    let never = CompactionPolicy { min_dirty_ratio: 1.0, ..CompactionPolicy::default() };
    assert_eq!(with(never, 100_000), (active, false));
    let overdue = CompactionPolicy { max_lag_ms: 500, ..never };
    assert_eq!(with(overdue, 1500), (active, false));
    assert_eq!(with(overdue, 1600), (active, true));
}
