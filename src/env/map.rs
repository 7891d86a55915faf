//! Read-only maps of files that others append to: the one place with `unsafe`.
//!
//! Why it is sound here: bytes are only ever handed out below the length that the writer has
//! published, published bytes never change while a map lives, and a mapped file is never cut
//! below them (`storage` sees to all three; it copies a file rather than cut it under a map).
//! Bytes beyond the end of the file lie in the window but are never part of a slice.
#![allow(unsafe_code, reason = "the one file that maps; see the argument above")]

use std::fs::File;
use std::io;
use std::sync::{Arc, Weak};

use bytes::Bytes;
use memmap2::{Advice, Mmap, MmapOptions};

use super::disk::DiskFile;

/// A read-only window on a file. Clones and slices keep the mapping alive, also after the file
/// lost its name.
#[derive(Debug, Clone)]
pub struct Map(Inner);

#[derive(Debug, Clone)]
enum Inner {
    Mapped {
        mmap: Arc<Mmap>,
        bytes: Bytes,
    },
    /// A disk without maps (the simulated one): slices are copies.
    Copying {
        file: Arc<dyn DiskFile>,
        window: usize,
    },
}

/// What keeps the mapping alive behind the `Bytes`.
struct Owner(Arc<Mmap>);

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Map {
    /// Maps the first `window` bytes of `file`.
    pub(super) fn of_file(file: &File, window: u64) -> io::Result<Self> {
        let window = usize::try_from(window).map_err(|_| io::ErrorKind::OutOfMemory)?;
        // SAFETY: see the head of this file. Nobody but the owner of the log writes to its files
        // (the directory is locked), and it never changes or cuts away bytes that were handed out.
        let mmap = unsafe { MmapOptions::new().len(window).map(file)? };
        let mmap = Arc::new(mmap);
        let bytes = Bytes::from_owner(Owner(Arc::clone(&mmap)));
        Ok(Self(Inner::Mapped { mmap, bytes }))
    }

    /// Stands in for a map on a disk that has none: each slice is read into memory.
    pub fn copying(file: Arc<dyn DiskFile>, window: u64) -> Self {
        Self(Inner::Copying { file, window: usize::try_from(window).unwrap_or(usize::MAX) })
    }

    /// Bytes in the window.
    pub fn window(&self) -> usize {
        match &self.0 {
            Inner::Mapped { bytes, .. } => bytes.len(),
            Inner::Copying { window, .. } => *window,
        }
    }

    /// The bytes `[start, end)` of the file, without copying them. The caller answers for it that
    /// they have been written and are published.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] when the range does not lie in the window.
    pub fn slice(&self, start: usize, end: usize) -> io::Result<Bytes> {
        if start > end || end > self.window() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        match &self.0 {
            Inner::Mapped { bytes, .. } => Ok(bytes.slice(start..end)),
            Inner::Copying { file, .. } => {
                let mut copy = vec![0; end - start];
                let position = u64::try_from(start).map_err(|_| io::ErrorKind::InvalidInput)?;
                let read = file.read_at(&mut copy, position)?;
                copy.truncate(read);
                Ok(Bytes::from(copy))
            }
        }
    }

    /// Tells later, without keeping it alive, whether this mapping still is.
    pub fn watch(&self) -> MapWatch {
        match &self.0 {
            Inner::Mapped { mmap, .. } => MapWatch(Arc::downgrade(mmap)),
            Inner::Copying { .. } => MapWatch(Weak::new()),
        }
    }

    /// A handle that brings `[start, end)` into memory.
    pub fn populate(&self, start: usize, end: usize) -> Populate {
        Populate { map: self.clone(), start, end: end.min(self.window()) }
    }
}

/// Watches a mapping from outside: the file may be cut once nobody can see it any more.
#[derive(Debug, Clone)]
pub struct MapWatch(Weak<Mmap>);

impl MapWatch {
    /// Whether the map, a clone or a slice of it still exists somewhere.
    pub fn is_alive(&self) -> bool {
        self.0.strong_count() > 0
    }
}

/// Bytes of a file that may have to be read from the disk first. Reading them through the map
/// would stall the thread that touches them, so [`Populate::run`] goes to a thread that may wait.
#[derive(Debug, Clone)]
pub struct Populate {
    map: Map,
    start: usize,
    end: usize,
}

impl Populate {
    /// Bytes in the range.
    pub fn len(&self) -> usize {
        self.end.saturating_sub(self.start)
    }

    /// Whether there is nothing to bring.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Waits until the range is in memory. Call it where blocking is allowed.
    ///
    /// # Errors
    /// The disk could not be read. Nobody may touch the bytes then.
    pub fn run(&self) -> io::Result<()> {
        let Inner::Mapped { mmap, .. } = &self.map.0 else { return Ok(()) };
        if self.is_empty() {
            return Ok(());
        }
        match populate_read(mmap, self.start, self.len()) {
            // Before Linux 5.14, and elsewhere: ask for read-ahead, the touch comes later.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                mmap.advise_range(Advice::WillNeed, self.start, self.len())
            }
            // How the kernel says that a page could not be read.
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::FAULT.raw_os_error()) => {
                Err(rustix::io::Errno::IO.into())
            }
            other => other,
        }
    }
}

#[cfg(target_os = "linux")]
fn populate_read(mmap: &Mmap, start: usize, len: usize) -> io::Result<()> {
    mmap.advise_range(Advice::PopulateRead, start, len)
}

#[cfg(not(target_os = "linux"))]
fn populate_read(_: &Mmap, _: usize, _: usize) -> io::Result<()> {
    Err(io::ErrorKind::InvalidInput.into())
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;
    use std::path::Path;

    use super::super::{Disk, OpenMode, real::RealDisk};
    use super::*;

    fn new_file(dir: &Path) -> Arc<dyn DiskFile> {
        RealDisk::default().open(&dir.join("f"), OpenMode::CreateNew).unwrap()
    }

    #[test]
    fn bytes_appended_after_mapping_are_seen() {
        let dir = tempfile::tempdir().unwrap();
        let file = new_file(dir.path());
        file.write_at(&[IoSlice::new(b"first")], 0).unwrap();
        let map = Arc::clone(&file).map(1 << 20).unwrap();
        assert_eq!(&map.slice(0, 5).unwrap()[..], b"first");
        let later = vec![7_u8; 100_000];
        file.write_at(&[IoSlice::new(&later)], 5).unwrap();
        assert_eq!(&map.slice(5, 100_005).unwrap()[..], &later[..]);
        map.populate(0, 100_005).run().unwrap();
        assert!(map.slice(0, (1 << 20) + 1).is_err());
        // No page of the file: the kernel says the same of one that the disk does not give.
        let failed = map.populate(0, 1 << 20).run().map_err(|error| error.raw_os_error());
        assert!(matches!(failed, Ok(()) | Err(Some(5))), "{failed:?}");
    }

    #[test]
    fn slices_outlive_the_map_and_the_name() {
        let dir = tempfile::tempdir().unwrap();
        let file = new_file(dir.path());
        file.write_at(&[IoSlice::new(b"kept")], 0).unwrap();
        let map = Arc::clone(&file).map(4096).unwrap();
        let watch = map.watch();
        let slice = map.slice(0, 4).unwrap();
        RealDisk::default().remove_file(&dir.path().join("f")).unwrap();
        drop((map, file));
        assert_eq!(&slice[..], b"kept");
        assert!(watch.is_alive());
        drop(slice);
        assert!(!watch.is_alive());
    }
}
