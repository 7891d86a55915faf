//! Puts a cleaned segment in the place of those it was made from, so that after a crash at any
//! moment there are the old ones or the new one, never both and never neither.
//!
//! 1. A mark `BASE.swap` is made, and `.cleaned` → `.swap`. The directory is synced: from here on the
//!    new segment counts.
//! 2. The old segments that lie behind its base become `.replaced`; `.swap` → the names of a segment,
//!    over the old one of that base. The directory is synced.
//! 3. The mark and what was replaced are removed.
//!
//! Changes of names between two syncs may last in any order: a start that finds the mark or a `.swap`
//! log does 2 again, whatever of it is there. The log's lock is held for 1 and 2, but not for the
//! syncs. Who takes segments away in between takes the new one back first.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::env::{Disk, OpenMode};

use super::super::atomic_file;
use super::super::error::StorageError;
use super::super::log::Log;
use super::super::recovery_files::end_of;
use super::super::segment::{Segment, base_of, file_name};
use super::CleanError;
use super::output::{CLEANED, REPLACED, SWAP, WRITTEN, name_of};

impl Log {
    /// Says that the new segment at `base`, whose files have their `.cleaned` names, takes the place
    /// of the neighbours `old`: once the directory is synced, and unless it is taken back. What it lacks
    /// was outdated in a log that was cut `generation` times.
    pub(super) fn intend_swap(
        &mut self,
        old: &[Segment],
        (base, generation): (i64, u64),
    ) -> Result<(), CleanError> {
        self.check()?;
        self.places_of(old)
            .filter(|_| self.state.generation() == generation)
            .ok_or(CleanError::Changed)?;
        let home = Arc::clone(&self.home);
        let dir = self.state.dir.as_path();
        intend(&*home.env.disk, dir, base)
            .map_err(|error| home.judge("rename a cleaned segment of", dir, &error))?;
        self.intended_swap = Some(base);
        Ok(())
    }

    /// Puts `new` in the place of `old`, as was intended before the directory was synced. Returns the
    /// files that may be removed once it is synced again.
    pub(super) fn swap_in(
        &mut self,
        old: &[Segment],
        new: Segment,
    ) -> Result<Vec<PathBuf>, CleanError> {
        self.check()?;
        let intended = self.intended_swap == Some(new.base);
        let Some(range) = self.places_of(old).filter(|_| intended) else {
            self.take_swap_back()?;
            return Err(CleanError::Changed);
        };
        let home = Arc::clone(&self.home);
        let (disk, dir) = (&*home.env.disk, self.state.dir.as_path());
        self.state.before_files_go();
        old.iter().for_each(|segment| segment.file.retire());
        let bases: Vec<i64> = old.iter().map(|segment| segment.base).collect();
        let gone = replace(disk, dir, new.base, &bases)
            .map_err(|error| home.fail("swap a cleaned segment of", dir, &error))?;
        self.intended_swap = None;
        let first = range.start;
        self.segments.drain(range);
        self.segments.insert(first, new);
        self.publish_size();
        Ok(gone)
    }

    /// Takes a swap back that is intended and not done: call it before segments are taken away.
    pub(in crate::storage) fn take_swap_back(&mut self) -> Result<(), StorageError> {
        let Some(base) = self.intended_swap.take() else { return Ok(()) };
        let (disk, dir) = (&*self.home.env.disk, self.state.dir.as_path());
        let files = WRITTEN.map(|extension| name_of(dir, base, extension, SWAP));
        let removed = files
            .iter()
            .chain([&mark(dir, base)])
            .try_for_each(|path| atomic_file::remove(disk, path))
            .and_then(|()| disk.sync_dir(dir));
        removed.map_err(|error| self.home.fail("take back a cleaned segment of", dir, &error))
    }

    /// Where in the log the neighbours `old` are, if they are there as they were.
    fn places_of(&self, old: &[Segment]) -> Option<std::ops::Range<usize>> {
        let base = old.first()?.base;
        let first = self.segments.iter().position(|here| here.base == base)?;
        let range = first..first + old.len();
        let mut here = self.segments.range(range.start..self.segments.len()).zip(old);
        let same =
            here.all(|(here, old)| Arc::ptr_eq(&here.file, &old.file) && here.len == old.len);
        (same && range.end < self.segments.len()).then_some(range)
    }

    /// Everything below `offset` is clean now, in a log that was cut `generation` times: what came
    /// after another cut was not looked at. Lasts from the next checkpoint on.
    pub(super) fn set_cleaned(&mut self, offset: i64, generation: u64) -> Result<(), CleanError> {
        self.check()?;
        if self.state.generation() != generation {
            return Err(CleanError::Changed);
        }
        self.state.cleaned.store(offset.min(self.log_end_offset()), Ordering::Release);
        Ok(())
    }
}

/// The file that is there while the new segment at `base` is put in its place.
pub(super) fn mark(dir: &Path, base: i64) -> PathBuf {
    dir.join(format!("{base:020}{SWAP}"))
}

/// Says that the new segment at `base` is complete.
fn intend(disk: &dyn Disk, dir: &Path, base: i64) -> io::Result<()> {
    disk.open(&mark(dir, base), OpenMode::Create)?;
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
        for path in files_of(dir, *old) {
            gone.extend(atomic_file::rename_aside(disk, &path, REPLACED)?);
        }
    }
    for extension in WRITTEN {
        disk.rename(&name_of(dir, base, extension, SWAP), &dir.join(file_name(base, extension)))?;
    }
    Ok(gone)
}

/// The files of a segment, with its snapshot.
fn files_of(dir: &Path, base: i64) -> impl Iterator<Item = PathBuf> {
    let snapshot = dir.join(file_name(base, "snapshot"));
    Segment::file_names(dir, base).into_iter().chain([snapshot])
}

/// Completes the swaps that a crash has interrupted.
pub(in crate::storage) fn complete(disk: &dyn Disk, dir: &Path) -> io::Result<()> {
    let mut names: Vec<String> = disk.list(dir)?.into_iter().map(|entry| entry.name).collect();
    names.retain(|name| name.ends_with(SWAP));
    if names.is_empty() {
        return Ok(());
    }
    let files: Vec<&str> = names.iter().filter_map(|name| name.strip_suffix(SWAP)).collect();
    let base = |file: &str| base_of(file, "log").or_else(|| file.parse().ok());
    let bases: BTreeSet<i64> = files.iter().filter_map(|file| base(file)).collect();
    bases.iter().try_for_each(|base| complete_one(disk, dir, *base))?;
    // Left are indexes whose log is in its place already, or is none. What has their name may be of
    // another log: it is made again.
    let left: Vec<PathBuf> = names.iter().map(|name| dir.join(name)).collect();
    for (file, path) in files.iter().zip(&left) {
        let is_index = ["index", "timeindex"].iter().any(|ext| base_of(file, ext).is_some());
        if is_index && disk.exists(path)? {
            atomic_file::remove(disk, &dir.join(file))?;
        }
    }
    disk.sync_dir(dir)?;
    left.iter().try_for_each(|path| atomic_file::remove(disk, path))
}

/// Puts the new segment at `base` in its place, if it is not there yet, and removes those behind that
/// it replaces.
fn complete_one(disk: &dyn Disk, dir: &Path, base: i64) -> io::Result<()> {
    let swapped = name_of(dir, base, "log", SWAP);
    let is_intended = disk.exists(&swapped)?;
    let new = if is_intended { swapped } else { dir.join(file_name(base, "log")) };
    if !disk.exists(&new)? {
        return Ok(());
    }
    let next = end_of(disk, &new, base)?;
    let names: Vec<String> = disk.list(dir)?.into_iter().map(|entry| entry.name).collect();
    let covered = names.iter().filter_map(|name| base_of(name, "log"));
    let covered: Vec<i64> = covered.filter(|old| (base + 1..next).contains(old)).collect();
    if !covered.is_empty() {
        let mut gone = covered.iter().flat_map(|old| files_of(dir, *old));
        gone.try_for_each(|path| atomic_file::remove(disk, &path))?;
        // The mark may be missing, and without it only the name tells that there is more to do.
        disk.sync_dir(dir)?;
    }
    for extension in WRITTEN.iter().filter(|_| is_intended) {
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
    Ok(())
}
