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
