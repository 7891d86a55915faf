//! How a log comes to be and how it ends.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use duramen_protocol::ids::{TopicId, TopicPartition};

use crate::env::OpenMode;

use super::dir::partition_dir;
use super::epochs::EpochHistory;
use super::error::StorageError;
use super::home::Home;
use super::hot::HotMarks;
use super::log::{EPOCHS_FILE, Log, LogHandle};
use super::log_config::LogConfig;
use super::log_state::{LogState, StartAt};
use super::partition_metadata;
use super::producer_state::ProducerStates;
use super::recovery::UnrecoveredLog;
use super::segment::Segment;

/// The end of the name of a deleted log's directory.
pub(super) const DELETED: &str = "-delete";
/// The end of the name of the directory of a log that no topic owns.
const STRAY: &str = "-stray";

impl Log {
    /// Makes the directory and the first segment of a new log. They last from its first sync on:
    /// a crash before loses nothing but an empty log.
    pub(super) fn create(
        home: &Arc<Home>,
        topic_partition: TopicPartition,
        topic_id: TopicId,
        config: LogConfig,
    ) -> Result<Self, StorageError> {
        let disk = &*home.env.disk;
        let dir = partition_dir(&home.path, &topic_partition);
        let metadata = dir.join(partition_metadata::FILE_NAME);
        let judge = |error: io::Error| home.judge("make", &dir, &error);
        if disk.exists(&dir).map_err(judge)? && !disk.list(&dir).map_err(judge)?.is_empty() {
            return Err(StorageError::Exists { path: dir });
        }
        let made = disk.create_dir_all(&dir).and_then(|()| {
            let file = disk.open(&metadata, OpenMode::Truncate)?;
            file.write_at(&[IoSlice::new(&partition_metadata::encode(topic_id))], 0)
        });
        made.map_err(judge)?;
        home.name_made();
        let at = StartAt { log_start: 0, log_end: 0, durable: 0, high_watermark: 0, cleaned: 0 };
        let state = Arc::new(LogState::new(topic_partition, topic_id, dir, at));
        let mut log = Self::new(home, state, config);
        log.start_segment(0)?;
        log.register();
        Ok(log)
    }

    /// A log without segments, for whoever knows them.
    pub(super) fn new(home: &Arc<Home>, state: Arc<LogState>, config: LogConfig) -> Self {
        state.flush_ms.store(config.flush_ms, Ordering::Relaxed);
        let flush_asked_at = state.durable();
        Self {
            home: Arc::clone(home),
            config,
            segments: VecDeque::new(),
            epochs: EpochHistory::new(),
            producers: ProducerStates::starting_at(state.log_end.load(Ordering::Relaxed)),
            hot: HotMarks::default(),
            flush_asked_at,
            bytes_since_snapshot: 0,
            damage: Vec::new(),
            intended_swap: None,
            state,
        }
    }

    /// Makes an active segment at `base`, behind the others.
    pub(super) fn start_segment(&mut self, base: i64) -> Result<(), StorageError> {
        let now_ms = self.home.env.clock.wall_ms();
        let made = Segment::create(&*self.home.env.disk, &self.state.dir, base, now_ms);
        let (mut segment, file) =
            made.map_err(|error| self.home.judge("make a segment in", &self.state.dir, &error))?;
        segment.jitter_ms = self.draw_jitter();
        self.state.add_active(base, file);
        self.segments.push_back(segment);
        Ok(())
    }

    /// Makes the log known to the directory.
    pub(super) fn register(&self) {
        self.publish_size();
        let key = self.topic_partition().clone();
        self.home.logs().insert(key, Arc::clone(&self.state));
    }

    /// Completes and syncs all files, so that the next start need not scan them.
    ///
    /// # Errors
    /// [`StorageError`]; the next start recovers the log then.
    pub fn close(mut self) -> Result<(), StorageError> {
        self.check()?;
        self.take_findings();
        let closed = self.complete();
        closed.map_err(|error| self.home.fail("close", &self.state.dir, &error))?;
        // It stays known to the directory, whose last checkpoint needs its offsets.
        self.state.closed.store(true, Ordering::Release);
        Ok(())
    }

    fn complete(&mut self) -> io::Result<()> {
        if self.log_end_offset() == 0 && self.state.generation() == 0 {
            // Nothing was ever in it: nothing need last.
            return Ok(());
        }
        let home = Arc::clone(&self.home);
        let disk = &*home.env.disk;
        for segment in &mut self.segments {
            if segment.indexes_are_unwritten() {
                segment.complete_indexes(disk)?;
                segment.sync_indexes(disk)?;
            }
        }
        if let Some(active) = self.segments.back_mut() {
            active.trim(&self.home.files)?;
        }
        self.snapshot_now()?;
        if self.state.epochs_are_unwritten() {
            let version = self.state.epochs_changed(i64::MAX);
            let path = self.state.dir.join(EPOCHS_FILE);
            self.state.write_epochs(disk, &path, (version, &self.epochs.encode()))?;
        }
        home.sync_names()?;
        self.state.sync(disk)?;
        disk.sync_dir(&self.state.dir)
    }

    /// Takes the log's directory out of sight, which lasts from the next sync of names on. Returns
    /// what is to be removed then.
    pub(super) fn delete(self) -> Result<PathBuf, StorageError> {
        self.state.before_files_go();
        self.state.closed.store(true, Ordering::Release);
        self.home.logs().remove(self.topic_partition());
        self.home.check()?;
        rename_dir(&self.home, &self.state.dir, self.topic_partition(), DELETED)
    }
}

impl UnrecoveredLog {
    /// Takes a log out of sight that no topic owns, and keeps its files, as Kafka does: were it the
    /// metadata that is lost, the records would be all that is left. Returns where they are now.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn set_aside(self) -> Result<PathBuf, StorageError> {
        let aside = rename_dir(&self.home, &self.dir, &self.topic_partition, STRAY)?;
        let synced = self.home.env.disk.sync_dir(&self.home.path);
        synced.map_err(|error| self.home.judge("sync", &self.home.path, &error))?;
        self.home.checkpoints.loaded();
        self.home.checkpoints.forget(&self.home, &[self.topic_partition])?;
        Ok(aside)
    }
}

/// Renames the directory of a log to a name that is no partition's.
fn rename_dir(
    home: &Home,
    dir: &Path,
    topic_partition: &TopicPartition,
    ending: &str,
) -> Result<PathBuf, StorageError> {
    // A file name has 255 bytes at most, a topic name up to 249.
    let id = home.env.random.uuid().simple();
    let suffix = format!("-{}.{id}{ending}", topic_partition.partition);
    let topic: String = topic_partition.topic.chars().take(255 - suffix.len()).collect();
    let renamed = home.path.join(format!("{topic}{suffix}"));
    let disk = &*home.env.disk;
    disk.rename(dir, &renamed).map_err(|error| home.judge("rename", dir, &error))?;
    Ok(renamed)
}

impl LogHandle {
    pub(super) fn new(home: &Arc<Home>, state: &Arc<LogState>) -> Self {
        Self { home: Arc::clone(home), state: Arc::clone(state) }
    }
}
