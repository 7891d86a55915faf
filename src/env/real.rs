//! The real machine: `std::fs` and the few calls that it lacks.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice};
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use rustix::fs::FlockOperation;
use rustix::process::{Resource, getrlimit, setrlimit};

use super::clock::Clock;
use super::disk::{DirEntry, Disk, DiskFile, DiskLock, OpenMode, Space};
use super::map::Map;

/// The machine's clocks.
#[derive(Debug)]
pub(super) struct RealClock {
    start: Instant,
}

impl RealClock {
    #[expect(clippy::disallowed_methods, reason = "this is the door")]
    pub(super) fn new() -> Self {
        Self { start: Instant::now() }
    }
}

impl Clock for RealClock {
    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the door")]
    fn wall_ms(&self) -> i64 {
        ms_since_1970(SystemTime::now())
    }
}

fn ms_since_1970(time: SystemTime) -> i64 {
    let since_1970 = time.duration_since(SystemTime::UNIX_EPOCH);
    since_1970.map_or(0, |elapsed| i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
}

/// Lets this process open as many files as the hard limit allows; a soft limit of 1024, the usual
/// default, is too few for a broker. Returns the limit that now holds.
pub fn raise_open_file_limit() -> u64 {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // When it can't be raised the old limit stays, and is what is returned.
    let _ = setrlimit(Resource::Nofile, limit);
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// The machine's file systems.
#[derive(Debug, Default)]
pub(super) struct RealDisk {
    /// All that is written lies in it, and goes with it: nothing is ever synced.
    passing: Option<PassingFolder>,
}

/// A folder that is removed, with all in it, when the last handle of its disk is gone.
#[derive(Debug)]
struct PassingFolder(PathBuf);

impl Drop for PassingFolder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(dir = %self.0.display(), %error, "cannot remove a temporary directory");
        }
    }
}

impl RealDisk {
    /// The disk for what need not last, and its folder: a new one among the temporary files, for this
    /// user alone.
    pub(super) fn passing(name: &str) -> io::Result<(Self, PathBuf)> {
        let path = std::env::temp_dir().join(name);
        fs::DirBuilder::new().mode(0o700).create(&path).map_err(|error| {
            let shown = path.display();
            io::Error::new(error.kind(), format!("can't make {shown}: {error}; see TMPDIR"))
        })?;
        Ok((Self { passing: Some(PassingFolder(path.clone())) }, path))
    }

    fn lasts(&self) -> bool {
        self.passing.is_none()
    }
}

impl Disk for RealDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(mode != OpenMode::Read);
        match mode {
            OpenMode::Read | OpenMode::Write => {}
            OpenMode::CreateNew => _ = options.create_new(true),
            OpenMode::Create => _ = options.create(true),
            OpenMode::Truncate => _ = options.create(true).truncate(true),
        }
        let file = options.open(path)?;
        Ok(Arc::new(RealFile { file, lasts: self.lasts(), can_reserve: AtomicBool::new(true) }))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            match entry.metadata() {
                Ok(meta) => {
                    let is_dir = meta.is_dir();
                    let len = if is_dir { 0 } else { meta.len() };
                    let modified_ms = meta.modified().ok().map(ms_since_1970);
                    entries.push(DirEntry { name, is_dir, len, modified_ms });
                }
                // Removed while we were listing.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        entries.sort();
        Ok(entries)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        path.try_exists()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the door")]
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir_all(dir)
    }

    #[expect(clippy::disallowed_methods, reason = "this is the door")]
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    #[expect(clippy::disallowed_methods, reason = "this is the door")]
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        fs::remove_dir_all(dir)
    }

    #[expect(clippy::disallowed_methods, reason = "this is the door")]
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        if self.lasts() { File::open(dir)?.sync_all() } else { Ok(()) }
    }

    #[cfg(target_os = "linux")]
    #[expect(clippy::disallowed_methods, reason = "this is the door")]
    fn sync_all(&self, dir: &Path) -> io::Result<()> {
        if self.lasts() { Ok(rustix::fs::syncfs(File::open(dir)?)?) } else { Ok(()) }
    }

    #[cfg(not(target_os = "linux"))]
    fn sync_all(&self, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn lock(&self, path: &Path) -> io::Result<DiskLock> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).open(path)?;
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        Ok(DiskLock::new(Locked(file)))
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        let stat = rustix::fs::statvfs(path)?;
        Ok(Space {
            free: stat.f_bavail.saturating_mul(stat.f_frsize),
            total: stat.f_blocks.saturating_mul(stat.f_frsize),
        })
    }

    fn max_open_files(&self) -> u64 {
        getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
    }
}

/// A file with a lock. Closing it is not enough: a child of this process, until it runs its program, has what
/// was open when it was begun, and so would keep the lock.
#[derive(Debug)]
struct Locked(File);

impl Drop for Locked {
    fn drop(&mut self) {
        // Closing follows in any case.
        let _ = rustix::fs::flock(&self.0, FlockOperation::Unlock);
    }
}

#[derive(Debug)]
struct RealFile {
    file: File,
    /// False for a file that goes with its folder.
    lasts: bool,
    /// False once the file system has said that it can't reserve space.
    can_reserve: AtomicBool,
}

impl DiskFile for RealFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        let mut filled = 0;
        let mut at = position;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, at) {
                Ok(0) => break,
                Ok(count) => {
                    filled += count;
                    at = at.saturating_add(count as u64);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    #[cfg(target_os = "linux")]
    fn read_now(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        use rustix::io::{Errno, ReadWriteFlags, preadv2};
        let mut slices = [io::IoSliceMut::new(buffer)];
        match preadv2(&self.file, &mut slices, position, ReadWriteFlags::NOWAIT) {
            Ok(count) => Ok(count),
            // Before Linux 4.14, and on file systems that can't tell.
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INTR) => {
                Err(io::ErrorKind::WouldBlock.into())
            }
            Err(error) => Err(error.into()),
        }
    }

    fn write_at(&self, slices: &[IoSlice<'_>], position: u64) -> io::Result<()> {
        let total: usize = slices.iter().map(|slice| slice.len()).sum();
        let mut written = 0;
        while written == 0 && total > 0 {
            written = match rustix::io::pwritev(&self.file, slices, position) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => count,
                Err(rustix::io::Errno::INTR) => 0,
                Err(error) => return Err(error.into()),
            };
        }
        // The kernel took a part (a full disk, more than IOV_MAX slices): the rest one by one.
        let mut at = position;
        for slice in slices {
            let done = written.min(slice.len());
            written -= done;
            let rest = slice.get(done..).unwrap_or_default();
            at = at.saturating_add(done as u64);
            self.file.write_all_at(rest, at)?;
            at = at.saturating_add(rest.len() as u64);
        }
        Ok(())
    }

    fn reserve(&self, end: u64) -> io::Result<()> {
        if !self.can_reserve.load(Ordering::Relaxed) {
            return Ok(());
        }
        match fallocate(&self.file, end) {
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                self.can_reserve.store(false, Ordering::Relaxed);
                Ok(())
            }
            other => other,
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.lasts { self.file.sync_data() } else { Ok(()) }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    #[cfg(target_os = "linux")]
    fn drop_cache(&self) {
        // Without effect the next read is only less of a proof.
        let _ = rustix::fs::fadvise(&self.file, 0, None, rustix::fs::Advice::DontNeed);
    }

    fn map(self: Arc<Self>, window: u64) -> io::Result<Map> {
        Map::of_file(&self.file, window)
    }
}

/// Reserves from the end of the file on: what is written already has its blocks, unless it was
/// made sparse, which this crate never does.
#[cfg(target_os = "linux")]
fn fallocate(file: &File, end: u64) -> io::Result<()> {
    use rustix::fs::FallocateFlags;
    let len = file.metadata()?.len();
    if end <= len {
        return Ok(());
    }
    loop {
        match rustix::fs::fallocate(file, FallocateFlags::KEEP_SIZE, len, end - len) {
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {
                return Err(io::ErrorKind::Unsupported.into());
            }
            other => return Ok(other?),
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn fallocate(_: &File, _: u64) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vectored_write_lands_in_order_at_its_position() {
        let dir = tempfile::tempdir().unwrap();
        let file = RealDisk::default().open(&dir.path().join("f"), OpenMode::CreateNew).unwrap();
        file.write_at(&[IoSlice::new(b"ab"), IoSlice::new(b""), IoSlice::new(b"cde")], 3).unwrap();
        let mut bytes = [9; 16];
        assert_eq!(file.read_at(&mut bytes, 0).unwrap(), 8);
        assert_eq!(&bytes[..8], b"\0\0\0abcde");
    }

    #[test]
    fn what_was_just_written_is_read_without_waiting_as_far_as_it_goes() {
        let dir = tempfile::tempdir().unwrap();
        let file = RealDisk::default().open(&dir.path().join("f"), OpenMode::CreateNew).unwrap();
        file.write_at(&[IoSlice::new(&[7; 10_000])], 0).unwrap();
        let mut bytes = [0; 5000];
        let would_block = |outcome: io::Result<usize>| {
            outcome.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
        };
        for (from, length) in [(5000, 5000), (5001, 4999), (10_000, 0)] {
            match file.read_now(&mut bytes, from) {
                Ok(count) => assert_eq!((count, bytes), (length, [7; 5000])),
                // A file system that can't tell.
                error => assert!(would_block(error)),
            }
        }
    }

    #[test]
    fn reserving_leaves_the_length_alone_and_cutting_gives_the_space_back() {
        use std::os::unix::fs::MetadataExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let blocks = || path.metadata().unwrap().blocks();
        let file = RealDisk::default().open(&path, OpenMode::CreateNew).unwrap();
        file.write_at(&[IoSlice::new(b"data")], 0).unwrap();
        file.reserve(1 << 20).unwrap();
        assert_eq!(file.len().unwrap(), 4);
        let reserved = blocks();
        file.set_len(4).unwrap();
        assert_eq!(file.len().unwrap(), 4);
        assert!(reserved < 2048 || blocks() < 100, "{reserved} then {} blocks", blocks());
    }

    #[test]
    fn a_lock_goes_with_its_holder_also_where_a_child_has_the_file_still() {
        let dir = tempfile::tempdir().unwrap();
        let (path, disk) = (dir.path().join("f"), RealDisk::default());
        let file = OpenOptions::new().write(true).create_new(true).open(&path).unwrap();
        let of_a_child = file.try_clone().unwrap();
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).unwrap();
        let held = DiskLock::new(Locked(file));
        assert!(disk.lock(&path).is_err());
        drop(held);
        assert!(disk.lock(&path).is_ok());
        drop(of_a_child);
    }

    #[test]
    fn what_need_not_last_goes_with_the_last_handle_of_its_disk() {
        use std::os::unix::fs::MetadataExt;
        let name = format!("duramen-test-{}", uuid::Uuid::new_v4().simple());
        let (disk, path) = RealDisk::passing(&name).unwrap();
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o700);
        assert_eq!(RealDisk::passing(&name).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        let disk: Arc<dyn Disk> = Arc::new(disk);
        let other = Arc::clone(&disk);
        let file = disk.open(&path.join("f"), OpenMode::CreateNew).unwrap();
        file.write_at(&[IoSlice::new(b"data")], 0).unwrap();
        file.sync_data().unwrap();
        disk.sync_dir(&path).unwrap();
        drop(disk);
        assert!(path.exists(), "someone still uses it");
        drop(other);
        assert!(!path.exists());
    }

    #[test]
    fn a_lock_is_held_until_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".lock");
        let held = RealDisk::default().lock(&path).unwrap();
        assert_eq!(RealDisk::default().lock(&path).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(held);
        RealDisk::default().lock(&path).unwrap();
    }

    #[test]
    fn a_listing_is_sorted_and_tells_directories() {
        let dir = tempfile::tempdir().unwrap();
        RealDisk::default().create_dir_all(&dir.path().join("b/c")).unwrap();
        let file = RealDisk::default().open(&dir.path().join("a"), OpenMode::Create).unwrap();
        file.set_len(10).unwrap();
        let listed = RealDisk::default().list(dir.path()).unwrap();
        let seen: Vec<_> = listed.iter().map(|e| (e.name.as_str(), e.is_dir, e.len)).collect();
        assert_eq!(seen, [("a", false, 10), ("b", true, 0)]);
        assert!(listed[0].modified_ms.unwrap() > 1_700_000_000_000);
        assert_eq!(RealDisk::default().read(&dir.path().join("a"), 10).unwrap(), [0; 10]);
        let too_large = RealDisk::default().read(&dir.path().join("a"), 9).unwrap_err();
        assert_eq!(too_large.kind(), io::ErrorKind::FileTooLarge);
    }
}
