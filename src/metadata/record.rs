//! Between metadata records and the parts of an image, both ways, and a whole image as metadata
//! records (what a snapshot holds). The records themselves are declared in
//! `protocol/proto/metadata.proto`.

use std::collections::BTreeMap;

use duramen_protocol::ids::TopicId;
use duramen_protocol::metadata::{
    BrokerEndpoint, BrokerFeature, BrokerRegistrationRecord, ClusterRecord, ConfigRecord,
    FeatureLevelRecord, Kind, MetadataRecord, PartitionChangeRecord, PartitionRecord,
    ProducerIdsRecord, RemoveTopicRecord, TopicRecord,
};
use duramen_protocol::text::Text;
use uuid::Uuid;

use super::image::brokers::{BrokerImage, Endpoint, FeatureRange};
use super::image::{ConfigResource, MetadataImage, PartitionImage};

/// The cluster's id.
#[must_use]
pub fn cluster(cluster_id: &str) -> MetadataRecord {
    Kind::Cluster(ClusterRecord { cluster_id: cluster_id.to_owned() }).into()
}

/// The finalized level of a feature; 0 takes the feature away.
#[must_use]
pub fn feature_level(name: &str, level: i16) -> MetadataRecord {
    Kind::FeatureLevel(FeatureLevelRecord { name: name.to_owned(), level: level.into() }).into()
}

/// A topic's creation.
#[must_use]
pub fn topic(name: &str, id: TopicId) -> MetadataRecord {
    Kind::Topic(TopicRecord { name: name.to_owned(), topic_id: Some(id.into()) }).into()
}

/// A topic's removal.
#[must_use]
pub fn remove_topic(id: TopicId) -> MetadataRecord {
    Kind::RemoveTopic(RemoveTopicRecord { topic_id: Some(id.into()) }).into()
}

/// A partition's creation.
#[must_use]
pub fn partition(topic: TopicId, index: i32, partition: &PartitionImage) -> MetadataRecord {
    Kind::Partition(PartitionRecord {
        partition: index,
        topic_id: Some(topic.into()),
        replicas: partition.replicas.clone(),
        isr: partition.isr.clone(),
        removing_replicas: partition.removing_replicas.clone(),
        adding_replicas: partition.adding_replicas.clone(),
        leader: partition.leader,
        recovering: partition.recovering,
        leader_epoch: partition.leader_epoch,
        partition_epoch: partition.partition_epoch,
        directories: partition.directories.iter().map(|&id| id.into()).collect(),
        eligible_leader_replicas: partition.eligible_leader_replicas.clone(),
        last_known_elr: partition.last_known_elr.clone(),
    })
    .into()
}

/// A new leader of a partition (-1: none), or the same one in a new term.
#[must_use]
pub fn partition_leader(topic: TopicId, index: i32, leader: i32) -> MetadataRecord {
    Kind::PartitionChange(PartitionChangeRecord {
        partition: index,
        topic_id: Some(topic.into()),
        leader: Some(leader),
        ..Default::default()
    })
    .into()
}

/// A config set (`Some`) or removed (`None`).
#[must_use]
pub fn config(resource: &ConfigResource, name: &str, value: Option<&str>) -> MetadataRecord {
    Kind::Config(ConfigRecord {
        resource_type: resource.kind.into(),
        resource_name: resource.name.to_string(),
        name: name.to_owned(),
        value: value.map(str::to_owned),
    })
    .into()
}

/// A broker's registration.
#[must_use]
pub fn broker_registration(broker: &BrokerImage) -> MetadataRecord {
    Kind::BrokerRegistration(BrokerRegistrationRecord {
        broker_id: broker.id,
        incarnation_id: Some(broker.incarnation_id.into()),
        broker_epoch: broker.epoch,
        endpoints: broker.endpoints.iter().map(endpoint_record).collect(),
        features: broker
            .features
            .iter()
            .map(|(name, range)| BrokerFeature {
                name: name.to_string(),
                min_level: range.min.into(),
                max_level: range.max.into(),
            })
            .collect(),
        rack: broker.rack.as_ref().map(ToString::to_string),
        fenced: broker.fenced,
        in_controlled_shutdown: broker.in_controlled_shutdown,
        log_dirs: broker.log_dirs.iter().map(|&id| id.into()).collect(),
    })
    .into()
}

/// A block of producer ids handed out: the next block starts at `next_producer_id`.
#[must_use]
pub fn producer_ids(broker_id: i32, broker_epoch: i64, next_producer_id: i64) -> MetadataRecord {
    Kind::ProducerIds(ProducerIdsRecord { broker_id, broker_epoch, next_producer_id }).into()
}

/// The whole image as metadata records; replayed on an empty image they give this one again.
#[must_use]
pub fn image_records(image: &MetadataImage) -> Vec<MetadataRecord> {
    let mut records = Vec::new();
    if !image.cluster_id().is_empty() {
        records.push(cluster(image.cluster_id()));
    }
    records.extend(image.features().iter().map(|(name, &level)| feature_level(name, level)));
    records.extend(image.brokers().iter().map(|broker| broker_registration(broker)));
    for found in image.topics().iter() {
        records.push(topic(found.name(), found.id()));
        records.extend(found.partitions().map(|(at, has)| partition(found.id(), at, has)));
    }
    for (resource, values) in image.configs().iter() {
        records.extend(values.iter().map(|(name, value)| config(resource, name, Some(value))));
    }
    if image.next_producer_id() != 0 {
        records.push(producer_ids(-1, -1, image.next_producer_id()));
    }
    records
}

/// The partition that a record creates.
pub(super) fn partition_image(record: &PartitionRecord) -> PartitionImage {
    PartitionImage {
        replicas: record.replicas.clone(),
        isr: record.isr.clone(),
        removing_replicas: record.removing_replicas.clone(),
        adding_replicas: record.adding_replicas.clone(),
        leader: record.leader,
        recovering: record.recovering,
        leader_epoch: record.leader_epoch,
        partition_epoch: record.partition_epoch,
        directories: record.directories.iter().map(|&id| id.into()).collect(),
        eligible_leader_replicas: record.eligible_leader_replicas.clone(),
        last_known_elr: record.last_known_elr.clone(),
    }
}

/// Makes the change that a record tells of.
pub(super) fn change_partition(partition: &mut PartitionImage, record: &PartitionChangeRecord) {
    let lists = [
        (&mut partition.isr, &record.isr),
        (&mut partition.replicas, &record.replicas),
        (&mut partition.removing_replicas, &record.removing_replicas),
        (&mut partition.adding_replicas, &record.adding_replicas),
        (&mut partition.eligible_leader_replicas, &record.eligible_leader_replicas),
        (&mut partition.last_known_elr, &record.last_known_elr),
    ];
    for (present, change) in lists {
        if let Some(list) = change {
            present.clone_from(&list.ids);
        }
    }
    if let Some(recovering) = record.recovering {
        partition.recovering = recovering;
    }
    if let Some(leader) = record.leader {
        partition.leader = leader;
        partition.leader_epoch = partition.leader_epoch.saturating_add(1);
    }
    partition.partition_epoch = partition.partition_epoch.saturating_add(1);
}

/// The broker that a record registers; numbers that don't fit are `None`.
pub(super) fn broker_image(record: &BrokerRegistrationRecord) -> Option<BrokerImage> {
    let mut features = BTreeMap::new();
    for feature in &record.features {
        let min = i16::try_from(feature.min_level).ok()?;
        let max = i16::try_from(feature.max_level).ok()?;
        features.insert(Text::from(&feature.name), FeatureRange { min, max });
    }
    Some(BrokerImage {
        id: record.broker_id,
        incarnation_id: id_or_nil(record.incarnation_id),
        epoch: record.broker_epoch,
        endpoints: record.endpoints.iter().map(endpoint_image).collect::<Option<_>>()?,
        features,
        rack: record.rack.as_ref().map(Text::from),
        fenced: record.fenced,
        in_controlled_shutdown: record.in_controlled_shutdown,
        log_dirs: record.log_dirs.iter().map(|&id| id.into()).collect(),
    })
}

/// The id in a record; protobuf leaves the nil id out.
pub(super) fn id_or_nil(id: Option<duramen_protocol::metadata::Uuid>) -> Uuid {
    id.unwrap_or_default().into()
}

fn endpoint_record(endpoint: &Endpoint) -> BrokerEndpoint {
    BrokerEndpoint {
        name: endpoint.name.to_string(),
        host: endpoint.host.to_string(),
        port: endpoint.port.into(),
        security_protocol: endpoint.security_protocol.into(),
    }
}

fn endpoint_image(endpoint: &BrokerEndpoint) -> Option<Endpoint> {
    Some(Endpoint {
        name: Text::from(&endpoint.name),
        host: Text::from(&endpoint.host),
        port: u16::try_from(endpoint.port).ok()?,
        security_protocol: i16::try_from(endpoint.security_protocol).ok()?,
    })
}
