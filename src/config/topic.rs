//! [`TopicConfig`]: what a topic's settings come to, as the storage needs it.

use duramen_protocol::records::TimestampType;

use super::error::ConfigError;
use super::reader::Reader;
use super::setting::Level;
use super::settings::{Settings, Texts};
use super::table;

/// What an `acks=all` answer promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Every in-sync replica has the batch on disk.
    Disk,
    /// Every in-sync replica has the batch in memory.
    PageCache,
}

impl Durability {
    /// The word of the setting.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Disk => "disk",
            Self::PageCache => "page-cache",
        }
    }
}

/// How batches are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetCompression {
    /// As the producer sent them.
    Producer,
    /// Not compressed.
    None,
    /// By gzip at this level; -1 is the codec's own choice.
    Gzip(i32),
    /// By snappy.
    Snappy,
    /// By LZ4 at this level.
    Lz4(i32),
    /// By zstd at this level.
    Zstd(i32),
}

impl TargetCompression {
    /// The codec's number in batch attributes, or `None` when the producer's is kept.
    pub const fn codec(self) -> Option<u8> {
        match self {
            Self::Producer => None,
            Self::None => Some(0),
            Self::Gzip(_) => Some(1),
            Self::Snappy => Some(2),
            Self::Lz4(_) => Some(3),
            Self::Zstd(_) => Some(4),
        }
    }
}

/// Which replicas a replication quota holds back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Throttled {
    /// None.
    #[default]
    None,
    /// All of the topic.
    All,
    /// These partitions on these brokers.
    Replicas(Vec<(i32, i32)>),
}

/// The settings of one topic, checked. [`Default`] is a topic with no settings of its own on a
/// broker with none.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "they are Kafka's settings, each its own")]
pub struct TopicConfig {
    /// `cleanup.policy` holds `delete`.
    pub delete: bool,
    /// `cleanup.policy` holds `compact`.
    pub compact: bool,
    /// `compression.type` and its level.
    pub compression: TargetCompression,
    /// `durability`.
    pub durability: Durability,
    /// `validate.records`.
    pub validate_records: bool,
    /// `max.message.bytes`: the largest batch.
    pub max_message_bytes: u32,
    /// `message.timestamp.type`.
    pub timestamp_type: TimestampType,
    /// `message.timestamp.before.max.ms`.
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`.
    pub timestamp_after_max_ms: i64,
    /// `min.insync.replicas`.
    pub min_insync_replicas: i32,
    /// `unclean.leader.election.enable`.
    pub unclean_leader_election: bool,
    /// `retention.ms`; `None` is for ever.
    pub retention_ms: Option<i64>,
    /// `retention.bytes`; `None` is no limit.
    pub retention_bytes: Option<u64>,
    /// `segment.bytes`.
    pub segment_bytes: u32,
    /// `segment.ms`.
    pub segment_ms: i64,
    /// `segment.jitter.ms`.
    pub segment_jitter_ms: i64,
    /// `segment.index.bytes`.
    pub segment_index_bytes: u32,
    /// `index.interval.bytes`.
    pub index_interval_bytes: u32,
    /// `flush.messages`; `None` is never.
    pub flush_messages: Option<i64>,
    /// `flush.ms`; `None` is never.
    pub flush_ms: Option<i64>,
    /// `preallocate`.
    pub preallocate: bool,
    /// `delete.retention.ms`.
    pub delete_retention_ms: i64,
    /// `min.compaction.lag.ms`.
    pub min_compaction_lag_ms: i64,
    /// `max.compaction.lag.ms`.
    pub max_compaction_lag_ms: i64,
    /// `min.cleanable.dirty.ratio`.
    pub min_cleanable_dirty_ratio: f64,
    /// `leader.replication.throttled.replicas`.
    pub leader_throttled: Throttled,
    /// `follower.replication.throttled.replicas`.
    pub follower_throttled: Throttled,
}

impl TopicConfig {
    /// The settings of a topic with the settings `own` on a broker with `settings`.
    ///
    /// # Errors
    /// [`ConfigError`] with Kafka's words: an unknown name, a wrong value, a conflict.
    pub fn resolve(settings: &Settings, own: &Texts) -> Result<Self, ConfigError> {
        for name in own.keys() {
            if table::find(Level::Topic, name).is_none() {
                let nearest = table::nearest(Level::Topic, name).map(str::to_owned);
                let (of, name) = ("topic", name.to_string());
                return Err(ConfigError::UnknownOwn { of, name, nearest });
            }
        }
        let config = Self::read(&Reader::topic(settings, own))?;
        config.check()?;
        Ok(config)
    }

    fn read(of: &Reader<'_>) -> Result<Self, ConfigError> {
        let cleanup = of.list("cleanup.policy")?;
        let holds = |policy: &str| cleanup.iter().any(|word| word == policy);
        // Not acted on, but a wrong value must not pass.
        for name in ["local.retention.ms", "local.retention.bytes"] {
            of.long(name)?;
        }
        for name in ["remote.log.copy.disable", "remote.log.delete.on.disable"] {
            of.boolean(name)?;
        }
        if of.boolean("remote.storage.enable")? {
            return Err(ConfigError::Conflict(
                "Tiered Storage functionality is disabled in the broker. Topic cannot be \
                 configured with remote log storage."
                    .to_owned(),
            ));
        }
        let segment_bytes = of.optional_int("internal.segment.bytes")?;
        Ok(Self {
            delete: holds("delete"),
            compact: holds("compact"),
            compression: compression(of)?,
            durability: match of.text("durability")?.as_str() {
                "page-cache" => Durability::PageCache,
                _ => Durability::Disk,
            },
            validate_records: of.boolean("validate.records")?,
            max_message_bytes: of.size("max.message.bytes")?,
            timestamp_type: match of.text("message.timestamp.type")?.as_str() {
                "LogAppendTime" => TimestampType::LogAppendTime,
                _ => TimestampType::CreateTime,
            },
            timestamp_before_max_ms: of.long("message.timestamp.before.max.ms")?,
            timestamp_after_max_ms: of.long("message.timestamp.after.max.ms")?,
            min_insync_replicas: of.int("min.insync.replicas")?,
            unclean_leader_election: of.boolean("unclean.leader.election.enable")?,
            retention_ms: Some(of.long("retention.ms")?).filter(|ms| *ms >= 0),
            retention_bytes: u64::try_from(of.long("retention.bytes")?).ok(),
            segment_bytes: match segment_bytes {
                Some(bytes) => u32::try_from(bytes).unwrap_or_default(),
                None => of.size("segment.bytes")?,
            },
            segment_ms: of.long("segment.ms")?,
            segment_jitter_ms: of.long("segment.jitter.ms")?,
            segment_index_bytes: of.size("segment.index.bytes")?,
            index_interval_bytes: of.size("index.interval.bytes")?,
            flush_messages: Some(of.long("flush.messages")?).filter(|count| *count < i64::MAX),
            flush_ms: Some(of.long("flush.ms")?).filter(|ms| *ms < i64::MAX),
            preallocate: of.boolean("preallocate")?,
            delete_retention_ms: of.long("delete.retention.ms")?,
            min_compaction_lag_ms: of.long("min.compaction.lag.ms")?,
            max_compaction_lag_ms: of.long("max.compaction.lag.ms")?,
            min_cleanable_dirty_ratio: of.double("min.cleanable.dirty.ratio")?,
            leader_throttled: throttled(&of.list("leader.replication.throttled.replicas")?),
            follower_throttled: throttled(&of.list("follower.replication.throttled.replicas")?),
        })
    }

    fn check(&self) -> Result<(), ConfigError> {
        let (min, max) = (self.min_compaction_lag_ms, self.max_compaction_lag_ms);
        if min > max {
            return Err(ConfigError::Conflict(format!(
                "conflict topic config setting min.compaction.lag.ms ({min}) > \
                 max.compaction.lag.ms ({max})"
            )));
        }
        Ok(())
    }
}

impl Default for TopicConfig {
    fn default() -> Self {
        Self {
            delete: true,
            compact: false,
            compression: TargetCompression::Producer,
            durability: Durability::Disk,
            validate_records: false,
            max_message_bytes: 1_048_588,
            timestamp_type: TimestampType::CreateTime,
            timestamp_before_max_ms: i64::MAX,
            timestamp_after_max_ms: 3_600_000,
            min_insync_replicas: 1,
            unclean_leader_election: false,
            retention_ms: Some(604_800_000),
            retention_bytes: None,
            segment_bytes: 1_073_741_824,
            segment_ms: 604_800_000,
            segment_jitter_ms: 0,
            segment_index_bytes: 10_485_760,
            index_interval_bytes: 4096,
            flush_messages: None,
            flush_ms: None,
            preallocate: false,
            delete_retention_ms: 86_400_000,
            min_compaction_lag_ms: 0,
            max_compaction_lag_ms: i64::MAX,
            min_cleanable_dirty_ratio: 0.5,
            leader_throttled: Throttled::None,
            follower_throttled: Throttled::None,
        }
    }
}

fn compression(of: &Reader<'_>) -> Result<TargetCompression, ConfigError> {
    // All levels are read, so that a wrong one is refused whichever codec is chosen.
    let gzip = of.int("compression.gzip.level")?;
    let lz4 = of.int("compression.lz4.level")?;
    let zstd = of.int("compression.zstd.level")?;
    Ok(match of.text("compression.type")?.as_str() {
        "uncompressed" => TargetCompression::None,
        "gzip" => TargetCompression::Gzip(gzip),
        "snappy" => TargetCompression::Snappy,
        "lz4" => TargetCompression::Lz4(lz4),
        "zstd" => TargetCompression::Zstd(zstd),
        _ => TargetCompression::Producer,
    })
}

fn throttled(words: &[String]) -> Throttled {
    let replica = |word: &String| {
        let (partition, broker) = word.split_once(':')?;
        Some((partition.parse().ok()?, broker.parse().ok()?))
    };
    match words {
        [] => Throttled::None,
        [all] if all == "*" => Throttled::All,
        words => Throttled::Replicas(words.iter().filter_map(replica).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use duramen_protocol::text::Text;

    fn resolve(pairs: &[(&str, &str)]) -> Result<TopicConfig, String> {
        let own = pairs.iter().map(|(name, value)| (Text::from(*name), Text::from(*value)));
        TopicConfig::resolve(&Settings::default(), &own.collect())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn no_settings_are_the_default() {
        assert_eq!(resolve(&[]), Ok(TopicConfig::default()));
    }

    #[test]
    fn every_setting_arrives_where_it_belongs() {
        let config = resolve(&[
            ("cleanup.policy", "compact"),
            ("compression.type", "gzip"),
            ("compression.gzip.level", "5"),
            ("durability", "page-cache"),
            ("validate.records", "true"),
            ("message.timestamp.type", "LogAppendTime"),
            ("retention.ms", "-1"),
            ("retention.bytes", "100"),
            ("flush.messages", "1"),
            ("flush.ms", "7"),
            ("leader.replication.throttled.replicas", "0:1,2:3"),
            ("follower.replication.throttled.replicas", "*"),
        ])
        .unwrap();
        assert!(config.compact && !config.delete && config.validate_records);
        assert_eq!(config.compression, TargetCompression::Gzip(5));
        assert_eq!(config.compression.codec(), Some(1));
        assert_eq!(config.durability, Durability::PageCache);
        assert_eq!(config.timestamp_type, TimestampType::LogAppendTime);
        assert_eq!((config.retention_ms, config.retention_bytes), (None, Some(100)));
        assert_eq!((config.flush_messages, config.flush_ms), (Some(1), Some(7)));
        assert_eq!(config.leader_throttled, Throttled::Replicas(vec![(0, 1), (2, 3)]));
        assert_eq!(config.follower_throttled, Throttled::All);
        let neither = resolve(&[("cleanup.policy", "")]).unwrap();
        assert!(!neither.compact && !neither.delete);
    }

    #[test]
    fn tests_may_have_small_segments() {
        assert_eq!(resolve(&[("internal.segment.bytes", "100")]).unwrap().segment_bytes, 100);
        assert!(resolve(&[("segment.bytes", "100")]).is_err());
    }

    #[test]
    fn unknown_names_and_conflicts_in_kafkas_words() {
        assert_eq!(
            resolve(&[("retention.msec", "1")]).unwrap_err(),
            "Unknown topic config name: retention.msec; did you mean `retention.ms`?"
        );
        assert_eq!(
            resolve(&[("log.retention.ms", "1")]).unwrap_err(),
            "Unknown topic config name: log.retention.ms; did you mean `retention.ms`?"
        );
        assert_eq!(
            resolve(&[("min.compaction.lag.ms", "10"), ("max.compaction.lag.ms", "5")])
                .unwrap_err(),
            "conflict topic config setting min.compaction.lag.ms (10) > max.compaction.lag.ms (5)"
        );
        assert!(
            resolve(&[("remote.storage.enable", "true")]).unwrap_err().contains("Tiered Storage")
        );
    }

    #[test]
    fn a_wrong_value_is_refused_even_where_it_would_not_matter() {
        for (name, value) in [
            ("compression.zstd.level", "99"),
            ("local.retention.ms", "-3"),
            ("remote.log.copy.disable", "maybe"),
            ("preallocate", "1"),
        ] {
            assert!(resolve(&[(name, value)]).is_err(), "{name}");
        }
    }
}
