//! Takes whole response frames out of a byte stream, pure: bytes in, frames out, memory bounded.

use bytes::{Bytes, BytesMut};
use duramen_protocol::frame::{FrameError, LENGTH_PREFIX, peek_len};

/// Bytes read at once when no long frame is on its way: small enough to stay in a core's cache.
const READ_BYTES: usize = 64 * 1024;

/// The receive buffer of one connection.
#[derive(Debug)]
pub(super) struct FrameBuffer {
    buffer: BytesMut,
    max_frame: usize,
}

impl FrameBuffer {
    /// A buffer that refuses frames over `max_frame` bytes.
    pub(super) fn new(max_frame: usize) -> Self {
        Self { buffer: BytesMut::new(), max_frame }
    }

    /// Where to read next: room for the rest of a long frame, or for a piece of what comes.
    ///
    /// A frame longer than a piece gets memory of its own, so that its bytes are read into the place
    /// where they stay. `BytesMut` takes the former memory again when nobody holds a frame of it.
    pub(super) fn room(&mut self) -> Result<&mut BytesMut, FrameError> {
        let whole = match peek_len(&self.buffer, self.max_frame)? {
            Some(len) => LENGTH_PREFIX + len,
            None => LENGTH_PREFIX,
        };
        let missing = whole.saturating_sub(self.buffer.len());
        if self.buffer.capacity() - self.buffer.len() < missing.max(1) {
            let want = if missing > READ_BYTES { missing } else { READ_BYTES };
            self.buffer.reserve(want);
        }
        Ok(&mut self.buffer)
    }

    /// The next whole frame without its length, if it is there.
    pub(super) fn next_frame(&mut self) -> Result<Option<Bytes>, FrameError> {
        let Some(len) = peek_len(&self.buffer, self.max_frame)? else { return Ok(None) };
        if self.buffer.len() < LENGTH_PREFIX + len {
            return Ok(None);
        }
        let mut frame = self.buffer.split_to(LENGTH_PREFIX + len).freeze();
        Ok(Some(frame.split_off(LENGTH_PREFIX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_whole_however_the_bytes_come() {
        let mut wire = Vec::new();
        let bodies = [vec![1_u8; 3], Vec::new(), vec![2; 200_000], vec![3; 70_000]];
        for body in &bodies {
            wire.extend_from_slice(&u32::try_from(body.len()).unwrap().to_be_bytes());
            wire.extend_from_slice(body);
        }
        for step in [1, 7, 65_536, wire.len()] {
            let mut frames = FrameBuffer::new(1 << 20);
            let mut got = Vec::new();
            for piece in wire.chunks(step) {
                frames.room().unwrap().extend_from_slice(piece);
                while let Some(frame) = frames.next_frame().unwrap() {
                    got.push(frame.to_vec());
                }
            }
            assert_eq!(got, bodies, "in steps of {step}");
        }
    }

    #[test]
    fn a_frame_over_the_limit_is_refused_before_memory_is_spent() {
        let mut frames = FrameBuffer::new(1000);
        frames.room().unwrap().extend_from_slice(&1001_u32.to_be_bytes());
        assert!(matches!(frames.room(), Err(FrameError::TooLarge { length: 1001, max: 1000 })));
        assert!(frames.next_frame().is_err());
    }
}
