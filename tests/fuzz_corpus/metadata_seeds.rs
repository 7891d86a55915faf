//! One metadata record of each kind, in its smallest and in a full shape, and the hostile ones.

use duramen_protocol::metadata::{
    BrokerChangeRecord, BrokerEndpoint, BrokerFeature, BrokerList, BrokerRegistrationRecord,
    ClusterRecord, ConfigRecord, FeatureLevelRecord, Framed, Kind, MetadataRecord, NoOpRecord,
    PartitionChangeRecord, PartitionRecord, ProducerIdsRecord, RemoveTopicRecord, SnapshotFooter,
    SnapshotHeader, TopicRecord, UnregisterBrokerRecord, Uuid,
};

/// Names and contents of the seeds.
pub fn all() -> Vec<(String, Vec<u8>)> {
    let mut seeds = Vec::new();
    for (shape, kinds) in [("small", small()), ("full", full())] {
        for kind in kinds {
            let name = format!("{}-{shape}", kind.name());
            seeds.push((name, MetadataRecord::new(kind).to_value().to_vec()));
        }
    }
    let header = SnapshotHeader {
        version: 0,
        last_contained_offset: 41,
        last_contained_epoch: 3,
        last_contained_timestamp: 1_700_000_000_000,
    };
    let footer = SnapshotFooter { record_count: 7, records_crc32: 0xdead_beef };
    for (name, bytes) in [
        ("snapshot-header", Framed::Header(header).encode().to_vec()),
        ("snapshot-footer", Framed::Footer(footer).encode().to_vec()),
        ("empty", vec![]),
        ("no-kind", vec![1]),
        ("unknown-frame", vec![77, 0]),
        ("unknown-kind", vec![1, 0x08, 3, 0xc2, 0x0c, 0]),
        ("newer-version", vec![1, 0x08, 9, 0x42, 0]),
        ("length-of-2-gib", vec![1, 0x42, 0xff, 0xff, 0xff, 0xff, 0x07]),
        ("groups-in-groups", [&[1][..], &[0x1b; 200]].concat()),
    ] {
        seeds.push((name.to_owned(), bytes));
    }
    seeds
}

fn small() -> Vec<Kind> {
    vec![
        Kind::NoOp(NoOpRecord::default()),
        Kind::Cluster(ClusterRecord::default()),
        Kind::FeatureLevel(FeatureLevelRecord::default()),
        Kind::BrokerRegistration(BrokerRegistrationRecord::default()),
        Kind::BrokerChange(BrokerChangeRecord::default()),
        Kind::UnregisterBroker(UnregisterBrokerRecord::default()),
        Kind::Topic(TopicRecord::default()),
        Kind::Partition(PartitionRecord::default()),
        Kind::PartitionChange(PartitionChangeRecord::default()),
        Kind::RemoveTopic(RemoveTopicRecord::default()),
        Kind::Config(ConfigRecord::default()),
        Kind::ProducerIds(ProducerIdsRecord::default()),
    ]
}

fn full() -> Vec<Kind> {
    let id = Some(Uuid { most: u64::MAX, least: 7 });
    let brokers = vec![1, -1, i32::MAX, i32::MIN];
    let list = Some(BrokerList { ids: brokers.clone() });
    vec![
        Kind::Cluster(ClusterRecord { cluster_id: "MkU3OEVBNTcwNTJENDM2Qk".to_owned() }),
        Kind::FeatureLevel(FeatureLevelRecord { name: "magic".to_owned(), level: -1 }),
        Kind::BrokerRegistration(BrokerRegistrationRecord {
            broker_id: 1,
            incarnation_id: id,
            broker_epoch: 99,
            endpoints: vec![BrokerEndpoint {
                name: "PLAINTEXT".to_owned(),
                host: "localhost".to_owned(),
                port: 9092,
                security_protocol: 0,
            }],
            features: vec![BrokerFeature { name: "magic".to_owned(), min_level: 1, max_level: 2 }],
            rack: Some("rack".to_owned()),
            fenced: true,
            in_controlled_shutdown: true,
            log_dirs: vec![Uuid { most: 1, least: 2 }; 3],
        }),
        Kind::BrokerChange(BrokerChangeRecord {
            broker_id: 1,
            broker_epoch: 99,
            fenced: Some(false),
            in_controlled_shutdown: Some(true),
        }),
        Kind::Topic(TopicRecord { name: "orders".to_owned(), topic_id: id }),
        Kind::Partition(PartitionRecord {
            partition: 5,
            topic_id: id,
            replicas: brokers.clone(),
            isr: brokers.clone(),
            removing_replicas: brokers.clone(),
            adding_replicas: brokers.clone(),
            leader: -1,
            recovering: true,
            leader_epoch: 3,
            partition_epoch: 4,
            directories: vec![Uuid { most: 1, least: 2 }; 4],
            eligible_leader_replicas: brokers.clone(),
            last_known_elr: brokers,
        }),
        Kind::PartitionChange(PartitionChangeRecord {
            partition: 5,
            topic_id: id,
            isr: list.clone(),
            leader: Some(-1),
            replicas: list.clone(),
            removing_replicas: list.clone(),
            adding_replicas: list.clone(),
            recovering: Some(false),
            eligible_leader_replicas: list.clone(),
            last_known_elr: list,
        }),
        Kind::Config(ConfigRecord {
            resource_type: 2,
            resource_name: "orders".to_owned(),
            name: "retention.ms".to_owned(),
            value: Some("1000".to_owned()),
        }),
        Kind::ProducerIds(ProducerIdsRecord {
            broker_id: 1,
            broker_epoch: 99,
            next_producer_id: i64::MAX,
        }),
    ]
}
