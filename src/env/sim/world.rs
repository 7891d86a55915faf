//! What is on the simulated disk: as the running process sees it, and as it would be after a power
//! loss.
//!
//! Data lasts once its file is synced, names once their directory is. What is not synced yet is
//! kept as single writes and single changes of names, so that a power loss can take any of them, or
//! parts of a write. Changes of names in one directory need not last in their order: a journal gives
//! that, POSIX and file systems without one do not. A rename is there as a whole or not at all.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::env::Random;

/// The disk writes sectors whole, and nothing larger.
const SECTOR: usize = 512;

/// What a failing operation says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The device failed. A sync that fails so forgets what it should have written, as Linux does.
    Io,
    /// No room.
    Full,
}

impl Fault {
    pub(super) fn error(self) -> io::Error {
        match self {
            Self::Io => io::Error::other("simulated device error"),
            Self::Full => io::ErrorKind::StorageFull.into(),
        }
    }
}

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    Dir,
    File(u64),
}

/// A change of names, which lasts once its directory is synced.
#[derive(Debug, Clone)]
pub(super) enum NameChange {
    Add(PathBuf, Entry),
    Remove(PathBuf),
    /// From, to, and what has the name.
    Move(PathBuf, PathBuf, Entry),
}

impl NameChange {
    /// The directory whose sync makes it last.
    fn dir(&self) -> &Path {
        let path = match self {
            Self::Add(path, _) | Self::Remove(path) | Self::Move(_, path, _) => path,
        };
        path.parent().unwrap_or(Path::new(""))
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, Entry>) {
        match self {
            Self::Add(path, entry) => _ = names.insert(path.clone(), *entry),
            Self::Remove(path) => names.retain(|name, _| !name.starts_with(path)),
            Self::Move(from, to, entry) => {
                let moved: Vec<_> =
                    names.keys().filter(|name| name.starts_with(from)).cloned().collect();
                for name in moved {
                    let Some(entry) = names.remove(&name) else { continue };
                    names.insert(renamed(&name, from, to), entry);
                }
                // Also when the old name itself never got there.
                names.insert(to.clone(), *entry);
            }
        }
    }

    /// A directory above was moved.
    fn follow(&mut self, from: &Path, to: &Path) {
        let paths: [Option<&mut PathBuf>; 2] = match self {
            Self::Add(path, _) | Self::Remove(path) => [Some(path), None],
            Self::Move(a, b, _) => [Some(a), Some(b)],
        };
        for path in paths.into_iter().flatten() {
            if path.starts_with(from) && path.as_path() != from {
                *path = renamed(path, from, to);
            }
        }
    }
}

fn renamed(name: &Path, from: &Path, to: &Path) -> PathBuf {
    match name.strip_prefix(from) {
        Ok(rest) if rest.as_os_str().is_empty() => to.to_owned(),
        Ok(rest) => to.join(rest),
        Err(_) => name.to_owned(),
    }
}

/// A change of a file's bytes.
#[derive(Debug, Clone)]
enum Change {
    Write { position: usize, bytes: Vec<u8> },
    Len(usize),
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Write { position, bytes } => put(content, *position, bytes),
            Self::Len(len) => content.resize(*len, 0),
        }
    }

    /// What is written, cut at the sectors of the file: number of the sector, position, bytes.
    fn pieces(&self) -> impl Iterator<Item = (usize, usize, &[u8])> {
        let (position, bytes) = match self {
            Self::Write { position, bytes } => (*position, bytes.as_slice()),
            Self::Len(len) => (*len, &[][..]),
        };
        let mut at = position;
        sectors(position, bytes).filter(|piece| !piece.is_empty()).map(move |piece| {
            let here = at;
            at += piece.len();
            (here / SECTOR, here, piece)
        })
    }
}

fn put(content: &mut Vec<u8>, position: usize, bytes: &[u8]) {
    let end = position + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    if let Some(place) = content.get_mut(position..end) {
        place.copy_from_slice(bytes);
    }
}

/// A file's bytes.
#[derive(Debug, Clone, Default)]
pub(super) struct Content {
    pub(super) bytes: Vec<u8>,
    pub(super) reserved: usize,
    durable: Vec<u8>,
    pending: Vec<Change>,
    /// A sync failed: later ones succeed and do nothing.
    poisoned: bool,
}

impl Content {
    pub(super) fn write(&mut self, position: usize, bytes: &[u8]) {
        let change = Change::Write { position, bytes: bytes.to_owned() };
        change.apply(&mut self.bytes);
        self.pending.push(change);
    }

    pub(super) fn set_len(&mut self, len: usize) {
        let change = Change::Len(len);
        change.apply(&mut self.bytes);
        self.pending.push(change);
        self.reserved = len;
    }

    pub(super) fn sync(&mut self) {
        if self.poisoned {
            return;
        }
        self.durable.clone_from(&self.bytes);
        self.pending.clear();
    }

    /// A sync failed: the kernel takes the pages for clean now, and will not write them again.
    pub(super) fn fail_sync(&mut self) {
        self.poisoned = true;
    }

    /// What a power loss leaves: each sector as it was after any number of the unsynced changes to
    /// it, for memory is written back a sector as it is then; none, all, or each its own number.
    fn lose_power(&mut self, random: &Random) {
        let mut left = std::mem::take(&mut self.durable);
        let pending = std::mem::take(&mut self.pending);
        let mood = random.below(4);
        let reached = |changes: u64| match mood {
            0 => 0,
            1 => changes,
            _ => random.below(changes + 1),
        };
        let mut changes_left: BTreeMap<usize, u64> = BTreeMap::new();
        for (sector, ..) in pending.iter().flat_map(Change::pieces) {
            *changes_left.entry(sector).or_default() += 1;
        }
        changes_left.values_mut().for_each(|changes| *changes = reached(*changes));
        for change in &pending {
            for (sector, at, piece) in change.pieces() {
                let Some(changes) = changes_left.get_mut(&sector).filter(|left| **left > 0) else {
                    continue;
                };
                *changes -= 1;
                put(&mut left, at, piece);
            }
            if let Change::Len(len) = change
                && reached(1) == 1
            {
                left.resize(*len, 0);
            }
        }
        self.durable.clone_from(&left);
        self.bytes = left;
        self.reserved = 0;
        self.poisoned = false;
    }
}

/// Which of `count` changes of names in a directory a power loss leaves: none, all, the first ones, all
/// but one, one alone, or any.
fn lasting_changes(count: usize, random: &Random) -> Vec<bool> {
    let mood = random.below(8);
    let chosen = random.below(count as u64 + u64::from(mood < 4)) as usize;
    let lasts = |n: usize| match mood {
        // A journal keeps the order.
        0..4 => n < chosen,
        4 => n != chosen,
        5 => n == chosen,
        _ => random.below(2) == 1,
    };
    (0..count).map(lasts).collect()
}

fn sectors(position: usize, bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let first = (SECTOR - position % SECTOR).min(bytes.len());
    let (head, tail) = bytes.split_at(first);
    std::iter::once(head).chain(tail.chunks(SECTOR))
}

/// Reads that wait until they are let go.
#[derive(Debug, Default)]
pub(super) struct HeldReads {
    held: Mutex<(bool, usize)>,
    changed: Condvar,
}

impl HeldReads {
    fn lock(&self) -> MutexGuard<'_, (bool, usize)> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Holds all reads from now on, or lets them go.
    pub(super) fn hold(&self, hold: bool) {
        self.lock().0 = hold;
        self.changed.notify_all();
    }

    /// Waits until some read is held.
    pub(super) fn wait_for_one(&self) {
        let none = |(_, waiting): &mut (bool, usize)| *waiting == 0;
        drop(self.changed.wait_while(self.lock(), none));
    }

    /// A read comes: it waits for as long as reads are held.
    pub(super) fn pass(&self) {
        let mut held = self.lock();
        if held.0 {
            held.1 += 1;
            self.changed.notify_all();
            let still = |(hold, _): &mut (bool, usize)| *hold;
            held = self.changed.wait_while(held, still).unwrap_or_else(PoisonError::into_inner);
            held.1 -= 1;
        }
    }
}

/// The whole disk.
#[derive(Clone, Default)]
pub(super) struct World {
    pub(super) names: BTreeMap<PathBuf, Entry>,
    durable_names: BTreeMap<PathBuf, Entry>,
    pending_names: Vec<NameChange>,
    pub(super) files: BTreeMap<u64, Content>,
    next_file: u64,
    pub(super) locks: BTreeSet<PathBuf>,
    /// Handles of an earlier boot are dead.
    pub(super) boot: u64,
    pub(super) operations: u64,
    /// Operation that fails, and how.
    pub(super) faults: BTreeMap<u64, Fault>,
    /// Operations that only look: opens, reads, listings.
    pub(super) looks: u64,
    /// Look that fails.
    pub(super) blind_at: Option<u64>,
    /// From this operation on the power is off.
    pub(super) power_off_at: Option<u64>,
    /// Room in bytes.
    pub(super) capacity: Option<usize>,
    /// Where reads wait while they are held. Forks share it.
    pub(super) reads: Arc<HeldReads>,
}

impl fmt::Debug for World {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("World").field("names", &self.names.len()).finish_non_exhaustive()
    }
}

impl World {
    /// Counts an operation that changes the disk, and lets it fail if it shall.
    pub(super) fn operate(&mut self) -> Result<(), Fault> {
        let number = self.operations;
        self.operations += 1;
        if self.power_off_at.is_some_and(|at| number >= at) {
            return Err(Fault::Io);
        }
        self.faults.remove(&number).map_or(Ok(()), Err)
    }

    /// Counts an operation that only looks at the disk, and lets it fail if it shall.
    pub(super) fn look(&mut self) -> io::Result<()> {
        let number = self.looks;
        self.looks += 1;
        if self.blind_at == Some(number) { Err(Fault::Io.error()) } else { Ok(()) }
    }

    /// The root is a directory, and always there.
    pub(super) fn is_dir(&self, path: &Path) -> bool {
        path.parent().is_none() || self.names.get(path) == Some(&Entry::Dir)
    }

    pub(super) fn change_names(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        if let NameChange::Move(from, to, _) = &change {
            for pending in &mut self.pending_names {
                pending.follow(from, to);
            }
        }
        self.pending_names.push(change);
    }

    pub(super) fn sync_names(&mut self, dir: &Path) {
        let pending = std::mem::take(&mut self.pending_names);
        for change in pending {
            if change.dir() == dir {
                change.apply(&mut self.durable_names);
            } else {
                self.pending_names.push(change);
            }
        }
    }

    /// Everything in `dir` and below lasts.
    pub(super) fn sync_all(&mut self, dir: &Path) {
        let below = |path: &&PathBuf| path.starts_with(dir);
        let dirs: BTreeSet<PathBuf> = self
            .pending_names
            .iter()
            .map(|change| change.dir().to_owned())
            .filter(|path| below(&path))
            .collect();
        dirs.iter().for_each(|dir| self.sync_names(dir));
        let inside = self.names.iter().filter(|(path, _)| below(path));
        let ids = inside.filter_map(|(_, entry)| match entry {
            Entry::File(id) => Some(*id),
            Entry::Dir => None,
        });
        for id in ids.collect::<Vec<_>>() {
            if let Some(file) = self.files.get_mut(&id) {
                file.sync();
            }
        }
    }

    pub(super) fn new_file(&mut self, path: &Path) -> u64 {
        let id = self.next_file;
        self.next_file += 1;
        self.files.insert(id, Content::default());
        self.change_names(NameChange::Add(path.to_owned(), Entry::File(id)));
        id
    }

    /// Bytes that the files with names take.
    pub(super) fn used(&self) -> usize {
        let named = self.names.values().filter_map(|entry| match entry {
            Entry::File(id) => self.files.get(id),
            Entry::Dir => None,
        });
        named.map(|file| file.bytes.len().max(file.reserved)).sum()
    }

    /// Room left, in bytes.
    pub(super) fn free(&self) -> usize {
        self.capacity.map_or(usize::MAX, |capacity| capacity.saturating_sub(self.used()))
    }

    /// The process dies; all that it wrote is there.
    pub(super) fn kill(&mut self) {
        self.boot += 1;
        self.locks.clear();
        self.faults.clear();
        self.blind_at = None;
        self.power_off_at = None;
    }

    /// The power fails: of what was not synced, anything may be left.
    pub(super) fn lose_power(&mut self, random: &Random) {
        let pending = std::mem::take(&mut self.pending_names);
        let mut counts: BTreeMap<&Path, usize> = BTreeMap::new();
        for change in &pending {
            *counts.entry(change.dir()).or_default() += 1;
        }
        let mut lasting: BTreeMap<&Path, _> = counts
            .into_iter()
            .map(|(dir, count)| (dir, lasting_changes(count, random).into_iter()))
            .collect();
        for change in &pending {
            if lasting.get_mut(change.dir()).and_then(Iterator::next) == Some(true) {
                change.apply(&mut self.durable_names);
            }
        }
        // A name without its directory can't be reached.
        let durable = &self.durable_names;
        let reachable = |path: &Path| {
            let mut above = path.ancestors().skip(1).filter(|dir| !dir.as_os_str().is_empty());
            above.all(|dir| dir == Path::new("/") || durable.get(dir) == Some(&Entry::Dir))
        };
        self.names = durable
            .iter()
            .filter(|(path, _)| reachable(path))
            .map(|(path, entry)| (path.clone(), *entry))
            .collect();
        self.durable_names.clone_from(&self.names);
        for file in self.files.values_mut() {
            file.lose_power(random);
        }
        self.kill();
    }
}
