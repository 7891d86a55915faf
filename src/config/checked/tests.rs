//! What a file, or nothing at all, comes to.

use super::*;
use crate::config::RawConfig;
use crate::config::topic::{Durability, TargetCompression};

fn resolve(text: &str) -> Result<BrokerConfig, ConfigError> {
    let mut raw = RawConfig::new();
    raw.add_file("test.properties", text)?;
    BrokerConfig::resolve(&raw.settings())
}

fn message(text: &str) -> String {
    resolve(text).unwrap_err().to_string()
}

#[test]
fn no_settings_at_all() {
    let config = resolve("").unwrap();
    assert_eq!(config.node_id, 1);
    assert_eq!(config.log.dirs, [PathBuf::from("./duramen-data")]);
    assert_eq!(config.metadata.dir, PathBuf::from("./duramen-data"));
    assert_eq!(config.topic_defaults, TopicConfig::default());
    assert_eq!(config.topic_defaults.durability, Durability::Disk);
    assert_eq!(config.network.request_max_bytes, 100 << 20);
    assert_eq!(config.network.idle_max, Some(Duration::from_secs(600)));
    assert_eq!(config.log.flush_check_interval, None);
    assert!(config.topics.auto_create);
}

/// The settings of the `server.properties` that Kafka 4.3 ships.
#[test]
fn kafkas_own_file_works_as_it_is() {
    let file = "process.roles=broker,controller\nnode.id=1\n\
        controller.quorum.bootstrap.servers=localhost:9093\n\
        listeners=PLAINTEXT://:9092,CONTROLLER://:9093\ninter.broker.listener.name=PLAINTEXT\n\
        advertised.listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093\n\
        controller.listener.names=CONTROLLER\n\
        listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,\
        SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL\n\
        num.network.threads=3\nnum.io.threads=8\nsocket.send.buffer.bytes=102400\n\
        socket.receive.buffer.bytes=102400\nsocket.request.max.bytes=104857600\n\
        log.dirs=/tmp/kraft-combined-logs\nnum.partitions=1\nnum.recovery.threads.per.data.dir=2\n\
        offsets.topic.replication.factor=1\nshare.coordinator.state.topic.replication.factor=1\n\
        share.coordinator.state.topic.min.isr=1\ntransaction.state.log.replication.factor=1\n\
        transaction.state.log.min.isr=1\nlog.retention.hours=168\nlog.segment.bytes=1073741824\n\
        log.retention.check.interval.ms=300000\n";
    let mut raw = RawConfig::new();
    raw.add_file("server.properties", file).unwrap();
    let config = BrokerConfig::resolve(&raw.settings()).unwrap();
    assert_eq!(config.log.dirs, [PathBuf::from("/tmp/kraft-combined-logs")]);
    assert_eq!(config.listeners.clients.len(), 1);
    assert_eq!(config.listeners.advertised_for("PLAINTEXT").unwrap().host, "localhost");
    assert_eq!(raw.warnings().len(), 7, "{:#?}", raw.warnings());
}

#[test]
fn defaults_of_topics_come_from_the_brokers_settings() {
    let config = resolve(
        "log.retention.hours=2\nlog.roll.hours=3\nlog.roll.ms=500\nmessage.max.bytes=77\n\
         log.durability=page-cache\ncompression.type=zstd\ncompression.zstd.level=7\n\
         log.cleanup.policy=compact,delete\n",
    )
    .unwrap();
    let topic = config.topic_defaults;
    assert_eq!(topic.retention_ms, Some(7_200_000));
    assert_eq!(topic.segment_ms, 500, "the finer unit holds");
    assert_eq!(topic.max_message_bytes, 77);
    assert_eq!(topic.durability, Durability::PageCache);
    assert_eq!(topic.compression, TargetCompression::Zstd(7));
    assert!(topic.compact && topic.delete);
}

#[test]
fn no_limit_in_each_of_its_spellings() {
    let config = resolve(
        "log.retention.ms=-1\nlog.retention.bytes=-1\nqueued.max.request.bytes=-1\n\
         socket.send.buffer.bytes=-1\nconnections.max.idle.ms=-1\nmetadata.max.retention.ms=-1\n\
         metadata.log.max.snapshot.interval.ms=0\n",
    )
    .unwrap();
    assert_eq!(config.topic_defaults.retention_ms, None);
    assert_eq!(config.topic_defaults.retention_bytes, None);
    assert_eq!(config.network.queued_bytes_max, None);
    assert_eq!(config.network.send_buffer_bytes, None);
    assert_eq!(config.network.idle_max, None);
    assert_eq!(config.metadata.retention_ms, None);
    assert_eq!(config.metadata.snapshot_interval, None);
    let hours = resolve("log.retention.hours=-1").unwrap();
    assert_eq!(hours.topic_defaults.retention_ms, None);
    let largest = resolve("log.retention.hours=2147483647").unwrap();
    assert_eq!(largest.topic_defaults.retention_ms, Some(2_147_483_647 * 3_600_000));
}

#[test]
fn settings_that_do_not_go_together() {
    assert!(message("process.roles=broker").contains("use broker,controller"));
    assert!(
        message("log.free.low.bytes=9\nlog.free.high.bytes=8")
            .contains("at least log.free.low.bytes (9)")
    );
    assert!(message("default.replication.factor=0").contains("from 1 to 32767"));
    assert!(message("max.connections.per.ip.overrides=host").contains("host1:count"));
    assert!(
        message("log.cleaner.min.compaction.lag.ms=9\nlog.cleaner.max.compaction.lag.ms=8")
            .starts_with("conflict topic config setting min.compaction.lag.ms (9) >")
    );
}

#[test]
fn connection_overrides() {
    let config = resolve("max.connections.per.ip.overrides=10.0.0.1:5, host:7").unwrap();
    let expected = [("10.0.0.1".to_owned(), 5), ("host".to_owned(), 7)];
    assert_eq!(config.network.connections_max_overrides, expected);
}
