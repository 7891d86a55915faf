//! The stories: a device that fails once (a later sync that succeeds proves nothing), a disk that is
//! full for a while, and derived files with flipped bits.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use duramen_protocol::records::stamp::{stamp_base_offset, stamp_leader_epoch};

use super::support::*;
use crate::env::sim::{Fault, SimEnv};
use crate::env::{Disk, Patience};
use crate::storage::{
    AppendError, Hooks, Log, LogConfig, LogDir, LogDirOptions, ReadRequest, Recovered, StorageError,
};

const PATH: &str = "/data/logs";

fn new_world() -> SimEnv {
    SimEnv::new(1, 1_000_000)
}

/// Appends and flushes until something fails. Returns the first error.
fn append_some(dir: &LogDir, log: &mut Log, count: i64) -> Option<AppendError> {
    for step in 0..count {
        if let Err(error) = append(log, &batch(1, 1000 + step, &[7; 90]), info(1000)) {
            return Some(error);
        }
        if step % 4 == 3 {
            dir.run_once();
        }
    }
    dir.run_once();
    None
}

#[test]
fn after_an_io_error_anywhere_nothing_is_acknowledged_any_more() {
    let counting = new_world();
    let dir = open(&counting.env(), Path::new(PATH));
    let mut log = dir.create_log(&tp(), TOPIC_ID, small()).unwrap();
    let start = counting.disk.operations();
    assert_eq!(append_some(&dir, &mut log, 40), None);
    let operations = counting.disk.operations() - start;

    let mut went_offline = 0;
    for nth in 0..operations {
        let world = new_world();
        let acked = Arc::new(AtomicI64::new(0));
        let told = Arc::new(AtomicU64::new(0));
        let (acks, offline) = (Arc::clone(&acked), Arc::clone(&told));
        let hooks = Hooks {
            durable: Some(Arc::new(move |_, offset| acks.store(offset, Ordering::SeqCst))),
            offline: Some(Arc::new(move |_, _| _ = offline.fetch_add(1, Ordering::SeqCst))),
        };
        let options = LogDirOptions { hooks, ..options() };
        let dir = LogDir::open(&world.env(), Path::new(PATH), options).unwrap();
        let mut log = dir.create_log(&tp(), TOPIC_ID, small()).unwrap();
        world.disk.fail_nth(nth, Fault::Io);
        append_some(&dir, &mut log, 40);
        assert!(dir.is_offline(), "operation {nth} failed and nobody cared");
        went_offline += 1;
        assert_eq!(told.load(Ordering::SeqCst), 1);
        // The device works again; the directory does not.
        let before = acked.load(Ordering::SeqCst);
        for _ in 0..3 {
            let refused = append(&mut log, &batch(1, 1, b"x"), info(1)).unwrap_err();
            assert!(matches!(refused, AppendError::Storage(StorageError::Offline { .. })));
            log.request_flush();
            dir.run_once();
        }
        assert_eq!((acked.load(Ordering::SeqCst), log.durable_offset()), (before, before));
        assert!(dir.checkpoint().is_err() && log.close().is_err());
        drop(dir);
        // What was acknowledged is on the disk.
        world.disk.power_loss(nth);
        let dir = open(&world.env(), Path::new(PATH));
        let Some(found) = dir.unrecovered().unwrap().pop() else {
            assert_eq!(before, 0, "a log that was never synced may be gone");
            continue;
        };
        let Recovered { log, report } = found.recover(TOPIC_ID, small()).unwrap();
        assert!(log.log_end_offset() >= before && report.damage.is_empty());
    }
    assert!(went_offline > 50);
}

#[test]
fn a_full_disk_is_told_reads_go_on_and_appends_resume() {
    let mut seen_full = 0;
    for capacity in (4000..12_000).step_by(250) {
        let world = new_world();
        let dir = open(&world.env(), Path::new(PATH));
        let mut log = dir.create_log(&tp(), TOPIC_ID, small()).unwrap();
        world.disk.set_capacity(Some(capacity));
        let error = append_some(&dir, &mut log, 200).unwrap();
        assert!(matches!(error, AppendError::Storage(StorageError::NoSpace { .. })), "{error}");
        seen_full += 1;
        assert!(!dir.is_offline());
        let end = log.log_end_offset();
        let before = read_all(&log, 0);
        assert_eq!(before.len(), usize::try_from(end).unwrap() * 151);
        // What can't be written now can be written later.
        for _ in 0..5 {
            assert!(append(&mut log, &batch(1, 1, &[8; 90]), info(1)).is_err());
        }
        dir.run_once();
        assert_eq!(read_all(&log, 0), before);
        world.disk.set_capacity(None);
        world.clock.advance(std::time::Duration::from_secs(1));
        let appended = append(&mut log, &batch(1, 2000, &[9; 90]), info(1)).unwrap();
        assert_eq!(appended.first_offset, end);
        assert_eq!(append_some(&dir, &mut log, 30), None);
        assert_eq!(log.durable_offset(), end + 31);
        let all = read_all(&log, 0);
        log.close().unwrap();
        dir.close(-1).unwrap();
        let dir = open(&world.env(), Path::new(PATH));
        let found = dir.unrecovered().unwrap().remove(0);
        let Recovered { log, report } = found.recover(TOPIC_ID, small()).unwrap();
        assert_eq!((report.damage, report.cut), (vec![], None));
        assert_eq!(read_all(&log, 0), all);
    }
    assert!(seen_full > 20);
}

#[test]
fn what_is_reserved_ahead_leaves_the_low_mark_alone() {
    let mut refused = 0;
    for capacity in (200_000..2_000_000).step_by(100_000) {
        let world = new_world();
        let dir = open(&world.env(), Path::new(PATH));
        let config = LogConfig { segment_bytes: 1 << 30, ..small() };
        let mut log = dir.create_log(&tp(), TOPIC_ID, config).unwrap();
        world.disk.set_capacity(Some(capacity));
        while append(&mut log, &batch(1, 1, &[7; 5000]), info(1)).is_ok() {}
        let found = dir.figures();
        let space = found.space.unwrap();
        assert!(found.full && space.free >= found.low_mark, "{capacity}: {space:?}");
        assert!(log.log_end_offset() * 5000 > i64::try_from(capacity).unwrap() * 9 / 10 - 6000);
        refused += 1;
    }
    assert!(refused > 10);
}

#[test]
fn whether_a_disk_is_full_is_known_without_a_write() {
    let world = new_world();
    let dir = open(&world.env(), Path::new(PATH));
    world.disk.set_capacity(Some(world.disk.used()));
    drop(dir);
    let dir = open(&world.env(), Path::new(PATH));
    assert!(dir.home.space.is_low(), "from the start");
    world.disk.set_capacity(None);
    assert!(!dir.figures().full, "nobody has to write first");
    world.disk.set_capacity(Some(world.disk.used()));
    assert!(dir.figures().full);
}

#[test]
fn a_full_disk_does_not_keep_a_log_from_being_recovered() {
    let world = new_world();
    let dir = open(&world.env(), Path::new(PATH));
    let mut log = dir.create_log(&tp(), TOPIC_ID, small()).unwrap();
    assert_eq!(append_some(&dir, &mut log, 40), None);
    drop((dir, log));
    world.disk.power_loss(3);
    world.disk.set_capacity(Some(world.disk.used()));
    let dir = open(&world.env(), Path::new(PATH));
    let found = dir.unrecovered().unwrap().remove(0);
    let log = found.recover(TOPIC_ID, small()).unwrap().log;
    assert_eq!((log.log_end_offset(), read_all(&log, 0).len()), (40, 40 * 151));
}

/// A log with several segments, two epochs and producers, closed properly or not.
fn closed_log(clean: bool) -> (SimEnv, Vec<u8>) {
    let world = new_world();
    let dir = open(&world.env(), Path::new(PATH));
    let mut log = dir.create_log(&tp(), TOPIC_ID, small()).unwrap();
    for n in 0..40 {
        let header = duramen_protocol::records::BatchHeader {
            producer_id: 9,
            producer_epoch: 0,
            base_sequence: n,
            ..header(1, 1000 + i64::from(n))
        };
        let epoch = if n < 17 { 3 } else { 5 };
        let info = crate::storage::AppendInfo { leader_epoch: epoch, ..info(1000) };
        append(&mut log, &batch_of(header, &[5; 90]), info).unwrap();
        if n % 10 == 9 {
            dir.run_once();
        }
    }
    let all = read_all(&log, 0);
    dir.checkpoint().unwrap();
    if clean {
        log.close().unwrap();
        dir.close(-1).unwrap();
    } else {
        drop((dir, log));
        world.disk.kill();
    }
    (world, all)
}

/// Holds a log with derived files in any state against what it was.
fn check_derived(world: &SimEnv, all: &[u8], what: &str) {
    let dir = open(&world.env(), Path::new(PATH));
    let found = dir.unrecovered().unwrap().remove(0);
    let config = LogConfig { producer_expiration_ms: i64::MAX, ..small() };
    let Recovered { mut log, report } = found.recover(TOPIC_ID, config).unwrap();
    assert_eq!((report.damage, report.cut), (vec![], None), "{what}");
    assert_eq!(read_all(&log, 0), all, "{what}");
    for offset in 0..40 {
        let request = ReadRequest {
            offset,
            max_bytes: 1,
            min_one: true,
            up_to: 40,
            patience: Patience::Wait,
        };
        let read = log.read(&request).unwrap();
        assert_eq!(read.first_batch_offset, offset, "{what}");
    }
    let found = log.max_timestamp_offset().unwrap().unwrap();
    assert_eq!((found.offset, found.timestamp), (39, 1039), "{what}");
    let epochs: Vec<_> =
        log.epochs().entries().iter().map(|entry| (entry.epoch, entry.start_offset)).collect();
    assert_eq!(epochs, [(3, 0), (5, 17)], "{what}");
    let producer = log.producers().get(9).unwrap();
    assert_eq!((producer.epoch, producer.last_sequence()), (0, 39), "{what}");
    append(&mut log, &batch(1, 5000, b"after"), info(5000)).unwrap();
}

#[test]
fn flipped_bits_and_missing_derived_files_change_nothing() {
    for clean in [true, false] {
        let (world, all) = closed_log(clean);
        let log_dir = Path::new(PATH).join("orders-0");
        let names = world.disk.list(&log_dir).unwrap();
        let derived = names.iter().filter(|entry| {
            let name = entry.name.as_str();
            [".index", ".timeindex", ".snapshot", "leader-epoch-checkpoint"]
                .iter()
                .any(|end| name.ends_with(end))
        });
        for entry in derived {
            let path = log_dir.join(&entry.name);
            let what = format!("{} of a log closed {clean}", entry.name);
            for byte in (0..entry.len.min(60)).step_by(if clean { 2 } else { 5 }) {
                let fork = SimEnv { disk: world.disk.fork(), ..world.clone() };
                fork.disk.flip_bit(&path, byte, (byte % 8) as u8).unwrap();
                check_derived(&fork, &all, &format!("bit flipped at {byte} in {what}"));
            }
            let fork = SimEnv { disk: world.disk.fork(), ..world.clone() };
            fork.disk.remove_file(&path).unwrap();
            check_derived(&fork, &all, &format!("without {what}"));
            for len in [0, entry.len / 2, entry.len.saturating_sub(1)] {
                let fork = SimEnv { disk: world.disk.fork(), ..world.clone() };
                let file = fork.disk.open(&path, crate::env::OpenMode::Write).unwrap();
                file.set_len(len).unwrap();
                check_derived(&fork, &all, &format!("{what} cut to {len}"));
            }
        }
    }
}

/// A second look at a log, because its epochs contradict the first, left what the first took for damage
/// in the file of damage: what was appended in that place was lost at the next start.
#[test]
fn damage_that_only_a_first_look_has_seen_is_forgotten() {
    let (world, all) = closed_log(true);
    world.disk.remove_file(&Path::new(PATH).join(".kafka_cleanshutdown")).unwrap();
    // behind the recovery point, and of a term that was over by then; so long that the first look begins here
    let mut stray = batch(1, 2000, &[1; 9 << 20]).to_vec();
    stamp_base_offset(&mut stray, 40).unwrap();
    stamp_leader_epoch(&mut stray, 3).unwrap();
    let path = Path::new(PATH).join("orders-0/00000000000000000040.log");
    let file = world.disk.open(&path, crate::env::OpenMode::CreateNew).unwrap();
    file.write_at(&[std::io::IoSlice::new(b"n"), std::io::IoSlice::new(&stray)], 0).unwrap();
    drop(file);
    let start = || {
        let dir = open(&world.env(), Path::new(PATH));
        let found = dir.unrecovered().unwrap().remove(0);
        let Recovered { log, report } = found.recover(TOPIC_ID, small()).unwrap();
        (dir, log, report)
    };
    let (dir, mut log, report) = start();
    assert!(!report.damage.is_empty() && log.damage().is_empty());
    assert_eq!(read_all(&log, 0), all);
    let info = crate::storage::AppendInfo { leader_epoch: 6, ..info(5000) };
    append(&mut log, &batch(1, 5000, &[2; 90]), info).unwrap();
    let after = read_all(&log, 0);
    log.close().unwrap();
    dir.close(-1).unwrap();
    let (_dir, log, report) = start();
    assert_eq!((report.damage, log.log_end_offset()), (vec![], 41));
    assert_eq!(read_all(&log, 0), after);
}
