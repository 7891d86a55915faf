//! The story: names that no sync has covered last in any order. Wherever the power fails while compacted
//! segments take the place of others, or old ones go, and once more while the next start completes
//! that, the log is whole.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Mutex;

use bytes::Bytes;
use duramen_protocol::records::{BatchBuilder, BatchOptions};

use super::compaction::*;
use super::support::*;
use crate::env::sim::{SimDisk, SimEnv};
use crate::storage::compaction::{CleanLimits, SharedLog, clean};
use crate::storage::{Log, LogConfig, LogDir};

/// Power losses that are tried after each operation.
const LOSSES: u64 = 16;

/// Segments that are cleaned together: several make one.
fn merging() -> LogConfig {
    LogConfig { segment_bytes: 1800, ..config() }
}

fn new_log(config: LogConfig) -> (SimEnv, LogDir, Shared, Story) {
    let world = SimEnv::new(1, 1_000_000);
    let small = LogConfig { segment_bytes: 500, ..config.clone() };
    let (dir, mut log, story) = written(&world, 32, small);
    log.set_config(config);
    dir.checkpoint().unwrap();
    (world, dir, Shared(Mutex::new(log)), story)
}

/// Takes the power away after each operation of `work`, in many ways, and again while the start after
/// that is under way. `check` is given the log that the last start finds.
fn at_each_operation(
    (config, losses): (&LogConfig, u64),
    work: impl Fn(&LogDir, &Shared),
    check: impl Fn(&mut Story, &Log),
) {
    for at in 0.. {
        let (world, dir, shared, mut story) = new_log(config.clone());
        let end = world.disk.operations() + at;
        world.disk.power_off_at(at);
        work(&dir, &shared);
        let was_reached = world.disk.operations() >= end;
        for loss in 0..losses {
            let seed = at * losses + loss;
            let disk = world.disk.fork();
            disk.power_loss(seed);
            let again = disk.fork();
            again.power_off_at(seed % 11);
            if let Ok((dir, log)) = open_log(&SimEnv { disk: again.clone(), ..world.clone() }) {
                dir.run_once();
                drop(log);
            }
            again.power_loss(seed);
            for disk in [disk, again] {
                started(&world, disk, |log: &Log| check(&mut story, log));
            }
        }
        if !was_reached {
            assert!(at > 20, "{at} operations");
            return;
        }
    }
}

fn started(world: &SimEnv, disk: SimDisk, check: impl FnOnce(&Log)) {
    let world = SimEnv { disk, ..world.clone() };
    let (_dir, log) = open_log(&world).unwrap();
    for ending in [".cleaned", ".swap", ".replaced", ".deleted"] {
        assert_eq!(names(&world, ending), 0, "{ending}");
    }
    check(&log);
}

/// All that was written from the log start on is there.
fn check_whole(story: &Story, log: &Log) {
    assert_eq!(log.damage(), []);
    let (start, end) = (log.log_start_offset(), log.log_end_offset());
    assert!(end >= story.acked, "{end} < {}", story.acked);
    let expected: BTreeMap<_, _> = story.written.range(start..end).map(|(k, v)| (*k, *v)).collect();
    assert_eq!(seen(log).records, expected);
}

#[test]
fn several_segments_become_one_or_stay_whatever_names_last() {
    let (_, _dir, shared, _) = new_log(merging());
    let before = shared.with_log(|log| log.segments.len()).unwrap();
    clean_all(&shared, 1_000_000).unwrap();
    let after = shared.with_log(|log| log.segments.len()).unwrap();
    assert!(before > after + 4 && after > 2, "{before} to {after}");
    let work = |dir: &LogDir, shared: &Shared| {
        if clean_all(shared, 1_000_000).is_ok() {
            dir.run_once();
        }
    };
    at_each_operation((&merging(), LOSSES), work, |story, log| _ = story.check(log));
}

#[test]
fn old_segments_go_with_all_that_is_older_whatever_names_last() {
    let kept = LogConfig { compact: false, delete: true, ..merging() };
    let delete = |dir: &LogDir, shared: &Shared| {
        for part in [3, 2] {
            let cut = |log: &mut Log| log.advance_log_start(log.log_end_offset() / part).is_ok();
            if shared.with_log(cut) == Some(true) {
                dir.run_once();
            }
        }
    };
    at_each_operation((&kept, LOSSES), delete, |story, log| {
        assert!(log.log_start_offset() <= story.acked / 2);
        check_whole(story, log);
    });
    // all of it, so that what was made for the rest may be lost
    let aged = LogConfig { retention_ms: Some(1000), ..kept };
    let retain = |dir: &LogDir, shared: &Shared| {
        let expire = |log: &mut Log| log.apply_retention(1_000_000, log.log_end_offset()).is_ok();
        if shared.with_log(expire) == Some(true) {
            dir.run_once();
        }
    };
    at_each_operation((&aged, LOSSES), retain, |story, log| check_whole(story, log));
}

/// A log that somebody else gets at before the cleaner, once.
struct Overtaken<'a> {
    shared: &'a Shared,
    calls: Cell<u64>,
    at: u64,
    act: &'a dyn Fn(&mut Log),
}

impl SharedLog for Overtaken<'_> {
    fn with_log<T>(&self, work: impl FnOnce(&mut Log) -> T) -> Option<T> {
        self.calls.set(self.calls.get() + 1);
        if self.calls.get() == self.at {
            self.shared.with_log(self.act);
        }
        self.shared.with_log(work)
    }
}

/// One pass that is overtaken by `act` before it takes the lock for the `at`th time.
fn overtaken(shared: &Shared, at: u64, act: &dyn Fn(&mut Log)) -> u64 {
    let log = Overtaken { shared, calls: Cell::new(0), at, act };
    let limits = CleanLimits { map_bytes: 24 * 1000, ..limits() };
    let _ = clean(&log, &limits, &go_on, 1_000_000);
    log.calls.get()
}

#[test]
fn who_takes_segments_away_takes_an_intended_swap_back_first() {
    let (_, _dir, shared, _) = new_log(merging());
    let calls = overtaken(&shared, 0, &|_| {});
    assert_eq!(calls, 6, "two for each of two segments");
    let cut = |log: &mut Log| _ = log.truncate_to(log.log_end_offset() / 2);
    let cut_all = |log: &mut Log| _ = log.truncate_fully(log.log_end_offset() / 2);
    let delete = |log: &mut Log| _ = log.advance_log_start(log.log_end_offset() / 2);
    for at in 2..=5 {
        let clean_and_cut = |_: &LogDir, shared: &Shared| _ = overtaken(shared, at, &cut);
        // once the first is swapped, what is outdated by records that are cut off is gone
        if at <= 3 {
            at_each_operation((&merging(), 3), clean_and_cut, |story, log| {
                // what is cut off is not acknowledged
                story.acked = story.written.len() as i64 / 2 - 10;
                story.check(log);
            });
        }
        let clean_and_delete = |dir: &LogDir, shared: &Shared| {
            overtaken(shared, at, &delete);
            dir.run_once();
        };
        at_each_operation((&merging(), 3), clean_and_delete, |story, log| {
            assert!(log.log_end_offset() >= story.acked && log.damage().is_empty());
            // each key has its last value, unless that is among what was deleted
            let seen = seen(log);
            for (key, value) in story.latest_at(log.log_end_offset()) {
                let there = seen.latest.get(&key);
                let last = story.written.iter().rev().find(|(_, record)| record.0 == key);
                let may_be_gone = last.is_some_and(|(offset, _)| *offset < story.acked / 2);
                assert!(there == Some(&value) || (there.is_none() && may_be_gone), "{key}");
            }
        });
        for act in [&cut as &dyn Fn(&mut Log), &cut_all] {
            write_on_after(at, act);
        }
    }
}

/// What is written in the place of what was cut off is not lost to a swap of before.
fn write_on_after(at: u64, cut: &dyn Fn(&mut Log)) {
    let (world, dir, shared, mut story) = new_log(merging());
    overtaken(&shared, at, cut);
    let mut log = shared.0.into_inner().unwrap();
    let (start, end) = (log.log_start_offset(), log.log_end_offset());
    story.written.split_off(&end);
    let kept = seen(&log).records;
    story.written.retain(|offset, _| *offset >= start && kept.contains_key(offset));
    for n in 0..20 {
        let (offset, value) = (log.log_end_offset(), 5000 + n);
        append(&mut log, &plain(20, value), info(1000)).unwrap();
        story.written.insert(offset, (20, Some(value), 2000));
    }
    story.acked = 0;
    settle(&dir, &mut log, &mut story);
    assert_eq!(story.acked, end + 20);
    drop((dir, log));
    for seed in 0..LOSSES {
        let disk = world.disk.fork();
        disk.power_loss(seed);
        started(&world, disk, |log: &Log| {
            assert_eq!(log.log_start_offset(), start);
            assert_eq!(seen(log).records, story.written);
        });
    }
}

/// A batch of one record without a producer.
fn plain(key: u8, value: u16) -> Bytes {
    let mut builder = BatchBuilder::new(1 << 10);
    let value = value.to_be_bytes();
    assert!(builder.append(2000, Some(&[key]), Some(&value), &[]).unwrap());
    builder.build(&BatchOptions::default()).unwrap()
}
