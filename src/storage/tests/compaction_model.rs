//! A compacted log against the plainest model of one: all that was ever written. Whatever is done to it,
//! in any order, cleaning, restarts and power losses included, a reader sees the last value of each key.

use std::collections::BTreeMap;
use std::sync::Mutex;

use duramen_protocol::records::batch::BatchView;
use duramen_protocol::records::{BatchBuilder, BatchOptions, Compression, Producer};
use proptest::prelude::*;

use super::compaction::{Shared, clean_all, open_log};
use super::support::*;
use crate::env::sim::SimEnv;
use crate::storage::producer_state::Origin;
use crate::storage::{AppendInfo, Log, LogDir};

#[derive(Debug, Clone)]
enum Op {
    /// Records of one batch, each a key and whether it is deleted, by one of the producers.
    Write {
        records: Vec<(u8, bool)>,
        producer: u8,
    },
    Settle,
    Clean {
        later_ms: i64,
    },
    Reopen,
    Kill,
    PowerLoss {
        seed: u64,
    },
}

fn op() -> impl Strategy<Value = Op> {
    let records = proptest::collection::vec((0..12_u8, proptest::bool::weighted(0.2)), 1..5);
    prop_oneof![
        14 => (records, 0..4_u8).prop_map(|(records, producer)| Op::Write { records, producer }),
        4 => Just(Op::Settle),
        3 => (0..900_i64).prop_map(|later_ms| Op::Clean { later_ms }),
        1 => Just(Op::Reopen),
        1 => Just(Op::Kill),
        1 => any::<u64>().prop_map(|seed| Op::PowerLoss { seed }),
    ]
}

/// A record as it was written: key and value.
type Written = (u8, Option<u32>);

#[derive(Debug, Clone, Copy, Default)]
struct Sender {
    sequence: i32,
    epoch: i16,
}

struct Model {
    world: SimEnv,
    open: Option<(LogDir, Log)>,
    written: BTreeMap<i64, Written>,
    senders: [Sender; 4],
    steps: u32,
    now_ms: i64,
}

impl Model {
    fn new() -> Self {
        let world = SimEnv::new(9, 1_000_000);
        let open = open_log(&world).ok();
        Self {
            world,
            open,
            written: BTreeMap::new(),
            senders: <_>::default(),
            steps: 0,
            now_ms: 1_000_000,
        }
    }

    fn log(&mut self) -> &mut Log {
        &mut self.open.as_mut().unwrap().1
    }

    fn run(&mut self, op: Op) {
        self.steps += 1;
        match op {
            Op::Write { records, producer } => self.write(&records, usize::from(producer)),
            Op::Settle => self.settle(),
            Op::Clean { later_ms } => {
                self.now_ms += later_ms;
                let (dir, log) = self.open.take().unwrap();
                let shared = Shared(Mutex::new(log));
                clean_all(&shared, self.now_ms).unwrap();
                dir.run_once();
                self.open = Some((dir, shared.0.into_inner().unwrap()));
            }
            Op::Reopen => {
                self.settle();
                let (dir, log) = self.open.take().unwrap();
                log.close().unwrap();
                dir.close(-1).unwrap();
                self.reopen();
            }
            Op::Kill => {
                self.open = None;
                self.world.disk.kill();
                self.reopen();
            }
            Op::PowerLoss { seed } => {
                let durable = self.log().durable_offset();
                self.open = None;
                self.world.disk.power_loss(seed);
                self.reopen();
                assert!(self.log().log_end_offset() >= durable);
            }
        }
    }

    /// The log is there again, as far as it was not lost; then the producers begin anew.
    fn reopen(&mut self) {
        self.open = Some(open_log(&self.world).unwrap());
        let end = self.log().log_end_offset();
        if !self.written.split_off(&end).is_empty() {
            for sender in &mut self.senders {
                *sender = Sender { sequence: 0, epoch: sender.epoch + 1 };
            }
        }
    }

    fn settle(&mut self) {
        let (dir, log) = self.open.as_mut().unwrap();
        for _ in 0..2 {
            log.request_flush();
            dir.run_once();
        }
        log.set_high_watermark(log.log_end_offset());
    }

    /// Producer 0 has no id.
    fn write(&mut self, records: &[(u8, bool)], producer: usize) {
        let sender = &mut self.senders[producer];
        let id = i64::try_from(producer).unwrap() + 70;
        let mut builder = BatchBuilder::new(1 << 20);
        let base = self.open.as_ref().unwrap().1.log_end_offset();
        for (offset, (n, (key, deletes))) in (base..).zip((0..).zip(records)) {
            let value = (!deletes).then_some(self.steps * 10 + n);
            let bytes = value.map(|value| value.to_be_bytes().repeat(6));
            assert!(builder.append(self.now_ms, Some(&[*key]), bytes.as_deref(), &[]).unwrap());
            self.written.insert(offset, (*key, value));
        }
        let which = usize::try_from(self.steps).unwrap() % Compression::ALL.len();
        let producer = Producer { id, epoch: sender.epoch, base_sequence: sender.sequence };
        let producer = (id > 70).then_some(producer);
        sender.sequence += i32::try_from(records.len()).unwrap();
        let compression = Compression::ALL[which];
        let options = BatchOptions { compression, producer, ..<_>::default() };
        let info = AppendInfo { leader_epoch: 3, now_ms: self.now_ms, origin: Origin::Client };
        let batch = builder.build(&options).unwrap();
        append(self.log(), &batch, info).unwrap();
    }

    /// What a reader sees last of each key.
    fn check(&mut self) {
        let found = found(self.log());
        for (offset, entry) in &found {
            assert_eq!(self.written.get(offset), Some(entry), "at {offset}");
        }
        assert_eq!(self.log().damage(), []);
        assert_eq!(latest(&found), latest(&self.written));
    }
}

/// All that is in the log.
fn found(log: &Log) -> BTreeMap<i64, Written> {
    let (mut found, mut scratch) = (BTreeMap::new(), Vec::new());
    let bytes = read_all(log, log.log_start_offset());
    for batch in BatchView::iter(&bytes) {
        for record in batch.unwrap().records(&mut scratch, 1 << 20).unwrap().map(Result::unwrap) {
            let value = record.value.map(|v| u32::from_be_bytes([v[0], v[1], v[2], v[3]]));
            assert_eq!(found.insert(record.offset, (record.key.unwrap()[0], value)), None);
        }
    }
    found
}

/// The last value of each key.
fn latest(entries: &BTreeMap<i64, Written>) -> BTreeMap<u8, u32> {
    let mut latest = BTreeMap::new();
    for (key, value) in entries.values() {
        match value {
            Some(value) => latest.insert(*key, *value),
            None => latest.remove(key),
        };
    }
    latest
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 96,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]
    #[test]
    fn a_cleaned_log_reads_as_all_that_was_written(ops in proptest::collection::vec(op(), 1..120)) {
        let mut model = Model::new();
        for op in ops {
            model.run(op);
            model.check();
        }
    }
}
