//! Metadata records in words.

use duramen_protocol::ids::topic_id_to_base64;
use duramen_protocol::metadata::{BrokerList, Framed, Kind, MetadataRecord, Uuid};

/// The value of a record of the metadata log, or of a metadata snapshot, in one line.
pub(super) fn metadata(value: Option<&[u8]>) -> String {
    match Framed::decode(value.unwrap_or_default()) {
        Ok(Framed::Record(record)) => record_words(&record),
        Ok(Framed::Header(header)) => format!(
            "snapshot up to offset {}, epoch {}",
            header.last_contained_offset, header.last_contained_epoch
        ),
        Ok(Framed::Footer(footer)) => {
            format!("end of the snapshot: {} records", footer.record_count)
        }
        Err(error) => format!("can't be read: {error}"),
    }
}

fn record_words(record: &MetadataRecord) -> String {
    let Some(kind) = &record.kind else { return "no record".to_owned() };
    match kind {
        Kind::NoOp(_) => "no change: a leader's first record".to_owned(),
        Kind::Cluster(cluster) => format!("cluster {}", cluster.cluster_id),
        Kind::FeatureLevel(feature) => format!("feature {} level {}", feature.name, feature.level),
        Kind::Topic(topic) => format!("topic {} with id {}", topic.name, id(topic.topic_id)),
        Kind::RemoveTopic(topic) => format!("topic id {} removed", id(topic.topic_id)),
        Kind::Partition(partition) => format!(
            "partition {} of topic id {}: leader {} epoch {}, replicas {:?}, in sync {:?}",
            partition.partition,
            id(partition.topic_id),
            partition.leader,
            partition.leader_epoch,
            partition.replicas,
            partition.isr
        ),
        Kind::PartitionChange(change) => {
            let mut words =
                format!("partition {} of topic id {}:", change.partition, id(change.topic_id));
            if let Some(leader) = change.leader {
                words.push_str(&format!(" leader {leader}"));
            }
            for (name, list) in [("replicas", &change.replicas), ("in sync", &change.isr)] {
                if let Some(BrokerList { ids }) = list {
                    words.push_str(&format!(" {name} {ids:?}"));
                }
            }
            words
        }
        Kind::Config(config) => match &config.value {
            Some(value) => format!("config {}={value} of {}", config.name, config.resource_name),
            None => format!("config {} of {} unset", config.name, config.resource_name),
        },
        Kind::BrokerRegistration(broker) => {
            let at = broker.endpoints.iter().map(|at| format!("{}:{}", at.host, at.port));
            let at = at.collect::<Vec<_>>().join(" ");
            format!(
                "broker {} registered with epoch {} at {at}",
                broker.broker_id, broker.broker_epoch
            )
        }
        Kind::ProducerIds(ids) => format!("producer ids up to {} given out", ids.next_producer_id),
        other => format!("{other:?}"),
    }
}

fn id(id: Option<Uuid>) -> String {
    topic_id_to_base64(&id.unwrap_or_default().into())
}

#[cfg(test)]
mod tests {
    use duramen_protocol::metadata::{ConfigRecord, TopicRecord};

    use super::*;

    #[test]
    fn a_record_reads_as_a_sentence() {
        let words = |kind: Kind| metadata(Some(&MetadataRecord::new(kind).to_value()));
        let topic_id = Some(Uuid { most: 0, least: 7 });
        let topic = TopicRecord { name: "orders".into(), topic_id };
        assert_eq!(words(Kind::Topic(topic)), "topic orders with id AAAAAAAAAAAAAAAAAAAABw");
        let unset = ConfigRecord {
            name: "retention.ms".into(),
            resource_name: "orders".into(),
            ..Default::default()
        };
        assert_eq!(words(Kind::Config(unset)), "config retention.ms of orders unset");
        assert!(metadata(Some(&[9, 9])).starts_with("can't be read"));
        assert!(metadata(None).starts_with("can't be read"));
    }
}
