//! What goes into a partition and what comes out.

use bytes::Bytes;
use duramen_protocol::error::ErrorCode;
use duramen_protocol::ids::{NO_EPOCH, NO_OFFSET, NO_TIMESTAMP};
use tokio::sync::oneshot;

use super::Offset;
use crate::env::{Patience, Populate};
use crate::storage::epochs::EpochEnd;
use crate::storage::{LogRead, ReadRequest, trusted_prefix};

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
    /// Version of the produce request: it decides which codecs are allowed.
    pub(crate) version: i16,
}

/// Resolves when a batch is committed, or can't be any more.
pub(crate) type Commit = oneshot::Receiver<Result<(), ErrorCode>>;

/// The outcome of an append.
#[derive(Debug)]
pub(crate) struct AppendOutcome {
    /// Offset of the first record; for a duplicate, the one it got the first time.
    pub(crate) first_offset: Offset,
    /// The time stamped into the batch, with `message.timestamp.type=LogAppendTime`; else -1.
    pub(crate) log_append_time_ms: i64,
    /// First offset that still exists.
    pub(crate) log_start_offset: Offset,
    /// Bytes appended; 0 for a duplicate.
    pub(crate) bytes: u64,
    /// Records appended; 0 for a duplicate.
    pub(crate) records: u64,
    /// What to wait for; `None` when the batch is committed already, or nobody waits.
    pub(crate) commit: Option<Commit>,
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
    /// Whether the caller's thread may wait for the disk.
    pub(crate) patience: Patience,
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
    /// There is something to read, but the disk must be waited for: ask again where that is allowed.
    pub(crate) needs_disk: bool,
    /// First offset after the segment that the records come from.
    pub(crate) segment_end: Offset,
    /// The records were written lately. Others are as the disk gave them back.
    pub(crate) hot: bool,
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
    /// What was asked for is damaged on the disk; from this offset on there is something again.
    pub(crate) damaged_up_to: Option<Offset>,
}

impl Fetched {
    /// What to read of the log for `query`.
    pub(super) fn request(&self, query: &FetchQuery, patience: Patience) -> ReadRequest {
        ReadRequest {
            offset: query.offset,
            max_bytes: query.max_bytes,
            min_one: query.at_least_one,
            up_to: match query.isolation {
                Isolation::ReadUncommitted => self.high_watermark,
                Isolation::ReadCommitted => self.last_stable_offset,
            },
            patience,
        }
    }

    pub(super) fn take(&mut self, read: LogRead) {
        (self.records, self.cold, self.hot) = (read.bytes, read.populate, read.hot);
        self.segment_end = read.segment_end;
    }

    /// Drops what once came from the disk and does not fit together: the next fetch looks closer.
    /// Touches the bytes.
    pub(crate) fn keep_trusted(&mut self) {
        if !self.hot {
            self.records.truncate(trusted_prefix(&self.records, self.segment_end));
        }
    }
}

/// An offset that was looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OffsetFound {
    /// The offset, -1 when there is none.
    pub(crate) offset: Offset,
    /// The record's timestamp, -1 when it was not looked up by time.
    pub(crate) timestamp: i64,
    /// The leader epoch that the offset belongs to, -1 when there is none.
    pub(crate) leader_epoch: i32,
}

impl OffsetFound {
    /// Nothing was found.
    pub(crate) const NONE: Self =
        Self { offset: NO_OFFSET, timestamp: NO_TIMESTAMP, leader_epoch: NO_EPOCH };
}
