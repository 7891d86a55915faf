//! A broker, topics with numbered records, and members of groups.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;

use duramen_client::Admin;
use duramen_client::admin::NewTopic;
use duramen_client::cluster::{Cluster, ClusterOptions};
use duramen_client::consumer::group::{
    GroupConsumer, GroupEvent, GroupOptions, GroupProtocol, Subscription,
};
use duramen_client::consumer::{ConsumerRecord, Fetched, TopicPartition};
use duramen_client::producer::{Producer, ProducerOptions, ProducerRecord};
use tokio::time::timeout;

use crate::support::node::Node;

/// Longer than any rebalance here may take.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub struct Lab {
    pub node: Node,
    pub cluster: Cluster,
    pub admin: Admin,
}

impl Lab {
    pub fn start() -> Self {
        Self::with("group.consumer.migration.policy=bidirectional")
    }

    /// With one setting more.
    pub fn with(setting: &str) -> Self {
        let node = Node::start(&[
            "group.initial.rebalance.delay.ms=100",
            "group.consumer.min.heartbeat.interval.ms=200",
            "group.consumer.heartbeat.interval.ms=500",
            setting,
        ]);
        let cluster = Cluster::new(&node.bootstrap(), ClusterOptions::default()).unwrap();
        let admin = Admin::new(&cluster);
        Self { node, cluster, admin }
    }

    pub async fn topic(&self, name: &str, partitions: i32) {
        let topic = NewTopic::new(name).partitions(partitions);
        let made = self.admin.create_topics(&[topic], false).await.unwrap();
        for topic in made {
            topic.result.unwrap();
        }
    }

    /// Writes numbers to a topic, one after another over its partitions.
    pub async fn write(&self, topic: &str, partitions: i32, numbers: std::ops::Range<u32>) {
        let producer = Producer::start(&self.cluster, ProducerOptions::default()).unwrap();
        let mut sent = Vec::new();
        for number in numbers {
            let value = number.to_string();
            let partition = (number % u32::try_from(partitions).unwrap()).cast_signed();
            let mut record = ProducerRecord::new(topic, value.as_bytes());
            record.partition = Some(partition);
            sent.push(producer.enqueue(record).await.unwrap());
        }
        for delivery in sent {
            delivery.await.unwrap();
        }
    }

    /// What the group has committed, by partition.
    pub async fn committed(&self, group: &str) -> BTreeMap<TopicPartition, i64> {
        let committed = self.admin.committed_offsets(&[group.into()]).await.unwrap();
        let offsets = committed.into_iter().next().unwrap().result.unwrap();
        offsets.into_iter().map(|(at, committed)| (at, committed.offset)).collect()
    }

    pub fn member(&self, options: GroupOptions, topics: impl Into<Subscription>) -> Reader {
        Reader {
            consumer: GroupConsumer::join(&self.cluster, options, topics).unwrap(),
            owned: Vec::new(),
            seen: Vec::new(),
        }
    }
}

/// A member and what it has read.
pub struct Reader {
    pub consumer: GroupConsumer,
    pub owned: Vec<TopicPartition>,
    pub seen: Vec<u32>,
}

impl Reader {
    /// Takes the next event.
    pub async fn step(&mut self) -> GroupEvent {
        let event = timeout(PATIENCE, self.consumer.next()).await.expect("an event in time");
        let event = event.expect("no end").expect("no error");
        match &event {
            GroupEvent::Records(fetched) => self.seen.extend(numbers(fetched)),
            GroupEvent::Assigned(added) => self.owned.extend(added.iter().cloned()),
            GroupEvent::Revoked(gone) | GroupEvent::Lost(gone) => {
                self.owned.retain(|at| !gone.contains(at));
            }
            GroupEvent::AtEnd => {}
            other => panic!("{other:?}"),
        }
        event
    }

    /// Goes on until it owns so many partitions.
    pub async fn until_owns(&mut self, count: usize) {
        while self.owned.len() != count {
            self.step().await;
        }
    }

    pub async fn until_seen(&mut self, count: usize) {
        while self.seen.len() < count {
            self.step().await;
        }
    }
}

/// A member of this protocol in the group `g`.
pub fn of(protocol: GroupProtocol) -> GroupOptions {
    GroupOptions::new("g").protocol(protocol)
}

pub const BOTH: [GroupProtocol; 2] = [GroupProtocol::Classic, GroupProtocol::Consumer];

/// Lets two members go on until they own so many partitions each: one that has what it should get may
/// still have to give others back.
pub async fn until_own(one: &mut Reader, two: &mut Reader, counts: (usize, usize)) {
    while (one.owned.len(), two.owned.len()) != counts {
        step_either(one, two).await;
    }
}

/// The next event of one of two members.
pub async fn step_either(one: &mut Reader, two: &mut Reader) {
    tokio::select! {
        _ = one.step() => {}
        _ = two.step() => {}
    }
}

/// The number in a record.
pub fn number(record: &ConsumerRecord) -> u32 {
    std::str::from_utf8(record.value.as_ref().unwrap()).unwrap().parse().unwrap()
}

/// The numbers of what was fetched.
pub fn numbers(fetched: &Fetched) -> Vec<u32> {
    let mut all = Vec::new();
    let visited = fetched.visit::<()>(&mut Vec::new(), |_, record| {
        let text = std::str::from_utf8(record.value.unwrap()).unwrap();
        all.push(text.parse().unwrap());
        ControlFlow::Continue(())
    });
    assert!(visited.is_ok());
    all
}
