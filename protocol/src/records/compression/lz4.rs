//! LZ4 frames, with the blocks done by `lz4_flex`.
//!
//! The frame is read here and not by `lz4_flex`, whose reader takes a cut-off frame for a whole
//! one, sets aside up to 12 MiB for a frame of 20 bytes, and copies every block once more.
//!
//! ```text
//! magic 04 22 4d 18 | FLG | BD | [content size u64] | [dictionary id u32] | header checksum u8
//! blocks: length u32 (top bit: stored as it is), bytes, [xxh32] ... end mark 0 | [content xxh32]
//! ```
//! All little-endian. FLG: version 01, block independence, block checksum, content size, content
//! checksum, 0, dictionary id.

use lz4_flex::block::{
    CompressTable, DecompressError, compress_into_with_table, decompress_into,
    decompress_into_with_dict, get_maximum_output_size,
};
use twox_hash::XxHash32;

use super::{Compression, CompressionError, grow};

const MAGIC: [u8; 4] = [0x04, 0x22, 0x4d, 0x18];

/// What Kafka writes: version 01, independent blocks, no checksums; blocks of 64 KiB; the
/// checksum of these two bytes.
const DESCRIPTOR: [u8; 3] = [0x60, 0x40, 0x82];
const BLOCK_LEN: usize = 64 * 1024;

/// How far back a linked block may refer.
const WINDOW: usize = 64 * 1024;

/// Top bit of a block's length: the bytes are stored as they are.
const STORED: u32 = 1 << 31;

mod flag {
    pub(super) const VERSION_MASK: u8 = 0b1100_0000;
    pub(super) const VERSION: u8 = 0b0100_0000;
    pub(super) const INDEPENDENT: u8 = 1 << 5;
    pub(super) const BLOCK_CHECKSUM: u8 = 1 << 4;
    pub(super) const CONTENT_SIZE: u8 = 1 << 3;
    pub(super) const CONTENT_CHECKSUM: u8 = 1 << 2;
    pub(super) const RESERVED: u8 = 1 << 1;
    pub(super) const DICTIONARY: u8 = 1;
}

pub(super) fn compress(input: &[u8], out: &mut Vec<u8>) -> Result<(), CompressionError> {
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&DESCRIPTOR);
    let mut table = CompressTable::default();
    for block in input.chunks(BLOCK_LEN) {
        let length_at = out.len();
        let block_at = length_at + 4;
        grow(out, 4 + get_maximum_output_size(block.len()));
        let room = out.get_mut(block_at..).unwrap_or_default();
        let written = compress_into_with_table(block, room, &mut table)
            .map_err(|error| CompressionError::encoder(Compression::Lz4, error))?;
        out.truncate(block_at + written);
        let mut length = u32::try_from(written).unwrap_or(u32::MAX);
        if written >= block.len() {
            out.truncate(block_at);
            out.extend_from_slice(block);
            length = u32::try_from(block.len()).unwrap_or(u32::MAX) | STORED;
        }
        if let Some(place) = out.get_mut(length_at..).and_then(|at| at.first_chunk_mut()) {
            *place = length.to_le_bytes();
        }
    }
    out.extend_from_slice(&[0; 4]);
    Ok(())
}

pub(super) fn decompress(
    input: &[u8],
    limit: usize,
    out: &mut Vec<u8>,
) -> Result<(), CompressionError> {
    let mut source = Source { rest: input };
    loop {
        frame(&mut source, limit, out)?;
        if source.rest.is_empty() {
            return Ok(());
        }
    }
}

/// What a frame's header says.
struct Descriptor {
    flags: u8,
    block_max: usize,
    content_size: Option<u64>,
}

impl Descriptor {
    fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

fn frame(source: &mut Source<'_>, limit: usize, out: &mut Vec<u8>) -> Result<(), CompressionError> {
    let descriptor = descriptor(source)?;
    let start = out.len();
    if descriptor.content_size.is_some_and(|size| size > to_u64(limit - start)) {
        return Err(CompressionError::TooLarge { limit });
    }
    loop {
        let length = source.u32()?;
        if length == 0 {
            break;
        }
        let bytes = source.take(usize::try_from(length & !STORED).unwrap_or(usize::MAX))?;
        if bytes.len() > descriptor.block_max {
            return Err(corrupt("a block is larger than the frame allows"));
        }
        if descriptor.has(flag::BLOCK_CHECKSUM) {
            check(bytes, source.u32()?)?;
        }
        if length & STORED == 0 {
            unfold(bytes, &descriptor, start, limit, out)?;
        } else if bytes.len() > limit - out.len() {
            return Err(CompressionError::TooLarge { limit });
        } else {
            out.reserve_exact(bytes.len());
            out.extend_from_slice(bytes);
        }
    }
    let content = out.get(start..).unwrap_or_default();
    if descriptor.has(flag::CONTENT_CHECKSUM) {
        check(content, source.u32()?)?;
    }
    match descriptor.content_size {
        Some(size) if size != to_u64(content.len()) => {
            Err(corrupt("the content is not as long as the frame says"))
        }
        _ => Ok(()),
    }
}

fn descriptor(source: &mut Source<'_>) -> Result<Descriptor, CompressionError> {
    if source.array::<4>()? != MAGIC {
        return Err(corrupt("not an LZ4 frame"));
    }
    let header = source.rest;
    let [flags, sizes] = source.array()?;
    if flags & flag::VERSION_MASK != flag::VERSION || flags & flag::RESERVED != 0 {
        return Err(corrupt("unknown frame version"));
    }
    let block_max = match sizes {
        0x40 => BLOCK_LEN,
        0x50 => 256 * 1024,
        0x60 => 1024 * 1024,
        0x70 => 4 * 1024 * 1024,
        _ => return Err(corrupt("unknown block size")),
    };
    let content_size = match flags & flag::CONTENT_SIZE {
        0 => None,
        _ => Some(u64::from_le_bytes(source.array()?)),
    };
    if flags & flag::DICTIONARY != 0 {
        return Err(corrupt("needs a dictionary"));
    }
    let described = header.len() - source.rest.len();
    let [checksum] = source.array()?;
    let hash = XxHash32::oneshot(0, header.get(..described).unwrap_or_default());
    if checksum != hash.to_le_bytes()[1] {
        return Err(corrupt("wrong header checksum"));
    }
    Ok(Descriptor { flags, block_max, content_size })
}

/// Unfolds one block behind `out`, whose frame began at `frame_start`.
fn unfold(
    bytes: &[u8],
    descriptor: &Descriptor,
    frame_start: usize,
    limit: usize,
    out: &mut Vec<u8>,
) -> Result<(), CompressionError> {
    let start = out.len();
    let allowed = limit - start;
    // A byte of a match length stands for 255 at most.
    let possible = descriptor.block_max.min(bytes.len().saturating_mul(255).saturating_add(64));
    grow(out, possible.min(allowed));
    let (before, room) = out.split_at_mut(start);
    let written = if descriptor.has(flag::INDEPENDENT) {
        decompress_into(bytes, room)
    } else {
        let window_start = frame_start.max(start.saturating_sub(WINDOW));
        decompress_into_with_dict(bytes, room, before.get(window_start..).unwrap_or_default())
    };
    match written {
        Ok(written) => {
            out.truncate(start + written);
            Ok(())
        }
        Err(DecompressError::OutputTooSmall { .. }) if allowed < possible => {
            Err(CompressionError::TooLarge { limit })
        }
        Err(error) => Err(corrupt(error)),
    }
}

fn check(bytes: &[u8], checksum: u32) -> Result<(), CompressionError> {
    if XxHash32::oneshot(0, bytes) == checksum { Ok(()) } else { Err(corrupt("wrong checksum")) }
}

/// The input not read yet; whatever reaches past its end is cut off.
struct Source<'a> {
    rest: &'a [u8],
}

impl<'a> Source<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], CompressionError> {
        let (taken, rest) =
            self.rest.split_at_checked(len).ok_or_else(|| corrupt("the frame is cut off"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], CompressionError> {
        let (taken, rest) =
            self.rest.split_first_chunk().ok_or_else(|| corrupt("the frame is cut off"))?;
        self.rest = rest;
        Ok(*taken)
    }

    fn u32(&mut self) -> Result<u32, CompressionError> {
        Ok(u32::from_le_bytes(self.array()?))
    }
}

fn to_u64(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

fn corrupt(reason: impl std::fmt::Display) -> CompressionError {
    CompressionError::corrupt(Compression::Lz4, reason)
}
