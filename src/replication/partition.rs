//! The shell around one log: it appends and reads under a short lock, moves the high watermark, and
//! wakes those who wait. Nothing here awaits; what must wait is handed back as a receiver.

use std::cmp::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use duramen_protocol::error::ErrorCode;
use duramen_protocol::ids::{NO_TIMESTAMP, TopicId, TopicPartition};
use tokio::sync::{Notify, oneshot};

use super::Offset;
use super::errors::{AppendFailure, of_read, of_storage};
use super::leader::Leader;
use super::partition_types::{
    Acks, Append, AppendOutcome, Commit, FetchQuery, Fetched, Isolation, OffsetFound,
};
use super::waiters::{OffsetWaiters, WaiterId};
use crate::storage::epochs::EpochEnd;
use crate::storage::producer_state::{Origin, ProducerEntry};
use crate::storage::validate;
use crate::storage::{AppendInfo, Appended, Durability, Log, LogConfig, LogHandle, ReadRequest};

/// A partition that this broker leads.
#[derive(Debug)]
pub(crate) struct Partition {
    name: TopicPartition,
    topic_id: TopicId,
    log: LogHandle,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    log: Log,
    /// The settings by which a batch is checked; shared, so that it is done outside the lock.
    config: Arc<LogConfig>,
    leader: Leader,
    /// Answers that wait for the high watermark.
    commits: OffsetWaiters<Committer>,
    /// Answers that wait for this broker's disk.
    durables: OffsetWaiters<Committer>,
    /// Long polls, by the high watermark at which they have something to read.
    polls: OffsetWaiters<Arc<Notify>>,
}

/// A producer's answer that waits.
#[derive(Debug)]
struct Committer {
    sender: oneshot::Sender<Result<(), ErrorCode>>,
    /// Being committed is not enough: the batch must be on this broker's disk up to this offset.
    also_durable: Option<Offset>,
}

/// A long poll's place among the waiters of a partition; leaves it on drop.
#[derive(Debug)]
pub(crate) struct Watch {
    partition: Arc<Partition>,
    id: WaiterId,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.partition.lock().polls.remove(self.id);
    }
}

/// Those whose wait is over, to be woken once the lock is free.
#[derive(Default)]
#[must_use]
struct Woken {
    commits: Vec<Committer>,
    polls: Vec<Arc<Notify>>,
}

impl Woken {
    fn wake(self, outcome: Result<(), ErrorCode>) {
        for commit in self.commits {
            // A producer that is gone has no use for its answer.
            let _ = commit.sender.send(outcome);
        }
        for poll in self.polls {
            poll.notify_one();
        }
    }
}

impl Partition {
    /// Leads the partition that `log` holds, at `leader_epoch`.
    pub(crate) fn lead(
        mut log: Log,
        leader_epoch: i32,
    ) -> Result<Self, crate::storage::StorageError> {
        log.assign_epoch(leader_epoch)?;
        let leader = Leader::new(leader_epoch, log.high_watermark(), log.log_end_offset());
        let partition = Self {
            name: log.topic_partition().clone(),
            topic_id: log.topic_id(),
            log: log.handle(),
            state: Mutex::new(State {
                config: Arc::new(log.config().clone()),
                log,
                leader,
                commits: OffsetWaiters::default(),
                durables: OffsetWaiters::default(),
                polls: OffsetWaiters::default(),
            }),
        };
        // Alone in sync: what is in the log is committed as soon as it is settled here.
        partition.lock().progress().wake(Ok(()));
        Ok(partition)
    }

    /// Topic name and partition index.
    pub(crate) fn name(&self) -> &TopicPartition {
        &self.name
    }

    /// The topic's id.
    pub(crate) fn topic_id(&self) -> TopicId {
        self.topic_id
    }

    /// Bytes of all segments.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.log.size_bytes()
    }

    /// Appends a producer's batch. The bytes are checked before the lock is taken; under it they
    /// get their offsets and go to the file in one write.
    pub(crate) fn append(&self, append: &Append) -> Result<AppendOutcome, AppendFailure> {
        let config = Arc::clone(&self.lock().config);
        let batch = validate::check_client_batch(&append.records, &config, append.now_ms)?;
        if append.zstd_refused(batch.compression()) {
            return Err(ErrorCode::UnsupportedCompressionType.into());
        }
        let (bytes, records) = (batch.bytes().len() as u64, batch.record_count());
        let (appended, commit, woken) = {
            let mut state = self.lock();
            let info = AppendInfo {
                leader_epoch: state.leader.epoch(),
                now_ms: append.now_ms,
                origin: Origin::Client,
            };
            let appended = state
                .log
                .append(batch.bytes(), info)
                .map_err(|error| AppendFailure::new(error, self.log.log_start_offset()))?;
            let woken = state.progress();
            let commit = state.wait_for(append.acks, &appended);
            (appended, commit, woken)
        };
        woken.wake(Ok(()));
        let written = !appended.duplicate;
        Ok(AppendOutcome {
            first_offset: appended.first_offset,
            log_append_time_ms: appended.log_append_time,
            log_start_offset: appended.log_start_offset,
            bytes: if written { bytes } else { 0 },
            records: if written { records } else { 0 },
            commit,
        })
    }

    /// Reads from an offset on.
    pub(crate) fn fetch(&self, query: &FetchQuery) -> Result<Fetched, ErrorCode> {
        let state = self.lock();
        state.check_epoch(query.current_leader_epoch)?;
        let mut fetched = Fetched {
            records: Bytes::new(),
            cold: None,
            high_watermark: state.leader.high_watermark(),
            last_stable_offset: state.visible_end(Isolation::ReadCommitted),
            log_start_offset: state.log.log_start_offset(),
            diverging: None,
        };
        if query.last_fetched_epoch >= 0 {
            fetched.diverging = state.divergence(query)?;
        }
        if fetched.diverging.is_none() {
            let request = ReadRequest {
                offset: query.offset,
                max_bytes: query.max_bytes,
                min_one: query.at_least_one,
                up_to: state.visible_end(query.isolation),
            };
            let read = state.log.read(&request).map_err(|error| of_read(&error))?;
            fetched.records = read.bytes;
            fetched.cold = read.populate;
        }
        Ok(fetched)
    }

    /// Wakes `news` once there is something to read at `offset`; until the watch is dropped.
    pub(crate) fn watch(self: &Arc<Self>, offset: Offset, news: &Arc<Notify>) -> Watch {
        let id = self.lock().polls.add(offset.saturating_add(1), Arc::clone(news));
        Watch { partition: Arc::clone(self), id }
    }

    /// More of the log is on the disk: called by the flusher of the log's directory.
    pub(crate) fn on_durable(&self) {
        let woken = self.lock().progress();
        woken.wake(Ok(()));
    }

    /// Lets go of the log, for deletion: everyone who waits is told that it is not here any more.
    pub(crate) fn on_gone(&self, why: ErrorCode) {
        let woken = self.lock().everyone();
        woken.wake(Err(why));
    }

    /// Compares the leader epoch that a client knows (-1: none) with ours (KIP-320).
    pub(crate) fn check_leader_epoch(&self, known: i32) -> Result<(), ErrorCode> {
        self.lock().check_epoch(known)
    }

    /// Where a leadership term ended in this log.
    pub(crate) fn end_of_epoch(&self, epoch: i32) -> EpochEnd {
        let state = self.lock();
        state.log.epochs().end_offset_for(epoch, state.log.log_end_offset())
    }

    /// The end of what a consumer may see.
    pub(crate) fn latest_offset(&self, isolation: Isolation) -> Result<OffsetFound, ErrorCode> {
        let state = self.lock();
        if !state.leader.knows_latest() {
            return Err(ErrorCode::OffsetNotAvailable);
        }
        let (offset, leader_epoch) = (state.visible_end(isolation), state.leader.epoch());
        Ok(OffsetFound { offset, timestamp: NO_TIMESTAMP, leader_epoch })
    }

    /// The first offset that still exists.
    pub(crate) fn earliest_offset(&self) -> OffsetFound {
        let state = self.lock();
        state.found_at(state.log.log_start_offset(), NO_TIMESTAMP)
    }

    /// The first record at or after a time, among those that a consumer may see. Reads the log.
    pub(crate) fn offset_for_timestamp(
        &self,
        timestamp: i64,
        isolation: Isolation,
    ) -> Result<OffsetFound, ErrorCode> {
        let state = self.lock();
        let end = state.visible_end(isolation);
        let found = state.log.offset_for_timestamp(timestamp, end).map_err(|error| of_read(&error))?;
        Ok(found.map_or(OffsetFound::NONE, |at| state.found_at(at.offset, at.timestamp)))
    }

    /// The record with the largest timestamp; the first of them if there are several. Reads the log.
    pub(crate) fn offset_of_max_timestamp(&self) -> Result<OffsetFound, ErrorCode> {
        let state = self.lock();
        let found = state.log.max_timestamp_offset().map_err(|error| of_read(&error))?;
        Ok(found.map_or(OffsetFound::NONE, |at| state.found_at(at.offset, at.timestamp)))
    }

    /// Moves the log start forward (KIP-107); -1 is the high watermark. Returns the new log start.
    pub(crate) fn delete_records(&self, offset: Offset) -> Result<Offset, ErrorCode> {
        let mut state = self.lock();
        let high_watermark = state.leader.high_watermark();
        let target = if offset == -1 { high_watermark } else { offset };
        if target < 0 || target > high_watermark {
            return Err(ErrorCode::OffsetOutOfRange);
        }
        state.log.advance_log_start(target).map_err(|error| of_storage(&error))?;
        Ok(state.log.log_start_offset())
    }

    /// Shows each producer that has written here.
    pub(crate) fn producers<T>(&self, show: impl Fn(i64, &ProducerEntry) -> T) -> Vec<T> {
        let state = self.lock();
        state.log.producers().iter().map(|(id, entry)| show(id, entry)).collect()
    }

    /// Takes new settings, for what comes from now on.
    pub(crate) fn set_config(&self, config: LogConfig) {
        let mut state = self.lock();
        state.config = Arc::new(config.clone());
        state.log.set_config(config);
        // With durability=page-cache everything written is settled at once.
        let woken = state.progress();
        drop(state);
        woken.wake(Ok(()));
    }

    /// The chores of a log: retention, roll by time, producer expiry.
    pub(crate) fn maintain(&self, now_ms: i64) -> Result<(), ErrorCode> {
        let mut state = self.lock();
        state.log.expire_producers(now_ms);
        state.log.apply_retention(now_ms).map_err(|error| of_storage(&error))?;
        let log_start = state.log.log_start_offset();
        state.leader.on_log_start(log_start);
        Ok(())
    }

    /// Takes the log out, to be closed or deleted.
    pub(crate) fn into_log(self) -> Log {
        self.state.into_inner().unwrap_or_else(PoisonError::into_inner).log
    }

    /// A panic while the lock was held was a bug of ours in a short section; the state is whole
    /// enough to go on serving others, and the log checks itself.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// How far this replica has come for good: with `durability=disk`, as far as its disk has.
    fn settled(&self) -> Offset {
        match self.config.durability {
            Durability::Disk => self.log.durable_offset(),
            Durability::PageCache => self.log.log_end_offset(),
        }
    }

    /// The log has come further, or its disk has: moves the high watermark and says who is done.
    fn progress(&mut self) -> Woken {
        let mut woken = Woken::default();
        if self.leader.on_local_progress(self.settled()) {
            let reached = self.leader.high_watermark();
            self.log.set_high_watermark(reached);
            woken.polls = self.polls.reached(reached);
            for committer in self.commits.reached(reached) {
                match committer.also_durable {
                    Some(offset) => _ = self.durables.add(offset, committer),
                    None => woken.commits.push(committer),
                }
            }
        }
        if self.durables.len() > 0 {
            woken.commits.extend(self.durables.reached(self.log.durable_offset()));
        }
        woken
    }

    /// What a producer's answer must wait for; `None` when nothing.
    fn wait_for(&mut self, acks: Acks, appended: &Appended) -> Option<Commit> {
        let next = appended.last_offset + 1;
        let durable_at =
            (appended.await_durable && self.log.durable_offset() < next).then_some(next);
        let committed = self.leader.high_watermark() >= next;
        let waits = match acks {
            Acks::None => false,
            Acks::Leader => durable_at.is_some(),
            Acks::All => !committed || durable_at.is_some(),
        };
        if !waits {
            return None;
        }
        let (sender, commit) = oneshot::channel();
        let committer = Committer { sender, also_durable: durable_at };
        match acks {
            Acks::All if !committed => self.commits.add(next, committer),
            _ => self.durables.add(next, committer),
        };
        Some(commit)
    }

    fn everyone(&mut self) -> Woken {
        let mut commits = self.commits.drain();
        commits.append(&mut self.durables.drain());
        Woken { commits, polls: self.polls.drain() }
    }

    fn check_epoch(&self, known: i32) -> Result<(), ErrorCode> {
        match known.cmp(&self.leader.epoch()) {
            _ if known < 0 => Ok(()),
            Ordering::Less => Err(ErrorCode::FencedLeaderEpoch),
            Ordering::Equal => Ok(()),
            Ordering::Greater => Err(ErrorCode::UnknownLeaderEpoch),
        }
    }

    /// Where the reader's history ends in ours, when it is not a prefix of ours (KIP-595).
    fn divergence(&self, query: &FetchQuery) -> Result<Option<EpochEnd>, ErrorCode> {
        let log_end = self.log.log_end_offset();
        let end = self.log.epochs().end_offset_for(query.last_fetched_epoch, log_end);
        if end.is_undefined() {
            return Err(ErrorCode::OffsetOutOfRange);
        }
        let parts = end.epoch < query.last_fetched_epoch || end.end_offset < query.offset;
        Ok(parts.then_some(end))
    }

    fn visible_end(&self, isolation: Isolation) -> Offset {
        match isolation {
            Isolation::ReadUncommitted => self.leader.high_watermark(),
            Isolation::ReadCommitted => self.log.last_stable_offset(),
        }
    }

    fn found_at(&self, offset: Offset, timestamp: i64) -> OffsetFound {
        let leader_epoch = self.log.epochs().epoch_at(offset).unwrap_or(-1);
        OffsetFound { offset, timestamp, leader_epoch }
    }
}
