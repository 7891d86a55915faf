//! What of a log is known outside its lock: its offsets, and which of its files are not yet synced.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use duramen_protocol::ids::{TopicId, TopicPartition};

use crate::env::{Disk, DiskFile};

use super::atomic_file;
use super::damage::Damage;
use super::flusher::FlushTicket;
use super::inspect::Finding;
use super::partition_metadata;

/// The shared part of a log.
#[derive(Debug)]
pub(super) struct LogState {
    pub(super) topic_partition: TopicPartition,
    pub(super) topic_id: TopicId,
    pub(super) dir: PathBuf,
    /// First offset not yet written. Stored after the bytes are.
    pub(super) log_end: AtomicI64,
    pub(super) log_start: AtomicI64,
    pub(super) high_watermark: AtomicI64,
    /// Everything below was compacted.
    pub(super) cleaned: AtomicI64,
    /// Compaction met something that it can't read.
    pub(super) uncleanable: AtomicBool,
    pub(super) size_bytes: AtomicU64,
    /// Everything below is on the disk.
    durable: AtomicI64,
    /// Its place on the way to the disk.
    pub(super) flush_ticket: FlushTicket,
    /// Grows before files of the log go or are cut.
    files_gone: AtomicU64,
    /// Deleted or closed: its files may vanish under the flusher.
    pub(super) closed: AtomicBool,
    /// Wall time in ms of the first append that no flush has begun to cover; `i64::MAX` for none.
    pub(super) unflushed_since_ms: AtomicI64,
    /// `flush.ms`.
    pub(super) flush_ms: AtomicI64,
    /// Batches appended since the last sync began.
    pub(super) unsynced_batches: AtomicU64,
    /// Held while the log is synced: of two syncs of a file at a time the kernel tells one that a write
    /// failed, and the other that all is well. How the one that failed did.
    syncing: Mutex<Option<io::ErrorKind>>,
    dirty: Mutex<Dirty>,
    derived: Mutex<Derived>,
    /// What the background found out about closed segments.
    findings: Mutex<Vec<Finding>>,
    /// Damage that readers met, with [`LogState::files_gone`] as it was then.
    damage: Mutex<Vec<(u64, Damage)>>,
    /// Held while a derived file is written, so that an older one never replaces a newer one.
    /// Taken before `derived`, which is never held across a write.
    writing: Mutex<()>,
}

/// Files of the log that hold unsynced bytes.
#[derive(Debug, Default)]
struct Dirty {
    /// Grows when the log is cut: a sync that began before says nothing of what came after.
    generation: u64,
    /// Segments by base offset, oldest first; the last one is active and always here.
    files: Vec<(i64, Arc<dyn DiskFile>)>,
    /// Changes of names in the directory: made, and made to last.
    names: u64,
    names_synced: u64,
}

/// Files that can be rebuilt from the log, which must happen from the lowest of these offsets on.
#[derive(Debug)]
struct Derived {
    /// Base offsets of closed segments whose indexes are not yet synced.
    unfinished: Vec<i64>,
    /// First offset of which the epoch file on disk may know too little.
    epochs_floor: i64,
    /// Version of the newest epoch history, and of the newest one written.
    epochs_version: u64,
    epochs_written: u64,
    /// Grows when the log is cut: producer snapshots taken before are void.
    generation: u64,
}

/// Where a new or recovered log stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct StartAt {
    pub(super) log_start: i64,
    pub(super) log_end: i64,
    pub(super) durable: i64,
    pub(super) high_watermark: i64,
    pub(super) cleaned: i64,
}

impl LogState {
    pub(super) fn new(
        topic_partition: TopicPartition,
        topic_id: TopicId,
        dir: PathBuf,
        at: StartAt,
    ) -> Self {
        Self {
            topic_partition,
            topic_id,
            dir,
            log_end: AtomicI64::new(at.log_end),
            log_start: AtomicI64::new(at.log_start),
            high_watermark: AtomicI64::new(at.high_watermark),
            cleaned: AtomicI64::new(at.cleaned),
            uncleanable: AtomicBool::new(false),
            size_bytes: AtomicU64::new(0),
            files_gone: AtomicU64::new(0),
            durable: AtomicI64::new(at.durable),
            flush_ticket: FlushTicket::default(),
            closed: AtomicBool::new(false),
            unflushed_since_ms: AtomicI64::new(i64::MAX),
            flush_ms: AtomicI64::new(i64::MAX),
            unsynced_batches: AtomicU64::new(0),
            syncing: Mutex::default(),
            dirty: Mutex::default(),
            derived: Mutex::new(Derived {
                unfinished: Vec::new(),
                epochs_floor: i64::MAX,
                epochs_version: 0,
                epochs_written: 0,
                generation: 0,
            }),
            findings: Mutex::default(),
            damage: Mutex::default(),
            writing: Mutex::default(),
        }
    }

    /// Everything below is on the disk.
    pub(super) fn durable(&self) -> i64 {
        self.durable.load(Ordering::Acquire)
    }

    /// From where on a crash makes recovery look at the log again: what lies below is on the disk,
    /// and so are the derived files that describe it.
    pub(super) fn recovery_point(&self) -> i64 {
        let derived = self.derived();
        let unfinished = derived.unfinished.iter().copied().min().unwrap_or(i64::MAX);
        self.durable().min(unfinished).min(derived.epochs_floor)
    }

    /// A new active segment: call before anything is written to it.
    pub(super) fn add_active(&self, base: i64, file: Arc<dyn DiskFile>) {
        let mut dirty = self.dirty();
        dirty.files.push((base, file));
        dirty.names += 1;
    }

    /// Segments below `base` are gone: nothing of them needs a sync any more.
    pub(super) fn forget_below(&self, base: i64) {
        self.dirty().files.retain(|(file_base, _)| *file_base >= base);
        self.derived().unfinished.retain(|unfinished| *unfinished >= base);
    }

    /// Syncs all that has been written until now. Returns the durable offset after it.
    ///
    /// After an error nothing is known, and every further call fails.
    pub(super) fn sync(&self, disk: &dyn Disk) -> io::Result<i64> {
        let mut failed = self.syncing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kind) = *failed {
            return Err(kind.into());
        }
        self.sync_alone(disk).inspect_err(|error| *failed = Some(error.kind()))
    }

    fn sync_alone(&self, disk: &dyn Disk) -> io::Result<i64> {
        self.unflushed_since_ms.store(i64::MAX, Ordering::Relaxed);
        let (end, generation, names, names_synced, files) = {
            let dirty = self.dirty();
            // Whatever lies below the end is in one of the files; and a cut changes both at once.
            let end = self.log_end.load(Ordering::Acquire);
            (end, dirty.generation, dirty.names, dirty.names_synced, dirty.files.clone())
        };
        if end <= self.durable() {
            return Ok(self.durable());
        }
        if names != names_synced {
            if names_synced == 0 {
                // Maybe a new log, whose first sync this is: its making did not wait for the disk.
                let metadata = self.dir.join(partition_metadata::FILE_NAME);
                atomic_file::sync_if_there(disk, &metadata)?;
            }
            disk.sync_dir(&self.dir)?;
        }
        for (_, file) in &files {
            file.sync_data()?;
        }
        let mut dirty = self.dirty();
        if dirty.generation == generation {
            dirty.names_synced = dirty.names_synced.max(names);
            let active = files.last().map_or(i64::MIN, |(base, _)| *base);
            dirty.files.retain(|(base, _)| *base >= active);
            self.durable.fetch_max(end, Ordering::AcqRel);
        }
        Ok(self.durable())
    }

    /// The log is about to be cut to `end`: what a running sync covers no longer counts, and what
    /// is derived from the part to be cut off is void.
    pub(super) fn begin_cut(&self, end: i64) {
        self.before_files_go();
        // A snapshot that is being written comes before the cut, which then deletes it.
        let _writing = self.writing();
        let mut dirty = self.dirty();
        dirty.generation += 1;
        for offset in [&self.durable, &self.log_start, &self.high_watermark, &self.cleaned] {
            offset.fetch_min(end, Ordering::AcqRel);
        }
        drop(dirty);
        let mut derived = self.derived();
        derived.generation += 1;
        derived.unfinished.retain(|base| *base < end);
    }

    /// The log now ends at `end`, in the segment at `base` whose file is `active`; below `durable`
    /// everything is on the disk.
    pub(super) fn end_cut(&self, end: i64, durable: i64, (base, file): (i64, Arc<dyn DiskFile>)) {
        let mut dirty = self.dirty();
        dirty.generation += 1;
        dirty.names += 1;
        dirty.files.retain(|(dirty_base, _)| *dirty_base < base);
        dirty.files.push((base, file));
        self.durable.store(durable, Ordering::Release);
        self.log_end.store(end, Ordering::Release);
    }

    /// A segment was closed; until [`LogState::finished`] recovery would begin at its base.
    pub(super) fn unfinished(&self, base: i64) {
        self.derived().unfinished.push(base);
    }

    /// The indexes of a closed segment are on the disk.
    pub(super) fn finished(&self, base: i64) {
        self.derived().unfinished.retain(|unfinished| *unfinished != base);
    }

    /// The epoch history changed from `floor` on. Returns the version to write.
    pub(super) fn epochs_changed(&self, floor: i64) -> u64 {
        let mut derived = self.derived();
        derived.epochs_floor = derived.epochs_floor.min(floor);
        derived.epochs_version += 1;
        derived.epochs_version
    }

    /// Whether the epoch file on the disk is older than the history.
    pub(super) fn epochs_are_unwritten(&self) -> bool {
        let derived = self.derived();
        derived.epochs_written < derived.epochs_version
    }

    /// Writes a version of the epoch file, unless a later one is there already.
    pub(super) fn write_epochs(
        &self,
        disk: &dyn Disk,
        path: &Path,
        (version, bytes): (u64, &[u8]),
    ) -> io::Result<()> {
        let _writing = self.writing();
        if version <= self.derived().epochs_written {
            return Ok(());
        }
        atomic_file::write(disk, path, bytes)?;
        let mut derived = self.derived();
        derived.epochs_written = version;
        if version == derived.epochs_version {
            derived.epochs_floor = i64::MAX;
        }
        Ok(())
    }

    /// Counts the cuts of this log.
    pub(super) fn generation(&self) -> u64 {
        self.derived().generation
    }

    /// Writes a producer snapshot, unless the log has been cut since `generation`.
    pub(super) fn write_snapshot(
        &self,
        disk: &dyn Disk,
        path: &Path,
        (generation, bytes): (u64, &[u8]),
    ) -> io::Result<()> {
        let _writing = self.writing();
        if self.generation() != generation {
            return Ok(());
        }
        atomic_file::write(disk, path, bytes)
    }

    fn dirty(&self) -> MutexGuard<'_, Dirty> {
        self.dirty.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The background has looked at a closed segment.
    pub(super) fn add_finding(&self, finding: Finding) {
        self.findings.lock().unwrap_or_else(PoisonError::into_inner).push(finding);
    }

    /// What the background has found since the last call.
    pub(super) fn take_findings(&self) -> Vec<Finding> {
        std::mem::take(&mut *self.findings.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Files of the log are about to go or to be cut.
    pub(super) fn before_files_go(&self) {
        self.files_gone.fetch_add(1, Ordering::AcqRel);
    }

    /// Grows before files of the log go or are cut.
    pub(super) fn files_gone(&self) -> u64 {
        self.files_gone.load(Ordering::Acquire)
    }

    /// A reader has met damage in the files that there were when so many had gone.
    pub(super) fn add_damage(&self, damage: Damage, files_gone: u64) {
        let mut met = self.damage.lock().unwrap_or_else(PoisonError::into_inner);
        if !met.contains(&(files_gone, damage)) {
            let Damage { first, next, segment, from, to } = damage;
            let log = &self.topic_partition;
            tracing::error!(%log, first, next, segment, from, to, "found damage");
            met.push((files_gone, damage));
        }
    }

    /// The damage that readers have met since the last call. Where files have gone meanwhile others may
    /// stand in their place; what is still there is met again.
    pub(super) fn take_damage(&self) -> Vec<Damage> {
        let met = std::mem::take(&mut *self.damage.lock().unwrap_or_else(PoisonError::into_inner));
        let now = self.files_gone();
        met.into_iter().filter(|(then, _)| *then == now).map(|(_, damage)| damage).collect()
    }

    fn writing(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn derived(&self) -> MutexGuard<'_, Derived> {
        self.derived.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;
    use crate::env::Map;
    use crate::env::sim::SimDisk;

    /// A file whose first sync waits to be let go, and fails; of its error no later one is told.
    #[derive(Debug)]
    struct FailsOnce {
        entered: Sender<()>,
        go: Mutex<Option<Receiver<()>>>,
    }

    impl DiskFile for FailsOnce {
        fn len(&self) -> io::Result<u64> {
            Ok(0)
        }
        fn read_at(&self, _: &mut [u8], _: u64) -> io::Result<usize> {
            Ok(0)
        }
        fn write_at(&self, _: &[IoSlice<'_>], _: u64) -> io::Result<()> {
            Ok(())
        }
        fn reserve(&self, _: u64) -> io::Result<()> {
            Ok(())
        }
        fn sync_data(&self) -> io::Result<()> {
            let Some(go) = self.go.lock().unwrap().take() else { return Ok(()) };
            self.entered.send(()).unwrap();
            go.recv().unwrap();
            Err(io::Error::other("the device failed"))
        }
        fn set_len(&self, _: u64) -> io::Result<()> {
            Ok(())
        }
        fn map(self: Arc<Self>, window: u64) -> io::Result<Map> {
            Ok(Map::copying(self, window))
        }
    }

    /// A closed segment is synced by the background, while the log is by a flusher.
    #[test]
    fn a_sync_does_not_hide_from_another_that_it_failed() {
        let disk = SimDisk::new();
        disk.create_dir_all(Path::new("/d/t-0")).unwrap();
        let at = StartAt { log_start: 0, log_end: 5, durable: 0, high_watermark: 0, cleaned: 0 };
        let key = TopicPartition::new("t", 0);
        let state = LogState::new(key, TopicId::from_u128(7), PathBuf::from("/d/t-0"), at);
        let (entered, is_in) = channel();
        let (let_go, go) = channel();
        state.add_active(0, Arc::new(FailsOnce { entered, go: Mutex::new(Some(go)) }));
        let outcomes = std::thread::scope(|scope| {
            let first = scope.spawn(|| state.sync(&disk).is_err());
            is_in.recv().unwrap();
            let (started, has_started) = channel();
            let (state, disk) = (&state, &disk);
            let second = scope.spawn(move || {
                started.send(()).unwrap();
                state.sync(disk).is_err()
            });
            has_started.recv().unwrap();
            let_go.send(()).unwrap();
            [first.join().unwrap(), second.join().unwrap(), state.sync(disk).is_err()]
        });
        assert_eq!((outcomes, state.durable()), ([true; 3], 0));
    }
}
