//! The receive buffer of a connection: small while idle, cache-sized while busy, and grown in steps,
//! within the broker's budget, for a frame that is larger.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use duramen_protocol::frame::{self, FrameError};
use tokio::io::AsyncRead;
use tokio_util::io::poll_read_buf;

use super::budget::Grant;

/// What an idle connection reads into.
const IDLE_BYTES: usize = 8 * 1024;
/// What a busy connection reads into: small enough to stay in a core's cache, so that checking and
/// writing the bytes out again finds them there. Needs no budget.
pub(super) const BUSY_BYTES: usize = 128 * 1024;
/// The 4 bytes in front of a frame that tell its length.
const PREFIX_BYTES: usize = 4;

/// Bytes received and not yet served.
#[derive(Default)]
pub(super) struct Inbox {
    buffer: BytesMut,
    /// Capacity to have before the next read.
    target: usize,
    /// Length of the frame at the front, with its prefix, once the prefix is here.
    frame_bytes: usize,
    grant: Grant,
    /// Bytes read so far.
    pub(super) bytes_read: u64,
    /// Frames taken so far.
    pub(super) frames: u64,
}

impl Inbox {
    /// Bytes here that are not yet taken as frames.
    pub(super) fn len(&self) -> usize {
        self.buffer.len()
    }

    /// Whether nothing is here.
    pub(super) fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Takes the frame at the front, without its prefix, when all of it is here.
    pub(super) fn next_frame(
        &mut self,
        frame_bytes_max: usize,
    ) -> Result<Option<Bytes>, FrameError> {
        let Some(len) = frame::peek_len(&self.buffer, frame_bytes_max)? else {
            self.frame_bytes = 0;
            return Ok(None);
        };
        self.frame_bytes = PREFIX_BYTES + len;
        if self.buffer.len() < self.frame_bytes {
            return Ok(None);
        }
        let frame = self.buffer.split_to(self.frame_bytes).freeze().slice(PREFIX_BYTES..);
        self.frame_bytes = 0;
        self.frames += 1;
        Ok(Some(frame))
    }

    /// Bytes of budget to get before reading on: some when a large frame has outgrown the buffer.
    pub(super) fn budget_wanted(&self) -> Option<usize> {
        let wanted = self.wanted_capacity();
        let allowed = BUSY_BYTES + self.grant.bytes();
        (wanted > allowed).then(|| wanted - allowed)
    }

    /// Adds budget that was asked for.
    pub(super) fn grant(&mut self, grant: Grant) {
        self.grant.add(grant);
    }

    /// The capacity for the next read. A large frame's buffer doubles as bytes arrive, so that a
    /// claimed length alone costs nothing.
    fn wanted_capacity(&self) -> usize {
        if self.frame_bytes > BUSY_BYTES {
            let step = if self.buffer.len() >= self.target { self.target * 2 } else { self.target };
            return step.clamp(BUSY_BYTES, self.frame_bytes.max(BUSY_BYTES));
        }
        self.target.clamp(IDLE_BYTES, BUSY_BYTES)
    }

    /// Reads what the socket has; 0 at its end.
    pub(super) fn poll_read(
        &mut self,
        stream: &mut (impl AsyncRead + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        self.target = self.wanted_capacity();
        let room = self.target.saturating_sub(self.buffer.len()).max(1);
        if self.buffer.capacity() - self.buffer.len() < room {
            self.buffer.reserve(room);
        }
        let read = std::task::ready!(poll_read_buf(Pin::new(stream), cx, &mut self.buffer))?;
        self.bytes_read += read as u64;
        if read >= room && self.target < BUSY_BYTES {
            self.target = BUSY_BYTES;
        }
        Poll::Ready(Ok(read))
    }

    /// Called now and then: gives the memory back while nothing is being received.
    pub(super) fn shrink(&mut self) {
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
            self.target = 0;
            self.grant = Grant::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    async fn read(inbox: &mut Inbox, stream: &mut (impl AsyncRead + Unpin)) -> usize {
        std::future::poll_fn(|cx| inbox.poll_read(stream, cx)).await.unwrap()
    }

    fn framed(len: usize) -> Vec<u8> {
        let mut bytes = u32::try_from(len).unwrap().to_be_bytes().to_vec();
        bytes.resize(PREFIX_BYTES + len, 7);
        bytes
    }

    #[tokio::test]
    async fn frames_come_out_whole_however_they_were_cut() {
        let (mut near, mut far) = tokio::io::duplex(1 << 20);
        let mut inbox = Inbox::default();
        let bytes = [framed(3), framed(5000)].concat();
        let (head, tail) = bytes.split_at(9);
        far.write_all(head).await.unwrap();
        read(&mut inbox, &mut near).await;
        assert_eq!(inbox.next_frame(1 << 20).unwrap().unwrap().len(), 3);
        assert_eq!(inbox.next_frame(1 << 20).unwrap(), None);
        far.write_all(tail).await.unwrap();
        read(&mut inbox, &mut near).await;
        assert_eq!(inbox.next_frame(1 << 20).unwrap().unwrap(), vec![7; 5000]);
        assert!(inbox.is_empty());
    }

    #[tokio::test]
    async fn a_claimed_length_costs_no_memory_and_a_large_frame_asks_for_budget_step_by_step() {
        let (mut near, mut far) = tokio::io::duplex(1 << 20);
        let mut inbox = Inbox::default();
        far.write_all(&framed(600 * 1024)[..4]).await.unwrap();
        read(&mut inbox, &mut near).await;
        assert_eq!(inbox.next_frame(1 << 20).unwrap(), None);
        assert_eq!(inbox.budget_wanted(), None);
        assert!(inbox.buffer.capacity() <= IDLE_BYTES);
        far.write_all(&vec![7; 600 * 1024]).await.unwrap();
        let budget = super::super::budget::ByteBudget::new(1 << 20);
        let mut asked = 0;
        let frame = loop {
            if let Some(frame) = inbox.next_frame(1 << 20).unwrap() {
                break frame;
            }
            if let Some(bytes) = inbox.budget_wanted() {
                asked += 1;
                inbox.grant(budget.take(bytes).await);
            }
            read(&mut inbox, &mut near).await;
        };
        assert_eq!(frame.len(), 600 * 1024);
        assert!(asked >= 2, "a large frame grows in steps");
        drop(frame);
        inbox.shrink();
        assert_eq!((inbox.buffer.capacity(), inbox.grant.bytes()), (0, 0));
    }
}
