//! The loader: one task that follows the committed stream, replays it, hands each delta to the one
//! applier (`broker.rs`) and, when that has applied it, publishes the image.
//!
//! So an image never names a partition that this broker was told of and has not opened, and whoever
//! waits for an offset ([`MetadataWatch::wait_for`]) finds its consequences in place.

use std::sync::Arc;

use duramen_protocol::metadata::FramedError;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::delta::{MetadataDelta, Replay};
use super::image::{MetadataImage, Provenance};
use super::record::image_records;
use super::watch::MetadataWatch;
use crate::raft::snapshot::{Snapshot, SnapshotId};
use crate::raft::{Committed, CommittedEntry, CommittedStream, Raft, RaftError};

/// Why the loader stopped.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The metadata log can't be read.
    #[error(transparent)]
    Log(#[from] RaftError),
    /// A metadata record that this build does not understand.
    #[error("can't replay the metadata log at offset {offset}: {source}")]
    Refused {
        /// The last offset of its batch.
        offset: i64,
        /// Why.
        source: FramedError,
    },
    /// Nobody applies deltas any more.
    #[error("the applier of metadata changes is gone")]
    ApplierGone,
    /// The committed stream ended in the middle.
    #[error("the metadata log was closed while it was replayed")]
    Cut,
}

/// A delta to be applied. The loader goes on, and publishes the image, when it is [`Self::done`].
#[derive(Debug)]
pub struct Apply {
    /// What changed.
    pub delta: MetadataDelta,
    done: oneshot::Sender<()>,
}

impl Apply {
    /// Says that the delta was applied.
    pub fn done(self) {
        // The loader may have been cancelled meanwhile; then nobody needs to know.
        let _ = self.done.send(());
    }
}

/// When the loader makes snapshots.
#[derive(Debug, Clone, Copy)]
pub struct LoaderOptions {
    /// Bytes of committed batches since the last snapshot after which the next one is made
    /// (`metadata.log.max.record.bytes.between.snapshots`).
    pub snapshot_after_bytes: u64,
}

impl Default for LoaderOptions {
    fn default() -> Self {
        Self { snapshot_after_bytes: 20 * 1024 * 1024 }
    }
}

/// The loader's task and the two ends that it is reached by.
#[derive(Debug)]
pub struct LoaderTask {
    committed: CommittedStream,
    raft: Raft,
    applier: mpsc::Sender<Apply>,
    options: LoaderOptions,
    images: watch::Sender<Arc<MetadataImage>>,
    bytes_since_snapshot: u64,
}

/// The images, and the task that makes them, which has not started: run [`LoaderTask::run`] on a
/// task of its own. Deltas go to `applier`, one at a time.
#[must_use]
pub fn new(
    committed: CommittedStream,
    raft: Raft,
    applier: mpsc::Sender<Apply>,
    options: LoaderOptions,
) -> (MetadataWatch, LoaderTask) {
    let (sender, images) = watch::channel(Arc::default());
    let task =
        LoaderTask { committed, raft, applier, options, images: sender, bytes_since_snapshot: 0 };
    (MetadataWatch::new(images), task)
}

impl LoaderTask {
    /// Follows the committed stream until it ends or `cancel` says so.
    ///
    /// # Errors
    ///
    /// See [`LoadError`]; the broker can't go on without its metadata.
    pub async fn run(mut self, cancel: CancellationToken) -> Result<(), LoadError> {
        while let Some(Some(first)) =
            cancel.run_until_cancelled(self.committed.next()).await.transpose()?
        {
            let Some(delta) = cancel.run_until_cancelled(self.gather(first)).await else { break };
            let delta = delta?;
            if delta.ignored() > 0 {
                tracing::error!(
                    records = delta.ignored(),
                    offset = delta.after().offset(),
                    "metadata records refer to what is not there: please report this"
                );
            }
            match cancel.run_until_cancelled(self.apply(delta)).await {
                Some(applied) => applied?,
                None => break,
            }
            self.snapshot_if_due();
        }
        Ok(())
    }

    /// Replays `committed` and all that is known to follow at once into one delta.
    async fn gather(&mut self, mut committed: Committed) -> Result<MetadataDelta, LoadError> {
        let mut replay = Replay::new(&self.images.borrow());
        loop {
            let at = match committed.entry {
                CommittedEntry::Snapshot(snapshot) => {
                    self.bytes_since_snapshot = 0;
                    replay.reset();
                    replay_all(&mut replay, &snapshot.records, snapshot_provenance(&snapshot))?
                }
                CommittedEntry::Batch(batch) => {
                    let size = u64::try_from(batch.size_bytes).unwrap_or(u64::MAX);
                    self.bytes_since_snapshot = self.bytes_since_snapshot.saturating_add(size);
                    let at = Provenance {
                        offset: batch.last_offset,
                        epoch: batch.epoch,
                        timestamp: batch.timestamp,
                    };
                    replay_all(&mut replay, &batch.records, at)?
                }
            };
            if !committed.more {
                return Ok(replay.finish(at));
            }
            committed = self.committed.next().await?.ok_or(LoadError::Cut)?;
        }
    }

    async fn apply(&mut self, delta: MetadataDelta) -> Result<(), LoadError> {
        let image = Arc::clone(delta.after());
        let (done, applied) = oneshot::channel();
        self.applier.send(Apply { delta, done }).await.map_err(|_| LoadError::ApplierGone)?;
        applied.await.map_err(|_| LoadError::ApplierGone)?;
        self.images.send_replace(image);
        Ok(())
    }

    fn snapshot_if_due(&mut self) {
        if self.bytes_since_snapshot < self.options.snapshot_after_bytes {
            return;
        }
        let image = Arc::clone(&self.images.borrow());
        // Only one at a time: while the driver is still busy with the last one, this one waits for
        // the next change.
        if self.raft.snapshot(move || image_snapshot(&image)) {
            self.bytes_since_snapshot = 0;
        }
    }
}

/// The snapshot that stands for `image`.
#[must_use]
pub fn image_snapshot(image: &MetadataImage) -> Snapshot {
    let at = image.provenance();
    Snapshot {
        id: SnapshotId { end_offset: at.offset + 1, epoch: at.epoch },
        timestamp: at.timestamp,
        records: image_records(image),
    }
}

fn snapshot_provenance(snapshot: &Snapshot) -> Provenance {
    Provenance {
        offset: snapshot.id.end_offset - 1,
        epoch: snapshot.id.epoch,
        timestamp: snapshot.timestamp,
    }
}

fn replay_all(
    replay: &mut Replay,
    records: &[duramen_protocol::metadata::MetadataRecord],
    at: Provenance,
) -> Result<Provenance, LoadError> {
    replay.apply_all(records).map_err(|source| LoadError::Refused { offset: at.offset, source })?;
    Ok(at)
}
