//! The header fields that a leader writes into a batch as it appends it. Each function takes a
//! batch, or just a copy of its header: the payload is neither needed nor touched.

use super::crc::{crc_of_header, shifted};
use super::error::BatchError;
use super::header::{
    Attributes, HEADER_LEN, MIN_BATCH_LENGTH, TimestampType, at, checked_header, field, put,
};

/// Writes the offset of the first record. The CRC does not cover it.
///
/// # Errors
/// As [`super::BatchHeader::parse`]: these bytes do not begin with a header.
pub fn stamp_base_offset(batch: &mut [u8], offset: i64) -> Result<(), BatchError> {
    put::<{ at::BASE_OFFSET }, 8>(header_mut(batch)?, offset.to_be_bytes());
    Ok(())
}

/// Writes the epoch of the appending leader. The CRC does not cover it.
///
/// # Errors
/// As [`super::BatchHeader::parse`]: these bytes do not begin with a header.
pub fn stamp_leader_epoch(batch: &mut [u8], epoch: i32) -> Result<(), BatchError> {
    put::<{ at::LEADER_EPOCH }, 4>(header_mut(batch)?, epoch.to_be_bytes());
    Ok(())
}

/// Gives every record the time of the append, in milliseconds: sets the max timestamp and the
/// timestamp type, and corrects the CRC for both.
///
/// The CRC is moved by what the header change does to it, which needs only the payload's length.
/// So a batch whose CRC was wrong keeps a wrong CRC.
///
/// # Errors
/// As [`super::BatchHeader::parse`]: these bytes do not begin with a header.
pub fn stamp_log_append_time(batch: &mut [u8], timestamp_ms: i64) -> Result<(), BatchError> {
    let header = header_mut(batch)?;
    let before = crc_of_header(header);
    let attributes = Attributes(i16::from_be_bytes(field::<{ at::ATTRIBUTES }, 2>(header)))
        .with_timestamp_type(TimestampType::LogAppendTime);
    put::<{ at::ATTRIBUTES }, 2>(header, attributes.0.to_be_bytes());
    put::<{ at::MAX_TIMESTAMP }, 8>(header, timestamp_ms.to_be_bytes());
    let after = crc_of_header(header);

    let length = i32::from_be_bytes(field::<{ at::BATCH_LENGTH }, 4>(header));
    let payload_len = length.saturating_sub(MIN_BATCH_LENGTH).unsigned_abs();
    let stored = u32::from_be_bytes(field::<{ at::CRC }, 4>(header));
    let crc = stored ^ shifted(before ^ after, payload_len);
    put::<{ at::CRC }, 4>(header, crc.to_be_bytes());
    Ok(())
}

fn header_mut(batch: &mut [u8]) -> Result<&mut [u8; HEADER_LEN], BatchError> {
    checked_header(batch)?;
    let available = batch.len();
    batch.first_chunk_mut().ok_or(BatchError::Truncated { needed: HEADER_LEN, available })
}

#[cfg(test)]
mod tests {
    use super::super::batch::BatchView;
    use super::super::header::BatchHeader;
    use super::*;

    fn batch(payload: &[u8]) -> Vec<u8> {
        let header = BatchHeader {
            base_offset: 0,
            batch_length: 0,
            partition_leader_epoch: -1,
            crc: 0,
            attributes: Attributes(4),
            last_offset_delta: 0,
            base_timestamp: 1000,
            max_timestamp: 1000,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            record_count: 1,
        };
        let header = header.sealed(payload).unwrap();
        [&header.to_bytes()[..], payload].concat()
    }

    #[test]
    fn offset_and_epoch_leave_the_crc_alone() {
        let mut bytes = batch(b"payload");
        let crc = BatchView::split(&bytes).unwrap().0.crc();
        stamp_base_offset(&mut bytes, 1 << 40).unwrap();
        stamp_leader_epoch(&mut bytes, 12).unwrap();
        let (batch, _) = BatchView::split(&bytes).unwrap();
        assert_eq!((batch.base_offset(), batch.partition_leader_epoch()), (1 << 40, 12));
        assert_eq!(batch.crc(), crc);
        assert!(batch.crc_is_valid());
    }

    #[test]
    fn log_append_time_is_stamped_with_a_right_crc() {
        for len in [0, 1, 7, 8, 63, 1000, 16 * 1024 + 3, 1 << 20] {
            let payload: Vec<u8> = (0..len).map(|i| (i * 31 % 251) as u8).collect();
            let mut bytes = batch(&payload);
            stamp_log_append_time(&mut bytes, 1_700_000_000_123).unwrap();
            let (batch, _) = BatchView::split(&bytes).unwrap();
            assert!(batch.crc_is_valid(), "{len} bytes");
            assert_eq!(batch.max_timestamp(), 1_700_000_000_123);
            assert_eq!(batch.base_timestamp(), 1000);
            assert_eq!(batch.timestamp_type(), TimestampType::LogAppendTime);
            assert_eq!(batch.attributes().codec(), 4);
        }
    }

    #[test]
    fn a_header_alone_can_be_stamped() {
        let whole = batch(b"some payload");
        let mut stamped = whole.clone();
        let mut header = *BatchView::split(&whole).unwrap().0.header_bytes();
        stamp_log_append_time(&mut stamped, 5).unwrap();
        stamp_log_append_time(&mut header, 5).unwrap();
        assert_eq!(stamped[..HEADER_LEN], header);
    }

    #[test]
    fn a_damaged_batch_stays_damaged() {
        let mut bytes = batch(b"some payload");
        bytes[70] ^= 1;
        stamp_log_append_time(&mut bytes, 5).unwrap();
        assert!(!BatchView::split(&bytes).unwrap().0.crc_is_valid());
    }

    #[test]
    fn what_is_no_batch_is_not_written_to() {
        let mut bytes = [0; 40];
        assert_eq!(stamp_base_offset(&mut bytes, 9), Err(BatchError::Magic { magic: 0 }));
        assert_eq!(bytes, [0; 40]);
    }
}
