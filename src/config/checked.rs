//! [`BrokerConfig`]: what the broker settings come to, as the code needs it.

use std::path::PathBuf;
use std::time::Duration;

use super::error::ConfigError;
use super::groups::GroupsConfig;
use super::listeners::Listeners;
use super::reader::Reader;
use super::settings::{Settings, Texts};
use super::topic::TopicConfig;
use super::value::Value;

/// The settings of a broker, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct BrokerConfig {
    /// `node.id`.
    pub node_id: i32,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// What this node listens on.
    pub listeners: Listeners,
    /// Connections and requests.
    pub network: NetworkConfig,
    /// New topics.
    pub topics: TopicsConfig,
    /// Data directories and their upkeep.
    pub log: LogDirsConfig,
    /// The metadata log.
    pub metadata: MetadataConfig,
    /// Groups and their offsets.
    pub groups: GroupsConfig,
    /// What a topic without settings of its own has.
    pub topic_defaults: TopicConfig,
}

/// Bounds of connections and requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkConfig {
    /// `socket.request.max.bytes`.
    pub request_max_bytes: u32,
    /// `socket.send.buffer.bytes`; `None` is the operating system's choice.
    pub send_buffer_bytes: Option<u32>,
    /// `socket.receive.buffer.bytes`; `None` is the operating system's choice.
    pub receive_buffer_bytes: Option<u32>,
    /// `socket.listen.backlog.size`.
    pub listen_backlog: u32,
    /// `connections.max.idle.ms`; `None` is never.
    pub idle_max: Option<Duration>,
    /// `max.connections`.
    pub connections_max: u32,
    /// `max.connections.per.ip`.
    pub connections_max_per_ip: u32,
    /// `max.connections.per.ip.overrides`: host and connections.
    pub connections_max_overrides: Vec<(String, u32)>,
    /// `connection.max.inflight.requests`.
    pub inflight_requests_max: u32,
    /// `connection.max.inflight.bytes`.
    pub inflight_bytes_max: u64,
    /// `queued.max.request.bytes`; `None` is no limit.
    pub queued_bytes_max: Option<u64>,
    /// `fetch.max.bytes`.
    pub fetch_max_bytes: u32,
    /// `max.incremental.fetch.session.cache.slots`.
    pub fetch_sessions_max: u32,
    /// `max.request.partition.size.limit`.
    pub described_partitions_max: u32,
    /// `request.timeout.ms`.
    pub request_timeout: Duration,
}

/// How topics come to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicsConfig {
    /// `auto.create.topics.enable`.
    pub auto_create: bool,
    /// `delete.topic.enable`.
    pub delete_enable: bool,
    /// `num.partitions`.
    pub partitions: i32,
    /// `default.replication.factor`.
    pub replication_factor: i16,
}

/// Data directories and their upkeep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogDirsConfig {
    /// `log.dirs`, or else `log.dir`; at least one.
    pub dirs: Vec<PathBuf>,
    /// `log.free.low.bytes`.
    pub free_low_bytes: u64,
    /// `log.free.high.bytes`; at least the low mark.
    pub free_high_bytes: u64,
    /// `log.retention.check.interval.ms`.
    pub retention_check_interval: Duration,
    /// `log.flush.scheduler.interval.ms`; `None` is never.
    pub flush_check_interval: Option<Duration>,
    /// `log.flush.offset.checkpoint.interval.ms`.
    pub recovery_checkpoint_interval: Duration,
    /// `log.flush.start.offset.checkpoint.interval.ms`.
    pub start_checkpoint_interval: Duration,
    /// `replica.high.watermark.checkpoint.interval.ms`.
    pub high_watermark_checkpoint_interval: Duration,
    /// `num.recovery.threads.per.data.dir`.
    pub recovery_threads: u32,
    /// `producer.id.expiration.ms`, in ms.
    pub producer_expiration_ms: i64,
    /// `producer.id.expiration.check.interval.ms`.
    pub producer_check_interval: Duration,
}

/// The metadata log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetadataConfig {
    /// `metadata.log.dir`, or else the first data directory.
    pub dir: PathBuf,
    /// `metadata.log.segment.bytes`.
    pub segment_bytes: u32,
    /// `metadata.log.segment.ms`, in ms.
    pub segment_ms: i64,
    /// `metadata.log.max.record.bytes.between.snapshots`.
    pub snapshot_bytes: u64,
    /// `metadata.log.max.snapshot.interval.ms`; `None` is no limit.
    pub snapshot_interval: Option<Duration>,
    /// `metadata.max.retention.bytes`; `None` is no limit.
    pub retention_bytes: Option<u64>,
    /// `metadata.max.retention.ms`; `None` is for ever.
    pub retention_ms: Option<i64>,
}

impl BrokerConfig {
    /// What `settings` come to.
    ///
    /// # Errors
    /// [`ConfigError`]: a wrong value, or values that do not go together.
    pub fn resolve(settings: &Settings) -> Result<Self, ConfigError> {
        let of = &Reader::broker(settings);
        let roles = of.list("process.roles")?;
        if roles.len() != 2 {
            return Err(ConfigError::Conflict(
                "process.roles: a node is broker and controller in one so far; \
                 use broker,controller or leave the setting out"
                    .to_owned(),
            ));
        }
        let log = LogDirsConfig::read(of)?;
        Ok(Self {
            node_id: of.int("node.id")?,
            rack: optional_text(of, "broker.rack")?,
            listeners: Listeners::read(of)?,
            network: NetworkConfig::read(of)?,
            topics: TopicsConfig::read(of)?,
            metadata: MetadataConfig::read(of, &log)?,
            groups: GroupsConfig::read(of)?,
            log,
            topic_defaults: TopicConfig::resolve(settings, &Texts::new())?,
        })
    }
}

impl NetworkConfig {
    fn read(of: &Reader<'_>) -> Result<Self, ConfigError> {
        let buffer = |name| Ok(u32::try_from(of.int(name)?).ok().filter(|bytes| *bytes > 0));
        Ok(Self {
            request_max_bytes: of.size("socket.request.max.bytes")?,
            send_buffer_bytes: buffer("socket.send.buffer.bytes")?,
            receive_buffer_bytes: buffer("socket.receive.buffer.bytes")?,
            listen_backlog: of.size("socket.listen.backlog.size")?,
            idle_max: of.duration("connections.max.idle.ms")?,
            connections_max: of.size("max.connections")?,
            connections_max_per_ip: of.size("max.connections.per.ip")?,
            connections_max_overrides: overrides(&of.text("max.connections.per.ip.overrides")?)?,
            inflight_requests_max: of.size("connection.max.inflight.requests")?,
            inflight_bytes_max: of.bytes("connection.max.inflight.bytes")?.unwrap_or(u64::MAX),
            queued_bytes_max: of.bytes("queued.max.request.bytes")?,
            fetch_max_bytes: of.size("fetch.max.bytes")?,
            fetch_sessions_max: of.size("max.incremental.fetch.session.cache.slots")?,
            described_partitions_max: of.size("max.request.partition.size.limit")?,
            request_timeout: of.duration("request.timeout.ms")?.unwrap_or(Duration::MAX),
        })
    }
}

impl TopicsConfig {
    fn read(of: &Reader<'_>) -> Result<Self, ConfigError> {
        let replicas = of.int("default.replication.factor")?;
        let replication_factor = i16::try_from(replicas).ok().filter(|replicas| *replicas >= 1);
        Ok(Self {
            auto_create: of.boolean("auto.create.topics.enable")?,
            delete_enable: of.boolean("delete.topic.enable")?,
            partitions: of.int("num.partitions")?,
            replication_factor: replication_factor.ok_or_else(|| {
                let reason = "Value must be from 1 to 32767";
                ConfigError::value("default.replication.factor", &replicas.to_string(), reason)
            })?,
        })
    }
}

impl LogDirsConfig {
    fn read(of: &Reader<'_>) -> Result<Self, ConfigError> {
        let dirs = match of.optional("log.dirs")? {
            Some(Value::List(dirs)) => dirs,
            _ => of.list("log.dir")?,
        };
        let (low, high) = (of.long("log.free.low.bytes")?, of.long("log.free.high.bytes")?);
        if high < low {
            return Err(ConfigError::Conflict(format!(
                "log.free.high.bytes ({high}) must be at least log.free.low.bytes ({low})"
            )));
        }
        let every = |name| Ok(of.duration(name)?.unwrap_or(Duration::MAX));
        Ok(Self {
            dirs: dirs.into_iter().map(PathBuf::from).collect(),
            free_low_bytes: of.bytes("log.free.low.bytes")?.unwrap_or_default(),
            free_high_bytes: of.bytes("log.free.high.bytes")?.unwrap_or_default(),
            retention_check_interval: every("log.retention.check.interval.ms")?,
            flush_check_interval: of.duration("log.flush.scheduler.interval.ms")?,
            recovery_checkpoint_interval: every("log.flush.offset.checkpoint.interval.ms")?,
            start_checkpoint_interval: every("log.flush.start.offset.checkpoint.interval.ms")?,
            high_watermark_checkpoint_interval: every(
                "replica.high.watermark.checkpoint.interval.ms",
            )?,
            recovery_threads: of.size("num.recovery.threads.per.data.dir")?,
            producer_expiration_ms: of.long("producer.id.expiration.ms")?,
            producer_check_interval: every("producer.id.expiration.check.interval.ms")?,
        })
    }
}

impl MetadataConfig {
    fn read(of: &Reader<'_>, log: &LogDirsConfig) -> Result<Self, ConfigError> {
        let dir = optional_text(of, "metadata.log.dir")?.map(PathBuf::from);
        let snapshot_interval = of.duration("metadata.log.max.snapshot.interval.ms")?;
        Ok(Self {
            dir: dir.or_else(|| log.dirs.first().cloned()).unwrap_or_default(),
            segment_bytes: of.size("metadata.log.segment.bytes")?,
            segment_ms: of.long("metadata.log.segment.ms")?,
            snapshot_bytes: of
                .bytes("metadata.log.max.record.bytes.between.snapshots")?
                .unwrap_or(u64::MAX),
            snapshot_interval: snapshot_interval.filter(|interval| !interval.is_zero()),
            retention_bytes: of.bytes("metadata.max.retention.bytes")?,
            retention_ms: Some(of.long("metadata.max.retention.ms")?).filter(|ms| *ms >= 0),
        })
    }
}

fn optional_text(of: &Reader<'_>, name: &str) -> Result<Option<String>, ConfigError> {
    match of.optional(name)? {
        Some(Value::Text(text)) if !text.is_empty() => Ok(Some(text)),
        _ => Ok(None),
    }
}

/// `host1:100,host2:200`.
fn overrides(text: &str) -> Result<Vec<(String, u32)>, ConfigError> {
    let name = "max.connections.per.ip.overrides";
    text.split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty())
        .map(|word| {
            let parsed = word.rsplit_once(':').and_then(|(host, count)| {
                Some((host.trim().to_owned(), count.trim().parse().ok()?))
            });
            parsed.ok_or_else(|| ConfigError::value(name, text, "Expected host1:count,host2:count"))
        })
        .collect()
}

#[cfg(test)]
mod tests;
