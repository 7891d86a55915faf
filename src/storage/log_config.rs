//! The settings of one log, already checked: plain numbers, no names, no defaults of their own
//! beyond Kafka's.

use duramen_protocol::records::batch::TimestampType;

use super::compaction::CompactionPolicy;
use super::retention::RetentionPolicy;
pub use crate::config::Durability;
use crate::config::TopicConfig;

/// Settings of one log. Defaults are Kafka's (4.3), but for `durability`.
#[derive(Debug, Clone, PartialEq)]
pub struct LogConfig {
    /// `durability`.
    pub durability: Durability,
    /// `segment.bytes`: roll before a segment grows beyond, in bytes; at most 2^31-1.
    pub segment_bytes: u32,
    /// `segment.ms`: roll when the first batch is older, in ms.
    pub segment_ms: i64,
    /// `segment.jitter.ms`: each segment rolls up to so much earlier, in ms.
    pub segment_jitter_ms: i64,
    /// `segment.index.bytes`: roll when an index would grow beyond, in bytes.
    pub segment_index_bytes: u32,
    /// `index.interval.bytes`: bytes of log between two index entries.
    pub index_interval_bytes: u32,
    /// `flush.messages`: sync after so many records; `u64::MAX` is never.
    pub flush_messages: u64,
    /// `flush.ms`: sync when a record waited so long, in ms; `i64::MAX` is never.
    pub flush_ms: i64,
    /// `cleanup.policy` holds `delete`.
    pub delete: bool,
    /// `cleanup.policy` holds `compact`.
    pub compact: bool,
    /// How it is compacted.
    pub compaction: CompactionPolicy,
    /// `retention.ms`: `None` is for ever.
    pub retention_ms: Option<i64>,
    /// `retention.bytes`: `None` is no limit.
    pub retention_bytes: Option<u64>,
    /// `message.timestamp.type`.
    pub timestamp_type: TimestampType,
    /// The log may use the part of the disk that is kept for when it is full: for logs that the
    /// broker can't go on without.
    pub may_use_reserve: bool,
    /// `producer.id.expiration.ms`: forget producers that wrote nothing for so long, in ms.
    pub producer_expiration_ms: i64,
}

impl Default for LogConfig {
    fn default() -> Self {
        const DAY_MS: i64 = 86_400_000;
        Self {
            durability: Durability::Disk,
            segment_bytes: 1 << 30,
            segment_ms: 7 * DAY_MS,
            segment_jitter_ms: 0,
            segment_index_bytes: 10 << 20,
            index_interval_bytes: 4096,
            flush_messages: u64::MAX,
            flush_ms: i64::MAX,
            delete: true,
            compact: false,
            compaction: CompactionPolicy::default(),
            retention_ms: Some(7 * DAY_MS),
            retention_bytes: None,
            timestamp_type: TimestampType::CreateTime,
            may_use_reserve: false,
            producer_expiration_ms: DAY_MS,
        }
    }
}

impl LogConfig {
    /// The part of a topic's settings that concerns its logs; producers are forgotten after
    /// `producer_expiration_ms` (`producer.id.expiration.ms`, a setting of the broker).
    pub fn of(topic: &TopicConfig, producer_expiration_ms: i64) -> Self {
        let never = |limit: Option<i64>| limit.and_then(|limit| u64::try_from(limit).ok());
        Self {
            durability: topic.durability,
            segment_bytes: topic.segment_bytes,
            segment_ms: topic.segment_ms,
            segment_jitter_ms: topic.segment_jitter_ms,
            segment_index_bytes: topic.segment_index_bytes,
            index_interval_bytes: topic.index_interval_bytes,
            flush_messages: never(topic.flush_messages).unwrap_or(u64::MAX),
            flush_ms: topic.flush_ms.unwrap_or(i64::MAX),
            delete: topic.delete,
            compact: topic.compact,
            compaction: CompactionPolicy {
                min_dirty_ratio: topic.min_cleanable_dirty_ratio,
                min_lag_ms: topic.min_compaction_lag_ms,
                max_lag_ms: topic.max_compaction_lag_ms,
                delete_retention_ms: topic.delete_retention_ms,
            },
            retention_ms: topic.retention_ms,
            retention_bytes: topic.retention_bytes,
            timestamp_type: topic.timestamp_type,
            may_use_reserve: false,
            producer_expiration_ms,
        }
    }

    /// The age at which a segment closes, in ms: one that is compacted late would be so again.
    pub fn segment_ms_max(&self) -> i64 {
        if self.compact { self.segment_ms.min(self.compaction.max_lag_ms) } else { self.segment_ms }
    }

    /// What retention may take.
    pub fn retention_policy(&self) -> RetentionPolicy {
        RetentionPolicy {
            delete: self.delete,
            retention_ms: self.retention_ms,
            retention_bytes: self.retention_bytes,
        }
    }
}
