//! From what lies on the disk to a log that can be trusted: the only way to one.
//!
//! After a clean shutdown nothing is scanned. After a crash the scan begins at the recovery point,
//! below which everything is on the disk: a torn tail is cut, what can be derived is derived again.
//! Damage below the recovery point is not a torn tail: it stays where it is, and is told.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use duramen_protocol::ids::{TopicId, TopicPartition};

use super::atomic_file;
use super::damage::Damage;
use super::dir::LogDir;
use super::error::StorageError;
use super::home::Home;
use super::log::Log;
use super::log_config::LogConfig;
use super::partition_metadata;
use super::recovery_load::Loader;
use super::walk::Fault;

/// From so many logs on one sync of the file system comes before recovery: two for each log would be
/// the most of a start. For a few it would only wait for what else is dirty there.
const SYNC_ALL_FROM: usize = if cfg!(test) { 2 } else { 64 };

/// A log found on the disk. What is in it is not known before [`UnrecoveredLog::recover`].
#[derive(Debug)]
pub struct UnrecoveredLog {
    pub(super) home: Arc<Home>,
    pub(super) was_clean: bool,
    /// All that lies there was synced when this process began, contents and names.
    pub(super) is_synced: bool,
    pub(super) topic_partition: TopicPartition,
    pub(super) topic_id: Option<TopicId>,
    pub(super) dir: PathBuf,
}

/// A log, and what it took to get it.
#[derive(Debug)]
pub struct Recovered {
    /// The log, ready to use.
    pub log: Log,
    /// What was done.
    pub report: RecoveryReport,
}

/// What recovery did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// The directory had been closed properly.
    pub clean: bool,
    /// Bytes whose checksum was computed.
    pub scanned_bytes: u64,
    /// Files that were derived again: indexes, epochs, producers.
    pub rebuilt: Vec<PathBuf>,
    /// What was cut off at the end.
    pub cut: Option<Cut>,
    /// Damage that the log did not know of before.
    pub damage: Vec<Damage>,
}

/// A tail that was cut off: bytes that no sync had covered when the crash came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// The log now ends here.
    pub offset: i64,
    /// Bytes cut, in all segments.
    pub bytes: u64,
    /// Whether they were only reserved space, never written.
    pub zeros: bool,
}

impl LogDir {
    /// The logs that lie in the directory. Each must be recovered before it can be used. Remains
    /// of deleted logs go in the background.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn unrecovered(&self) -> Result<Vec<UnrecoveredLog>, StorageError> {
        self.home.check()?;
        let home = &self.home;
        let judge = |error: io::Error| home.judge("list", &home.path, &error);
        let mut logs = Vec::new();
        for entry in home.env.disk.list(&home.path).map_err(judge)? {
            if entry.is_dir && entry.name.ends_with(super::lifecycle::DELETED) {
                home.jobs.push(super::background::Job::RemoveTree(home.path.join(&entry.name)));
                continue;
            }
            let Some(topic_partition) = super::dir::partition_of(&entry) else { continue };
            let dir = home.path.join(&entry.name);
            logs.push(UnrecoveredLog {
                topic_id: read_topic_id(home, &dir).map_err(judge)?,
                home: Arc::clone(home),
                was_clean: self.was_clean(),
                is_synced: self.was_clean(),
                topic_partition,
                dir,
            });
        }
        if !self.was_clean() && logs.len() >= SYNC_ALL_FROM && self.sync_all()? {
            logs.iter_mut().for_each(|log| log.is_synced = true);
        }
        self.home.checkpoints.found(logs.len());
        Ok(logs)
    }

    /// Makes all that lies in the directory last; false where the disk can't do that at once.
    fn sync_all(&self) -> Result<bool, StorageError> {
        match self.home.env.disk.sync_all(&self.home.path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(false),
            Err(error) => Err(self.home.fail("sync", &self.home.path, &error)),
        }
    }

    /// Recovers all of `logs`, on `threads` threads, with the topic id and settings that `decide`
    /// gives; those for which it gives none stay as they are and come back second.
    ///
    /// # Errors
    /// The first [`StorageError`].
    pub fn recover_all(
        logs: Vec<UnrecoveredLog>,
        threads: usize,
        decide: impl Fn(&UnrecoveredLog) -> Option<(TopicId, LogConfig)> + Sync,
    ) -> Result<(Vec<Recovered>, Vec<UnrecoveredLog>), StorageError> {
        let queue = std::sync::Mutex::new(logs);
        let next = || queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner).pop();
        let work = || {
            let (mut recovered, mut left) = (Vec::new(), Vec::new());
            while let Some(log) = next() {
                match decide(&log) {
                    Some((topic_id, config)) => recovered.push(log.recover(topic_id, config)?),
                    None => left.push(log),
                }
            }
            Ok((recovered, left))
        };
        let results = std::thread::scope(|scope| {
            let others: Vec<_> = (1..threads.max(1)).map(|_| scope.spawn(work)).collect();
            let mut results = vec![work()];
            // A thread that panicked took its logs along; the others are still good.
            results.extend(others.into_iter().filter_map(|thread| thread.join().ok()));
            results
        });
        let (mut recovered, mut left) = (Vec::new(), Vec::new());
        for result in results {
            let (some, none): (Vec<_>, Vec<_>) = result?;
            recovered.extend(some);
            left.extend(none);
        }
        Ok((recovered, left))
    }
}

fn read_topic_id(home: &Home, dir: &std::path::Path) -> io::Result<Option<TopicId>> {
    let bytes = atomic_file::read(&*home.env.disk, &dir.join(partition_metadata::FILE_NAME))?;
    Ok(bytes.and_then(|bytes| partition_metadata::decode(&bytes).ok()))
}

impl UnrecoveredLog {
    /// The partition, by the name of the directory.
    pub fn topic_partition(&self) -> &TopicPartition {
        &self.topic_partition
    }

    /// The incarnation of the topic, if the directory tells it.
    pub fn topic_id(&self) -> Option<TopicId> {
        self.topic_id
    }

    /// Makes sure of what is in the log. Reads what was not synced when the last process ended,
    /// and syncs it: everything in the log is durable afterwards.
    ///
    /// # Errors
    /// [`StorageError`]. The log can be recovered again after the next start.
    pub fn recover(self, topic_id: TopicId, config: LogConfig) -> Result<Recovered, StorageError> {
        self.home.check()?;
        let checkpointed = self.home.checkpoints.of(&self.topic_partition);
        let loaded = Loader::new(&self, topic_id, config, checkpointed).load();
        let recovered = loaded.map_err(|error| self.home.judge("recover", &self.dir, &error))?;
        recovered.log.register();
        self.home.checkpoints.loaded();
        tell(&recovered);
        Ok(recovered)
    }
}

fn tell(recovered: &Recovered) {
    let (log, report) = (recovered.log.topic_partition(), &recovered.report);
    for damage in &report.damage {
        let Damage { first, next, segment, from, to } = *damage;
        tracing::error!(
            %log, first, next, segment, from, to,
            "records that were on the disk are lost: offsets from first to below next"
        );
    }
    match report.cut {
        Some(Cut { offset, bytes, zeros: false }) => {
            tracing::warn!(%log, offset, bytes, "cut a tail that was never synced");
        }
        // Of an empty log there is nothing to tell, and a node has many.
        _ if !report.clean && recovered.log.log_end_offset() > 0 => {
            let scanned = report.scanned_bytes;
            tracing::info!(%log, end = recovered.log.log_end_offset(), scanned, "recovered");
        }
        _ => {}
    }
}

impl Cut {
    pub(super) fn new(offset: i64, bytes: u64, fault: Option<Fault>) -> Self {
        Self { offset, bytes, zeros: fault == Some(Fault::Zeros) }
    }
}
