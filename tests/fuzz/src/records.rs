//! Record batches and their codecs.

use std::mem::discriminant;

use duramen_protocol::records::batch::{
    stamp_base_offset, stamp_leader_epoch, stamp_log_append_time,
};
use duramen_protocol::records::compression::{compress, decompress, decompress_into};
use duramen_protocol::records::control::{ControlType, EndTxnMarker};
use duramen_protocol::records::repack::recompress;
use duramen_protocol::records::{BatchHeader, BatchView, Compression};

/// What decompression may put out, in bytes.
const UNFOLDED_MAX: usize = 1 << 20;

/// Inputs above this are not compressed as well: the fuzzer is after readers, not after writers.
const COMPRESSED_MAX: usize = 256;

/// Any number of batches: headers, records, stamping, another codec.
pub fn batch(data: &[u8]) {
    let _ = BatchHeader::parse(data);
    let mut scratch = Vec::new();
    for batch in BatchView::iter(data) {
        let Ok(batch) = batch else { break };
        header_survives(&batch);
        stamping_keeps_the_crc(&batch);
        let Ok(records) = batch.records(&mut scratch, UNFOLDED_MAX) else { continue };
        let (mut count, mut whole) = (0, true);
        for record in records {
            let Ok(record) = record else {
                whole = false;
                break;
            };
            count += 1;
            assert_eq!(record.headers.len(), record.headers.clone().count());
            let _ = record.key.and_then(ControlType::of_key);
            let _ = EndTxnMarker::of_record(&record);
        }
        assert!(!whole || count == batch.record_count());
        recompressing_agrees(&batch, whole);
    }
}

fn header_survives(batch: &BatchView<'_>) {
    let header = batch.header();
    assert_eq!(header.to_bytes(), *batch.header_bytes());
    assert_eq!(header.size(), batch.size());
    assert_eq!(header.next_offset(), batch.next_offset());
    let sealed = header.sealed(batch.payload()).unwrap();
    assert_eq!(sealed.crc, batch.computed_crc());
}

fn stamping_keeps_the_crc(batch: &BatchView<'_>) {
    let valid = batch.crc_is_valid();
    let mut bytes = batch.bytes().to_vec();
    stamp_base_offset(&mut bytes, i64::MAX).unwrap();
    stamp_leader_epoch(&mut bytes, i32::MAX).unwrap();
    stamp_log_append_time(&mut bytes, i64::MIN).unwrap();
    let (stamped, rest) = BatchView::split(&bytes).unwrap();
    assert!(rest.is_empty() && stamped.crc_is_valid() == valid);
}

fn recompressing_agrees(batch: &BatchView<'_>, whole: bool) {
    let packed = recompress(batch, Compression::Lz4, None, UNFOLDED_MAX);
    assert_eq!(packed.is_ok(), whole);
    let Ok(packed) = packed else { return };
    let (packed, _) = BatchView::split(&packed).unwrap();
    assert!(packed.crc_is_valid());
    let (mut one, mut other) = (Vec::new(), Vec::new());
    let read = |batch: &BatchView<'_>, scratch: &mut Vec<u8>| {
        let records = batch.records(scratch, UNFOLDED_MAX).unwrap();
        records.map(|record| format!("{:?}", record.unwrap())).collect::<Vec<_>>()
    };
    assert_eq!(read(batch, &mut one), read(&packed, &mut other));
}

/// gzip.
pub fn gzip(data: &[u8]) {
    codec(Compression::Gzip, data);
}

/// Snappy, framed and not.
pub fn snappy(data: &[u8]) {
    codec(Compression::Snappy, data);
}

/// LZ4 frames.
pub fn lz4(data: &[u8]) {
    codec(Compression::Lz4, data);
}

/// Zstandard frames.
pub fn zstd(data: &[u8]) {
    codec(Compression::Zstd, data);
}

fn codec(codec: Compression, data: &[u8]) {
    if data.len() <= COMPRESSED_MAX {
        let packed = compress(codec, None, data).unwrap();
        assert_eq!(decompress(codec, &packed, data.len()).unwrap(), data);
    }
    // The same answer, whatever the buffer held before; only the reason may be another.
    let fresh = decompress(codec, data, UNFOLDED_MAX);
    let mut used = vec![7; 1000];
    let again = decompress_into(codec, data, UNFOLDED_MAX, &mut used);
    assert_eq!(fresh.as_ref().err().map(discriminant), again.as_ref().err().map(discriminant));
    let Ok(fresh) = fresh else { return };
    assert!(fresh.len() <= UNFOLDED_MAX && fresh == used);
    if let Some(limit) = fresh.len().checked_sub(1) {
        assert!(decompress(codec, data, limit).is_err());
    }
}
