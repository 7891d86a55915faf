//! What a producer may have in flight when a broker dies, and how much is read to know it.

use super::*;

/// What producer 9 sends, of which all batches have this time.
struct Sender {
    timestamp: i64,
    payload: Vec<u8>,
}

impl Sender {
    fn batch(&self, sequence: i32) -> bytes::Bytes {
        let facts = BatchHeader { producer_id: 9, producer_epoch: 0, ..header(1, self.timestamp) };
        batch_of(BatchHeader { base_sequence: sequence, ..facts }, &self.payload)
    }

    fn send(&self, log: &mut Log, sequences: std::ops::Range<i32>) {
        for sequence in sequences {
            assert!(!append(log, &self.batch(sequence), info(1000)).unwrap().duplicate);
        }
    }

    fn assert_known(&self, log: &mut Log, sequences: std::ops::Range<i32>) {
        for sequence in sequences {
            let again = append(log, &self.batch(sequence), info(1000));
            assert!(again.as_ref().is_ok_and(|it| it.duplicate), "{sequence}: {again:?}");
        }
    }
}

/// The story: retention has taken the beginning of a log, of which two segments are left, and the broker
/// dies, starts, and dies again while five batches of a producer are in flight on both sides of the roll.
#[test]
fn what_is_in_flight_is_known_after_two_crashes_also_without_the_logs_beginning() {
    let now = Env::real().clock.wall_ms();
    for count in 28..42 {
        // Also of one that sends what is old: a snapshot that is read takes it for gone.
        let timestamp = if count % 2 == 0 { now } else { 1000 };
        let sender = Sender { timestamp, payload: b"in flight".into() };
        let path = tempfile::tempdir().unwrap();
        let mut dir = open(&Env::real(), path.path());
        let mut log = new_log(&dir, small());
        // Idle since, and its records are gone.
        let idle = BatchHeader { producer_id: 8, producer_epoch: 0, ..header(1, now) };
        let idle = batch_of(BatchHeader { base_sequence: 0, ..idle }, b"idle");
        let at = append(&mut log, &idle, info(1000)).unwrap().first_offset;
        sender.send(&mut log, 0..count);
        let left = log.segments.len() - 2;
        let start = log.segments[left].base;
        log.advance_log_start(start).unwrap();
        dir.run_once();
        (dir, log) = crash_twice((dir, log), path.path());
        assert_eq!((log.segments.len(), log.log_start_offset()), (2, start));
        sender.assert_known(&mut log, count - 5..count);
        let again = append(&mut log, &idle, info(1000)).unwrap();
        assert_eq!((again.duplicate, again.first_offset), (true, at));
    }
}

/// The story: segments hold little more than one batch, and a producer has five in flight.
#[test]
fn what_is_in_flight_is_known_where_each_batch_has_a_segment() {
    let path = tempfile::tempdir().unwrap();
    let config = LogConfig { segment_bytes: 1 << 20, ..LogConfig::default() };
    let dir = open(&Env::real(), path.path());
    let mut log = new_log(&dir, config.clone());
    let timestamp = Env::real().clock.wall_ms();
    let sender = Sender { timestamp, payload: vec![7; 900_000] };
    sender.send(&mut log, 0..8);
    assert_eq!(log.segments.len(), 8);
    dir.run_once();
    dir.checkpoint().unwrap();
    drop(log);
    drop(dir);
    let (_dir, mut log, _) = reopen(path.path(), &config);
    sender.assert_known(&mut log, 3..8);
}

/// The story: a broker that is stopped, started and killed has a large active segment. What stands in it
/// long before its end is not gone through: with many logs that would take minutes.
#[test]
fn a_start_after_a_crash_reads_from_the_last_producers_on_and_not_a_whole_segment() {
    let path = tempfile::tempdir().unwrap();
    let config = LogConfig { segment_bytes: 64 << 20, ..LogConfig::default() };
    let dir = open(&Env::real(), path.path());
    let mut log = new_log(&dir, config.clone());
    let timestamp = Env::real().clock.wall_ms();
    let sender = Sender { timestamp, payload: vec![7; 16_000] };
    sender.send(&mut log, 0..64);
    log.close().unwrap();
    dir.close(-1).unwrap();
    let (dir, mut log, _) = reopen(path.path(), &config);
    sender.send(&mut log, 64..1500);
    dir.run_once();
    dir.checkpoint().unwrap();
    drop(log);
    drop(dir);
    // Whoever looks there tells of it.
    let file = path.path().join("orders-0/00000000000000000000.log");
    let file = Env::real().disk.open(&file, crate::env::OpenMode::Write).unwrap();
    file.write_at(&[std::io::IoSlice::new(&[0; 61])], 16_061).unwrap();
    let (_dir, mut log, report) = reopen(path.path(), &config);
    assert!(!report.clean);
    assert_eq!((report.damage, log.log_end_offset()), (vec![], 1500));
    sender.assert_known(&mut log, 1495..1500);
}
