//! A log as its users see it.

use super::testing::*;
use super::*;
use crate::env::Env;
use duramen_protocol::records::batch::BatchView;

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
