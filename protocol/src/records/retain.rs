//! A batch with some of its records: what compaction leaves. Offsets, sequences, producer, epoch and
//! codec stay; so the last offset delta can be above what the record count says.

use bytes::Bytes;

use super::batch::BatchView;
use super::builder::sealed;
use super::compression::{Compression, compress_onto};
use super::error::BatchError;
use super::header::{Attributes, HEADER_LEN, TimestampType};
use super::record::RecordView;
use super::varint::{self, read_i32, read_i64};

/// Records of a batch that are to be kept, from [`BatchView::retain`].
#[derive(Debug, Clone, Default)]
pub struct Retained<'a> {
    /// The records as they are in the batch, length field and all.
    records: Vec<&'a [u8]>,
    /// The largest timestamp among them, in milliseconds; -1 for none.
    max_timestamp: i64,
    has_tombstone: bool,
    dropped: usize,
}

impl<'a> BatchView<'a> {
    /// The records that `keep` says yes to. Those of a compressed batch are unfolded into `scratch`,
    /// to at most `limit` bytes.
    ///
    /// # Errors
    /// As [`BatchView::records`] and its items.
    pub fn retain<'s>(
        &self,
        scratch: &'s mut Vec<u8>,
        limit: usize,
        mut keep: impl FnMut(&RecordView<'_>) -> bool,
    ) -> Result<Retained<'s>, BatchError>
    where
        'a: 's,
    {
        let mut retained = Retained { max_timestamp: -1, ..Retained::default() };
        let mut records = self.records(scratch, limit)?;
        loop {
            let from = records.rest();
            let Some(record) = records.next() else { return Ok(retained) };
            let record = record?;
            if keep(&record) {
                let size = from.len() - records.rest().len();
                retained.records.push(from.get(..size).unwrap_or_default());
                retained.max_timestamp = retained.max_timestamp.max(record.timestamp);
                retained.has_tombstone |= record.value.is_none();
            } else {
                retained.dropped += 1;
            }
        }
    }

    /// The batch without any record: what remains to tell of its offsets and its producer.
    ///
    /// # Errors
    /// None in truth: a header always fits its length field.
    pub fn emptied(&self) -> Result<Bytes, BatchError> {
        let mut header = self.header();
        header.attributes =
            header.attributes.with_codec(Compression::None.code()).with_delete_horizon(false);
        header.base_timestamp = -1;
        header.record_count = 0;
        sealed(header, vec![0; HEADER_LEN])
    }
}

impl Retained<'_> {
    /// How many records are kept.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// No record is kept.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// How many records are not kept.
    pub fn dropped(&self) -> usize {
        self.dropped
    }

    /// One of them has no value, which says that its key is deleted.
    pub fn has_tombstone(&self) -> bool {
        self.has_tombstone
    }

    /// `batch`, of which these records are, with them alone; and with a delete horizon, in
    /// milliseconds, if one is given (KIP-534): the record timestamps then count from that.
    ///
    /// # Errors
    /// [`BatchError::Compression`] or [`BatchError::TooLarge`].
    pub fn build(
        &self,
        batch: &BatchView<'_>,
        delete_horizon: Option<i64>,
    ) -> Result<Bytes, BatchError> {
        let mut header = batch.header();
        let codec = batch.compression()?;
        header.record_count = i32::try_from(self.records.len()).unwrap_or(i32::MAX);
        if header.timestamp_type() == TimestampType::CreateTime {
            header.max_timestamp = self.max_timestamp;
        }
        let mut later = 0;
        if let Some(horizon) = delete_horizon {
            later = horizon.wrapping_sub(header.base_timestamp);
            header.base_timestamp = horizon;
            header.attributes = Attributes::with_delete_horizon(header.attributes, true);
        }
        let mut records = Vec::new();
        if codec == Compression::None {
            records.resize(HEADER_LEN, 0);
        }
        for record in &self.records {
            match later {
                0 => records.extend_from_slice(record),
                _ => put_from_base(&mut records, record, later)?,
            }
        }
        if codec != Compression::None {
            let mut packed = vec![0; HEADER_LEN];
            compress_onto(codec, None, &records, &mut packed)?;
            records = packed;
        }
        sealed(header, records)
    }
}

/// Puts a record of a batch whose base timestamp is `later` ms later than the record's was.
fn put_from_base(out: &mut Vec<u8>, record: &[u8], later: i64) -> Result<(), BatchError> {
    let fields = || {
        let (_, body) = read_i32(record)?;
        let (attributes, body) = body.split_at_checked(1)?;
        let (delta, rest) = read_i64(body)?;
        Some((attributes, delta, rest))
    };
    // It was read before.
    let Some((attributes, delta, rest)) = fields() else {
        return Err(BatchError::Truncated { needed: record.len() + 1, available: record.len() });
    };
    let delta = delta.wrapping_sub(later);
    let body = attributes.len() + varint::size(delta) + rest.len();
    let length = i32::try_from(body).map_err(|_| BatchError::TooLarge { size: body })?;
    varint::put_i64(out, i64::from(length));
    out.extend_from_slice(attributes);
    varint::put_i64(out, delta);
    out.extend_from_slice(rest);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::builder::{BatchBuilder, BatchOptions, Producer};
    use super::super::stamp::stamp_base_offset;
    use super::*;

    /// Ten records with keys 0 to 9 from offset 100 on; the last three have no value.
    fn built(compression: Compression) -> Vec<u8> {
        let mut builder = BatchBuilder::new(1 << 20);
        for number in 0..10_u8 {
            let value = (number < 7).then_some(&b"a value that can be compressed: aaaaaaaaaa"[..]);
            assert!(builder.append(1000 + i64::from(number), Some(&[number]), value, &[]).unwrap());
        }
        let producer = Some(Producer { id: 9, epoch: 2, base_sequence: 70 });
        let options = BatchOptions { compression, producer, ..BatchOptions::default() };
        let mut bytes = builder.build(&options).unwrap().to_vec();
        stamp_base_offset(&mut bytes, 100).unwrap();
        bytes
    }

    fn contents(batch: &BatchView<'_>) -> Vec<(i64, i64, Vec<u8>, bool)> {
        let mut scratch = Vec::new();
        let records = batch.records(&mut scratch, 1 << 20).unwrap();
        let content = |record: RecordView<'_>| {
            (record.offset, record.timestamp, record.key.unwrap().to_vec(), record.value.is_some())
        };
        records.map(|record| content(record.unwrap())).collect()
    }

    #[test]
    fn what_is_kept_keeps_its_offset_time_and_codec() {
        for codec in Compression::ALL {
            let bytes = built(codec);
            let (batch, _) = BatchView::split(&bytes).unwrap();
            let before = contents(&batch);
            for horizon in [None, Some(5_000_000), Some(1000)] {
                let mut scratch = Vec::new();
                let even = |record: &RecordView<'_>| record.offset % 2 == 0;
                let kept = batch.retain(&mut scratch, 1 << 20, even).unwrap();
                assert_eq!((kept.len(), kept.dropped()), (5, 5));
                assert!(kept.has_tombstone());
                let bytes = kept.build(&batch, horizon).unwrap();
                let (after, rest) = BatchView::split(&bytes).unwrap();
                assert!(rest.is_empty() && after.crc_is_valid());
                assert_eq!(after.compression(), Ok(codec));
                assert_eq!(after.delete_horizon(), horizon);
                let expected: Vec<_> =
                    before.iter().filter(|record| record.0 % 2 == 0).cloned().collect();
                assert_eq!(contents(&after), expected);
                assert_eq!((after.base_offset(), after.last_offset()), (100, 109));
                assert_eq!((after.max_timestamp(), after.last_sequence()), (1008, 79));
            }
        }
    }

    #[test]
    fn with_all_records_and_no_horizon_a_batch_is_itself() {
        let bytes = built(Compression::None);
        let (batch, _) = BatchView::split(&bytes).unwrap();
        let mut scratch = Vec::new();
        let kept = batch.retain(&mut scratch, 1 << 20, |_| true).unwrap();
        assert_eq!(kept.build(&batch, None).unwrap()[..], bytes);
    }

    #[test]
    fn an_emptied_batch_tells_of_its_producer() {
        let bytes = built(Compression::Zstd);
        let (batch, _) = BatchView::split(&bytes).unwrap();
        let bytes = batch.emptied().unwrap();
        let (empty, _) = BatchView::split(&bytes).unwrap();
        assert!(empty.crc_is_valid() && contents(&empty).is_empty());
        assert_eq!(
            (empty.base_offset(), empty.last_offset(), empty.size()),
            (100, 109, HEADER_LEN)
        );
        assert_eq!(
            (empty.producer_id(), empty.producer_epoch(), empty.last_sequence()),
            (9, 2, 79)
        );
        assert_eq!(empty.max_timestamp(), batch.max_timestamp());
    }
}
