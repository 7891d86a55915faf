//! Frames: every message goes out behind its length, four bytes big-endian. No I/O here; the
//! connection asks how long the next frame is, and hands over whole ones.

use crate::api::ApiKey;
use crate::error::{EncodeError, EncodeErrorKind};
use crate::header::{RequestHeader, ResponseHeader};
use crate::messages::{Message, Request};
use crate::primitives::{Arena, Chunks, Encoder, Size};
use crate::text::Text;

/// Bytes of the length before a frame; the length does not count itself.
pub const LENGTH_PREFIX: usize = 4;

/// A length that can't be a frame's. There is no answer to it: the connection closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The length is negative.
    #[error("frame length {length} is negative")]
    Negative {
        /// The length as it was sent.
        length: i32,
    },
    /// The frame is longer than may be received.
    #[error("frame of {length} bytes is over the limit of {max}")]
    TooLarge {
        /// The length as it was sent.
        length: usize,
        /// The limit, in bytes.
        max: usize,
    },
    /// The peer speaks HTTP.
    #[error("the peer speaks http to a kafka listener")]
    Http,
    /// The peer speaks TLS.
    #[error("the peer speaks tls to a plaintext listener")]
    Tls,
}

/// The length of the frame that begins `bytes`, without its prefix; `None` until there are four
/// bytes to tell. A length over `max` is an error that names what the peer seems to speak instead.
pub fn peek_len(bytes: &[u8], max: usize) -> Result<Option<usize>, FrameError> {
    let Some(prefix) = bytes.first_chunk::<LENGTH_PREFIX>() else { return Ok(None) };
    let length = i32::from_be_bytes(*prefix);
    match usize::try_from(length) {
        Ok(len) if len <= max => Ok(Some(len)),
        refused => Err(match (prefix, refused) {
            (b"GET " | b"POST" | b"PUT " | b"HEAD" | b"OPTI" | b"DELE", _) => FrameError::Http,
            // A TLS handshake record of SSL 3.0 or later.
            ([0x16, 0x03, ..], _) => FrameError::Tls,
            (_, Ok(length)) => FrameError::TooLarge { length, max },
            (_, Err(_)) => FrameError::Negative { length },
        }),
    }
}

/// A whole request frame: length, header, body.
pub fn request<R: Request>(
    version: i16,
    correlation_id: i32,
    client_id: Option<Text>,
    body: &R,
) -> Result<Chunks, EncodeError> {
    request_within(&mut Arena::default(), version, correlation_id, client_id, body)
}

/// The same in the memory of `arena`, as far as that goes ([`Encoder::within`]).
pub fn request_within<R: Request>(
    arena: &mut Arena,
    version: i16,
    correlation_id: i32,
    client_id: Option<Text>,
    body: &R,
) -> Result<Chunks, EncodeError> {
    let header = RequestHeader { api: R::KEY, version, correlation_id, client_id };
    let mut size = body.measure(version);
    header.measure(&mut size);
    let prefix = prefix(&mut size, R::KEY, version)?;
    let mut encoder = Encoder::within(arena, &size);
    encoder.i32(prefix);
    header.encode(&mut encoder);
    body.encode(&mut encoder, version)?;
    Ok(encoder.finish_within(arena))
}

/// A whole request frame around a body that is written already.
pub fn raw_request(header: &RequestHeader, body: &[u8]) -> Result<Chunks, EncodeError> {
    let mut size = Size::default();
    header.measure(&mut size);
    size.add(body.len());
    let mut encoder = begin(&mut size, header.api, header.version)?;
    header.encode(&mut encoder);
    encoder.raw(body);
    Ok(encoder.finish())
}

/// A whole response frame: length, header, body.
pub fn response<M: Message>(
    version: i16,
    correlation_id: i32,
    body: &M,
) -> Result<Chunks, EncodeError> {
    let header = ResponseHeader { correlation_id };
    let mut size = body.measure(version);
    header.measure(&mut size, M::KEY, version);
    let mut encoder = begin(&mut size, M::KEY, version)?;
    header.encode(&mut encoder, M::KEY, version);
    body.encode(&mut encoder, version)?;
    Ok(encoder.finish())
}

/// An encoder with room for the frame and the length written.
fn begin(size: &mut Size, api: ApiKey, version: i16) -> Result<Encoder, EncodeError> {
    let prefix = prefix(size, api, version)?;
    let mut encoder = Encoder::with_room(size);
    encoder.i32(prefix);
    Ok(encoder)
}

/// The length of the frame as it is written, and counts its own bytes.
fn prefix(size: &mut Size, api: ApiKey, version: i16) -> Result<i32, EncodeError> {
    let length = size.total();
    let prefix = i32::try_from(length).map_err(|_| EncodeError {
        api,
        version,
        field: "frame",
        kind: EncodeErrorKind::TooLong { length },
    })?;
    size.add(LENGTH_PREFIX);
    Ok(prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_told_once_four_bytes_are_there() {
        assert_eq!(peek_len(&[0, 0, 1], 1000), Ok(None));
        assert_eq!(peek_len(&[0, 0, 1, 2], 1000), Ok(Some(258)));
        assert_eq!(peek_len(&[0, 0, 0, 0, 9, 9], 1000), Ok(Some(0)));
    }

    #[test]
    fn what_is_no_frame_is_named() {
        let max = 100 * 1024 * 1024;
        assert_eq!(peek_len(b"\xff\xff\xff\xfe", max), Err(FrameError::Negative { length: -2 }));
        let length = 0x7fff_ffff;
        assert_eq!(peek_len(b"\x7f\xff\xff\xff", max), Err(FrameError::TooLarge { length, max }));
        assert_eq!(peek_len(b"GET / HTTP/1.1", max), Err(FrameError::Http));
        assert_eq!(peek_len(b"\x16\x03\x01\x02\x00", max), Err(FrameError::Tls));
    }
}
