//! A batch in another codec, for topics whose `compression.type` is not the producer's.

use bytes::Bytes;

use super::batch::BatchView;
use super::builder::sealed;
use super::compression::{Compression, compress_onto};
use super::error::BatchError;
use super::header::HEADER_LEN;

/// The same batch with its records compressed by `codec` at `level` (`None`: the codec's
/// default). The records are unfolded to at most `limit` bytes and each is checked, since a batch
/// that leaves here has a right CRC. All header fields but codec, length and CRC stay.
///
/// # Errors
/// As [`BatchView::records`] and its items, or [`BatchError::Compression`] for a wrong level.
pub fn recompress(
    batch: &BatchView<'_>,
    codec: Compression,
    level: Option<i32>,
    limit: usize,
) -> Result<Bytes, BatchError> {
    let mut scratch = Vec::new();
    let mut iter = batch.records(&mut scratch, limit)?;
    let records = iter.rest();
    iter.try_for_each(|record| record.map(drop))?;
    let mut out = vec![0; HEADER_LEN];
    compress_onto(codec, level, records, &mut out)?;
    let mut header = batch.header();
    header.attributes = header.attributes.with_codec(codec.code());
    sealed(header, out)
}

#[cfg(test)]
mod tests {
    use super::super::builder::{BatchBuilder, BatchOptions, Producer};
    use super::*;

    fn values(batch: &BatchView<'_>) -> Vec<Vec<u8>> {
        let mut scratch = Vec::new();
        let records = batch.records(&mut scratch, 1 << 20).unwrap();
        records.map(|record| record.unwrap().value.unwrap().to_vec()).collect()
    }

    fn built(compression: Compression) -> Bytes {
        let mut builder = BatchBuilder::new(1 << 20);
        for number in 0..100_i64 {
            let value = format!("value {number}");
            assert!(builder.append(number, None, Some(value.as_bytes()), &[]).unwrap());
        }
        let producer = Some(Producer { id: 9, epoch: 2, base_sequence: 70 });
        builder.build(&BatchOptions { compression, producer, ..BatchOptions::default() }).unwrap()
    }

    #[test]
    fn any_codec_becomes_any_other() {
        for from in Compression::ALL {
            let source = built(from);
            let (source, _) = BatchView::split(&source).unwrap();
            for to in Compression::ALL {
                let bytes = recompress(&source, to, None, 1 << 20).unwrap();
                let (batch, rest) = BatchView::split(&bytes).unwrap();
                assert!(batch.crc_is_valid() && rest.is_empty());
                assert_eq!(batch.compression(), Ok(to));
                assert_eq!(values(&batch), values(&source), "{from} to {to}");
                let mut expected = source.header();
                expected.attributes = batch.attributes();
                expected.batch_length = batch.batch_length();
                expected.crc = batch.crc();
                assert_eq!(batch.header(), expected);
                if from == to {
                    assert_eq!(batch.bytes(), source.bytes(), "{from} to itself");
                }
            }
        }
    }

    #[test]
    fn a_batch_of_broken_records_gets_no_right_crc() {
        let mut bytes = built(Compression::None).to_vec();
        bytes[57..61].copy_from_slice(&99_i32.to_be_bytes());
        let (batch, _) = BatchView::split(&bytes).unwrap();
        let error = recompress(&batch, Compression::Lz4, None, 1 << 20).unwrap_err();
        assert!(matches!(error, BatchError::Unread { .. }), "{error}");
    }
}
