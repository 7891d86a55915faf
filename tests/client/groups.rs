//! Members of groups over bad connections and killed brokers: every record is handed out, and none again
//! that the group has committed.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use duramen_client::consumer::group::{GroupConsumer, GroupOptions, GroupProtocol};
use duramen_client::consumer::{ConsumerOptions, ConsumerRecord, Reset, Start, TopicPartition};
use duramen_client::producer::{Producer, ProducerOptions};
use duramen_client::{Cluster, ClusterOptions};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::lab::{Lab, PATIENCE, cluster, create, enqueue};
use crate::proxy::{Faults, Proxy};

const PARTITIONS: i32 = 4;
/// Records in each of them.
const RECORDS: u32 = 1_000;
const BOTH: [GroupProtocol; 2] = [GroupProtocol::Classic, GroupProtocol::Consumer];

/// What the members of a group were handed, and what they have committed, by partition.
#[derive(Default)]
struct Ledger {
    handed: [BTreeSet<i64>; 4],
    committed: [i64; 4],
}

impl Ledger {
    /// Takes the records down; the offset behind the last one of each partition.
    fn take(&mut self, records: &[ConsumerRecord]) -> Vec<(TopicPartition, i64)> {
        let mut next: Vec<(TopicPartition, i64)> = Vec::new();
        for record in records {
            let at = usize::try_from(record.partition).unwrap();
            let committed = self.committed[at];
            assert!(record.offset >= committed, "{record:?}, and {committed} is committed");
            self.handed[at].insert(record.offset);
            let place = TopicPartition::new(record.topic.clone(), record.partition);
            match next.iter_mut().find(|(known, _)| *known == place) {
                Some((_, offset)) => *offset = record.offset + 1,
                None => next.push((place, record.offset + 1)),
            }
        }
        next
    }

    fn count(&self) -> u32 {
        self.handed.iter().map(|offsets| u32::try_from(offsets.len()).unwrap()).sum()
    }
}

const ALL: u32 = RECORDS * PARTITIONS.cast_unsigned();

type Shared = Arc<Mutex<Ledger>>;

fn options(group: &str, protocol: GroupProtocol) -> GroupOptions {
    GroupOptions::new(group)
        .protocol(protocol)
        .heartbeat(Duration::from_millis(200))
        .auto_commit(None)
        .consumer(ConsumerOptions::default().reset(Reset::Earliest).fetch_bytes(4_000))
}

/// Reads and commits until all is read, or it is to stop.
async fn member(mut member: GroupConsumer, ledger: Shared, stop: CancellationToken) {
    while !stop.is_cancelled() && ledger.lock().unwrap().count() < ALL {
        let records = member.poll(40, Duration::from_millis(200)).await.unwrap();
        let next = ledger.lock().unwrap().take(&records);
        for (at, offset) in next {
            // one that is refused was too late: another member reads there, from what was committed
            if member.commit_offsets(&[(at.clone(), offset)]).await.is_ok() {
                let mut ledger = ledger.lock().unwrap();
                let committed = &mut ledger.committed[usize::try_from(at.partition).unwrap()];
                *committed = offset.max(*committed);
            }
        }
    }
    let _ = timeout(PATIENCE, member.close()).await.expect("it ends");
}

async fn reached(ledger: &Shared, records: u32) {
    let there = async {
        while ledger.lock().unwrap().count() < records {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, there).await.expect("the group reads on");
}

async fn fill(cluster: &Cluster, topic: &str) {
    create(cluster, topic, PARTITIONS, &[]).await;
    let producer = Producer::start(cluster, ProducerOptions::default().batch_bytes(2_000)).unwrap();
    for partition in 0..PARTITIONS {
        enqueue(&producer, topic, partition, 0..RECORDS).await;
    }
    producer.flush().await;
}

/// One member, joined by a second, which is left alone with it when the first goes; `between` happens
/// while both read.
async fn shared_out(
    members: &Cluster,
    topic: &str,
    protocol: GroupProtocol,
    between: impl Future<Output = ()>,
) {
    let ledger = Shared::default();
    let join = || GroupConsumer::join(members, options(topic, protocol), topic).unwrap();
    let (stop, never) = (CancellationToken::new(), CancellationToken::new());
    let first = tokio::spawn(member(join(), Arc::clone(&ledger), stop.clone()));
    reached(&ledger, ALL / 8).await;
    let second = tokio::spawn(member(join(), Arc::clone(&ledger), never));
    between.await;
    reached(&ledger, ALL / 2).await;
    stop.cancel();
    first.await.unwrap();
    timeout(PATIENCE, second).await.expect("the other reads the rest").unwrap();
    assert_eq!(ledger.lock().unwrap().count(), ALL);
}

pub async fn members_on_connections_that_are_cut_share_all(lab: Arc<Lab>) {
    for protocol in BOTH {
        let topic = format!("shared-{protocol:?}");
        fill(&lab.cluster(), &topic).await;
        let proxy = Proxy::new(Faults { cut_after: Some(1_000..10_000), ..Faults::default() });
        let options = ClusterOptions::default().connector(proxy.connector());
        let faulty = cluster(&lab.node, options);
        shared_out(&faulty, &topic, protocol, async {}).await;
        assert!(proxy.cuts() > 0);
    }
}

pub async fn members_of_a_killed_broker_share_all(lab: Arc<Lab>) {
    let kind = lab.kind;
    let mut node = tokio::task::spawn_blocking(move || kind.node()).await.unwrap();
    for protocol in BOTH {
        let topic = format!("outlived-{protocol:?}");
        let members = cluster(&node, ClusterOptions::default());
        fill(&members, &topic).await;
        let killing = tokio::task::spawn_blocking(move || {
            node.kill();
            node.restart();
            node
        });
        let mut back = None;
        shared_out(&members, &topic, protocol, async { back = Some(killing.await.unwrap()) }).await;
        node = back.unwrap();
    }
    tokio::task::spawn_blocking(move || drop(node)).await.unwrap();
}

/// The offsets that come next, so many.
async fn offsets(member: &mut GroupConsumer, count: usize) -> Vec<(i32, i64)> {
    let mut seen = Vec::new();
    while seen.len() < count {
        let more = member.poll(count - seen.len(), PATIENCE).await.unwrap();
        assert!(!more.is_empty(), "{} of {count} came", seen.len());
        seen.extend(more.iter().map(|record| (record.partition, record.offset)));
    }
    seen
}

pub async fn a_member_pauses_and_goes_elsewhere(lab: Arc<Lab>) {
    for protocol in BOTH {
        let topic = format!("elsewhere-{protocol:?}");
        let cluster = lab.cluster();
        fill(&cluster, &topic).await;
        let mut member =
            GroupConsumer::join(&cluster, options(&topic, protocol), topic.as_str()).unwrap();
        offsets(&mut member, 1).await;
        let place = |partition| TopicPartition::new(topic.as_str(), partition);
        member.pause(&[place(1), place(2), place(3)]);
        assert_eq!(member.seek(&place(0), Start::Offset(990)).await.unwrap(), 990);
        let last: Vec<_> = (990..1_000).map(|offset| (0, offset)).collect();
        assert_eq!(offsets(&mut member, 10).await, last);
        assert_eq!(member.seek(&place(0), Start::Time(0)).await.unwrap(), 0);
        assert_eq!(offsets(&mut member, 1).await, [(0, 0)]);
        assert_eq!(member.seek(&place(0), Start::Latest).await.unwrap(), 1_000);
        assert!(member.poll(1, Duration::from_millis(500)).await.unwrap().is_empty());
        member.resume(&[place(1), place(2), place(3)]);
        assert_ne!(offsets(&mut member, 1).await[0].0, 0);
        member.close().await.unwrap();
    }
}
