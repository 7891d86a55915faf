//! The shell around one log: it appends and reads under a short lock, moves the high watermark, and
//! wakes those who wait. Nothing here awaits; what must wait is handed back as a receiver.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use duramen_protocol::error::ErrorCode;
use duramen_protocol::ids::{TopicId, TopicPartition};
use tokio::sync::{Notify, oneshot};

use super::Offset;
use super::leader::Leader;
use super::waiters::{OffsetWaiters, WaiterId};
use crate::env::Populate;
use crate::storage::Log;

/// When a producer wants its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Acks {
    /// Never.
    None,
    /// When the leader has the batch.
    Leader,
    /// When every in-sync replica has it for good.
    All,
}

impl Acks {
    /// Kafka's numbers: 0, 1 and -1.
    pub(crate) fn from_wire(acks: i16) -> Option<Self> {
        match acks {
            0 => Some(Self::None),
            1 => Some(Self::Leader),
            -1 => Some(Self::All),
            _ => None,
        }
    }
}

/// A producer's batch for one partition.
#[derive(Debug)]
pub(crate) struct Append {
    /// The record batch as it came.
    pub(crate) records: Bytes,
    /// When the producer wants its answer.
    pub(crate) acks: Acks,
    /// Wall clock, milliseconds.
    pub(crate) now_ms: i64,
    /// The request's version lets its batch be compressed with zstd.
    pub(crate) zstd_allowed: bool,
}

/// Resolves when a batch is committed, or can't be any more.
pub(crate) type Commit = oneshot::Receiver<Result<(), ErrorCode>>;

/// The outcome of an append.
#[derive(Debug)]
pub(crate) struct AppendOutcome {
    /// Offset of the first record; for a duplicate, the one it got the first time.
    pub(crate) first_offset: Offset,
    /// The time stamped into the batch, with `message.timestamp.type=LogAppendTime`.
    pub(crate) log_append_time_ms: Option<i64>,
    /// First offset that still exists.
    pub(crate) log_start_offset: Offset,
    /// Bytes appended; 0 for a duplicate.
    pub(crate) bytes: u64,
    /// Records appended; 0 for a duplicate.
    pub(crate) records: u64,
    /// What to wait for; `None` when the batch is committed already, or nobody waits.
    pub(crate) commit: Option<Commit>,
}

/// Why a batch was not appended.
#[derive(Debug, Clone)]
pub(crate) struct AppendFailure {
    /// Kafka's code.
    pub(crate) code: ErrorCode,
    /// One line for a person.
    pub(crate) message: Option<String>,
    /// First offset that still exists, -1 when not known.
    pub(crate) log_start_offset: Offset,
}

impl From<ErrorCode> for AppendFailure {
    fn from(code: ErrorCode) -> Self {
        Self { code, message: None, log_start_offset: -1 }
    }
}

/// How much of a partition a consumer may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Isolation {
    /// Everything committed.
    ReadUncommitted,
    /// Everything below the last stable offset: no open or aborted transaction.
    ReadCommitted,
}

/// What a fetch wants of a partition.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FetchQuery {
    /// First offset wanted.
    pub(crate) offset: Offset,
    /// Bytes wanted at most.
    pub(crate) max_bytes: usize,
    /// The first batch comes even when it is larger than `max_bytes`.
    pub(crate) at_least_one: bool,
    /// How much may be seen.
    pub(crate) isolation: Isolation,
    /// Leader epoch that the client knows, -1 for none.
    pub(crate) current_leader_epoch: i32,
    /// Epoch of the last record that the client has, -1 for none.
    pub(crate) last_fetched_epoch: i32,
}

/// What a fetch found.
#[derive(Debug)]
pub(crate) struct Fetched {
    /// Record batches, as a slice of the log's map.
    pub(crate) records: Bytes,
    /// Set when the slice may have to come from the disk: run it where blocking is allowed, before
    /// the slice is touched.
    pub(crate) cold: Option<Populate>,
    /// Everything below is committed.
    pub(crate) high_watermark: Offset,
    /// Everything below is committed and decided.
    pub(crate) last_stable_offset: Offset,
    /// First offset that still exists.
    pub(crate) log_start_offset: Offset,
    /// Where the client's history and ours part: it must go back there. No records come then.
    pub(crate) diverging: Option<EpochEnd>,
}

/// A partition on this broker.
#[derive(Debug)]
pub(crate) struct Partition {
    name: TopicPartition,
    topic_id: TopicId,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    log: Log,
    leader: Leader,
    /// Produce answers, by the offset that must be committed.
    commits: OffsetWaiters<oneshot::Sender<Result<(), ErrorCode>>>,
    /// Long polls, by the offset that must be committed for them to have something to read.
    polls: OffsetWaiters<Arc<Notify>>,
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
    commits: Vec<oneshot::Sender<Result<(), ErrorCode>>>,
    polls: Vec<Arc<Notify>>,
}

impl Woken {
    fn wake(self, outcome: Result<(), ErrorCode>) {
        for commit in self.commits {
            // A producer that is gone has no use for its answer.
            let _ = commit.send(outcome);
        }
        for poll in self.polls {
            poll.notify_one();
        }
    }
}

impl Partition {
    /// Leads the partition that `log` holds, at `leader_epoch`.
    pub(crate) fn lead(name: TopicPartition, topic_id: TopicId, log: Log, leader_epoch: i32) -> Self {
        let leader = Leader::new(leader_epoch, log.high_watermark(), log.log_end_offset());
        let state = State { log, leader, commits: OffsetWaiters::default(), polls: OffsetWaiters::default() };
        Self { name, topic_id, state: Mutex::new(state) }
    }

    /// Topic name and partition index.
    pub(crate) fn name(&self) -> &TopicPartition {
        &self.name
    }

    /// The topic's id.
    pub(crate) fn topic_id(&self) -> TopicId {
        self.topic_id
    }

    /// A panic while the lock was held was a bug of ours in a short section; the state is whole
    /// enough to go on serving others, and the log checks itself.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Partition {
    /// Appends a producer's batch. The bytes are checked before the lock is taken; under it they
    /// get their offsets and go to the file in one write.
    pub(crate) fn append(&self, append: Append) -> Result<AppendOutcome, AppendFailure> {
        let rules = self.lock().log.rules();
        let batch = validate::check_client_batch(&append.records, &rules, append.now_ms)?;
        let records = u64::try_from(batch.record_count()).unwrap_or(0);
        let bytes = batch.len() as u64;
        let (outcome, woken) = {
            let mut state = self.lock();
            let info = AppendInfo {
                leader_epoch: state.leader.epoch(),
                now_ms: append.now_ms,
                origin: Origin::Client,
            };
            let appended = state.log.append(&batch, info)?;
            let woken = state.progress();
            let waits = append.acks == Acks::All
                && state.leader.high_watermark() <= appended.last_offset;
            let commit = waits.then(|| {
                let (sender, commit) = oneshot::channel();
                state.commits.add(appended.last_offset + 1, sender);
                commit
            });
            let written = !appended.duplicate;
            let outcome = AppendOutcome {
                first_offset: appended.first_offset,
                log_append_time_ms: appended.log_append_time_ms,
                log_start_offset: appended.log_start_offset,
                bytes: if written { bytes } else { 0 },
                records: if written { records } else { 0 },
                commit,
            };
            (outcome, woken)
        };
        woken.wake(Ok(()));
        Ok(outcome)
    }

    /// Reads from an offset on.
    pub(crate) fn fetch(&self, query: &FetchQuery) -> Result<Fetched, ErrorCode> {
        let state = self.lock();
        state.check_epoch(query.current_leader_epoch)?;
        let mut fetched = Fetched {
            records: Bytes::new(),
            cold: None,
            high_watermark: state.leader.high_watermark(),
            last_stable_offset: state.last_stable_offset(),
            log_start_offset: state.log.log_start_offset(),
            diverging: None,
        };
        if query.last_fetched_epoch >= 0 {
            fetched.diverging = state.divergence(query)?;
        }
        if fetched.diverging.is_none() {
            let read = state.log.read(ReadRequest {
                offset: query.offset,
                max_bytes: query.max_bytes,
                min_one: query.at_least_one,
                up_to: state.visible_end(query.isolation),
            })?;
            fetched.records = read.bytes;
            fetched.cold = read.cold;
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
        let offset = state.visible_end(isolation);
        Ok(OffsetFound { offset, timestamp: NO_TIMESTAMP, leader_epoch: state.leader.epoch() })
    }

    /// The first offset that still exists.
    pub(crate) fn earliest_offset(&self) -> OffsetFound {
        let state = self.lock();
        let offset = state.log.log_start_offset();
        OffsetFound { offset, timestamp: NO_TIMESTAMP, leader_epoch: state.log.epochs().epoch_of(offset) }
    }
}

impl State {
    /// The log has come further, or its disk has: moves the high watermark and says who is done.
    fn progress(&mut self) -> Woken {
        if !self.leader.on_local_progress(self.log.settled_offset()) {
            return Woken::default();
        }
        let reached = self.leader.high_watermark();
        self.log.set_high_watermark(reached);
        Woken { commits: self.commits.reached(reached), polls: self.polls.reached(reached) }
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
        let end = self.log.epochs().end_offset_for(query.last_fetched_epoch, self.log.log_end_offset());
        if end.is_undefined() {
            return Err(ErrorCode::OffsetOutOfRange);
        }
        let parts = end.epoch < query.last_fetched_epoch || end.end_offset < query.offset;
        Ok(parts.then_some(end))
    }

    fn last_stable_offset(&self) -> Offset {
        let committed = self.leader.high_watermark();
        self.log.first_unstable_offset().map_or(committed, |unstable| unstable.min(committed))
    }

    fn visible_end(&self, isolation: Isolation) -> Offset {
        match isolation {
            Isolation::ReadUncommitted => self.leader.high_watermark(),
            Isolation::ReadCommitted => self.last_stable_offset(),
        }
    }
}
