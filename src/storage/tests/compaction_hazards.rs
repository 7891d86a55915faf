//! The story: what is deleted or taken back stays so, and nothing that counts goes with it, where a pass
//! can't see or write all that it would like to.

use std::cell::Cell;
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::Duration;

use duramen_protocol::records::batch::BatchView;
use duramen_protocol::records::control::EndTxnMarker;
use duramen_protocol::records::{BatchBuilder, BatchOptions, Producer};

use super::compaction::{
    Shared, Story, clean_all, config, go_on, limits, open_log, seen, settle, written,
};
use super::support::*;
use crate::env::sim::SimEnv;
use crate::storage::compaction::{CleanError, SharedLog, clean};
use crate::storage::producer_txn::MarkerFacts;
use crate::storage::{Log, LogDir};

/// So late that a time of deletion takes much more room than the time of a record.
const NOW: i64 = 1_000_000_000_000;

/// One batch; `None` deletes. Returns its first offset.
fn write(log: &mut Log, writes: &[(u8, Option<u16>)]) -> i64 {
    write_as(log, writes, &BatchOptions::default())
}

fn write_as(log: &mut Log, writes: &[(u8, Option<u16>)], options: &BatchOptions) -> i64 {
    let mut builder = BatchBuilder::new(1 << 20);
    for (key, value) in writes {
        let value = value.map(|value| value.to_be_bytes().repeat(50));
        assert!(builder.append(1000, Some(&[*key]), value.as_deref(), &[]).unwrap());
    }
    append(log, &builder.build(options).unwrap(), info(1000)).unwrap().first_offset
}

/// Some segments of a key that nobody looks at, all of it committed and on the disk.
fn fill(dir: &LogDir, log: &mut Log) {
    for value in 0..24 {
        write(log, &[(0, Some(value))]);
    }
    let mut story = Story::default();
    settle(dir, log, &mut story);
    settle(dir, log, &mut story);
}

fn clean_at(dir: &LogDir, log: Log, now_ms: i64) -> Log {
    let shared = Shared(Mutex::new(log));
    clean_all(&shared, now_ms).unwrap();
    dir.run_once();
    shared.0.into_inner().unwrap()
}

#[test]
fn an_abort_behind_what_is_cleaned_counts_all_the_same() {
    let (dir, mut log) = open_log(&SimEnv::new(1, 1_000_000)).unwrap();
    write(&mut log, &[(1, Some(5))]);
    let producer = Some(Producer { id: 50, epoch: 0, base_sequence: 0 });
    let options = BatchOptions { producer, transactional: true, ..BatchOptions::default() };
    let taken_back = write_as(&mut log, &[(1, Some(6))], &options);
    fill(&dir, &mut log);
    let marker =
        EndTxnMarker { commit: false, coordinator_epoch: 1 }.to_batch(1000, 50, 0).unwrap();
    let offset = append(&mut log, &marker, info(1000)).unwrap().first_offset;
    let facts = MarkerFacts {
        producer_id: 50,
        producer_epoch: 0,
        coordinator_epoch: 1,
        offset,
        timestamp: 1000,
        abort: true,
        transaction_version: 1,
    };
    let ended = log.producers.apply_marker(&facts, 1000).unwrap();
    log.producers.complete(&ended);
    settle(&dir, &mut log, &mut Story::default());
    assert!(log.segments.back().unwrap().base <= offset && log.last_stable_offset() > offset);
    let log = clean_at(&dir, log, NOW);
    let seen = seen(&log);
    assert_eq!(seen.latest.get(&1), Some(&5), "{:?}", seen.records);
    assert!(!seen.records.contains_key(&taken_back));
}

#[test]
fn what_is_outdated_goes_also_where_a_time_of_deletion_finds_no_room() {
    let (dir, mut log) = open_log(&SimEnv::new(1, 1_000_000)).unwrap();
    let deletions = |keys: std::ops::Range<u8>| keys.map(|key| (key, None));
    let first: Vec<_> = [(200, Some(7))].into_iter().chain(deletions(1..90)).collect();
    write(&mut log, &first);
    write(&mut log, &deletions(90..140).collect::<Vec<_>>());
    assert_eq!(log.segments.len(), 1);
    assert!(log.segments[0].len > 1200, "{} bytes", log.segments[0].len);
    fill(&dir, &mut log);
    write(&mut log, &[(200, None)]);
    fill(&dir, &mut log);
    log = clean_at(&dir, log, NOW);
    fill(&dir, &mut log);
    log = clean_at(&dir, log, NOW + 1_000);
    let latest = seen(&log).latest;
    assert_eq!(latest.keys().copied().collect::<Vec<_>>(), [0], "what was deleted is back");
}

#[test]
fn deletions_stay_as_long_as_a_damaged_segment_may_show_what_they_deleted() {
    for damaged in [true, false] {
        let (dir, mut log) = open_log(&SimEnv::new(1, 1_000_000)).unwrap();
        write(&mut log, &[(1, Some(5))]);
        let from = log.segments[0].len;
        write(&mut log, &[(2, Some(5))]);
        let to = log.segments[0].len;
        fill(&dir, &mut log);
        let deletion = write(&mut log, &[(1, None)]);
        assert!(log.segments.len() > 2);
        fill(&dir, &mut log);
        if damaged {
            log.segments[0].holes = vec![(from, to)];
        }
        for now_ms in [NOW, NOW + 1_000, NOW + 2_000] {
            log = clean_at(&dir, log, now_ms);
            fill(&dir, &mut log);
        }
        let left = read_all(&log, deletion);
        let first = BatchView::iter(&left).next().unwrap().unwrap();
        assert_eq!(first.base_offset() == deletion, damaged, "{}", first.base_offset());
    }
}

#[test]
fn what_comes_in_the_place_of_what_was_cut_is_not_clean() {
    const CUT: i64 = 10;
    let distinct = |log: &mut Log, dir: &LogDir| {
        (0..40).for_each(|key| _ = write(log, &[(key, Some(1))]));
        settle(dir, log, &mut Story::default());
        settle(dir, log, &mut Story::default());
    };
    let mut passes = 0;
    for at in 1..80 {
        let (dir, mut log, _) = written(&SimEnv::new(1, 1_000_000), 0, config());
        distinct(&mut log, &dir);
        let shared = Shared(Mutex::new(log));
        let calls = Cell::new(0);
        let pause = |_: Duration| {
            calls.set(calls.get() + 1);
            if calls.get() == at {
                shared.with_log(|log| {
                    log.truncate_to(CUT).unwrap();
                    distinct(log, &dir);
                });
            }
            go_on(Duration::ZERO)
        };
        let outcome = clean(&shared, &limits(), &pause, NOW);
        if calls.get() < at {
            break;
        }
        passes += 1;
        let cleaned = shared.with_log(|log| log.state.cleaned.load(Ordering::Acquire)).unwrap();
        assert!(cleaned <= CUT, "cut at call {at}: {cleaned} after {outcome:?}");
    }
    assert!(passes > 10, "{passes}");
}

#[test]
fn a_batch_that_claims_more_records_than_it_has_takes_no_memory_for_them() {
    let (dir, mut log) = open_log(&SimEnv::new(1, 1_000_000)).unwrap();
    append(&mut log, &batch(10_000_000, 1000, b"nothing that is a record"), info(1000)).unwrap();
    fill(&dir, &mut log);
    let shared = Shared(Mutex::new(log));
    let took = allocation_counter::measure(|| {
        let error = clean_all(&shared, NOW).unwrap_err();
        assert!(matches!(error, CleanError::Uncleanable { segment: 0, .. }), "{error}");
    });
    assert!(took.bytes_max < 1 << 20, "{} bytes", took.bytes_max);
}
