//! The time index of one segment (`.timeindex`): how high timestamps had risen at some batches.
//!
//! An entry is Kafka's: 8 bytes the largest timestamp so far, 4 bytes the last offset of the batch
//! that has it, relative to the segment's base offset, both big-endian. Timestamps strictly rise.

use std::io;
use std::path::PathBuf;

use crate::env::{Disk, Patience};

use super::index_file::IndexFile;

/// Bytes of an entry.
pub(super) const WIDTH: usize = 12;

/// One entry: no batch up to the one that ends with `last_offset` has a later timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TimeEntry {
    /// Milliseconds since 1970.
    pub(super) timestamp: i64,
    pub(super) last_offset: i64,
}

/// The entries of one segment.
#[derive(Debug, Clone)]
pub(super) struct TimeIndex {
    base: i64,
    pub(super) file: IndexFile,
    last: Option<TimeEntry>,
}

impl TimeIndex {
    pub(super) fn empty(path: PathBuf, base: i64) -> Self {
        Self { base, file: IndexFile::empty(path, WIDTH), last: None }
    }

    pub(super) fn open(disk: &dyn Disk, path: PathBuf, base: i64) -> io::Result<Option<Self>> {
        let Some(file) = IndexFile::open(disk, path, WIDTH)? else { return Ok(None) };
        let mut index = Self { base, file, last: None };
        index.reload_last(disk)?;
        Ok(Some(index))
    }

    /// Adds an entry, if it says anything new.
    pub(super) fn push_if_later(&mut self, entry: TimeEntry) {
        if self.last.map_or(-1, |last| last.timestamp) >= entry.timestamp {
            return;
        }
        let relative = i32::try_from(entry.last_offset - self.base).unwrap_or(i32::MAX);
        let mut raw = [0; WIDTH];
        let (left, right) = raw.split_at_mut(8);
        left.copy_from_slice(&entry.timestamp.to_be_bytes());
        right.copy_from_slice(&relative.to_be_bytes());
        self.file.push(&raw);
        self.last = Some(entry);
    }

    /// No more entries fit in `max_bytes`, but for the one that closes the segment.
    pub(super) fn is_full(&self, max_bytes: u32) -> bool {
        self.file.len() + 1 >= max_bytes as usize / WIDTH
    }

    /// The last entry.
    pub(super) fn last(&self) -> Option<TimeEntry> {
        self.last
    }

    /// The last entry whose timestamp is below `timestamp`: what reaches it lies behind.
    pub(super) fn below(&self, disk: &dyn Disk, timestamp: i64) -> io::Result<Option<TimeEntry>> {
        let is_below = |raw: &[u8]| self.decode(raw).timestamp < timestamp;
        let count = self.file.partition_point(disk, Patience::Wait, is_below)?;
        count.checked_sub(1).map(|n| self.get(disk, n)).transpose()
    }

    /// Keeps the first `keep` entries.
    pub(super) fn truncate(&mut self, disk: &dyn Disk, keep: usize) -> io::Result<()> {
        self.file.truncate(disk, keep)?;
        self.reload_last(disk)
    }

    fn reload_last(&mut self, disk: &dyn Disk) -> io::Result<()> {
        self.last = self.file.len().checked_sub(1).map(|n| self.get(disk, n)).transpose()?;
        Ok(())
    }

    fn get(&self, disk: &dyn Disk, n: usize) -> io::Result<TimeEntry> {
        let mut raw = [0; WIDTH];
        self.file.get(disk, Patience::Wait, n, &mut raw)?;
        Ok(self.decode(&raw))
    }

    fn decode(&self, raw: &[u8]) -> TimeEntry {
        let timestamp = raw.first_chunk().copied().unwrap_or([0; 8]);
        let relative = i32::from_be_bytes(raw.last_chunk().copied().unwrap_or([0; 4]));
        TimeEntry {
            timestamp: i64::from_be_bytes(timestamp),
            last_offset: self.base.saturating_add(i64::from(relative)),
        }
    }

    /// All entries, oldest first.
    pub(super) fn entries(&self, disk: &dyn Disk) -> io::Result<Vec<TimeEntry>> {
        Ok(self.file.read_all(disk)?.chunks_exact(WIDTH).map(|raw| self.decode(raw)).collect())
    }

    /// How many entries from the front are in order and below `offset`.
    pub(super) fn sound_prefix(&self, disk: &dyn Disk, offset: i64) -> io::Result<usize> {
        let mut previous: Option<TimeEntry> = None;
        let sound = self.entries(disk)?.into_iter().take_while(|entry| {
            let rises = previous.is_none_or(|previous| {
                entry.timestamp > previous.timestamp && entry.last_offset >= previous.last_offset
            });
            previous = Some(*entry);
            rises && entry.last_offset >= self.base && entry.last_offset < offset
        });
        Ok(sound.count())
    }
}
