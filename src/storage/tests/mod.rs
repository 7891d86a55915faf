//! A log as its users see it.

mod behind_damage;
mod compaction;
mod compaction_hazards;
mod compaction_limits;
mod compaction_model;
mod faults;
mod in_flight;
mod model;
mod power_loss;
pub(super) mod support;
mod swap;

use support::*;

use super::*;
use crate::env::{Env, Patience};
use duramen_protocol::records::batch::{BatchHeader, BatchView};
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

/// Twice in a row it dies, and notes at each start how far the log is sound.
fn crash_twice((mut dir, mut log): (LogDir, Log), path: &std::path::Path) -> (LogDir, Log) {
    for _ in 0..2 {
        drop((log, dir));
        (dir, log, _) = reopen(path, &small());
        dir.checkpoint().unwrap();
    }
    (dir, log)
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

#[test]
fn a_batch_that_is_sent_again_waits_for_the_disk_as_it_did_before() {
    let path = tempfile::tempdir().unwrap();
    let dir = open(&Env::real(), path.path());
    let in_memory = LogConfig { durability: Durability::PageCache, ..small() };
    let mut log = new_log(&dir, LogConfig { flush_messages: 2, ..in_memory.clone() });
    let sent = |base_sequence: i32, count: i32| {
        let producer = header(count, 1000);
        let producer = BatchHeader { producer_id: 9, producer_epoch: 0, base_sequence, ..producer };
        batch_of(producer, b"once")
    };
    let append = |log: &mut Log, batch: &bytes::Bytes| {
        let appended = append(log, batch, info(1000)).unwrap();
        (appended.duplicate, appended.await_durable)
    };
    assert_eq!(append(&mut log, &sent(0, 1)), (false, false));
    assert_eq!(append(&mut log, &sent(0, 1)), (true, false));
    assert_eq!(append(&mut log, &sent(1, 2)), (false, true), "flush.messages");
    assert_eq!(append(&mut log, &sent(1, 2)), (true, true), "its sync is still to come");
    dir.run_once();
    assert_eq!(log.durable_offset(), 3);
    log.set_config(in_memory);
    assert_eq!(append(&mut log, &sent(3, 1)), (false, false));
    // Someone wants to be sure, from now on.
    log.set_config(small());
    assert_eq!(append(&mut log, &sent(3, 1)), (true, true));
    dir.run_once();
    assert_eq!(log.durable_offset(), 4, "a sync was asked for");
}

/// The story: a broker dies while five batches of a producer are in flight on both sides of a roll. It starts,
/// notes how far the log is sound, and dies again before the producer has sent anything. Whatever the
/// producer then sends again is known.
#[test]
fn what_is_in_flight_over_a_roll_is_known_after_two_crashes() {
    for before in 0..6 {
        let path = tempfile::tempdir().unwrap();
        let mut dir = open(&Env::real(), path.path());
        let mut log = new_log(&dir, small());
        let sent = |base_sequence: i32| {
            let facts = BatchHeader { producer_id: 9, producer_epoch: 0, ..header(1, 1000) };
            batch_of(BatchHeader { base_sequence, ..facts }, b"in flight")
        };
        // So that another one of the five is the first of its segment.
        for _ in 0..before {
            append(&mut log, &batch(1, 1000, b"of nobody"), info(1000)).unwrap();
        }
        for sequence in 0..18 {
            assert!(!append(&mut log, &sent(sequence), info(1000)).unwrap().duplicate);
        }
        assert!(log.segments.len() > 1);
        // Snapshots of producers too are written by then.
        dir.run_once();
        (dir, log) = crash_twice((dir, log), path.path());
        for sequence in 13..18 {
            let again = append(&mut log, &sent(sequence), info(1000));
            assert!(again.is_ok_and(|it| it.duplicate), "{sequence} of 18 behind {before}");
        }
    }
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
    let request = ReadRequest {
        offset: 20,
        max_bytes: 1 << 20,
        min_one: true,
        up_to: 30,
        patience: Patience::Wait,
    };
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

#[test]
fn the_flusher_thread_makes_what_is_asked_for_durable_and_says_so() {
    let path = tempfile::tempdir().unwrap();
    let (sender, durable) = std::sync::mpsc::channel();
    let sender = std::sync::Mutex::new(sender);
    let hooks = Hooks {
        durable: Some(std::sync::Arc::new(move |partition, offset| {
            sender.lock().unwrap().send((partition.clone(), offset)).unwrap();
        })),
        offline: None,
    };
    let options = LogDirOptions { hooks, ..LogDirOptions::default() };
    let dir = LogDir::open(&Env::real(), path.path(), options).unwrap();
    let mut log = new_log(&dir, small());
    for round in 0..20_i64 {
        append(&mut log, &batch(2, 1000, &[1; 300]), info(1000)).unwrap();
        let mut reached = 0;
        while reached < (round + 1) * 2 {
            let (partition, offset) =
                durable.recv_timeout(std::time::Duration::from_secs(60)).unwrap();
            assert_eq!(partition, tp());
            reached = offset;
        }
        assert_eq!(log.durable_offset(), reached);
    }
    let page_cache = LogConfig { durability: Durability::PageCache, ..small() };
    log.set_config(LogConfig { flush_messages: 10, ..page_cache });
    for n in 0..30 {
        let appended = append(&mut log, &batch(2, 1000, &[1; 300]), info(1000)).unwrap();
        assert_eq!(appended.await_durable, n % 5 == 4);
    }
    log.close().unwrap();
    dir.close(-1).unwrap();
}

#[test]
fn flush_ms_syncs_what_waited_long_enough() {
    let path = tempfile::tempdir().unwrap();
    let dir = open(&Env::real(), path.path());
    let durability = Durability::PageCache;
    let mut log = new_log(&dir, LogConfig { flush_ms: 100, durability, ..LogConfig::default() });
    append(&mut log, &batch(1, 1000, b"x"), info(1000)).unwrap();
    dir.flush_due(1099);
    dir.run_once();
    assert_eq!(log.durable_offset(), 0);
    dir.flush_due(1100);
    dir.run_once();
    assert_eq!(log.durable_offset(), 1);
}

#[test]
fn a_deleted_log_is_gone_and_a_new_one_starts_at_zero() {
    let path = tempfile::tempdir().unwrap();
    let dir = open(&Env::real(), path.path());
    let mut log = new_log(&dir, small());
    for _ in 0..20 {
        append(&mut log, &batch(1, 1000, &[1; 300]), info(1000)).unwrap();
    }
    dir.run_once();
    dir.checkpoint().unwrap();
    let request = ReadRequest {
        offset: 0,
        max_bytes: 1 << 20,
        min_one: true,
        up_to: 20,
        patience: Patience::Wait,
    };
    let held = log.read(&request).unwrap().bytes;
    let copy = held.to_vec();
    let handle = log.handle();
    log.request_flush();
    dir.delete_logs(vec![log]).unwrap();
    assert!(handle.check().is_err());
    dir.run_once();
    assert!(!dir.is_offline());
    assert_eq!(held, copy);
    let names = Env::real().disk.list(path.path()).unwrap();
    assert!(names.iter().all(|entry| !entry.is_dir), "{names:?}");
    let log = new_log(&dir, small());
    drop((log, handle, dir));
    // Its old recovery point must not make the new one look damaged.
    let (_dir, log, report) = reopen(path.path(), &small());
    assert_eq!((log.log_end_offset(), report.damage), (0, vec![]));
}

#[test]
fn a_directory_in_use_or_of_another_owner_is_refused_with_the_way_out() {
    let path = tempfile::tempdir().unwrap();
    let env = Env::real();
    let dir = open(&env, path.path());
    let error = LogDir::open(&env, path.path(), options()).unwrap_err();
    assert_eq!(error, OpenError::InUse { path: path.path().to_owned() });
    assert!(error.to_string().ends_with("stop that one, or choose another directory"));
    drop(dir);
    let other = LogDirOptions { node_id: 2, ..options() };
    let error = LogDir::open(&env, path.path(), other).unwrap_err().to_string();
    assert!(error.contains("belongs to node.id 1, not 2"), "{error}");
    let other = LogDirOptions { cluster_id: Some("x".into()), ..options() };
    assert!(LogDir::open(&env, path.path(), other).is_err());
    let meta = path.path().join("meta.properties");
    let newer = "version=1\ncluster.id=a\nnode.id=1\ndirectory.id=b\nduramen.format=2\n";
    atomic_file::write(&*env.disk, &meta, newer.as_bytes()).unwrap();
    let error = LogDir::open(&env, path.path(), options()).unwrap_err().to_string();
    assert!(error.ends_with("has storage format 2, this build reads up to 1: use a newer build"));
}

#[test]
fn damage_below_the_recovery_point_is_told_and_not_cut() {
    let path = tempfile::tempdir().unwrap();
    let env = Env::real();
    let dir = open(&env, path.path());
    // One segment, so that recovery walks over all of it.
    let config = LogConfig { segment_bytes: 100_000, ..small() };
    let mut log = new_log(&dir, config.clone());
    for n in 0..30_u8 {
        append(&mut log, &batch(2, 1000, &[n; 100]), info(1000)).unwrap();
    }
    dir.run_once();
    dir.checkpoint().unwrap();
    let all = read_all(&log, 0);
    drop((log, dir));
    // The batches at 20 and 22 are overwritten, and the last one is cut off.
    let file = path.path().join("orders-0/00000000000000000000.log");
    let file = env.disk.open(&file, crate::env::OpenMode::Write).unwrap();
    file.write_at(&[std::io::IoSlice::new(&[0xee; 200])], 10 * 161).unwrap();
    file.set_len(29 * 161 + 50).unwrap();
    // Without its derived files everything is walked.
    for name in ["leader-epoch-checkpoint", "00000000000000000000.snapshot"] {
        atomic_file::remove(&*env.disk, &path.path().join("orders-0").join(name)).unwrap();
    }
    for restart in 0..3 {
        let (dir, mut log, report) = reopen(path.path(), &config);
        assert_eq!(report.cut, None);
        let lost: Vec<_> = log.damage().iter().map(|lost| (lost.first, lost.next)).collect();
        assert_eq!(lost, [(20, 24), (58, 60)], "restart {restart}");
        let end = 60 + restart;
        assert_eq!(
            log.log_end_offset(),
            end,
            "offsets that were given out are not given out again"
        );
        let read = |offset| {
            log.read(&ReadRequest {
                offset,
                max_bytes: 1 << 20,
                min_one: true,
                up_to: 99,
                patience: Patience::Wait,
            })
        };
        assert_eq!(read(0).unwrap().bytes, all[..10 * 161], "nothing of the damage is served");
        for offset in 20..24 {
            let error = read(offset).unwrap_err();
            assert_eq!(error, ReadError::Damaged { first: 20, next: 24 });
        }
        assert_eq!(read(24).unwrap().bytes, all[12 * 161..29 * 161]);
        assert_eq!(read(59).unwrap_err(), ReadError::Damaged { first: 58, next: 60 });
        append(&mut log, &batch(1, 5000, b"after"), info(5000)).unwrap();
        dir.run_once();
        if restart == 1 {
            log.close().unwrap();
            dir.close(-1).unwrap();
        }
    }
}

#[test]
fn what_comes_from_the_disk_is_held_against_its_checksum_before_it_is_served() {
    let path = tempfile::tempdir().unwrap();
    let env = Env::real();
    let dir = open(&env, path.path());
    let config = LogConfig { segment_bytes: 100_000, ..small() };
    let mut log = new_log(&dir, config.clone());
    for n in 0..30_u8 {
        append(&mut log, &batch(2, 1000, &[n; 100]), info(1000)).unwrap();
    }
    let all = read_all(&log, 0);
    log.close().unwrap();
    dir.close(-1).unwrap();
    // A bit of a value: lengths, offsets and epochs are as they were.
    let file = path.path().join("orders-0/00000000000000000000.log");
    let file = env.disk.open(&file, crate::env::OpenMode::Write).unwrap();
    file.write_at(&[std::io::IoSlice::new(&[all[10 * 161 + 120] ^ 4])], 10 * 161 + 120).unwrap();
    let (dir, log, report) = reopen(path.path(), &config);
    assert_eq!(report.damage, []);
    let read = |offset, patience| {
        log.read(&ReadRequest { offset, max_bytes: 1 << 20, min_one: true, up_to: 99, patience })
    };
    // Nobody has held it against its checksum yet, and that takes time.
    assert_eq!(read(0, Patience::Now).unwrap_err(), ReadError::NotInMemory);
    assert_eq!(read(0, Patience::Wait).unwrap().bytes, all[..10 * 161]);
    for offset in [20, 21] {
        let error = read(offset, Patience::Wait).unwrap_err();
        assert_eq!(error, ReadError::Damaged { first: 20, next: 22 });
    }
    assert_eq!(read(22, Patience::Wait).unwrap().bytes, all[11 * 161..]);
    assert_eq!(read(22, Patience::Now).unwrap().bytes, all[11 * 161..], "once is enough");
    log.close().unwrap();
    dir.close(-1).unwrap();
    let (_dir, log, _) = reopen(path.path(), &config);
    assert_eq!(
        log.damage().iter().map(|lost| (lost.first, lost.next)).collect::<Vec<_>>(),
        [(20, 22)]
    );
}

/// A log of four batches that has found them pushed out of memory; the disk gives back two of them damaged.
fn pushed_out() -> Option<(tempfile::TempDir, LogDir, Log)> {
    let path = tempfile::tempdir().unwrap();
    let env = Env::real();
    let nothing_is_hot = LogDirOptions { hot_bytes: 0, ..options() };
    let dir = LogDir::open(&env, path.path(), nothing_is_hot).unwrap();
    let mut log = new_log(&dir, LogConfig { segment_bytes: 100_000, ..small() });
    for n in 0..4_u8 {
        append(&mut log, &batch(1, 1000, &[n; 100]), info(1000)).unwrap();
    }
    let file = path.path().join("orders-0/00000000000000000000.log");
    let file = env.disk.open(&file, crate::env::OpenMode::Write).unwrap();
    for n in [0, 2_u8] {
        file.write_at(&[std::io::IoSlice::new(&[n ^ 4])], u64::from(n) * 161 + 120).unwrap();
    }
    file.sync_data().unwrap();
    file.drop_cache();
    // The log itself must see it: another look has the system read ahead, and all is as if nothing had been.
    let is_out = read_one(&log, 1, Patience::Now) == Err(ReadError::NotInMemory);
    is_out.then_some((path, dir, log))
}

/// Reads one batch; its length.
fn read_one(log: &Log, offset: i64, patience: Patience) -> Result<usize, ReadError> {
    let request = ReadRequest { offset, max_bytes: 1, min_one: true, up_to: 99, patience };
    log.read(&request).map(|read| read.bytes.len())
}

/// The page cache may push out what was written long ago, or read; the disk gives back what it has.
#[test]
fn what_was_pushed_out_of_memory_is_checked_when_it_comes_back() {
    // A file system that has nothing but memory keeps all; another one may keep what is just in use.
    let Some((path, _dir, log)) = (0..20).find_map(|_| pushed_out()) else { return };
    // To be refused is to know: the kernel has begun to bring it.
    let file = path.path().join("orders-0/00000000000000000000.log");
    let file = Env::real().disk.open(&file, crate::env::OpenMode::Read).unwrap();
    assert_eq!(file.read_at(&mut [0; 644], 0).unwrap(), 644);
    assert_eq!(read_one(&log, 1, Patience::Wait), Ok(161));
    assert_eq!(read_one(&log, 1, Patience::Now), Ok(161), "once is enough");
    // With it came what stands beside it.
    for offset in [2, 0] {
        assert_eq!(read_one(&log, offset, Patience::Now), Err(ReadError::NotInMemory));
        let damaged = ReadError::Damaged { first: offset, next: offset + 1 };
        assert_eq!(read_one(&log, offset, Patience::Wait), Err(damaged));
    }
}

/// Who reads a file from its front to its end, as the disk gives it, has checked all of it then.
#[test]
fn what_one_reader_checked_on_its_way_needs_no_second_look() {
    let path = tempfile::tempdir().unwrap();
    let env = Env::real();
    let nothing_is_hot = LogDirOptions { hot_bytes: 0, ..options() };
    let dir = LogDir::open(&env, path.path(), nothing_is_hot).unwrap();
    let config = LogConfig { segment_bytes: 4 << 20, ..small() };
    let mut log = new_log(&dir, config);
    for n in 0..200_u8 {
        append(&mut log, &batch(1, 1000, &[n; 9000]), info(1000)).unwrap();
    }
    let file = path.path().join("orders-0/00000000000000000000.log");
    let file = env.disk.open(&file, crate::env::OpenMode::Write).unwrap();
    file.sync_data().unwrap();
    file.drop_cache();
    let read = |offset, patience| {
        let request =
            ReadRequest { offset, max_bytes: 30_000, min_one: true, up_to: 999, patience };
        log.read(&request).map(|read| read.bytes.len() as i64 / 9061)
    };
    let (mut offset, mut waited) = (0, 0);
    while offset < 200 {
        let came = read(offset, Patience::Now).or_else(|_| {
            waited += 1;
            read(offset, Patience::Wait)
        });
        offset += came.unwrap();
    }
    if waited > 0 {
        assert!(log.segments[0].sound.covers(0, 200 * 9061), "{:?}", log.segments[0].sound);
    }
}

/// A file is cut in its place when nobody looks at it. Who begins to just then must not touch what is gone.
#[test]
fn nothing_is_touched_of_a_file_that_is_being_cut() {
    let path = tempfile::tempdir().unwrap();
    let dir = open(&Env::real(), path.path());
    let config = LogConfig { segment_bytes: 100_000, ..small() };
    let mut log = new_log(&dir, config.clone());
    append(&mut log, &batch(1, 1000, &[1; 100]), info(1000)).unwrap();
    log.close().unwrap();
    dir.close(-1).unwrap();
    let (_dir, log, _) = reopen(path.path(), &config);
    let view = log.view(0, 1).unwrap();
    log.state.begin_cut(0);
    let patience = Patience::Wait;
    let request = ReadRequest { offset: 0, max_bytes: 1 << 20, min_one: true, up_to: 1, patience };
    assert_eq!(view.read(&request).unwrap_err(), ReadError::Changed);
    assert!(!log.segments[0].sound.covers(0, 1), "it was read");
}
