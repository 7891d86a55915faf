//! The files of one log as they lie in its directory.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};

use crate::env::{Disk, OpenMode};

use super::atomic_file::{self, DELETED, TEMPORARY};
use super::compaction::{CLEANED, REPLACED};
use super::offset_index::OffsetIndex;
use super::producer_snapshot;
use super::producer_state::ProducerStates;
use super::segment::{LOOK_AROUND, Segment, base_of, file_name};
use super::walk::{Step, Walk};

/// What recovery finds.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// Segments by base offset.
    pub(super) segments: Vec<SegmentFiles>,
    /// Offsets of producer snapshots, in order.
    pub(super) snapshots: Vec<i64>,
}

/// The `.log` file of a segment.
#[derive(Debug, Clone, Copy)]
pub(super) struct SegmentFiles {
    pub(super) base: i64,
    pub(super) len: u64,
    /// Last write, in ms since 1970, where the disk tells.
    pub(super) modified_ms: Option<i64>,
}

/// Completes a deletion of the oldest segments that a crash has interrupted: their names may have gone
/// in any order, and what is older than one that is gone goes too. Returns the offset after them when
/// no segment is left.
pub(super) fn complete_deletion(disk: &dyn Disk, dir: &Path) -> io::Result<Option<i64>> {
    let names: Vec<String> = disk.list(dir)?.into_iter().map(|entry| entry.name).collect();
    let deleted = names.iter().filter_map(|name| base_of(name.strip_suffix(DELETED)?, "log"));
    let Some(last) = deleted.max() else { return Ok(None) };
    let segments = names.iter().filter_map(|name| base_of(name, "log"));
    let (older, left): (Vec<i64>, Vec<i64>) = segments.partition(|base| *base < last);
    for path in older.iter().flat_map(|base| Segment::file_names(dir, *base)) {
        atomic_file::remove(disk, &path)?;
    }
    if !older.is_empty() {
        // Before the name goes that tells of it.
        disk.sync_dir(dir)?;
    }
    let path = dir.join(file_name(last, "log") + DELETED);
    left.is_empty().then(|| end_of(disk, &path, last)).transpose()
}

/// The offset after the last batch of a segment at `base`, by its headers.
pub(super) fn end_of(disk: &dyn Disk, path: &Path, base: i64) -> io::Result<i64> {
    let file = disk.open(path, OpenMode::Read)?;
    let mut walk = Walk::new(&*file, 0, file.len()?, LOOK_AROUND);
    let mut next = base;
    while let Step::Batch(found) = walk.step()? {
        next = found.header.next_offset();
    }
    Ok(next)
}

/// Removes the files of `dir` whose names end in one of `suffixes`.
pub(super) fn remove_ending(disk: &dyn Disk, dir: &Path, suffixes: &[&str]) -> io::Result<()> {
    let entries = disk.list(dir)?.into_iter();
    let mut gone = entries.filter(|it| suffixes.iter().any(|suffix| it.name.ends_with(suffix)));
    gone.try_for_each(|entry| atomic_file::remove(disk, &dir.join(entry.name)))
}

impl Files {
    /// Lists the files after a start, and removes what a crash left half done.
    pub(super) fn list_and_tidy(disk: &dyn Disk, dir: &Path) -> io::Result<Self> {
        remove_ending(disk, dir, &[TEMPORARY, DELETED, CLEANED, REPLACED])?;
        let files = Self::list(disk, dir)?;
        // Indexes whose log is gone.
        for entry in &disk.list(dir)? {
            let base = ["index", "timeindex", "txnindex"]
                .iter()
                .find_map(|extension| base_of(&entry.name, extension));
            let has_log =
                |base: &i64| files.segments.binary_search_by_key(base, |file| file.base).is_ok();
            if base.is_some_and(|base| !has_log(&base)) {
                atomic_file::remove(disk, &dir.join(&entry.name))?;
            }
        }
        Ok(files)
    }

    /// Lists the files.
    pub(super) fn list(disk: &dyn Disk, dir: &Path) -> io::Result<Self> {
        let mut files = Self::default();
        for entry in disk.list(dir)? {
            let name = entry.name.as_str();
            if let Some(base) = base_of(name, "log") {
                let (len, modified_ms) = (entry.len, entry.modified_ms);
                files.segments.push(SegmentFiles { base, len, modified_ms });
            } else if let Some(offset) = base_of(name, "snapshot") {
                files.snapshots.push(offset);
            }
        }
        files.segments.sort_by_key(|segment| segment.base);
        files.snapshots.sort_unstable();
        Ok(files)
    }

    /// An offset behind which the last `bytes` of the log lie, and not much more if an index tells; of a
    /// shorter log its first. Only a hint: nothing has proven the index.
    pub(super) fn offset_before_last(
        &self,
        disk: &dyn Disk,
        dir: &Path,
        bytes: u64,
    ) -> io::Result<Option<i64>> {
        let mut left = bytes;
        for SegmentFiles { base, len, .. } in self.segments.iter().rev().copied() {
            let Some(position) = len.checked_sub(left) else {
                left -= len;
                continue;
            };
            let path = dir.join(file_name(base, "index"));
            let Some(index) = OffsetIndex::open(disk, path, base)? else { return Ok(Some(base)) };
            // The last batch but one that begins there or before has ended there.
            let count = index.sound_prefix(disk, position + 1, i64::MAX)?;
            let ended = count.checked_sub(2).map(|n| index.get(disk, n)).transpose()?;
            return Ok(Some(ended.map_or(base, |entry| entry.last_offset.saturating_add(1))));
        }
        Ok(self.segments.first().map(|first| first.base))
    }

    /// The producers of a snapshot; `None` if it can't be believed.
    pub(super) fn read_snapshot(
        &self,
        disk: &dyn Disk,
        dir: &Path,
        offset: i64,
        (now_ms, expiration_ms): (i64, i64),
    ) -> io::Result<Option<ProducerStates>> {
        let bytes = atomic_file::read(disk, &dir.join(file_name(offset, "snapshot")))?;
        let decode =
            |bytes: Vec<u8>| producer_snapshot::decode(&bytes, offset, now_ms, expiration_ms).ok();
        Ok(bytes.and_then(decode))
    }

    /// Removes a snapshot. Returns its path.
    pub(super) fn remove_snapshot(
        &mut self,
        disk: &dyn Disk,
        dir: &Path,
        offset: i64,
    ) -> io::Result<PathBuf> {
        self.snapshots.retain(|snapshot| *snapshot != offset);
        let path = dir.join(file_name(offset, "snapshot"));
        atomic_file::remove(disk, &path)?;
        Ok(path)
    }

    /// Removes the snapshots that describe no part of a log from `range.0` to `range.1`.
    pub(super) fn remove_stray_snapshots(
        &self,
        disk: &dyn Disk,
        dir: &Path,
        range: (i64, i64),
        segments: &VecDeque<Segment>,
    ) -> io::Result<()> {
        let mut gone = producer_snapshot::out_of_range(&self.snapshots, range.0, range.1);
        let kept: Vec<i64> =
            self.snapshots.iter().filter(|offset| !gone.contains(offset)).copied().collect();
        let bases: Vec<i64> = segments.iter().map(|segment| segment.base).collect();
        gone.extend(producer_snapshot::strays(&kept, &bases));
        let paths = gone.into_iter().map(|offset| dir.join(file_name(offset, "snapshot")));
        paths.into_iter().try_for_each(|path| atomic_file::remove(disk, &path))
    }

    /// Removes the files of whole segments, the newest first: what is left has no gap.
    pub(super) fn remove_segments(
        &self,
        disk: &dyn Disk,
        dir: &Path,
        bases: &[i64],
    ) -> io::Result<()> {
        for base in bases.iter().rev() {
            for path in Segment::file_names(dir, *base) {
                atomic_file::remove(disk, &path)?;
            }
        }
        Ok(())
    }
}
