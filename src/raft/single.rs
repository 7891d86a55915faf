//! The driver of a one-node quorum: this node leads, and what is on its disk is committed.
//!
//! At start it gives the committed stream the newest valid snapshot and the log behind it, then
//! writes a no-op in a new quorum epoch; when that is on disk, all before it is. Then it works in
//! rounds: all proposals that wait are appended, one flush makes them durable, all are answered.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use duramen_protocol::metadata::{Kind, MetadataRecord, NoOpRecord};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::committed::{Committed, CommittedBatch, CommittedEntry, CommittedStream};
use super::error::{ProposeError, RaftError, SnapshotError};
use super::log::{FlushSignal, read_from};
use super::snapshot::{Snapshot, SnapshotStore};
use super::{LeaderAndEpoch, PROPOSAL_MAX_BYTES, PROPOSALS_MAX, Raft, Request, batch};
use crate::env::Env;
use crate::storage::producer_state::Origin;
use crate::storage::validate::ValidatedBatch;
use crate::storage::{AppendInfo, Log};

/// Entries of the committed stream that may wait for its reader.
const COMMITTED_MAX: usize = 64;

/// How long to wait before the next attempt to lead.
const LEAD_AGAIN: Duration = Duration::from_secs(1);

/// What the driver works with.
#[derive(Debug)]
pub struct SingleOptions {
    /// This node's id.
    pub node_id: i32,
    /// Clock and disk.
    pub env: Env,
    /// The metadata log, made with [`super::log::metadata_log_config`].
    pub log: Log,
    /// The directory of the metadata log, where snapshots are.
    pub dir: PathBuf,
    /// Woken by the hooks of the log's directory.
    pub flushed: FlushSignal,
}

/// The driver's task; run [`Self::run`] on a task of its own.
#[derive(Debug)]
pub struct SingleDriver {
    options: SingleOptions,
    snapshots: SnapshotStore,
    requests: mpsc::Receiver<Request>,
    committed: mpsc::Sender<Result<Committed, RaftError>>,
    leader: watch::Sender<LeaderAndEpoch>,
    epoch: i32,
}

/// A handle, what is committed, and the driver, which has not started.
#[must_use]
pub fn new(options: SingleOptions) -> (Raft, CommittedStream, SingleDriver) {
    let (request_sender, requests) = mpsc::channel(PROPOSALS_MAX);
    let (committed, entries) = mpsc::channel(COMMITTED_MAX);
    let (leader, leader_watch) = watch::channel(LeaderAndEpoch { leader: None, epoch: -1 });
    let snapshots = SnapshotStore::new(Arc::clone(&options.env.disk), options.dir.clone());
    let raft = Raft {
        requests: request_sender,
        leader: leader_watch,
        snapshots: snapshots.clone(),
        snapshot_turn: Arc::new(Semaphore::new(1)),
    };
    let driver = SingleDriver { options, snapshots, requests, committed, leader, epoch: -1 };
    (raft, CommittedStream::new(entries), driver)
}

/// A proposal that was appended and waits to be on disk.
type Appended = (CommittedBatch, oneshot::Sender<Result<i64, ProposeError>>);

impl SingleDriver {
    /// Replays, leads, and serves proposals until `cancel` says so or all handles are gone; then
    /// closes the log.
    ///
    /// What is wrong with reading the log is told by the committed stream, and with writing it by
    /// the answers to proposals.
    pub async fn run(self, cancel: CancellationToken) {
        let replayed = tokio::task::spawn_blocking(move || {
            let mut driver = self;
            let result = driver.replay();
            (driver, result)
        });
        let Ok((mut driver, result)) = replayed.await else { return };
        if let Err(error) = result {
            // If nobody follows the stream, nobody needs to know.
            let _ = driver.committed.send(Err(error)).await;
            return;
        }
        cancel.run_until_cancelled(driver.lead()).await;
        while let Some(Some(first)) = cancel.run_until_cancelled(driver.requests.recv()).await {
            driver.round(first).await;
        }
        driver.resign();
        driver.close().await;
    }

    /// Gives the committed stream what is on disk. Blocks.
    fn replay(&mut self) -> Result<(), RaftError> {
        let log = &self.options.log;
        let mut next = 0;
        let (newest, unread) = self.newest_snapshot()?;
        if let Some(snapshot) = newest {
            next = snapshot.id.end_offset;
            self.epoch = snapshot.id.epoch;
            let entry = CommittedEntry::Snapshot(snapshot);
            let _ = self.committed.blocking_send(Ok(Committed { entry, more: true }));
        }
        let (log_start, log_end) = (log.log_start_offset(), log.log_end_offset());
        if log_start > next {
            // One that can't be read may be sound.
            return Err(unread.unwrap_or(RaftError::MissingSnapshot { log_start }));
        }
        if log_end < next {
            let reason = format!("it ends before offset {next}, up to which a snapshot goes");
            return Err(RaftError::Damaged { offset: log_end, reason });
        }
        let (committed, epoch) = (&self.committed, &mut self.epoch);
        read_from((log, self.snapshots.dir()), next, |batch| {
            *epoch = batch.epoch.max(*epoch);
            let entry = CommittedEntry::Batch(batch);
            committed.blocking_send(Ok(Committed { entry, more: true })).is_ok()
        })
    }

    /// The newest snapshot that passes all checks, and what the disk said of one before it.
    fn newest_snapshot(&self) -> Result<(Option<Snapshot>, Option<RaftError>), RaftError> {
        let dir = self.snapshots.dir();
        let mut unread = None;
        let listed = self.snapshots.list();
        for id in listed.map_err(|source| RaftError::Io { path: dir.to_owned(), source })? {
            match self.snapshots.read(id) {
                Ok(snapshot) => return Ok((Some(snapshot), unread)),
                Err(SnapshotError::Refused(source)) => {
                    return Err(RaftError::Refused { offset: id.end_offset, source });
                }
                Err(error) => {
                    let end_offset = id.end_offset;
                    tracing::warn!(end_offset, %error, "skipping a metadata snapshot");
                    if let SnapshotError::Io(source) = error {
                        unread = Some(RaftError::Io { path: dir.join(id.file_name()), source });
                    }
                }
            }
        }
        Ok((None, unread))
    }

    /// Starts a new quorum epoch; what was in the log before is committed with its first record.
    /// A full disk may have room again later; a broken one stays broken.
    async fn lead(&mut self) {
        while let Err(error) = self.try_to_lead().await {
            tracing::error!(%error, "can't lead the metadata quorum");
            if self.options.log.handle().check().is_err() {
                return;
            }
            tokio::time::sleep(LEAD_AGAIN).await;
            while let Ok(request) = self.requests.try_recv() {
                if let Request::Propose { answer, .. } = request {
                    let _ = answer.send(Err(ProposeError::NotLeader));
                }
            }
        }
        let leader = Some(self.options.node_id);
        self.leader.send_replace(LeaderAndEpoch { leader, epoch: self.epoch });
    }

    async fn try_to_lead(&mut self) -> Result<(), ProposeError> {
        self.epoch = self.epoch.saturating_add(1);
        let no_op = self.append(vec![MetadataRecord::new(Kind::NoOp(NoOpRecord {}))])?;
        let (answer, led) = oneshot::channel();
        self.commit(vec![(no_op, answer)]).await;
        led.await.map_err(|_| ProposeError::Stopped)?.map(|_| ())
    }

    fn resign(&self) {
        self.leader.send_replace(LeaderAndEpoch { leader: None, epoch: self.epoch });
    }

    /// Appends `first` and all proposals that wait, makes them durable with one flush, and answers.
    async fn round(&mut self, first: Request) {
        let mut appended = Vec::new();
        let mut trim = None;
        let mut next = Some(first);
        while let Some(request) = next.take() {
            match request {
                Request::Propose { records, answer } => match self.append(records) {
                    Ok(batch) => appended.push((batch, answer)),
                    Err(error) => _ = answer.send(Err(error)),
                },
                Request::Trim { below } => trim = trim.max(Some(below)),
            }
            next = self.requests.try_recv().ok();
        }
        self.commit(appended).await;
        if let Some(offset) = trim {
            self.trim(offset);
        }
    }

    fn append(&mut self, records: Vec<MetadataRecord>) -> Result<CommittedBatch, ProposeError> {
        if records.is_empty() {
            return Err(ProposeError::Empty);
        }
        let bytes = records.iter().map(MetadataRecord::value_len).sum();
        if bytes > PROPOSAL_MAX_BYTES {
            return Err(ProposeError::TooLarge { bytes, max: PROPOSAL_MAX_BYTES });
        }
        let offline = |error: &dyn std::fmt::Display| ProposeError::Storage(error.to_string());
        let timestamp = self.options.env.clock.wall_ms();
        let encoded = batch::encode(&records, timestamp).map_err(|error| offline(&error))?;
        let info =
            AppendInfo { leader_epoch: self.epoch, now_ms: timestamp, origin: Origin::Coordinator };
        let own = ValidatedBatch::own(&encoded).map_err(|error| offline(&error))?;
        let written = self.options.log.append(&own, info).map_err(|error| offline(&error))?;
        Ok(CommittedBatch {
            base_offset: written.first_offset,
            last_offset: written.last_offset,
            epoch: self.epoch,
            timestamp,
            size_bytes: encoded.len(),
            records,
        })
    }

    async fn commit(&mut self, appended: Vec<Appended>) {
        let Some((last, _)) = appended.last() else { return };
        let end = last.last_offset + 1;
        self.options.log.request_flush();
        let log = self.options.log.handle();
        if let Err(error) = self.options.flushed.durable(&log, end).await {
            self.resign();
            for (_, answer) in appended {
                let _ = answer.send(Err(error.clone()));
            }
            return;
        }
        self.options.log.set_high_watermark(end);
        let mut left = appended.len();
        for (batch, answer) in appended {
            left -= 1;
            let offset = batch.last_offset;
            let entry = CommittedEntry::Batch(batch);
            // The stream's reader and the proposer may be gone; the records are committed anyhow.
            let _ = self.committed.send(Ok(Committed { entry, more: left > 0 })).await;
            let _ = answer.send(Ok(offset));
        }
    }

    /// Lets go of the log below `offset`, for which a snapshot stands.
    fn trim(&mut self, offset: i64) {
        if let Err(error) = self.options.log.advance_log_start(offset) {
            tracing::warn!(%error, offset, "can't trim the metadata log");
        }
    }

    async fn close(self) {
        let log = self.options.log;
        let closed = tokio::task::spawn_blocking(move || log.close()).await;
        if let Ok(Err(error)) = closed {
            tracing::warn!(%error, "the metadata log was not closed: the next start recovers it");
        }
    }
}
