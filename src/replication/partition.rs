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
