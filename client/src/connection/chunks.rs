//! Frames on their way out, as a chain of shared chunks that vectored writes consume.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes};

/// Chunks of many frames, first in, first out. Record bytes stay in their own memory.
#[derive(Debug, Default)]
pub(super) struct WriteQueue {
    chunks: VecDeque<Bytes>,
    bytes: usize,
}

impl WriteQueue {
    /// Appends a whole frame, whose list stays behind empty.
    pub(super) fn push(&mut self, frame: &mut Vec<Bytes>) {
        for chunk in frame.drain(..) {
            self.bytes += chunk.len();
            if !chunk.is_empty() {
                self.chunks.push_back(chunk);
            }
        }
    }

    /// Bytes not yet written.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// True when all is written.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes == 0
    }
}

impl Buf for WriteQueue {
    fn remaining(&self) -> usize {
        self.bytes
    }

    fn chunk(&self) -> &[u8] {
        self.chunks.front().map_or(&[], |chunk| chunk)
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut used = 0;
        for (slice, chunk) in slices.iter_mut().zip(&self.chunks) {
            *slice = IoSlice::new(chunk);
            used += 1;
        }
        used
    }

    fn advance(&mut self, mut count: usize) {
        self.bytes = self.bytes.saturating_sub(count);
        while let Some(front) = self.chunks.front_mut() {
            if front.len() > count {
                front.advance(count);
                return;
            }
            count -= front.len();
            self.chunks.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_off_is_what_was_put_on() {
        let mut queue = WriteQueue::default();
        queue.push(&mut vec![Bytes::from_static(b"abc"), Bytes::new(), Bytes::from_static(b"de")]);
        queue.push(&mut vec![Bytes::from_static(b"f")]);
        let mut slices = [IoSlice::new(&[]); 8];
        assert_eq!(queue.chunks_vectored(&mut slices), 3);
        queue.advance(4);
        assert_eq!((queue.bytes(), queue.chunk()), (2, &b"e"[..]));
        queue.advance(2);
        assert!(queue.is_empty() && queue.chunk().is_empty());
    }
}
