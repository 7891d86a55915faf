//! The shell around one log: it appends and reads under a short lock, moves the high watermark, and
//! wakes those who wait. Nothing here awaits; what must wait is handed back as a receiver.

use std::cmp::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use duramen_protocol::error::ErrorCode;
use duramen_protocol::ids::{NO_TIMESTAMP, TopicId, TopicPartition};
use prometheus_client::metrics::counter::Counter;
use tokio::sync::{Notify, oneshot};

use super::Offset;
use super::errors::{AppendFailure, of_append, of_read, of_storage};
use super::leader::Leader;
use super::partition_types::{
    Acks, Append, AppendOutcome, Commit, FetchQuery, Fetched, Isolation, OffsetFound,
};
use super::waiters::{OffsetWaiters, WaiterId};
use crate::env::Patience;
use crate::storage::epochs::EpochEnd;
use crate::storage::producer_state::{Origin, ProducerEntry};
use crate::storage::validate::{self, BatchRules, Refusal, ValidatedBatch};
use crate::storage::{
    AppendInfo, Appended, Durability, Log, LogConfig, LogHandle, LogView, ReadError,
    RetentionOutcome, StorageError, TimestampedOffset,
};

/// A partition that this broker leads.
#[derive(Debug)]
pub(crate) struct Partition {
    name: TopicPartition,
    topic_id: TopicId,
    log: LogHandle,
    traffic: Traffic,
    /// `None` once the partition is gone from this broker.
    state: Mutex<Option<State>>,
}

/// What went in and out since the start.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    /// Bytes of record batches appended by producers.
    pub(crate) produced_bytes: Counter,
    /// Records appended by producers.
    pub(crate) produced_records: Counter,
    /// Bytes of record batches handed to consumers.
    pub(crate) fetched_bytes: Counter,
}

#[derive(Debug)]
struct State {
    log: Log,
    /// What a batch must satisfy; shared, so that it is checked outside the lock.
    rules: Arc<BatchRules>,
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
        let leave = |state: &mut State| Ok::<_, ErrorCode>(state.polls.remove(self.id));
        // Gone with the partition otherwise.
        let _ = self.partition.with(leave);
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
        rules: BatchRules,
    ) -> Result<Self, StorageError> {
        log.assign_epoch(leader_epoch)?;
        let leader = Leader::new(leader_epoch, log.high_watermark(), log.log_end_offset());
        let (name, topic_id, handle) =
            (log.topic_partition().clone(), log.topic_id(), log.handle());
        let mut state = State {
            rules: Arc::new(rules),
            log,
            leader,
            commits: OffsetWaiters::default(),
            durables: OffsetWaiters::default(),
            polls: OffsetWaiters::default(),
        };
        // Alone in sync: what is in the log is committed as soon as it is settled here.
        state.progress().wake(Ok(()));
        let traffic = Traffic::default();
        Ok(Self { name, topic_id, log: handle, traffic, state: Mutex::new(Some(state)) })
    }

    /// Goes on leading at `leader_epoch`: clients that know of it from the metadata must find it
    /// here. An epoch that is not newer changes nothing.
    pub(crate) fn begin_term(&self, leader_epoch: i32) -> Result<(), ErrorCode> {
        let woken = self.with(|state| {
            if leader_epoch <= state.leader.epoch() {
                return Ok::<_, ErrorCode>(Woken::default());
            }
            state.log.assign_epoch(leader_epoch).map_err(|error| of_storage(&error))?;
            let (committed, end) = (state.leader.high_watermark(), state.log.log_end_offset());
            state.leader = Leader::new(leader_epoch, committed, end);
            Ok(state.progress())
        })?;
        woken.wake(Ok(()));
        Ok(())
    }

    /// Topic name and partition index.
    pub(crate) fn name(&self) -> &TopicPartition {
        &self.name
    }

    /// The topic's id.
    pub(crate) fn topic_id(&self) -> TopicId {
        self.topic_id
    }

    /// What went in and out.
    pub(crate) fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// What of the log can be asked without a lock.
    pub(crate) fn log(&self) -> &LogHandle {
        &self.log
    }

    /// What an `acks=all` answer means here; `None` once the partition is gone.
    pub(crate) fn durability(&self) -> Option<Durability> {
        self.with(|state| Ok::<_, ErrorCode>(state.log.config().durability)).ok()
    }

    /// Bytes of all segments.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.log.size_bytes()
    }

    /// Appends a producer's batch. The bytes are checked before the lock is taken; under it they
    /// get their offsets and go to the file in one write.
    pub(crate) fn append(&self, append: &Append) -> Result<AppendOutcome, AppendFailure> {
        let rules = self.with(|state| Ok::<_, ErrorCode>(Arc::clone(&state.rules)))?;
        let refused =
            |refusal: Refusal| AppendFailure::refused(&refusal, self.log.log_start_offset());
        validate::check_codec_for_version(&append.records, append.version).map_err(refused)?;
        let batch = validate::check_client_batch(&append.records, &rules, append.now_ms)
            .map_err(refused)?;
        if batch.header.is_transactional() {
            return Err(AppendFailure::no_transactions());
        }
        let (appended, commit, woken) = self.with(|state| {
            let leader_epoch = state.leader.epoch();
            let info = AppendInfo { leader_epoch, now_ms: append.now_ms, origin: Origin::Client };
            let appended = state
                .log
                .append(&batch, info)
                .map_err(|error| AppendFailure::failed(&error, self.log.log_start_offset()))?;
            let woken = state.progress();
            let commit = state.wait_for(append.acks, &appended);
            Ok::<_, AppendFailure>((appended, commit, woken))
        })?;
        woken.wake(Ok(()));
        let (bytes, records) = match appended.duplicate {
            true => (0, 0),
            false => (batch.size() as u64, u64::try_from(batch.header.record_count).unwrap_or(0)),
        };
        self.traffic.produced_bytes.inc_by(bytes);
        self.traffic.produced_records.inc_by(records);
        Ok(AppendOutcome {
            first_offset: appended.first_offset,
            log_append_time_ms: appended.log_append_time,
            log_start_offset: appended.log_start_offset,
            bytes,
            records,
            commit,
        })
    }

    /// Appends a batch of this broker's own, of at most `max.message.bytes`, to be answered for when
    /// it is committed (`None`: it is already).
    pub(crate) fn append_own(
        &self,
        records: &Bytes,
        now_ms: i64,
    ) -> Result<Option<Commit>, ErrorCode> {
        let batch = ValidatedBatch::own(records).map_err(|refusal| refusal.code())?;
        let (commit, woken) = self.with(|state| {
            let leader_epoch = state.leader.epoch();
            let info = AppendInfo { leader_epoch, now_ms, origin: Origin::Coordinator };
            let appended = state.log.append(&batch, info).map_err(|error| of_append(&error))?;
            let woken = state.progress();
            Ok::<_, ErrorCode>((state.wait_for(Acks::All, &appended), woken))
        })?;
        woken.wake(Ok(()));
        Ok(commit)
    }

    /// The largest batch that is taken, in bytes (`max.message.bytes`).
    pub(crate) fn batch_bytes_max(&self) -> Result<usize, ErrorCode> {
        let max = self.with(|state| Ok::<_, ErrorCode>(state.rules.max_message_bytes))?;
        Ok(usize::try_from(max).unwrap_or(usize::MAX))
    }

    /// Reads from an offset on. What may wait for the disk waits without the lock.
    pub(crate) fn fetch(&self, query: &FetchQuery) -> Result<Fetched, ErrorCode> {
        let mut fetched = self.with(|state| state.fetch(query))?;
        if fetched.needs_disk && query.patience == Patience::Wait {
            fetched.needs_disk = false;
            self.fetch_from_disk(query, &mut fetched)?;
        }
        if fetched.cold.is_none() {
            fetched.keep_trusted();
        }
        Ok(fetched)
    }

    fn fetch_from_disk(&self, query: &FetchQuery, fetched: &mut Fetched) -> Result<(), ErrorCode> {
        let mut request = fetched.request(query, Patience::Wait);
        loop {
            let view = self.with(|state| state.view(request.offset, 1))?;
            match view.read(&request) {
                Ok(Some(read)) => fetched.take(read),
                Err(ReadError::Changed) => continue,
                Err(ReadError::Damaged { next, .. }) => fetched.damaged_up_to = Some(next),
                Err(error) => return Err(of_read(&error)),
                // Compaction may have taken all of a segment that this offset wants.
                Ok(None) if request.offset < view.end_offset().min(request.up_to) => {
                    request.offset = view.end_offset();
                    continue;
                }
                Ok(None) => {}
            }
            return Ok(());
        }
    }

    /// Looks for a record below the visible end, without the lock.
    fn look(
        &self,
        isolation: Isolation,
        search: impl Fn(&LogView) -> Result<Option<TimestampedOffset>, ReadError>,
    ) -> Result<OffsetFound, ErrorCode> {
        loop {
            let (view, end) = self.with(|state| {
                let view = state.view(state.log.log_start_offset(), usize::MAX)?;
                Ok::<_, ErrorCode>((view, state.visible_end(isolation)))
            })?;
            let found = match search(&view) {
                Err(ReadError::Changed) => continue,
                found => found.map_err(|error| of_read(&error))?.filter(|at| at.offset < end),
            };
            return Ok(found.map_or(
                OffsetFound::NONE,
                |TimestampedOffset { offset, timestamp }| {
                    let leader_epoch = view.epochs().epoch_for_offset(offset).unwrap_or(-1);
                    OffsetFound { offset, timestamp, leader_epoch }
                },
            ));
        }
    }

    /// Wakes `news` once there is something to read at `offset`; until the watch is dropped.
    pub(crate) fn watch(self: &Arc<Self>, offset: Offset, news: &Arc<Notify>) -> Option<Watch> {
        let add = |state: &mut State| {
            Ok::<_, ErrorCode>(state.polls.add(offset.saturating_add(1), Arc::clone(news)))
        };
        let id = self.with(add).ok()?;
        Some(Watch { partition: Arc::clone(self), id })
    }

    /// More of the log is on the disk: called by the flusher of the log's directory.
    pub(crate) fn on_durable(&self) {
        if let Ok(woken) = self.with(|state| Ok::<_, ErrorCode>(state.progress())) {
            woken.wake(Ok(()));
        }
    }

    /// Tells everyone who waits that it is in vain: the disk failed.
    pub(crate) fn on_offline(&self) {
        if let Ok(woken) = self.with(|state| Ok::<_, ErrorCode>(state.everyone())) {
            woken.wake(Err(ErrorCode::KafkaStorageError));
        }
    }

    /// Compares the leader epoch that a client knows (-1: none) with ours (KIP-320).
    pub(crate) fn check_leader_epoch(&self, known: i32) -> Result<(), ErrorCode> {
        self.with(|state| state.check_epoch(known))
    }

    /// Where a leadership term ended in this log.
    pub(crate) fn end_of_epoch(&self, epoch: i32) -> Result<EpochEnd, ErrorCode> {
        self.with(|state| Ok(state.log.epochs().end_offset_for(epoch, state.log.log_end_offset())))
    }

    /// The end of what a consumer may see.
    pub(crate) fn latest_offset(&self, isolation: Isolation) -> Result<OffsetFound, ErrorCode> {
        self.with(|state| {
            if !state.leader.knows_latest() {
                return Err(ErrorCode::OffsetNotAvailable);
            }
            let (offset, leader_epoch) = (state.visible_end(isolation), state.leader.epoch());
            Ok(OffsetFound { offset, timestamp: NO_TIMESTAMP, leader_epoch })
        })
    }

    /// The first offset that still exists.
    pub(crate) fn earliest_offset(&self) -> Result<OffsetFound, ErrorCode> {
        self.with(|state| Ok(state.found_at(state.log.log_start_offset(), NO_TIMESTAMP)))
    }

    /// The first record at or after a time, among those that a consumer may see. Reads the log.
    pub(crate) fn offset_for_timestamp(
        &self,
        timestamp: i64,
        isolation: Isolation,
    ) -> Result<OffsetFound, ErrorCode> {
        self.look(isolation, |view| view.offset_for_timestamp(timestamp))
    }

    /// The record with the largest timestamp, the first of them if there are several; nothing while
    /// a consumer may not see it yet. Reads the log.
    pub(crate) fn offset_of_max_timestamp(
        &self,
        isolation: Isolation,
    ) -> Result<OffsetFound, ErrorCode> {
        self.look(isolation, LogView::max_timestamp_offset)
    }

    /// Moves the log start forward (KIP-107); -1 is the high watermark. Returns the new log start.
    pub(crate) fn delete_records(&self, offset: Offset) -> Result<Offset, ErrorCode> {
        self.with(|state| {
            if state.log.config().compact && !state.log.config().delete {
                return Err(ErrorCode::PolicyViolation);
            }
            let high_watermark = state.leader.high_watermark();
            let target = if offset == -1 { high_watermark } else { offset };
            if target < 0 || target > high_watermark {
                return Err(ErrorCode::OffsetOutOfRange);
            }
            state.log.advance_log_start(target).map_err(|error| of_storage(&error))
        })
    }

    /// Shows each producer that has written here.
    pub(crate) fn producers<T>(
        &self,
        show: impl Fn(i64, &ProducerEntry) -> T,
    ) -> Result<Vec<T>, ErrorCode> {
        self.with(|state| {
            Ok(state.log.producers().iter().map(|(id, entry)| show(id, entry)).collect())
        })
    }

    /// Takes new settings, for what comes from now on.
    pub(crate) fn set_config(&self, config: LogConfig, rules: BatchRules) {
        let woken = self.with(|state| {
            state.rules = Arc::new(rules);
            state.log.set_config(config);
            // With durability=page-cache everything written is settled at once.
            Ok::<_, ErrorCode>(state.progress())
        });
        if let Ok(woken) = woken {
            woken.wake(Ok(()));
        }
    }

    /// The chores of a log: retention, roll by time, producer expiry.
    pub(crate) fn maintain(&self, now_ms: i64) -> Result<RetentionOutcome, ErrorCode> {
        self.with(|state| {
            state.log.expire_producers(now_ms);
            let high_watermark = state.leader.high_watermark();
            let outcome = state.log.apply_retention(now_ms, high_watermark);
            let outcome = outcome.map_err(|error| of_storage(&error))?;
            let log_start = state.log.log_start_offset();
            state.leader.on_log_start(log_start);
            Ok(outcome)
        })
    }

    /// Runs `work` on the log, under the lock; `None` once the partition is gone.
    pub(crate) fn on_log<T>(&self, work: impl FnOnce(&mut Log) -> T) -> Option<T> {
        self.lock().as_mut().map(|state| work(&mut state.log))
    }

    /// Takes the log out, to be closed or deleted; everyone who waits hears that it is gone.
    pub(crate) fn take_log(&self) -> Option<Log> {
        let mut state = self.lock().take()?;
        state.everyone().wake(Err(ErrorCode::NotLeaderOrFollower));
        Some(state.log)
    }

    /// Runs `work` on the state, under the lock.
    fn with<T, E: From<ErrorCode>>(
        &self,
        work: impl FnOnce(&mut State) -> Result<T, E>,
    ) -> Result<T, E> {
        match self.lock().as_mut() {
            Some(state) => work(state),
            None => Err(ErrorCode::NotLeaderOrFollower.into()),
        }
    }

    /// A panic while the lock was held was a bug of ours in a short section; the state is whole
    /// enough to go on serving others, and the log checks itself.
    fn lock(&self) -> MutexGuard<'_, Option<State>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn fetch(&self, query: &FetchQuery) -> Result<Fetched, ErrorCode> {
        self.check_epoch(query.current_leader_epoch)?;
        let mut fetched = Fetched {
            records: Bytes::new(),
            needs_disk: false,
            segment_end: 0,
            hot: true,
            cold: None,
            high_watermark: self.leader.high_watermark(),
            last_stable_offset: self.visible_end(Isolation::ReadCommitted),
            log_start_offset: self.log.log_start_offset(),
            diverging: None,
            damaged_up_to: None,
        };
        if query.last_fetched_epoch >= 0 {
            fetched.diverging = self.divergence(query)?;
        }
        if fetched.diverging.is_none() {
            match self.log.read(&fetched.request(query, Patience::Now)) {
                Ok(read) => fetched.take(read),
                Err(ReadError::NotInMemory) => fetched.needs_disk = true,
                Err(ReadError::Damaged { next, .. }) => fetched.damaged_up_to = Some(next),
                Err(error) => return Err(of_read(&error)),
            }
        }
        Ok(fetched)
    }

    fn view(&self, offset: Offset, segments: usize) -> Result<LogView, ErrorCode> {
        self.log.view(offset, segments).map_err(|error| of_storage(&error))
    }

    /// How far this replica has come for good: with `durability=disk`, as far as its disk has.
    fn settled(&self) -> Offset {
        match self.log.config().durability {
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
        let leader_epoch = self.log.epochs().epoch_for_offset(offset).unwrap_or(-1);
        OffsetFound { offset, timestamp, leader_epoch }
    }
}

#[cfg(test)]
#[path = "partition_tests.rs"]
mod tests;
