//! A log as its users see it.

mod faults;
mod model;
mod power_loss;
mod support;

use support::*;

use super::*;
use crate::env::Env;
use duramen_protocol::records::batch::BatchView;
use duramen_protocol::records::builder::{BatchBuilder, BatchOptions};

fn new_log(dir: &LogDir, config: LogConfig) -> Log {
    dir.create_log(&tp(), TOPIC_ID, config).unwrap()
}

#[test]
fn what_is_appended_reads_back_with_offset_and_epoch_stamped() {
    let path = tempfile::tempdir().unwrap();
    let dir = open(&Env::real(), path.path());
    let mut log = new_log(&dir, small());
    let sent: Vec<_> = (0..50_u8).map(|n| batch(3, 1000, &[n; 70])).collect();
    for (n, batch) in sent.iter().enumerate() {
        let appended = append(&mut log, batch, info(1000)).unwrap();
        assert_eq!(appended.first_offset, n as i64 * 3);
        assert_eq!(appended.last_offset, n as i64 * 3 + 2);
        assert!(appended.await_durable && !appended.duplicate);
    }
    assert!(log.segments.len() > 5);
    let read = read_all(&log, 0);
    let stored: Vec<_> = BatchView::iter(&read).map(Result::unwrap).collect();
    assert_eq!(stored.len(), 50);
    for (n, (stored, sent)) in stored.iter().zip(&sent).enumerate() {
        assert_eq!(stored.base_offset(), n as i64 * 3);
        assert_eq!(stored.partition_leader_epoch(), 3);
        assert_eq!(stored.bytes()[16..], sent[16..], "the rest is as it was sent");
    }
    assert_eq!(log.durable_offset(), 0);
    dir.run_once();
    assert_eq!(log.durable_offset(), 150);
}

/// Opens the directory again, with the one log in it.
fn reopen(path: &std::path::Path, config: &LogConfig) -> (LogDir, Log, RecoveryReport) {
    let dir = open(&Env::real(), path);
    let (mut recovered, left) =
        LogDir::recover_all(dir.unrecovered().unwrap(), 2, |_| Some((TOPIC_ID, config.clone())))
            .unwrap();
    assert!(left.is_empty());
    let Recovered { log, report } = recovered.remove(0);
    (dir, log, report)
}

#[test]
fn a_clean_restart_scans_nothing_and_a_crash_finds_everything_again() {
    let path = tempfile::tempdir().unwrap();
    let dir = open(&Env::real(), path.path());
    let mut log = new_log(&dir, small());
    for n in 0..50_u8 {
        append(&mut log, &batch(3, 1000 + i64::from(n), &[n; 70]), info(1000)).unwrap();
    }
    let all = read_all(&log, 0);
    log.close().unwrap();
    dir.close(-1).unwrap();

    let (dir, mut log, report) = reopen(path.path(), &small());
    assert!(report.clean && report.scanned_bytes == 0, "{report:?}");
    assert_eq!((report.cut, report.damage, report.rebuilt), (None, vec![], vec![]));
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (0, 150));
    assert_eq!(log.durable_offset(), 150);
    assert_eq!(read_all(&log, 0), all);
    for n in 50..60_u8 {
        append(&mut log, &batch(3, 1000 + i64::from(n), &[n; 70]), info(1000)).unwrap();
    }
    let all = read_all(&log, 0);
    drop((log, dir));

    let (_dir, log, report) = reopen(path.path(), &small());
    assert!(!report.clean && report.scanned_bytes > 0);
    assert_eq!((report.cut, report.damage), (None, vec![]));
    assert_eq!(log.log_end_offset(), 180);
    assert_eq!(read_all(&log, 0), all);
    assert_eq!(log.epochs().latest_epoch(), 3);
}

/// Batches of one record each at 1000, 1010, 1020 … ms, `count` of them.
fn log_by_time(dir: &LogDir, count: i64) -> Log {
    let mut log = new_log(dir, small());
    for n in 0..count {
        let mut builder = BatchBuilder::new(1 << 20);
        // Two records a batch, the second one earlier than the first.
        assert!(builder.append(1000 + n * 10, None, Some(b"first"), &[]).unwrap());
        assert!(builder.append(1000 + n * 10 - 5, None, Some(b"second"), &[]).unwrap());
        let bytes = builder.build(&BatchOptions::default()).unwrap();
        append(&mut log, &bytes, info(5000)).unwrap();
    }
    log
}

fn found(log: &Log, timestamp: i64) -> Option<(i64, i64)> {
    let found = log.offset_for_timestamp(timestamp).unwrap();
    found.map(|at| (at.offset, at.timestamp))
}

#[test]
fn records_are_found_by_time_exactly() {
    let path = tempfile::tempdir().unwrap();
    let dir = open(&Env::real(), path.path());
    let mut log = log_by_time(&dir, 60);
    assert!(log.segments.len() > 5);
    let check = |log: &Log| {
        assert_eq!(found(log, 0), Some((0, 1000)));
        for n in 1..60 {
            assert_eq!(found(log, 1000 + n * 10), Some((n * 2, 1000 + n * 10)));
            assert_eq!(found(log, 1000 + n * 10 - 7), Some((n * 2, 1000 + n * 10)));
        }
        assert_eq!(found(log, 1591), None);
        let max = log.max_timestamp_offset().unwrap().unwrap();
        assert_eq!((max.offset, max.timestamp), (118, 1590));
    };
    check(&log);
    log.advance_log_start(31).unwrap();
    // Of the batch at 30 only the second record is left.
    assert_eq!(found(&log, 0), Some((31, 1145)));
    assert_eq!(found(&log, 1146), Some((32, 1160)));
    log.close().unwrap();
    dir.close(-1).unwrap();
    let (_dir, log, _) = reopen(path.path(), &small());
    assert_eq!(log.log_start_offset(), 31);
    assert_eq!(found(&log, 0), Some((31, 1145)));
    for n in 16..60 {
        assert_eq!(found(&log, 1000 + n * 10), Some((n * 2, 1000 + n * 10)));
    }
}

#[test]
fn a_time_index_that_lies_neither_hides_records_nor_deletes_them() {
    let path = tempfile::tempdir().unwrap();
    let dir = open(&Env::real(), path.path());
    let log = log_by_time(&dir, 60);
    log.close().unwrap();
    dir.close(-1).unwrap();
    let env = Env::real();
    for entry in env.disk.list(&path.path().join("orders-0")).unwrap() {
        if entry.name.ends_with(".timeindex") {
            let file = path.path().join("orders-0").join(&entry.name);
            let bytes = env.disk.read(&file, 1 << 20).unwrap();
            // Every timestamp becomes 1 ms: as old as can be.
            let mut lies = bytes.clone();
            for entry in lies.chunks_mut(12) {
                entry[..8].copy_from_slice(&1_i64.to_be_bytes());
            }
            let file = env.disk.open(&file, crate::env::OpenMode::Write).unwrap();
            file.write_at(&[std::io::IoSlice::new(&lies)], 0).unwrap();
        }
    }
    let config = LogConfig { retention_ms: Some(10_000), ..small() };
    let (dir, mut log, _) = reopen(path.path(), &config);
    for n in 0..60 {
        assert_eq!(found(&log, 1000 + n * 10), Some((n * 2, 1000 + n * 10)));
    }
    let max = log.max_timestamp_offset().unwrap().unwrap();
    assert_eq!((max.offset, max.timestamp), (118, 1590));
    let segments = log.segments.len();
    for _ in 0..5 {
        log.apply_retention(11_000, i64::MAX).unwrap();
        dir.run_once();
    }
    assert_eq!(log.segments.len(), segments, "nothing is older than ten seconds");
    assert!(log.segments.iter().rev().skip(1).all(|segment| segment.latest_is_proven));
    for _ in 0..2 {
        log.apply_retention(20_000, i64::MAX).unwrap();
        dir.run_once();
    }
    assert_eq!((log.log_start_offset(), log.segments.len()), (120, 1), "now everything is");
}

#[test]
fn cutting_leaves_what_was_read_alone() {
    let path = tempfile::tempdir().unwrap();
    let dir = open(&Env::real(), path.path());
    let mut log = new_log(&dir, small());
    for n in 0..30_u8 {
        append(&mut log, &batch(1, 1000, &[n; 100]), info(1000)).unwrap();
    }
    dir.run_once();
    let before = read_all(&log, 0);
    let request = ReadRequest { offset: 20, max_bytes: 1 << 20, min_one: true, up_to: 30 };
    let held = log.read(&request).unwrap().bytes;
    let copy = held.to_vec();
    for (cut, base) in [(22, 22), (13, 13), (13, 13), (7, 7)] {
        assert_eq!(log.truncate_to(cut).unwrap(), base);
        assert_eq!(log.log_end_offset(), base);
        assert_eq!(read_all(&log, 0), before[..base as usize * 161]);
        assert!(log.durable_offset() <= base);
        // Others come in place of those cut off.
        for n in base..base + 9 {
            let info = AppendInfo { leader_epoch: 9, ..info(1000) };
            append(&mut log, &batch(1, 1000, &[200 + n as u8; 100]), info).unwrap();
        }
        assert_eq!(read_all(&log, 0)[..base as usize * 161], before[..base as usize * 161]);
        assert_eq!(held, copy);
        dir.run_once();
    }
    let all = read_all(&log, 0);
    assert_eq!(log.epochs().entries().len(), 2);
    drop((log, dir));
    let (_dir, log, report) = reopen(path.path(), &small());
    assert_eq!((report.damage, report.cut), (vec![], None));
    assert_eq!(read_all(&log, 0), all);
}
