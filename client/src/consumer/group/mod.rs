//! A member of a consumer group: the group's members share the partitions of some topics, and remember
//! how far they read.
//!
//! | file | what lives there |
//! |---|---|
//! | `assignor/` | PURE: who reads which partition |
//! | `member/` | PURE: what happened → what to do next, in a classic group and in one of KIP-848 |
//! | `requests.rs`, `blobs.rs` | requests of a classic group, and what members tell each other in them |
//! | `heartbeats.rs` | requests of a group of KIP-848 |
//! | `task/` | the one task of a member: does what `member/` says, beats, commits |
//! | `subscription.rs` | the topics: names, or a pattern |
//! | `stands.rs` | where reading begins in partitions that were assigned |
//! | `commit.rs` | the commits in line |
//! | `positions.rs`, `presence.rs`, `progress.rs` | what the task and the user's handles share |
//! | `events.rs` | what comes, and what of it the user is told |
//!
//! The handle reads: the task tells it what it is assigned, and it fetches with a plain
//! [`Consumer`]. A partition is given back only inside [`GroupConsumer::next`], so that what was handed
//! out before is dealt with by then, and its offset is committed before another member gets it.

mod assignor;
mod bare;
mod blobs;
mod commit;
mod events;
mod heartbeats;
mod member;
mod options;
mod positions;
mod presence;
mod progress;
mod requests;
mod stands;
mod subscription;
mod task;

use std::collections::BTreeMap;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::text::Text;
use futures_core::Stream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tracing::Instrument;

pub use assignor::Assignor;
pub use bare::{BareMember, MemberStanding};
pub(crate) use blobs::read_assignment;
pub use options::{GroupOptions, GroupProtocol};
pub(crate) use progress::Progress;
pub use subscription::{Pattern, Subscription};

use super::unpack::Unpacker;
use super::{Consumer, ConsumerRecord, Fetched, Moved, PartitionStream, Start, TopicPartition};
use crate::cluster::Cluster;
use crate::error::ClientError;
use events::{Going, Handed};
use positions::{Position, Positions};
use presence::Presence;
use task::{Command, Control, Task};

/// What happens to a member.
#[derive(Debug)]
#[non_exhaustive]
pub enum GroupEvent {
    /// Records of one partition.
    Records(Fetched),
    /// Reading goes on at another offset than it stood at.
    Moved(Moved),
    /// These are read from now on, beside what was assigned before; none when there is nothing to read.
    Assigned(Vec<TopicPartition>),
    /// Another member gets these. What was read of them can be committed until
    /// [`GroupConsumer::next`] is called again; with auto commit that happens by itself.
    Revoked(Vec<TopicPartition>),
    /// Another member may read these already: nothing can be committed, and what was read since the last
    /// commit is read again.
    Lost(Vec<TopicPartition>),
    /// All that is assigned was read up to its end ([`GroupOptions::stop_at_end`]).
    AtEnd,
}

/// Reads topics as a member of a group; made with [`GroupConsumer::join`].
///
/// ```no_run
/// use std::ops::ControlFlow;
/// use duramen_client::consumer::group::{GroupConsumer, GroupEvent, GroupOptions};
/// use duramen_client::{ClientError, Cluster, ClusterOptions};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let cluster = Cluster::new("localhost:9092", ClusterOptions::default())?;
/// let options = GroupOptions::new("payments").auto_commit(None);
/// let mut member = GroupConsumer::join(&cluster, options, ["orders"])?;
/// let mut scratch = Vec::new();
/// while let Some(event) = member.next().await {
///     match event? {
///         GroupEvent::Records(fetched) => {
///             let _ = fetched.visit(&mut scratch, |_, record| {
///                 println!("{}: {:?}", record.offset, record.value);
///                 ControlFlow::<()>::Continue(())
///             })?;
///             member.commit().await?;
///         }
///         event => println!("{event:?}"),
///     }
/// }
/// # Ok(())
/// # }
/// ```
///
/// Records come three ways, and which is used may change from call to call: as whole fetches
/// ([`GroupConsumer::next`]), as lists of records ([`GroupConsumer::poll`]), or one by one, as a [`Stream`].
/// In the last two, [`GroupConsumer::on_rebalance`] tells what else happens. Coming for more says that what
/// came before is dealt with.
///
/// Dropped, it leaves the group without a commit of what was handed out last; [`GroupConsumer::close`]
/// does so in order.
pub struct GroupConsumer {
    cluster: Cluster,
    options: Arc<GroupOptions>,
    /// At most one for each rebalance.
    control: mpsc::UnboundedReceiver<Control>,
    /// At most one for each call.
    commands: mpsc::UnboundedSender<Command>,
    positions: Arc<Positions>,
    presence: Arc<Presence>,
    reading: Consumer,
    unpacker: Unpacker,
    /// What was handed out last, and is dealt with when the user comes again.
    handed: Vec<Handed>,
    going: Option<Going>,
    /// The ends of tasks that read partitions of their own.
    readers: BTreeMap<TopicPartition, oneshot::Receiver<()>>,
    /// All that is assigned was read up to its end, which the user is to be told.
    at_end: bool,
    callback: Option<Callback>,
}

/// Told of rebalances.
type Callback = Box<dyn FnMut(&GroupEvent) + Send>;

impl GroupConsumer {
    /// Joins the group on the current tokio runtime. Topics that do not exist are read when they do.
    ///
    /// # Errors
    /// [`ClientError::Options`] when the options do not go together ([`GroupOptions::check`]).
    pub fn join(
        cluster: &Cluster,
        options: GroupOptions,
        subscription: impl Into<Subscription>,
    ) -> Result<Self, ClientError> {
        options.check()?;
        let options = Arc::new(options);
        let (positions, presence) = (Arc::<Positions>::default(), Arc::new(Presence::new()));
        let (to_user, control) = mpsc::unbounded_channel();
        let (commands, from_user) = mpsc::unbounded_channel();
        let task = Task::new(
            cluster.clone(),
            Arc::clone(&options),
            subscription.into(),
            (to_user, from_user),
            (Arc::clone(&positions), Arc::clone(&presence)),
        );
        let span = tracing::info_span!("group member", group = %options.group);
        tokio::spawn(task.run().instrument(span));
        Ok(Self {
            cluster: cluster.clone(),
            reading: Consumer::of_member(cluster, options.consumer.clone()),
            options,
            control,
            commands,
            positions,
            presence,
            unpacker: Unpacker::default(),
            handed: Vec::new(),
            going: None,
            readers: BTreeMap::new(),
            at_end: false,
            callback: None,
        })
    }

    /// What comes next; `None` after the end, which is an error or [`GroupConsumer::close`]. Being called
    /// says that what came before is dealt with. Cancel safe.
    ///
    /// # Errors
    /// The first error that is not passing; nothing comes after it.
    pub async fn next(&mut self) -> Option<Result<GroupEvent, ClientError>> {
        let _waiting = self.come();
        poll_fn(|cx| self.poll_event(cx)).await
    }

    /// What has come already, without waiting. As [`GroupConsumer::next`] otherwise.
    pub fn try_next(&mut self) -> Option<Result<GroupEvent, ClientError>> {
        let _waiting = self.come();
        match self.poll_event(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(event) => event,
            Poll::Pending => None,
        }
    }

    /// Up to `max` records: those that have come, or else the first that come within `wait`. None when
    /// nothing came, and at once at the end of all that is assigned ([`GroupOptions::stop_at_end`]). Being
    /// called says that what came before is dealt with. Cancel safe.
    ///
    /// # Errors
    /// The first error that is not passing.
    pub async fn poll(
        &mut self,
        max: usize,
        wait: Duration,
    ) -> Result<Vec<ConsumerRecord>, ClientError> {
        let _waiting = self.come();
        let first = timeout(wait, poll_fn(|cx| self.poll_record(cx))).await;
        let mut records = Vec::new();
        let mut next = first.unwrap_or_default().transpose()?;
        while let Some(record) = next {
            records.push(record);
            next = if records.len() < max { self.pop_record() } else { None };
        }
        Ok(records)
    }

    /// Tells `callback` of what else happens than records, before [`GroupConsumer::next`] returns it, and
    /// while records are read otherwise. Partitions that are revoked are given back when it has returned
    /// and the user comes for more; with auto commit, what was read of them is committed.
    pub fn on_rebalance(&mut self, callback: impl FnMut(&GroupEvent) + Send + 'static) {
        self.callback = Some(Box::new(callback));
    }

    /// Says that of what was handed out last only offsets below `next` were dealt with.
    pub fn dealt_with_up_to(&mut self, next: i64) {
        if let Some(last) = self.handed.last_mut() {
            last.next = next.min(last.next);
        }
    }

    /// Commits all that was handed out, the last included, and waits for the coordinator. When this is
    /// dropped before its end the commit goes on.
    ///
    /// # Errors
    /// When the group has given a partition to another member meanwhile, or the coordinator does not
    /// answer or refuses.
    pub async fn commit(&mut self) -> Result<(), ClientError> {
        self.begin_commit().await
    }

    /// Commits all that was handed out, the last included, without waiting: the result can be had when it
    /// is there, or dropped. Commits are sent in the order in which they were begun.
    pub fn begin_commit(&mut self) -> Committing {
        self.settle();
        self.commit_all(self.positions.all())
    }

    /// Commits these offsets, each the next one to read of its partition.
    ///
    /// # Errors
    /// [`ClientError::NotAssigned`] for a partition that is not assigned, and then none is committed.
    /// Otherwise as [`GroupConsumer::commit`].
    pub async fn commit_offsets(
        &mut self,
        offsets: &[(TopicPartition, i64)],
    ) -> Result<(), ClientError> {
        let at = |(at, next): &(TopicPartition, i64)| match self.positions.get(at) {
            Some(position) => Ok((at.clone(), Position { next: *next, ..position })),
            None => Err(ClientError::NotAssigned(at.clone())),
        };
        let offsets = offsets.iter().map(at).collect::<Result<Vec<_>, _>>()?;
        self.commit_all(offsets).await
    }

    fn commit_all(&self, offsets: Vec<(TopicPartition, Position)>) -> Committing {
        let (reply, done) = oneshot::channel();
        self.tell(Command::Commit { offsets, reply });
        Committing(done)
    }

    /// Reads other topics from now on, instead of those before.
    pub fn subscribe(&mut self, subscription: impl Into<Subscription>) {
        self.tell(Command::Subscribe(subscription.into()));
    }

    /// Nothing comes of these until they are [resumed](GroupConsumer::resume), or assigned anew. As
    /// [`Consumer::pause`].
    pub fn pause(&mut self, partitions: &[TopicPartition]) {
        for at in partitions {
            self.rewind(at);
        }
        self.reading.pause(partitions);
    }

    /// Goes on with these, where they stood when they were paused.
    pub fn resume(&mut self, partitions: &[TopicPartition]) {
        self.reading.resume(partitions);
    }

    /// Those that are paused.
    #[must_use]
    pub fn paused(&self) -> Vec<TopicPartition> {
        self.reading.paused()
    }

    /// Goes on elsewhere in a partition, at the offset that is returned; the next commit says so to the
    /// group. Cancel safe.
    ///
    /// # Errors
    /// [`ClientError::NotAssigned`] when it is not assigned (any more); otherwise when the offset can't be
    /// had.
    pub async fn seek(&mut self, at: &TopicPartition, to: Start) -> Result<i64, ClientError> {
        if self.positions.get(at).is_none() {
            return Err(ClientError::NotAssigned(at.clone()));
        }
        let isolation = self.options.consumer.isolation;
        let offset = stands::offset_of(&self.cluster, isolation, at, to).await?;
        self.unpacker.forget(at);
        self.handed.retain(|handed| handed.at != *at);
        self.reading.seek(at, Start::Offset(offset))?;
        self.positions.go_to(at, None, offset);
        Ok(offset)
    }

    /// Reads a partition apart from now on, in a task of its own, until it goes; that it does waits until
    /// the stream has told its end, or is dropped. The member has to be asked for more all the same, since
    /// it is what hears of rebalances. As [`Consumer::split`].
    ///
    /// # Errors
    /// [`ClientError::NotAssigned`] when it is not assigned.
    pub fn split(&mut self, at: &TopicPartition) -> Result<PartitionStream, ClientError> {
        self.rewind(at);
        let position =
            self.positions.get(at).ok_or_else(|| ClientError::NotAssigned(at.clone()))?;
        let (progress, ended) = Progress::new(at, position.given, &self.positions);
        let stream = self.reading.split_with(at, Some(progress))?;
        self.readers.insert(at.clone(), ended);
        Ok(stream)
    }

    /// What is taken apart of a partition is read again later.
    fn rewind(&mut self, at: &TopicPartition) {
        if let Some(unread) = self.unpacker.forget(at) {
            // One that is not read any more needs no place.
            let _ = self.reading.seek(at, Start::Offset(unread));
        }
    }

    /// The next offset to read of each partition assigned.
    #[must_use]
    pub fn positions(&self) -> Vec<(TopicPartition, i64)> {
        let all = self.positions.all().into_iter();
        all.map(|(partition, position)| (partition, position.next)).collect()
    }

    /// Leaves the group; with auto commit, all that was handed out is committed first. When this is dropped
    /// before its end, that goes on.
    ///
    /// # Errors
    /// When that commit failed.
    pub async fn close(mut self) -> Result<(), ClientError> {
        self.settle();
        self.end(true).await
    }

    /// Leaves the group without a commit: what was read since the last one is read again.
    pub async fn leave(self) {
        // Nothing that may fail is asked for.
        let _ = self.end(false).await;
    }

    async fn end(self, commit: bool) -> Result<(), ClientError> {
        let (reply, done) = oneshot::channel();
        self.tell(Command::Close { commit, reply });
        // Nothing is fetched any more.
        drop(self);
        // A member that has ended already has nothing left to commit.
        done.await.unwrap_or(Ok(()))
    }

    fn tell(&self, command: Command) {
        // A task that has ended says so through the other channel.
        let _ = self.commands.send(command);
    }
}

impl Stream for GroupConsumer {
    type Item = Result<ConsumerRecord, ClientError>;

    /// The next record, up to the end of all that is assigned ([`GroupOptions::stop_at_end`]).
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_streamed(cx)
    }
}

impl fmt::Debug for GroupConsumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { options, positions, reading, .. } = self;
        f.debug_struct("GroupConsumer")
            .field("group", &options.group)
            .field("positions", positions)
            .field("reading", reading)
            .finish_non_exhaustive()
    }
}

/// The result of a commit that is under way. Dropping it does not stop the commit.
#[derive(Debug)]
#[must_use = "whether it is committed is known by awaiting this; drop it where that does not matter"]
pub struct Committing(oneshot::Receiver<Result<(), ClientError>>);

impl Future for Committing {
    type Output = Result<(), ClientError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(|done| done.unwrap_or(Err(ClientError::Closed)))
    }
}

/// A refusal of something about a group.
fn refused(group: &Text, code: ErrorCode, message: Option<Text>) -> ClientError {
    ClientError::refused(format!("group {group}"), code, message)
}
