//! The controller's task. It works in rounds: all commands that wait are decided one after another,
//! each on an image that holds what the ones before it decided; all their metadata records become
//! one proposal; when that is committed and applied here, all replies leave.
//!
//! So a round costs one flush however many commands are in it, and a failed proposal leaves nothing
//! behind: the next round starts from the image that the loader published.

use std::sync::Arc;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::metadata::MetadataRecord;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::command::Reply;
use super::decide::{Decision, Settings, View, decide};
use super::{Controller, ControllerError, Request, events};
use crate::env::Random;
use crate::metadata::{MetadataImage, MetadataWatch, Provenance, Replay, record};
use crate::raft::{PROPOSAL_MAX_BYTES, ProposeError, Raft};

/// Commands that may wait for the task.
const QUEUE_MAX: usize = 256;

/// Commands that one round takes at most.
const ROUND_MAX: usize = 64;

/// What the controller writes first into an empty metadata log.
#[derive(Debug, Clone)]
pub struct Bootstrap {
    /// The cluster's id.
    pub cluster_id: String,
    /// The finalized features and their levels.
    pub features: Vec<(String, i16)>,
}

/// The task behind a [`Controller`].
#[derive(Debug)]
pub struct ControllerTask {
    requests: mpsc::Receiver<Request>,
    raft: Raft,
    metadata: MetadataWatch,
    settings: Settings,
    random: Random,
    /// A command that did not fit into the round before.
    held_back: Option<Request>,
}

/// A controller whose task has not started; run [`ControllerTask::run`] on a task of its own.
#[must_use]
pub fn new(
    raft: Raft,
    metadata: MetadataWatch,
    settings: Settings,
    random: Random,
) -> (Controller, ControllerTask) {
    let (sender, requests) = mpsc::channel(QUEUE_MAX);
    let task = ControllerTask { requests, raft, metadata, settings, random, held_back: None };
    (Controller { requests: sender }, task)
}

/// A command that was decided and waits for its records.
type Decided = (oneshot::Sender<Result<Reply, ControllerError>>, Reply);

/// What a round gathered.
struct Round {
    before: Arc<MetadataImage>,
    image: Arc<MetadataImage>,
    records: Vec<MetadataRecord>,
    bytes: usize,
    decided: Vec<Decided>,
}

impl ControllerTask {
    /// Serves commands until all handles are gone or `cancel` says so; commands that were taken are
    /// answered first.
    ///
    /// An empty metadata log gets `bootstrap` as its first content.
    ///
    /// # Errors
    ///
    /// The bootstrap records can't be committed.
    pub async fn run(
        mut self,
        bootstrap: Bootstrap,
        cancel: CancellationToken,
    ) -> Result<(), ProposeError> {
        match cancel.run_until_cancelled(self.bootstrap(bootstrap)).await {
            Some(done) => done?,
            None => return Ok(()),
        }
        while let Some(Some(first)) = cancel.run_until_cancelled(self.next_request()).await {
            let round = self.decide_round(first);
            self.finish_round(round).await;
        }
        Ok(())
    }

    /// Waits until this node leads, and sees to it that the cluster has an id.
    async fn bootstrap(&self, bootstrap: Bootstrap) -> Result<(), ProposeError> {
        let mut leader = self.raft.leader();
        leader.wait_for(|now| now.leader.is_some()).await.map_err(|_| ProposeError::Stopped)?;
        let image = self.metadata.wait_for(0).await.map_err(|_| ProposeError::Stopped)?;
        if !image.cluster_id().is_empty() {
            return Ok(());
        }
        let mut records = vec![record::cluster(&bootstrap.cluster_id)];
        records.extend(
            bootstrap.features.iter().map(|(name, level)| record::feature_level(name, *level)),
        );
        let offset = self.raft.propose(records).await?;
        self.metadata.wait_for(offset).await.map_err(|_| ProposeError::Stopped)?;
        Ok(())
    }

    async fn next_request(&mut self) -> Option<Request> {
        match self.held_back.take() {
            Some(request) => Some(request),
            None => self.requests.recv().await,
        }
    }

    fn decide_round(&mut self, first: Request) -> Round {
        let current = self.metadata.current();
        let mut round = Round {
            before: Arc::clone(&current),
            image: current,
            records: Vec::new(),
            bytes: 0,
            decided: Vec::new(),
        };
        let mut next = Some(first);
        while let Some(request) = next.take() {
            self.held_back = self.decide_one(&mut round, request);
            if self.held_back.is_none() && round.decided.len() < ROUND_MAX {
                next = self.requests.try_recv().ok();
            }
        }
        round
    }

    /// Decides one command on top of the round; gives it back when the round is too full for it.
    fn decide_one(&self, round: &mut Round, request: Request) -> Option<Request> {
        if request.answer.is_closed() {
            return None;
        }
        let view = View { image: &round.image, settings: &self.settings };
        let Decision { records, reply } = decide(view, &request.command, &mut || self.random.u64());
        let bytes: usize = records.iter().map(MetadataRecord::value_len).sum();
        if round.bytes + bytes > PROPOSAL_MAX_BYTES && !round.records.is_empty() {
            return Some(request);
        }
        if bytes > PROPOSAL_MAX_BYTES {
            let _ = request.answer.send(Err(ControllerError::new(
                ErrorCode::PolicyViolation,
                "Unable to perform excessively large batch operation.",
            )));
            return None;
        }
        match with_records(&round.image, &records) {
            Ok(image) => {
                round.image = image;
                round.bytes += bytes;
                round.records.extend(records);
                round.decided.push((request.answer, reply));
            }
            Err(error) => {
                let _ = request.answer.send(Err(error));
            }
        }
        None
    }

    async fn finish_round(&self, round: Round) {
        let outcome = self.commit(round.records).await;
        if outcome.is_ok() {
            events::tell(&round.before, &round.image, round.decided.iter().map(|(_, reply)| reply));
        }
        for (answer, reply) in round.decided {
            // Whoever asked may have gone away; the change is made all the same.
            let _ = answer.send(outcome.clone().map(|()| reply));
        }
    }

    /// Commits the records of a round, and waits until this broker has applied them.
    async fn commit(&self, records: Vec<MetadataRecord>) -> Result<(), ControllerError> {
        if records.is_empty() {
            return Ok(());
        }
        let offset = self.raft.propose(records).await.map_err(|error| propose_error(&error))?;
        self.metadata.wait_for(offset).await.map_err(|_| ControllerError::stopped())?;
        Ok(())
    }
}

/// `image` with `records`, as it will be when they are committed.
fn with_records(
    image: &Arc<MetadataImage>,
    records: &[MetadataRecord],
) -> Result<Arc<MetadataImage>, ControllerError> {
    if records.is_empty() {
        return Ok(Arc::clone(image));
    }
    let mut replay = Replay::new(image);
    replay
        .apply_all(records)
        .map_err(|error| ControllerError::new(ErrorCode::UnknownServerError, error.to_string()))?;
    let at = image.provenance();
    let count = i64::try_from(records.len()).unwrap_or(i64::MAX);
    let delta = replay.finish(Provenance { offset: at.offset.saturating_add(count), ..at });
    Ok(Arc::clone(delta.after()))
}

fn propose_error(error: &ProposeError) -> ControllerError {
    let code = match error {
        ProposeError::NotLeader | ProposeError::Stopped => ErrorCode::NotController,
        ProposeError::TooLarge { .. } => ErrorCode::PolicyViolation,
        ProposeError::Storage(_) => ErrorCode::KafkaStorageError,
        ProposeError::Empty => ErrorCode::UnknownServerError,
    };
    ControllerError::new(code, error.to_string())
}
