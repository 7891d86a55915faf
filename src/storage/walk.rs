//! Walks the batches of a segment file by their headers, through a small window: what a reader
//! needs to find a batch, and recovery to check all of them. Lengths are bounded by what the file
//! has before anything is read.

use std::io;

use duramen_protocol::records::Compression;
use duramen_protocol::records::batch::{BatchHeader, HEADER_LEN};

use crate::env::{DiskFile, Patience};

/// A batch found by its header.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    /// Where it begins in the file.
    pub(super) position: u64,
    pub(super) header: BatchHeader,
}

impl Found {
    /// Bytes of the whole batch.
    pub(super) fn size(&self) -> u64 {
        self.header.size() as u64
    }

    /// Where the next batch begins.
    pub(super) fn end(&self) -> u64 {
        self.position + self.size()
    }
}

/// Whether a log may hold a batch with this header: what a leader demands of each is looked at before
/// a checksum is computed, which may be of all that is left of the file.
fn is_possible(header: &BatchHeader) -> bool {
    let (count, delta) = (header.record_count, header.last_offset_delta);
    // Compaction takes records and leaves the delta.
    let counts = delta >= 0 && count >= 0 && count - 1 <= delta;
    counts && Compression::from_code(header.attributes.codec()).is_some()
}

/// What stands at a position.
#[derive(Debug)]
pub(super) enum Step {
    /// A batch, whole as far as its length says.
    Batch(Found),
    /// The end of the bytes to walk.
    End,
    /// No batch.
    Broken(Fault),
}

/// Why there is no batch at a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Fewer bytes than the header announces, or than a header has.
    #[error("fewer bytes than the batch announces")]
    Cut,
    /// Nothing but zeros: reserved space that was never written.
    #[error("nothing but zeros: space that was reserved and never written")]
    Zeros,
    /// Not a header: wrong format or impossible length.
    #[error("no record batch begins here")]
    NotABatch,
    /// The checksum disagrees.
    #[error("the checksum is wrong")]
    Checksum,
    /// The offsets do not continue those before.
    #[error("the offsets do not fit those around")]
    Offsets,
    /// The leader epoch is older than the one before.
    #[error("the leader epoch does not fit those around")]
    Epoch,
}

/// The batches of a file between two positions.
pub(super) struct Walk<'a> {
    file: &'a dyn DiskFile,
    patience: Patience,
    position: u64,
    end: u64,
    /// Damaged stretches, known and passed over: from and to.
    holes: &'a [(u64, u64)],
    window: Vec<u8>,
    /// Position of the window, and how much of it is filled.
    at: u64,
    filled: usize,
    /// The first byte that was wanted, without waiting, and not in memory.
    missed: Option<u64>,
}

impl<'a> Walk<'a> {
    /// Walks `file` from `position`, where a batch must begin, to `end`, reading `window` bytes
    /// at a time: a page to look around, more to read everything.
    pub(super) fn new(file: &'a dyn DiskFile, position: u64, end: u64, window: usize) -> Self {
        let window = vec![0; window.max(HEADER_LEN)];
        let patience = Patience::Wait;
        Self { file, patience, position, end, holes: &[], window, at: 0, filled: 0, missed: None }
    }

    /// Passes over these stretches of the file.
    pub(super) fn over(mut self, holes: &'a [(u64, u64)]) -> Self {
        self.holes = holes;
        self
    }

    /// Waits for the disk no longer than this.
    pub(super) fn with(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// From where on bytes were not in memory that the walk looked at or beside; if it waited for the disk, or
    /// all were, from nowhere.
    pub(super) fn missed(&self) -> Option<u64> {
        self.missed
    }

    /// Where the next batch should begin.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Goes to another position.
    pub(super) fn seek(&mut self, position: u64) {
        self.position = position;
    }

    /// What stands at the current position; does not go past it.
    pub(super) fn peek(&mut self) -> io::Result<Step> {
        let position = self.position;
        let step = self.step();
        self.position = position;
        step
    }

    /// The batch at the current position; goes past it if there is one.
    pub(super) fn step(&mut self) -> io::Result<Step> {
        // One may begin where another ends.
        let hole_at = |at| self.holes.iter().find(|(from, to)| *from == at && to > from);
        while let Some((_, to)) = hole_at(self.position) {
            self.position = *to;
        }
        if self.position >= self.end {
            return Ok(Step::End);
        }
        let position = self.position;
        let left = self.end - position;
        let bytes = self.bytes(position, HEADER_LEN)?;
        let Ok(header) = BatchHeader::parse(bytes) else {
            let fault = match bytes {
                _ if bytes.iter().all(|byte| *byte == 0) => Fault::Zeros,
                short if short.len() < HEADER_LEN => Fault::Cut,
                _ => Fault::NotABatch,
            };
            return Ok(Step::Broken(fault));
        };
        let found = Found { position, header };
        if found.size() > left {
            return Ok(Step::Broken(Fault::Cut));
        }
        self.position = found.end();
        Ok(Step::Batch(found))
    }

    /// Whether the bytes of a batch have the checksum that its header claims.
    pub(super) fn checksum_holds(&mut self, found: &Found) -> io::Result<bool> {
        // The sum covers all from the attributes on; it is taken piece by piece, so that a large
        // batch needs no large buffer.
        let mut position = found.position + 21;
        let mut sum = 0;
        while position < found.end() {
            let left = usize::try_from(found.end() - position).unwrap_or(usize::MAX);
            let bytes = self.bytes(position, left.min(self.window.len()))?;
            if bytes.is_empty() {
                return Ok(false);
            }
            sum = crc32c::crc32c_append(sum, bytes);
            position += bytes.len() as u64;
        }
        Ok(sum == found.header.crc)
    }

    /// The header at the current position, if it may be that of a batch.
    pub(super) fn claim(&mut self) -> io::Result<Option<Found>> {
        let position = self.position;
        let header = BatchHeader::parse(self.bytes(position, HEADER_LEN)?).ok();
        Ok(header.filter(is_possible).map(|header| Found { position, header }))
    }

    /// The next place from the current position on where a whole batch stands that `is_wanted`, asked when
    /// it was gone past: a search byte by byte.
    pub(super) fn search(
        &mut self,
        is_wanted: impl Fn(&mut Self, &Found) -> io::Result<bool>,
    ) -> io::Result<Option<Found>> {
        while self.position < self.end {
            let position = self.position;
            let window = self.ahead(position)?;
            // A header has its magic 16 bytes in.
            let candidates = window.get(16..).unwrap_or_default();
            let Some(skip) = candidates.iter().position(|byte| *byte == 2) else {
                let step = window.len().saturating_sub(16).max(1);
                self.position += step as u64;
                continue;
            };
            self.position += skip as u64;
            let at = self.position;
            if let Step::Batch(found) = self.step()?
                && is_possible(&found.header)
                && is_wanted(self, &found)?
            {
                self.position = found.end();
                return Ok(Some(found));
            }
            self.position = at + 1;
        }
        Ok(None)
    }

    /// Whether no bytes to walk lie behind `found`.
    pub(super) fn ends_with(&self, found: &Found) -> bool {
        found.end() == self.end
    }

    /// What the window holds from `position` on: at least a header, but at the end.
    fn ahead(&mut self, position: u64) -> io::Result<&[u8]> {
        let start = position.checked_sub(self.at).and_then(|n| usize::try_from(n).ok());
        let held = start.map_or(0, |start| self.filled.saturating_sub(start));
        self.bytes(position, if held >= HEADER_LEN { held } else { self.window.len() })
    }

    /// Up to `len` bytes from `position` on; fewer only at the end.
    fn bytes(&mut self, position: u64, len: usize) -> io::Result<&[u8]> {
        let left = usize::try_from(self.end.saturating_sub(position)).unwrap_or(usize::MAX);
        let len = len.min(left).min(self.window.len());
        let offset = position.checked_sub(self.at).and_then(|n| usize::try_from(n).ok());
        let start = match offset.filter(|start| start.saturating_add(len) <= self.filled) {
            Some(start) => start,
            None => {
                let want = self.window.len().min(left);
                self.fill(position, want)?;
                if self.filled < len && self.patience == Patience::Now {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                0
            }
        };
        let end = (start + len).min(self.filled);
        Ok(self.window.get(start..end).unwrap_or_default())
    }

    /// Moves the window: `want` bytes from `position` on, fewer where the file ends or, without waiting, what
    /// is in memory.
    fn fill(&mut self, position: u64, want: usize) -> io::Result<()> {
        let room = self.window.get_mut(..want).unwrap_or_default();
        (self.at, self.filled) = (position, 0);
        let read = self.patience.read(self.file, room, position);
        self.filled = *read.as_ref().unwrap_or(&0);
        if self.patience == Patience::Now && self.filled < want {
            let missed = position + self.filled as u64;
            self.missed = Some(self.missed.map_or(missed, |before| before.min(missed)));
        }
        read.map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::env::sim::SimDisk;
    use crate::env::{Disk, OpenMode};
    use crate::storage::tests::support::batch;
    use duramen_protocol::records::stamp::stamp_base_offset;

    /// A file of batches with sizes around those of the windows.
    fn file_of(sizes: &[usize]) -> (Arc<dyn DiskFile>, u64) {
        let disk = SimDisk::new();
        disk.create_dir_all(Path::new("/d")).unwrap();
        let file = disk.open(Path::new("/d/f"), OpenMode::Create).unwrap();
        let mut position = 0;
        for (offset, size) in sizes.iter().enumerate() {
            let mut bytes = batch(1, 1, &vec![2; *size]).to_vec();
            stamp_base_offset(&mut bytes, offset as i64).unwrap();
            file.write_at(&[IoSlice::new(&bytes)], position).unwrap();
            position += bytes.len() as u64;
        }
        (file, position)
    }

    #[test]
    fn walks_batches_of_all_sizes_through_any_window() {
        let sizes = [0, 1, 38, 39, 40, 1000, 5000, 3, 70_000, 0, 10];
        let (file, len) = file_of(&sizes);
        for window in [1, 61, 62, 100, 4096, 300_000] {
            let mut walk = Walk::new(&*file, 0, len, window);
            for (offset, size) in sizes.iter().enumerate() {
                let Step::Batch(found) = walk.step().unwrap() else { panic!("{offset}") };
                assert_eq!(found.header.base_offset, offset as i64);
                assert_eq!(found.size(), *size as u64 + 61);
                assert!(walk.checksum_holds(&found).unwrap());
            }
            assert!(matches!(walk.step().unwrap(), Step::End));
        }
    }

    #[test]
    fn tells_a_cut_from_zeros_and_from_garbage() {
        let (file, len) = file_of(&[100, 100]);
        let at_second = len / 2;
        let fault = |end: u64| {
            let mut walk = Walk::new(&*file, at_second, end, 4096);
            match walk.step().unwrap() {
                Step::Broken(fault) => Some(fault),
                _ => None,
            }
        };
        assert_eq!(fault(len), None);
        assert_eq!(fault(len - 1), Some(Fault::Cut));
        assert_eq!(fault(at_second + 30), Some(Fault::Cut));
        file.write_at(&[IoSlice::new(&[0; 161])], at_second).unwrap();
        assert_eq!(fault(len), Some(Fault::Zeros));
        assert_eq!(fault(at_second + 10), Some(Fault::Zeros));
        file.write_at(&[IoSlice::new(&[9; 161])], at_second).unwrap();
        assert_eq!(fault(len), Some(Fault::NotABatch));
    }

    #[test]
    fn finds_the_next_batch_after_damage() {
        let sizes = [100, 9000, 50, 2000];
        let (file, len) = file_of(&sizes);
        file.write_at(&[IoSlice::new(&[2; 300])], 120).unwrap();
        let mut walk = Walk::new(&*file, 161, len, 512);
        assert!(matches!(walk.step().unwrap(), Step::Broken(_)));
        let sound = |walk: &mut Walk<'_>, found: &Found| walk.checksum_holds(found);
        let found = walk.search(sound).unwrap().unwrap();
        assert_eq!((found.header.base_offset, found.position), (2, 161 + 9061));
        let found = walk
            .search(|walk, found| Ok(found.header.base_offset > 2 && sound(walk, found)?))
            .unwrap()
            .unwrap();
        assert_eq!(found.header.base_offset, 3);
        assert!(walk.search(sound).unwrap().is_none());
    }
}
