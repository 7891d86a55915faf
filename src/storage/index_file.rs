//! One index file as a row of fixed-width entries: the newest in memory, the older ones on disk.
//!
//! Entries are written many at a time, so that an append costs no system call here; the file lags
//! behind and is completed when the segment closes. A lost tail is rebuilt from the log.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};

use super::error::naming;
use crate::env::{Disk, DiskFile, OpenMode, Patience};

/// How many unwritten entries there are before they are worth a write.
const WRITE_EVERY: usize = 512;
/// How many of the newest entries stay in memory after a write: reads near the end need no file.
const KEEP: usize = 512;

/// Fixed-width entries in rising order.
#[derive(Debug, Clone)]
pub(super) struct IndexFile {
    path: PathBuf,
    width: usize,
    /// Whether there is a file.
    exists: bool,
    /// Entries in the file.
    stored: usize,
    /// Index of the first entry in `recent`.
    recent_from: usize,
    /// The newest entries, back to back.
    recent: Vec<u8>,
}

impl IndexFile {
    /// An index without entries. The file is made when the first ones are written.
    pub(super) fn empty(path: PathBuf, width: usize) -> Self {
        Self { path, width, exists: false, stored: 0, recent_from: 0, recent: Vec::new() }
    }

    /// An index whose entries are all in the file. `None` when the file is missing or cut inside
    /// an entry.
    pub(super) fn open(disk: &dyn Disk, path: PathBuf, width: usize) -> io::Result<Option<Self>> {
        let len = match disk.open(&path, OpenMode::Read) {
            Ok(file) => usize::try_from(file.len()?).unwrap_or(usize::MAX),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let stored = len / width;
        let whole = len.is_multiple_of(width);
        let index =
            Self { path, width, exists: true, stored, recent_from: stored, recent: Vec::new() };
        Ok(whole.then_some(index))
    }

    /// Empties the index, in the file too if there is one.
    pub(super) fn discard(&mut self, disk: &dyn Disk) -> io::Result<()> {
        match disk.open(&self.path, OpenMode::Write) {
            Ok(file) => file.set_len(0)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        *self = Self::empty(std::mem::take(&mut self.path), self.width);
        Ok(())
    }

    /// The file has this name from now on.
    pub(super) fn renamed(&mut self, path: PathBuf) {
        self.path = path;
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Entries, written or not.
    pub(super) fn len(&self) -> usize {
        self.recent_from + self.recent.len() / self.width
    }

    /// Adds an entry, in memory.
    pub(super) fn push(&mut self, entry: &[u8]) {
        debug_assert_eq!(entry.len(), self.width);
        self.recent.extend_from_slice(entry);
    }

    /// Whether so many entries wait that they should be written.
    pub(super) fn wants_write(&self) -> bool {
        self.len() - self.stored >= WRITE_EVERY
    }

    /// Writes what is not in the file yet; makes the file if there is none.
    pub(super) fn write(&mut self, disk: &dyn Disk) -> io::Result<()> {
        let file = disk.open(&self.path, OpenMode::Create)?;
        let skip = (self.stored - self.recent_from) * self.width;
        let unwritten = self.recent.get(skip..).unwrap_or_default();
        file.write_at(&[IoSlice::new(unwritten)], (self.stored * self.width) as u64)?;
        self.exists = true;
        self.stored = self.len();
        self.forget_all_but(KEEP);
        Ok(())
    }

    /// Whether entries wait to be written, or there is no file yet.
    pub(super) fn is_unwritten(&self) -> bool {
        self.len() > self.stored || !self.exists
    }

    /// Makes what was written last.
    pub(super) fn sync(&self, disk: &dyn Disk) -> io::Result<()> {
        disk.open(&self.path, OpenMode::Write)?.sync_data()
    }

    /// Frees the memory of entries that are in the file.
    pub(super) fn forget_all_but(&mut self, keep: usize) {
        let surplus = (self.stored - self.recent_from).min(self.len().saturating_sub(keep));
        // Moved only when it frees at least half of what is held.
        if keep == 0 || surplus >= keep {
            self.recent.drain(..surplus * self.width);
            self.recent_from += surplus;
        }
    }

    /// Keeps the first `keep` entries only, in the file too.
    pub(super) fn truncate(&mut self, disk: &dyn Disk, keep: usize) -> io::Result<()> {
        if keep >= self.len() {
            return Ok(());
        }
        if keep < self.stored {
            let file = disk.open(&self.path, OpenMode::Write)?;
            file.set_len((keep * self.width) as u64)?;
            self.stored = keep;
        }
        self.recent.truncate(keep.saturating_sub(self.recent_from) * self.width);
        self.recent_from = self.recent_from.min(keep);
        Ok(())
    }

    /// Copies entry `n` into `out`, which is one entry wide.
    pub(super) fn get(
        &self,
        disk: &dyn Disk,
        patience: Patience,
        n: usize,
        out: &mut [u8],
    ) -> io::Result<()> {
        if n >= self.recent_from {
            return copy(self.recent.get((n - self.recent_from) * self.width..), out);
        }
        let file = disk.open(&self.path, OpenMode::Read).map_err(naming(&self.path))?;
        self.read(&*file, patience, n, out)
    }

    /// How many entries from the front satisfy `is_before`, which holds for a prefix of them.
    pub(super) fn partition_point(
        &self,
        disk: &dyn Disk,
        patience: Patience,
        is_before: impl Fn(&[u8]) -> bool,
    ) -> io::Result<usize> {
        let first_recent = self.recent.get(..self.width);
        if self.recent_from == 0 || first_recent.is_some_and(&is_before) {
            return Ok(self.recent_from + count_before(&self.recent, self.width, is_before));
        }
        let file = disk.open(&self.path, OpenMode::Read).map_err(naming(&self.path))?;
        let mut entry = vec![0; self.width];
        let (mut low, mut high) = (0, self.recent_from);
        while high - low > KEEP {
            let middle = low + (high - low) / 2;
            self.read(&*file, patience, middle, &mut entry)?;
            if is_before(&entry) { low = middle + 1 } else { high = middle }
        }
        let mut block = vec![0; (high - low) * self.width];
        self.read(&*file, patience, low, &mut block)?;
        Ok(low + count_before(&block, self.width, is_before))
    }

    /// All entries, oldest first, for a check of the whole.
    pub(super) fn read_all(&self, disk: &dyn Disk) -> io::Result<Vec<u8>> {
        let mut all = vec![0; self.recent_from * self.width];
        if self.recent_from > 0 {
            let file = disk.open(&self.path, OpenMode::Read).map_err(naming(&self.path))?;
            self.read(&*file, Patience::Wait, 0, &mut all)?;
        }
        all.extend_from_slice(&self.recent);
        Ok(all)
    }

    fn read(
        &self,
        file: &dyn DiskFile,
        patience: Patience,
        n: usize,
        out: &mut [u8],
    ) -> io::Result<()> {
        let read = patience.read(file, out, (n * self.width) as u64);
        let read = read.map_err(|error| match error.kind() {
            // No fault, and often.
            io::ErrorKind::WouldBlock => error,
            _ => naming(&self.path)(error),
        })?;
        match patience {
            _ if read == out.len() => Ok(()),
            Patience::Now => Err(io::ErrorKind::WouldBlock.into()),
            Patience::Wait => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

fn copy(from: Option<&[u8]>, out: &mut [u8]) -> io::Result<()> {
    match from.and_then(|from| from.get(..out.len())) {
        Some(entry) => {
            out.copy_from_slice(entry);
            Ok(())
        }
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn count_before(entries: &[u8], width: usize, is_before: impl Fn(&[u8]) -> bool) -> usize {
    let (mut low, mut high) = (0, entries.len() / width);
    while low < high {
        let middle = low + (high - low) / 2;
        let entry = entries.get(middle * width..(middle + 1) * width).unwrap_or_default();
        if is_before(entry) { low = middle + 1 } else { high = middle }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::Env;

    fn key(entry: &[u8]) -> u64 {
        u64::from_be_bytes(entry.try_into().unwrap())
    }

    #[test]
    fn entries_are_found_in_memory_and_in_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Env::real().disk;
        let path = dir.path().join("i");
        let mut index = IndexFile::empty(path.clone(), 8);
        for n in 0..5000_u64 {
            index.push(&(n * 3).to_be_bytes());
            if index.wants_write() {
                index.write(&*disk).unwrap();
            }
        }
        assert!(index.recent.len() <= 8 * (KEEP + WRITE_EVERY) + 8);
        let find = |index: &IndexFile, target: u64| {
            index.partition_point(&*disk, Patience::Wait, |entry| key(entry) <= target).unwrap()
        };
        for target in (0..15_100).step_by(7) {
            let expected = (target / 3 + 1).min(5000) as usize;
            assert_eq!(find(&index, target), expected, "target {target}");
        }
        index.write(&*disk).unwrap();
        index.forget_all_but(0);
        assert!(index.recent.is_empty());
        assert_eq!(find(&index, 7500), 2501);
        let opened = IndexFile::open(&*disk, path, 8).unwrap().unwrap();
        assert_eq!(opened.len(), 5000);
        let mut entry = [0; 8];
        opened.get(&*disk, Patience::Wait, 4999, &mut entry).unwrap();
        assert_eq!(key(&entry), 4999 * 3);
    }

    #[test]
    fn cutting_reaches_memory_and_file() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Env::real().disk;
        let path = dir.path().join("i");
        for keep in [0, 3, 600, 1499, 1500, 2000] {
            let mut index = IndexFile::empty(path.clone(), 8);
            for n in 0..1500_u64 {
                index.push(&n.to_be_bytes());
                if n == 999 {
                    index.write(&*disk).unwrap();
                }
            }
            index.truncate(&*disk, keep).unwrap();
            index.push(&9999_u64.to_be_bytes());
            index.write(&*disk).unwrap();
            let all = index.read_all(&*disk).unwrap();
            let keep = keep.min(1500);
            assert_eq!(all.len(), (keep + 1) * 8);
            assert_eq!(key(&all[keep * 8..]), 9999);
            let opened = IndexFile::open(&*disk, path.clone(), 8).unwrap().unwrap();
            assert_eq!(opened.read_all(&*disk).unwrap(), all);
            disk.remove_file(&path).unwrap();
        }
    }

    #[test]
    fn a_file_cut_inside_an_entry_is_no_index() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Env::real().disk;
        let path = dir.path().join("i");
        assert!(IndexFile::open(&*disk, path.clone(), 8).unwrap().is_none());
        disk.open(&path, OpenMode::Create).unwrap().set_len(12).unwrap();
        assert!(IndexFile::open(&*disk, path, 8).unwrap().is_none());
    }
}
