//! [`BatchView`]: one record batch over borrowed bytes. Reading a field is one load; nothing is
//! allocated and the payload is not touched.

pub use super::error::BatchError;
pub use super::header::{Attributes, BatchHeader, HEADER_LEN, MAGIC, TimestampType};
pub use super::stamp::{stamp_base_offset, stamp_leader_epoch, stamp_log_append_time};

use super::compression::Compression;
use super::crc::crc_of;
use super::header::{at, checked_header, field, size_of_length};

/// One whole batch: magic is 2 and the length field is the number of bytes that are there. All
/// else (CRC, offsets, counts, codec, records) is as the sender made it.
#[derive(Debug, Clone, Copy)]
pub struct BatchView<'a> {
    bytes: &'a [u8],
    header: &'a [u8; HEADER_LEN],
}

impl<'a> BatchView<'a> {
    /// Takes the batch at the front of `bytes`, and hands back what follows it.
    ///
    /// # Errors
    /// [`BatchError::Magic`] for any format but v2, [`BatchError::Length`] for a length that
    /// cannot be, [`BatchError::Truncated`] when the batch reaches past `bytes`.
    #[inline]
    pub fn split(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), BatchError> {
        let header = checked_header(bytes)?;
        let size = size_of_length(i32::from_be_bytes(field::<{ at::BATCH_LENGTH }, 4>(header)));
        match bytes.split_at_checked(size) {
            Some((bytes, rest)) => Ok((Self { bytes, header }, rest)),
            None => Err(BatchError::Truncated { needed: size, available: bytes.len() }),
        }
    }

    /// The batches at the front of `bytes`, one after another; the first error is the last item.
    /// A cut-off batch at the end, which Kafka clients skip, is [`BatchError::Truncated`].
    pub fn iter(bytes: &'a [u8]) -> Batches<'a> {
        Batches { rest: bytes }
    }

    /// The header by value.
    pub fn header(&self) -> BatchHeader {
        BatchHeader::from_array(self.header)
    }

    /// The header bytes.
    pub fn header_bytes(&self) -> &'a [u8; HEADER_LEN] {
        self.header
    }

    /// The whole batch.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// What follows the header: the records, compressed if the attributes say so.
    pub fn payload(&self) -> &'a [u8] {
        self.bytes.get(HEADER_LEN..).unwrap_or_default()
    }

    /// Bytes of the whole batch, header included.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Offset of the first record.
    pub fn base_offset(&self) -> i64 {
        i64::from_be_bytes(field::<{ at::BASE_OFFSET }, 8>(self.header))
    }

    /// Bytes that follow the length field: [`BatchView::size`] less 12.
    pub fn batch_length(&self) -> i32 {
        i32::from_be_bytes(field::<{ at::BATCH_LENGTH }, 4>(self.header))
    }

    /// Epoch of the leader that appended the batch; the CRC does not cover it.
    pub fn partition_leader_epoch(&self) -> i32 {
        i32::from_be_bytes(field::<{ at::LEADER_EPOCH }, 4>(self.header))
    }

    /// The format: always 2.
    pub fn magic(&self) -> i8 {
        i8::from_be_bytes(field::<{ at::MAGIC }, 1>(self.header))
    }

    /// The checksum that the header claims.
    pub fn crc(&self) -> u32 {
        u32::from_be_bytes(field::<{ at::CRC }, 4>(self.header))
    }

    /// CRC-32C of the bytes, from the attributes on: a pass over the whole batch.
    pub fn computed_crc(&self) -> u32 {
        crc_of(self.header, self.payload())
    }

    /// The bytes have the checksum that the header claims.
    pub fn crc_is_valid(&self) -> bool {
        self.computed_crc() == self.crc()
    }

    /// The same as [`BatchView::crc_is_valid`], with both sums in the error.
    ///
    /// # Errors
    /// [`BatchError::Crc`].
    pub fn check_crc(&self) -> Result<(), BatchError> {
        let (stored, computed) = (self.crc(), self.computed_crc());
        if stored == computed { Ok(()) } else { Err(BatchError::Crc { stored, computed }) }
    }

    /// Codec, timestamp type and kind of the batch.
    pub fn attributes(&self) -> Attributes {
        Attributes(i16::from_be_bytes(field::<{ at::ATTRIBUTES }, 2>(self.header)))
    }

    /// The codec of the payload.
    ///
    /// # Errors
    /// [`BatchError::Codec`] for compression bits that nobody defined.
    pub fn compression(&self) -> Result<Compression, BatchError> {
        let code = self.attributes().codec();
        Compression::from_code(code).ok_or(BatchError::Codec { code })
    }

    /// What the timestamps mean.
    pub fn timestamp_type(&self) -> TimestampType {
        self.attributes().timestamp_type()
    }

    /// The batch is part of a transaction.
    pub fn is_transactional(&self) -> bool {
        self.attributes().is_transactional()
    }

    /// The batch holds a control record, which consumers never see.
    pub fn is_control(&self) -> bool {
        self.attributes().is_control()
    }

    /// From when on the cleaner may drop the tombstones of the batch, in milliseconds (KIP-534).
    pub fn delete_horizon(&self) -> Option<i64> {
        self.attributes().has_delete_horizon().then(|| self.base_timestamp())
    }

    /// Offset of the last record, less the base offset.
    pub fn last_offset_delta(&self) -> i32 {
        i32::from_be_bytes(field::<{ at::LAST_OFFSET_DELTA }, 4>(self.header))
    }

    /// What record timestamps count from, in milliseconds.
    pub fn base_timestamp(&self) -> i64 {
        i64::from_be_bytes(field::<{ at::BASE_TIMESTAMP }, 8>(self.header))
    }

    /// The highest record timestamp, in milliseconds; -1 for none.
    pub fn max_timestamp(&self) -> i64 {
        i64::from_be_bytes(field::<{ at::MAX_TIMESTAMP }, 8>(self.header))
    }

    /// Producer id, -1 for none.
    pub fn producer_id(&self) -> i64 {
        i64::from_be_bytes(field::<{ at::PRODUCER_ID }, 8>(self.header))
    }

    /// Producer epoch, -1 for none.
    pub fn producer_epoch(&self) -> i16 {
        i16::from_be_bytes(field::<{ at::PRODUCER_EPOCH }, 2>(self.header))
    }

    /// Sequence number of the first record, -1 for none.
    pub fn base_sequence(&self) -> i32 {
        i32::from_be_bytes(field::<{ at::BASE_SEQUENCE }, 4>(self.header))
    }

    /// Sequence number of the last record, wrapping past 2^31-1 to 0; -1 for none.
    pub fn last_sequence(&self) -> i32 {
        match self.base_sequence() {
            -1 => -1,
            base => base.wrapping_add(self.last_offset_delta()) & i32::MAX,
        }
    }

    /// Records in the payload, as the header claims.
    pub fn record_count(&self) -> i32 {
        i32::from_be_bytes(field::<{ at::RECORD_COUNT }, 4>(self.header))
    }

    /// Offset of the last record.
    pub fn last_offset(&self) -> i64 {
        self.base_offset().saturating_add(i64::from(self.last_offset_delta()))
    }

    /// Offset of the next batch: one past the last record.
    pub fn next_offset(&self) -> i64 {
        self.last_offset().saturating_add(1)
    }
}

/// The batches of a run of bytes, from [`BatchView::iter`].
#[derive(Debug, Clone)]
pub struct Batches<'a> {
    rest: &'a [u8],
}

impl<'a> Batches<'a> {
    /// The bytes that were not taken yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Batches<'a> {
    type Item = Result<BatchView<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        match BatchView::split(self.rest) {
            Ok((batch, rest)) => {
                self.rest = rest;
                Some(Ok(batch))
            }
            Err(error) => {
                self.rest = &[];
                Some(Err(error))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One record `hello`/`world` as Kafka 1.0 wrote it, from the kafka-protocol test data.
    pub(crate) const HELLO_WORLD: [u8; 79] = [
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x43, 0x00, 0x00, 0x00,
        0x00, 0x02, 0x73, 0x6d, 0x29, 0x7b, 0x00, 0x00, 0x00, 0x00, 0x00, 0x03, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x01, 0x22, 0x01, 0xd0, 0x0f, 0x02, 0x0a, 0x68, 0x65, 0x6c, 0x6c, 0x6f, 0x0a, 0x77, 0x6f,
        0x72, 0x6c, 0x64, 0x00,
    ];

    #[test]
    fn a_batch_written_by_kafka_is_read() {
        let (batch, rest) = BatchView::split(&HELLO_WORLD).unwrap();
        assert!(rest.is_empty());
        assert!(batch.crc_is_valid());
        assert_eq!(batch.check_crc(), Ok(()));
        assert_eq!((batch.size(), batch.batch_length(), batch.magic()), (79, 67, 2));
        assert_eq!((batch.base_offset(), batch.last_offset(), batch.next_offset()), (0, 3, 4));
        assert_eq!(batch.record_count(), 1);
        assert_eq!(batch.payload().len(), 18);
        assert_eq!(batch.timestamp_type(), TimestampType::CreateTime);
        assert_eq!(batch.delete_horizon(), None);
        assert_eq!(batch.header().to_bytes(), *batch.header_bytes());
    }

    #[test]
    fn every_cut_is_noticed() {
        for cut in 0..HELLO_WORLD.len() {
            let error = BatchView::split(&HELLO_WORLD[..cut]).unwrap_err();
            assert!(
                matches!(error, BatchError::Truncated { available, .. } if available == cut),
                "{cut}: {error}"
            );
        }
    }

    #[test]
    fn a_length_of_two_gigabytes_costs_nothing() {
        let mut bytes = HELLO_WORLD;
        bytes[8..12].copy_from_slice(&i32::MAX.to_be_bytes());
        assert_eq!(
            BatchView::split(&bytes).unwrap_err(),
            BatchError::Truncated { needed: 12 + i32::MAX as usize, available: 79 }
        );
    }

    #[test]
    fn any_changed_byte_from_the_attributes_on_breaks_the_crc() {
        for place in 21..HELLO_WORLD.len() {
            let mut bytes = HELLO_WORLD;
            bytes[place] ^= 0x10;
            let (batch, _) = BatchView::split(&bytes).unwrap();
            assert!(matches!(batch.check_crc(), Err(BatchError::Crc { .. })), "byte {place}");
        }
    }

    #[test]
    fn batches_follow_one_another() {
        let mut bytes = HELLO_WORLD.repeat(3);
        assert_eq!(BatchView::iter(&bytes).filter(Result::is_ok).count(), 3);
        bytes.truncate(200);
        let found: Vec<_> = BatchView::iter(&bytes).collect();
        assert_eq!(found.len(), 3);
        assert!(matches!(found[2], Err(BatchError::Truncated { .. })));
    }

    #[test]
    fn sequences_wrap_to_zero() {
        let mut header = BatchView::split(&HELLO_WORLD).unwrap().0.header();
        header.base_sequence = i32::MAX - 1;
        let bytes = [&header.to_bytes()[..], &HELLO_WORLD[61..]].concat();
        assert_eq!(BatchView::split(&bytes).unwrap().0.last_sequence(), 1);
    }
}
