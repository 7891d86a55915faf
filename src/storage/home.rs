//! What all logs of one directory share: the disk, the open files, the queues of its two threads,
//! and whether the directory still can be trusted.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use duramen_protocol::ids::TopicPartition;

use crate::env::{DiskLock, Env};

use super::background::JobQueue;
use super::checkpoints::Checkpoints;
use super::compaction::CleanMeter;
use super::error::StorageError;
use super::figures::SyncMeter;
use super::file_cache::FileCache;
use super::flusher::FlushQueue;
use super::log_state::LogState;
use super::segment::is_full;
use super::space::{SpaceGuard, SpaceMarks};

/// Called with a partition and its durable offset each time that rises.
pub type DurableHook = Arc<dyn Fn(&TopicPartition, i64) + Send + Sync>;
/// Called once, with the directory and the reason, when a directory goes offline.
pub type OfflineHook = Arc<dyn Fn(&Path, &str) + Send + Sync>;

/// Who is told what happens on the directory's own threads. The calls must be quick.
#[derive(Clone, Default)]
pub struct Hooks {
    /// A sync has made more of a log durable.
    pub durable: Option<DurableHook>,
    /// The directory failed: nothing in it will ever be durable again in this process.
    pub offline: Option<OfflineHook>,
}

impl fmt::Debug for Hooks {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Hooks").finish_non_exhaustive()
    }
}

/// Bounds of a directory.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Closed segments kept open.
    pub(super) open_segments: usize,
    /// How many of the last written bytes count as being in memory.
    pub(super) hot_bytes: u64,
    /// Bytes of the disk that topics leave alone.
    pub(super) space: SpaceMarks,
}

/// The shared part of a log directory.
#[derive(Debug)]
pub(super) struct Home {
    /// Held until the last log is gone too: a log that outlives its directory still may write, and
    /// must not do so under the eyes of the next owner.
    _lock: DiskLock,
    pub(super) env: Env,
    pub(super) path: PathBuf,
    pub(super) files: FileCache,
    pub(super) hooks: Hooks,
    pub(super) checkpoints: Checkpoints,
    pub(super) space: SpaceGuard,
    pub(super) flush_queue: FlushQueue,
    pub(super) syncs: SyncMeter,
    pub(super) jobs: JobQueue,
    pub(super) cleaning: CleanMeter,
    /// Bytes appended to any log here since the start: what was written lately is in memory.
    pub(super) written: AtomicU64,
    /// How many of the last written bytes count as being in memory.
    pub(super) hot_bytes: u64,
    /// Directories of logs that were made here, and how many of them will outlast a crash.
    names_made: AtomicU64,
    names_synced: AtomicU64,
    /// The first error.
    failed: OnceLock<Arc<str>>,
    logs: Mutex<BTreeMap<TopicPartition, Arc<LogState>>>,
}

impl Home {
    /// `lock` says that the directory at `path` is ours.
    pub(super) fn new(
        env: Env,
        (path, lock): (PathBuf, DiskLock),
        hooks: Hooks,
        checkpoints: Checkpoints,
        limits: Limits,
    ) -> Self {
        Self {
            _lock: lock,
            checkpoints,
            space: SpaceGuard::new(limits.space),
            files: FileCache::new(Arc::clone(&env.disk), limits.open_segments),
            env,
            path,
            hooks,
            flush_queue: FlushQueue::default(),
            syncs: SyncMeter::default(),
            jobs: JobQueue::default(),
            cleaning: CleanMeter::default(),
            written: AtomicU64::new(0),
            hot_bytes: limits.hot_bytes,
            names_made: AtomicU64::new(0),
            names_synced: AtomicU64::new(0),
            failed: OnceLock::new(),
            logs: Mutex::default(),
        }
    }

    /// The directory of a log was made; nothing in it lasts before [`Home::sync_names`].
    pub(super) fn name_made(&self) {
        self.names_made.fetch_add(1, Ordering::AcqRel);
    }

    /// Makes the directories of all logs last: one sync for however many were made since the last.
    pub(super) fn sync_names(&self) -> io::Result<()> {
        let made = self.names_made.load(Ordering::Acquire);
        if self.names_synced.load(Ordering::Acquire) < made {
            self.env.disk.sync_dir(&self.path)?;
            self.names_synced.fetch_max(made, Ordering::AcqRel);
        }
        Ok(())
    }

    /// Refuses when the directory is offline.
    pub(super) fn check(&self) -> Result<(), StorageError> {
        match self.failed.get() {
            None => Ok(()),
            Some(reason) => Err(self.offline(reason)),
        }
    }

    pub(super) fn is_offline(&self) -> bool {
        self.failed.get().is_some()
    }

    /// Why the directory is offline.
    pub(super) fn failure(&self) -> Option<Arc<str>> {
        self.failed.get().cloned()
    }

    /// Judges an I/O error: a full disk is a state that passes, anything else takes the directory
    /// offline, because nobody can tell what the disk still holds (a second sync that succeeds
    /// proves nothing).
    pub(super) fn judge(&self, doing: &str, path: &Path, error: &io::Error) -> StorageError {
        if is_full(error) {
            return StorageError::NoSpace { path: self.path.clone() };
        }
        self.fail(doing, path, error)
    }

    /// Takes the directory offline for an error that even a full disk does not excuse: a sync
    /// that failed has lost bytes already written.
    pub(super) fn fail(&self, doing: &str, path: &Path, error: &io::Error) -> StorageError {
        let reason: Arc<str> = format!("can't {doing} {}: {error}", path.display()).into();
        let mut first = false;
        let reason = self.failed.get_or_init(|| {
            first = true;
            reason
        });
        if first {
            tracing::error!(dir = %self.path.display(), %reason, "log directory is offline");
            if let Some(hook) = &self.hooks.offline {
                hook(&self.path, reason);
            }
        }
        self.offline(reason)
    }

    fn offline(&self, reason: &Arc<str>) -> StorageError {
        StorageError::Offline { path: self.path.clone(), reason: Arc::clone(reason) }
    }

    /// Notes how many bytes were appended. Returns the bytes appended here ever.
    pub(super) fn note_written(&self, bytes: u64) -> u64 {
        self.written.fetch_add(bytes, Ordering::Relaxed) + bytes
    }

    pub(super) fn logs(&self) -> MutexGuard<'_, BTreeMap<TopicPartition, Arc<LogState>>> {
        self.logs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
