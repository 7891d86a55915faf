//! What a leader demands of a batch that a client sends, before the batch comes near the log.
//!
//! PURE, and done outside every lock. The checks and their order are Kafka's (`ProduceRequest`,
//! `UnifiedLog`, `LogValidator`), but they are made on the 61 header bytes and one pass for the
//! checksum. Records are opened only where a setting asks for what is inside them: another codec,
//! keys on a compacted topic, `validate.records`. Where Kafka looks at the timestamp of each
//! record, the header's first and largest stand for them all.

use bytes::Bytes;
use duramen_protocol::records::{
    BatchError, BatchHeader, BatchView, Compression, CompressionError, HEADER_LEN, TimestampType,
};

use crate::config::{TargetCompression, TopicConfig};

pub use super::refusal::{RecordRefusal, Refusal};

/// What opened records may unfold to, in bytes: as much as could have come uncompressed in one
/// request by default (`socket.request.max.bytes`).
pub const UNFOLDED_MAX: usize = 100 << 20;

/// Refused records that are told to the client one by one.
const REFUSED_RECORDS_MAX: usize = 100;

/// What a topic's settings ask of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchRules {
    /// Largest batch, in bytes (`max.message.bytes`).
    pub max_message_bytes: u32,
    /// Largest segment, in bytes (`segment.bytes`): a batch must fit into one.
    pub segment_bytes: u32,
    /// Whose time the records have (`message.timestamp.type`).
    pub timestamp_type: TimestampType,
    /// How far a timestamp may lie behind the clock, in ms.
    pub timestamp_before_max_ms: i64,
    /// How far a timestamp may lie ahead of the clock, in ms.
    pub timestamp_after_max_ms: i64,
    /// How batches are stored (`compression.type`).
    pub compression: TargetCompression,
    /// Whether each record must have a key (`cleanup.policy` holds `compact`).
    pub keys_required: bool,
    /// Whether each record is checked (`validate.records`).
    pub validate_records: bool,
}

impl From<&TopicConfig> for BatchRules {
    fn from(topic: &TopicConfig) -> Self {
        Self {
            max_message_bytes: topic.max_message_bytes,
            segment_bytes: topic.segment_bytes,
            timestamp_type: topic.timestamp_type,
            timestamp_before_max_ms: topic.timestamp_before_max_ms,
            timestamp_after_max_ms: topic.timestamp_after_max_ms,
            compression: topic.compression,
            keys_required: topic.compact,
            validate_records: topic.validate_records,
        }
    }
}

/// A batch that may be appended: [`Self::header`] followed by [`Self::payload`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidatedBatch {
    /// The header to store. Base offset and leader epoch are still the client's, and neither is
    /// covered by the checksum: stamp both under the log's lock.
    pub header: BatchHeader,
    /// What follows the header: a slice of the client's bytes, unless they had to be recompressed.
    pub payload: Bytes,
    /// The time that all records were given, in ms since 1970, on a `LogAppendTime` topic.
    pub log_append_time_ms: Option<i64>,
}

impl ValidatedBatch {
    /// A batch that this broker built itself: only its frame is looked at.
    ///
    /// # Errors
    /// [`Refusal`] when `bytes` are not exactly one batch.
    pub fn own(bytes: &Bytes) -> Result<Self, Refusal> {
        let batch = only_batch(bytes)?;
        let payload = bytes.slice(HEADER_LEN..batch.size());
        Ok(Self { header: batch.header(), payload, log_append_time_ms: None })
    }

    /// Bytes of header and payload.
    pub fn size(&self) -> usize {
        HEADER_LEN + self.payload.len()
    }
}

/// Checks the batch in `bytes`, the record data of one partition of a produce request, as of
/// `now_ms` (ms since 1970).
///
/// # Errors
/// [`Refusal`], which knows Kafka's error code.
pub fn check_client_batch(
    bytes: &Bytes,
    rules: &BatchRules,
    now_ms: i64,
) -> Result<ValidatedBatch, Refusal> {
    let batch = only_batch(bytes)?;
    check_whole(&batch, rules)?;
    let codec = check_header(&batch)?;
    check_timestamps(&batch, rules, now_ms)?;

    let mut header = batch.header();
    let mut payload = bytes.slice(HEADER_LEN..batch.size());
    let target = rules.compression.codec().and_then(Compression::from_code);
    let target = target.filter(|target| *target != codec);
    if rules.validate_records || rules.keys_required || target.is_some() {
        let mut scratch = Vec::new();
        let opened = open(&batch, &mut scratch, rules, now_ms)?;
        // Searches by time go by the header, so it must tell the truth where the truth is known.
        header.max_timestamp = opened.max_timestamp;
        if let Some(target) = target {
            header.attributes = header.attributes.with_codec(target.code());
            payload = recompressed(target, rules.compression, opened.records)?;
            check_size(HEADER_LEN + payload.len(), rules)?;
        }
    }
    let log_append_time_ms =
        (rules.timestamp_type == TimestampType::LogAppendTime).then_some(now_ms);
    if let Some(now_ms) = log_append_time_ms {
        header.attributes = header.attributes.with_timestamp_type(TimestampType::LogAppendTime);
        header.max_timestamp = now_ms;
    }
    if header != batch.header() {
        header = header.sealed(&payload).map_err(Refusal::Corrupt)?;
    }
    Ok(ValidatedBatch { header, payload, log_append_time_ms })
}

/// Refuses what the version of the produce request does not allow: zstd before 7 (KIP-110).
///
/// # Errors
/// [`Refusal::ZstdTooEarly`].
pub fn check_codec_for_version(bytes: &[u8], produce_version: i16) -> Result<(), Refusal> {
    let zstd = BatchHeader::parse(bytes)
        .is_ok_and(|header| header.attributes.codec() == Compression::Zstd.code());
    if zstd && produce_version < 7 {
        return Err(Refusal::ZstdTooEarly { produce_version });
    }
    Ok(())
}

/// The one batch that a partition of a produce request must hold. A cut batch behind it is
/// ignored, as Kafka does.
fn only_batch(bytes: &[u8]) -> Result<BatchView<'_>, Refusal> {
    let size = batch_size(bytes)?.ok_or(Refusal::NoBatch)?;
    let (batch, _) = BatchView::split(bytes).map_err(|error| match error {
        BatchError::Magic { magic } => Refusal::Magic { magic },
        error => Refusal::Corrupt(error),
    })?;
    let rest = bytes.get(size..).unwrap_or_default();
    if batch_size(rest)?.is_some() {
        return Err(Refusal::ManyBatches);
    }
    Ok(batch)
}

/// Bytes of the batch of any format at the front, or `None` if it is not all there.
fn batch_size(bytes: &[u8]) -> Result<Option<usize>, Refusal> {
    const OVERHEAD: usize = 12;
    const LENGTH_MIN: i32 = 14;
    let Some(length) = bytes.get(8..).and_then(<[u8]>::first_chunk) else { return Ok(None) };
    let length = i32::from_be_bytes(*length);
    if length < LENGTH_MIN {
        return Err(Refusal::Corrupt(BatchError::Length { length }));
    }
    let Some(magic) = bytes.get(16) else { return Ok(None) };
    let magic = i8::from_be_bytes([*magic]);
    if !(0..=2).contains(&magic) {
        return Err(Refusal::Corrupt(BatchError::Magic { magic }));
    }
    let size = usize::try_from(length).unwrap_or(usize::MAX).saturating_add(OVERHEAD);
    Ok((size <= bytes.len()).then_some(size))
}

fn check_whole(batch: &BatchView<'_>, rules: &BatchRules) -> Result<(), Refusal> {
    if batch.base_offset() != 0 {
        return Err(Refusal::BaseOffset { found: batch.base_offset() });
    }
    check_size(batch.size(), rules)?;
    batch.check_crc().map_err(Refusal::Corrupt)
}

fn check_size(size: usize, rules: &BatchRules) -> Result<(), Refusal> {
    let larger_than = |limit: u32| size > usize::try_from(limit).unwrap_or(usize::MAX);
    if larger_than(rules.max_message_bytes) {
        return Err(Refusal::TooLarge { size, limit: rules.max_message_bytes });
    }
    if larger_than(rules.segment_bytes) {
        return Err(Refusal::LargerThanSegment { size, limit: rules.segment_bytes });
    }
    Ok(())
}

fn check_header(batch: &BatchView<'_>) -> Result<Compression, Refusal> {
    let code = batch.attributes().codec();
    let codec = Compression::from_code(code).ok_or(Refusal::Codec { code })?;
    let (count, delta) = (batch.record_count(), batch.last_offset_delta());
    if count <= 0 || delta.checked_add(1) != Some(count) {
        return Err(Refusal::Count { count, last_offset_delta: delta });
    }
    if batch.is_control() {
        return Err(Refusal::Control);
    }
    let (id, epoch, sequence) =
        (batch.producer_id(), batch.producer_epoch(), batch.base_sequence());
    if id >= 0 && (epoch < 0 || sequence < 0) {
        return Err(Refusal::Producer { id, epoch, sequence });
    }
    Ok(codec)
}

fn check_timestamps(batch: &BatchView<'_>, rules: &BatchRules, now_ms: i64) -> Result<(), Refusal> {
    if batch.timestamp_type() == TimestampType::LogAppendTime {
        return Err(Refusal::ClientLogAppendTime);
    }
    let bounds = Bounds::of(rules, now_ms);
    let outside = [batch.max_timestamp(), batch.base_timestamp()]
        .into_iter()
        .find(|timestamp| !bounds.hold(*timestamp));
    outside.map_or(Ok(()), |timestamp| {
        Err(Refusal::Timestamp { timestamp, earliest: bounds.earliest, latest: bounds.latest })
    })
}

/// Which timestamps a topic takes, in ms since 1970.
#[derive(Clone, Copy)]
struct Bounds {
    earliest: i64,
    latest: i64,
}

impl Bounds {
    fn of(rules: &BatchRules, now_ms: i64) -> Self {
        match rules.timestamp_type {
            TimestampType::CreateTime => Self {
                earliest: now_ms.saturating_sub(rules.timestamp_before_max_ms),
                latest: now_ms.saturating_add(rules.timestamp_after_max_ms),
            },
            // They are going to be replaced.
            TimestampType::LogAppendTime => Self { earliest: i64::MIN, latest: i64::MAX },
        }
    }

    /// A record may also have no timestamp at all.
    fn hold(self, timestamp: i64) -> bool {
        timestamp == -1 || (self.earliest..=self.latest).contains(&timestamp)
    }
}

/// What was found inside a batch.
struct Opened<'a> {
    /// The records, decompressed.
    records: &'a [u8],
    max_timestamp: i64,
}

fn open<'a>(
    batch: &BatchView<'a>,
    scratch: &'a mut Vec<u8>,
    rules: &BatchRules,
    now_ms: i64,
) -> Result<Opened<'a>, Refusal> {
    let iter = batch.records(scratch, UNFOLDED_MAX).map_err(unreadable)?;
    let records = iter.rest();
    let bounds = Bounds::of(rules, now_ms);
    let mut max_timestamp = -1;
    let mut refused = RefusedRecords::default();
    for (index, record) in (0_i64..).zip(iter) {
        let record = record.map_err(unreadable)?;
        max_timestamp = max_timestamp.max(record.timestamp);
        if rules.keys_required && record.key.is_none() {
            refused.add(index, "Compacted topic cannot accept message without key".to_owned());
        } else if !bounds.hold(record.timestamp) {
            refused.timestamp = true;
            let (timestamp, Bounds { earliest, latest }) = (record.timestamp, bounds);
            refused.add(
                index,
                format!("Timestamp {timestamp} is out of range. The timestamp should be within [{earliest}, {latest}]"),
            );
        } else if rules.validate_records && record.offset != index {
            let offset = record.offset;
            refused.add(index, format!("Offset {offset} of the record should be {index}"));
        }
    }
    refused.into_result()?;
    Ok(Opened { records, max_timestamp })
}

#[derive(Default)]
struct RefusedRecords {
    records: Vec<RecordRefusal>,
    count: usize,
    timestamp: bool,
}

impl RefusedRecords {
    fn add(&mut self, index: i64, message: String) {
        self.count += 1;
        if self.records.len() < REFUSED_RECORDS_MAX {
            let index = i32::try_from(index).unwrap_or(i32::MAX);
            self.records.push(RecordRefusal { index, message });
        }
    }

    fn into_result(self) -> Result<(), Refusal> {
        if self.count == 0 {
            return Ok(());
        }
        let Self { records, count, timestamp } = self;
        Err(Refusal::Records { records, count, timestamp })
    }
}

fn unreadable(error: BatchError) -> Refusal {
    match error {
        BatchError::Compression(CompressionError::TooLarge { limit }) => Refusal::Unfolds { limit },
        error => Refusal::Unreadable(error),
    }
}

fn recompressed(
    codec: Compression,
    target: TargetCompression,
    records: &[u8],
) -> Result<Bytes, Refusal> {
    let level = match target {
        TargetCompression::Gzip(level)
        | TargetCompression::Lz4(level)
        | TargetCompression::Zstd(level) => Some(level),
        _ => None,
    };
    let compressed = duramen_protocol::records::compression::compress(codec, level, records);
    compressed.map(Bytes::from).map_err(|error| Refusal::Unreadable(BatchError::Compression(error)))
}

#[cfg(test)]
mod tests;
