//! Holds the two indexes of a segment against its batches, while these are gone through.

use std::io;
use std::path::{Path, PathBuf};

use duramen_protocol::records::batch::{BatchHeader, HEADER_LEN};

use super::super::error::naming;
use super::super::offset_index::{OffsetEntry, OffsetIndex};
use super::super::segment::file_name;
use super::super::time_index::{TimeEntry, TimeIndex};
use super::finding::{Finding, Severity};
use crate::env::Disk;

/// Entries not yet met, of both indexes.
#[derive(Debug)]
pub(super) struct IndexCheck {
    offsets: Entries<OffsetEntry>,
    times: Entries<TimeEntry>,
    latest: i64,
    /// Nothing was written to the segment: it need not have indexes.
    is_empty: bool,
}

#[derive(Debug)]
struct Entries<E> {
    path: PathBuf,
    entries: std::iter::Peekable<std::vec::IntoIter<E>>,
    last: Option<E>,
    fault: Option<String>,
}

impl<E: Copy> Entries<E> {
    fn of(path: PathBuf, read: io::Result<Result<Vec<E>, String>>) -> io::Result<Self> {
        let (entries, fault) = match read.map_err(naming(&path))? {
            Ok(entries) => (entries, None),
            Err(fault) => (Vec::new(), Some(fault)),
        };
        let last = entries.last().copied();
        Ok(Self { path, entries: entries.into_iter().peekable(), last, fault })
    }

    fn blame(&mut self, reason: impl FnOnce() -> String) {
        self.fault.get_or_insert_with(reason);
    }

    fn finding(self, may_miss: bool) -> Option<Finding> {
        let reason = self.fault.filter(|reason| !may_miss || reason != MISSING)?;
        Some(Finding::new(&self.path, Severity::Derived, reason))
    }
}

impl IndexCheck {
    /// Reads the indexes of the segment at `base` that has `len` bytes.
    pub(super) fn open(disk: &dyn Disk, dir: &Path, base: i64, len: u64) -> io::Result<Self> {
        // No index has more entries than the log has batches.
        let most = usize::try_from(len / HEADER_LEN as u64).unwrap_or(usize::MAX) + 1;
        let path = dir.join(file_name(base, "index"));
        let offsets = OffsetIndex::open(disk, path.clone(), base).and_then(|index| {
            let checked = checked(disk, &path, index.as_ref().map(|index| index.file.len()), most)?;
            Ok(match (checked, index) {
                (None, Some(index)) => Ok(index.entries(disk)?),
                (fault, _) => Err(fault.unwrap_or_default()),
            })
        });
        let offsets = Entries::of(path, offsets)?;
        let path = dir.join(file_name(base, "timeindex"));
        let times = TimeIndex::open(disk, path.clone(), base).and_then(|index| {
            let checked = checked(disk, &path, index.as_ref().map(|index| index.file.len()), most)?;
            Ok(match (checked, index) {
                (None, Some(index)) => Ok(index.entries(disk)?),
                (fault, _) => Err(fault.unwrap_or_default()),
            })
        });
        Ok(Self { offsets, times: Entries::of(path, times)?, latest: -1, is_empty: len == 0 })
    }

    /// A sound batch.
    pub(super) fn batch(&mut self, position: u64, header: &BatchHeader) {
        let last_offset = header.last_offset();
        while let Some(entry) = self.offsets.entries.next_if(|entry| entry.position <= position) {
            if entry.position != position || entry.last_offset != last_offset {
                self.offsets.blame(|| {
                    format!(
                        "an entry says that the batch at byte {} ends with offset {}; the log does not",
                        entry.position, entry.last_offset
                    )
                });
            }
        }
        let max_timestamp = header.max_timestamp;
        while let Some(entry) = self.times.entries.next_if(|entry| entry.last_offset <= last_offset)
        {
            let agrees = entry.last_offset == last_offset
                && entry.timestamp == max_timestamp
                && entry.timestamp > self.latest;
            if !agrees {
                self.times.blame(|| {
                    format!(
                        "an entry says that timestamps reach {} with offset {}; the log does not",
                        entry.timestamp, entry.last_offset
                    )
                });
            }
        }
        self.latest = self.latest.max(max_timestamp);
    }

    /// Entries about bytes `[from, to)`, which are no batches, and offsets below `next`, prove
    /// nothing.
    pub(super) fn skip(&mut self, to: u64, next: Option<i64>) {
        while self.offsets.entries.next_if(|entry| entry.position < to).is_some() {}
        let next = next.unwrap_or(i64::MAX);
        while self.times.entries.next_if(|entry| entry.last_offset < next).is_some() {}
    }

    /// What is wrong. A `closed` segment's indexes are complete; one that may grow, or was not
    /// closed properly, has indexes that lag behind or run ahead.
    pub(super) fn finish(mut self, is_closed: bool, has_holes: bool) -> Vec<Finding> {
        if is_closed {
            if let Some(entry) = self.offsets.entries.next() {
                let at = entry.position;
                self.offsets.blame(|| format!("an entry points to byte {at}, behind the log"));
            }
            if let Some(entry) = self.times.entries.next() {
                let at = entry.last_offset;
                self.times.blame(|| format!("an entry names offset {at}, behind the segment"));
            }
            let closing = self.times.last.map_or(-1, |entry| entry.timestamp);
            let latest = self.latest;
            if closing != latest && !has_holes {
                self.times.blame(|| {
                    format!("it ends with timestamp {closing}, the latest in the log is {latest}")
                });
            }
        }
        // What recovery makes anew is not missed.
        let may_miss = !is_closed || self.is_empty;
        let found = [self.offsets.finding(may_miss), self.times.finding(may_miss)];
        found.into_iter().flatten().collect()
    }
}

const MISSING: &str = "it is missing";

/// Why an index with so many entries can't be read.
fn checked(
    disk: &dyn Disk,
    path: &Path,
    entries: Option<usize>,
    most: usize,
) -> io::Result<Option<String>> {
    Ok(match entries {
        Some(entries) if entries > most => {
            Some(format!("it has {entries} entries, more than the log has batches"))
        }
        Some(_) => None,
        None if disk.exists(path)? => Some("it is cut inside an entry".to_owned()),
        None => Some(MISSING.to_owned()),
    })
}
