//! The five codecs of record batches (KIP-82, KIP-110), with a hard bound on what they put out.
//!
//! A few bytes can ask for gigabytes, and an allocation that fails takes the process down. So
//! each codec is told a limit, spends memory only as output really comes, and stops at the limit.
//! Lengths that a frame declares are held against the limit, and against what its bytes could at
//! most unfold to, before anything is reserved.
//!
//! | codec | on the wire |
//! |---|---|
//! | gzip | RFC 1952, members may follow one another |
//! | snappy | blocks of 32 KiB in snappy-java's framing; plain snappy is read too |
//! | lz4 | an LZ4 frame, independent blocks of 64 KiB; any block size and linked blocks are read |
//! | zstd | zstd frames, one after another; skippable frames are skipped; only with the feature `zstd` |

mod gzip;
mod lz4;
mod snappy;
#[cfg_attr(not(feature = "zstd"), path = "without_zstd.rs")]
mod zstd;

use std::fmt;
use std::ops::RangeInclusive;

use thiserror::Error;

/// A codec of record batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Compression {
    /// Records as they are.
    #[default]
    None,
    /// gzip.
    Gzip,
    /// Snappy, in the framing of snappy-java.
    Snappy,
    /// An LZ4 frame.
    Lz4,
    /// Zstandard (KIP-110).
    Zstd,
}

impl Compression {
    /// All codecs, in the order of their codes.
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// The codec with these compression bits; `None` for 5 to 7, which nobody defined.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }

    /// The compression bits of a batch's attributes.
    pub fn code(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Snappy => 2,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }

    /// The name in `compression.type` of a producer.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }

    /// The codec of that name, in lower case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| codec.name() == name)
    }

    /// The levels that `compression.<codec>.level` may have (KIP-390), and the default one. gzip
    /// takes -1 for its default as well. `None` where there is nothing to choose.
    ///
    /// The LZ4 encoder has one speed: its levels are checked, and make no difference.
    pub fn levels(self) -> Option<(RangeInclusive<i32>, i32)> {
        match self {
            Self::None | Self::Snappy => None,
            Self::Gzip => Some((1..=9, gzip::DEFAULT_LEVEL)),
            Self::Lz4 => Some((1..=17, 9)),
            Self::Zstd => Some((-131_072..=22, 3)),
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why bytes could not be compressed or decompressed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CompressionError {
    /// The output is larger than the caller allows.
    #[error("decompressed data is larger than the limit of {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The input is not what the codec writes.
    #[error("{codec} data is corrupt: {reason}")]
    Corrupt {
        /// The codec that was to read it.
        codec: Compression,
        /// What the codec found.
        reason: String,
    },
    /// The codec was left out when this was built.
    #[error("{codec} is not in this build: enable the feature `{codec}` of duramen-client")]
    LeftOut {
        /// The codec that is missing.
        codec: Compression,
    },
    /// The codec has no such level.
    #[error("{codec} has no level {level}, use {min} to {max}")]
    Level {
        /// The codec that was to write.
        codec: Compression,
        /// The level that was asked for.
        level: i32,
        /// The lowest level.
        min: i32,
        /// The highest level.
        max: i32,
    },
    /// The encoder failed, which only a lack of memory or a bug can make it do.
    #[error("{codec} could not compress: {reason}")]
    Encoder {
        /// The codec that was to write.
        codec: Compression,
        /// What the codec said.
        reason: String,
    },
}

impl CompressionError {
    fn corrupt(codec: Compression, reason: impl fmt::Display) -> Self {
        Self::Corrupt { codec, reason: reason.to_string() }
    }

    fn encoder(codec: Compression, reason: impl fmt::Display) -> Self {
        Self::Encoder { codec, reason: reason.to_string() }
    }
}

/// Compresses `input`; `level` is one of [`Compression::levels`], or `None` for the default.
///
/// # Errors
/// [`CompressionError::Level`], or [`CompressionError::Encoder`].
pub fn compress(
    codec: Compression,
    level: Option<i32>,
    input: &[u8],
) -> Result<Vec<u8>, CompressionError> {
    let mut out = Vec::new();
    compress_onto(codec, level, input, &mut out)?;
    Ok(out)
}

/// The same as [`compress`], put behind what `out` holds already (a header, say).
///
/// # Errors
/// As [`compress`]; `out` then holds nothing of use.
pub fn compress_onto(
    codec: Compression,
    level: Option<i32>,
    input: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), CompressionError> {
    let level = checked_level(codec, level)?;
    match codec {
        Compression::None => out.extend_from_slice(input),
        Compression::Gzip => gzip::compress(level, input, out)?,
        Compression::Snappy => snappy::compress(input, out)?,
        Compression::Lz4 => lz4::compress(input, out)?,
        Compression::Zstd => zstd::compress(level, input, out)?,
    }
    Ok(())
}

/// Decompresses `input` to at most `limit` bytes.
///
/// # Errors
/// [`CompressionError::TooLarge`] when there is more, [`CompressionError::Corrupt`] when the
/// input is cut off or not of the codec.
pub fn decompress(
    codec: Compression,
    input: &[u8],
    limit: usize,
) -> Result<Vec<u8>, CompressionError> {
    let mut out = Vec::new();
    decompress_into(codec, input, limit, &mut out)?;
    Ok(out)
}

/// The same as [`decompress`], over what `out` holds, whose memory is used again. `out` grows to
/// `limit` bytes at most.
///
/// # Errors
/// As [`decompress`]; `out` then holds nothing of use.
pub fn decompress_into(
    codec: Compression,
    input: &[u8],
    limit: usize,
    out: &mut Vec<u8>,
) -> Result<(), CompressionError> {
    out.clear();
    match codec {
        Compression::None if input.len() > limit => Err(CompressionError::TooLarge { limit }),
        Compression::None => {
            out.extend_from_slice(input);
            Ok(())
        }
        Compression::Gzip => gzip::decompress(input, limit, out),
        Compression::Snappy => snappy::decompress(input, limit, out),
        Compression::Lz4 => lz4::decompress(input, limit, out),
        Compression::Zstd => zstd::decompress(input, limit, out),
    }
}

fn checked_level(codec: Compression, level: Option<i32>) -> Result<i32, CompressionError> {
    match (codec.levels(), level) {
        (None, _) => Ok(0),
        (Some((_, default)), None) => Ok(default),
        (Some((range, default)), Some(level)) if range.contains(&level) || level == default => {
            Ok(level)
        }
        (Some((range, _)), Some(level)) => {
            Err(CompressionError::Level { codec, level, min: *range.start(), max: *range.end() })
        }
    }
}

/// Makes room for `additional` bytes behind those in `out`, without the doubling that could take
/// the buffer past the limit that the caller has checked.
fn grow(out: &mut Vec<u8>, additional: usize) {
    let len = out.len();
    out.reserve_exact(additional);
    out.resize(len + additional, 0);
}

#[cfg(all(test, feature = "zstd"))]
mod tests;
