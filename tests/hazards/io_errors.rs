//! The story: one operation of one disk fails, once. Whichever it is, nothing panics; the directory that
//! it hit answers with a storage error and the other one serves; what is said names a path; and after a
//! restart all that was acknowledged is there.
//!
//! The whole broker on simulated disks, an operation that changes something or one that only looks failing
//! in each run; `HAZARD_EFFORT=100` tries every one there is. The sites of one log are all enumerated in
//! `src/storage/tests/power_loss.rs`.

use std::path::Path;
use std::time::Duration;

use duramen::Broker;
use duramen::config::RawConfig;
use duramen::env::Disk;
use duramen::env::sim::{Fault, SimDisk, SimEnv};
use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::create_topics::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use duramen_protocol::messages::fetch::{FetchPartition, FetchRequest, FetchTopic};
use duramen_protocol::records::BatchView;
use tokio::runtime::Runtime;

use crate::effort;
use crate::support::eventually;
use crate::support::wire::Wire;

const TOPIC: &str = "t";
const PARTITIONS: i32 = 4;
const ROUNDS: i64 = 6;
const FETCH: i16 = 12;
/// How long anything may take on a machine that has other things to do.
const PATIENCE: Duration = Duration::from_secs(120);
/// Runs, times [`effort`]: each fails at another operation, spread over all there are.
const RUNS: u64 = 60;

#[test]
fn one_failed_operation_anywhere_loses_nothing_and_stops_one_directory_at_most() {
    fail_each("operations", SimDisk::operations, |disk, nth| disk.fail_nth(nth, Fault::Io));
}

#[test]
fn one_failed_look_anywhere_loses_nothing_and_stops_one_directory_at_most() {
    fail_each("looks", SimDisk::looks, SimDisk::fail_nth_look);
}

/// Lets `fail` one of the sites that `count` counts in each run.
fn fail_each(sites: &str, count: impl Fn(&SimDisk) -> u64, fail: impl Fn(&SimDisk, u64)) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let world = SimEnv::new(1, 1_700_000_000_000);
    let acked = serve(&runtime, &world, "none").expect("nothing fails");
    assert_eq!(acked, [ROUNDS; PARTITIONS as usize]);
    let all = count(&world.disk);
    assert!(all > 100, "{all}");
    let runs = all.min(RUNS * effort());
    let (mut refused_starts, mut hit) = (0, 0);
    for run in 0..runs {
        let nth = all * run / runs;
        let what = format!("{nth} of the {sites}");
        let world = SimEnv::new(1, 1_700_000_000_000);
        fail(&world.disk, nth);
        let acked = serve(&runtime, &world, &what).unwrap_or_else(|error| {
            assert!(error.contains("/data/"), "{what}: {error}");
            refused_starts += 1;
            [0; PARTITIONS as usize]
        });
        hit += usize::from(acked.iter().any(|acked| *acked < ROUNDS));
        // How many there are is not the same each time: one that was not reached must not come now.
        fail(&world.disk, u64::from(u32::MAX));
        world.disk.kill();
        let broker = start(&runtime, &world).unwrap_or_else(|error| panic!("{what}: {error}"));
        verify(&broker, &acked, &what);
        runtime.block_on(broker.stop());
    }
    println!("io_errors: {runs} of {all} {sites}, {refused_starts} starts refused, {hit} hit");
    assert!(hit > 10);
}

#[test]
fn a_start_that_the_disk_refuses_names_the_file_and_speaks_of_no_damage() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let world = SimEnv::new(1, 1_700_000_000_000);
    serve(&runtime, &world, "none").expect("nothing fails");
    world.disk.kill();
    let again = || SimEnv { disk: world.disk.fork(), ..world.clone() };
    let whole = again();
    let before = whole.disk.looks();
    let broker = start(&runtime, &whole).unwrap();
    let all = whole.disk.looks() - before;
    runtime.block_on(broker.stop());
    let runs = all.min(RUNS * effort());
    let mut refused = 0;
    for run in 0..runs {
        let (world, nth) = (again(), all * run / runs);
        world.disk.fail_nth_look(nth);
        match start(&runtime, &world) {
            Ok(broker) => runtime.block_on(broker.stop()),
            Err(error) => {
                refused += 1;
                let names_it = error.contains("/data/") && error.contains("simulated device error");
                assert!(names_it && error.contains("check the disk"), "look {nth}: {error}");
                let of_damage = ["damaged", "copy", "writable", "log verify"];
                assert!(!of_damage.iter().any(|word| error.contains(word)), "look {nth}: {error}");
            }
        }
    }
    println!("io_errors: {refused} of {runs} starts refused, {all} looks");
    assert!(refused > 10);
}

fn start(runtime: &Runtime, world: &SimEnv) -> Result<Broker, String> {
    let mut raw = RawConfig::new();
    let settings =
        ["listeners=PLAINTEXT://127.0.0.1:0", "http.listener=off", "log.dirs=/data/a,/data/b"];
    for setting in settings {
        raw.add_assignment(setting).unwrap();
    }
    let started = Broker::start_in(world.env(), raw.settings());
    let started = runtime.block_on(async { tokio::time::timeout(PATIENCE, started).await });
    started.map_err(|_| format!("no start within {PATIENCE:?}"))?.map_err(|error| error.to_string())
}

/// Starts a broker, makes a topic and produces into each partition; how many batches of each were
/// acknowledged. The broker is gone afterwards, as after a crash.
fn serve(
    runtime: &Runtime,
    world: &SimEnv,
    what: &str,
) -> Result<[i64; PARTITIONS as usize], String> {
    let broker = start(runtime, world)?;
    let mut wire = Wire::connect(broker.addresses()[0].1.port()).unwrap();
    let segment =
        CreatableTopicConfig { name: "internal.segment.bytes".into(), value: Some("200".into()) };
    let topic = CreatableTopic {
        name: TOPIC.into(),
        num_partitions: PARTITIONS,
        replication_factor: 1,
        configs: vec![segment],
        ..CreatableTopic::default()
    };
    let request =
        CreateTopicsRequest { topics: vec![topic], timeout_ms: 60_000, ..Default::default() };
    let made = wire.ask(7, &request).map_err(|error| format!("/data/: {error}"))?;
    let mut acked = [0; PARTITIONS as usize];
    let mut failed = [false; PARTITIONS as usize];
    for round in 0..ROUNDS {
        for partition in 0..PARTITIONS {
            let at = partition as usize;
            let produced = wire.produce(TOPIC, partition, &value(partition, round));
            match produced.unwrap_or_else(|error| panic!("{what}: {partition}/{round}: {error}")) {
                ErrorCode::None => acked[at] += i64::from(!failed[at]),
                code => {
                    assert!(code.is_retriable(), "{what}: {code:?}");
                    failed[at] = true;
                }
            }
        }
    }
    // a directory that failed takes its own partitions along, and no others
    if made.topics[0].error_code == 0 {
        assert!(failed.iter().filter(|failed| **failed).count() <= 2, "{what}: {failed:?}");
    }
    drop(broker);
    // What it had begun has ended by then: nothing of it comes after the crash.
    eventually("the broker has let go of its directories", PATIENCE, || {
        let locks = ["/data/a/.lock", "/data/b/.lock"].map(|lock| world.disk.lock(Path::new(lock)));
        locks.iter().all(Result::is_ok).then_some(())
    });
    Ok(acked)
}

fn value(partition: i32, round: i64) -> Vec<u8> {
    format!("{partition}/{round}:{}", "-".repeat(60)).into_bytes()
}

/// Each partition begins with what was acknowledged of it.
fn verify(broker: &Broker, acked: &[i64], what: &str) {
    let mut wire = Wire::connect(broker.addresses()[0].1.port()).unwrap();
    for (partition, acked) in (0..).zip(acked) {
        let mut next = 0;
        while next < *acked {
            let records = eventually("an answer", PATIENCE, || {
                let answer = wire.ask(FETCH, &fetch(partition, next)).unwrap();
                let data = answer.responses.into_iter().next()?.partitions.into_iter().next()?;
                assert_eq!(data.error_code, 0, "{what}: partition {partition} at {next}");
                data.records.filter(|records| !records.is_empty())
            });
            let mut scratch = Vec::new();
            for batch in BatchView::iter(&records).map_while(Result::ok) {
                assert!(batch.crc_is_valid(), "{what}");
                for record in batch.records(&mut scratch, 1 << 20).unwrap() {
                    let record = record.unwrap();
                    assert_eq!(record.offset, next, "{what}: partition {partition}");
                    if next < *acked {
                        assert_eq!(record.value, Some(&value(partition, next)[..]), "{what}");
                    }
                    next += 1;
                }
            }
        }
    }
}

fn fetch(partition: i32, fetch_offset: i64) -> FetchRequest {
    let wanted = FetchPartition {
        partition,
        fetch_offset,
        partition_max_bytes: 1 << 20,
        ..FetchPartition::default()
    };
    let topic =
        FetchTopic { topic: TOPIC.into(), partitions: vec![wanted], ..FetchTopic::default() };
    FetchRequest { min_bytes: 1, max_bytes: 1 << 20, topics: vec![topic], ..Default::default() }
}
