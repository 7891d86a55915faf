//! Who waits for the disk holds up nobody else.

use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use duramen_protocol::records::{BatchBuilder, BatchOptions};
use uuid::Uuid;

use super::*;
use crate::config::TopicConfig;
use crate::env::sim::SimEnv;
use crate::storage::{LogDir, LogDirOptions};

const NOW: i64 = 1_700_000_000_000;
/// Far more than any of this takes; only a test that fails waits for it.
const LONG: Duration = Duration::from_secs(30);

/// A partition of which nothing counts as hot, in a world whose disk can be held.
fn cold_partition() -> (SimEnv, LogDir, Arc<Partition>) {
    let world = SimEnv::new(1, NOW);
    let options = LogDirOptions { threads: false, hot_bytes: 0, ..LogDirOptions::default() };
    let dir = LogDir::open(&world.env(), Path::new("/data/logs"), options).unwrap();
    let config = LogConfig { segment_bytes: 1000, ..LogConfig::default() };
    let log = dir.create_log(&TopicPartition::new("orders", 0), Uuid::from_u128(7), config);
    let rules = BatchRules::from(&TopicConfig::default());
    let partition = Arc::new(Partition::lead(log.unwrap(), 0, rules).unwrap());
    for n in 0..20 {
        produce(&partition, n);
    }
    dir.run_once();
    partition.on_durable();
    assert_eq!(partition.latest_offset(Isolation::ReadUncommitted).unwrap().offset, 20);
    (world, dir, partition)
}

fn produce(partition: &Partition, n: i64) -> AppendOutcome {
    let mut batch = BatchBuilder::new(1 << 20);
    batch.append(NOW + n, None, Some(&[b'v'; 300]), &[]).unwrap();
    let records = batch.build(&BatchOptions::default()).unwrap();
    let append = Append { records, acks: Acks::Leader, now_ms: NOW + n, version: 9 };
    partition.append(&append).unwrap()
}

fn query(offset: Offset, patience: Patience) -> FetchQuery {
    FetchQuery {
        offset,
        max_bytes: 1 << 20,
        at_least_one: true,
        patience,
        isolation: Isolation::ReadUncommitted,
        current_leader_epoch: -1,
        last_fetched_epoch: -1,
    }
}

/// What `look` gives while a batch is produced after the disk has held it.
fn produce_during<T: Send + 'static>(
    look: impl FnOnce(&Partition) -> T + Send + 'static,
) -> (T, Arc<Partition>) {
    let (world, _dir, partition) = cold_partition();
    world.disk.hold_reads();
    let reader = Arc::clone(&partition);
    let looking = std::thread::spawn(move || look(&reader));
    world.disk.wait_for_held_read();
    let (tell, told) = mpsc::channel();
    let writer = Arc::clone(&partition);
    let writing = std::thread::spawn(move || tell.send(produce(&writer, 20).first_offset));
    let produced = told.recv_timeout(LONG);
    world.disk.let_reads_go();
    assert_eq!(produced, Ok(20), "the produce waited for the disk of another");
    writing.join().unwrap().unwrap();
    (looking.join().unwrap(), partition)
}

#[test]
fn a_produce_goes_on_while_a_cold_fetch_waits_for_the_disk() {
    let (fetched, partition) = produce_during(|it| it.fetch(&query(3, Patience::Wait)));
    let fetched = fetched.unwrap();
    assert!(!fetched.records.is_empty() && fetched.high_watermark == 20);
    assert!(partition.fetch(&query(3, Patience::Now)).unwrap().needs_disk);
}

#[test]
fn a_produce_goes_on_while_a_time_is_looked_up_on_the_disk() {
    let isolation = Isolation::ReadUncommitted;
    let (found, _) = produce_during(move |it| it.offset_for_timestamp(NOW + 7, isolation));
    assert_eq!(found.unwrap(), OffsetFound { offset: 7, timestamp: NOW + 7, leader_epoch: 0 });
    let (found, _) = produce_during(move |it| it.offset_of_max_timestamp(isolation));
    assert_eq!(found.unwrap().offset, 19);
}

#[test]
fn files_that_go_while_they_are_read_are_no_fault_of_the_disk() {
    let (world, _dir, partition) = cold_partition();
    world.disk.hold_reads();
    let reader = Arc::clone(&partition);
    let looking = std::thread::spawn(move || reader.fetch(&query(3, Patience::Wait)));
    world.disk.wait_for_held_read();
    assert_eq!(partition.delete_records(15), Ok(15));
    world.disk.let_reads_go();
    assert_eq!(looking.join().unwrap().unwrap_err(), ErrorCode::OffsetOutOfRange);
    let rest = partition.fetch(&query(15, Patience::Wait)).unwrap();
    assert!(!rest.records.is_empty(), "the directory works on");
}
