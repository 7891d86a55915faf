//! [`SimDisk`]: the simulated disk as storage uses it, and the levers to make it fail.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::file::SimFile;
use super::world::{Entry, Fault, NameChange, World};
use crate::env::{DirEntry, Disk, DiskFile, DiskLock, OpenMode, Random, Space};

/// A disk in memory. Clones are the same disk.
#[derive(Debug, Clone, Default)]
pub struct SimDisk {
    pub(super) world: Arc<Mutex<World>>,
}

impl SimDisk {
    /// An empty disk without bounds.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the power away and gives it back: of what was not synced, `seed` decides what is left,
    /// down to single sectors and single names. Files opened before answer with errors from now on.
    pub fn power_loss(&self, seed: u64) {
        self.world().lose_power(&Random::from_seed(seed));
    }

    /// Ends the process that uses the disk: its files and locks are closed, what it wrote is there.
    pub fn kill(&self) {
        self.world().kill();
    }

    /// Another disk with what is on this one now; the two go separate ways.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self { world: Arc::new(Mutex::new(self.world().clone())) }
    }

    /// Lets the `nth` operation from now on that changes the disk (counted from 0) fail.
    pub fn fail_nth(&self, nth: u64, fault: Fault) {
        let mut world = self.world();
        let number = world.operations + nth;
        world.faults.insert(number, fault);
    }

    /// Lets the `nth` operation from now on that only looks (an open, a read, a listing) fail.
    pub fn fail_nth_look(&self, nth: u64) {
        let mut world = self.world();
        world.blind_at = Some(world.looks + nth);
    }

    /// How many operations have only looked at the disk, or tried to.
    pub fn looks(&self) -> u64 {
        self.world().looks
    }

    /// Lets all operations from the `nth` from now on fail, as if the power were off. Follow it by
    /// [`SimDisk::power_loss`].
    pub fn power_off_at(&self, nth: u64) {
        let mut world = self.world();
        world.power_off_at = Some(world.operations + nth);
    }

    /// How many operations have changed the disk, or tried to.
    pub fn operations(&self) -> u64 {
        self.world().operations
    }

    /// Lets every read wait, as on a disk that is stuck, until [`SimDisk::let_reads_go`].
    pub fn hold_reads(&self) {
        self.world().reads.hold(true);
    }

    /// Lets the reads go that were held, and those to come.
    pub fn let_reads_go(&self) {
        self.world().reads.hold(false);
    }

    /// Returns once some read is held.
    pub fn wait_for_held_read(&self) {
        let reads = Arc::clone(&self.world().reads);
        reads.wait_for_one();
    }

    /// Bounds the disk to `bytes`, or lifts the bound.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.world().capacity = bytes.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
    }

    /// Bytes in use.
    pub fn used(&self) -> u64 {
        self.world().used() as u64
    }

    /// Flips one bit of a file, also of what is on the disk.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] when there is no such file or byte.
    pub fn flip_bit(&self, path: &Path, position: u64, bit: u8) -> io::Result<()> {
        let file = self.open(path, OpenMode::Write)?;
        let mut byte = [0];
        if file.read_at(&mut byte, position)? == 0 {
            return Err(io::ErrorKind::NotFound.into());
        }
        let [byte] = byte;
        file.write_at(&[io::IoSlice::new(&[byte ^ (1 << (bit % 8))])], position)?;
        file.sync_data()
    }

    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn not_found() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl Disk for SimDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let mut world = self.world();
        world.look()?;
        let found = world.names.get(path).copied();
        let id = match (found, mode) {
            (Some(Entry::Dir), _) => return Err(io::ErrorKind::IsADirectory.into()),
            (Some(Entry::File(_)), OpenMode::CreateNew) => {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            (None, OpenMode::Read | OpenMode::Write) => return Err(not_found()),
            (Some(Entry::File(id)), OpenMode::Truncate) => {
                world.operate().map_err(Fault::error)?;
                if let Some(file) = world.files.get_mut(&id) {
                    file.set_len(0);
                }
                id
            }
            (Some(Entry::File(id)), _) => id,
            (None, _) => {
                let parent = path.parent().unwrap_or(Path::new(""));
                if !world.is_dir(parent) {
                    return Err(not_found());
                }
                world.operate().map_err(Fault::error)?;
                world.new_file(path)
            }
        };
        let boot = world.boot;
        Ok(Arc::new(SimFile { world: Arc::clone(&self.world), id, boot }))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        let mut world = self.world();
        world.look()?;
        if !world.is_dir(dir) {
            return Err(not_found());
        }
        let inside = world.names.iter().filter(|(path, _)| path.parent() == Some(dir));
        let entry = |(path, entry): (&PathBuf, &Entry)| {
            let name = path.file_name()?.to_str()?.to_owned();
            let len = match entry {
                Entry::Dir => 0,
                Entry::File(id) => world.files.get(id).map_or(0, |file| file.bytes.len() as u64),
            };
            Some(DirEntry { name, is_dir: *entry == Entry::Dir, len, modified_ms: None })
        };
        Ok(inside.filter_map(entry).collect())
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        let mut world = self.world();
        world.look()?;
        Ok(world.is_dir(path) || world.names.contains_key(path))
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        let mut world = self.world();
        let mut missing: Vec<_> = dir
            .ancestors()
            .filter(|dir| !dir.as_os_str().is_empty())
            .take_while(|dir| !world.is_dir(dir))
            .map(Path::to_owned)
            .collect();
        while let Some(dir) = missing.pop() {
            world.operate().map_err(Fault::error)?;
            // What lies above the directory that storage uses is there for good.
            let above = dir.parent().is_none_or(|parent| parent.parent().is_none());
            let parent = dir.parent().unwrap_or(Path::new("")).to_owned();
            world.change_names(NameChange::Add(dir, Entry::Dir));
            if above {
                world.sync_names(&parent);
            }
        }
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut world = self.world();
        let Some(entry) = world.names.get(from).copied() else { return Err(not_found()) };
        world.operate().map_err(Fault::error)?;
        world.change_names(NameChange::Move(from.to_owned(), to.to_owned(), entry));
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.remove_dir_all(path)
    }

    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        let mut world = self.world();
        if !world.names.contains_key(dir) {
            return Err(not_found());
        }
        world.operate().map_err(Fault::error)?;
        world.change_names(NameChange::Remove(dir.to_owned()));
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut world = self.world();
        if !world.is_dir(dir) {
            return Err(not_found());
        }
        world.operate().map_err(Fault::error)?;
        world.sync_names(dir);
        Ok(())
    }

    fn sync_all(&self, dir: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.operate().map_err(Fault::error)?;
        world.sync_all(dir);
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<DiskLock> {
        drop(self.open(path, OpenMode::Create)?);
        let mut world = self.world();
        if !world.locks.insert(path.to_owned()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let boot = world.boot;
        Ok(DiskLock::new(Held { disk: self.clone(), path: path.to_owned(), boot }))
    }

    fn space(&self, _: &Path) -> io::Result<Space> {
        let world = self.world();
        let total = world.capacity.unwrap_or(1 << 40) as u64;
        Ok(Space { free: total.saturating_sub(world.used() as u64), total })
    }

    fn max_open_files(&self) -> u64 {
        1 << 20
    }
}

/// A lock of one boot.
#[derive(Debug)]
struct Held {
    disk: SimDisk,
    path: PathBuf,
    boot: u64,
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut world = self.disk.world();
        if world.boot == self.boot {
            world.locks.remove(&self.path);
        }
    }
}
