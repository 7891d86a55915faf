//! [`GroupsConfig`]: what the settings of the group coordinator come to.

use std::time::Duration;

use super::consumer_times::ConsumerTimes;
use super::error::ConfigError;
use super::reader::Reader;

const MS_A_MINUTE: i64 = 60_000;

/// `group.consumer.migration.policy`: which groups may change their protocol with members in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MigrationPolicy {
    /// None.
    Disabled,
    /// Classic ones.
    Upgrade,
    /// Those of KIP-848.
    Downgrade,
    /// Both.
    Bidirectional,
}

impl MigrationPolicy {
    fn from_word(word: &str) -> Self {
        let is = |known: &str| word.eq_ignore_ascii_case(known);
        if is("disabled") {
            Self::Disabled
        } else if is("upgrade") {
            Self::Upgrade
        } else if is("downgrade") {
            Self::Downgrade
        } else {
            Self::Bidirectional
        }
    }

    /// Whether a classic group may become one of KIP-848.
    pub const fn upgrades(self) -> bool {
        matches!(self, Self::Upgrade | Self::Bidirectional)
    }

    /// Whether a group of KIP-848 may become a classic one.
    pub const fn downgrades(self) -> bool {
        matches!(self, Self::Downgrade | Self::Bidirectional)
    }
}

/// Groups and their offsets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupsConfig {
    /// `group.initial.rebalance.delay.ms`.
    pub initial_rebalance_delay: Duration,
    /// `group.min.session.timeout.ms`, in ms.
    pub session_timeout_min_ms: i32,
    /// `group.max.session.timeout.ms`, in ms; at least the minimum.
    pub session_timeout_max_ms: i32,
    /// `group.max.size`.
    pub members_max: u32,
    /// `group.consumer.session.timeout.ms` and `group.consumer.heartbeat.interval.ms`.
    pub consumer_times: ConsumerTimes,
    /// `group.consumer.max.size`.
    pub consumer_members_max: u32,
    /// `group.consumer.assignors`.
    pub consumer_assignors: Vec<String>,
    /// `group.consumer.migration.policy`.
    pub migration: MigrationPolicy,
    /// `offset.metadata.max.bytes`.
    pub offset_metadata_max_bytes: u32,
    /// `offsets.retention.minutes`, in ms.
    pub offsets_retention_ms: i64,
    /// `offsets.retention.check.interval.ms`.
    pub expiry_interval: Duration,
    /// `offsets.topic.num.partitions`.
    pub topic_partitions: i32,
    /// `offsets.topic.replication.factor`.
    pub topic_replication_factor: i16,
    /// `offsets.topic.segment.bytes`.
    pub topic_segment_bytes: u32,
}

impl GroupsConfig {
    pub(super) fn read(of: &Reader<'_>) -> Result<Self, ConfigError> {
        let (shortest, longest) =
            (of.int("group.min.session.timeout.ms")?, of.int("group.max.session.timeout.ms")?);
        if longest < shortest {
            return Err(ConfigError::Conflict(format!(
                "group.max.session.timeout.ms ({longest}) must be at least \
                 group.min.session.timeout.ms ({shortest})"
            )));
        }
        let every = |name| Ok(of.duration(name)?.unwrap_or(Duration::MAX));
        // Kafka bounds none of these; below 0 there is nothing.
        let number = |name| Ok::<u32, ConfigError>(u32::try_from(of.int(name)?).unwrap_or(0));
        let replicas = of.int("offsets.topic.replication.factor")?;
        Ok(Self {
            initial_rebalance_delay: Duration::from_millis(
                number("group.initial.rebalance.delay.ms")?.into(),
            ),
            session_timeout_min_ms: shortest,
            session_timeout_max_ms: longest,
            members_max: of.size("group.max.size")?,
            consumer_times: ConsumerTimes::read(of)?,
            consumer_members_max: of.size("group.consumer.max.size")?,
            consumer_assignors: of.list("group.consumer.assignors")?,
            migration: MigrationPolicy::from_word(&of.text("group.consumer.migration.policy")?),
            offset_metadata_max_bytes: number("offset.metadata.max.bytes")?,
            offsets_retention_ms: of.long("offsets.retention.minutes")? * MS_A_MINUTE,
            expiry_interval: every("offsets.retention.check.interval.ms")?,
            topic_partitions: of.int("offsets.topic.num.partitions")?,
            topic_replication_factor: i16::try_from(replicas).unwrap_or(i16::MAX),
            topic_segment_bytes: of.size("offsets.topic.segment.bytes")?,
        })
    }
}
