//! One segment: a run of batches in one file, with its two indexes.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use duramen_protocol::records::batch::HEADER_LEN;

use crate::env::{Disk, DiskFile, OpenMode, Patience, Populate};

use super::chain::{Chain, Witness};
use super::epochs::EpochHistory;
use super::file_cache::{FileCache, SegmentFile};
use super::index_file::IndexFile;
use super::offset_index::{OffsetEntry, OffsetIndex};
use super::sound::Sound;
use super::time_index::{TimeEntry, TimeIndex};
use super::walk::{Found, Step, Walk};

/// The least and the most that is reserved ahead of the end, in bytes.
const RESERVE: std::ops::Range<u64> = 256 << 10..64 << 20;
/// What a reader reads at once to find a batch.
pub(super) const LOOK_AROUND: usize = 4096;

/// How far apart samples are of what is in memory, in bytes: what the kernel reads at once. Each
/// costs a system call.
const SAMPLE_EVERY: usize = 128 << 10;

/// `00000000000000000042.log` and its like.
pub(super) fn file_name(base: i64, extension: &str) -> String {
    format!("{base:020}.{extension}")
}

/// The base offset in a segment's file name, if it has this extension.
pub(super) fn base_of(name: &str, extension: &str) -> Option<i64> {
    let digits = name.strip_suffix(extension)?.strip_suffix('.')?;
    let plain = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}

/// What an append tells the segment of each batch in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct BatchNote {
    pub(super) size: u64,
    pub(super) last_offset: i64,
    /// Milliseconds since 1970, or -1.
    pub(super) max_timestamp: i64,
}

/// One segment. A copy reads what was published when it was made.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    pub(super) base: i64,
    pub(super) file: Arc<SegmentFile>,
    /// Published bytes: all of them are whole batches.
    pub(super) len: u64,
    /// Where reserved space ends, as far as it is known.
    reserved: u64,
    pub(super) offsets: OffsetIndex,
    pub(super) times: TimeIndex,
    bytes_since_entry: u64,
    /// Largest max timestamp of a batch, and the last offset of that batch.
    pub(super) latest: Option<TimeEntry>,
    /// Max timestamp of the first batch: the age of the segment counts from it.
    pub(super) first_timestamp: Option<i64>,
    /// Wall time when the segment was made or loaded, in ms.
    pub(super) created_ms: i64,
    /// Wall time of the last append, in ms.
    pub(super) modified_ms: i64,
    /// How much earlier than `segment.ms` this one rolls, in ms.
    pub(super) jitter_ms: i64,
    /// Damaged stretches of the file, from and to; readers pass over them.
    pub(super) holes: Vec<(u64, u64)>,
    /// Whether `latest` comes from batch headers and not from the time index.
    pub(super) latest_is_proven: bool,
    /// Whether the last entry of the time index was held against the log, and agreed.
    /// All copies share it.
    pub(super) latest_is_checked: Arc<AtomicBool>,
    /// An index entry contradicted the log. All copies share it.
    pub(super) index_is_suspect: Arc<AtomicBool>,
    /// What is as it was written. All copies share it.
    pub(super) sound: Arc<Sound>,
}

impl Segment {
    /// A segment over an open or closed file, with nothing known yet.
    pub(super) fn new(dir: &Path, base: i64, file: Arc<SegmentFile>, now_ms: i64) -> Self {
        Self {
            base,
            file,
            len: 0,
            reserved: 0,
            offsets: OffsetIndex::empty(dir.join(file_name(base, "index")), base),
            times: TimeIndex::empty(dir.join(file_name(base, "timeindex")), base),
            bytes_since_entry: 0,
            latest: None,
            first_timestamp: None,
            created_ms: now_ms,
            modified_ms: now_ms,
            jitter_ms: 0,
            holes: Vec::new(),
            latest_is_proven: true,
            latest_is_checked: Arc::default(),
            index_is_suspect: Arc::default(),
            sound: Arc::default(),
        }
    }

    /// Makes the file of a new, active segment.
    pub(super) fn create(
        disk: &dyn Disk,
        dir: &Path,
        base: i64,
        now_ms: i64,
    ) -> io::Result<(Self, Arc<dyn DiskFile>)> {
        let path = dir.join(file_name(base, "log"));
        let file = disk.open(&path, OpenMode::CreateNew)?;
        let segment = Self::new(dir, base, SegmentFile::active(path, Arc::clone(&file)), now_ms);
        Ok((segment, file))
    }

    /// All files that a segment may have.
    pub(super) fn file_names(dir: &Path, base: i64) -> [PathBuf; 4] {
        ["log", "index", "timeindex", "txnindex"].map(|ext| dir.join(file_name(base, ext)))
    }

    /// Whether `size` more bytes need more space than is reserved.
    pub(super) fn must_reserve(&self, size: u64) -> bool {
        self.len + size > self.reserved
    }

    /// Writes `parts`, one after another, at the end: one system call, nothing copied. Publishes
    /// nothing: [`Segment::publish`] does. `limit` is how large the segment may become.
    pub(super) fn write(
        &mut self,
        files: &FileCache,
        parts: &[IoSlice<'_>],
        limit: u64,
    ) -> io::Result<()> {
        let size: u64 = parts.iter().map(|part| part.len() as u64).sum();
        let end = self.len + size;
        let file = files.file(&self.file)?;
        if end > self.reserved {
            let ahead = self.len.clamp(RESERVE.start, RESERVE.end);
            let step = (self.len + ahead).min(limit).max(end);
            match file.reserve(step) {
                Ok(()) => self.reserved = step,
                // No room for the step: maybe there is for just this write.
                Err(error) if is_full(&error) => {
                    file.reserve(end)?;
                    self.reserved = end;
                }
                Err(error) => return Err(error),
            }
        }
        let written = file.write_at(parts, self.len);
        if written.as_ref().is_err_and(is_full) {
            // A part may have been written. Nobody has seen it: it lies beyond what is published.
            file.set_len(self.len)?;
            self.reserved = self.len;
        }
        written
    }

    /// Makes a batch that has been written at the end part of the segment.
    pub(super) fn publish(&mut self, batch: &BatchNote, index_interval: u64) {
        let later = self.latest.is_none_or(|latest| latest.timestamp < batch.max_timestamp);
        if later && batch.max_timestamp >= 0 {
            let timestamp = batch.max_timestamp;
            self.latest = Some(TimeEntry { timestamp, last_offset: batch.last_offset });
        }
        if self.len == 0 {
            self.first_timestamp = (batch.max_timestamp >= 0).then_some(batch.max_timestamp);
        }
        if self.bytes_since_entry > index_interval {
            let (last_offset, position) = (batch.last_offset, self.len);
            self.offsets.push(OffsetEntry { last_offset, position });
            if let Some(latest) = self.latest {
                self.times.push_if_later(latest);
            }
            self.bytes_since_entry = 0;
        }
        self.bytes_since_entry += batch.size;
        self.len += batch.size;
    }

    /// Writes index entries once many of them wait.
    pub(super) fn write_indexes_if_due(&mut self, disk: &dyn Disk) -> io::Result<()> {
        if self.offsets.file.wants_write() || self.times.file.wants_write() {
            self.write_indexes(disk)?;
        }
        Ok(())
    }

    fn write_indexes(&mut self, disk: &dyn Disk) -> io::Result<()> {
        self.offsets.file.write(disk)?;
        self.times.file.write(disk)
    }

    /// Completes the index files: with the closing entry of the time index they are what Kafka
    /// expects of a closed segment.
    pub(super) fn complete_indexes(&mut self, disk: &dyn Disk) -> io::Result<()> {
        if let Some(latest) = self.latest {
            self.times.push_if_later(latest);
        }
        self.write_indexes(disk)
    }

    /// Opens the index files. Returns whether both were there, whole as far as their length tells;
    /// one that was not is empty now.
    pub(super) fn open_indexes(&mut self, disk: &dyn Disk) -> io::Result<bool> {
        let path = |file: &IndexFile| file.path().to_owned();
        let offsets = OffsetIndex::open(disk, path(&self.offsets.file), self.base)?;
        let times = TimeIndex::open(disk, path(&self.times.file), self.base)?;
        let whole = offsets.is_some() && times.is_some();
        match offsets {
            Some(offsets) => self.offsets = offsets,
            None => self.offsets.file.discard(disk)?,
        }
        match times {
            Some(times) => self.times = times,
            None => self.times.file.discard(disk)?,
        }
        Ok(whole)
    }

    /// Opens the indexes of a closed segment of `len` bytes whose offsets lie below `end`. Returns
    /// false if they can't be right. Their inner entries are proven when they are used.
    pub(super) fn trust_indexes(
        &mut self,
        disk: &dyn Disk,
        len: u64,
        end: i64,
    ) -> io::Result<bool> {
        if !self.open_indexes(disk)? {
            return Ok(false);
        }
        let inside = |offset: i64| (self.base..end).contains(&offset);
        let last = self.offsets.last(disk)?;
        let offsets_sound =
            last.is_none_or(|entry| inside(entry.last_offset) && entry.position < len);
        let times_sound = self.times.last().is_some_and(|entry| inside(entry.last_offset));
        self.latest = self.times.last();
        self.latest_is_proven = false;
        // Without an entry: either no batch has a timestamp, or the file was emptied. A walk tells.
        Ok(offsets_sound && (times_sound || len == 0))
    }

    /// Keeps the index entries below the offset `below` that are in order, and of which the last
    /// agrees with the log. Returns the position of the batch to walk on from: the segment ends
    /// there as far as it is known now.
    pub(super) fn keep_sound_indexes(
        &mut self,
        disk: &dyn Disk,
        file: &dyn DiskFile,
        len: u64,
        below: i64,
    ) -> io::Result<u64> {
        // No index has more entries than the log has batches.
        let most = usize::try_from(len / HEADER_LEN as u64).unwrap_or(usize::MAX) + 1;
        self.offsets.file.truncate(disk, most)?;
        self.times.truncate(disk, most)?;
        let mut keep = self.offsets.sound_prefix(disk, len, below)?;
        let last = keep.checked_sub(1).map(|n| self.offsets.get(disk, n)).transpose()?;
        let proven = |entry: &OffsetEntry| batch_ends_with(file, entry, len);
        let last = match last {
            Some(entry) if proven(&entry)? => Some(entry),
            _ => None,
        };
        if last.is_none() {
            keep = 0;
        }
        self.offsets.file.truncate(disk, keep)?;
        let known_below = last.map_or(i64::MIN, |entry| entry.last_offset.saturating_add(1));
        let keep_times = self.times.sound_prefix(disk, known_below)?;
        self.times.truncate(disk, keep_times)?;
        self.latest = self.times.last();
        self.latest_is_proven = last.is_none();
        self.bytes_since_entry = 0;
        self.len = last.map_or(0, |entry| entry.position);
        if let Step::Batch(first) = Walk::new(file, 0, len, LOOK_AROUND).step()? {
            let timestamp = first.header.max_timestamp;
            self.first_timestamp = (timestamp >= 0).then_some(timestamp);
        }
        Ok(self.len)
    }

    /// Whether the index files lack entries.
    pub(super) fn indexes_are_unwritten(&self) -> bool {
        self.offsets.file.is_unwritten()
            || self.times.file.is_unwritten()
            || self.latest.is_some_and(|latest| self.times.last() != Some(latest))
    }

    /// Makes the index files last.
    pub(super) fn sync_indexes(&self, disk: &dyn Disk) -> io::Result<()> {
        self.offsets.file.sync(disk)?;
        self.times.file.sync(disk)
    }

    /// The file was cut: what was reserved is gone, and other bytes will stand where some stood.
    pub(super) fn forget_reserve(&mut self) {
        self.reserved = 0;
        self.sound.clear();
    }

    /// Gives back the space reserved beyond the end.
    pub(super) fn trim(&mut self, files: &FileCache) -> io::Result<()> {
        if self.reserved > self.len {
            files.file(&self.file)?.set_len(self.len)?;
            self.reserved = self.len;
        }
        Ok(())
    }

    /// The segment is no longer the active one.
    pub(super) fn seal(&mut self, files: &FileCache) {
        self.forget_index_entries();
        self.file.unpin(files);
    }

    /// Frees the memory of index entries that are in the files.
    pub(super) fn forget_index_entries(&mut self) {
        self.offsets.file.forget_all_but(0);
        self.times.file.forget_all_but(0);
    }

    /// Empties the index files; what is in memory stays.
    pub(super) fn discard_indexes_on_disk(&self, disk: &dyn Disk) -> io::Result<()> {
        [&self.offsets.file, &self.times.file]
            .into_iter()
            .try_for_each(|file| disk.open(file.path(), OpenMode::Truncate).map(drop))
    }

    /// How long the segment waits for its roll, in ms: from the first batch to `timestamp`, or from
    /// its making to now when batches carry no timestamps.
    pub(super) fn age_ms(&self, now_ms: i64, timestamp: i64) -> i64 {
        match self.first_timestamp {
            Some(first) if timestamp >= 0 => timestamp.saturating_sub(first),
            _ => now_ms.saturating_sub(self.created_ms),
        }
    }

    /// The first batch that ends at or after `offset`. `None` when the segment ends before. With
    /// `care` each batch on the way is held against its neighbours, the epochs, and the offset at which
    /// the segment ends.
    ///
    /// Errors of kind `InvalidData` mean that the bytes at that place are no sound batch.
    pub(super) fn find(
        &self,
        (disk, files): (&dyn Disk, &FileCache),
        patience: Patience,
        offset: i64,
        care: Option<(&EpochHistory, i64)>,
    ) -> io::Result<Option<Found>> {
        let file = files.file(&self.file)?;
        let hint = self.hint(self.offsets.floor(disk, patience, offset))?;
        let start = hint.map_or(0, |entry| entry.position);
        let mut walk =
            Walk::new(&*file, start, self.len, LOOK_AROUND).over(&self.holes).with(patience);
        let mut reached = start;
        let found = self.walk_to(offset, &mut walk, hint, care, &mut reached);
        // The kernel brings it now, and what stands beside it: whoever looks again finds it in memory.
        if let Some(missed) = walk.missed() {
            self.sound.pushed_out(missed.min(reached));
        }
        found
    }

    /// The same, from where `walk` stands; `reached` tells how far it came: to the batch that was looked for,
    /// or behind the last one before it.
    fn walk_to(
        &self,
        offset: i64,
        walk: &mut Walk<'_>,
        hint: Option<OffsetEntry>,
        care: Option<(&EpochHistory, i64)>,
        reached: &mut u64,
    ) -> io::Result<Option<Found>> {
        let end = care.map_or(i64::MAX, |(_, end)| end);
        let mut chain = Chain { next: self.base, epoch: -1, end };
        if let Some(entry) = hint {
            // The index carries no checksum: believed only if the log says the same.
            let proven = match walk.step()? {
                Step::Batch(found) if found.header.last_offset() == entry.last_offset => {
                    let header = &found.header;
                    chain.next = header.base_offset;
                    // What came before is not looked at: the history speaks for it, if it can.
                    let known = care.and_then(|(epochs, _)| epochs.epoch_for_offset(chain.next));
                    chain.epoch = known.unwrap_or(header.partition_leader_epoch);
                    true
                }
                _ => false,
            };
            walk.seek(if proven { entry.position } else { 0 });
            *reached = walk.position();
            self.index_is_suspect.fetch_or(!proven, Ordering::Relaxed);
        }
        loop {
            let found = match walk.step()? {
                Step::Batch(found) => found,
                Step::End => return Ok(None),
                Step::Broken(_) => return Err(io::ErrorKind::InvalidData.into()),
            };
            let is_the_one = found.header.last_offset() >= offset;
            *reached = if is_the_one { found.position } else { found.end() };
            if let Some((epochs, _)) = care {
                let epoch = epochs.epoch_for_offset(found.header.base_offset);
                let witness = Witness { epoch, complete: true, ..Witness::default() };
                if chain.fault(walk, &found, witness)?.is_some() {
                    return Err(io::ErrorKind::InvalidData.into());
                }
                chain.pass(&found.header);
            }
            if is_the_one {
                return Ok(Some(found));
            }
        }
    }

    /// An index entry, or nothing when the file is shorter than it was: the log knows it all.
    pub(super) fn hint<T>(&self, entry: io::Result<Option<T>>) -> io::Result<Option<T>> {
        match entry {
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::UnexpectedEof | io::ErrorKind::NotFound
                ) =>
            {
                self.index_is_suspect.store(true, Ordering::Relaxed);
                Ok(None)
            }
            other => other,
        }
    }

    /// Whether published bytes `[start, end)` are all in memory, as far as samples tell: the kernel
    /// brings and drops pages many at a time.
    pub(super) fn is_in_memory(&self, files: &FileCache, start: u64, end: u64) -> io::Result<bool> {
        let file = files.file(&self.file)?;
        let last = end.saturating_sub(1);
        let samples = (start..last).step_by(SAMPLE_EVERY).chain([last]);
        Ok(samples.into_iter().all(|at| file.read_now(&mut [0], at).is_ok_and(|read| read == 1)))
    }

    /// Published bytes `[start, end)`, without copying them.
    pub(super) fn slice(
        &self,
        files: &FileCache,
        start: u64,
        end: u64,
        window: u64,
    ) -> io::Result<Bytes> {
        files.slice(&self.file, range(start, end.min(self.len))?, window.max(self.len))
    }

    /// A handle that brings published bytes `[start, end)` into memory.
    pub(super) fn populate(
        &self,
        files: &FileCache,
        start: u64,
        end: u64,
        window: u64,
    ) -> io::Result<Populate> {
        files.populate(&self.file, range(start, end.min(self.len))?, window.max(self.len))
    }
}

/// Whether the log agrees with an index entry, which carries no checksum.
fn batch_ends_with(file: &dyn DiskFile, entry: &OffsetEntry, len: u64) -> io::Result<bool> {
    let step = Walk::new(file, entry.position, len, LOOK_AROUND).step()?;
    Ok(matches!(step, Step::Batch(found) if found.header.last_offset() == entry.last_offset))
}

fn range(start: u64, end: u64) -> io::Result<(usize, usize)> {
    let narrow =
        |n: u64| usize::try_from(n).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory));
    Ok((narrow(start)?, narrow(end)?))
}

/// The disk, or the share of it that this user may have, is full.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
