//! Replay: an image and metadata records give the next image and what changed between the two.
//!
//! Replay is total and deterministic: the same metadata records on the same image always give the
//! same image. A metadata record that refers to something that is not there changes nothing and is
//! counted ([`MetadataDelta::ignored`]); a metadata record that this build does not fully understand
//! stops replay with a typed error, because an image that lacks it would be wrong.

use std::collections::BTreeSet;
use std::sync::Arc;

use duramen_protocol::ids::TopicId;
use duramen_protocol::metadata::{
    BrokerChangeRecord, BrokerRegistrationRecord, ConfigRecord, FeatureLevelRecord, FramedError,
    Kind, MetadataRecord, PartitionChangeRecord, PartitionRecord, TopicRecord,
    UnregisterBrokerRecord,
};
use duramen_protocol::text::Text;

use super::image::{
    BrokerImage, ConfigResource, MetadataImage, PartitionImage, Provenance, TopicImage,
};
use super::record::{broker_image, change_partition, id_or_nil, partition_image};

/// What replay touched; whether it really changed is seen by comparing the two images.
#[derive(Debug, Clone, Default)]
struct Touched {
    topics: BTreeSet<TopicId>,
    brokers: BTreeSet<i32>,
    configs: BTreeSet<ConfigResource>,
}

/// An image in the making.
#[derive(Debug)]
pub struct Replay {
    before: Arc<MetadataImage>,
    next: MetadataImage,
    touched: Touched,
    ignored: usize,
}

impl Replay {
    /// Starts from `image`.
    #[must_use]
    pub fn new(image: &Arc<MetadataImage>) -> Self {
        Self {
            before: Arc::clone(image),
            next: (**image).clone(),
            touched: Touched::default(),
            ignored: 0,
        }
    }

    /// Replays one metadata record.
    ///
    /// # Errors
    ///
    /// A metadata record that this build does not fully understand; the image in the making is then
    /// of no use.
    pub fn apply(&mut self, record: &MetadataRecord) -> Result<(), FramedError> {
        let took_effect = match record.checked_kind()? {
            Kind::NoOp(_) => true,
            Kind::Cluster(record) => {
                self.next.cluster_id = Text::from(&record.cluster_id);
                true
            }
            Kind::FeatureLevel(record) => self.feature_level(record),
            Kind::BrokerRegistration(record) => self.broker_registration(record),
            Kind::BrokerChange(record) => self.broker_change(record),
            Kind::UnregisterBroker(record) => self.unregister_broker(record),
            Kind::Topic(record) => self.topic(record),
            Kind::Partition(record) => self.partition(record),
            Kind::PartitionChange(record) => self.partition_change(record),
            Kind::RemoveTopic(record) => self.remove_topic(id_or_nil(record.topic_id)),
            Kind::Config(record) => self.config(record),
            Kind::ProducerIds(record) => {
                // Never backwards: a producer id is handed out once.
                self.next.next_producer_id =
                    self.next.next_producer_id.max(record.next_producer_id);
                true
            }
        };
        if !took_effect {
            self.ignored += 1;
        }
        Ok(())
    }

    /// Replays several metadata records, in order.
    ///
    /// # Errors
    ///
    /// As [`Self::apply`].
    pub fn apply_all<'a>(
        &mut self,
        records: impl IntoIterator<Item = &'a MetadataRecord>,
    ) -> Result<(), FramedError> {
        records.into_iter().try_for_each(|record| self.apply(record))
    }

    /// Forgets everything and starts from an empty image, as before a snapshot; what was there
    /// counts as removed unless it is replayed again.
    pub fn reset(&mut self) {
        self.next = MetadataImage::default();
        self.touched.topics.extend(self.before.topics.iter().map(|topic| topic.id()));
        self.touched.brokers.extend(self.before.brokers.iter().map(|broker| broker.id));
        self.touched
            .configs
            .extend(self.before.configs.iter().map(|(resource, _)| resource.clone()));
    }

    /// The next image, which goes up to `at`, and what changed.
    #[must_use]
    pub fn finish(self, at: Provenance) -> MetadataDelta {
        let mut next = self.next;
        next.provenance = at;
        MetadataDelta {
            before: self.before,
            after: Arc::new(next),
            touched: self.touched,
            ignored: self.ignored,
        }
    }

    fn feature_level(&mut self, record: &FeatureLevelRecord) -> bool {
        let Ok(level) = i16::try_from(record.level) else { return false };
        let features = Arc::make_mut(&mut self.next.features);
        if level == 0 {
            return features.remove(record.name.as_str()).is_some();
        }
        features.insert(Text::from(&record.name), level);
        true
    }

    fn broker_registration(&mut self, record: &BrokerRegistrationRecord) -> bool {
        let Some(broker) = broker_image(record) else { return false };
        self.touched.brokers.insert(broker.id);
        self.next.brokers.insert(broker);
        true
    }

    fn broker_change(&mut self, record: &BrokerChangeRecord) -> bool {
        let Some(broker) = self.registered(record.broker_id, record.broker_epoch) else {
            return false;
        };
        let mut broker = (**broker).clone();
        broker.fenced = record.fenced.unwrap_or(broker.fenced);
        broker.in_controlled_shutdown =
            record.in_controlled_shutdown.unwrap_or(broker.in_controlled_shutdown);
        self.touched.brokers.insert(broker.id);
        self.next.brokers.insert(broker);
        true
    }

    fn unregister_broker(&mut self, record: &UnregisterBrokerRecord) -> bool {
        if self.registered(record.broker_id, record.broker_epoch).is_none() {
            return false;
        }
        self.touched.brokers.insert(record.broker_id);
        self.next.brokers.remove(record.broker_id);
        true
    }

    fn registered(&self, id: i32, epoch: i64) -> Option<&Arc<BrokerImage>> {
        self.next.brokers.get(id).filter(|broker| broker.epoch == epoch)
    }

    fn topic(&mut self, record: &TopicRecord) -> bool {
        let id = id_or_nil(record.topic_id);
        let topics = &mut self.next.topics;
        if topics.by_id(id).is_some() || topics.by_name(&record.name).is_some() {
            return false;
        }
        self.touched.topics.insert(id);
        topics.put(TopicImage::new(id, Text::from(&record.name)));
        true
    }

    fn partition(&mut self, record: &PartitionRecord) -> bool {
        let id = id_or_nil(record.topic_id);
        if record.partition < 0 {
            return false;
        }
        let Some(topic) = self.next.topics.edit(id) else { return false };
        topic.put_partition(record.partition, partition_image(record));
        self.touched.topics.insert(id);
        true
    }

    fn partition_change(&mut self, record: &PartitionChangeRecord) -> bool {
        let id = id_or_nil(record.topic_id);
        let topic = self.next.topics.edit(id);
        let Some(partition) = topic.and_then(|topic| topic.edit_partition(record.partition)) else {
            return false;
        };
        change_partition(partition, record);
        self.touched.topics.insert(id);
        true
    }

    fn remove_topic(&mut self, id: TopicId) -> bool {
        let Some(topic) = self.next.topics.remove(id) else { return false };
        self.touched.topics.insert(id);
        let resource = ConfigResource::topic(topic.name().clone());
        if self.next.configs.remove(&resource) {
            self.touched.configs.insert(resource);
        }
        true
    }

    fn config(&mut self, record: &ConfigRecord) -> bool {
        let Ok(kind) = i8::try_from(record.resource_type) else { return false };
        let resource = ConfigResource { kind, name: Text::from(&record.resource_name) };
        match &record.value {
            Some(value) => {
                self.next.configs.set(resource.clone(), Text::from(&record.name), Text::from(value))
            }
            None => self.next.configs.unset(&resource, &record.name),
        }
        self.touched.configs.insert(resource);
        true
    }
}

/// What lies between two images.
#[derive(Debug, Clone)]
pub struct MetadataDelta {
    before: Arc<MetadataImage>,
    after: Arc<MetadataImage>,
    touched: Touched,
    ignored: usize,
}

/// A topic that was created, removed, or changed in some partition.
#[derive(Debug, Clone, Copy)]
pub struct TopicChange<'a> {
    /// The topic before; `None`: it was created.
    pub before: Option<&'a Arc<TopicImage>>,
    /// The topic now; `None`: it was removed.
    pub after: Option<&'a Arc<TopicImage>>,
}

/// A partition that was created, removed or changed.
#[derive(Debug, Clone, Copy)]
pub struct PartitionChange<'a> {
    /// Its topic: as it is now, or as it last was.
    pub topic: &'a Arc<TopicImage>,
    /// Its index in the topic.
    pub index: i32,
    /// The partition before; `None`: it was created.
    pub before: Option<&'a Arc<PartitionImage>>,
    /// The partition now; `None`: it was removed.
    pub after: Option<&'a Arc<PartitionImage>>,
}

impl MetadataDelta {
    /// The image before.
    #[must_use]
    pub fn before(&self) -> &Arc<MetadataImage> {
        &self.before
    }

    /// The image after.
    #[must_use]
    pub fn after(&self) -> &Arc<MetadataImage> {
        &self.after
    }

    /// How many metadata records referred to something that was not there; not 0 only if a bug of
    /// ours wrote them.
    #[must_use]
    pub fn ignored(&self) -> usize {
        self.ignored
    }

    /// The topics that were created, removed or changed, by id. A topic deleted and made again is
    /// two changes, for it has two ids; removals come first, so that the name is free.
    pub fn topics(&self) -> impl Iterator<Item = TopicChange<'_>> {
        let changes = || {
            self.touched.topics.iter().map(|&id| TopicChange {
                before: self.before.topics().by_id(id),
                after: self.after.topics().by_id(id),
            })
        };
        let removed = changes().filter(|change| change.before.is_some() && change.after.is_none());
        let kept =
            changes().filter(|change| change.after.is_some() && change.before != change.after);
        removed.chain(kept)
    }

    /// The partitions that were created, removed or changed, removals first.
    pub fn partitions(&self) -> impl Iterator<Item = PartitionChange<'_>> {
        self.topics().flat_map(partition_changes)
    }

    /// The resources whose configs changed; the configs of a removed topic are gone with it.
    pub fn configs(&self) -> impl Iterator<Item = &ConfigResource> {
        self.touched.configs.iter().filter(|resource| {
            self.before.configs().get(resource) != self.after.configs().get(resource)
        })
    }

    /// The brokers that registered, changed or left, by id: (before, after).
    pub fn brokers(
        &self,
    ) -> impl Iterator<Item = (Option<&Arc<BrokerImage>>, Option<&Arc<BrokerImage>>)> {
        self.touched
            .brokers
            .iter()
            .map(|&id| (self.before.brokers().get(id), self.after.brokers().get(id)))
            .filter(|(before, after)| before != after)
    }
}

fn partition_changes(change: TopicChange<'_>) -> impl Iterator<Item = PartitionChange<'_>> {
    let TopicChange { before, after } = change;
    let indexes: BTreeSet<i32> = [before, after]
        .into_iter()
        .flatten()
        .flat_map(|topic| topic.partitions().map(|(index, _)| index))
        .collect();
    let topic = after.or(before);
    indexes.into_iter().filter_map(move |index| {
        let before = before.and_then(|topic| topic.partition(index));
        let after = after.and_then(|topic| topic.partition(index));
        let topic = topic?;
        (before != after).then_some(PartitionChange { topic, index, before, after })
    })
}
