use super::*;
use proptest::prelude::*;

const CODECS: [Compression; 4] =
    [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

/// Text-like bytes: compressible, yet not trivially.
fn text(len: usize) -> Vec<u8> {
    let mut state = 12_345_u32;
    std::iter::from_fn(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Some(format!("word{} ", (state >> 16) % 400).into_bytes())
    })
    .flatten()
    .take(len)
    .collect()
}

#[test]
fn codes_and_names_are_kafkas() {
    let known: Vec<_> = (0..8).map(Compression::from_code).collect();
    assert_eq!(known[..5], Compression::ALL.map(Some));
    assert_eq!(known[5..], [None; 3]);
    for codec in Compression::ALL {
        assert_eq!(Compression::from_code(codec.code()), Some(codec));
        assert_eq!(Compression::from_name(codec.name()), Some(codec));
    }
    assert_eq!(Compression::from_name("brotli"), None);
}

#[test]
fn every_codec_gives_back_what_it_got() {
    for codec in Compression::ALL {
        for len in [0, 1, 12, 13, 1000, 32 * 1024, 65_536, 65_537, 300_000] {
            let input = text(len);
            let compressed = compress(codec, None, &input).unwrap();
            assert_eq!(decompress(codec, &compressed, len).unwrap(), input, "{codec} {len}");
        }
    }
}

#[test]
fn one_byte_above_the_limit_is_too_much() {
    for codec in Compression::ALL {
        for len in [1, 1000, 65_537, 300_000] {
            let compressed = compress(codec, None, &text(len)).unwrap();
            let limit = len - 1;
            assert_eq!(
                decompress(codec, &compressed, limit),
                Err(CompressionError::TooLarge { limit }),
                "{codec} {len}"
            );
        }
    }
}

#[test]
fn the_limit_holds_for_a_larger_old_buffer() {
    for codec in Compression::ALL {
        let mut out = vec![7; 1 << 20];
        let compressed = compress(codec, None, &text(70_000)).unwrap();
        assert_eq!(
            decompress_into(codec, &compressed, 69_999, &mut out),
            Err(CompressionError::TooLarge { limit: 69_999 }),
            "{codec}"
        );
        decompress_into(codec, &compressed, 70_000, &mut out).unwrap();
        assert_eq!(out, text(70_000), "{codec}");
    }
}

#[test]
fn every_cut_is_noticed() {
    for codec in CODECS {
        let whole = compress(codec, None, &text(3000)).unwrap();
        for cut in 0..whole.len() {
            let result = decompress(codec, &whole[..cut], 10_000);
            // Snappy in blocks has no end mark: cut before the first block it is an empty stream.
            let empty = codec == Compression::Snappy && cut == 16;
            assert_eq!(result.is_ok(), empty, "{codec} cut at {cut}: {result:?}");
        }
    }
}

#[test]
fn bytes_behind_the_end_are_no_part_of_the_data() {
    for codec in CODECS {
        let mut bytes = compress(codec, None, &text(3000)).unwrap();
        bytes.extend_from_slice(b"garbage");
        assert!(
            matches!(decompress(codec, &bytes, 10_000), Err(CompressionError::Corrupt { .. })),
            "{codec}"
        );
    }
}

#[test]
fn streams_may_follow_one_another() {
    for codec in CODECS {
        let bytes = compress(codec, None, &text(3000)).unwrap().repeat(2);
        assert_eq!(decompress(codec, &bytes, 6000).unwrap(), text(3000).repeat(2), "{codec}");
        assert_eq!(
            decompress(codec, &bytes, 5999),
            Err(CompressionError::TooLarge { limit: 5999 }),
            "{codec}"
        );
    }
}

#[test]
fn levels_are_kafkas() {
    let input = text(20_000);
    for (codec, good, bad) in [
        (Compression::Gzip, vec![-1, 1, 9], vec![-2, 0, 10]),
        (Compression::Lz4, vec![1, 9, 17], vec![0, 18, -1]),
        (Compression::Zstd, vec![-131_072, -5, 0, 3, 19, 22], vec![23, -131_073]),
    ] {
        for level in good {
            let compressed = compress(codec, Some(level), &input).unwrap();
            assert_eq!(decompress(codec, &compressed, 20_000).unwrap(), input, "{codec} {level}");
        }
        for level in bad {
            let error = compress(codec, Some(level), &input).unwrap_err();
            assert!(matches!(error, CompressionError::Level { .. }), "{codec} {level}: {error}");
        }
    }
    let sizes: Vec<_> =
        [1, 9].iter().map(|level| compress(Compression::Gzip, Some(*level), &input)).collect();
    assert!(sizes[0].as_ref().unwrap().len() > sizes[1].as_ref().unwrap().len());
}

#[test]
fn snappy_is_framed_as_java_expects_it() {
    // A record as a Kafka client wrote it, from the tests of the kafka-protocol crate.
    let framed = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01\0\0\0\x0f\r0\x18\0\0\0\x01\x0csdfdsf\0";
    let plain = b"\r0\x18\0\0\0\x01\x0csdfdsf\0";
    let unfolded = decompress(Compression::Snappy, framed, 100).unwrap();
    assert_eq!(unfolded, b"\x18\0\0\0\x01\x0csdfdsf\0");
    assert_eq!(compress(Compression::Snappy, None, &unfolded).unwrap(), framed);
    assert_eq!(decompress(Compression::Snappy, plain, 100).unwrap(), unfolded);
}

#[test]
fn a_later_snappy_framing_is_refused() {
    let framed = b"\x82SNAPPY\0\0\0\0\x02\0\0\0\x02";
    let error = decompress(Compression::Snappy, framed, 100).unwrap_err();
    assert!(error.to_string().contains("later"), "{error}");
}

#[test]
fn snappy_lengths_are_held_against_limit_and_bytes() {
    // Plain snappy that declares 4 GiB - 1, and 1000 bytes, with nothing behind it.
    let huge = [0xff, 0xff, 0xff, 0xff, 0x0f];
    assert_eq!(
        decompress(Compression::Snappy, &huge, 1 << 20),
        Err(CompressionError::TooLarge { limit: 1 << 20 })
    );
    let error = decompress(Compression::Snappy, &[0xe8, 0x07], 1 << 20).unwrap_err();
    assert!(error.to_string().contains("unfold"), "{error}");
}

#[test]
fn lz4_frames_begin_as_kafkas_do() {
    let frame = compress(Compression::Lz4, None, b"hello").unwrap();
    assert_eq!(frame[..7], [0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82]);
    assert_eq!(frame[frame.len() - 4..], [0; 4]);
}

/// Frames as other clients write them: linked blocks (kafka-python), checksums, content size.
#[test]
fn lz4_frames_of_other_shapes_are_read() {
    use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
    use std::io::Write;
    let input = text(700_000);
    for block_mode in [BlockMode::Linked, BlockMode::Independent] {
        for block_size in [BlockSize::Max64KB, BlockSize::Max256KB, BlockSize::Max4MB] {
            for checksums in [false, true] {
                let info = FrameInfo::new()
                    .block_mode(block_mode)
                    .block_size(block_size)
                    .block_checksums(checksums)
                    .content_checksum(checksums)
                    .content_size(checksums.then_some(700_000));
                let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
                encoder.write_all(&input).unwrap();
                let mut frame = encoder.finish().unwrap();
                let case = format!("{block_mode:?} {block_size:?} {checksums}");
                assert_eq!(
                    decompress(Compression::Lz4, &frame, 700_000).as_ref(),
                    Ok(&input),
                    "{case}"
                );
                assert_eq!(
                    decompress(Compression::Lz4, &frame, 699_999),
                    Err(CompressionError::TooLarge { limit: 699_999 }),
                    "{case}"
                );
                if checksums {
                    let place = frame.len() / 2;
                    frame[place] ^= 1;
                    assert!(decompress(Compression::Lz4, &frame, 700_000).is_err(), "{case}");
                }
            }
        }
    }
}

/// Our LZ4 frames are whole frames to another reader as well.
#[test]
fn lz4_frames_are_read_by_lz4_flex() {
    use std::io::Read;
    let input = text(200_000);
    let frame = compress(Compression::Lz4, None, &input).unwrap();
    let mut unfolded = Vec::new();
    lz4_flex::frame::FrameDecoder::new(&frame[..]).read_to_end(&mut unfolded).unwrap();
    assert_eq!(unfolded, input);
}

/// The Java client and librdkafka stream into zstd, which then does not know the size ahead.
#[test]
fn zstd_streams_of_unknown_size_are_read() {
    use std::io::Write;
    let input = text(700_000);
    for checksum in [false, true] {
        let mut encoder = ::zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
        encoder.include_checksum(checksum).unwrap();
        encoder.include_contentsize(false).unwrap();
        encoder.window_log(27).unwrap();
        for piece in input.chunks(10_000) {
            encoder.write_all(piece).unwrap();
            encoder.flush().unwrap();
        }
        let frame = encoder.finish().unwrap();
        assert_eq!(decompress(Compression::Zstd, &frame, 700_000).as_ref(), Ok(&input));
        assert_eq!(
            decompress(Compression::Zstd, &frame, 699_999),
            Err(CompressionError::TooLarge { limit: 699_999 })
        );
    }
}

#[test]
fn zstd_skips_skippable_frames() {
    let mut bytes = b"\x5a\x2a\x4d\x18\x03\0\0\0abc".to_vec();
    bytes.extend(compress(Compression::Zstd, None, b"hello").unwrap());
    assert_eq!(decompress(Compression::Zstd, &bytes, 5).unwrap(), b"hello");
}

#[test]
fn zstd_declared_sizes_are_held_against_limit_and_blocks() {
    // Single segment, 8 bytes of content size: 2^40; then one RLE block of 100 bytes.
    let mut bytes = b"\x28\xb5\x2f\xfd\xe0".to_vec();
    bytes.extend((1_u64 << 40).to_le_bytes());
    bytes.extend([0x23, 0x03, 0x00, b'x']);
    let error = decompress(Compression::Zstd, &bytes, 1 << 20).unwrap_err();
    assert!(error.to_string().contains("declared size"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_round_trip(input in prop::collection::vec(any::<u8>(), 0..5000)) {
        for codec in Compression::ALL {
            let compressed = compress(codec, None, &input).unwrap();
            prop_assert_eq!(decompress(codec, &compressed, input.len()).unwrap(), input.clone());
        }
    }

    #[test]
    fn changed_bytes_never_pass_the_limit(
        len in 0..4000_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        for codec in CODECS {
            let mut bytes = compress(codec, None, &text(len)).unwrap();
            for (place, byte) in &changes {
                let place = place.index(bytes.len());
                bytes[place] = *byte;
            }
            if let Ok(out) = decompress(codec, &bytes, 5000) {
                prop_assert!(out.len() <= 5000);
            }
        }
    }
}
