//! The topics and partitions of an image.

use std::collections::BTreeMap;
use std::sync::Arc;

use duramen_protocol::ids::{NO_NODE, TopicId};
use duramen_protocol::text::Text;
use uuid::Uuid;

use crate::metadata::map::SharedMap;

/// One partition: who has it, who leads it, since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionImage {
    /// Broker ids, the preferred leader first.
    pub replicas: Vec<i32>,
    /// The in-sync replicas.
    pub isr: Vec<i32>,
    /// Replicas on their way out (KIP-455).
    pub removing_replicas: Vec<i32>,
    /// Replicas on their way in (KIP-455).
    pub adding_replicas: Vec<i32>,
    /// The leader; -1: none.
    pub leader: i32,
    /// Whether the leader was chosen from outside of the in-sync replicas and has not recovered yet
    /// (KIP-704).
    pub recovering: bool,
    /// Grows with each change of leader.
    pub leader_epoch: i32,
    /// Grows with each change of anything.
    pub partition_epoch: i32,
    /// The log directory of each replica, in the order of the replicas; empty: not assigned.
    pub directories: Vec<Uuid>,
    /// Eligible leader replicas (KIP-966).
    pub eligible_leader_replicas: Vec<i32>,
    /// The last known leader when nobody was in sync (KIP-966).
    pub last_known_elr: Vec<i32>,
}

impl PartitionImage {
    /// The leader, if there is one.
    #[must_use]
    pub fn leader(&self) -> Option<i32> {
        (self.leader != NO_NODE).then_some(self.leader)
    }

    /// Whether the broker `id` is a replica.
    #[must_use]
    pub fn has_replica(&self, id: i32) -> bool {
        self.replicas.contains(&id)
    }
}

/// One topic with its partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicImage {
    id: TopicId,
    name: Text,
    partitions: BTreeMap<i32, Arc<PartitionImage>>,
}

impl TopicImage {
    /// A topic that has no partition yet.
    #[must_use]
    pub(in crate::metadata) fn new(id: TopicId, name: Text) -> Self {
        Self { id, name, partitions: BTreeMap::new() }
    }

    /// The topic's id.
    #[must_use]
    pub fn id(&self) -> TopicId {
        self.id
    }

    /// The topic's name.
    #[must_use]
    pub fn name(&self) -> &Text {
        &self.name
    }

    /// The partition `index`.
    #[must_use]
    pub fn partition(&self, index: i32) -> Option<&Arc<PartitionImage>> {
        self.partitions.get(&index)
    }

    /// All partitions, by rising index.
    pub fn partitions(&self) -> impl Iterator<Item = (i32, &Arc<PartitionImage>)> {
        self.partitions.iter().map(|(&index, partition)| (index, partition))
    }

    /// How many partitions there are; their indexes are 0 to this, exclusive.
    #[must_use]
    pub fn partition_count(&self) -> i32 {
        i32::try_from(self.partitions.len()).unwrap_or(i32::MAX)
    }

    /// How many replicas the first partition has; 0 without a partition.
    #[must_use]
    pub fn replication_factor(&self) -> usize {
        self.partitions.first_key_value().map_or(0, |(_, partition)| partition.replicas.len())
    }

    /// Whether the topic is one of the broker's own, as Kafka marks it in Metadata answers.
    #[must_use]
    pub fn is_internal(&self) -> bool {
        is_internal(&self.name)
    }

    pub(in crate::metadata) fn put_partition(&mut self, index: i32, partition: PartitionImage) {
        self.partitions.insert(index, Arc::new(partition));
    }

    pub(in crate::metadata) fn edit_partition(
        &mut self,
        index: i32,
    ) -> Option<&mut PartitionImage> {
        self.partitions.get_mut(&index).map(Arc::make_mut)
    }
}

/// Whether `name` is one of the topics that the broker keeps its own state in.
#[must_use]
pub fn is_internal(name: &str) -> bool {
    matches!(name, "__consumer_offsets" | "__transaction_state" | "__share_group_state")
}

/// `name` with every `.` as `_`: two topics that are equal so would share metric names, and Kafka
/// allows only one of them.
#[must_use]
pub fn unified_name(name: &str) -> Text {
    name.replace('.', "_").into()
}

/// All topics.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TopicsImage {
    by_name: SharedMap<Text, Arc<TopicImage>>,
    /// The name of each id. The topics themselves stand in one place only, so that the records of
    /// one batch can change a topic in place.
    names: SharedMap<TopicId, Text>,
    /// (unified name, name) of each topic that has a `.` or a `_` in its name.
    unified: SharedMap<(Text, Text), ()>,
}

impl TopicsImage {
    /// The topic `name`.
    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<&Arc<TopicImage>> {
        self.by_name.get(name)
    }

    /// The topic with this id.
    #[must_use]
    pub fn by_id(&self, id: TopicId) -> Option<&Arc<TopicImage>> {
        self.by_name.get(self.names.get(&id)?)
    }

    /// The partition `index` of the topic `name`.
    #[must_use]
    pub fn partition(&self, name: &str, index: i32) -> Option<&Arc<PartitionImage>> {
        self.by_name(name)?.partition(index)
    }

    /// A topic whose name differs from `name` at most in `.` for `_` or the reverse.
    #[must_use]
    pub fn colliding(&self, name: &str) -> Option<&Text> {
        let unified = unified_name(name);
        let ((found, topic), ()) =
            self.unified.iter_from(&(unified.clone(), Text::EMPTY)).next()?;
        (*found == unified).then_some(topic)
    }

    /// All topics, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<TopicImage>> {
        self.by_name.values()
    }

    /// The topics whose names are `name` or come after it, by name.
    pub fn iter_from(&self, name: &str) -> impl Iterator<Item = &Arc<TopicImage>> {
        self.by_name.iter_from(name).map(|(_, topic)| topic)
    }

    /// How many topics there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether there is no topic.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    pub(in crate::metadata) fn put(&mut self, topic: TopicImage) {
        let name = topic.name.clone();
        if name.contains(['.', '_']) {
            self.unified.insert((unified_name(&name), name.clone()), ());
        }
        self.names.insert(topic.id, name.clone());
        self.by_name.insert(name, Arc::new(topic));
    }

    pub(in crate::metadata) fn edit(&mut self, id: TopicId) -> Option<&mut TopicImage> {
        self.by_name.get_mut(self.names.get(&id)?).map(Arc::make_mut)
    }

    pub(in crate::metadata) fn remove(&mut self, id: TopicId) -> Option<Arc<TopicImage>> {
        let name = self.names.remove(&id)?;
        self.unified.remove(&(unified_name(&name), name.clone()));
        self.by_name.remove(&name)
    }
}
