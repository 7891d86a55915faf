//! Reads the batches of a segment one after another, each with its checksum proven.

use std::io;

use duramen_protocol::records::{BatchError, BatchView, HEADER_LEN};

use crate::env::DiskFile;

/// The batches of a file.
pub(super) struct Batches<'a> {
    file: &'a dyn DiskFile,
    /// Damaged stretches, passed over.
    holes: &'a [(u64, u64)],
    position: u64,
    end: u64,
    buffer: Vec<u8>,
    /// Where in the file the buffer begins, and how much of it is filled.
    at: u64,
    filled: usize,
    io_bytes: usize,
}

impl<'a> Batches<'a> {
    /// The batches of the first `end` bytes of `file`; at least `io_bytes` are read at once.
    pub(super) fn new(
        file: &'a dyn DiskFile,
        (holes, end): (&'a [(u64, u64)], u64),
        io_bytes: usize,
    ) -> Self {
        let io_bytes = io_bytes.max(HEADER_LEN);
        Self { file, holes, position: 0, end, buffer: Vec::new(), at: 0, filled: 0, io_bytes }
    }

    /// The next batch; `None` at the end.
    ///
    /// # Errors
    /// Of kind `InvalidData`, with what is wrong, for bytes that are no sound batch; others as the
    /// operating system says.
    pub(super) fn next(&mut self) -> io::Result<Option<BatchView<'_>>> {
        if let Some((_, to)) = self.holes.iter().find(|(from, _)| *from == self.position) {
            self.position = *to;
        }
        if self.position >= self.end {
            return Ok(None);
        }
        let size = loop {
            match BatchView::split(self.ahead()) {
                Ok((batch, _)) => break batch.size(),
                Err(BatchError::Truncated { needed, available })
                    if self.position + needed as u64 <= self.end && needed > available =>
                {
                    self.fill(needed)?;
                }
                Err(error) => return Err(unsound(&error)),
            }
        };
        let from = usize::try_from(self.position - self.at).unwrap_or(usize::MAX);
        self.position += size as u64;
        let bytes = self.buffer.get(from..from + size).unwrap_or_default();
        let (batch, _) = BatchView::split(bytes).map_err(|error| unsound(&error))?;
        batch.check_crc().map_err(|error| unsound(&error))?;
        Ok(Some(batch))
    }

    /// Whether no further batch follows the next one.
    pub(super) fn next_is_last(&mut self) -> io::Result<bool> {
        loop {
            match BatchView::split(self.ahead()) {
                Ok((batch, _)) => return Ok(self.position + batch.size() as u64 >= self.end),
                Err(BatchError::Truncated { needed, available })
                    if self.position + needed as u64 <= self.end && needed > available =>
                {
                    self.fill(needed)?;
                }
                Err(_) => return Ok(false),
            }
        }
    }

    /// What the buffer holds from the position on.
    fn ahead(&self) -> &[u8] {
        let from = self.position.checked_sub(self.at).and_then(|from| usize::try_from(from).ok());
        from.and_then(|from| self.buffer.get(from..self.filled)).unwrap_or_default()
    }

    /// Reads on from the position, at least `needed` bytes, which the file has.
    fn fill(&mut self, needed: usize) -> io::Result<()> {
        let left = usize::try_from(self.end - self.position).unwrap_or(usize::MAX);
        let want = needed.max(self.io_bytes).min(left);
        // One huge batch does not keep its room for ever.
        if self.buffer.len() < want || self.buffer.len() > want.max(self.io_bytes) * 2 {
            self.buffer = vec![0; want];
        }
        let room = self.buffer.get_mut(..want).unwrap_or_default();
        self.filled = self.file.read_at(room, self.position)?;
        self.at = self.position;
        if self.filled < needed { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }
}

fn unsound(error: &BatchError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error.to_string())
}
