//! One partition's log: what it holds and what is known of it. Appending, reading, cutting and
//! aging are in the files beside this one.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use duramen_protocol::ids::{TopicId, TopicPartition};

use super::background::Job;
use super::damage::Damage;
use super::epochs::EpochHistory;
use super::error::StorageError;
use super::home::Home;
use super::hot::HotMarks;
use super::log_config::LogConfig;
use super::log_state::LogState;
use super::producer_state::ProducerStates;
use super::segment::{Segment, file_name};

/// Name of the epoch file in a partition directory.
pub(super) const EPOCHS_FILE: &str = "leader-epoch-checkpoint";

/// One replica's log on disk: bytes and offsets, no leaders. Use it under one lock; what the lock
/// need not guard is in [`LogHandle`].
#[derive(Debug)]
pub struct Log {
    pub(super) home: Arc<Home>,
    pub(super) state: Arc<LogState>,
    pub(super) config: LogConfig,
    /// Oldest first, the active one last; never empty.
    pub(super) segments: VecDeque<Segment>,
    pub(super) epochs: EpochHistory,
    pub(super) producers: ProducerStates,
    pub(super) hot: HotMarks,
    /// Log end offset when a sync was last asked for: `flush.messages` counts from it.
    pub(super) flush_asked_at: i64,
    /// Bytes appended since producers were last written to a snapshot.
    pub(super) bytes_since_snapshot: u64,
    /// What recovery found damaged, oldest first.
    pub(super) damage: Vec<Damage>,
    /// First offset of a compacted segment that is about to take the place of others, and does after
    /// a crash.
    pub(super) intended_swap: Option<i64>,
}

impl Log {
    /// The partition.
    pub fn topic_partition(&self) -> &TopicPartition {
        &self.state.topic_partition
    }

    /// The incarnation of the topic.
    pub fn topic_id(&self) -> TopicId {
        self.state.topic_id
    }

    /// The settings.
    pub fn config(&self) -> &LogConfig {
        &self.config
    }

    /// New settings, from the next append on.
    pub fn set_config(&mut self, config: LogConfig) {
        self.state.flush_ms.store(config.flush_ms, Ordering::Relaxed);
        self.state.uncleanable.store(false, Ordering::Relaxed);
        self.config = config;
    }

    /// What of this log can be asked without its lock.
    pub fn handle(&self) -> LogHandle {
        LogHandle { home: Arc::clone(&self.home), state: Arc::clone(&self.state) }
    }

    /// First offset that readers may see.
    pub fn log_start_offset(&self) -> i64 {
        self.state.log_start.load(Ordering::Relaxed)
    }

    /// First offset not yet written.
    pub fn log_end_offset(&self) -> i64 {
        self.state.log_end.load(Ordering::Relaxed)
    }

    /// Everything below this offset is on the disk.
    pub fn durable_offset(&self) -> i64 {
        self.state.durable()
    }

    /// The high watermark last told, or as it was checkpointed, within the log.
    pub fn high_watermark(&self) -> i64 {
        let offset = self.state.high_watermark.load(Ordering::Relaxed);
        offset.clamp(self.log_start_offset(), self.log_end_offset())
    }

    /// Tells the log its high watermark: retention stops there, and checkpoints hold it.
    pub fn set_high_watermark(&mut self, offset: i64) {
        self.state.high_watermark.store(offset, Ordering::Relaxed);
        self.producers.on_high_watermark(offset);
    }

    /// First offset that readers of committed records may not see.
    pub fn last_stable_offset(&self) -> i64 {
        let high_watermark = self.high_watermark();
        self.producers.first_unstable_offset().map_or(high_watermark, |at| at.min(high_watermark))
    }

    /// Bytes in the `.log` files.
    pub fn size_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.len).sum()
    }

    /// The leader-epoch history.
    pub fn epochs(&self) -> &EpochHistory {
        &self.epochs
    }

    /// The producers that have written here.
    pub fn producers(&self) -> &ProducerStates {
        &self.producers
    }

    /// Forgets producers that wrote nothing for `producer.id.expiration.ms`. Returns how many.
    pub fn expire_producers(&mut self, now_ms: i64) -> usize {
        self.producers.expire(now_ms, self.config.producer_expiration_ms)
    }

    /// What is lost, oldest first; empty for a sound log.
    pub fn damage(&self) -> &[Damage] {
        &self.damage
    }

    /// Notes that `epoch` leads from the log end offset on: a new leader does so before its first
    /// append, so that followers can be told where earlier epochs end.
    ///
    /// # Errors
    /// [`StorageError`] when the directory is offline.
    pub fn assign_epoch(&mut self, epoch: i32) -> Result<(), StorageError> {
        self.check()?;
        match self.log_end_offset() {
            // There is no batch yet that the file could tell it of; the first one has it written.
            0 => _ = self.epochs.assign(epoch, 0),
            end => self.note_epoch(epoch, end),
        }
        Ok(())
    }

    /// Notes the epoch of a batch; the file is written in the background, and until then recovery
    /// begins early enough to find the batch again.
    pub(super) fn note_epoch(&mut self, epoch: i32, offset: i64) {
        if self.epochs.assign(epoch, offset) || offset == 0 {
            self.save_epochs(offset);
        }
    }

    /// Has the epoch history written; `floor` is from where on the log could tell it again.
    pub(super) fn save_epochs(&self, floor: i64) {
        let version = self.state.epochs_changed(floor);
        let (log, path) = (Arc::clone(&self.state), self.state.dir.join(EPOCHS_FILE));
        self.home.jobs.push(Job::Epochs { log, path, version, bytes: self.epochs.encode() });
    }

    /// Asks for a sync of all that has been appended until now. The durable offset rises when it
    /// is done, and the directory's hook is called.
    pub fn request_flush(&mut self) {
        self.flush_asked_at = self.log_end_offset();
        self.home.flush_queue.request(&self.state);
    }

    /// Refuses when the directory is offline or the log closed.
    pub(super) fn check(&self) -> Result<(), StorageError> {
        self.home.check()?;
        if self.state.closed.load(Ordering::Relaxed) {
            return Err(StorageError::Closed);
        }
        Ok(())
    }

    pub(super) fn snapshot_path(&self, offset: i64) -> PathBuf {
        self.state.dir.join(file_name(offset, "snapshot"))
    }

    /// The segment that readers and appends use last.
    pub(super) fn active(&self) -> Option<&Segment> {
        self.segments.back()
    }

    /// The place in `segments` of the one that may hold `offset`.
    pub(super) fn segment_at(&self, offset: i64) -> usize {
        self.segments.partition_point(|segment| segment.base <= offset).saturating_sub(1)
    }

    /// The first offset after the segment at `index`.
    pub(super) fn segment_end(&self, index: usize) -> i64 {
        self.segments.get(index + 1).map_or(self.log_end_offset(), |next| next.base)
    }

    pub(super) fn publish_size(&self) {
        self.state.size_bytes.store(self.size_bytes(), Ordering::Relaxed);
    }
}

/// What of a log can be asked without its lock. Clones lead to the same log.
#[derive(Debug, Clone)]
pub struct LogHandle {
    pub(super) home: Arc<Home>,
    pub(super) state: Arc<LogState>,
}

impl LogHandle {
    /// The partition.
    pub fn topic_partition(&self) -> &TopicPartition {
        &self.state.topic_partition
    }

    /// First offset that readers may see.
    pub fn log_start_offset(&self) -> i64 {
        self.state.log_start.load(Ordering::Acquire)
    }

    /// First offset not yet written.
    pub fn log_end_offset(&self) -> i64 {
        self.state.log_end.load(Ordering::Acquire)
    }

    /// Everything below this offset is on the disk.
    pub fn durable_offset(&self) -> i64 {
        self.state.durable()
    }

    /// Bytes in the `.log` files.
    pub fn size_bytes(&self) -> u64 {
        self.state.size_bytes.load(Ordering::Relaxed)
    }

    /// Asks for a sync of all that has been appended until now.
    pub fn request_flush(&self) {
        self.home.flush_queue.request(&self.state);
    }

    /// Why no append or flush of this log will succeed any more, if so.
    ///
    /// # Errors
    /// [`StorageError::Offline`] or [`StorageError::Closed`].
    pub fn check(&self) -> Result<(), StorageError> {
        self.home.check()?;
        if self.state.closed.load(Ordering::Acquire) {
            return Err(StorageError::Closed);
        }
        Ok(())
    }
}
