//! What the brokers last said about the cluster, pure: an immutable view, and how an answer changes it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::ids::TopicId;
use duramen_protocol::messages::metadata::{
    MetadataResponse, MetadataResponseBroker, MetadataResponseTopic,
};
use duramen_protocol::text::Text;

use crate::transport::Address;

/// A live broker.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Broker {
    /// Its id.
    pub id: i32,
    /// Where it says that it is to be reached.
    pub address: Address,
    /// Its rack, if it has one.
    pub rack: Option<Text>,
}

/// One partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Partition {
    /// Its number, from 0.
    pub id: i32,
    /// The leader's broker id; `None` while it has none.
    pub leader: Option<i32>,
    /// The leader's epoch; -1 when the broker is too old to say.
    pub leader_epoch: i32,
    /// Brokers that hold a replica.
    pub replicas: Vec<i32>,
    /// Brokers whose replica is in sync.
    pub in_sync: Vec<i32>,
    /// Brokers whose replica is offline.
    pub offline: Vec<i32>,
}

/// One topic.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Topic {
    /// Its name.
    pub name: Text,
    /// Its id; nil when the broker is too old to say.
    pub id: TopicId,
    /// Whether it is one of the broker's own.
    pub internal: bool,
    /// Its partitions by number, without gaps.
    pub partitions: Vec<Partition>,
}

impl Topic {
    /// A partition by its number.
    #[must_use]
    pub fn partition(&self, id: i32) -> Option<&Partition> {
        self.partitions.get(usize::try_from(id).ok()?)
    }
}

/// The cluster as last heard of.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ClusterView {
    /// The cluster's id.
    pub cluster_id: Option<Text>,
    /// The broker to send changes of topics and configs to.
    pub controller: Option<i32>,
    /// Live brokers by id.
    pub brokers: BTreeMap<i32, Broker>,
    /// Rises with each answer taken in.
    pub generation: u64,
    topics: HashMap<Text, Arc<Topic>>,
    ids: HashMap<TopicId, Text>,
}

impl ClusterView {
    /// A topic by its name.
    #[must_use]
    pub fn topic(&self, name: &str) -> Option<&Arc<Topic>> {
        self.topics.get(name)
    }

    /// A topic's name by its id.
    #[must_use]
    pub fn topic_name(&self, id: &TopicId) -> Option<&Text> {
        self.ids.get(id)
    }

    /// The topics known so far, in no order.
    pub fn topics(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.topics.values()
    }

    /// The view after an answer. Topics that were not asked about stay as they are; with `all`, those
    /// that the answer lacks are gone.
    #[must_use]
    pub fn updated(&self, answer: &MetadataResponse, all: bool) -> Self {
        let mut topics = if all { HashMap::new() } else { self.topics.clone() };
        for answered in &answer.topics {
            let Some(name) = answered.name.clone() else { continue };
            match ErrorCode::from_code(answered.error_code) {
                ErrorCode::None | ErrorCode::LeaderNotAvailable => {
                    let before = self.topics.get(&name);
                    topics.insert(name.clone(), Arc::new(topic_of(name, answered, before)));
                }
                // A passing fault says nothing new about the topic.
                code if code.is_retriable() && code != ErrorCode::UnknownTopicOrPartition => {}
                _ => {
                    topics.remove(&name);
                }
            }
        }
        let ids = topics
            .values()
            .filter(|topic| !topic.id.is_nil())
            .map(|topic| (topic.id, topic.name.clone()))
            .collect();
        Self {
            cluster_id: answer.cluster_id.clone(),
            controller: Some(answer.controller_id).filter(|id| *id >= 0),
            brokers: answer.brokers.iter().filter_map(broker_of).collect(),
            generation: self.generation + 1,
            topics,
            ids,
        }
    }
}

fn broker_of(answered: &MetadataResponseBroker) -> Option<(i32, Broker)> {
    let port = u16::try_from(answered.port).ok().filter(|port| *port > 0)?;
    let address = Address { host: answered.host.to_string(), port };
    let id = answered.node_id;
    Some((id, Broker { id, address, rack: answered.rack.clone() }))
}

fn topic_of(name: Text, answered: &MetadataResponseTopic, before: Option<&Arc<Topic>>) -> Topic {
    // Of the same topic, an older leader epoch comes from a broker that lags behind (KIP-320).
    let before = before.filter(|topic| topic.id == answered.topic_id);
    let mut partitions: Vec<Partition> = answered
        .partitions
        .iter()
        .map(|answered| {
            let known = before.and_then(|topic| topic.partition(answered.partition_index));
            match known {
                Some(known) if known.leader_epoch > answered.leader_epoch => known.clone(),
                _ => Partition {
                    id: answered.partition_index,
                    leader: Some(answered.leader_id).filter(|id| *id >= 0),
                    leader_epoch: answered.leader_epoch,
                    replicas: answered.replica_nodes.clone(),
                    in_sync: answered.isr_nodes.clone(),
                    offline: answered.offline_replicas.clone(),
                },
            }
        })
        .collect();
    partitions.sort_unstable_by_key(|partition| partition.id);
    Topic { name, id: answered.topic_id, internal: answered.is_internal, partitions }
}

#[cfg(test)]
mod tests {
    use super::*;
    use duramen_protocol::messages::metadata::MetadataResponsePartition;

    fn answer(epoch: i32, leader: i32, error: ErrorCode) -> MetadataResponse {
        MetadataResponse {
            controller_id: 1,
            brokers: vec![MetadataResponseBroker {
                node_id: 1,
                host: "h".into(),
                port: 9092,
                ..MetadataResponseBroker::default()
            }],
            topics: vec![MetadataResponseTopic {
                error_code: error.code(),
                name: Some("t".into()),
                topic_id: TopicId::from_u128(7),
                partitions: vec![MetadataResponsePartition {
                    leader_id: leader,
                    leader_epoch: epoch,
                    ..MetadataResponsePartition::default()
                }],
                ..MetadataResponseTopic::default()
            }],
            ..MetadataResponse::default()
        }
    }

    fn leader(view: &ClusterView) -> Option<i32> {
        view.topic("t")?.partition(0)?.leader
    }

    #[test]
    fn a_newer_epoch_wins_and_an_older_one_is_passed_over() {
        let view = ClusterView::default().updated(&answer(5, 1, ErrorCode::None), false);
        assert_eq!((leader(&view), view.controller, view.generation), (Some(1), Some(1), 1));
        let view = view.updated(&answer(4, 2, ErrorCode::None), false);
        assert_eq!(leader(&view), Some(1), "a broker that lags behind");
        let view = view.updated(&answer(6, 2, ErrorCode::None), false);
        assert_eq!(leader(&view), Some(2));
        let view = view.updated(&answer(7, -1, ErrorCode::None), false);
        assert_eq!(leader(&view), None);
    }

    #[test]
    fn a_topic_made_again_begins_with_its_own_epochs() {
        let view = ClusterView::default().updated(&answer(5, 1, ErrorCode::None), false);
        let mut again = answer(0, 2, ErrorCode::None);
        again.topics[0].topic_id = TopicId::from_u128(8);
        let view = view.updated(&again, false);
        assert_eq!(leader(&view), Some(2));
        assert_eq!(view.topic_name(&TopicId::from_u128(7)), None);
        assert_eq!(view.topic_name(&TopicId::from_u128(8)).map(Text::as_str), Some("t"));
    }

    #[test]
    fn a_topic_leaves_when_it_is_gone_not_when_a_broker_stumbles() {
        let view = ClusterView::default().updated(&answer(5, 1, ErrorCode::None), false);
        let stumbled = view.updated(&answer(0, 0, ErrorCode::KafkaStorageError), false);
        assert_eq!(leader(&stumbled), Some(1));
        let gone = view.updated(&answer(0, 0, ErrorCode::UnknownTopicOrPartition), false);
        assert!(gone.topic("t").is_none());
        let others = MetadataResponse::default();
        assert!(view.updated(&others, false).topic("t").is_some());
        assert!(view.updated(&others, true).topic("t").is_none());
    }
}
