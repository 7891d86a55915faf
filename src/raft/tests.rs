use std::time::Duration;

use bytes::Bytes;
use duramen_protocol::metadata::MetadataRecord;
use proptest::prelude::*;

use super::snapshot::{Snapshot, SnapshotId, SnapshotStore};
use super::testing::{Disk, NODE_ID, Node};
use super::{
    CommittedBatch, CommittedEntry, CommittedStream, LeaderAndEpoch, PROPOSAL_MAX_BYTES,
    ProposeError, RaftError, batch,
};
use crate::env::sim::SimEnv;
use crate::env::{Env, OpenMode};
use crate::storage::producer_state::Origin;
use crate::storage::validate::ValidatedBatch;
use crate::storage::{AppendInfo, Log};

/// Metadata records as the floor above makes them; this floor only carries them.
mod record {
    use duramen_protocol::metadata::{ClusterRecord, FeatureLevelRecord, Kind, MetadataRecord};

    pub(super) fn cluster(id: &str) -> MetadataRecord {
        Kind::Cluster(ClusterRecord { cluster_id: id.to_owned() }).into()
    }

    pub(super) fn feature_level(name: &str, level: i16) -> MetadataRecord {
        let record = FeatureLevelRecord { name: name.to_owned(), level: i32::from(level) };
        Kind::FeatureLevel(record).into()
    }
}

fn records(number: i16) -> Vec<MetadataRecord> {
    vec![record::feature_level("number", number), record::cluster("c")]
}

/// Everything up to the first entry that says that nothing follows at once.
async fn replayed(committed: &mut CommittedStream) -> (Option<Snapshot>, Vec<CommittedBatch>) {
    let (mut snapshot, mut batches) = (None, Vec::new());
    loop {
        let next = committed.next().await.unwrap().expect("the stream goes on");
        match next.entry {
            CommittedEntry::Snapshot(found) => snapshot = Some(found),
            CommittedEntry::Batch(batch) => batches.push(batch),
        }
        if !next.more {
            return (snapshot, batches);
        }
    }
}

/// The first error of the stream of a node that starts on `disk`.
async fn error_at_start(disk: &Disk) -> RaftError {
    let (node, mut committed) = disk.start();
    let error = loop {
        match committed.next().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the stream ended without an error"),
            Err(error) => break error,
        }
    };
    node.crash().await;
    error
}

fn contents(batches: &[CommittedBatch]) -> Vec<Vec<MetadataRecord>> {
    batches.iter().map(|batch| batch.records.clone()).collect()
}

fn snapshot_at(end_offset: i64, epoch: i32) -> Snapshot {
    let records = (1..40).map(|level| record::feature_level("number", level)).collect();
    Snapshot { id: SnapshotId { end_offset, epoch }, timestamp: 17, records }
}

fn store(disk: &Disk) -> SnapshotStore {
    SnapshotStore::new(Env::real().disk, disk.log_dir())
}

fn append(log: &mut Log, encoded: &Bytes) {
    let info = AppendInfo { leader_epoch: 1, now_ms: 1, origin: Origin::Coordinator };
    log.append(&ValidatedBatch::own(encoded).unwrap(), info).unwrap();
}

/// A log that has stopped with snapshots at 3 and at 5, and the records from 3 on.
async fn leave_two_snapshots(disk: &Disk) {
    let (node, _committed) = disk.start();
    for number in 0..3 {
        node.raft.propose(records(number)).await.unwrap();
    }
    write_snapshot(&node, snapshot_at(3, 0), 0).await;
    write_snapshot(&node, snapshot_at(5, 0), 3).await;
    node.stop().await;
}

/// Has `node` write a snapshot, and waits until the log before `log_start` is gone.
async fn write_snapshot(node: &Node, snapshot: Snapshot, log_start: i64) {
    let id = snapshot.id;
    assert!(node.raft.snapshot(move || snapshot));
    let store = node.raft.snapshots.clone();
    eventually("the snapshot is written and the log trimmed", || {
        store.list().unwrap().contains(&id)
            && node.log.log_start_offset() == log_start
            && node.raft.snapshot_turn.available_permits() == 1
    })
    .await;
}

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..12_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("not within a minute: {what}");
}

#[tokio::test]
async fn what_was_answered_is_on_disk_and_comes_again_after_a_crash() {
    let disk = Disk::new();
    let (node, mut committed) = disk.start();
    let (_, no_op) = replayed(&mut committed).await;
    assert_eq!((no_op[0].base_offset, no_op[0].epoch), (0, 0));
    for number in 0..5 {
        let offset = node.raft.propose(records(number)).await.unwrap();
        assert_eq!(offset, 2 + 2 * i64::from(number));
        assert!(node.log.durable_offset() > offset, "answered before it was durable");
        let (_, batches) = replayed(&mut committed).await;
        assert_eq!(contents(&batches), [records(number)]);
    }
    node.crash().await;

    let (node, mut committed) = disk.start();
    let (snapshot, batches) = replayed(&mut committed).await;
    assert_eq!(snapshot, None);
    assert_eq!(contents(&batches[1..6]), (0..5).map(records).collect::<Vec<_>>());
    assert_eq!((batches.len(), batches[6].epoch), (7, 1));
    node.stop().await;
}

#[tokio::test]
async fn every_start_leads_in_a_higher_epoch() {
    let disk = Disk::new();
    for epoch in 0..3 {
        let (node, mut committed) = disk.start();
        replayed(&mut committed).await;
        let mut leader = node.raft.leader();
        let now = *leader.wait_for(|now| now.leader.is_some()).await.unwrap();
        assert_eq!(now, LeaderAndEpoch { leader: Some(NODE_ID), epoch });
        let watch = node.raft.leader();
        node.stop().await;
        assert_eq!(watch.borrow().leader, None);
    }
}

#[tokio::test]
async fn proposals_at_once_are_all_committed_each_as_a_whole() {
    let disk = Disk::new();
    let (node, mut committed) = disk.start();
    let proposals: Vec<_> = (0..100)
        .map(|number| {
            let raft = node.raft.clone();
            tokio::spawn(async move { raft.propose(records(number)).await.unwrap() })
        })
        .collect();
    let mut seen = Vec::new();
    while seen.len() < 101 {
        seen.extend(replayed(&mut committed).await.1);
    }
    for (number, proposal) in (0i16..).zip(proposals) {
        let offset = proposal.await.unwrap();
        let batch = seen.iter().find(|batch| batch.last_offset == offset).unwrap();
        assert_eq!(batch.records, records(number));
    }
    assert!(seen.windows(2).all(|pair| pair[0].last_offset + 1 == pair[1].base_offset));
    node.stop().await;
}

#[tokio::test]
async fn what_is_no_proposal_is_refused() {
    let disk = Disk::new();
    let (node, _committed) = disk.start();
    assert_eq!(node.raft.propose(Vec::new()).await, Err(ProposeError::Empty));
    let huge = vec![record::cluster(&"x".repeat(PROPOSAL_MAX_BYTES))];
    assert!(matches!(node.raft.propose(huge).await, Err(ProposeError::TooLarge { .. })));
    let large = vec![record::cluster(&"x".repeat(PROPOSAL_MAX_BYTES - 100))];
    assert!(node.raft.propose(large).await.is_ok());
    let raft = node.raft.clone();
    node.stop().await;
    assert_eq!(raft.propose(records(1)).await, Err(ProposeError::Stopped));
}

#[tokio::test]
async fn a_start_needs_only_the_newest_snapshot_and_what_follows() {
    let disk = Disk::new();
    let (node, mut committed) = disk.start();
    for number in 0..3 {
        node.raft.propose(records(number)).await.unwrap();
    }
    // The first snapshot trims nothing, the second one what the first stands for.
    write_snapshot(&node, snapshot_at(3, 0), 0).await;
    write_snapshot(&node, snapshot_at(5, 0), 3).await;
    node.raft.propose(records(9)).await.unwrap();
    replayed(&mut committed).await;
    node.stop().await;

    let (node, mut committed) = disk.start();
    let (snapshot, batches) = replayed(&mut committed).await;
    assert_eq!(snapshot, Some(snapshot_at(5, 0)));
    assert_eq!(batches[0].base_offset, 5);
    assert_eq!(contents(&batches[..2]), [records(2), records(9)]);
    write_snapshot(&node, snapshot_at(7, 0), 5).await;
    assert_eq!(store(&disk).list().unwrap().len(), 2);
    node.stop().await;
}

#[tokio::test]
async fn a_damaged_snapshot_falls_back_to_the_one_before() {
    let disk = Disk::new();
    leave_two_snapshots(&disk).await;
    let damage = |id: &str| {
        let path = disk.log_dir().join(id);
        Env::real().disk.open(&path, OpenMode::Write).unwrap().set_len(700).unwrap();
    };
    damage("00000000000000000005-0000000000.checkpoint");

    let (node, mut committed) = disk.start();
    let (snapshot, batches) = replayed(&mut committed).await;
    assert_eq!(snapshot, Some(snapshot_at(3, 0)));
    assert_eq!(batches[0].base_offset, 3);
    node.stop().await;

    damage("00000000000000000003-0000000000.checkpoint");
    let error = error_at_start(&disk).await;
    assert!(matches!(error, RaftError::MissingSnapshot { log_start: 3 }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_gives_no_answer_has_not_damaged_anything() {
    let world = SimEnv::new(1, 17);
    let disk = Disk::simulated(&world);
    leave_two_snapshots(&disk).await;
    // So that the newest is needed.
    let older = disk.log_dir().join("00000000000000000003-0000000000.checkpoint");
    world.env().disk.open(&older, OpenMode::Write).unwrap().set_len(700).unwrap();
    let mut met = Vec::new();
    for nth in 0.. {
        let world = SimEnv { disk: world.disk.fork(), ..world.clone() };
        let disk = Disk::simulated(&world);
        let opened = disk.open();
        let before = world.disk.looks();
        world.disk.fail_nth_look(nth);
        let (node, mut committed) = disk.run(opened);
        let error = loop {
            // Who can't lead says nothing more.
            match tokio::time::timeout(Duration::from_secs(60), committed.next()).await {
                Ok(Ok(Some(committed))) if committed.more => {}
                Ok(Err(error)) => break Some(error.to_string()),
                _ => break None,
            }
        };
        met.extend(error);
        node.crash().await;
        if world.disk.looks() - before <= nth {
            break;
        }
    }
    assert!(met.len() >= 3, "{met:?}");
    for error in met {
        let names_it = error.contains("/data/__cluster_metadata-0") && error.contains("device");
        assert!(names_it && error.contains("check the disk"), "{error}");
        assert!(!error.contains("damaged") && !error.contains("copy"), "{error}");
    }
}

#[tokio::test]
async fn a_log_that_ends_before_its_snapshot_is_refused() {
    let disk = Disk::new();
    let (node, _committed) = disk.start();
    node.raft.propose(records(1)).await.unwrap();
    node.stop().await;
    store(&disk).write(&snapshot_at(50, 0)).unwrap();
    let error = error_at_start(&disk).await;
    assert!(error.to_string().contains("ends before offset 50"), "{error}");
}

#[tokio::test]
async fn a_metadata_record_of_the_future_stops_the_start_with_its_offset() {
    let disk = Disk::new();
    let (dir, mut log, _) = disk.open();
    append(&mut log, &batch::encode(&records(1), 1).unwrap());
    let mut unknown = record::cluster("c");
    unknown.version = 99;
    append(&mut log, &batch::encode(&[unknown], 1).unwrap());
    log.close().unwrap();
    dir.close(-1).unwrap();
    let error = error_at_start(&disk).await;
    assert!(matches!(error, RaftError::Refused { offset: 2, .. }), "{error}");
    assert!(error.to_string().contains("ClusterRecord version 99 is newer than 0"), "{error}");
}

#[tokio::test]
async fn what_is_no_metadata_record_stops_the_start_with_its_offset() {
    for value in [None, Some(&b""[..]), Some(b"\x01\xff"), Some(b"\x02"), Some(b"garbage")] {
        let disk = Disk::new();
        let (dir, mut log, _) = disk.open();
        let mut builder = duramen_protocol::records::builder::BatchBuilder::new(1000);
        builder.append(1, None, value, &[]).unwrap();
        append(&mut log, &builder.build(&Default::default()).unwrap());
        log.close().unwrap();
        dir.close(-1).unwrap();
        let error = error_at_start(&disk).await;
        let at_start = matches!(
            error,
            RaftError::Refused { offset: 0, .. } | RaftError::Damaged { offset: 0, .. }
        );
        assert!(at_start, "{value:?}: {error}");
    }
}

#[test]
fn a_snapshot_reads_back_as_it_was_written_and_leaves_no_part() {
    let disk = Disk::new();
    drop(disk.open());
    let store = store(&disk);
    store.write(&snapshot_at(8, 3)).unwrap();
    store.write(&snapshot_at(12, 3)).unwrap();
    let (newer, older) = (snapshot_at(12, 3), snapshot_at(8, 3));
    assert_eq!(store.list().unwrap(), [newer.id, older.id]);
    assert_eq!(store.read(newer.id).unwrap(), newer);
    let part = disk.log_dir().join("00000000000000000099-0000000003.checkpoint.part");
    Env::real().disk.open(&part, OpenMode::CreateNew).unwrap();
    assert_eq!(store.retire().unwrap(), Some(older.id));
    assert!(!Env::real().disk.exists(&part).unwrap());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_cut_and_no_flipped_byte_of_a_snapshot_goes_unseen(
        at in 0usize..4000,
        flip in 1u8..=255,
        cut in any::<bool>(),
    ) {
        let disk = Disk::new();
        drop(disk.open());
        let (store, snapshot) = (store(&disk), snapshot_at(8, 3));
        store.write(&snapshot).unwrap();
        let path = disk.log_dir().join("00000000000000000008-0000000003.checkpoint");
        let mut bytes = Env::real().disk.read(&path, 1 << 20).unwrap();
        let at = at % bytes.len();
        if cut { bytes.truncate(at) } else { bytes[at] ^= flip }
        let file = Env::real().disk.open(&path, OpenMode::Truncate).unwrap();
        file.write_at(&[std::io::IoSlice::new(&bytes)], 0).unwrap();
        // Base offset and leader epoch of a batch are outside of its checksum; nothing of a
        // snapshot is read from them.
        if let Ok(read) = store.read(snapshot.id) {
            prop_assert!(!cut);
            prop_assert_eq!(read, snapshot);
        }
    }
}
