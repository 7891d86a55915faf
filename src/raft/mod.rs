//! The metadata log and who may write to it. Callers see three things: [`Raft::propose`], which
//! answers when the metadata records are committed; the [`CommittedStream`], everything committed in
//! one order, from the newest snapshot on; and [`Raft::leader`]. With one node, committed means on
//! disk; a quorum takes the place of [`single`] and changes no caller.
//!
//! Files in `DATA/__cluster_metadata-0/` beside those of any log:
//! `<end offset, 20 digits>-<epoch, 10 digits>.checkpoint`, a [`snapshot`].
//!
//! * [`batch`]: metadata records to and from record batches;
//! * [`log`]: the metadata log, an ordinary `storage` log;
//! * [`single`]: the driver of a one-node quorum;
//! * [`snapshot`]: snapshot files.

pub mod batch;
pub mod committed;
mod error;
pub mod log;
pub mod single;
pub mod snapshot;

use std::sync::Arc;

use duramen_protocol::metadata::MetadataRecord;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use snapshot::{Snapshot, SnapshotStore};

pub use committed::{Committed, CommittedBatch, CommittedEntry, CommittedStream};
pub use error::{ProposeError, RaftError, SnapshotError};

/// The topic of the metadata log.
pub const METADATA_TOPIC: &str = "__cluster_metadata";

/// The largest proposal, in bytes of framed metadata records: it becomes one record batch, so that
/// it is committed as a whole or not at all.
pub const PROPOSAL_MAX_BYTES: usize = 8 * 1024 * 1024;

/// Proposals that may wait for the driver.
const PROPOSALS_MAX: usize = 64;

/// Who may propose, and in which quorum epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaderAndEpoch {
    /// The leader's node id; `None` while there is none.
    pub leader: Option<i32>,
    /// The quorum epoch; -1 before the first.
    pub epoch: i32,
}

/// A handle to the metadata log's driver.
#[derive(Debug, Clone)]
pub struct Raft {
    requests: mpsc::Sender<Request>,
    leader: watch::Receiver<LeaderAndEpoch>,
    snapshots: SnapshotStore,
    /// One snapshot at a time.
    snapshot_turn: Arc<Semaphore>,
}

/// What the handle asks of the driver.
#[derive(Debug)]
enum Request {
    Propose {
        records: Vec<MetadataRecord>,
        answer: oneshot::Sender<Result<i64, ProposeError>>,
    },
    /// The log below this offset may go: snapshots stand for it.
    Trim {
        below: i64,
    },
}

impl Raft {
    /// Writes `records` as one batch: all of them or none. Answers with the offset of the last one
    /// when they are committed, after everything before them was put into the committed stream.
    ///
    /// # Errors
    ///
    /// See [`ProposeError`]; after [`ProposeError::Stopped`] or [`ProposeError::Storage`] the
    /// records may turn out to be committed when the node starts again.
    pub async fn propose(&self, records: Vec<MetadataRecord>) -> Result<i64, ProposeError> {
        let (answer, committed) = oneshot::channel();
        self.requests
            .send(Request::Propose { records, answer })
            .await
            .map_err(|_| ProposeError::Stopped)?;
        committed.await.map_err(|_| ProposeError::Stopped)?
    }

    /// Who leads, as it changes.
    #[must_use]
    pub fn leader(&self) -> watch::Receiver<LeaderAndEpoch> {
        self.leader.clone()
    }

    /// Writes the snapshot that `make` gives, on the blocking pool, and then has the log below it
    /// trimmed. Says `false`, and does nothing, while another one is being written.
    pub fn snapshot(&self, make: impl FnOnce() -> Snapshot + Send + 'static) -> bool {
        let Ok(turn) = Arc::clone(&self.snapshot_turn).try_acquire_owned() else { return false };
        let raft = self.clone();
        tokio::task::spawn_blocking(move || {
            // The log still has everything if this fails: the next attempt comes with the next
            // metadata records.
            if let Err(error) = raft.write_snapshot(&make()) {
                tracing::warn!(%error, "can't write a metadata snapshot");
            }
            drop(turn);
        });
        true
    }

    /// Writes a snapshot, removes older ones, and has the log trimmed. Blocks.
    fn write_snapshot(&self, snapshot: &Snapshot) -> Result<(), SnapshotError> {
        self.snapshots.write(snapshot)?;
        tracing::info!(
            end_offset = snapshot.id.end_offset,
            records = snapshot.records.len(),
            "wrote a metadata snapshot"
        );
        if let Some(kept) = self.snapshots.retire()? {
            // A driver that has stopped trims nothing; the next start skips what it need not read.
            let _ = self.requests.blocking_send(Request::Trim { below: kept.end_offset });
        }
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
