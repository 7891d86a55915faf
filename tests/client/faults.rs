//! Connections and brokers that fail while records flow.

use std::sync::Arc;
use std::time::Duration;

use duramen_client::connection::ConnectionOptions;
use duramen_client::consumer::ConsumerOptions;
use duramen_client::producer::{Delivery, Producer, ProducerOptions};
use duramen_client::{Cluster, ClusterOptions};
use tokio::time::{sleep, timeout};

use crate::lab::{Lab, PATIENCE, cluster, create, enqueue, numbers, read_all, read_all_by};
use crate::proxy::{Faults, Proxy};

const PARTITIONS: i32 = 3;

fn through(lab: &Lab, proxy: &Proxy, request_timeout: Duration) -> Cluster {
    let options = ClusterOptions::default()
        .connector(proxy.connector())
        .connection(ConnectionOptions::default().request_timeout(request_timeout));
    cluster(&lab.node, options)
}

/// Small batches, so that many requests are in flight when something happens.
fn producer(cluster: &Cluster, request_timeout: Duration) -> Producer {
    let options = ProducerOptions::default()
        .batch_bytes(2_000)
        .request_bytes(8_000)
        .request_timeout(request_timeout);
    Producer::start(cluster, options).unwrap()
}

/// Every record is acknowledged, with the offset at which it stands: its number.
async fn all_delivered(deliveries: Vec<Delivery>) {
    for (number, delivery) in (0..).zip(deliveries) {
        let delivered = timeout(PATIENCE, delivery).await.expect("it is settled").unwrap();
        // -1: the broker had it already and no longer knows where
        assert!([number, -1].contains(&delivered.offset), "{delivered:?} for {number}");
    }
}

/// Writes through a faulty way and reads back over a sound one.
async fn written_despite(
    lab: &Lab,
    topic: &str,
    proxy: &Proxy,
    request_timeout: Duration,
    records: u32,
) {
    create(&lab.cluster(), topic, PARTITIONS, &[]).await;
    let faulty = through(lab, proxy, request_timeout);
    let producer = producer(&faulty, request_timeout);
    let mut writing = Vec::new();
    for partition in 0..PARTITIONS {
        writing.push(enqueue(&producer, topic, partition, 0..records).await);
    }
    for deliveries in writing {
        all_delivered(deliveries).await;
    }
    for values in read_all(&lab.cluster(), topic).await {
        assert_eq!(values, numbers(0..records));
    }
}

pub async fn connections_that_are_cut_lose_and_double_nothing(lab: Arc<Lab>) {
    // More than five times the most that a connection takes is written, and read.
    let faults = Faults { cut_after: Some(500..20_000), ..Faults::default() };
    let proxy = Proxy::new(faults);
    written_despite(&lab, "cut", &proxy, Duration::from_secs(5), 3_000).await;
    assert!(proxy.cuts() > 3, "{} cuts", proxy.cuts());
    // and a consumer on such connections reads the same, of fetches that may come through whole
    let faulty = through(&lab, &proxy, Duration::from_secs(5));
    let before = proxy.cuts();
    let options = ConsumerOptions::default().fetch_bytes(4_000);
    for values in read_all_by(&faulty, "cut", options).await {
        assert_eq!(values, numbers(0..3_000));
    }
    assert!(proxy.cuts() > before);
}

pub async fn connections_that_stand_still_are_replaced(lab: Arc<Lab>) {
    // While the client connects, and in the midst of what it writes.
    for still_after in [100, 3_000, 9_000] {
        let proxy = Proxy::new(Faults { still_after: Some(still_after), ..Faults::default() });
        let replaced = async {
            until("all stands still", || proxy.is_still()).await;
            let before = proxy.connections();
            until("another connection is made", || proxy.connections() > before).await;
            // What stood still comes to the broker behind it, too.
            proxy.go_on();
        };
        let (topic, timeout) = (format!("still-{still_after}"), Duration::from_millis(500));
        tokio::join!(written_despite(&lab, &topic, &proxy, timeout, 500), replaced);
    }
}

async fn until(reason: &str, is: impl Fn() -> bool) {
    let so = async {
        while !is() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, so).await.expect(reason);
}

pub async fn slow_connections_are_only_slow(lab: Arc<Lab>) {
    let faults = Faults { delay_ms: Some(0..20), ..Faults::default() };
    let proxy = Proxy::new(faults);
    written_despite(&lab, "slow", &proxy, Duration::from_secs(30), 300).await;
    let faulty = through(&lab, &proxy, Duration::from_secs(30));
    for values in read_all(&faulty, "slow").await {
        assert_eq!(values, numbers(0..300));
    }
}

pub async fn killed_brokers_lose_and_double_nothing(lab: Arc<Lab>) {
    const RECORDS: u32 = 3_000;
    let kind = lab.kind;
    let node = tokio::task::spawn_blocking(move || kind.node()).await.unwrap();
    let sound = cluster(&node, ClusterOptions::default());
    create(&sound, "killed", PARTITIONS, &[]).await;
    let producer = producer(&sound, Duration::from_secs(5));
    let mut writing = Vec::new();
    for partition in 0..PARTITIONS {
        let producer = producer.clone();
        writing.push(tokio::spawn(async move {
            let mut deliveries = Vec::new();
            for first in (0..RECORDS).step_by(100) {
                let numbers = first..first + 100;
                deliveries.extend(enqueue(&producer, "killed", partition, numbers).await);
                sleep(Duration::from_millis(20)).await;
            }
            deliveries
        }));
    }
    let killing = tokio::task::spawn_blocking(move || {
        let mut node = node;
        for _ in 0..2 {
            std::thread::sleep(Duration::from_millis(200));
            node.kill();
            node.restart();
        }
        node
    });
    let node = killing.await.unwrap();
    for deliveries in writing {
        all_delivered(deliveries.await.unwrap()).await;
    }
    for values in read_all(&cluster(&node, ClusterOptions::default()), "killed").await {
        assert_eq!(values, numbers(0..RECORDS));
    }
    tokio::task::spawn_blocking(move || drop(node)).await.unwrap();
}
