//! A log against the plainest model of one: a list of batches. Whatever is done to it, in any order,
//! restarts and crashes included, it serves just what the model holds.

use std::path::Path;

use proptest::prelude::*;

use super::support::*;
use crate::env::Patience;
use crate::env::sim::SimEnv;
use crate::storage::producer_state::Origin;
use crate::storage::{AppendInfo, Log, LogConfig, LogDir, ReadError, ReadRequest};
use duramen_protocol::records::batch::BatchHeader;

const PATH: &str = "/data/logs";

#[derive(Debug, Clone)]
enum Op {
    Append { records: i32, size: usize, age: i64 },
    Repeat,
    Flush,
    Checkpoint,
    Read { at: u8, max: usize, up_to: u8 },
    DeleteRecords { at: u8 },
    Retain { bytes: u64, age: i64 },
    Truncate { at: u8 },
    Reopen,
    Kill,
    PowerLoss { seed: u64 },
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => (1..6_i32, 0..600_usize, 0..50_i64)
            .prop_map(|(records, size, age)| Op::Append { records, size, age }),
        1 => Just(Op::Repeat),
        3 => Just(Op::Flush),
        1 => Just(Op::Checkpoint),
        4 => (any::<u8>(), 1..2000_usize, any::<u8>())
            .prop_map(|(at, max, up_to)| Op::Read { at, max, up_to }),
        1 => any::<u8>().prop_map(|at| Op::DeleteRecords { at }),
        1 => (0..6000_u64, 0..200_i64).prop_map(|(bytes, age)| Op::Retain { bytes, age }),
        1 => any::<u8>().prop_map(|at| Op::Truncate { at }),
        1 => Just(Op::Reopen),
        1 => Just(Op::Kill),
        1 => any::<u64>().prop_map(|seed| Op::PowerLoss { seed }),
    ]
}

/// A stored batch.
#[derive(Debug, Clone)]
struct Stored {
    base: i64,
    next: i64,
    bytes: Vec<u8>,
}

struct Model {
    world: SimEnv,
    config: LogConfig,
    open: Option<(LogDir, Log)>,
    batches: Vec<Stored>,
    log_start: i64,
    /// The log start that a crash can't take back.
    kept_start: i64,
    epoch: i32,
    sequence: i32,
    now_ms: i64,
}

impl Model {
    fn new() -> Self {
        let config =
            LogConfig { segment_bytes: 1500, index_interval_bytes: 150, ..LogConfig::default() };
        let mut model = Self {
            world: SimEnv::new(5, 1_000),
            config,
            open: None,
            batches: Vec::new(),
            log_start: 0,
            kept_start: 0,
            epoch: 1,
            sequence: 0,
            now_ms: 1_000,
        };
        model.reopen();
        model
    }

    fn log(&mut self) -> &mut Log {
        &mut self.open.as_mut().unwrap().1
    }

    fn end(&self) -> i64 {
        self.batches.last().map_or(self.log_start, |last| last.next)
    }

    /// An offset of the log, from its start to its end.
    fn offset(&self, at: u8) -> i64 {
        self.log_start + (self.end() - self.log_start) * i64::from(at) / 255
    }

    fn reopen(&mut self) -> bool {
        let dir = open(&self.world.env(), Path::new(PATH));
        let clean = dir.was_clean();
        let log = match dir.unrecovered().unwrap().into_iter().next() {
            None => dir.create_log(&tp(), TOPIC_ID, self.config.clone()).unwrap(),
            Some(found) => {
                let recovered = found.recover(TOPIC_ID, self.config.clone()).unwrap();
                assert_eq!(recovered.report.damage, []);
                assert!(!clean || recovered.report.cut.is_none());
                recovered.log
            }
        };
        assert_eq!(log.durable_offset(), log.log_end_offset());
        self.open = Some((dir, log));
        clean
    }

    /// After a crash the log may have lost what was not durable, and a log start not checkpointed.
    fn crashed(&mut self, durable: i64) {
        self.reopen();
        let (end, start) = (self.log().log_end_offset(), self.log().log_start_offset());
        assert!(end >= durable && end <= self.end(), "{durable} <= {end} <= {}", self.end());
        // Where nothing had been synced, the name of the first segment may be lost and a later one not.
        assert!(start >= self.kept_start && (start <= self.log_start || durable <= self.log_start));
        self.batches.retain(|batch| batch.next <= end && batch.next > start);
        assert_eq!(self.batches.last().map_or(end, |last| last.next), end);
        self.log_start = start;
    }

    fn run(&mut self, op: Op) {
        match op {
            Op::Append { records, size, age } => self.append(records, size, age),
            Op::Repeat => self.repeat(),
            Op::Flush => {
                let (dir, log) = self.open.as_mut().unwrap();
                log.request_flush();
                dir.run_once();
                assert_eq!(log.durable_offset(), log.log_end_offset());
            }
            Op::Checkpoint => {
                self.open.as_ref().unwrap().0.checkpoint().unwrap();
                self.kept_start = self.log_start;
            }
            Op::Read { at, max, up_to } => self.read(self.offset(at), max, self.offset(up_to)),
            Op::DeleteRecords { at } => {
                let offset = self.offset(at);
                assert_eq!(self.log().advance_log_start(offset).unwrap(), offset);
                self.log_start = offset;
            }
            Op::Retain { bytes, age } => self.retain(bytes, age),
            Op::Truncate { at } => {
                let offset = self.offset(at);
                let end = self.log().truncate_to(offset).unwrap();
                assert!(end <= offset);
                self.batches.retain(|batch| batch.next <= offset);
                self.log_start = self.log_start.min(end);
                self.kept_start = self.kept_start.min(end);
                self.epoch += 1;
                // The producer begins anew, as one does that has lost its place.
                self.sequence = 0;
            }
            Op::Reopen => {
                let (dir, log) = self.open.take().unwrap();
                log.close().unwrap();
                dir.close(-1).unwrap();
                assert!(self.reopen());
                self.kept_start = self.log_start;
            }
            Op::Kill => {
                let durable = self.end();
                self.open = None;
                self.world.disk.kill();
                self.crashed(durable);
            }
            Op::PowerLoss { seed } => {
                let durable = self.log().durable_offset();
                self.open = None;
                self.world.disk.power_loss(seed);
                self.crashed(durable);
                self.sequence = 0;
                self.epoch += 1;
            }
        }
    }

    fn info(&self) -> AppendInfo {
        AppendInfo { leader_epoch: self.epoch, now_ms: self.now_ms, origin: Origin::Client }
    }

    fn append(&mut self, records: i32, size: usize, age: i64) {
        self.now_ms += 7;
        // A new epoch of the producer each time that its sequence starts over.
        let producer_epoch = i16::try_from(self.epoch).unwrap();
        let header = BatchHeader {
            producer_id: 77,
            producer_epoch,
            base_sequence: self.sequence,
            ..header(records, self.now_ms - age)
        };
        let bytes = batch_of(header, &vec![size as u8; size]);
        let (end, info) = (self.end(), self.info());
        let appended = append(self.log(), &bytes, info).unwrap();
        assert!(!appended.duplicate);
        assert_eq!((appended.first_offset, appended.log_start_offset), (end, self.log_start));
        self.sequence += records;
        let mut stored = bytes.to_vec();
        stored[..8].copy_from_slice(&end.to_be_bytes());
        stored[12..16].copy_from_slice(&self.epoch.to_be_bytes());
        self.batches.push(Stored { base: end, next: end + i64::from(records), bytes: stored });
    }

    /// The producer sends its last batch again.
    fn repeat(&mut self) {
        let Some(last) = self.batches.last().cloned().filter(|_| self.sequence > 0) else { return };
        let mut bytes = last.bytes.clone();
        bytes[..8].fill(0);
        let info = self.info();
        let appended = append(self.log(), &bytes::Bytes::from(bytes), info).unwrap();
        assert!(appended.duplicate);
        assert_eq!((appended.first_offset, appended.last_offset), (last.base, last.next - 1));
    }

    fn read(&mut self, offset: i64, max_bytes: usize, up_to: i64) {
        let request =
            ReadRequest { offset, max_bytes, min_one: true, up_to, patience: Patience::Wait };
        let read = self.log().read(&request).unwrap();
        let visible =
            self.batches.iter().filter(|batch| batch.next > offset && batch.next <= up_to);
        let expected: Vec<u8> = visible.flat_map(|batch| batch.bytes.clone()).collect();
        assert!(expected.starts_with(&read.bytes), "only what is there, in order");
        let first = self.batches.iter().find(|batch| batch.next > offset);
        if let Some(first) = first.filter(|first| first.next <= up_to) {
            assert!(read.bytes.len() >= first.bytes.len(), "at least the first batch");
            assert_eq!(read.first_batch_offset, first.base);
            assert!(read.bytes.len() <= max_bytes.max(first.bytes.len()));
        }
        let end = self.end();
        for outside in [self.log_start - 1, end + 1] {
            let request = ReadRequest { offset: outside, ..request };
            assert!(matches!(self.log().read(&request), Err(ReadError::OutOfRange { .. })));
        }
    }

    fn retain(&mut self, bytes: u64, age: i64) {
        let config = LogConfig {
            retention_bytes: Some(bytes),
            retention_ms: Some(age),
            ..self.config.clone()
        };
        let (now_ms, end) = (self.now_ms, self.end());
        self.log().set_config(config);
        self.log().apply_retention(now_ms, end).unwrap();
        let start = self.log().log_start_offset();
        assert!(start >= self.log_start && start <= end);
        let kept = self.log().size_bytes();
        let below: u64 = self.batches.iter().map(|batch| batch.bytes.len() as u64).sum();
        let all_young = self.log_start == start;
        assert!(all_young || kept >= bytes.min(below) || age < now_ms);
        self.log_start = start;
        let config = self.config.clone();
        self.log().set_config(config);
    }

    fn check(&mut self) {
        let (start, end) = (self.log_start, self.end());
        let log = self.log();
        assert_eq!((log.log_start_offset(), log.log_end_offset()), (start, end));
        assert!(log.durable_offset() <= end);
        let served = read_all(log, start);
        let kept = self.batches.iter().filter(|batch| batch.next > start);
        let expected: Vec<u8> = kept.flat_map(|batch| batch.bytes.clone()).collect();
        assert_eq!(served, expected);
    }
}

fn run(ops: impl IntoIterator<Item = Op>) {
    let mut model = Model::new();
    for op in ops {
        model.run(op);
        model.check();
    }
}

fn appended(sizes: &[usize]) -> Vec<Op> {
    sizes.iter().map(|size| Op::Append { records: 1, size: *size, age: 0 }).collect()
}

/// A torn header behind a durable batch, read as offset 0, got the durable one blamed.
#[test]
fn a_torn_batch_is_not_blamed_on_the_one_before() {
    for seed in 0..200 {
        let unsynced = appended(&[0, 366]);
        let ops = appended(&[479, 412]).into_iter().chain([Op::Reopen]).chain(unsynced);
        run(ops.chain([Op::PowerLoss { seed }]));
    }
}

/// The checkpointed log start lay beyond what was left, where a segment to be removed had its base.
#[test]
fn a_log_starts_over_where_a_lost_segment_stood() {
    for seed in 0..200 {
        let unsynced = appended(&[47, 409, 55, 307, 0, 0]);
        let deleted = [Op::DeleteRecords { at: 160 }, Op::Checkpoint, Op::PowerLoss { seed }];
        run(appended(&[66, 251]).into_iter().chain([Op::Reopen]).chain(unsynced).chain(deleted));
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 128,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]
    #[test]
    fn a_log_serves_what_the_model_holds(ops in proptest::collection::vec(op(), 1..80)) {
        run(ops);
    }
}
