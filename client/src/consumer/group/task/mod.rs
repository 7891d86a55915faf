//! The one task of a member: does what [`super::member`] says, beats, and commits.
//!
//! `act.rs` does what the member asks for, `commits.rs` sends commits, `topics.rs` looks after topics that
//! come and grow.

mod act;
mod commits;
mod topics;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use duramen_protocol::ids::{TopicId, topic_id_to_base64};
use duramen_protocol::text::Text;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use super::commit::{Commit, Commits, Why};
use super::member::{Assignments, Event, Habits, JoinAnswer, Member};
use super::positions::{Position, Positions};
use super::presence::Presence;
use super::requests::Counts;
use super::{GroupOptions, GroupProtocol, Subscription, TopicPartition};
use crate::cluster::Cluster;
use crate::coordinator::Coordinator;
use crate::error::{ClientError, Remedy};
use crate::random::Random;
use crate::trouble::Trying;
use topics::Looked;

/// How long the task sleeps when nothing is due.
const IDLE: Duration = Duration::from_secs(60);
/// How long a member that closes waits for a rebalance to end, to commit what it has read.
const CLOSE_PATIENCE: Duration = Duration::from_secs(10);

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
    /// Its topic is not there any more; the user does not read it.
    Gone(TopicPartition),
    /// Other topics are to be read.
    Subscribe(Subscription),
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
    /// Joined as a classic member that wants these topics.
    Joined(u64, Vec<Text>, Result<JoinAnswer, ClientError>),
    Led(u64, Result<(Assignments, Counts), ClientError>),
    Stands(u64, BTreeSet<TopicPartition>, Result<Vec<(TopicPartition, Position)>, ClientError>),
    Committed(Commit, Result<commits::Gone, ClientError>),
    Looked(Result<Looked, ClientError>),
}

/// Who the member is to the coordinator: its id, and its generation or epoch.
type Identity = Option<(Text, i32)>;

/// See the top of the file.
pub(super) struct Task {
    options: Arc<GroupOptions>,
    subscription: Arc<Subscription>,
    coordinator: Arc<Coordinator>,
    habits: Habits,
    member: Member,
    identity: watch::Sender<Identity>,
    /// How often the member became one of the other protocol since it had a place.
    sides_changed: u32,
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
    /// To have a place in the group.
    trying: Trying,
    /// To learn where reading begins.
    asking: Trying,
    /// What is assigned and of which the topic is not there, with the topic's id; nil when any of that name
    /// will do.
    missing: BTreeMap<TopicPartition, TopicId>,
    /// How often that was looked for.
    looked: u32,
    commits: Commits,
    auto_due: Instant,
    /// Of a classic member: the topics that it said it wants.
    topics: Vec<Text>,
    /// Of the leader: the partitions at the last assignment.
    counts: Option<Counts>,
    look_due: Instant,
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
        subscription: Subscription,
        (to_user, from_user): (mpsc::UnboundedSender<Control>, mpsc::UnboundedReceiver<Command>),
        (positions, presence): (Arc<Positions>, Arc<Presence>),
    ) -> Self {
        let habits = Habits {
            cooperative: options.is_cooperative(),
            is_static: options.instance.is_some(),
            either: options.protocol == GroupProtocol::Auto,
            heartbeat: options.heartbeat,
            session_timeout: options.session_timeout,
            backoff: cluster.options().backoff,
        };
        let now = Instant::now();
        Self {
            coordinator: Arc::new(Coordinator::new(&cluster, &options.group)),
            member: member(habits, options.protocol == GroupProtocol::Classic),
            habits,
            identity: watch::Sender::new(None),
            sides_changed: 0,
            auto_due: now + options.auto_commit.unwrap_or(IDLE),
            subscription: Arc::new(subscription),
            options,
            began: now,
            to_user,
            from_user,
            positions,
            presence,
            given: BTreeMap::new(),
            awaited: BTreeMap::new(),
            assignments: 0,
            trying: Trying::new(cluster.meter()),
            asking: Trying::new(cluster.meter()),
            missing: BTreeMap::new(),
            looked: 0,
            commits: Commits::default(),
            topics: Vec::new(),
            counts: None,
            look_due: now,
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
        let look = self.looks().then_some(self.look_due);
        let quiet = self.presence.elsewhere().map(|since| since + self.options.max_poll_interval);
        // Once it has passed, the commit is sent: it wakes nobody again.
        let close = self.close_by.filter(|at| *at > Instant::now());
        let times = [member, auto, look, quiet, close].into_iter().flatten();
        times.min().unwrap_or_else(|| Instant::now() + IDLE)
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
        if self.looks() && now >= self.look_due {
            self.look();
        }
        self.step(Event::Wake);
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
            Some(Command::Gone(at)) => self.gone(at),
            Some(Command::Subscribe(subscription)) => {
                self.subscription = Arc::new(subscription);
                self.step(Event::Changed);
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

    /// What an answer says to the metrics.
    fn count(&self, done: &Done) {
        let meter = self.coordinator.cluster().meter();
        match done {
            Done::Event(Event::Beat(_, Ok(()))) => meter.heartbeats.add(1),
            Done::Event(Event::Heard(_, Ok(heard))) => {
                meter.heartbeats.add(1);
                meter.rebalances.add(heard.assignment.is_some().into());
            }
            Done::Event(Event::Synced(_, Ok(_))) => meter.rebalances.add(1),
            Done::Committed(_, Ok(_)) => meter.commits.add(1),
            Done::Committed(_, Err(_)) => meter.commits_failed.add(1),
            _ => {}
        }
    }

    /// What an answer says to whoever waits for a place.
    fn tell_trouble(&mut self, done: &Done) {
        let error = match done {
            Done::Event(Event::Beat(_, answer)) => answer.as_ref().err(),
            Done::Event(Event::Heard(_, answer)) => answer.as_ref().err(),
            Done::Event(Event::Synced(_, answer)) => answer.as_ref().err(),
            Done::Joined(_, _, answer) => answer.as_ref().err(),
            Done::Led(_, answer) => answer.as_ref().err(),
            _ => return,
        };
        match error {
            Some(error) if error.is_retriable() => self.trying.failed(error),
            // It has no place before it has heard of its share.
            None if matches!(done, Done::Joined(..) | Done::Led(..)) => {}
            Some(error) if error.remedy() == Remedy::Change => self.trying.is_given_up(),
            // Also when the group has gone on without it: the coordinator decides.
            _ => self.trying.is_well(),
        }
    }

    fn take_done(&mut self, done: Done) {
        self.count(&done);
        self.tell_trouble(&done);
        match done {
            Done::Event(event) => self.step(event),
            Done::Joined(attempt, topics, joined) => {
                self.topics = topics;
                self.step(Event::Joined(attempt, joined));
            }
            Done::Led(attempt, led) => {
                let shares = led.map(|(shares, counts)| {
                    self.counts = Some(counts);
                    self.look_due = Instant::now() + self.look_interval();
                    shares
                });
                self.step(Event::Led(attempt, shares));
            }
            Done::Stands(given, asked, found) => self.take_stands(given, asked, found),
            Done::Committed(commit, result) => self.take_committed(commit, result),
            Done::Looked(looked) => self.take_looked(looked),
        }
    }

    fn step(&mut self, event: Event) {
        for action in self.member.step(self.began.elapsed(), event) {
            self.act(action);
        }
        let identity = self.member.identity().map(|(id, epoch)| (id.clone(), epoch));
        self.identity.send_if_modified(|known| {
            let news = *known != identity;
            *known = identity;
            news
        });
    }

    fn spawn(&mut self, work: impl Future<Output = Done> + Send + 'static) {
        self.done.spawn(work);
    }

    fn tell(&self, control: Control) {
        // A user who has gone is noticed by the other channel.
        let _ = self.to_user.send(control);
    }
}

/// A member that has no place yet.
fn member(habits: Habits, classic: bool) -> Member {
    let random = Random::from_entropy();
    match classic {
        true => Member::classic(habits, random),
        // Kafka's form of such ids.
        false => Member::consumer(habits, topic_id_to_base64(&Uuid::new_v4()).into(), random),
    }
}
