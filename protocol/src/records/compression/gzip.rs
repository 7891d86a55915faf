//! gzip through `flate2`, read in steps.

use std::io::{ErrorKind, Read, Write};

use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::{Compression, CompressionError, grow};

/// zlib's own default, which is its level 6.
pub(super) const DEFAULT_LEVEL: i32 = -1;

/// The smallest step in which the output grows.
const STEP: usize = 8 * 1024;

pub(super) fn compress(
    level: i32,
    input: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), CompressionError> {
    let level = match u32::try_from(level) {
        Ok(level) => flate2::Compression::new(level),
        Err(_) => flate2::Compression::default(),
    };
    let mut encoder = GzEncoder::new(out, level);
    let written = encoder.write_all(input).and_then(|()| encoder.finish());
    written.map_err(|error| CompressionError::encoder(Compression::Gzip, error))?;
    Ok(())
}

pub(super) fn decompress(
    input: &[u8],
    limit: usize,
    out: &mut Vec<u8>,
) -> Result<(), CompressionError> {
    let mut decoder = MultiGzDecoder::new(input);
    let mut len = 0;
    loop {
        if len == out.len() {
            let room = limit - len;
            if room == 0 {
                return at_limit(&mut decoder, limit);
            }
            // Text unfolds about fourfold: one step is mostly enough.
            let step = len.max(input.len().saturating_mul(4)).max(STEP).min(room);
            grow(out, step);
        }
        match decoder.read(out.get_mut(len..).unwrap_or_default()) {
            Ok(0) => break,
            Ok(read) => len += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(CompressionError::corrupt(Compression::Gzip, error)),
        }
    }
    out.truncate(len);
    Ok(())
}

/// The output has as many bytes as it may have: all is well if there is none to come.
fn at_limit(decoder: &mut impl Read, limit: usize) -> Result<(), CompressionError> {
    loop {
        match decoder.read(&mut [0]) {
            Ok(0) => return Ok(()),
            Ok(_) => return Err(CompressionError::TooLarge { limit }),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(CompressionError::corrupt(Compression::Gzip, error)),
        }
    }
}
