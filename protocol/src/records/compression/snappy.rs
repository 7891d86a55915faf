//! Snappy through `snap`, in the framing of snappy-java, which every Kafka client writes:
//!
//! ```text
//! 0  0x82 "SNAPPY" 0x00
//! 8  version u32 = 1
//! 12 lowest compatible version u32 = 1
//! 16 blocks: length u32, then that many bytes of plain snappy (which begin with their own
//!    unfolded length)
//! ```
//!
//! Data without the magic bytes is taken as one block of plain snappy, as snappy-java does.

use snap::raw::{Decoder, Encoder, decompress_len, max_compress_len};

use super::{Compression, CompressionError, grow};

const MAGIC: [u8; 8] = *b"\x82SNAPPY\x00";
const VERSION: u32 = 1;
const HEADER_LEN: usize = 16;

/// Bytes of input in a block, as snappy-java has it by default.
const BLOCK_LEN: usize = 32 * 1024;

pub(super) fn compress(input: &[u8], out: &mut Vec<u8>) -> Result<(), CompressionError> {
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&VERSION.to_be_bytes());
    out.extend_from_slice(&VERSION.to_be_bytes());
    let mut encoder = Encoder::new();
    for block in input.chunks(BLOCK_LEN) {
        let length_at = out.len();
        let block_at = length_at + 4;
        grow(out, 4 + max_compress_len(block.len()));
        let room = out.get_mut(block_at..).unwrap_or_default();
        let written = encoder
            .compress(block, room)
            .map_err(|error| CompressionError::encoder(Compression::Snappy, error))?;
        out.truncate(block_at + written);
        if let Some(length) = out.get_mut(length_at..).and_then(|at| at.first_chunk_mut()) {
            // A block of 32 KiB is far from 4 GiB.
            *length = u32::try_from(written).unwrap_or(u32::MAX).to_be_bytes();
        }
    }
    Ok(())
}

pub(super) fn decompress(
    input: &[u8],
    limit: usize,
    out: &mut Vec<u8>,
) -> Result<(), CompressionError> {
    let mut decoder = Decoder::new();
    let Some(mut rest) = after_header(input)? else {
        return block(&mut decoder, input, limit, out);
    };
    while !rest.is_empty() {
        // A second stream may follow the first; its magic is no possible block length.
        if let Some(next) = after_header(rest)? {
            rest = next;
            continue;
        }
        let (length, tail) =
            rest.split_first_chunk::<4>().ok_or_else(|| corrupt("cut off in a block length"))?;
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        let (compressed, tail) =
            tail.split_at_checked(length).ok_or_else(|| corrupt("cut off in a block"))?;
        block(&mut decoder, compressed, limit, out)?;
        rest = tail;
    }
    Ok(())
}

/// What follows snappy-java's stream header, or `None` when `input` does not begin with one.
fn after_header(input: &[u8]) -> Result<Option<&[u8]>, CompressionError> {
    let Some(rest) = input.strip_prefix(&MAGIC) else {
        return Ok(None);
    };
    let (versions, blocks) = rest
        .split_at_checked(HEADER_LEN - MAGIC.len())
        .ok_or_else(|| corrupt("cut off in the stream header"))?;
    // The second number is the lowest version a reader must know.
    match versions.last_chunk::<4>() {
        Some(lowest) if u32::from_be_bytes(*lowest) <= VERSION => Ok(Some(blocks)),
        _ => Err(corrupt("framed by a later snappy-java")),
    }
}

fn block(
    decoder: &mut Decoder,
    compressed: &[u8],
    limit: usize,
    out: &mut Vec<u8>,
) -> Result<(), CompressionError> {
    let declared = decompress_len(compressed).map_err(corrupt)?;
    if declared > limit - out.len() {
        return Err(CompressionError::TooLarge { limit });
    }
    if declared > most_unfolded(compressed.len()) {
        return Err(corrupt("declares more than its bytes can unfold to"));
    }
    let start = out.len();
    grow(out, declared);
    let written = decoder
        .decompress(compressed, out.get_mut(start..).unwrap_or_default())
        .map_err(corrupt)?;
    out.truncate(start + written);
    Ok(())
}

/// The densest thing in snappy is a copy: 3 bytes for at most 64.
fn most_unfolded(compressed_len: usize) -> usize {
    compressed_len.div_ceil(3).saturating_mul(64)
}

fn corrupt(reason: impl std::fmt::Display) -> CompressionError {
    CompressionError::corrupt(Compression::Snappy, reason)
}
