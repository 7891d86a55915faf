//! A shard: the task that decides for the groups of one partition.
//!
//! Commands that came together are decided together. Commits touch nothing that another commit looks
//! at, so a run of them becomes one batch; anything else is decided on what came before it, and
//! appended by itself. An append fails at once or is lost with the leadership, so that nothing ever
//! has to be taken back: a shard that can't commit what it appended loads anew.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::group_records::GroupRecord;
use duramen_protocol::messages::ConsumerGroupHeartbeatResponse;
use duramen_protocol::text::Text;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::GroupFigures;
use super::asked::{Abandon, Asked};
use super::batch::{Batch, NotTaken};
use super::load::load;
use crate::coordinator::command::{Answer, Command, Decision, Limits, Now, Outcome, ReplyTo};
use crate::coordinator::groups::Groups;
use crate::env::Env;
use crate::metadata::MetadataImage;
use crate::replication::{Commit, Partition};

/// Messages that are taken in one turn, before commits and the clock are looked at again.
const BURST_MAX: usize = 1_000;

/// How long a shard that could not load, or lost what it wrote, waits before it loads again; each
/// time twice as long, up to a minute.
const LOAD_AGAIN: Duration = Duration::from_secs(1);
const LOAD_AGAIN_MAX: Duration = Duration::from_secs(60);

/// Something that a shard is told.
#[derive(Debug)]
pub(super) enum Message {
    /// A command, and who waits for its answer.
    Ask { command: Command, to: ReplyTo, answer: oneshot::Sender<Outcome> },
    /// Nobody waits for this answer any more.
    Abandoned { group: Text, to: ReplyTo },
}

/// What a shard is made of.
#[derive(Debug)]
pub(super) struct ShardParts {
    pub(super) partition: Arc<Partition>,
    pub(super) limits: Limits,
    pub(super) env: Env,
    /// The cluster; news when a topic is gone.
    pub(super) image: watch::Receiver<Arc<MetadataImage>>,
    /// Permits to load.
    pub(super) loading: Arc<Semaphore>,
    /// What all shards count.
    pub(super) figures: Arc<GroupFigures>,
}

/// A shard as others see it.
#[derive(Debug)]
pub(super) struct Shard {
    partition: Arc<Partition>,
    /// Its log was read to its end.
    serves: Arc<AtomicBool>,
    /// Bounded by what connections may have in flight (`connection.max.inflight.requests`).
    messages: mpsc::UnboundedSender<Message>,
}

impl Shard {
    /// Whether it keeps its state in this partition.
    pub(super) fn is_of(&self, partition: &Arc<Partition>) -> bool {
        Arc::ptr_eq(&self.partition, partition)
    }

    /// Whether its log was read to its end.
    #[cfg(test)]
    pub(super) fn serves(&self) -> bool {
        self.serves.load(Ordering::Acquire)
    }

    /// Hands it a command. Commands are taken in the order of these calls.
    pub(super) fn ask<A>(&self, to: ReplyTo, group: &Text, command: Command) -> Asked<A> {
        if !self.serves.load(Ordering::Acquire) {
            return Asked::refused(ErrorCode::CoordinatorLoadInProgress);
        }
        let (answer, receiver) = oneshot::channel();
        let message = Message::Ask { command, to, answer };
        if self.messages.send(message).is_err() {
            return Asked::refused(ErrorCode::NotCoordinator);
        }
        let abandon = Abandon { messages: self.messages.clone(), group: group.clone(), to };
        Asked::waiting(receiver, abandon)
    }
}

/// Replies that wait until a batch is committed.
#[derive(Debug)]
struct Pending {
    commit: Commit,
    replies: Vec<(ReplyTo, Outcome)>,
}

/// Why a shard no longer serves.
enum Ended {
    Stopped,
    /// What it appended is not committed, and may never be.
    Lost(ErrorCode),
}

/// The task of a shard.
#[derive(Debug)]
pub(super) struct ShardTask {
    parts: ShardParts,
    serves: Arc<AtomicBool>,
    messages: mpsc::UnboundedReceiver<Message>,
}

impl ShardTask {
    /// A shard, and its task, which has not started.
    pub(super) fn new(parts: ShardParts) -> (Arc<Shard>, Self) {
        let (sender, messages) = mpsc::unbounded_channel();
        let serves = Arc::new(AtomicBool::new(false));
        let shard = Shard {
            partition: Arc::clone(&parts.partition),
            serves: Arc::clone(&serves),
            messages: sender,
        };
        (Arc::new(shard), Self { parts, serves, messages })
    }

    /// Loads and serves until `stop` says so, or the partition is gone.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut pause = LOAD_AGAIN;
        while !stop.is_cancelled() {
            let Some(loaded) = stop.run_until_cancelled(self.load()).await else { return };
            let error = match loaded {
                Ok(groups) => {
                    pause = LOAD_AGAIN;
                    match self.serve(groups, &stop).await {
                        Ended::Stopped => return,
                        Ended::Lost(error) => error,
                    }
                }
                Err(error) => error,
            };
            let partition = self.parts.partition.name();
            warn!(%partition, error = error.name(), "a group coordinator has to load again");
            if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return;
            }
            pause = (pause * 2).min(LOAD_AGAIN_MAX);
        }
    }

    async fn load(&self) -> Result<Groups, ErrorCode> {
        // The semaphore is never closed.
        let _permit = self.parts.loading.acquire().await;
        let groups = Groups::new(self.parts.limits, now(&self.parts.env));
        let mut groups = load(&self.parts.partition, groups).await?;
        // How long members may be silent is told by the settings of their groups.
        groups.see(Arc::clone(&self.parts.image.borrow()));
        groups.loaded(now(&self.parts.env));
        Ok(groups)
    }

    async fn serve(&mut self, groups: Groups, stop: &CancellationToken) -> Ended {
        let Self { parts, serves, messages } = self;
        let batch_bytes_max = match parts.partition.batch_bytes_max() {
            Ok(bytes) => bytes,
            Err(error) => return Ended::Lost(error),
        };
        let mut serving = Serving {
            partition: Arc::clone(&parts.partition),
            env: parts.env.clone(),
            groups,
            batch_bytes_max,
            figures: Arc::clone(&parts.figures),
            waiting: HashMap::new(),
            pending: VecDeque::new(),
            unwritten: None,
        };
        // Topics may have gone while nobody looked.
        serving.forget_topics(&Arc::clone(&parts.image.borrow_and_update()));
        serves.store(true, Ordering::Release);
        let ended = serving.run(messages, &mut parts.image, stop).await;
        serves.store(false, Ordering::Release);
        // What waits is dropped, and hears that this is no coordinator any more.
        while messages.try_recv().is_ok() {}
        ended
    }
}

/// A shard that serves.
struct Serving {
    partition: Arc<Partition>,
    env: Env,
    groups: Groups,
    batch_bytes_max: usize,
    figures: Arc<GroupFigures>,
    /// Who waits for which answer.
    waiting: HashMap<ReplyTo, oneshot::Sender<Outcome>>,
    /// Batches that are not committed yet, in the order of the log.
    pending: VecDeque<Pending>,
    /// Why a batch was not written, for who asks.
    unwritten: Option<ErrorCode>,
}

impl Serving {
    async fn run(
        &mut self,
        messages: &mut mpsc::UnboundedReceiver<Message>,
        image: &mut watch::Receiver<Arc<MetadataImage>>,
        stop: &CancellationToken,
    ) -> Ended {
        loop {
            // Not left to the sleep below: where there is always a message it never ends.
            if self.groups.wake_at() <= self.env.clock.now() {
                self.groups.see(Arc::clone(&image.borrow()));
                self.on_time();
            }
            let wake_in = self.groups.wake_at().saturating_sub(self.env.clock.now());
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ended::Stopped,
                committed = first(&mut self.pending), if !self.pending.is_empty() => {
                    if let Err(error) = committed {
                        return Ended::Lost(error);
                    }
                    self.release();
                }
                message = messages.recv() => match message {
                    Some(message) => {
                        self.groups.see(Arc::clone(&image.borrow()));
                        self.burst(message, messages);
                    }
                    None => return Ended::Stopped,
                },
                changed = image.changed() => match changed {
                    Ok(()) => {
                        let image = Arc::clone(&image.borrow_and_update());
                        self.forget_topics(&image);
                    }
                    Err(_) => return Ended::Stopped,
                },
                () = tokio::time::sleep(wake_in.min(LONGEST_SLEEP)) => {}
            }
        }
    }

    /// Takes a message and those that came with it.
    fn burst(&mut self, first: Message, messages: &mut mpsc::UnboundedReceiver<Message>) {
        let now = now(&self.env);
        let mut batch = Batch::new(self.batch_bytes_max);
        let mut next = Some(first);
        for _ in 0..BURST_MAX {
            let Some(message) = next.take() else { break };
            batch = self.take(now, message, batch);
            next = messages.try_recv().ok();
        }
        if let Some(message) = next {
            batch = self.take(now, message, batch);
        }
        self.append(now, batch);
    }

    /// Decides on a message; what comes of it joins the batch, or goes into the log by itself.
    fn take(&mut self, now: Now, message: Message, mut batch: Batch) -> Batch {
        match message {
            Message::Ask { command, to, answer } => {
                self.waiting.insert(to, answer);
                let alone = !matches!(command, Command::Commit(_));
                if alone {
                    batch = self.append(now, batch);
                    let before = self.groups.give_way(now, &command);
                    batch = self.put(now, before, batch);
                    batch = self.append(now, batch);
                }
                let decision = self.groups.decide(now, to, command);
                batch = self.put(now, decision, batch);
                if alone { self.append(now, batch) } else { batch }
            }
            Message::Abandoned { group, to } => {
                self.waiting.remove(&to);
                batch = self.append(now, batch);
                let decision = self.groups.abandoned(now, &group, to);
                batch = self.put(now, decision, batch);
                self.append(now, batch)
            }
        }
    }

    fn put(&mut self, now: Now, mut decision: Decision, mut batch: Batch) -> Batch {
        self.figures.rebalances.inc_by(std::mem::take(&mut decision.rebalances));
        match batch.take(decision, now.wall_ms) {
            Ok(()) => batch,
            Err(NotTaken::Full(decision)) => {
                let batch = self.append(now, batch);
                self.put(now, decision, batch)
            }
            Err(NotTaken::Never(decision, _)) if decision.apart > 0 => {
                self.put_apart(now, decision, batch)
            }
            Err(NotTaken::Never(decision, error)) => {
                self.unwritten = Some(error);
                self.fail(decision.replies, error);
                batch
            }
        }
    }

    /// What no batch can hold goes in as many as it takes. The replies wait for the last of them, and become
    /// errors when one before it is not written.
    fn put_apart(&mut self, now: Now, mut decision: Decision, mut batch: Batch) -> Batch {
        self.unwritten = None;
        for record in decision.records.drain(..std::mem::take(&mut decision.apart)) {
            let one = Decision { records: vec![record], ..Decision::default() };
            batch = self.put(now, one, batch);
            if self.unwritten.is_some() {
                break;
            }
        }
        batch = self.append(now, batch);
        match self.unwritten.take() {
            None => self.put(now, decision, batch),
            Some(error) => {
                self.fail(decision.replies, error);
                batch
            }
        }
    }

    /// Puts a batch into the log, makes its records state, and lets its replies wait for it.
    /// Returns the next, empty one.
    fn append(&mut self, now: Now, batch: Batch) -> Batch {
        let next = Batch::new(self.batch_bytes_max);
        if batch.is_empty() {
            return next;
        }
        let built = match batch.build() {
            Ok(built) => built,
            Err((error, replies)) => {
                self.fail(replies, error);
                return next;
            }
        };
        let commit = match built.bytes.map(|bytes| self.partition.append_own(&bytes, now.wall_ms)) {
            None | Some(Ok(None)) => None,
            Some(Ok(commit)) => commit,
            Some(Err(error)) => {
                let partition = self.partition.name();
                debug!(%partition, error = error.name(), "group records were not written");
                self.unwritten = Some(error);
                self.fail(built.replies, error);
                return next;
            }
        };
        for record in built.records {
            self.figures.commits.inc_by(u64::from(is_commit(&record)));
            self.groups.replay(record);
        }
        match (commit, self.pending.back_mut()) {
            (Some(commit), _) => {
                self.pending.push_back(Pending { commit, replies: built.replies });
            }
            // A reply is true only once what it is based on is committed.
            (None, Some(last)) => last.replies.extend(built.replies),
            (None, None) => self.answer(built.replies),
        }
        next
    }

    /// The first batch that waited is committed.
    fn release(&mut self) {
        if let Some(pending) = self.pending.pop_front() {
            self.answer(pending.replies);
        }
    }

    fn answer(&mut self, replies: Vec<(ReplyTo, Outcome)>) {
        for (to, outcome) in replies {
            if let Some(answer) = self.waiting.remove(&to) {
                // Whoever has gone away has no use for it.
                let _ = answer.send(outcome);
            }
        }
    }

    /// Answers with an error in the place of replies whose records are not in the log.
    fn fail(&mut self, replies: Vec<(ReplyTo, Outcome)>, error: ErrorCode) {
        let failed = |(to, outcome)| (to, in_place_of(outcome, error));
        self.answer(replies.into_iter().map(failed).collect());
    }

    fn on_time(&mut self) {
        let now = now(&self.env);
        // What is due is done one by one, so that each decision sees what came of the one before.
        while self.groups.wake_at() <= now.at {
            let decision = self.groups.on_time(now);
            self.write(now, decision);
        }
    }

    fn forget_topics(&mut self, image: &MetadataImage) {
        let topics = image.topics();
        let exists = |name: &str, id: uuid::Uuid| {
            topics.by_name(name).is_some_and(|topic| id.is_nil() || topic.id() == id)
        };
        let now = now(&self.env);
        let decision = self.groups.forget_topics(now, &exists);
        self.write(now, decision);
    }

    /// Writes a decision that nobody asked for. As a rule it may be of any size: what it deletes
    /// does not depend on what else it deletes.
    fn write(&mut self, now: Now, mut decision: Decision) {
        let batch = Batch::new(self.batch_bytes_max);
        decision.apart = if decision.whole { 0 } else { decision.records.len() };
        let batch = self.put(now, decision, batch);
        self.append(now, batch);
    }
}

fn is_commit(record: &GroupRecord) -> bool {
    matches!(record, GroupRecord::OffsetCommit(_, Some(_)))
}

/// A sleep is cut to this: nothing wants to be woken later, and timers have their limits.
const LONGEST_SLEEP: Duration = Duration::from_secs(3_600);

fn now(env: &Env) -> Now {
    Now { at: env.clock.now(), wall_ms: env.clock.wall_ms() }
}

/// Waits until the first batch is committed.
async fn first(pending: &mut VecDeque<Pending>) -> Result<(), ErrorCode> {
    match pending.front_mut() {
        Some(first) => (&mut first.commit).await.unwrap_or(Err(ErrorCode::NotLeaderOrFollower)),
        None => Ok(()),
    }
}

/// What is answered when the log does not take the records of a decision, with the reason where the answer has
/// room for it: that the broker is no coordinator says little to a person.
fn in_place_of(outcome: Outcome, error: ErrorCode) -> Outcome {
    let code = of_append(error);
    match outcome {
        Ok(Answer::ConsumerBeat(_)) if error == ErrorCode::KafkaStorageError => {
            Ok(Answer::ConsumerBeat(ConsumerGroupHeartbeatResponse {
                error_code: code.code(),
                error_message: Some(Text::from(UNWRITTEN)),
                ..ConsumerGroupHeartbeatResponse::default()
            }))
        }
        _ => Err(code),
    }
}

/// Why a group stands still while there is no room for its records.
const UNWRITTEN: &str =
    "what the group decides can't be written: the broker's disk is full or has failed, see its log";

/// What a member is told when the log does not take its records: to try again, or elsewhere, where
/// that may help.
fn of_append(error: ErrorCode) -> ErrorCode {
    match error {
        ErrorCode::NotLeaderOrFollower | ErrorCode::KafkaStorageError => ErrorCode::NotCoordinator,
        ErrorCode::NotEnoughReplicas
        | ErrorCode::UnknownTopicOrPartition
        | ErrorCode::RequestTimedOut => ErrorCode::CoordinatorNotAvailable,
        error => error,
    }
}
