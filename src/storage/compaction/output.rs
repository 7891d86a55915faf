//! The segment that takes the place of others, while it is written: under names that the next start
//! removes.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use duramen_protocol::records::BatchView;

use crate::env::{Disk, DiskFile, OpenMode};

use super::super::atomic_file;
use super::super::file_cache::SegmentFile;
use super::super::offset_index::OffsetIndex;
use super::super::segment::{BatchNote, Segment, file_name};
use super::super::time_index::TimeIndex;
use super::swap::mark;

/// Ends the names of files that are being written: worth nothing after a crash.
pub(in crate::storage) const CLEANED: &str = ".cleaned";
/// Ends the names of files that are complete and take the place of others.
pub(in crate::storage) const SWAP: &str = ".swap";
/// Ends the names of files that others have taken the place of.
pub(in crate::storage) const REPLACED: &str = ".replaced";
/// The files that are written anew.
pub(super) const WRITTEN: [&str; 3] = ["index", "timeindex", "log"];

/// A segment being written.
#[derive(Debug)]
pub(super) struct Output {
    file: Arc<dyn DiskFile>,
    segment: Segment,
    buffer: Vec<u8>,
    /// Bytes in the file.
    written: u64,
    io_bytes: usize,
    index_interval: u64,
}

/// `00000000000000000042.log.cleaned` and its like.
pub(super) fn name_of(dir: &Path, base: i64, extension: &str, suffix: &str) -> PathBuf {
    dir.join(file_name(base, extension) + suffix)
}

impl Output {
    /// Makes the file of a segment at `base`; one that an earlier pass left goes.
    pub(super) fn create(
        disk: &dyn Disk,
        (dir, base): (&Path, i64),
        io_bytes: usize,
        (index_interval, now_ms): (u64, i64),
    ) -> io::Result<Self> {
        remove(disk, dir, base)?;
        let path = name_of(dir, base, "log", CLEANED);
        let file = disk.open(&path, OpenMode::CreateNew)?;
        let handle = SegmentFile::active(path, Arc::clone(&file));
        let mut segment = Segment::new(dir, base, handle, now_ms);
        segment.offsets = OffsetIndex::empty(name_of(dir, base, "index", CLEANED), base);
        segment.times = TimeIndex::empty(name_of(dir, base, "timeindex", CLEANED), base);
        Ok(Self { file, segment, buffer: Vec::new(), written: 0, io_bytes, index_interval })
    }

    /// Bytes of the segment so far.
    pub(super) fn len(&self) -> u64 {
        self.segment.len
    }

    /// Adds a whole batch.
    pub(super) fn push(&mut self, batch: &BatchView<'_>) -> io::Result<()> {
        self.buffer.extend_from_slice(batch.bytes());
        let note = BatchNote {
            size: batch.size() as u64,
            last_offset: batch.last_offset(),
            max_timestamp: batch.max_timestamp(),
        };
        self.segment.publish(&note, self.index_interval);
        if self.buffer.len() >= self.io_bytes { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.write_at(&[IoSlice::new(&self.buffer)], self.written)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Completes the files and makes them last, but for their names. The segment goes on under the
    /// names that it will have; nothing may read it before it has them.
    pub(super) fn finish(mut self, disk: &dyn Disk, dir: &Path) -> io::Result<Segment> {
        self.flush()?;
        self.segment.complete_indexes(disk)?;
        self.file.sync_data()?;
        self.segment.sync_indexes(disk)?;
        let mut segment = self.segment;
        let path = |extension| dir.join(file_name(segment.base, extension));
        let (log, index, timeindex) = (path("log"), path("index"), path("timeindex"));
        segment.file = SegmentFile::closed(log);
        segment.offsets.file.renamed(index);
        segment.times.file.renamed(timeindex);
        segment.forget_index_entries();
        Ok(segment)
    }
}

/// Removes what there is of a segment that does not count yet.
pub(super) fn remove(disk: &dyn Disk, dir: &Path, base: i64) -> io::Result<()> {
    let written = WRITTEN.map(|extension| name_of(dir, base, extension, CLEANED));
    // With these names and a mark alone it does not count either.
    let swapped = ["index", "timeindex"].map(|extension| name_of(dir, base, extension, SWAP));
    let files = written.into_iter().chain(swapped).chain([mark(dir, base)]);
    files.into_iter().try_for_each(|path| atomic_file::remove(disk, &path))
}
