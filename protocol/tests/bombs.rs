//! Decompression bombs and hostile counts: a few bytes that ask for gigabytes. An allocation that
//! fails takes the process down, and no `catch_unwind` helps; so the memory that each of these
//! takes is counted, and held against the limit that the caller gave.
#![cfg(feature = "zstd")]
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test may panic")]

use std::io::Write;

use duramen_protocol::records::compression::{compress, decompress, decompress_into};
use duramen_protocol::records::{
    Attributes, BatchError, BatchHeader, BatchView, Compression, CompressionError,
};

/// What may be put out, as a broker would have it.
const LIMIT: usize = 1 << 20;

/// What a codec may take for itself: gzip's window and tables are the most. (zstd takes its
/// 100 KiB from the C library, which is not counted here.)
const SLACK: usize = 128 * 1024;

/// What the bombs unfold to.
const BLAST: usize = 64 << 20;

/// What `work` gives, and the most memory it held at a time beyond what was there before.
fn measured<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let mut result = None;
    let counted = allocation_counter::measure(|| result = Some(work()));
    (result.unwrap(), usize::try_from(counted.bytes_max).unwrap())
}

fn assert_defused(name: &str, codec: Compression, bomb: &[u8]) {
    let (result, peak) = measured(|| decompress(codec, bomb, LIMIT));
    assert!(result.is_err(), "{name} was taken");
    // A buffer that grows is for a moment held twice.
    assert!(peak <= 2 * LIMIT + SLACK, "{name}: {peak} bytes for {} bytes of input", bomb.len());
    let (_, peak) = measured(|| {
        let mut scratch = Vec::with_capacity(LIMIT);
        decompress_into(codec, bomb, LIMIT, &mut scratch)
    });
    assert!(peak <= LIMIT + SLACK, "{name}: {peak} bytes with a scratch of the limit");
}

#[test]
fn zeros_of_every_codec() {
    let zeros = vec![0; BLAST];
    for (codec, ratio) in [
        (Compression::Gzip, 1000),
        (Compression::Snappy, 20),
        (Compression::Lz4, 240),
        (Compression::Zstd, 10_000),
    ] {
        let bomb = compress(codec, None, &zeros).unwrap();
        assert!(BLAST / bomb.len() >= ratio, "{codec}: 1:{}", BLAST / bomb.len());
        assert_defused(codec.name(), codec, &bomb);
    }
}

/// One block after another of 4 bytes that stand for 128 KiB: 1:32768, the densest there is.
#[test]
fn zstd_runs() {
    // No single segment, no content size; a window of 128 MiB.
    let mut bomb = b"\x28\xb5\x2f\xfd\x00\x88".to_vec();
    for _ in 0..8191 {
        bomb.extend([0x02, 0x00, 0x10, b'x']);
    }
    bomb.extend([0x03, 0x00, 0x10, b'x']);
    assert_eq!(bomb.len() / 1024, 32);
    assert_defused("zstd runs", Compression::Zstd, &bomb);
    let (result, peak) = measured(|| decompress(Compression::Zstd, &bomb, LIMIT));
    assert_eq!(result, Err(CompressionError::TooLarge { limit: LIMIT }));
    assert!(peak < 1024, "what cannot fit is refused before any of it is unfolded: {peak}");
}

/// zstd with the largest window that a header can ask for, which a streaming reader sets aside.
#[test]
fn zstd_window() {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(27).unwrap();
    encoder.write_all(&vec![0; BLAST]).unwrap();
    assert_defused("zstd window", Compression::Zstd, &encoder.finish().unwrap());
}

#[test]
fn gzip_in_many_members() {
    let member = compress(Compression::Gzip, None, &vec![0; LIMIT / 2]).unwrap();
    assert_defused("gzip members", Compression::Gzip, &member.repeat(100));
}

#[test]
fn lz4_blocks_of_4_mib() {
    use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
    for mode in [BlockMode::Independent, BlockMode::Linked] {
        let info = FrameInfo::new().block_size(BlockSize::Max4MB).block_mode(mode);
        let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
        encoder.write_all(&vec![0; BLAST]).unwrap();
        assert_defused("lz4 4 MiB", Compression::Lz4, &encoder.finish().unwrap());
    }
}

/// Lengths that are only declared cost nothing at all.
#[test]
fn declared_lengths() {
    let snappy_4_gib = [0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0];
    let snappy_1_mib = [0x80, 0x80, 0x40, 0, 0, 0, 0, 0];
    let mut lz4_content = b"\x04\x22\x4d\x18\x68\x40".to_vec();
    lz4_content.extend(u64::MAX.to_le_bytes());
    let checksum = twox_hash::XxHash32::oneshot(0, &lz4_content[4..]).to_le_bytes()[1];
    lz4_content.push(checksum);
    let mut zstd_content = b"\x28\xb5\x2f\xfd\xe0".to_vec();
    zstd_content.extend(u64::MAX.to_le_bytes());
    zstd_content.extend([0x03, 0x00, 0x10, b'x']);
    for (codec, bomb) in [
        (Compression::Snappy, &snappy_4_gib[..]),
        (Compression::Snappy, &snappy_1_mib),
        (Compression::Lz4, &lz4_content),
        (Compression::Zstd, &zstd_content),
    ] {
        let (result, peak) = measured(|| decompress(codec, bomb, LIMIT));
        assert!(result.is_err(), "{codec}");
        assert!(peak < 1024, "{codec}: {peak} bytes");
    }
}

/// What aborts other readers: 61 bytes with a right CRC that claim 2^31-1 records, and a record
/// that claims 2^31-1 headers.
#[test]
fn counts_of_two_billion() {
    let header = |record_count| BatchHeader {
        base_offset: 0,
        batch_length: 0,
        partition_leader_epoch: -1,
        crc: 0,
        attributes: Attributes::default(),
        last_offset_delta: i32::MAX,
        base_timestamp: 0,
        max_timestamp: 0,
        producer_id: -1,
        producer_epoch: -1,
        base_sequence: -1,
        record_count,
    };
    let records = header(i32::MAX).sealed(&[]).unwrap().to_bytes().to_vec();
    let payload = [20, 0, 0, 0, 1, 1, 0xfe, 0xff, 0xff, 0xff, 0x0f];
    let headers = [&header(1).sealed(&payload).unwrap().to_bytes()[..], &payload].concat();
    for bytes in [records, headers] {
        let (result, peak) = measured(|| {
            let (batch, _) = BatchView::split(&bytes)?;
            assert!(batch.crc_is_valid());
            batch.records(&mut Vec::new(), LIMIT)?.try_for_each(|record| record.map(drop))
        });
        assert!(
            matches!(result, Err(BatchError::RecordCount { .. } | BatchError::Record { .. })),
            "{result:?}"
        );
        assert_eq!(peak, 0);
    }
}

/// Reading the records of a batch takes no memory per record; a scratch is used again.
#[test]
fn reading_records_allocates_nothing() {
    use duramen_protocol::records::{BatchBuilder, BatchOptions, HeaderView};
    for compression in Compression::ALL {
        let mut builder = BatchBuilder::new(1 << 20);
        let headers = [HeaderView { key: b"header", value: Some(b"value") }];
        for number in 0..5000 {
            assert!(builder.append(number, Some(b"key"), Some(b"value"), &headers).unwrap());
        }
        let bytes = builder.build(&BatchOptions { compression, ..Default::default() }).unwrap();
        let (batch, _) = BatchView::split(&bytes).unwrap();
        let mut scratch = Vec::new();
        let mut read = || {
            let records = batch.records(&mut scratch, LIMIT).unwrap();
            records.map(|record| record.unwrap().headers.count()).sum::<usize>()
        };
        assert_eq!(read(), 5000);
        let (count, peak) = measured(read);
        assert_eq!(count, 5000);
        // A gzip reader is made anew for each batch; the other codecs need nothing.
        let allowed = if compression == Compression::Gzip { SLACK } else { 0 };
        assert!(peak <= allowed, "{compression}: {peak} bytes");
    }
}
