//! Leaders that change under a producer and a consumer: a restart raises the leader epoch, and what both
//! know of it is out of date.

use std::ops::ControlFlow;
use std::sync::Arc;

use duramen_client::consumer::{Assignment, Consumer, ConsumerOptions, Event, Start};
use duramen_client::producer::{Producer, ProducerOptions};
use duramen_client::{Cluster, ClusterOptions};
use tokio::time::timeout;

use crate::lab::{Lab, PATIENCE, cluster, create, enqueue};

const PARTITIONS: i32 = 3;
/// Records in each partition before each restart, and after the last.
const RECORDS: u32 = 200;
const RESTARTS: u32 = 3;

/// The leader epoch of the first partition, as the broker says now.
async fn epoch(cluster: &Cluster) -> i32 {
    let known = cluster.refresh(duramen_client::cluster::Topics::Named(&["epochs".into()])).await;
    known.unwrap();
    cluster.topic("epochs").await.unwrap().partitions[0].leader_epoch
}

/// Reads all partitions to their ends while they are written: partition, offset and leader epoch of each
/// record.
async fn read(cluster: Cluster) -> Vec<(i32, i64, i32)> {
    let all = RECORDS * (RESTARTS + 1);
    let assignments = (0..PARTITIONS)
        .map(|partition| Assignment::new("epochs", partition, Start::Offset(0)).end(i64::from(all)))
        .collect();
    let mut consumer = Consumer::start(&cluster, ConsumerOptions::default(), assignments).unwrap();
    let (mut seen, mut scratch) = (Vec::new(), Vec::new());
    while let Some(event) = consumer.next().await {
        let Event::Records(fetched) = event.unwrap() else { panic!("a position jumped") };
        let _ = fetched
            .visit(&mut scratch, |batch, record| {
                seen.push((fetched.partition, record.offset, batch.partition_leader_epoch()));
                ControlFlow::<()>::Continue(())
            })
            .unwrap();
    }
    seen
}

pub async fn leader_epochs_that_rise_are_followed(lab: Arc<Lab>) {
    let kind = lab.kind;
    let mut node = tokio::task::spawn_blocking(move || kind.node()).await.unwrap();
    let cluster = cluster(&node, ClusterOptions::default());
    create(&cluster, "epochs", PARTITIONS, &[]).await;
    let (producer, reading) = (
        Producer::start(&cluster, ProducerOptions::default()).unwrap(),
        tokio::spawn(read(cluster.clone())),
    );
    let mut epochs = vec![epoch(&cluster).await];
    for round in 0..=RESTARTS {
        let numbers = round * RECORDS..(round + 1) * RECORDS;
        for partition in 0..PARTITIONS {
            for delivery in enqueue(&producer, "epochs", partition, numbers.clone()).await {
                timeout(PATIENCE, delivery).await.expect("it is settled").unwrap();
            }
        }
        if round < RESTARTS {
            let restart = tokio::task::spawn_blocking(move || {
                // once in order, once not
                if round % 2 == 0 {
                    node.stop();
                } else {
                    node.kill();
                }
                node.restart();
                node
            });
            node = restart.await.unwrap();
            epochs.push(epoch(&cluster).await);
        }
    }
    assert!(epochs.is_sorted_by(|before, after| before < after), "{epochs:?}");
    let records = timeout(PATIENCE, reading).await.expect("all is read").unwrap();
    for partition in 0..PARTITIONS {
        let of = || records.iter().filter(move |(at, ..)| *at == partition);
        let offsets: Vec<_> = of().map(|(_, offset, _)| *offset).collect();
        assert_eq!(offsets, (0..i64::from(RECORDS * (RESTARTS + 1))).collect::<Vec<_>>());
        let written: Vec<_> = of().map(|(.., epoch)| *epoch).collect();
        assert!(written.is_sorted(), "{written:?}");
        for (round, epoch) in written.chunks(usize::try_from(RECORDS).unwrap()).zip(&epochs) {
            assert!(round[0] >= *epoch, "written under {}, an epoch before {epoch}", round[0]);
        }
    }
    tokio::task::spawn_blocking(move || drop(node)).await.unwrap();
}
