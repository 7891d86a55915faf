//! A broker of either kind, topics on it, and records that are numbered so that a lost or a doubled one
//! shows.

use std::ops::ControlFlow;
use std::process::Command;
use std::time::Duration;

use duramen_client::admin::{NewTopic, OffsetQuestion, OffsetSpec};
use duramen_client::consumer::{Assignment, Consumer, ConsumerOptions, Event, Isolation, Start};
use duramen_client::producer::{Delivery, Producer, ProducerRecord};
use duramen_client::{Admin, Cluster, ClusterOptions};

use crate::support::node::Node;
use crate::support::reference;

/// Longer than anything here may take.
pub const PATIENCE: Duration = Duration::from_secs(120);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Duramen,
    Kafka,
}

impl Kind {
    /// Why this broker can't be started here.
    pub fn missing(self) -> Option<&'static str> {
        match self {
            Self::Duramen => None,
            Self::Kafka if !reference::cache().join("kafka-tools/.stamp").exists() => {
                Some("Apache Kafka is not there: scripts/clients fetches it")
            }
            Self::Kafka if Command::new("java").arg("-version").output().is_err() => {
                Some("java is not there")
            }
            Self::Kafka => None,
        }
    }

    /// A broker of its own for a case that kills it.
    pub fn node(self) -> Node {
        let settings = ["auto.create.topics.enable=false", "group.initial.rebalance.delay.ms=0"];
        match self {
            Self::Duramen => Node::duramen_with(&settings),
            Self::Kafka => Node::kafka_with(&settings),
        }
    }
}

pub struct Lab {
    pub kind: Kind,
    pub node: Node,
}

impl Lab {
    pub fn start(kind: Kind) -> Self {
        Self { kind, node: kind.node() }
    }

    pub fn cluster(&self) -> Cluster {
        cluster(&self.node, ClusterOptions::default())
    }
}

pub fn cluster(node: &Node, options: ClusterOptions) -> Cluster {
    Cluster::new(&node.bootstrap(), options).unwrap()
}

/// Makes a topic.
pub async fn create(cluster: &Cluster, name: &str, partitions: i32, configs: &[(&str, &str)]) {
    let topic = NewTopic::new(name)
        .partitions(partitions)
        .configs(configs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect());
    for made in Admin::new(cluster).create_topics(&[topic], false).await.unwrap() {
        made.result.unwrap();
    }
}

/// Puts numbers into a partition, in order.
pub async fn enqueue(
    producer: &Producer,
    topic: &str,
    partition: i32,
    numbers: std::ops::Range<u32>,
) -> Vec<Delivery> {
    let mut deliveries = Vec::new();
    for number in numbers {
        let value = number.to_string();
        let record = ProducerRecord {
            partition: Some(partition),
            ..ProducerRecord::new(topic, value.as_bytes())
        };
        deliveries.push(producer.enqueue(record).await.unwrap());
    }
    deliveries
}

/// All values of a topic by partition, as text, up to where each ends now.
pub async fn read_all(cluster: &Cluster, topic: &str) -> Vec<Vec<String>> {
    read_all_by(cluster, topic, ConsumerOptions::default()).await
}

/// The same by a consumer with these options.
pub async fn read_all_by(
    cluster: &Cluster,
    topic: &str,
    options: ConsumerOptions,
) -> Vec<Vec<String>> {
    let count = cluster.topic(topic).await.unwrap().partitions.len();
    let partitions = 0..i32::try_from(count).unwrap();
    let questions: Vec<OffsetQuestion> = partitions
        .map(|partition| OffsetQuestion::new(topic, partition, OffsetSpec::Latest))
        .collect();
    let admin = Admin::new(cluster);
    let answers = admin.list_offsets(Isolation::ReadUncommitted, questions).await.unwrap();
    let assignments = answers
        .into_iter()
        .map(|answer| {
            Assignment::new(topic, answer.question.partition, Start::Offset(0))
                .end(answer.offset.unwrap())
        })
        .collect();
    let mut consumer = Consumer::start(cluster, options, assignments).unwrap();
    let (mut values, mut scratch) = (vec![Vec::new(); count], Vec::new());
    loop {
        let next = tokio::time::timeout(PATIENCE, consumer.next()).await.expect("records come");
        let Some(event) = next else { return values };
        let Event::Records(fetched) = event.unwrap() else { panic!("a position jumped") };
        let into = &mut values[usize::try_from(fetched.partition).unwrap()];
        let _ = fetched
            .visit(&mut scratch, |_, record| {
                into.push(String::from_utf8(record.value.unwrap().to_vec()).unwrap());
                ControlFlow::<()>::Continue(())
            })
            .unwrap();
    }
}

/// The numbers as they are read back.
pub fn numbers(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}
