//! The one task of a member: does what [`super::member`] says, beats, and commits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::text::Text;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::commit::{Commit, Commits, Why, own, sent};
use super::member::{Action, Event, Habits, Member};
use super::positions::{Position, Positions};
use super::presence::Presence;
use super::requests::{self, Counts, Place};
use super::stands::stands;
use super::{GroupOptions, TopicPartition, refused};
use crate::cluster::Cluster;
use crate::coordinator::Coordinator;
use crate::coordinator::offsets::Committer;
use crate::error::ClientError;
use crate::random::Random;

/// How long the task sleeps when nothing is due.
const IDLE: Duration = Duration::from_secs(60);
/// How long a member that closes waits for a rebalance to end, to commit what it has read.
const CLOSE_PATIENCE: Duration = Duration::from_secs(10);
/// How often topics are looked for that are not there yet.
const MISSING: Duration = Duration::from_secs(5);

/// What the user's handle is told.
#[derive(Debug)]
pub(super) enum Control {
    Assigned(Vec<(TopicPartition, Position)>),
    Revoked(Vec<TopicPartition>),
    Lost(Vec<TopicPartition>),
    Failed(ClientError),
}

/// What the user's handle asks for.
#[derive(Debug)]
pub(super) enum Command {
    Commit {
        offsets: Vec<(TopicPartition, Position)>,
        reply: oneshot::Sender<Result<(), ClientError>>,
    },
    /// These are given back; what was read of them.
    Release {
        offsets: Vec<(TopicPartition, Position)>,
        gone: Vec<TopicPartition>,
    },
    /// The user is back.
    Back,
    Close {
        commit: bool,
        reply: oneshot::Sender<Result<(), ClientError>>,
    },
}

/// Work done beside the loop.
enum Done {
    Event(Event),
    Led(u64, Result<(super::member::Assignments, Counts), ClientError>),
    Stands(u64, BTreeSet<TopicPartition>, Result<Vec<(TopicPartition, Position)>, ClientError>),
    Committed(Commit, Result<(), ClientError>),
    Counted(Result<Counts, ClientError>),
}

/// See the top of the file.
pub(super) struct Task {
    options: Arc<GroupOptions>,
    topics: Arc<[Text]>,
    coordinator: Arc<Coordinator>,
    member: Member,
    began: Instant,
    to_user: mpsc::UnboundedSender<Control>,
    from_user: mpsc::UnboundedReceiver<Command>,
    positions: Arc<Positions>,
    presence: Arc<Presence>,
    /// What the user was told that he reads, with the assignment by which it came.
    given: BTreeMap<TopicPartition, u64>,
    /// What is assigned, and of which is not known yet where reading begins.
    awaited: BTreeMap<TopicPartition, u64>,
    assignments: u64,
    commits: Commits,
    auto_due: Instant,
    /// Of the leader: the partitions at the last assignment.
    counts: Option<Counts>,
    count_due: Instant,
    done: JoinSet<Done>,
    closing: Option<oneshot::Sender<Result<(), ClientError>>>,
    /// Until when a last commit may wait.
    close_by: Option<Instant>,
    close_result: Result<(), ClientError>,
    user_gone: bool,
    ended: bool,
}

impl Task {
    pub(super) fn new(
        cluster: Cluster,
        options: Arc<GroupOptions>,
        topics: Vec<Text>,
        (to_user, from_user): (mpsc::UnboundedSender<Control>, mpsc::UnboundedReceiver<Command>),
        (positions, presence): (Arc<Positions>, Arc<Presence>),
    ) -> Self {
        let habits = Habits {
            cooperative: options.is_cooperative(),
            is_static: options.instance.is_some(),
            heartbeat: options.heartbeat,
            backoff: cluster.options().backoff,
        };
        let now = Instant::now();
        Self {
            coordinator: Arc::new(Coordinator::new(&cluster, &options.group)),
            member: Member::new(habits, Random::from_entropy()),
            auto_due: now + options.auto_commit.unwrap_or(IDLE),
            topics: topics.into(),
            options,
            began: now,
            to_user,
            from_user,
            positions,
            presence,
            given: BTreeMap::new(),
            awaited: BTreeMap::new(),
            assignments: 0,
            commits: Commits::default(),
            counts: None,
            count_due: now,
            done: JoinSet::new(),
            closing: None,
            close_by: None,
            close_result: Ok(()),
            user_gone: false,
            ended: false,
        }
    }

    /// Works until the member has left, or an error was told.
    pub(super) async fn run(mut self) {
        self.step(Event::Wake);
        while !self.ended {
            let wake = self.wake();
            tokio::select! {
                Some(done) = self.done.join_next() => {
                    if let Ok(done) = done {
                        self.take_done(done);
                    }
                }
                command = self.from_user.recv(), if !self.user_gone => self.take_command(command),
                () = sleep_until(wake) => self.tick(),
            }
            self.commit_next();
        }
        if let Some(reply) = self.closing.take() {
            let _ = reply.send(self.close_result);
        }
    }

    fn wake(&self) -> Instant {
        let member = self.member.wake().map(|at| self.began + at);
        let auto = self.options.auto_commit.map(|_| self.auto_due);
        let count = self.watches().then_some(self.count_due);
        let quiet = self.presence.elsewhere().map(|since| since + self.options.max_poll_interval);
        // Once it has passed, the commit is sent: it wakes nobody again.
        let close = self.close_by.filter(|at| *at > Instant::now());
        let times = [member, auto, count, quiet, close].into_iter().flatten();
        times.min().unwrap_or_else(|| Instant::now() + IDLE)
    }

    /// The leader looks whether the topics have grown, or have come into being.
    fn watches(&self) -> bool {
        self.member.leads() && self.member.is_stable() && self.counts.is_some()
    }

    fn tick(&mut self) {
        let now = Instant::now();
        let quiet = self.presence.elsewhere().map(|since| since + self.options.max_poll_interval);
        if quiet.is_some_and(|at| now >= at) && self.presence.give_up() {
            let interval = self.options.max_poll_interval;
            tracing::warn!(group = %self.options.group, ?interval, "the place in the group is given up: the user does not come for records");
            self.step(Event::Quiet);
        }
        if let Some(every) = self.options.auto_commit.filter(|_| now >= self.auto_due) {
            self.auto_due = now + every;
            self.auto_commit(Why::Auto);
        }
        if self.watches() && now >= self.count_due {
            self.count();
        }
        self.step(Event::Wake);
    }

    /// Commits what was read, if that is something new.
    fn auto_commit(&mut self, why: Why) {
        let idle = self.commits.is_empty() && self.member.takes_commits();
        if matches!(why, Why::Auto) && !idle {
            return;
        }
        let offsets = self.positions.all();
        if matches!(why, Why::Auto) && self.commits.has(&offsets) {
            return;
        }
        self.commits.push(Commit { offsets, why });
    }

    fn count(&mut self) {
        let coordinator = Arc::clone(&self.coordinator);
        let topics = self.counts.iter().flat_map(BTreeMap::keys).cloned().collect();
        self.count_due = Instant::now() + self.count_interval();
        self.done.spawn(async move { Done::Counted(requests::count(&coordinator, topics).await) });
    }

    fn count_interval(&self) -> Duration {
        let age = self.coordinator.cluster().options().metadata_max_age;
        let counts = self.counts.as_ref();
        let missing = counts.is_some_and(|counts| counts.values().any(|count| *count == 0));
        if missing { age.min(MISSING) } else { age }
    }

    fn take_command(&mut self, command: Option<Command>) {
        match command {
            Some(Command::Commit { offsets, reply }) => {
                self.commits.push(Commit { offsets, why: Why::Asked(reply) });
            }
            Some(Command::Release { offsets, gone }) => {
                let offsets = if self.options.auto_commit.is_some() { offsets } else { Vec::new() };
                self.commits.push(Commit { offsets, why: Why::Release(gone) });
            }
            Some(Command::Back) => self.step(Event::Back),
            Some(Command::Close { commit, reply }) => {
                self.closing = Some(reply);
                self.close(commit);
            }
            None => {
                self.user_gone = true;
                if self.closing.is_none() {
                    self.close(true);
                }
            }
        }
    }

    fn close(&mut self, commit: bool) {
        self.close_by = Some(Instant::now() + CLOSE_PATIENCE);
        match self.options.auto_commit.filter(|_| commit) {
            Some(_) => self.auto_commit(Why::Close),
            None => self.commits.push(Commit { offsets: Vec::new(), why: Why::Close }),
        }
    }

    fn take_done(&mut self, done: Done) {
        match done {
            Done::Event(event) => self.step(event),
            Done::Led(attempt, led) => {
                let shares = led.map(|(shares, counts)| {
                    self.counts = Some(counts);
                    self.count_due = Instant::now() + self.count_interval();
                    shares
                });
                self.step(Event::Led(attempt, shares));
            }
            Done::Stands(given, asked, found) => self.take_stands(given, asked, found),
            Done::Committed(commit, result) => self.take_committed(commit, result),
            Done::Counted(Ok(counts)) if self.watches() => {
                if self.counts.as_ref() != Some(&counts) {
                    tracing::info!(group = %self.options.group, "the topics have other partitions: the group rebalances");
                    self.step(Event::Changed);
                }
            }
            // Asked again when it is due.
            Done::Counted(_) => {}
        }
    }

    fn step(&mut self, event: Event) {
        for action in self.member.step(self.began.elapsed(), event) {
            self.act(action);
        }
    }

    fn act(&mut self, action: Action) {
        let (coordinator, options) = (Arc::clone(&self.coordinator), Arc::clone(&self.options));
        match action {
            Action::Join { attempt, member_id, generation, owned } => {
                let topics = Arc::clone(&self.topics);
                let place = Place { member_id, generation };
                self.spawn(async move {
                    let joined = requests::join(&coordinator, &options, &topics, place, owned);
                    Done::Event(Event::Joined(attempt, joined.await))
                });
            }
            Action::Lead { attempt, joined } => self.spawn(async move {
                Done::Led(attempt, requests::lead(&coordinator, &joined).await)
            }),
            Action::Sync { attempt, member_id, generation, protocol, shares } => {
                let place = Place { member_id, generation };
                self.spawn(async move {
                    let share = requests::sync(&coordinator, &options, place, protocol, shares);
                    Done::Event(Event::Synced(attempt, share.await))
                });
            }
            Action::Beat { attempt, member_id, generation } => {
                let place = Place { member_id, generation };
                self.spawn(async move {
                    let beaten = requests::beat(&coordinator, &options, place).await;
                    Done::Event(Event::Beat(attempt, beaten))
                });
            }
            Action::LeaveGroup(member_id) => self.spawn(async move {
                if let Err(error) = requests::leave(&coordinator, &options, member_id).await {
                    tracing::debug!(group = %options.group, %error, "leaving was not heard");
                }
                Done::Event(Event::Left)
            }),
            Action::Assign(added) => self.assign(added),
            Action::Revoke(gone) => self.revoke(&gone),
            Action::Lose(gone) => self.lose(&gone),
            Action::Fail(error) => {
                self.tell(Control::Failed(error));
                self.ended = true;
            }
            Action::End => self.ended = true,
        }
    }

    fn spawn(&mut self, work: impl Future<Output = Done> + Send + 'static) {
        self.done.spawn(work);
    }

    fn tell(&self, control: Control) {
        // A user who has gone is noticed by the other channel.
        let _ = self.to_user.send(control);
    }

    fn assign(&mut self, added: BTreeSet<TopicPartition>) {
        if added.is_empty() {
            if self.given.is_empty() {
                self.tell(Control::Assigned(Vec::new()));
            }
            return;
        }
        self.assignments += 1;
        self.awaited.extend(added.iter().map(|at| (at.clone(), self.assignments)));
        self.find_stands(self.assignments, added, Duration::ZERO);
    }

    fn find_stands(&mut self, given: u64, asked: BTreeSet<TopicPartition>, wait: Duration) {
        let (coordinator, options) = (Arc::clone(&self.coordinator), Arc::clone(&self.options));
        self.spawn(async move {
            tokio::time::sleep(wait).await;
            let partitions = asked.iter().cloned().collect();
            let found = stands(&coordinator, &options, partitions, given).await;
            Done::Stands(given, asked, found)
        });
    }

    fn take_stands(
        &mut self,
        given: u64,
        mut asked: BTreeSet<TopicPartition>,
        found: Result<Vec<(TopicPartition, Position)>, ClientError>,
    ) {
        asked.retain(|at| self.awaited.get(at) == Some(&given));
        match found {
            _ if asked.is_empty() => {}
            Ok(mut found) => {
                found.retain(|(at, _)| asked.contains(at));
                for at in asked {
                    self.awaited.remove(&at);
                    self.given.insert(at, given);
                }
                self.tell(Control::Assigned(found));
            }
            Err(error) if error.is_retriable() => {
                tracing::debug!(group = %self.options.group, %error, "committed offsets are asked for again");
                let wait = self.coordinator.cluster().backoff(2);
                self.find_stands(given, asked, wait);
            }
            Err(error) => {
                self.tell(Control::Failed(error));
                self.step(Event::Leave);
            }
        }
    }

    /// Those of the partitions that the user knows of.
    fn known(&mut self, gone: &BTreeSet<TopicPartition>) -> Vec<TopicPartition> {
        self.awaited.retain(|at, _| !gone.contains(at));
        gone.iter().filter(|at| self.given.contains_key(at)).cloned().collect()
    }

    fn revoke(&mut self, gone: &BTreeSet<TopicPartition>) {
        let known = self.known(gone);
        if known.is_empty() {
            self.step(Event::Released);
        } else {
            self.tell(Control::Revoked(known));
        }
    }

    fn lose(&mut self, gone: &BTreeSet<TopicPartition>) {
        let known = self.known(gone);
        self.given.retain(|at, _| !gone.contains(at));
        if !known.is_empty() {
            self.tell(Control::Lost(known));
        }
    }

    /// Sends the next commit, if one waits and the group takes commits.
    fn commit_next(&mut self) {
        while let Some(commit) = self.commits.pop() {
            let Commit { offsets, why } = commit;
            let (own, lost) = own(offsets, &self.given);
            if let (Why::Asked(_), Some(at)) = (&why, lost) {
                let words = format!("{at} was given to another member meanwhile");
                let error =
                    refused(&self.options.group, ErrorCode::IllegalGeneration, Some(words.into()));
                self.finish(Commit { offsets: own, why }, Err(error));
                continue;
            }
            let commit = Commit { offsets: own, why };
            if commit.offsets.is_empty() || self.commits.has(&commit.offsets) {
                self.finish(commit, Ok(()));
                continue;
            }
            let Some((member_id, generation)) = self.member.identity() else {
                let error = refused(&self.options.group, ErrorCode::UnknownMemberId, None);
                self.finish(commit, Err(error));
                continue;
            };
            let hurries = self.close_by.is_some_and(|at| Instant::now() >= at);
            if !self.member.takes_commits() && !hurries {
                // Until the group has its assignments.
                self.commits.again(commit);
                return;
            }
            let by = Committer {
                member_id: member_id.clone(),
                generation,
                instance: self.options.instance.clone(),
            };
            self.commits.in_flight = true;
            self.send_commit(by, commit);
        }
    }

    fn send_commit(&mut self, by: Committer, commit: Commit) {
        let coordinator = Arc::clone(&self.coordinator);
        self.spawn(async move {
            let offsets = sent(&commit.offsets);
            let (cluster, what) = (coordinator.cluster(), format!("commit of {}", by.member_id));
            let result = cluster
                .retrying(&what, || async {
                    let outcomes = coordinator.commit(&by, &offsets).await?;
                    outcomes.into_values().collect::<Result<(), ClientError>>()
                })
                .await;
            Done::Committed(commit, result)
        });
    }

    fn take_committed(&mut self, commit: Commit, result: Result<(), ClientError>) {
        self.commits.in_flight = false;
        match result {
            Ok(()) => self.commits.succeeded(&commit.offsets),
            Err(error) => {
                self.step(Event::CommitRefused(error.clone()));
                return self.finish(commit, Err(error));
            }
        }
        self.finish(commit, Ok(()));
    }

    /// A commit is done, or will not be.
    fn finish(&mut self, commit: Commit, result: Result<(), ClientError>) {
        if let (Err(error), Why::Auto | Why::Release(_)) = (&result, &commit.why) {
            tracing::warn!(group = %self.options.group, %error, "offsets were not committed: what was read is read again");
        }
        match commit.why {
            Why::Auto => {}
            Why::Asked(reply) => {
                let _ = reply.send(result);
            }
            Why::Release(gone) => {
                self.given.retain(|at, _| !gone.contains(at));
                self.step(Event::Released);
            }
            Why::Close => {
                self.close_result = result;
                self.step(Event::Leave);
            }
        }
    }
}
