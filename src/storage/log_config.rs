//! The settings of one log, already checked: plain numbers, no names, no defaults of their own
//! beyond Kafka's.

use duramen_protocol::records::batch::TimestampType;

use super::retention::RetentionPolicy;

/// When an append counts as done (`durability`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// When it is on the disk: group-committed `fdatasync`.
    #[default]
    Disk,
    /// When the operating system has it, as in Kafka: a power loss may take it.
    PageCache,
}

/// Settings of one log. Defaults are Kafka's (4.3), but for `durability`.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// `retention.ms`: `None` is for ever.
    pub retention_ms: Option<i64>,
    /// `retention.bytes`: `None` is no limit.
    pub retention_bytes: Option<u64>,
    /// `max.message.bytes`: the largest batch, in bytes.
    pub max_message_bytes: usize,
    /// `message.timestamp.type`.
    pub timestamp_type: TimestampType,
    /// `message.timestamp.before.max.ms`: how far a timestamp may lie behind now, in ms.
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`: how far a timestamp may lie ahead of now, in ms.
    pub timestamp_after_max_ms: i64,
    /// `compression.type`: the codec number that batches are stored with (0 is none); `None` is
    /// `producer`, that is as they come.
    pub compression: Option<u8>,
    /// `validate.records`: open every batch and check its records.
    pub validate_records: bool,
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
            retention_ms: Some(7 * DAY_MS),
            retention_bytes: None,
            max_message_bytes: 1_048_588,
            timestamp_type: TimestampType::CreateTime,
            timestamp_before_max_ms: i64::MAX,
            timestamp_after_max_ms: 3_600_000,
            compression: None,
            validate_records: false,
            producer_expiration_ms: DAY_MS,
        }
    }
}

impl LogConfig {
    /// What retention may take.
    pub fn retention_policy(&self) -> RetentionPolicy {
        RetentionPolicy {
            delete: self.delete,
            retention_ms: self.retention_ms,
            retention_bytes: self.retention_bytes,
        }
    }
}
