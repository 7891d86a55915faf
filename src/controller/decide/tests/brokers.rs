use duramen_protocol::error::ErrorCode;

use crate::controller::command::{
    AllocateProducerIds, Command, ProducerIdBlock, Refusal, RegisterBroker, Registered, Reply,
};
use crate::controller::decide::testing::{Cluster, registration, seen};
use crate::metadata::record;
use crate::metadata::{Provenance, Replay};

fn register(cluster: &mut Cluster, command: RegisterBroker) -> Result<Registered, Refusal> {
    match cluster.run(Command::RegisterBroker(command)) {
        Reply::RegisterBroker(result) => result,
        other => panic!("{other:?}"),
    }
}

fn allocate(cluster: &mut Cluster, id: i32, epoch: i64) -> Result<ProducerIdBlock, Refusal> {
    let command = AllocateProducerIds { broker_id: id, broker_epoch: epoch };
    match cluster.run(Command::AllocateProducerIds(command)) {
        Reply::AllocateProducerIds(result) => result,
        other => panic!("{other:?}"),
    }
}

fn epoch_of(cluster: &Cluster, id: i32) -> i64 {
    cluster.image.brokers().get(id).unwrap().epoch
}

#[test]
fn a_new_process_gets_a_higher_epoch_and_leads_in_a_new_term() {
    let mut cluster = Cluster::of(&[1]).with_topic("t", 2);
    let first = epoch_of(&cluster, 1);
    let again = register(&mut cluster, registration(1, 2)).unwrap();
    assert!(again.broker_epoch > first);
    assert_eq!(epoch_of(&cluster, 1), again.broker_epoch);
    for (_, partition) in cluster.image.topics().by_name("t").unwrap().partitions() {
        assert_eq!((partition.leader, partition.leader_epoch), (1, 1));
        assert_eq!(partition.isr, [1]);
    }
}

#[test]
fn the_same_process_asking_again_changes_nothing() {
    let mut cluster = Cluster::of(&[1]).with_topic("t", 1);
    let before = cluster.image.clone();
    let again = register(&mut cluster, registration(1, 1)).unwrap();
    assert_eq!(again.broker_epoch, epoch_of(&cluster, 1));
    assert_eq!(cluster.image, before);
}

#[test]
fn every_error_of_a_registration() {
    let mut cluster = Cluster::of(&[1]);
    let mut replay = Replay::new(&cluster.image);
    replay.apply_all(&[record::cluster("right"), record::feature_level("magic", 2)]).unwrap();
    cluster.image = replay.finish(Provenance::default()).after().clone();

    let wrong_cluster = RegisterBroker { cluster_id: "wrong".into(), ..registration(2, 1) };
    assert_eq!(
        seen(&register(&mut cluster, wrong_cluster)),
        (ErrorCode::InconsistentClusterId, "Expected cluster ID right, but got cluster ID wrong")
    );
    assert_eq!(
        seen(&register(&mut cluster, registration(2, 1))),
        (
            ErrorCode::UnsupportedVersion,
            "Unable to register because the broker does not support finalized version 2 of magic."
        )
    );
    assert_eq!(seen(&register(&mut cluster, registration(-1, 1))).0, ErrorCode::InvalidRequest);
}

#[test]
fn blocks_of_producer_ids_follow_each_other() {
    let mut cluster = Cluster::of(&[1, 2]);
    let (one, two) = (epoch_of(&cluster, 1), epoch_of(&cluster, 2));
    assert_eq!(allocate(&mut cluster, 1, one), Ok(ProducerIdBlock { first: 0, len: 1000 }));
    assert_eq!(allocate(&mut cluster, 2, two), Ok(ProducerIdBlock { first: 1000, len: 1000 }));
    assert_eq!(allocate(&mut cluster, 1, one), Ok(ProducerIdBlock { first: 2000, len: 1000 }));
}

#[test]
fn every_error_of_an_allocation() {
    let mut cluster = Cluster::of(&[1]);
    let epoch = epoch_of(&cluster, 1);
    assert_eq!(
        seen(&allocate(&mut cluster, 7, 0)),
        (ErrorCode::BrokerIdNotRegistered, "Broker ID 7 is not currently registered.")
    );
    let stale = allocate(&mut cluster, 1, epoch + 1);
    assert_eq!(seen(&stale).0, ErrorCode::StaleBrokerEpoch);
    let mut replay = Replay::new(&cluster.image);
    replay.apply(&record::producer_ids(1, epoch, i64::MAX - 10)).unwrap();
    cluster.image = replay.finish(Provenance::default()).after().clone();
    let exhausted = allocate(&mut cluster, 1, epoch);
    assert_eq!(seen(&exhausted).0, ErrorCode::UnknownServerError);
}
