//! The disk as storage needs it: positional reads and writes, space reserved ahead, data synced
//! by file, names synced by directory.

use std::any::Any;
use std::fmt::Debug;
use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;

use super::map::Map;

/// How a file is opened. All but [`OpenMode::Read`] may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenMode {
    /// An existing file, for reading only.
    Read,
    /// An existing file.
    Write,
    /// A file that must not exist yet.
    CreateNew,
    /// An existing file, or a new empty one.
    Create,
    /// An empty file: what was in it goes.
    Truncate,
}

/// Whether a reader may wait for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// As long as it takes.
    Wait,
    /// Not at all: what is not in memory is an error of kind [`io::ErrorKind::WouldBlock`], or not among the
    /// bytes that come.
    Now,
}

impl Patience {
    /// [`DiskFile::read_at`] or [`DiskFile::read_now`].
    ///
    /// # Errors
    /// As those.
    pub fn read(self, file: &dyn DiskFile, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        match self {
            Self::Wait => file.read_at(buffer, position),
            Self::Now => file.read_now(buffer, position),
        }
    }
}

/// One name in a directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DirEntry {
    /// The name, without the directory. Names that are not UTF-8 are left out of listings: none
    /// of ours is like that.
    pub name: String,
    /// Whether the name is a directory.
    pub is_dir: bool,
    /// Length of the file in bytes, 0 for a directory.
    pub len: u64,
    /// When it was last written, in ms since 1970, where the disk tells.
    pub modified_ms: Option<i64>,
}

/// Room on the file system that holds a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Bytes that this process may still write.
    pub free: u64,
    /// Size of the file system in bytes.
    pub total: u64,
}

/// Holds an exclusive lock on a file until it is dropped or the process dies.
#[derive(Debug)]
pub struct DiskLock {
    _held: Box<dyn HeldLock>,
}

/// Whatever a disk keeps alive for a lock.
trait HeldLock: Any + Debug + Send + Sync {}
impl<T: Any + Debug + Send + Sync> HeldLock for T {}

impl DiskLock {
    /// A lock that lasts as long as `held`.
    pub fn new(held: impl Any + Debug + Send + Sync) -> Self {
        Self { _held: Box::new(held) }
    }
}

/// A file system. Errors are those of the operating system: [`io::ErrorKind::StorageFull`] for a
/// full disk, [`io::ErrorKind::NotFound`] for a name that is not there.
pub trait Disk: Debug + Send + Sync {
    /// Opens a file. The name of a new one lasts only after [`Disk::sync_dir`] of its directory.
    ///
    /// # Errors
    /// As the operating system says.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>>;

    /// What lies in a directory, sorted by name.
    ///
    /// # Errors
    /// As the operating system says.
    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>>;

    /// Whether something has this name.
    ///
    /// # Errors
    /// As the operating system says; not when the name is missing.
    fn exists(&self, path: &Path) -> io::Result<bool>;

    /// Makes a directory and those above it; no error when it is there.
    ///
    /// # Errors
    /// As the operating system says.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;

    /// Moves a name, replacing a file that has the new one.
    ///
    /// # Errors
    /// As the operating system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Takes a file's name away; its bytes live on while the file is open or mapped.
    ///
    /// # Errors
    /// As the operating system says.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Removes a directory and all in it.
    ///
    /// # Errors
    /// As the operating system says.
    fn remove_dir_all(&self, dir: &Path) -> io::Result<()>;

    /// Makes the names in a directory last: creations, renames, removals.
    ///
    /// # Errors
    /// As the operating system says. After an error nothing is known of those names.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Makes everything last that lies in `dir` and below, contents and names, at the cost of one sync
    /// rather than two a file. What else is dirty on that file system goes along.
    ///
    /// # Errors
    /// As the operating system says; [`io::ErrorKind::Unsupported`] where it can't: sync each then.
    fn sync_all(&self, dir: &Path) -> io::Result<()>;

    /// Locks a file for this process alone, creating it if needed.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when another process holds it.
    fn lock(&self, path: &Path) -> io::Result<DiskLock>;

    /// Room on the file system of `path`.
    ///
    /// # Errors
    /// As the operating system says.
    fn space(&self, path: &Path) -> io::Result<Space>;

    /// How many files this process may hold open.
    fn max_open_files(&self) -> u64;

    /// Reads a whole small file.
    ///
    /// # Errors
    /// As the operating system says, and [`io::ErrorKind::FileTooLarge`] for more than `limit`
    /// bytes, before any memory is taken.
    fn read(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        let file = self.open(path, OpenMode::Read)?;
        let len = usize::try_from(file.len()?).unwrap_or(usize::MAX);
        if len > limit {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let mut bytes = vec![0; len];
        let read = file.read_at(&mut bytes, 0)?;
        bytes.truncate(read);
        Ok(bytes)
    }
}

/// An open file. All positions are absolute: two threads may use one file at once.
pub trait DiskFile: Debug + Send + Sync {
    /// Length in bytes; space reserved ahead does not count.
    ///
    /// # Errors
    /// As the operating system says.
    fn len(&self) -> io::Result<u64>;

    /// Whether the file has no bytes.
    ///
    /// # Errors
    /// As the operating system says.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Fills `buffer` from `position` on, as far as the file reaches; returns how many bytes came.
    ///
    /// # Errors
    /// As the operating system says.
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize>;

    /// As [`DiskFile::read_at`], but only as far as it is in memory: it never waits for the disk. The kernel
    /// begins to bring what is missing, though: to ask again soon tells nothing of what was there.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when not even the first byte is in memory, or nobody can tell; others
    /// as the operating system says.
    fn read_now(&self, _: &mut [u8], _: u64) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    /// Writes all slices, one after another, from `position` on: one system call as a rule.
    ///
    /// # Errors
    /// As the operating system says. Some of the bytes may have been written then.
    fn write_at(&self, slices: &[IoSlice<'_>], position: u64) -> io::Result<()>;

    /// Makes sure that writes below `end` find room, without changing the length of the file.
    /// Does nothing on a file system that can't do it.
    ///
    /// # Errors
    /// [`io::ErrorKind::StorageFull`] when there is no room.
    fn reserve(&self, end: u64) -> io::Result<()>;

    /// Returns only when all that was written, and the length, is on the disk (`fdatasync`).
    ///
    /// # Errors
    /// As the operating system says. After one error the content of the disk is not known, and a
    /// second call that succeeds proves nothing.
    fn sync_data(&self) -> io::Result<()>;

    /// Cuts the file, or lengthens it with zeros. Also gives back space reserved beyond `len`.
    ///
    /// # Errors
    /// As the operating system says.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Forgets what of the file is in memory and already on the disk, so that the next read comes
    /// from the disk. Only a hint.
    fn drop_cache(&self) {}

    /// Maps the first `window` bytes for reading. The window may reach beyond the end of the file;
    /// bytes there must not be touched before they have been written.
    ///
    /// # Errors
    /// As the operating system says.
    fn map(self: Arc<Self>, window: u64) -> io::Result<Map>;
}
