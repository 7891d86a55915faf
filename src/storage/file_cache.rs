//! Open files and maps of segments: opened when first needed, closed when too many are open.
//!
//! The kernel allows 65,530 maps a process, and beyond that even threads can't start; so the
//! least recently used ones go long before. Slices that are on their way to a socket keep their map
//! alive by themselves.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;

use crate::env::{Disk, DiskFile, Map, MapWatch, OpenMode, Populate};

/// All open segment files of a log directory.
#[derive(Debug)]
pub(super) struct FileCache {
    disk: Arc<dyn Disk>,
    cap: usize,
    clock: AtomicU64,
    open: Mutex<Vec<Weak<SegmentFile>>>,
}

/// The `.log` file of one segment: its handle and its map, when they are open.
#[derive(Debug)]
pub(super) struct SegmentFile {
    path: PathBuf,
    /// The active segment keeps its handle.
    pinned: AtomicBool,
    used: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    file: Option<Arc<dyn DiskFile>>,
    map: Option<Map>,
    /// Maps given up here that slices may still keep alive.
    left: Vec<MapWatch>,
    registered: bool,
    /// Another file has the name now.
    retired: bool,
}

impl FileCache {
    /// Keeps at most `cap` segments open, besides the pinned ones.
    pub(super) fn new(disk: Arc<dyn Disk>, cap: usize) -> Self {
        Self { disk, cap: cap.max(8), clock: AtomicU64::new(1), open: Mutex::new(Vec::new()) }
    }

    /// The handle of `segment`, opened for reading and writing.
    pub(super) fn file(&self, segment: &Arc<SegmentFile>) -> io::Result<Arc<dyn DiskFile>> {
        let (file, fresh) = {
            let mut state = segment.lock();
            let file = self.handle(segment, &mut state)?;
            // A pinned file can't be closed: it only counts once it is mapped.
            let pinned = segment.pinned.load(Ordering::Relaxed);
            (file, !pinned && !std::mem::replace(&mut state.registered, true))
        };
        self.touch(segment, fresh);
        Ok(file)
    }

    /// The published bytes `[start, end)` of `segment`, from a map of at least `window` bytes.
    pub(super) fn slice(
        &self,
        segment: &Arc<SegmentFile>,
        (start, end): (usize, usize),
        window: u64,
    ) -> io::Result<Bytes> {
        self.with_map(segment, end, window, |map| map.slice(start, end))?
    }

    /// A handle that brings `[start, end)` of `segment` into memory.
    pub(super) fn populate(
        &self,
        segment: &Arc<SegmentFile>,
        (start, end): (usize, usize),
        window: u64,
    ) -> io::Result<Populate> {
        self.with_map(segment, end, window, |map| map.populate(start, end))
    }

    fn with_map<T>(
        &self,
        segment: &Arc<SegmentFile>,
        end: usize,
        window: u64,
        take: impl FnOnce(&Map) -> T,
    ) -> io::Result<T> {
        let mut state = segment.lock();
        if let Some(map) = state.map.as_ref().filter(|map| map.window() >= end) {
            let taken = take(map);
            drop(state);
            self.touch(segment, false);
            return Ok(taken);
        }
        let file = self.handle(segment, &mut state)?;
        let map = match Arc::clone(&file).map(window.max(end as u64)) {
            Ok(map) => map,
            // Out of maps or address space: that is no fault of the disk, a copy will do.
            Err(error) if error.kind() == io::ErrorKind::OutOfMemory => {
                return Ok(take(&Map::copying(file, window.max(end as u64))));
            }
            Err(error) => return Err(error),
        };
        let taken = take(&map);
        state.leave_map();
        state.map = Some(map);
        let fresh = !std::mem::replace(&mut state.registered, true);
        drop(state);
        self.touch(segment, fresh);
        Ok(taken)
    }

    fn handle(&self, segment: &SegmentFile, state: &mut State) -> io::Result<Arc<dyn DiskFile>> {
        if let Some(file) = &state.file {
            return Ok(Arc::clone(file));
        }
        if state.retired {
            return Err(io::ErrorKind::NotFound.into());
        }
        let file = self.disk.open(&segment.path, OpenMode::Write)?;
        state.file = Some(Arc::clone(&file));
        Ok(file)
    }

    fn touch(&self, segment: &Arc<SegmentFile>, fresh: bool) {
        segment.used.store(self.clock.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        if !fresh {
            return;
        }
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.push(Arc::downgrade(segment));
        if open.len() <= self.cap {
            return;
        }
        let mut live: Vec<_> = open.drain(..).filter_map(|weak| weak.upgrade()).collect();
        // An eighth at a time, so that the sort is paid for by many opens.
        live.sort_by_key(|segment| segment.used.load(Ordering::Relaxed));
        let spare = live.len().saturating_sub(self.cap - self.cap / 8);
        let evicted: Vec<_> = live.drain(..spare).collect();
        *open = live.iter().map(Arc::downgrade).collect();
        drop(open);
        for segment in evicted {
            segment.evict();
        }
    }

    /// How many segments are open now, and how many may be.
    pub(super) fn open_count(&self) -> (usize, usize) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        (open.iter().filter(|weak| weak.strong_count() > 0).count(), self.cap)
    }
}

impl SegmentFile {
    /// A segment file that is opened when first needed.
    pub(super) fn closed(path: PathBuf) -> Arc<Self> {
        Self::new(path, None)
    }

    /// The file of an active segment: it stays open.
    pub(super) fn active(path: PathBuf, file: Arc<dyn DiskFile>) -> Arc<Self> {
        Self::new(path, Some(file))
    }

    fn new(path: PathBuf, file: Option<Arc<dyn DiskFile>>) -> Arc<Self> {
        let pinned = AtomicBool::new(file.is_some());
        let state = Mutex::new(State { file, ..State::default() });
        Arc::new(Self { path, pinned, used: AtomicU64::new(0), state })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The segment is no longer active: its handle may be closed when others need the room.
    pub(super) fn unpin(self: &Arc<Self>, cache: &FileCache) {
        self.pinned.store(false, Ordering::Relaxed);
        let fresh = !std::mem::replace(&mut self.lock().registered, true);
        cache.touch(self, fresh);
    }

    /// Lets go of the map. Returns whether nobody else can see the bytes either: only then may
    /// the file be cut.
    pub(super) fn release_map(&self) -> bool {
        let mut state = self.lock();
        state.leave_map();
        state.left.iter().all(|watch| !watch.is_alive())
    }

    /// Another file gets this one's name: who has not opened it by now never will.
    pub(super) fn retire(&self) {
        self.lock().retired = true;
    }

    /// Whether another file has the name now.
    pub(super) fn is_retired(&self) -> bool {
        self.lock().retired
    }

    fn evict(&self) {
        let mut state = self.lock();
        state.registered = false;
        state.leave_map();
        if !self.pinned.load(Ordering::Relaxed) {
            state.file = None;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn leave_map(&mut self) {
        if let Some(map) = self.map.take() {
            self.left.retain(MapWatch::is_alive);
            self.left.push(map.watch());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;

    use super::*;
    use crate::env::Env;

    #[test]
    fn few_files_stay_open_however_many_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Env::real().disk;
        let cache = FileCache::new(Arc::clone(&disk), 16);
        let segments: Vec<_> = (0..100_u8)
            .map(|n| {
                let path = dir.path().join(n.to_string());
                let file = disk.open(&path, OpenMode::Create).unwrap();
                file.write_at(&[IoSlice::new(&[n; 10])], 0).unwrap();
                SegmentFile::closed(path)
            })
            .collect();
        let held = cache.slice(&segments[0], (0, 10), 10).unwrap();
        for round in 0..3 {
            for (n, segment) in segments.iter().enumerate() {
                let bytes = cache.slice(segment, (2, 10), 10).unwrap();
                assert_eq!(bytes[..], [n as u8; 8], "round {round}");
                assert!(cache.open_count().0 <= 17);
            }
        }
        assert_eq!(held[..], [0; 10]);
        assert!(!segments[0].release_map(), "someone still looks at it");
        drop(held);
        assert!(segments[0].release_map());
    }

    #[test]
    fn a_file_that_grows_is_mapped_again() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Env::real().disk;
        let cache = FileCache::new(Arc::clone(&disk), 16);
        let path = dir.path().join("f");
        let file = disk.open(&path, OpenMode::Create).unwrap();
        let segment = SegmentFile::active(path, Arc::clone(&file));
        let mut all = Vec::new();
        for n in 0..50_u8 {
            file.write_at(&[IoSlice::new(&[n; 1000])], all.len() as u64).unwrap();
            all.extend_from_slice(&[n; 1000]);
            let bytes = cache.slice(&segment, (0, all.len()), 4096).unwrap();
            assert_eq!(bytes[..], all[..]);
        }
    }
}
