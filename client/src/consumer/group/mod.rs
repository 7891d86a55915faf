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
//! | `positions.rs`, `presence.rs` | what the task and the user's handle share |
//!
//! The handle reads: the task tells it what it is assigned, and it fetches with a plain
//! [`Consumer`]. A partition is given back only inside [`GroupConsumer::next`], so that what was handed
//! out before is dealt with by then, and its offset is committed before another member gets it.

mod assignor;
mod blobs;
mod commit;
mod heartbeats;
mod member;
mod options;
mod positions;
mod presence;
mod requests;
mod stands;
mod subscription;
mod task;

use std::sync::Arc;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::text::Text;
use tokio::sync::{mpsc, oneshot};

pub use assignor::Assignor;
pub(crate) use blobs::read_assignment;
pub use options::{GroupOptions, GroupProtocol};
pub use subscription::{Pattern, Subscription};

use super::{Assignment, Consumer, Event, Fetched, Moved, Start, TopicPartition};
use crate::cluster::Cluster;
use crate::error::ClientError;
use positions::{Position, Positions};
use presence::{Presence, Waiting};
use task::{Command, Control, Task};

/// What happens to a member.
#[derive(Debug)]
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
/// let options = GroupOptions { auto_commit: None, ..GroupOptions::new("payments") };
/// let mut member = GroupConsumer::join(&cluster, options, ["orders"]);
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
/// Dropped, it leaves the group without a commit of what was handed out last; [`GroupConsumer::close`]
/// does so in order.
#[derive(Debug)]
pub struct GroupConsumer {
    cluster: Cluster,
    options: Arc<GroupOptions>,
    /// At most one for each rebalance.
    control: mpsc::UnboundedReceiver<Control>,
    /// At most one for each call.
    commands: mpsc::UnboundedSender<Command>,
    positions: Arc<Positions>,
    presence: Arc<Presence>,
    reading: Option<Consumer>,
    /// What was handed out last, and is dealt with when the user comes again.
    last: Option<(TopicPartition, i64, i32)>,
    /// Told as revoked, and given back when the user comes again.
    going: Option<Vec<TopicPartition>>,
    /// Nothing is assigned, and so nothing is left to read.
    at_end: bool,
}

impl GroupConsumer {
    /// Joins the group on the current tokio runtime. Topics that do not exist are read when they do.
    #[must_use]
    pub fn join(
        cluster: &Cluster,
        options: GroupOptions,
        subscription: impl Into<Subscription>,
    ) -> Self {
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
        tokio::spawn(task.run());
        Self {
            cluster: cluster.clone(),
            options,
            control,
            commands,
            positions,
            presence,
            reading: None,
            last: None,
            going: None,
            at_end: false,
        }
    }

    /// What comes next; `None` after the end, which is an error or [`GroupConsumer::close`]. Being called
    /// says that what came before is dealt with. Cancel safe.
    ///
    /// # Errors
    /// The first error that is not passing; nothing comes after it.
    pub async fn next(&mut self) -> Option<Result<GroupEvent, ClientError>> {
        let presence = Arc::clone(&self.presence);
        let _waiting = self.come(&presence);
        loop {
            tokio::select! {
                biased;
                control = self.control.recv() => match self.take_control(control?) {
                    Ok(None) => {}
                    Ok(Some(event)) => return Some(Ok(event)),
                    Err(error) => return Some(Err(error)),
                },
                event = read(&mut self.reading) => return Some(match event {
                    Some(event) => event.map(|event| self.take_event(event)),
                    None => {
                        self.reading = None;
                        Ok(GroupEvent::AtEnd)
                    }
                }),
                () = std::future::ready(()), if self.at_end => {
                    self.at_end = false;
                    return Some(Ok(GroupEvent::AtEnd));
                }
            }
        }
    }

    /// What has come already, without waiting. As [`GroupConsumer::next`] otherwise.
    pub fn try_next(&mut self) -> Option<Result<GroupEvent, ClientError>> {
        let presence = Arc::clone(&self.presence);
        let _waiting = self.come(&presence);
        if let Ok(control) = self.control.try_recv() {
            return self.take_control(control).transpose();
        }
        let event = self.reading.as_mut()?.try_next()?;
        Some(event.map(|event| self.take_event(event)))
    }

    /// Says that of what was handed out last only offsets below `next` were dealt with.
    pub fn dealt_with_up_to(&mut self, next: i64) {
        if let Some((_, end, _)) = &mut self.last {
            *end = next.min(*end);
        }
    }

    /// Commits all that was handed out, the last included.
    ///
    /// # Errors
    /// When the group has given a partition to another member meanwhile, or the coordinator does not
    /// answer or refuses.
    pub async fn commit(&mut self) -> Result<(), ClientError> {
        self.settle();
        let offsets = self.positions.all();
        let (reply, done) = oneshot::channel();
        self.tell(Command::Commit { offsets, reply });
        done.await.unwrap_or(Err(ClientError::Closed))
    }

    /// Reads other topics from now on, instead of those before.
    pub fn subscribe(&mut self, subscription: impl Into<Subscription>) {
        self.tell(Command::Subscribe(subscription.into()));
    }

    /// The next offset to read of each partition assigned.
    #[must_use]
    pub fn positions(&self) -> Vec<(TopicPartition, i64)> {
        let all = self.positions.all().into_iter();
        all.map(|(partition, position)| (partition, position.next)).collect()
    }

    /// Leaves the group; with auto commit, all that was handed out is committed first.
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

    async fn end(mut self, commit: bool) -> Result<(), ClientError> {
        self.reading = None;
        let (reply, done) = oneshot::channel();
        self.tell(Command::Close { commit, reply });
        // A member that has ended already has nothing left to commit.
        done.await.unwrap_or(Ok(()))
    }

    fn tell(&self, command: Command) {
        // A task that has ended says so through the other channel.
        let _ = self.commands.send(command);
    }

    /// The user comes for more: what he had is dealt with, and what goes is given back.
    fn come<'a>(&mut self, presence: &'a Presence) -> Waiting<'a> {
        self.settle();
        self.release();
        let (waiting, was_away) = presence.enter();
        if was_away {
            self.tell(Command::Back);
        }
        waiting
    }

    /// What was handed out last is dealt with.
    fn settle(&mut self) {
        if let Some((partition, next, epoch)) = self.last.take() {
            self.positions.advance(&partition, next, epoch);
        }
    }

    /// Gives back what was told as revoked.
    fn release(&mut self) {
        if let Some(going) = self.going.take() {
            let offsets = self.positions.remove(&going);
            self.tell(Command::Release { offsets, gone: going });
        }
    }

    fn take_control(&mut self, control: Control) -> Result<Option<GroupEvent>, ClientError> {
        match control {
            Control::Assigned(added) => {
                let named = added.iter().map(|(partition, _)| partition.clone()).collect();
                self.positions.insert(added);
                self.read(&[]);
                self.at_end = self.options.stop_at_end && self.reading.is_none();
                Ok(Some(GroupEvent::Assigned(named)))
            }
            Control::Revoked(gone) => {
                self.read(&gone);
                self.going = Some(gone.clone());
                Ok(Some(GroupEvent::Revoked(gone)))
            }
            Control::Lost(gone) => {
                self.positions.remove(&gone);
                self.read(&[]);
                Ok(Some(GroupEvent::Lost(gone)))
            }
            Control::Failed(error) => {
                self.reading = None;
                Err(error)
            }
        }
    }

    /// Reads what is assigned but for what goes, from where it was dealt with.
    fn read(&mut self, going: &[TopicPartition]) {
        let from: Vec<Assignment> = self
            .positions
            .all()
            .into_iter()
            .filter(|(partition, _)| !going.contains(partition))
            .map(|(partition, Position { next, end, .. })| Assignment {
                topic: partition.topic,
                partition: partition.partition,
                start: Start::Offset(next),
                end,
            })
            .collect();
        self.reading = (!from.is_empty())
            .then(|| Consumer::start(&self.cluster, self.options.consumer.clone(), from));
    }

    fn take_event(&mut self, event: Event) -> GroupEvent {
        match event {
            Event::Records(fetched) => {
                let partition = TopicPartition::new(fetched.topic.clone(), fetched.partition);
                let epoch = fetched.batches().last().map_or(-1, |it| it.partition_leader_epoch());
                self.last = Some((partition, fetched.next_offset(), epoch));
                GroupEvent::Records(fetched)
            }
            Event::Moved(moved) => {
                let partition = TopicPartition::new(moved.topic.clone(), moved.partition);
                self.positions.go_to(&partition, moved.to);
                GroupEvent::Moved(moved)
            }
        }
    }
}

/// The next event of what is read; never, when nothing is.
async fn read(reading: &mut Option<Consumer>) -> Option<Result<Event, ClientError>> {
    match reading {
        Some(consumer) => consumer.next().await,
        None => std::future::pending().await,
    }
}

/// A refusal of something about a group.
fn refused(group: &Text, code: ErrorCode, message: Option<Text>) -> ClientError {
    ClientError::refused(format!("group {group}"), code, message)
}
