//! Zstandard through `zstd`, in one call over the whole input: the output itself is then the
//! window, where the streaming reader would set aside up to 128 MiB because a header says so.
//!
//! How much output there can be is told by the frames' block headers, which are walked first.

use std::cell::Cell;

use ::zstd::zstd_safe::{CCtx, CParameter, DCtx, ErrorCode, compress_bound, get_error_name};

use super::{Compression, CompressionError, grow};

const MAGIC: u32 = 0xfd2f_b528;

/// Magic numbers of skippable frames, but for their low four bits.
const SKIPPABLE: u32 = 0x184d_2a50;

/// The most that one compressed block unfolds to.
const BLOCK_MAX: usize = 128 * 1024;

/// How zstd says that the output does not fit (`ZSTD_error_dstSize_tooSmall`).
const OUTPUT_TOO_SMALL: ErrorCode = 0_usize.wrapping_sub(70);

/// Contexts of higher levels are too large (tens of MiB) to be kept by every thread.
const KEPT_LEVEL_MAX: i32 = 6;

thread_local! {
    // A context takes longer to set up than a small batch takes to do. It leaves its cell while
    // it is in use, so that no two calls can ever share one.
    static COMPRESSOR: Cell<Option<CCtx<'static>>> = const { Cell::new(None) };
    static DECOMPRESSOR: Cell<Option<DCtx<'static>>> = const { Cell::new(None) };
}

pub(super) fn compress(
    level: i32,
    input: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), CompressionError> {
    let failed = |code| CompressionError::encoder(Compression::Zstd, get_error_name(code));
    let kept = if level <= KEPT_LEVEL_MAX { COMPRESSOR.take() } else { None };
    let mut context = kept.or_else(CCtx::try_create).ok_or_else(|| {
        CompressionError::encoder(Compression::Zstd, "no memory for a compression context")
    })?;
    context.set_parameter(CParameter::CompressionLevel(level)).map_err(failed)?;
    let start = out.len();
    grow(out, compress_bound(input.len()));
    let written =
        context.compress2(out.get_mut(start..).unwrap_or_default(), input).map_err(failed)?;
    out.truncate(start + written);
    if level <= KEPT_LEVEL_MAX {
        COMPRESSOR.set(Some(context));
    }
    Ok(())
}

pub(super) fn decompress(
    input: &[u8],
    limit: usize,
    out: &mut Vec<u8>,
) -> Result<(), CompressionError> {
    let bounds = Bounds::of(input)?;
    if bounds.least > limit {
        return Err(CompressionError::TooLarge { limit });
    }
    // Room for nothing would be no room to write to at all.
    out.reserve_exact(bounds.most.min(limit).max(1));
    let mut context = DECOMPRESSOR
        .take()
        .or_else(DCtx::try_create)
        .ok_or_else(|| corrupt("no memory for a decompression context"))?;
    let written = context.decompress(out, input);
    DECOMPRESSOR.set(Some(context));
    match written {
        // The buffer may have been larger before this call than the limit is now.
        Ok(written) if written > limit => Err(CompressionError::TooLarge { limit }),
        Ok(_) => Ok(()),
        Err(OUTPUT_TOO_SMALL) if bounds.most > limit => Err(CompressionError::TooLarge { limit }),
        Err(code) => Err(corrupt(get_error_name(code))),
    }
}

/// What input can unfold to, as its frame and block headers tell.
#[derive(Debug, Clone, Copy, Default)]
struct Bounds {
    least: usize,
    most: usize,
}

impl Bounds {
    fn of(input: &[u8]) -> Result<Self, CompressionError> {
        let mut source = Source { rest: input };
        let mut all = Self::default();
        loop {
            let frame = match source.le(4)? {
                MAGIC => Self::of_frame(&mut source)?,
                magic if magic & !0xf == SKIPPABLE => {
                    let len = source.le(4)?;
                    source.skip(usize::try_from(len).unwrap_or(usize::MAX))?;
                    Self::default()
                }
                _ => return Err(corrupt("not a zstd frame")),
            };
            all.least = all.least.saturating_add(frame.least);
            all.most = all.most.saturating_add(frame.most);
            if source.rest.is_empty() {
                return Ok(all);
            }
        }
    }

    fn of_frame(source: &mut Source<'_>) -> Result<Self, CompressionError> {
        let descriptor = source.le(1)?;
        let single_segment = descriptor & (1 << 5) != 0;
        let has_checksum = descriptor & (1 << 2) != 0;
        let window_len = usize::from(!single_segment);
        let dictionary_len = match descriptor & 0b11 {
            3 => 4,
            len => len as usize,
        };
        source.skip(window_len + dictionary_len)?;
        let declared = match (descriptor >> 6, single_segment) {
            (0, false) => None,
            (0, true) => Some(u64::from(source.le(1)?)),
            (1, _) => Some(u64::from(source.le(2)?) + 256),
            (2, _) => Some(u64::from(source.le(4)?)),
            _ => Some(u64::from(source.le(4)?) | u64::from(source.le(4)?) << 32),
        };
        let blocks = Self::of_blocks(source)?;
        source.skip(if has_checksum { 4 } else { 0 })?;
        match declared.map(|size| usize::try_from(size).unwrap_or(usize::MAX)) {
            None => Ok(blocks),
            Some(size) if size < blocks.least || size > blocks.most => {
                Err(corrupt("the blocks cannot give the declared size"))
            }
            Some(size) => Ok(Self { least: size, most: size }),
        }
    }

    fn of_blocks(source: &mut Source<'_>) -> Result<Self, CompressionError> {
        let mut all = Self::default();
        loop {
            let header = source.le(3)?;
            let size = (header >> 3) as usize;
            let (stored, least, most) = match (header >> 1) & 0b11 {
                0 => (size, size, size),
                1 => (1, size, size),
                2 => (size, 0, BLOCK_MAX),
                _ => return Err(corrupt("unknown block type")),
            };
            source.skip(stored)?;
            all.least = all.least.saturating_add(least);
            all.most = all.most.saturating_add(most);
            if header & 1 != 0 {
                return Ok(all);
            }
        }
    }
}

/// The input not walked yet; whatever reaches past its end is cut off.
struct Source<'a> {
    rest: &'a [u8],
}

impl Source<'_> {
    fn skip(&mut self, len: usize) -> Result<&[u8], CompressionError> {
        let (skipped, rest) =
            self.rest.split_at_checked(len).ok_or_else(|| corrupt("the frame is cut off"))?;
        self.rest = rest;
        Ok(skipped)
    }

    /// The next `len` bytes, 4 at most, as a little-endian number.
    fn le(&mut self, len: usize) -> Result<u32, CompressionError> {
        Ok(self.skip(len)?.iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte)))
    }
}

fn corrupt(reason: impl std::fmt::Display) -> CompressionError {
    CompressionError::corrupt(Compression::Zstd, reason)
}
