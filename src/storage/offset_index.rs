//! The offset index of one segment (`.index`): where in the file a batch begins, for some batches.
//!
//! An entry is Kafka's: 4 bytes last offset of the batch relative to the segment's base offset, 4
//! bytes position of the batch, both big-endian.

use std::io;
use std::path::PathBuf;

use crate::env::{Disk, Patience};

use super::index_file::IndexFile;

/// Bytes of an entry.
pub(super) const WIDTH: usize = 8;

/// One entry: the batch at `position` ends with `last_offset`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OffsetEntry {
    pub(super) last_offset: i64,
    pub(super) position: u64,
}

/// The entries of one segment.
#[derive(Debug, Clone)]
pub(super) struct OffsetIndex {
    base: i64,
    pub(super) file: IndexFile,
}

impl OffsetIndex {
    pub(super) fn empty(path: PathBuf, base: i64) -> Self {
        Self { base, file: IndexFile::empty(path, WIDTH) }
    }

    pub(super) fn open(disk: &dyn Disk, path: PathBuf, base: i64) -> io::Result<Option<Self>> {
        Ok(IndexFile::open(disk, path, WIDTH)?.map(|file| Self { base, file }))
    }

    /// Adds an entry. The caller rolled before an offset or a position could leave 31 bits.
    pub(super) fn push(&mut self, entry: OffsetEntry) {
        let relative = i32::try_from(entry.last_offset - self.base).unwrap_or(i32::MAX);
        let position = i32::try_from(entry.position).unwrap_or(i32::MAX);
        let mut raw = [0; WIDTH];
        let (left, right) = raw.split_at_mut(4);
        left.copy_from_slice(&relative.to_be_bytes());
        right.copy_from_slice(&position.to_be_bytes());
        self.file.push(&raw);
    }

    /// No more entries fit in `max_bytes`.
    pub(super) fn is_full(&self, max_bytes: u32) -> bool {
        self.file.len() >= max_bytes as usize / WIDTH
    }

    /// The last entry whose offset is at most `offset`.
    pub(super) fn floor(
        &self,
        disk: &dyn Disk,
        patience: Patience,
        offset: i64,
    ) -> io::Result<Option<OffsetEntry>> {
        let is_before = |raw: &[u8]| self.decode(raw).last_offset <= offset;
        let count = self.file.partition_point(disk, patience, is_before)?;
        count.checked_sub(1).map(|n| self.read(disk, patience, n)).transpose()
    }

    /// The last entry.
    pub(super) fn last(&self, disk: &dyn Disk) -> io::Result<Option<OffsetEntry>> {
        self.file.len().checked_sub(1).map(|n| self.get(disk, n)).transpose()
    }

    pub(super) fn get(&self, disk: &dyn Disk, n: usize) -> io::Result<OffsetEntry> {
        self.read(disk, Patience::Wait, n)
    }

    fn read(&self, disk: &dyn Disk, patience: Patience, n: usize) -> io::Result<OffsetEntry> {
        let mut raw = [0; WIDTH];
        self.file.get(disk, patience, n, &mut raw)?;
        Ok(self.decode(&raw))
    }

    fn decode(&self, raw: &[u8]) -> OffsetEntry {
        let half = |bytes: Option<&[u8; 4]>| i32::from_be_bytes(bytes.copied().unwrap_or([0; 4]));
        let relative = half(raw.first_chunk());
        let position = half(raw.last_chunk());
        OffsetEntry {
            last_offset: self.base.saturating_add(i64::from(relative)),
            position: u64::try_from(position).unwrap_or(0),
        }
    }

    /// All entries, oldest first.
    pub(super) fn entries(&self, disk: &dyn Disk) -> io::Result<Vec<OffsetEntry>> {
        Ok(self.file.read_all(disk)?.chunks_exact(WIDTH).map(|raw| self.decode(raw)).collect())
    }

    /// How many entries from the front are in order, within `len` bytes of log, and below `offset`.
    pub(super) fn sound_prefix(&self, disk: &dyn Disk, len: u64, offset: i64) -> io::Result<usize> {
        let mut previous: Option<OffsetEntry> = None;
        let sound = self.entries(disk)?.into_iter().take_while(|entry| {
            let rises = previous.is_none_or(|previous| {
                entry.last_offset > previous.last_offset && entry.position > previous.position
            });
            previous = Some(*entry);
            rises
                && entry.last_offset >= self.base
                && entry.last_offset < offset
                && entry.position < len
        });
        Ok(sound.count())
    }
}
