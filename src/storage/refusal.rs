//! Why a client's batch is refused, with Kafka's error code for each reason.

use duramen_protocol::error::ErrorCode;
use duramen_protocol::records::BatchError;

/// One record that is refused, for the client's error message (KIP-467).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordRefusal {
    /// Place of the record in its batch, from 0.
    pub index: i32,
    /// What is wrong with it.
    pub message: String,
}

/// Why a batch is refused. The text goes to the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No whole batch in the request.
    #[error("a produce request must hold one record batch per partition, and this one holds none")]
    NoBatch,
    /// A second batch.
    #[error("a produce request must hold exactly one record batch per partition")]
    ManyBatches,
    /// A format of before Kafka 0.11.
    #[error("produce requests may only hold record batches with magic version 2, not {magic}")]
    Magic {
        /// The format as found.
        magic: i8,
    },
    /// The length, format byte or checksum can't be right.
    #[error("record batch is corrupt: {0}")]
    Corrupt(BatchError),
    /// The client must leave the offset to the leader.
    #[error("the base offset of the record batch should be 0, but it is {found}")]
    BaseOffset {
        /// As found.
        found: i64,
    },
    /// Larger than `max.message.bytes`.
    #[error("the record batch has {size} bytes, more than the {limit} of max.message.bytes")]
    TooLarge {
        /// Bytes of the batch.
        size: usize,
        /// The limit, in bytes.
        limit: u32,
    },
    /// Larger than `segment.bytes`.
    #[error("the record batch has {size} bytes, more than the {limit} of segment.bytes")]
    LargerThanSegment {
        /// Bytes of the batch.
        size: usize,
        /// The limit, in bytes.
        limit: u32,
    },
    /// Opened, it would take more memory than allowed.
    #[error("the records of the batch decompress to more than {limit} bytes")]
    Unfolds {
        /// The limit, in bytes.
        limit: usize,
    },
    /// Attribute bits that name no codec.
    #[error("unknown compression type id {code}")]
    Codec {
        /// The three bits.
        code: u8,
    },
    /// zstd in a request of a version that can't have it.
    #[error("produce requests with version {produce_version} are not allowed to use zstd, use 7")]
    ZstdTooEarly {
        /// Version of the request.
        produce_version: i16,
    },
    /// Count and offsets disagree, or there are no records.
    #[error(
        "the record batch claims {count} records and a last offset delta of {last_offset_delta}"
    )]
    Count {
        /// As found.
        count: i32,
        /// As found.
        last_offset_delta: i32,
    },
    /// Control records are the broker's.
    #[error("clients are not allowed to write control records")]
    Control,
    /// A producer id without epoch or sequence.
    #[error(
        "record batch of producer {id} has epoch {epoch} and sequence {sequence}, both must be at least 0"
    )]
    Producer {
        /// Producer id.
        id: i64,
        /// Producer epoch.
        epoch: i16,
        /// Sequence of the first record.
        sequence: i32,
    },
    /// The timestamp type is the topic's to choose.
    #[error("producers should not set the timestamp type to LogAppendTime")]
    ClientLogAppendTime,
    /// A timestamp outside what the topic takes.
    #[error("timestamp {timestamp} is out of range, it should be within [{earliest}, {latest}]")]
    Timestamp {
        /// As found, in ms since 1970.
        timestamp: i64,
        /// Earliest that is taken.
        earliest: i64,
        /// Latest that is taken.
        latest: i64,
    },
    /// The records are not what the format says.
    #[error("the records of the batch can't be read: {0}")]
    Unreadable(BatchError),
    /// Single records are refused, and so the batch.
    #[error("{count} records of the batch are refused; the first, number {}: {}", first(.records).0, first(.records).1)]
    Records {
        /// The first of them.
        records: Vec<RecordRefusal>,
        /// How many in all.
        count: usize,
        /// Whether one of them for its timestamp.
        timestamp: bool,
    },
}

impl Refusal {
    /// Kafka's error code.
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Corrupt(_) => ErrorCode::CorruptMessage,
            Self::TooLarge { .. } | Self::Unfolds { .. } => ErrorCode::MessageTooLarge,
            Self::LargerThanSegment { .. } => ErrorCode::RecordListTooLarge,
            Self::Codec { .. } | Self::ZstdTooEarly { .. } => ErrorCode::UnsupportedCompressionType,
            Self::ClientLogAppendTime
            | Self::Timestamp { .. }
            | Self::Records { timestamp: true, .. } => ErrorCode::InvalidTimestamp,
            _ => ErrorCode::InvalidRecord,
        }
    }

    /// The records at fault, for the `record_errors` of Produce 8 and up.
    pub fn records(&self) -> &[RecordRefusal] {
        if let Self::Records { records, .. } = self { records } else { &[] }
    }
}

fn first(records: &[RecordRefusal]) -> (i32, &str) {
    records.first().map_or((0, ""), |record| (record.index, record.message.as_str()))
}
