//! The story: the power fails at any moment. Whatever had been acknowledged with `durability=disk`
//! is there afterwards, byte for byte, nothing torn is served, and the log goes on.

use std::collections::BTreeMap;
use std::path::Path;

use super::support::*;
use crate::env::sim::SimEnv;
use crate::storage::{Log, LogConfig, LogDir, StorageError, UnrecoveredLog};
use duramen_protocol::records::batch::BatchView;

const PATH: &str = "/data/logs";

/// What the workload did, as its clients saw it.
#[derive(Debug, Default, Clone)]
struct Story {
    /// All batches that were ever appended, as stored, by base offset; a later one may have taken
    /// the place of one that was lost.
    appended: BTreeMap<i64, Vec<Vec<u8>>>,
    /// Everything below was acknowledged.
    acked: i64,
    log_start: i64,
}

impl Story {
    fn note_appended(&mut self, log: &Log, offset: i64) {
        let stored = read_all(log, offset);
        self.appended.entry(offset).or_default().push(stored);
    }

    fn note_acked(&mut self, log: &Log) {
        self.acked = self.acked.max(log.durable_offset());
    }

    /// Holds what a log serves against what was appended and acknowledged.
    fn check(&self, log: &Log) {
        assert!(log.log_end_offset() >= self.acked, "{} < {}", log.log_end_offset(), self.acked);
        assert!(log.log_start_offset() <= self.log_start);
        assert_eq!(log.damage(), []);
        let bytes = read_all(log, log.log_start_offset());
        let mut next = log.log_start_offset();
        for batch in BatchView::iter(&bytes) {
            let batch = batch.unwrap();
            let known = self.appended.get(&batch.base_offset());
            let known =
                known.is_some_and(|known| known.iter().any(|stored| stored == batch.bytes()));
            assert!(known, "nobody appended the batch at {}", batch.base_offset());
            assert!(batch.base_offset() <= next);
            next = batch.next_offset();
        }
        assert_eq!(next, log.log_end_offset());
    }
}

fn config() -> LogConfig {
    LogConfig { segment_bytes: 1500, index_interval_bytes: 200, ..LogConfig::default() }
}

fn open_log(world: &SimEnv) -> Result<(LogDir, Log), String> {
    let dir = LogDir::open(&world.env(), Path::new(PATH), options()).map_err(|e| e.to_string())?;
    let found = dir.unrecovered().map_err(|e| e.to_string())?;
    let log = match found.into_iter().next() {
        Some(found) => recover(found),
        None => dir.create_log(&tp(), TOPIC_ID, config()),
    };
    Ok((dir, log.map_err(|e| e.to_string())?))
}

fn recover(found: UnrecoveredLog) -> Result<Log, StorageError> {
    let recovered = found.recover(TOPIC_ID, config())?;
    assert_eq!(recovered.report.damage, []);
    Ok(recovered.log)
}

/// Appends, acknowledges, rolls, checkpoints, trims and restarts, until the power is off.
fn work(world: &SimEnv, story: &mut Story) -> Result<(), String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let (mut dir, mut log) = open_log(world)?;
    for step in 0..60_i64 {
        let payload =
            vec![u8::try_from(step).unwrap(); 40 + usize::try_from(step * 37 % 300).unwrap()];
        let appended = append(&mut log, &batch(2, 1000 + step, &payload), info(1000));
        story.note_appended(&log, appended.map_err(|e| text(&e))?.first_offset);
        if step % 3 == 0 {
            dir.run_once();
            story.note_acked(&log);
        }
        match step {
            15 | 40 => dir.checkpoint().map_err(|e| text(&e))?,
            25 => {
                story.log_start = 20;
                log.advance_log_start(20).map_err(|e| text(&e))?;
            }
            33 => {
                log.close().map_err(|e| text(&e))?;
                dir.close(-1).map_err(|e| text(&e))?;
                (dir, log) = open_log(world)?;
                story.note_acked(&log);
            }
            _ => {}
        }
    }
    dir.run_once();
    story.note_acked(&log);
    Ok(())
}

#[test]
fn acknowledged_batches_survive_a_power_loss_at_any_operation() {
    let counting = SimEnv::new(1, 1_000_000);
    work(&counting, &mut Story::default()).unwrap();
    let operations = counting.disk.operations();
    assert!(operations > 200, "{operations}");
    for at in 0..operations {
        for seed in 0..if at % 8 == 0 { 4 } else { 1 } {
            let world = SimEnv::new(1, 1_000_000);
            let mut story = Story::default();
            world.disk.power_off_at(at);
            // The last operation may be one that nobody waits for.
            let _ = work(&world, &mut story);
            world.disk.power_loss(at * 31 + seed);
            let (dir, mut log) = open_log(&world).unwrap();
            story.check(&log);
            let appended = append(&mut log, &batch(1, 5000, b"after"), info(5000)).unwrap();
            story.note_appended(&log, appended.first_offset);
            dir.run_once();
            story.note_acked(&log);
            assert_eq!(story.acked, log.log_end_offset());
            story.check(&log);
        }
    }
}

#[test]
fn a_power_loss_during_recovery_loses_nothing_more() {
    for seed in 0..12 {
        let world = SimEnv::new(1, 1_000_000);
        let mut story = Story::default();
        world.disk.power_off_at(250 + seed * 17);
        let _ = work(&world, &mut story);
        world.disk.power_loss(seed);
        for at in 0..40 {
            let again = SimEnv { disk: world.disk.fork(), ..world.clone() };
            for round in 0..3 {
                again.disk.power_off_at(at);
                if let Ok((dir, log)) = open_log(&again) {
                    dir.run_once();
                    drop(log);
                }
                again.disk.power_loss(seed + at * 7 + round);
            }
            let (_dir, log) = open_log(&again).unwrap();
            story.check(&log);
        }
    }
}
