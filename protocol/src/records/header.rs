//! The 61 header bytes of a record batch v2: where each field lies, what the attribute bits mean,
//! and [`BatchHeader`], an owned copy.
//!
//! ```text
//!  0 base offset            i64      21 attributes          i16   <- the CRC covers from here
//!  8 batch length           i32      23 last offset delta   i32
//! 12 partition leader epoch i32      27 base timestamp      i64 ms
//! 16 magic                  i8       35 max timestamp       i64 ms
//! 17 crc                    u32      43 producer id         i64
//!                                    51 producer epoch      i16
//!                                    53 base sequence       i32
//!                                    57 record count        i32
//!                                    61 payload
//! ```

use super::crc::crc_of;
use super::error::BatchError;

/// Bytes of a batch header.
pub const HEADER_LEN: usize = 61;

/// Bytes of the base offset and length fields, which the length field does not count.
pub const LOG_OVERHEAD: usize = 12;

/// The smallest true value of the length field: a header with no payload.
pub const MIN_BATCH_LENGTH: i32 = 49;

/// The only format that is served.
pub const MAGIC: i8 = 2;

/// The header bytes up to and with the magic byte, the same in every format.
pub(super) const MAGIC_END: usize = 17;

/// Where the bytes begin that the CRC covers.
pub(super) const CRC_START: usize = 21;

/// Byte places of the fields within the header.
pub(super) mod at {
    pub(in super::super) const BASE_OFFSET: usize = 0;
    pub(in super::super) const BATCH_LENGTH: usize = 8;
    pub(in super::super) const LEADER_EPOCH: usize = 12;
    pub(in super::super) const MAGIC: usize = 16;
    pub(in super::super) const CRC: usize = 17;
    pub(in super::super) const ATTRIBUTES: usize = 21;
    pub(in super::super) const LAST_OFFSET_DELTA: usize = 23;
    pub(in super::super) const BASE_TIMESTAMP: usize = 27;
    pub(in super::super) const MAX_TIMESTAMP: usize = 35;
    pub(in super::super) const PRODUCER_ID: usize = 43;
    pub(in super::super) const PRODUCER_EPOCH: usize = 51;
    pub(in super::super) const BASE_SEQUENCE: usize = 53;
    pub(in super::super) const RECORD_COUNT: usize = 57;
}

/// The `N` bytes at `AT`; both are checked when compiling, so that this is one load.
#[inline(always)]
pub(super) fn field<const AT: usize, const N: usize>(header: &[u8; HEADER_LEN]) -> [u8; N] {
    const { assert!(AT + N <= HEADER_LEN) };
    header.get(AT..).and_then(|tail| tail.first_chunk()).copied().unwrap_or([0; N])
}

/// Writes the `N` bytes at `AT`; both are checked when compiling.
#[inline(always)]
pub(super) fn put<const AT: usize, const N: usize>(header: &mut [u8; HEADER_LEN], value: [u8; N]) {
    const { assert!(AT + N <= HEADER_LEN) };
    if let Some(place) = header.get_mut(AT..).and_then(|tail| tail.first_chunk_mut()) {
        *place = value;
    }
}

/// What the timestamps of a batch mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimestampType {
    /// Each record has the time that its producer gave it.
    CreateTime,
    /// Every record has the time that the leader appended the batch: its max timestamp.
    LogAppendTime,
}

/// The attribute bits of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Attributes(pub i16);

impl Attributes {
    const CODEC: i16 = 0b111;
    const LOG_APPEND_TIME: i16 = 1 << 3;
    const TRANSACTIONAL: i16 = 1 << 4;
    const CONTROL: i16 = 1 << 5;
    const DELETE_HORIZON: i16 = 1 << 6;

    /// The three compression bits: 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd, the rest is no codec.
    pub fn codec(self) -> u8 {
        (self.0 & Self::CODEC) as u8
    }

    /// What the timestamps mean.
    pub fn timestamp_type(self) -> TimestampType {
        if self.0 & Self::LOG_APPEND_TIME == 0 {
            TimestampType::CreateTime
        } else {
            TimestampType::LogAppendTime
        }
    }

    /// The batch is part of a transaction (KIP-98).
    pub fn is_transactional(self) -> bool {
        self.0 & Self::TRANSACTIONAL != 0
    }

    /// The batch holds a control record, which consumers never see (KIP-98).
    pub fn is_control(self) -> bool {
        self.0 & Self::CONTROL != 0
    }

    /// The base timestamp is the time from which the cleaner may drop tombstones (KIP-534).
    pub fn has_delete_horizon(self) -> bool {
        self.0 & Self::DELETE_HORIZON != 0
    }

    /// The same bits with other compression bits; `codec` above 7 is cut to its low three bits.
    #[must_use]
    pub fn with_codec(self, codec: u8) -> Self {
        Self((self.0 & !Self::CODEC) | (i16::from(codec) & Self::CODEC))
    }

    /// The same bits with another timestamp type.
    #[must_use]
    pub fn with_timestamp_type(self, timestamp_type: TimestampType) -> Self {
        self.with(Self::LOG_APPEND_TIME, timestamp_type == TimestampType::LogAppendTime)
    }

    /// The same bits, transactional or not.
    #[must_use]
    pub fn with_transactional(self, on: bool) -> Self {
        self.with(Self::TRANSACTIONAL, on)
    }

    /// The same bits, control batch or not.
    #[must_use]
    pub fn with_control(self, on: bool) -> Self {
        self.with(Self::CONTROL, on)
    }

    /// The same bits, with or without a delete horizon in the base timestamp.
    #[must_use]
    pub fn with_delete_horizon(self, on: bool) -> Self {
        self.with(Self::DELETE_HORIZON, on)
    }

    fn with(self, bit: i16, on: bool) -> Self {
        Self(if on { self.0 | bit } else { self.0 & !bit })
    }
}

/// A batch header by value, for who reads headers without their payloads (recovery, retention,
/// a scan of a segment) or makes new ones.
///
/// Only magic and length were checked: the payload, and thus the CRC, may be anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record.
    pub base_offset: i64,
    /// Bytes that follow the length field.
    pub batch_length: i32,
    /// Epoch of the leader that appended the batch; -1 when no leader did yet. Not in the CRC.
    pub partition_leader_epoch: i32,
    /// CRC-32C from the attributes to the end of the batch.
    pub crc: u32,
    /// Codec, timestamp type and kind of the batch.
    pub attributes: Attributes,
    /// Offset of the last record, less the base offset. Compaction keeps it, so that it can be
    /// more than the record count says.
    pub last_offset_delta: i32,
    /// What record timestamps count from, in milliseconds.
    pub base_timestamp: i64,
    /// The highest record timestamp, in milliseconds; -1 for none.
    pub max_timestamp: i64,
    /// Producer id, -1 for none.
    pub producer_id: i64,
    /// Producer epoch, -1 for none.
    pub producer_epoch: i16,
    /// Sequence number of the first record, -1 for none.
    pub base_sequence: i32,
    /// Records in the payload.
    pub record_count: i32,
}

impl BatchHeader {
    /// Reads the header at the front of `bytes`, which need not hold the payload.
    ///
    /// # Errors
    /// [`BatchError::Magic`], [`BatchError::Length`], or [`BatchError::Truncated`] when there are
    /// fewer than [`HEADER_LEN`] bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, BatchError> {
        Ok(Self::from_array(checked_header(bytes)?))
    }

    pub(super) fn from_array(header: &[u8; HEADER_LEN]) -> Self {
        Self {
            base_offset: i64::from_be_bytes(field::<{ at::BASE_OFFSET }, 8>(header)),
            batch_length: i32::from_be_bytes(field::<{ at::BATCH_LENGTH }, 4>(header)),
            partition_leader_epoch: i32::from_be_bytes(field::<{ at::LEADER_EPOCH }, 4>(header)),
            crc: u32::from_be_bytes(field::<{ at::CRC }, 4>(header)),
            attributes: Attributes(i16::from_be_bytes(field::<{ at::ATTRIBUTES }, 2>(header))),
            last_offset_delta: i32::from_be_bytes(field::<{ at::LAST_OFFSET_DELTA }, 4>(header)),
            base_timestamp: i64::from_be_bytes(field::<{ at::BASE_TIMESTAMP }, 8>(header)),
            max_timestamp: i64::from_be_bytes(field::<{ at::MAX_TIMESTAMP }, 8>(header)),
            producer_id: i64::from_be_bytes(field::<{ at::PRODUCER_ID }, 8>(header)),
            producer_epoch: i16::from_be_bytes(field::<{ at::PRODUCER_EPOCH }, 2>(header)),
            base_sequence: i32::from_be_bytes(field::<{ at::BASE_SEQUENCE }, 4>(header)),
            record_count: i32::from_be_bytes(field::<{ at::RECORD_COUNT }, 4>(header)),
        }
    }

    /// The header as it stands on the wire and on disk, with the CRC that is in the field.
    pub fn to_bytes(&self) -> [u8; HEADER_LEN] {
        let mut header = [0; HEADER_LEN];
        put::<{ at::BASE_OFFSET }, 8>(&mut header, self.base_offset.to_be_bytes());
        put::<{ at::BATCH_LENGTH }, 4>(&mut header, self.batch_length.to_be_bytes());
        put::<{ at::LEADER_EPOCH }, 4>(&mut header, self.partition_leader_epoch.to_be_bytes());
        put::<{ at::MAGIC }, 1>(&mut header, MAGIC.to_be_bytes());
        put::<{ at::CRC }, 4>(&mut header, self.crc.to_be_bytes());
        put::<{ at::ATTRIBUTES }, 2>(&mut header, self.attributes.0.to_be_bytes());
        put::<{ at::LAST_OFFSET_DELTA }, 4>(&mut header, self.last_offset_delta.to_be_bytes());
        put::<{ at::BASE_TIMESTAMP }, 8>(&mut header, self.base_timestamp.to_be_bytes());
        put::<{ at::MAX_TIMESTAMP }, 8>(&mut header, self.max_timestamp.to_be_bytes());
        put::<{ at::PRODUCER_ID }, 8>(&mut header, self.producer_id.to_be_bytes());
        put::<{ at::PRODUCER_EPOCH }, 2>(&mut header, self.producer_epoch.to_be_bytes());
        put::<{ at::BASE_SEQUENCE }, 4>(&mut header, self.base_sequence.to_be_bytes());
        put::<{ at::RECORD_COUNT }, 4>(&mut header, self.record_count.to_be_bytes());
        header
    }

    /// The same header over `payload`: its length and CRC fields made right.
    ///
    /// # Errors
    /// [`BatchError::TooLarge`] when the batch would not fit its 32-bit length field.
    pub fn sealed(mut self, payload: &[u8]) -> Result<Self, BatchError> {
        let length = (HEADER_LEN - LOG_OVERHEAD).saturating_add(payload.len());
        self.batch_length =
            i32::try_from(length).map_err(|_| BatchError::TooLarge { size: length })?;
        self.crc = crc_of(&self.to_bytes(), payload);
        Ok(self)
    }

    /// Bytes of the whole batch, header included.
    pub fn size(&self) -> usize {
        size_of_length(self.batch_length)
    }

    /// Offset of the last record.
    pub fn last_offset(&self) -> i64 {
        self.base_offset.saturating_add(i64::from(self.last_offset_delta))
    }

    /// Offset of the next batch: one past the last record.
    pub fn next_offset(&self) -> i64 {
        self.last_offset().saturating_add(1)
    }

    /// What the timestamps mean.
    pub fn timestamp_type(&self) -> TimestampType {
        self.attributes.timestamp_type()
    }

    /// The batch is part of a transaction.
    pub fn is_transactional(&self) -> bool {
        self.attributes.is_transactional()
    }

    /// The batch holds a control record.
    pub fn is_control(&self) -> bool {
        self.attributes.is_control()
    }

    /// From when on the cleaner may drop the tombstones of the batch, in milliseconds.
    pub fn delete_horizon(&self) -> Option<i64> {
        self.attributes.has_delete_horizon().then_some(self.base_timestamp)
    }
}

/// The header at the front of `bytes` once magic and length are known to be possible.
pub(super) fn checked_header(bytes: &[u8]) -> Result<&[u8; HEADER_LEN], BatchError> {
    let truncated = |needed| BatchError::Truncated { needed, available: bytes.len() };
    let Some(prefix) = bytes.first_chunk::<MAGIC_END>() else {
        return Err(truncated(HEADER_LEN));
    };
    // Magic first: the header of an older format is shorter, and its length means something else.
    let magic = i8::from_be_bytes([prefix[at::MAGIC]]);
    if magic != MAGIC {
        return Err(BatchError::Magic { magic });
    }
    let length = i32::from_be_bytes([prefix[8], prefix[9], prefix[10], prefix[11]]);
    if length < MIN_BATCH_LENGTH {
        return Err(BatchError::Length { length });
    }
    bytes.first_chunk().ok_or_else(|| truncated(size_of_length(length)))
}

/// Bytes of a batch whose length field says `length`; a negative length counts as nothing.
pub(super) fn size_of_length(length: i32) -> usize {
    LOG_OVERHEAD + usize::try_from(length).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> BatchHeader {
        BatchHeader {
            base_offset: 0x0102_0304_0506_0708,
            batch_length: 49,
            partition_leader_epoch: 7,
            crc: 0xdead_beef,
            attributes: Attributes(0).with_codec(4).with_transactional(true),
            last_offset_delta: 9,
            base_timestamp: 1_700_000_000_000,
            max_timestamp: 1_700_000_000_500,
            producer_id: 4000,
            producer_epoch: 3,
            base_sequence: 77,
            record_count: 10,
        }
    }

    #[test]
    fn a_header_reads_back_as_written() {
        assert_eq!(BatchHeader::parse(&header().to_bytes()), Ok(header()));
    }

    #[test]
    fn fields_lie_where_kafka_puts_them() {
        let bytes = header().to_bytes();
        assert_eq!(bytes[..8], [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(bytes[8..12], [0, 0, 0, 49]);
        assert_eq!(bytes[12..17], [0, 0, 0, 7, 2]);
        assert_eq!(bytes[17..21], [0xde, 0xad, 0xbe, 0xef]);
        assert_eq!(bytes[21..23], [0, 0b0001_0100]);
        assert_eq!(bytes[23..27], [0, 0, 0, 9]);
        assert_eq!(bytes[43..51], 4000_i64.to_be_bytes());
        assert_eq!(bytes[57..], [0, 0, 0, 10]);
    }

    #[test]
    fn old_formats_are_told_apart_even_when_shorter_than_a_header() {
        for magic in [0_i8, 1, 3, -1] {
            let mut bytes = header().to_bytes();
            bytes[16] = magic.to_be_bytes()[0];
            assert_eq!(BatchHeader::parse(&bytes[..20]), Err(BatchError::Magic { magic }));
        }
    }

    #[test]
    fn impossible_lengths_are_refused() {
        for length in [i32::MIN, -1, 0, 48] {
            let bytes = BatchHeader { batch_length: length, ..header() }.to_bytes();
            assert_eq!(BatchHeader::parse(&bytes), Err(BatchError::Length { length }));
        }
    }

    #[test]
    fn each_attribute_bit_stands_alone() {
        let all = Attributes(0)
            .with_codec(3)
            .with_timestamp_type(TimestampType::LogAppendTime)
            .with_transactional(true)
            .with_control(true)
            .with_delete_horizon(true);
        assert_eq!(all, Attributes(0b0111_1011));
        assert_eq!(all.with_control(false), Attributes(0b0101_1011));
        assert_eq!(all.with_codec(0).codec(), 0);
        assert_eq!(all.timestamp_type(), TimestampType::LogAppendTime);
        assert!(all.is_transactional() && all.is_control() && all.has_delete_horizon());
    }

    #[test]
    fn hostile_offsets_do_not_overflow() {
        let header = BatchHeader { base_offset: i64::MAX, last_offset_delta: i32::MAX, ..header() };
        assert_eq!(header.next_offset(), i64::MAX);
        let header = BatchHeader { base_offset: i64::MIN, last_offset_delta: i32::MIN, ..header };
        assert_eq!(header.last_offset(), i64::MIN);
    }
}
