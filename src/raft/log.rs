//! The metadata log as an ordinary log of `storage`: its settings, reading it batch by batch, and
//! knowing when more of it is on disk.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use duramen_protocol::ids::TopicPartition;
use duramen_protocol::records::{BatchError, BatchView};
use tokio::sync::Notify;

use super::batch;
use super::committed::CommittedBatch;
use super::error::{ProposeError, RaftError};
use super::{METADATA_TOPIC, PROPOSAL_MAX_BYTES};
use crate::env::Patience;
use crate::storage::{Durability, Log, LogConfig, LogHandle, ReadError, ReadRequest};

/// Bytes that one read takes, unless a batch is larger.
const READ_BYTES: usize = 1024 * 1024;

/// How long to wait for a wake-up that may never come, because the directory went offline in
/// between.
const RECHECK: Duration = Duration::from_millis(500);

/// The partition of the metadata log.
#[must_use]
pub fn metadata_partition() -> TopicPartition {
    TopicPartition::new(METADATA_TOPIC, 0)
}

/// The settings of the metadata log: all on disk before it counts, and nothing goes but what a
/// snapshot stands for. Segments are `segment_bytes` (`metadata.log.segment.bytes`), but never too
/// small for a proposal.
#[must_use]
pub fn metadata_log_config(segment_bytes: u32) -> LogConfig {
    let batch_max = PROPOSAL_MAX_BYTES * 2;
    LogConfig {
        durability: Durability::Disk,
        segment_bytes: segment_bytes.max(u32::try_from(batch_max).unwrap_or(u32::MAX)),
        delete: false,
        compact: false,
        retention_ms: None,
        retention_bytes: None,
        may_use_reserve: true,
        ..LogConfig::default()
    }
}

/// Wakes the driver when more of the metadata log is on disk, or its directory went offline. Make
/// one before the log directory is opened, and call [`Self::wake`] from the directory's hooks.
#[derive(Debug, Clone, Default)]
pub struct FlushSignal(Arc<Notify>);

impl FlushSignal {
    /// Something happened: the driver looks again. Cheap, and never lost.
    pub fn wake(&self) {
        self.0.notify_one();
    }

    /// Waits until everything below `offset` is on disk.
    ///
    /// # Errors
    ///
    /// [`ProposeError::Storage`] when it never will be.
    pub(super) async fn durable(&self, log: &LogHandle, offset: i64) -> Result<(), ProposeError> {
        while log.durable_offset() < offset {
            log.check().map_err(|error| ProposeError::Storage(error.to_string()))?;
            // A time-out only means that it is time to look whether the directory still works.
            let _ = tokio::time::timeout(RECHECK, self.0.notified()).await;
        }
        Ok(())
    }
}

/// Reads all batches of the log, which is in `dir`, from `from` on, in order, for as long as `each` says `true`. Blocks.
///
/// # Errors
///
/// See [`RaftError`].
pub(super) fn read_from(
    (log, dir): (&Log, &Path),
    from: i64,
    mut each: impl FnMut(CommittedBatch) -> bool,
) -> Result<(), RaftError> {
    let mut next = from;
    while next < log.log_end_offset() {
        let request = ReadRequest {
            offset: next,
            max_bytes: READ_BYTES,
            min_one: true,
            up_to: i64::MAX,
            patience: Patience::Wait,
        };
        let read = log.read(&request).map_err(|error| read_error(next, error))?;
        if let Some(populate) = &read.populate {
            let unreadable = |source| RaftError::Io { path: dir.to_owned(), source };
            populate.run().map_err(unreadable)?;
        }
        let before = next;
        for found in BatchView::iter(&read.bytes) {
            let found = match found {
                Ok(found) => found,
                // The read was cut at its size bound.
                Err(BatchError::Truncated { .. }) if next > before => break,
                Err(error) => {
                    return Err(RaftError::Damaged { offset: next, reason: error.to_string() });
                }
            };
            if found.base_offset() > next && next > from {
                let reason =
                    format!("the batch there says that it begins at {}", found.base_offset());
                return Err(RaftError::Damaged { offset: next, reason });
            }
            if found.last_offset() >= next {
                next = found.next_offset();
                if !each(batch::decode(&found)?) {
                    return Ok(());
                }
            }
        }
        if next == before {
            let reason = "a read gave nothing".to_owned();
            return Err(RaftError::Damaged { offset: next, reason });
        }
    }
    Ok(())
}

fn read_error(offset: i64, error: ReadError) -> RaftError {
    match error {
        ReadError::Storage(source) => RaftError::Storage { offset, source },
        error => RaftError::Damaged { offset, reason: error.to_string() },
    }
}
