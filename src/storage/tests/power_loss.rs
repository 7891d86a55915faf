//! The story: the power fails at any moment. Whatever had been acknowledged with `durability=disk`
//! is there afterwards, byte for byte, nothing torn is served, and the log goes on.

use std::collections::BTreeMap;
use std::path::Path;

use super::support::*;
use crate::env::Patience;
use crate::env::sim::{Fault, SimEnv};
use crate::storage::{
    AppendInfo, Log, LogConfig, LogDir, ReadRequest, StorageError, UnrecoveredLog,
};
use duramen_protocol::ids::TopicPartition;
use duramen_protocol::records::batch::{
    BatchHeader, BatchView, stamp_base_offset, stamp_leader_epoch,
};
use uuid::Uuid;

const PATH: &str = "/data/logs";
const OTHER_ID: Uuid = Uuid::from_u128(8);

/// What the workload did, as its clients saw it.
#[derive(Debug, Default, Clone)]
struct Story {
    /// All batches that were ever appended, as stored, by base offset; a later one may have taken
    /// the place of one that was lost.
    appended: BTreeMap<i64, Vec<Vec<u8>>>,
    /// Everything below was acknowledged.
    acked: i64,
    log_start: i64,
    /// The other log was deleted, and that was answered.
    other_is_gone: bool,
}

impl Story {
    /// A batch is about to be appended, and will be stored as this.
    fn note_append(&mut self, log: &Log, epoch: i32, batch: &[u8]) {
        let (offset, mut stored) = (log.log_end_offset(), batch.to_vec());
        stamp_base_offset(&mut stored, offset).unwrap();
        stamp_leader_epoch(&mut stored, epoch).unwrap();
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

    /// Holds what was derived against the batches of [`work`], whose sequences are their offsets.
    fn check_derived(&self, log: &Log, others: usize) {
        let (start, end) = (log.log_start_offset(), log.log_end_offset());
        for offset in start..end {
            assert_eq!(
                log.epochs().epoch_for_offset(offset),
                Some(epoch_of(offset)),
                "at {offset}"
            );
        }
        let last = log.producers().get(9).map(|producer| i64::from(producer.last_sequence()));
        assert_eq!(last, (end > 0).then_some(end - 1), "the producer goes on where the log ends");
        assert!(others == 0 || !self.other_is_gone, "a deleted log came back");
    }
}

fn other_tp() -> TopicPartition {
    TopicPartition::new("others", 0)
}

/// The leader's term in which [`work`] writes an offset.
fn epoch_of(offset: i64) -> i32 {
    3 + i32::try_from(offset / 40).unwrap()
}

fn config() -> LogConfig {
    LogConfig { segment_bytes: 1500, index_interval_bytes: 200, ..LogConfig::default() }
}

/// Opens the directory and its log; how many others lay there.
fn open_log(world: &SimEnv) -> Result<(LogDir, Log, usize), String> {
    let dir = LogDir::open(&world.env(), Path::new(PATH), options()).map_err(|e| e.to_string())?;
    let mut found = dir.unrecovered().map_err(|e| e.to_string())?;
    let at = found.iter().position(|found| *found.topic_partition() == tp());
    let log = match at.map(|at| found.swap_remove(at)) {
        Some(found) => recover(found),
        None => dir.create_log(&tp(), TOPIC_ID, config()),
    };
    let log = log.map_err(|e| e.to_string())?;
    // nobody wants the other one any more
    let others = found.len();
    found.into_iter().try_for_each(|log| log.set_aside().map(drop)).map_err(|e| e.to_string())?;
    Ok((dir, log, others))
}

fn recover(found: UnrecoveredLog) -> Result<Log, StorageError> {
    let recovered = found.recover(TOPIC_ID, config())?;
    assert_eq!(recovered.report.damage, []);
    Ok(recovered.log)
}

/// Appends, acknowledges, rolls, checkpoints, trims and restarts, until the power is off.
fn work(world: &SimEnv, story: &mut Story) -> Result<(), String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let (mut dir, mut log, _) = open_log(world)?;
    let mut other = None;
    for step in 0..60_i64 {
        let payload =
            vec![u8::try_from(step).unwrap(); 40 + usize::try_from(step * 37 % 300).unwrap()];
        // a producer's batches, and terms of leaders that begin: snapshots and epoch files
        let header = BatchHeader {
            producer_id: 9,
            producer_epoch: 0,
            base_sequence: i32::try_from(2 * step).unwrap(),
            ..header(2, 1000 + step)
        };
        let epoch = epoch_of(2 * step);
        let info = AppendInfo { leader_epoch: epoch, ..info(1000) };
        let batch = batch_of(header, &payload);
        story.note_append(&log, epoch, &batch);
        append(&mut log, &batch, info).map_err(|e| text(&e))?;
        // reading meanwhile sees what is there, or says what it met with
        let request = ReadRequest {
            offset: 2 * step,
            max_bytes: 1,
            min_one: true,
            up_to: i64::MAX,
            patience: Patience::Wait,
        };
        log.read(&request).map_err(|e| text(&e))?;
        if step % 3 == 0 {
            dir.run_once();
            story.note_acked(&log);
        }
        match step {
            15 | 40 => dir.checkpoint().map_err(|e| text(&e))?,
            18 | 50 => {
                story.other_is_gone = false;
                let made = dir.create_log(&other_tp(), OTHER_ID, config());
                other = Some(made.map_err(|e| text(&e))?);
            }
            22 | 56 => {
                if let Some(other) = other.take() {
                    dir.delete_logs(vec![other]).map_err(|e| text(&e))?;
                    story.other_is_gone = true;
                }
            }
            25 => {
                story.log_start = 20;
                log.advance_log_start(20).map_err(|e| text(&e))?;
            }
            33 => {
                log.close().map_err(|e| text(&e))?;
                dir.close(-1).map_err(|e| text(&e))?;
                (dir, log, _) = open_log(world)?;
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
            let (dir, mut log, others) = open_log(&world).unwrap();
            story.check(&log);
            story.check_derived(&log, others);
            let after = batch(1, 5000, b"after");
            story.note_append(&log, epoch_of(log.log_end_offset()), &after);
            let info = AppendInfo { leader_epoch: epoch_of(log.log_end_offset()), ..info(5000) };
            append(&mut log, &after, info).unwrap();
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
                if let Ok((dir, log, _)) = open_log(&again) {
                    dir.run_once();
                    drop(log);
                }
                again.disk.power_loss(seed + at * 7 + round);
            }
            let (_dir, log, others) = open_log(&again).unwrap();
            story.check(&log);
            story.check_derived(&log, others);
        }
    }
}

/// Whatever fails once, and wherever: the work ends with an error that names the place, or goes on; and
/// after a restart on a device that works again all that was acknowledged is there.
fn fails_once(what: &str, fail: impl Fn(&SimEnv)) {
    let world = SimEnv::new(1, 1_000_000);
    let mut story = Story::default();
    fail(&world);
    if let Err(error) = work(&world, &mut story) {
        assert!(error.contains(PATH), "{what}: {error}");
    }
    world.disk.kill();
    let (_dir, log, others) = open_log(&world).unwrap_or_else(|error| panic!("{what}: {error}"));
    story.check(&log);
    story.check_derived(&log, others);
}

#[test]
fn an_error_of_any_single_operation_is_told_and_loses_nothing() {
    let counting = SimEnv::new(1, 1_000_000);
    work(&counting, &mut Story::default()).unwrap();
    let (operations, looks) = (counting.disk.operations(), counting.disk.looks());
    assert!(operations > 300 && looks > 300, "{operations} and {looks}");
    for nth in 0..operations {
        fails_once(&format!("operation {nth}"), |world| world.disk.fail_nth(nth, Fault::Io));
    }
    for nth in 0..looks {
        fails_once(&format!("look {nth}"), |world| world.disk.fail_nth_look(nth));
    }
}
