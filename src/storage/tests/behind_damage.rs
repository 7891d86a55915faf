//! The story: damage in the middle of a segment. What stands behind it is found, at a bounded price, and
//! nothing is taken for a batch of the log that a producer has put into a record.

use std::io::IoSlice;
use std::path::Path;

use super::support::*;
use crate::env::sim::SimEnv;
use crate::env::{Disk, OpenMode, Patience};
use crate::storage::damage::Damage;
use crate::storage::{
    Log, LogConfig, LogDir, LogDirOptions, ReadError, ReadRequest, Recovered, RecoveryReport,
};
use duramen_protocol::records::batch::BatchHeader;

const PATH: &str = "/data/logs";
const SEGMENT: &str = "/data/logs/orders-0/00000000000000000000.log";

fn config() -> LogConfig {
    LogConfig { index_interval_bytes: 200, ..LogConfig::default() }
}

/// Nothing counts as being in memory: what is read is looked at.
fn open_cold(world: &SimEnv) -> LogDir {
    let options = LogDirOptions { hot_bytes: 0, ..options() };
    LogDir::open(&world.env(), Path::new(PATH), options).unwrap()
}

fn start(world: &SimEnv) -> (LogDir, Log, RecoveryReport) {
    let dir = open_cold(world);
    let found = dir.unrecovered().unwrap().remove(0);
    let Recovered { log, report } = found.recover(TOPIC_ID, config()).unwrap();
    (dir, log, report)
}

/// A log of batches with these payloads, one record each; how the bytes of each lie in the file. All are
/// on the disk for good if `durable`; the process is gone.
fn crashed(payloads: &[Vec<u8>], durable: bool) -> (SimEnv, Vec<std::ops::Range<u64>>) {
    let world = SimEnv::new(1, 1_000_000);
    let dir = open_cold(&world);
    let mut log = dir.create_log(&tp(), TOPIC_ID, config()).unwrap();
    append(&mut log, &batch(1, 1000, b"first"), info(1000)).unwrap();
    dir.run_once();
    let first = 0..log.size_bytes();
    let mut places = vec![first];
    for payload in payloads {
        let from = log.size_bytes();
        append(&mut log, &batch(1, 1000, payload), info(1000)).unwrap();
        places.push(from..log.size_bytes());
    }
    if durable {
        dir.run_once();
    }
    dir.checkpoint().unwrap();
    drop((dir, log));
    world.disk.kill();
    (world, places)
}

/// A batch of another log, which a mirror or a backup keeps in a record: sound, and with offsets far on.
fn foreign() -> Vec<u8> {
    let mut foreign = batch(1, 7, b"not ours").to_vec();
    foreign[..8].copy_from_slice(&(1_i64 << 40).to_be_bytes());
    foreign
}

/// A record that holds a batch of another log, far enough from both ends.
fn holds_foreign() -> Vec<u8> {
    [vec![7; 700], foreign(), vec![7; 1500]].concat()
}

fn overwrite(world: &SimEnv, at: u64, bytes: &[u8]) {
    let file = world.disk.open(Path::new(SEGMENT), OpenMode::Write).unwrap();
    file.write_at(&[IoSlice::new(bytes)], at).unwrap();
    file.sync_data().unwrap();
}

fn read_at(log: &Log, offset: i64) -> Result<i64, ReadError> {
    let request = ReadRequest {
        offset,
        max_bytes: 1,
        min_one: true,
        up_to: i64::MAX,
        patience: Patience::Wait,
    };
    log.read(&request).map(|read| read.first_batch_offset)
}

/// The last batch lacks a sector near its end, or all from there on: it was never there.
#[test]
fn a_batch_within_a_torn_batch_is_no_batch_of_the_log() {
    for cut in [false, true] {
        let (world, places) = crashed(&[vec![1; 90], holds_foreign()], false);
        let tail = places[2].end - 600;
        if cut {
            let file = world.disk.open(Path::new(SEGMENT), OpenMode::Write).unwrap();
            file.set_len(tail).unwrap();
        } else {
            overwrite(&world, tail, &[0; 600]);
        }
        let (_dir, mut log, report) = start(&world);
        assert_eq!((log.log_end_offset(), &report.damage), (2, &vec![]), "cut {cut}");
        assert_eq!(append(&mut log, &batch(1, 1000, b"on"), info(1000)).unwrap().first_offset, 2);
    }
}

#[test]
fn a_batch_within_a_damaged_batch_is_no_batch_of_the_log() {
    // What is on the disk for good is not read whole, and its checksum not made: its offset is wrong.
    for durable in [true, false] {
        let (world, places) = crashed(&[holds_foreign(), vec![1; 90], vec![2; 90]], durable);
        overwrite(&world, places[1].start + if durable { 2 } else { 100 }, b"x");
        let (_dir, log, report) = start(&world);
        let (from, to) = (places[1].start, places[1].end);
        let damage = Damage { first: 1, next: 2, segment: 0, from, to };
        assert_eq!((report.damage, report.cut), (vec![damage], None), "durable {durable}");
        assert_eq!(log.log_end_offset(), 4);
        assert!(matches!(read_at(&log, 1), Err(ReadError::Damaged { first: 1, next: 2 })));
        assert_eq!((read_at(&log, 2).unwrap(), read_at(&log, 3).unwrap()), (2, 3));
    }
}

/// Where the length is what is damaged the batches behind are found, though they lie in what it claims;
/// also when the next one is damaged too.
#[test]
fn batches_that_a_wrong_length_claims_are_found() {
    for bit in [0, 3, 9, 11, 17, 25, 30] {
        for next_too in [false, true] {
            let payloads: Vec<_> = (0..12).map(|n| vec![n; 300]).collect();
            let (world, places) = crashed(&payloads, true);
            let (byte, bit_of_byte) = (8 + 3 - bit / 8, (bit % 8) as u8);
            world.disk.flip_bit(Path::new(SEGMENT), places[3].start + byte, bit_of_byte).unwrap();
            if next_too {
                world.disk.flip_bit(Path::new(SEGMENT), places[4].start + 3, 1).unwrap();
            }
            let (_dir, log, report) = start(&world);
            let lost: Vec<_> = report.damage.iter().map(|lost| (lost.first, lost.next)).collect();
            assert_eq!(lost, [(3, if next_too { 5 } else { 4 })], "bit {bit}, {next_too}");
            assert_eq!((report.cut, log.log_end_offset()), (None, 13));
            assert_eq!(read_at(&log, 5).unwrap(), 5);
        }
    }
}

/// A record may be full of headers that claim all that follows: no checksum is made of each.
#[test]
fn looking_for_what_stands_behind_damage_reads_the_file_a_few_times_at_most() {
    let mut fake = BatchHeader { base_offset: 5, ..header(1, 1000) };
    fake.batch_length = 3 << 20;
    let payload: Vec<u8> = fake.to_bytes().repeat(4000);
    let large = vec![3; 4 << 20];
    let (world, places) = crashed(&[payload, large, vec![2; 90]], false);
    overwrite(&world, places[1].end - 1, b"x");
    let before = world.disk.looks();
    let (_dir, log, report) = start(&world);
    let lost: Vec<_> = report.damage.iter().map(|lost| (lost.first, lost.next)).collect();
    assert_eq!((lost, log.log_end_offset()), (vec![(1, 2)], 4));
    let looks = world.disk.looks() - before;
    // Each sector of what is damaged is looked at once more, whether it was torn.
    assert!(looks < 1000, "{looks} looks at a file of 5 MB");
}

/// Damage right behind damage that is known is damage of its own, told from its first offset on.
#[test]
fn damage_behind_known_damage_is_told_and_kept_by_itself() {
    let payloads: Vec<_> = (0..6).map(|n| vec![n; 300]).collect();
    let (world, places) = crashed(&payloads, true);
    let (dir, mut log, _) = start(&world);
    for (first, next) in [(2, 3), (3, 4)] {
        world.disk.flip_bit(Path::new(SEGMENT), places[first as usize].start, 3).unwrap();
        match read_at(&log, first) {
            Err(ReadError::Damaged { first: from, next: to }) => {
                assert_eq!((from, to), (first, next));
            }
            other => panic!("{other:?}"),
        }
        log.apply_retention(1000, 0).unwrap();
        assert_eq!(log.damage().last().map(|lost| (lost.first, lost.next)), Some((first, next)));
        assert_eq!(read_at(&log, next).unwrap(), next);
    }
    drop((dir, log));
    world.disk.kill();
    // a third one, which a start finds that knows of the two
    world.disk.flip_bit(Path::new(SEGMENT), places[4].start, 3).unwrap();
    let recovery_point = Path::new(PATH).join("recovery-point-offset-checkpoint");
    world.disk.remove_file(&recovery_point).unwrap();
    let (_dir, log, _) = start(&world);
    let lost: Vec<_> = log.damage().iter().map(|lost| (lost.first, lost.next)).collect();
    assert_eq!(lost, [(2, 3), (3, 4), (4, 5)]);
    assert_eq!((read_at(&log, 5).unwrap(), log.log_end_offset()), (5, 7));
}

/// A reader met damage, and before that was taken over the log was cut: other bytes stand there by then.
#[test]
fn damage_that_was_cut_off_is_not_taken_for_what_is_written_in_its_place() {
    let payloads: Vec<_> = (0..4).map(|n| vec![n; 300]).collect();
    let (world, places) = crashed(&payloads, true);
    let (_dir, mut log, _) = start(&world);
    world.disk.flip_bit(Path::new(SEGMENT), places[2].start, 3).unwrap();
    assert!(matches!(read_at(&log, 2), Err(ReadError::Damaged { first: 2, next: 3 })));
    assert_eq!(log.truncate_to(2).unwrap(), 2);
    for offset in 2..5 {
        let written = append(&mut log, &batch(1, 1000, &[9; 300]), info(1000)).unwrap();
        assert_eq!(written.first_offset, offset);
    }
    log.apply_retention(1000, 0).unwrap();
    assert_eq!(log.damage(), []);
    for offset in 2..5 {
        assert_eq!(read_at(&log, offset).unwrap(), offset);
    }
}

/// A log of several segments, closed properly, and the size of each of its 20 batches.
fn closed() -> (SimEnv, u64) {
    let world = SimEnv::new(1, 1_000_000);
    let dir = open_cold(&world);
    let mut log = dir.create_log(&tp(), TOPIC_ID, small()).unwrap();
    for n in 0..20 {
        append(&mut log, &batch(1, 1000 + n, &[n as u8; 90]), info(1000)).unwrap();
    }
    let size = log.size_bytes() / 20;
    log.close().unwrap();
    dir.close(-1).unwrap();
    (world, size)
}

/// A closed segment ends at a batch, only too early: nothing there says that more was behind.
#[test]
fn batches_missing_at_the_end_of_a_segment_are_told() {
    let (world, size) = closed();
    let file = world.disk.open(Path::new(SEGMENT), OpenMode::Write).unwrap();
    file.set_len(file.len().unwrap() - 2 * size).unwrap();
    file.sync_data().unwrap();
    for restart in [false, true] {
        let dir = open_cold(&world);
        let found = dir.unrecovered().unwrap().remove(0);
        let mut log = found.recover(TOPIC_ID, small()).unwrap().log;
        let (first, next) = (4, 6);
        assert_eq!(read_at(&log, first - 1).unwrap(), first - 1);
        for offset in first..next {
            match read_at(&log, offset) {
                Err(ReadError::Damaged { first: from, next: to }) => {
                    assert_eq!((from, to), (first, next));
                }
                other => panic!("{restart}: {other:?}"),
            }
        }
        assert_eq!(read_at(&log, next).unwrap(), next);
        assert_eq!(log.damage().len(), usize::from(restart), "a start knows what was found before");
        log.apply_retention(1000, 0).unwrap();
        let lost: Vec<_> = log.damage().iter().map(|lost| (lost.first, lost.next)).collect();
        assert_eq!((lost, log.log_end_offset()), (vec![(first, next)], 20));
        log.close().unwrap();
        dir.close(-1).unwrap();
    }
}

/// The last batch of a closed segment has no neighbour that speaks for its offset; the next segment does.
#[test]
fn the_offset_of_a_last_batch_is_held_against_the_next_segment() {
    for bit in 0..63 {
        let (world, size) = closed();
        world.disk.flip_bit(Path::new(SEGMENT), 5 * size + 7 - bit / 8, (bit % 8) as u8).unwrap();
        let dir = open_cold(&world);
        let log = dir.unrecovered().unwrap().remove(0).recover(TOPIC_ID, small()).unwrap().log;
        let lost = read_at(&log, 5);
        let told = matches!(lost, Err(ReadError::Damaged { first: 5, next: 6 }));
        assert!(told, "bit {bit}: {lost:?}");
        assert_eq!((read_at(&log, 4).unwrap(), read_at(&log, 6).unwrap()), (4, 6));
    }
}

/// What a file's length claims is not believed: a log can have no more entries than batches.
#[test]
fn an_index_of_a_terabyte_is_not_read_into_memory() {
    let path = tempfile::tempdir().unwrap();
    let env = crate::env::Env::real();
    let dir = super::open(&env, path.path());
    let mut log = dir.create_log(&tp(), TOPIC_ID, config()).unwrap();
    for n in 0..20 {
        append(&mut log, &batch(1, 1000 + n, &[n as u8; 90]), info(1000)).unwrap();
    }
    drop((log, dir));
    for extension in ["index", "timeindex"] {
        let file = format!("orders-0/00000000000000000000.{extension}");
        let file = env.disk.open(&path.path().join(file), OpenMode::Create).unwrap();
        file.set_len((12 << 36) + 24).unwrap();
    }
    let dir = super::open(&env, path.path());
    let found = dir.unrecovered().unwrap().remove(0);
    let log = found.recover(TOPIC_ID, config()).unwrap().log;
    assert_eq!((log.log_end_offset(), read_at(&log, 19).unwrap()), (20, 19));
}
