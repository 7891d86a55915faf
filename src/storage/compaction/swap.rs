//! Puts a cleaned segment in the place of those it was made from, so that after a crash at any
//! moment there are the old ones or the new one, never both and never neither.
//!
//! 1. `.cleaned` → `.swap`, the log last: from here on the new segment counts.
//! 2. The old segments that lie behind its base become `.deleted`.
//! 3. `.swap` → the names of a segment, the log last, over the old one of that base.
//!
//! A start that finds a `.swap` log does 2 and 3 again. The bytes were synced before, names of one
//! directory last in their order, and nothing is removed before they do: so no lock waits for a sync.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::env::{Disk, OpenMode};

use super::super::atomic_file;
use super::super::error::StorageError;
use super::super::log::Log;
use super::super::segment::{LOOK_AROUND, Segment, base_of, file_name};
use super::super::walk::{Step, Walk};
use super::CleanError;
use super::output::{CLEANED, SWAP, WRITTEN, name_of};

impl Log {
    /// Puts `new`, whose files have their `.cleaned` names, in the place of the neighbours `old`.
    /// Returns the files that may be removed once the directory is synced.
    pub(super) fn swap_in(
        &mut self,
        old: &[Segment],
        new: Segment,
    ) -> Result<Vec<PathBuf>, CleanError> {
        self.check()?;
        let first = old.first().and_then(|first| self.place_of(first));
        let first = first.ok_or(CleanError::Changed)?;
        let range = first..first + old.len();
        let same = self.segments.range(range.clone()).zip(old);
        let changed = range.end >= self.segments.len()
            || same
                .clone()
                .any(|(here, old)| !Arc::ptr_eq(&here.file, &old.file) || here.len != old.len);
        if changed {
            return Err(CleanError::Changed);
        }
        let home = Arc::clone(&self.home);
        let (disk, dir) = (&*home.env.disk, self.state.dir.as_path());
        intend(disk, dir, new.base)
            .map_err(|error| home.judge("rename a cleaned segment of", dir, &error))?;
        self.state.before_files_go();
        old.iter().for_each(|segment| segment.file.retire());
        let bases: Vec<i64> = old.iter().map(|segment| segment.base).collect();
        let gone = replace(disk, dir, new.base, &bases)
            .map_err(|error| home.fail("swap a cleaned segment of", dir, &error))?;
        self.segments.drain(range);
        self.segments.insert(first, new);
        self.publish_size();
        Ok(gone)
    }

    fn place_of(&self, segment: &Segment) -> Option<usize> {
        self.segments.iter().position(|here| here.base == segment.base)
    }

    /// Everything below `offset` is clean now; lasts from the next checkpoint on.
    pub(super) fn set_cleaned(&mut self, offset: i64) -> Result<(), StorageError> {
        self.check()?;
        self.state.cleaned.store(offset.min(self.log_end_offset()), Ordering::Release);
        Ok(())
    }
}

/// Says that the new segment at `base` is complete.
fn intend(disk: &dyn Disk, dir: &Path, base: i64) -> io::Result<()> {
    for extension in WRITTEN {
        let from = name_of(dir, base, extension, CLEANED);
        disk.rename(&from, &name_of(dir, base, extension, SWAP))?;
    }
    Ok(())
}

/// Gives the new segment the names of the old ones at `bases`. Returns files to be removed.
fn replace(disk: &dyn Disk, dir: &Path, base: i64, bases: &[i64]) -> io::Result<Vec<PathBuf>> {
    let mut gone = Vec::new();
    for old in bases.iter().filter(|old| **old != base) {
        let snapshot = dir.join(file_name(*old, "snapshot"));
        for path in Segment::file_names(dir, *old).into_iter().chain([snapshot]) {
            gone.extend(atomic_file::rename_deleted(disk, &path)?);
        }
    }
    for extension in WRITTEN {
        disk.rename(&name_of(dir, base, extension, SWAP), &dir.join(file_name(base, extension)))?;
    }
    Ok(gone)
}

/// Completes the swaps that a crash has interrupted.
pub(in crate::storage) fn complete(disk: &dyn Disk, dir: &Path) -> io::Result<()> {
    let mut names: Vec<String> = disk.list(dir)?.into_iter().map(|entry| entry.name).collect();
    names.retain(|name| name.ends_with(SWAP));
    let base = |name: &str, extension: &str| base_of(name.strip_suffix(SWAP)?, extension);
    let bases: Vec<i64> = names.iter().filter_map(|name| base(name, "log")).collect();
    for base in &bases {
        complete_one(disk, dir, *base)?;
    }
    // What is left was no whole swap. Its segment's own index may be the old one: it is made again.
    for name in &names {
        let path = dir.join(name);
        if disk.exists(&path)? {
            if let Some(extension) =
                ["index", "timeindex"].iter().find(|ext| base(name, ext).is_some())
            {
                let base = base(name, extension).unwrap_or_default();
                atomic_file::remove(disk, &dir.join(file_name(base, extension)))?;
            }
            atomic_file::remove(disk, &path)?;
        }
    }
    Ok(())
}

fn complete_one(disk: &dyn Disk, dir: &Path, base: i64) -> io::Result<()> {
    let log = name_of(dir, base, "log", SWAP);
    let next = end_of(disk, &log, base)?;
    let names: Vec<String> = disk.list(dir)?.into_iter().map(|entry| entry.name).collect();
    let covered = names.iter().filter_map(|name| base_of(name, "log"));
    let covered: Vec<i64> = covered.filter(|old| (base + 1..next).contains(old)).collect();
    for old in &covered {
        let snapshot = dir.join(file_name(*old, "snapshot"));
        for path in Segment::file_names(dir, *old).into_iter().chain([snapshot]) {
            atomic_file::remove(disk, &path)?;
        }
    }
    disk.sync_dir(dir)?;
    for extension in WRITTEN {
        let (from, to) =
            (name_of(dir, base, extension, SWAP), dir.join(file_name(base, extension)));
        match disk.rename(&from, &to) {
            // The one that is there is of the old log: an index is made again.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                atomic_file::remove(disk, &to)?;
            }
            renamed => renamed?,
        }
    }
    disk.sync_dir(dir)
}

/// The offset after the last batch of a segment.
fn end_of(disk: &dyn Disk, path: &Path, base: i64) -> io::Result<i64> {
    let file = disk.open(path, OpenMode::Read)?;
    let mut walk = Walk::new(&*file, 0, file.len()?, LOOK_AROUND);
    let mut next = base;
    while let Step::Batch(found) = walk.step()? {
        next = found.header.next_offset();
    }
    Ok(next)
}
