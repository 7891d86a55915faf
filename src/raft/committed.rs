//! The committed stream: what every node replays, in one order.

use duramen_protocol::metadata::MetadataRecord;
use tokio::sync::mpsc;

use super::error::RaftError;
use super::snapshot::Snapshot;

/// One committed batch of metadata records.
#[derive(Debug, Clone, PartialEq)]
pub struct CommittedBatch {
    /// The offset of the first metadata record.
    pub base_offset: i64,
    /// The offset of the last metadata record.
    pub last_offset: i64,
    /// The quorum epoch that it was written in.
    pub epoch: i32,
    /// The wall clock time (ms) at which it was written.
    pub timestamp: i64,
    /// Its size in the log, in bytes.
    pub size_bytes: usize,
    /// The metadata records.
    pub records: Vec<MetadataRecord>,
}

/// What stands in the committed stream.
#[derive(Debug, Clone, PartialEq)]
pub enum CommittedEntry {
    /// Everything up to here at once; what came before is void.
    Snapshot(Snapshot),
    /// The next batch.
    Batch(CommittedBatch),
}

/// One entry of the committed stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Committed {
    /// The entry.
    pub entry: CommittedEntry,
    /// Whether more is known to follow at once, as at start: whoever replays may wait with the
    /// consequences.
    pub more: bool,
}

/// Everything committed, in order: the newest snapshot if there is one, then the log from there on.
#[derive(Debug)]
pub struct CommittedStream {
    entries: mpsc::Receiver<Result<Committed, RaftError>>,
}

impl CommittedStream {
    /// A stream of what `entries` brings.
    pub(crate) fn new(entries: mpsc::Receiver<Result<Committed, RaftError>>) -> Self {
        Self { entries }
    }

    /// The next entry; `None` when the driver has stopped.
    ///
    /// # Errors
    ///
    /// The metadata log can't be read; nothing follows.
    pub async fn next(&mut self) -> Result<Option<Committed>, RaftError> {
        self.entries.recv().await.transpose()
    }
}
