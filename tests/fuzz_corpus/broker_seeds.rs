//! The inputs that the fuzzer begins with, of what the broker keeps: log directories, the files
//! beside a log, metadata records.

use std::path::Path;

use duramen::env::Env;
use duramen::env::sim::SimEnv;
use duramen::metadata::image::brokers::{BrokerImage, FeatureRange};
use duramen::metadata::record::{
    broker_registration, cluster, config, feature_level, partition, partition_leader, producer_ids,
    remove_topic, topic,
};
use duramen::metadata::{ConfigResource, PartitionImage};
use duramen::storage::checkpoint::encode_offsets;
use duramen::storage::epochs::EpochHistory;
use duramen::storage::producer_state::Origin;
use duramen::storage::validate::ValidatedBatch;
use duramen::storage::{AppendInfo, LogConfig, LogDir, LogDirOptions, partition_metadata};
use duramen_protocol::ids::TopicPartition;
use duramen_protocol::metadata::{Framed, MetadataRecord, SnapshotFooter, SnapshotHeader};
use duramen_protocol::records::{BatchOptions, Producer};
use uuid::Uuid;

use super::seeds::{Seeds, built};
use super::targets::storage::{FILES, indexed_files};

const DIR: &str = "/data";

/// The seeds of each target.
pub fn all() -> Vec<(&'static str, Seeds)> {
    vec![
        ("recovery", directories()),
        ("index", indexes()),
        ("checkpoint", checkpoints()),
        ("metadata", metadata()),
    ]
}

/// The files of a directory, in the order of [`FILES`].
type Files = Vec<Vec<u8>>;

/// The files that a log of ten records leaves behind, in batches of two by two producers.
fn left_behind(closed: bool) -> Files {
    let world = SimEnv::new(1, 1_700_000_000_000);
    let env = world.env();
    let options = LogDirOptions { threads: false, ..LogDirOptions::default() };
    let dir = LogDir::open(&env, Path::new(DIR), options).unwrap();
    let config = LogConfig { index_interval_bytes: 100, ..LogConfig::default() };
    let orders = TopicPartition::new("orders", 0);
    let mut log = dir.create_log(&orders, Uuid::from_u128(7), config).unwrap();
    for number in 0..5 {
        let id = 4000 + i64::from(number % 2);
        let producer = Some(Producer { id, epoch: 0, base_sequence: number / 2 * 2 });
        let batch = built(2, &BatchOptions { producer, ..BatchOptions::default() });
        let batch = ValidatedBatch::own(&batch.into()).unwrap();
        let origin = Origin::Client;
        let info = AppendInfo { leader_epoch: number / 2, now_ms: 1_700_000_000_000, origin };
        log.append(&batch, info).unwrap();
    }
    if closed {
        log.close().unwrap();
        dir.close(-1).unwrap();
    }
    read_files(&env)
}

fn read_files(env: &Env) -> Files {
    let read = |file| env.disk.read(&Path::new(DIR).join(file), 1 << 20).unwrap_or_default();
    let mut files: Files = FILES.into_iter().map(read).collect();
    // Reserved space is zeros without end: a little is as good.
    let log = &mut files[0];
    let end = log.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    log.truncate(end + 40);
    files
}

fn packed(files: &Files) -> Vec<u8> {
    let behind_length = |file: &Vec<u8>| {
        let length = u16::try_from(file.len()).unwrap().to_be_bytes();
        [&length[..], file].concat()
    };
    files.iter().flat_map(behind_length).collect()
}

/// Indexes as they were written, cut, emptied, exchanged, and with entries that lead elsewhere.
fn indexes() -> Seeds {
    let [offsets, times] = indexed_files();
    let input = |offsets: &[u8], times: &[u8]| {
        packed(&vec![offsets.to_vec()])
            .into_iter()
            .chain(times.iter().copied())
            .collect::<Vec<u8>>()
    };
    let mut seeds = vec![
        ("whole".to_owned(), input(&offsets, &times)),
        ("exchanged".to_owned(), input(&times, &offsets)),
        ("none".to_owned(), input(&[], &[])),
        ("zeros".to_owned(), input(&[0; 80], &[0; 120])),
        ("ones".to_owned(), input(&[0xff; 80], &[0xff; 120])),
        ("twice".to_owned(), input(&offsets.repeat(2), &times.repeat(2))),
    ];
    for cut in [1, 4, 7, 8, 9, 16, 40] {
        let short = |file: &[u8]| file[..file.len().saturating_sub(cut)].to_vec();
        seeds.push((format!("cut_{cut}"), input(&short(&offsets), &short(&times))));
        let late = |file: &[u8]| file[cut.min(file.len())..].to_vec();
        seeds.push((format!("late_{cut}"), input(&late(&offsets), &late(&times))));
    }
    seeds
}

fn directories() -> Seeds {
    let (clean, crashed) = (left_behind(true), left_behind(false));
    let mut seeds = vec![
        ("clean".to_owned(), packed(&clean)),
        ("crashed".to_owned(), packed(&crashed)),
        ("nothing".to_owned(), Vec::new()),
    ];
    for (name, files) in [("clean", &clean), ("crashed", &crashed)] {
        let log = &files[0];
        for part in [1, 2, 3] {
            let mut torn = files.clone();
            torn[0].truncate(log.len() * part / 4);
            seeds.push((format!("{name}-torn-at-{part}-4"), packed(&torn)));
            let mut flipped = files.clone();
            flipped[0][log.len() * part / 4] ^= 0x10;
            seeds.push((format!("{name}-flipped-at-{part}-4"), packed(&flipped)));
        }
        let mut zeros = files.clone();
        zeros[0].extend([0; 500]);
        seeds.push((format!("{name}-zeros"), packed(&zeros)));
        let mut hole = files.clone();
        hole[0][200..300].fill(0);
        seeds.push((format!("{name}-hole"), packed(&hole)));
    }
    seeds.extend(half_done(&clean));
    for (index, file) in FILES.iter().enumerate().take(FILES.len() - HALF_DONE) {
        let name = file.rsplit(['/', '.']).next().unwrap();
        for (kind, content) in [("without", Vec::new()), ("garbage", b"garbage\n".repeat(3))] {
            let mut files = clean.clone();
            files[index] = content;
            seeds.push((format!("{kind}-{name}"), packed(&files)));
        }
    }
    seeds
}

/// Files of [`FILES`] that only a crash leaves, the last of them.
const HALF_DONE: usize = 4;

/// A segment that is about to take the place of others, or to go with one behind it.
fn half_done(files: &Files) -> Seeds {
    let (log, index) = (files[0].clone(), files[1].clone());
    let length = u32::from_be_bytes(log[8..12].try_into().unwrap()) as usize;
    let second = [&10_i64.to_be_bytes()[..], &log[8..12 + length]].concat();
    let merged = [&log[..], &second].concat();
    let (none, mark) = (Vec::new(), vec![b'x']);
    let states = [
        ("swap-intended", &log, [&mark, &merged, &index, &none]),
        ("swap-without-mark", &log, [&none, &merged, &none, &none]),
        ("swap-of-the-log-done", &merged, [&mark, &none, &index, &none]),
        ("swap-done", &merged, [&mark, &none, &none, &none]),
        ("swap-of-indexes-alone", &log, [&mark, &none, &index, &none]),
        ("swap-garbage", &log, [&mark, &mark, &mark, &none]),
        ("deletion-half-done", &log, [&none, &none, &none, &second]),
        ("deletion-and-swap", &log, [&mark, &merged, &none, &second]),
    ];
    let state = |(name, log, left): (&str, &Vec<u8>, [&Vec<u8>; HALF_DONE])| {
        let mut files = files.clone();
        // After a crash, with all of it on the disk.
        files[8].clear();
        files[0].clone_from(log);
        let first = files.len() - HALF_DONE;
        files[first..].iter_mut().zip(left).for_each(|(file, left)| file.clone_from(left));
        (name.to_owned(), packed(&files))
    };
    states.into_iter().map(state).collect()
}

fn checkpoints() -> Seeds {
    let mut seeds = Seeds::new();
    let mut add = |kind: u8, name: &str, file: &[u8]| {
        seeds.push((name.to_owned(), [&[kind][..], file].concat()));
    };
    for (name, entries) in [
        ("offsets-none", vec![]),
        ("offsets-one", vec![("orders", 0, 10)]),
        ("offsets-more", vec![("orders", 0, 10), ("orders", 1, 0), ("a.b_c-d", 7, i64::MAX)]),
    ] {
        add(0, name, &encode_offsets(entries));
    }
    for (name, file) in [
        ("offsets-version", &b"1\n0\n"[..]),
        ("offsets-count", b"0\n5\norders 0 10\n"),
        ("offsets-negative", b"0\n1\norders 0 -10\n"),
        ("offsets-twice", b"0\n2\norders 0 1\norders 0 2\n"),
        ("offsets-no-end", b"0\n1\norders 0 10"),
        ("offsets-huge-count", b"0\n18446744073709551615\norders 0 10\n"),
    ] {
        add(0, name, file);
    }
    let mut epochs = EpochHistory::decode(b"0\n0\n").unwrap();
    for epoch in 0..4 {
        epochs.assign(epoch * 3, i64::from(epoch) * 100);
        add(1, &format!("epochs-{epoch}"), &epochs.encode());
    }
    for (name, file) in [
        ("epochs-falling", &b"0\n2\n5 10\n4 20\n"[..]),
        ("epochs-negative", b"0\n1\n-1 0\n"),
        ("epochs-huge", b"0\n1\n2147483647 9223372036854775807\n"),
    ] {
        add(1, name, file);
    }
    let snapshot = &left_behind(true)[3][6..];
    add(2, "snapshot", snapshot);
    add(2, "snapshot-cut", &snapshot[..snapshot.len() - 3]);
    add(2, "snapshot-count", &[&[0x7f, 0xff, 0xff, 0xff], &snapshot[4..]].concat());
    add(2, "snapshot-none", &[0; 4]);
    add(3, "partition-metadata", &partition_metadata::encode(Uuid::from_u128(7)));
    add(3, "partition-metadata-version", b"version: 1\ntopic_id: AAAAAAAAAAAAAAAAAAAABw\n");
    add(3, "partition-metadata-twice", b"version: 0\nversion: 0\n");
    seeds
}

/// Metadata records of every kind that there is a maker for.
fn metadata_records() -> Vec<(&'static str, MetadataRecord)> {
    let id = Uuid::from_u128(7);
    let one = PartitionImage {
        replicas: vec![1, 2, 3],
        isr: vec![1, 2],
        removing_replicas: vec![3],
        adding_replicas: vec![],
        leader: 1,
        recovering: false,
        leader_epoch: 4,
        partition_epoch: 9,
        directories: vec![Uuid::from_u128(1); 3],
        eligible_leader_replicas: vec![],
        last_known_elr: vec![],
    };
    let broker = BrokerImage {
        id: 1,
        incarnation_id: Uuid::from_u128(2),
        epoch: 5,
        endpoints: vec![],
        features: [("metadata.version".into(), FeatureRange { min: 1, max: 27 })].into(),
        rack: Some("rack-1".into()),
        fenced: true,
        in_controlled_shutdown: false,
        log_dirs: vec![Uuid::from_u128(1)],
    };
    let resource = ConfigResource::topic("orders");
    vec![
        ("cluster", cluster("4L6g3nShT-eMCtK--X86sw")),
        ("feature", feature_level("metadata.version", 27)),
        ("no-feature", feature_level("metadata.version", 0)),
        ("broker", broker_registration(&broker)),
        ("topic", topic("orders", id)),
        ("same-name", topic("orders", Uuid::from_u128(8))),
        ("partition", partition(id, 0, &one)),
        ("next-partition", partition(id, 1, &one)),
        ("leader", partition_leader(id, 0, 2)),
        ("no-leader", partition_leader(id, 0, -1)),
        ("stray-leader", partition_leader(Uuid::from_u128(9), 7, 2)),
        ("config", config(&resource, "retention.ms", Some("1000"))),
        ("no-config", config(&resource, "retention.ms", None)),
        ("producer-ids", producer_ids(1, 5, 1000)),
        ("remove-topic", remove_topic(id)),
    ]
}

fn metadata() -> Seeds {
    let records = metadata_records();
    let values = |framed: &[Framed]| {
        let encoded = framed.iter().map(Framed::encode);
        let behind_length =
            |value: bytes::Bytes| [&[u8::try_from(value.len()).unwrap()][..], &value].concat();
        encoded.flat_map(behind_length).collect::<Vec<u8>>()
    };
    let mut seeds = Seeds::new();
    for (name, record) in &records {
        seeds.push(((*name).to_owned(), values(&[Framed::Record(record.clone())])));
    }
    let all: Vec<_> = records.into_iter().map(|(_, record)| Framed::Record(record)).collect();
    seeds.push(("all".to_owned(), values(&all)));
    seeds.push(("all-but-the-end".to_owned(), values(&all[..all.len() - 1])));
    seeds.push(("backwards".to_owned(), values(&all.iter().rev().cloned().collect::<Vec<_>>())));
    let header = Framed::Header(SnapshotHeader::default());
    let footer = Framed::Footer(SnapshotFooter::default());
    seeds.push(("snapshot".to_owned(), values(&[&[header][..], &all[..3], &[footer]].concat())));
    seeds.push(("unknown-frame".to_owned(), vec![2, 99, 1]));
    seeds.push(("unknown-kind".to_owned(), vec![6, 1, 8, 1, 0xfa, 0x3f, 0]));
    seeds
}
