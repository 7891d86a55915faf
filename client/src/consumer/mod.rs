//! The offset-driven consumer: given partitions and offsets, it reads them as a stream. `group/` has the
//! consumer whose partitions a group gives it.
//!
//! One task per consumer (`fetcher.rs`, `answers.rs`) keeps a fetch at every broker, in a session
//! (`session.rs`), checks what comes (`accept.rs`, pure) and puts it into a queue bounded in bytes
//! (`budget.rs`). The handle knows what of it is still wanted (`places.rs`). [`Consumer::next`] hands out
//! whole fetches for reading without copies; as a [`Stream`] it gives single records that own their bytes;
//! `split.rs` gives one partition to a task of its own.

mod accept;
mod answers;
mod budget;
mod command;
mod fetched;
mod fetcher;
pub mod group;
mod options;
mod places;
mod position;
mod record;
mod request;
mod session;
mod split;
mod unpack;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::records::BatchError;
use duramen_protocol::text::Text;
use futures_core::Stream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::Instrument;

pub use duramen_protocol::ids::TopicPartition;
pub use duramen_protocol::records::{BatchView, HeaderView, RecordView};
pub use fetched::Fetched;
pub use options::{Assignment, ConsumerOptions, Isolation, Reset, Start};
pub use record::{ConsumerRecord, RecordHeader};
pub use split::PartitionStream;

use crate::cluster::Cluster;
use crate::error::ClientError;
use command::{Command, Told};
use fetcher::Fetcher;
use group::Progress;
use places::Places;
use unpack::Unpacker;

/// What happens while reading.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// Records of one partition.
    Records(Fetched),
    /// Reading goes on at another offset than it stood at.
    Moved(Moved),
}

impl Event {
    /// The user has it.
    fn taken(&self) {
        if let Self::Records(fetched) = self {
            fetched.taken();
        }
    }

    /// The offset at which it begins.
    fn from(&self) -> i64 {
        match self {
            Self::Records(fetched) => fetched.content.from,
            Self::Moved(moved) => moved.to,
        }
    }

    /// The offset at which reading goes on behind it.
    fn next(&self) -> i64 {
        match self {
            Self::Records(fetched) => fetched.next_offset(),
            Self::Moved(moved) => moved.to,
        }
    }
}

/// A jump of the position.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Moved {
    /// The topic's name.
    pub topic: Text,
    /// The partition's number.
    pub partition: i32,
    /// The offset that was to be read next; -1 when it is not known.
    pub from: i64,
    /// The offset that is read next.
    pub to: i64,
    /// Why.
    pub why: MovedWhy,
}

/// Why a position jumped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MovedWhy {
    /// The records there were deleted, or never written.
    OutOfRange,
    /// The log was cut back there: records that were read before are not in it any more (KIP-320).
    Truncated,
    /// The topic was deleted, and made again: this is another one, read from its start.
    Recreated,
    /// The records there are damaged on the broker's disk
    /// ([`ConsumerOptions::skip_damage`]).
    Damaged,
}

/// What a group has to know.
pub(crate) enum Step {
    Event(Event),
    /// The topic is not there any more, or another has its name; the partition is read no more.
    Gone(TopicPartition),
}

/// Reads partitions from given offsets; made with [`Consumer::start`].
///
/// [`Consumer::next`] gives whole fetches, of which records are read where they lie. [`Consumer::poll`] and
/// the [`Stream`] give records that own their bytes, cut out of the same memory without a copy.
///
/// ```no_run
/// use std::ops::ControlFlow;
/// use duramen_client::consumer::{Assignment, Event, Start, TopicPartition};
/// use duramen_client::{Cluster, ClusterOptions, Consumer, ConsumerOptions};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let cluster = Cluster::new("localhost:9092", ClusterOptions::default())?;
/// let orders = |start| Assignment::new("orders", 0, start);
/// let from = vec![orders(Start::Earliest)];
/// let mut consumer = Consumer::start(&cluster, ConsumerOptions::default(), from)?;
/// let mut scratch = Vec::new();
/// while let Some(event) = consumer.next().await {
///     let Event::Records(fetched) = event? else { continue };
///     let _ = fetched.visit(&mut scratch, |_, record| {
///         println!("{}: {:?}", record.offset, record.value);
///         ControlFlow::<()>::Continue(())
///     })?;
///     if fetched.next_offset() > 1000 {
///         break;
///     }
/// }
/// // Yesterday's again, a hundred at a time.
/// let yesterday = 1_764_201_600_000;
/// consumer.seek(&TopicPartition::new("orders", 0), Start::Time(yesterday))?;
/// for record in consumer.poll(100, std::time::Duration::from_secs(1)).await? {
///     println!("{}: {:?}", record.offset, record.value);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Consumer {
    /// Bounded in bytes by the fetcher's budget.
    told: mpsc::UnboundedReceiver<Told>,
    /// At most a few for each call.
    commands: mpsc::UnboundedSender<Command>,
    places: Places,
    /// What comes next: held back while its partition was paused.
    ready: VecDeque<(TopicPartition, Event)>,
    unpacker: Unpacker,
    /// To be told next.
    error: Option<ClientError>,
    failed: bool,
}

impl Consumer {
    /// Starts reading on the current tokio runtime. It ends at the first error that is not passing, or when
    /// it is dropped.
    ///
    /// # Errors
    /// [`ClientError::Options`] when the options do not hold ([`ConsumerOptions::check`]).
    pub fn start(
        cluster: &Cluster,
        options: ConsumerOptions,
        from: Vec<Assignment>,
    ) -> Result<Self, ClientError> {
        options.check()?;
        Ok(Self::begin(cluster, options, true, from))
    }

    /// For a group, which has looked at the options: a topic that goes is told, and ends nothing.
    pub(crate) fn of_member(cluster: &Cluster, options: ConsumerOptions) -> Self {
        Self::begin(cluster, options, false, Vec::new())
    }

    fn begin(
        cluster: &Cluster,
        options: ConsumerOptions,
        fails_without_topic: bool,
        from: Vec<Assignment>,
    ) -> Self {
        let (to_user, told) = mpsc::unbounded_channel();
        let (commands, from_user) = mpsc::unbounded_channel();
        let places = Places::new(options.prefetch_bytes / 2);
        let fetcher =
            Fetcher::new(cluster.clone(), options, fails_without_topic, from_user, to_user);
        let mut consumer = Self {
            told,
            commands,
            places,
            ready: VecDeque::new(),
            unpacker: Unpacker::default(),
            error: None,
            failed: false,
        };
        from.into_iter().for_each(|assignment| consumer.read(assignment));
        tokio::spawn(fetcher.run().instrument(tracing::info_span!("consumer")));
        consumer
    }

    /// What comes next; `None` when every partition has reached its end. Cancel safe.
    ///
    /// # Errors
    /// The first error that is not passing; nothing comes after it.
    pub async fn next(&mut self) -> Option<Result<Event, ClientError>> {
        poll_fn(|cx| self.poll_next_event(cx)).await
    }

    /// What has come already, without waiting.
    pub fn try_next(&mut self) -> Option<Result<Event, ClientError>> {
        let mut cx = Context::from_waker(Waker::noop());
        match self.poll_next_event(&mut cx) {
            Poll::Ready(event) => event,
            Poll::Pending => None,
        }
    }

    /// Up to `max` records: those that have come, or else the first that come within `wait`. None when
    /// nothing came, and at once when every partition has reached its end. Cancel safe.
    ///
    /// # Errors
    /// As [`Consumer::next`].
    pub async fn poll(
        &mut self,
        max: usize,
        wait: Duration,
    ) -> Result<Vec<ConsumerRecord>, ClientError> {
        let first = timeout(wait, poll_fn(|cx| self.poll_record(cx, log_moved))).await;
        let mut records = Vec::new();
        let mut next = first.unwrap_or_default().transpose()?;
        while let Some(record) = next {
            records.push(record);
            next = if records.len() < max { self.pop_record() } else { None };
        }
        Ok(records)
    }

    /// A further record that is there already; an error comes the next time.
    fn pop_record(&mut self) -> Option<ConsumerRecord> {
        let mut cx = Context::from_waker(Waker::noop());
        match self.poll_record(&mut cx, log_moved) {
            Poll::Ready(Some(Ok(record))) => Some(record),
            Poll::Ready(Some(Err(error))) => {
                self.put_back(error);
                None
            }
            Poll::Ready(None) | Poll::Pending => None,
        }
    }

    /// Nothing comes any more.
    pub(crate) fn fail(&mut self) {
        self.failed = true;
        self.ready.clear();
    }

    /// Whether that was so.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed
    }

    /// An error that the user is told when he comes again.
    pub(crate) fn put_back(&mut self, error: ClientError) {
        self.error = Some(error);
    }

    /// Whether there is such an error.
    pub(crate) fn is_failing(&self) -> bool {
        self.error.is_some()
    }

    /// Reads a partition, too. One that is read already goes on as this says.
    pub fn read(&mut self, assignment: Assignment) {
        let at = TopicPartition::new(assignment.topic.clone(), assignment.partition);
        self.forget(&at);
        let todo = self.places.read(assignment);
        self.order(todo);
    }

    /// Reads these no more. What was fetched of them and not taken is dropped.
    pub fn stop(&mut self, partitions: &[TopicPartition]) {
        for at in partitions {
            self.forget(at);
            let todo = self.places.stop(at);
            self.order(todo);
        }
    }

    /// Nothing comes of these until they are [resumed](Consumer::resume). Half of the prefetch memory keeps
    /// what was fetched of them already; more is fetched again.
    pub fn pause(&mut self, partitions: &[TopicPartition]) {
        for at in partitions {
            let unread = self.forget(at);
            let todo = self.places.pause(at, unread);
            self.order(todo);
        }
    }

    /// Goes on with these, where they stood when they were paused.
    pub fn resume(&mut self, partitions: &[TopicPartition]) {
        for at in partitions {
            let (todo, held) = self.places.resume(at);
            self.order(todo);
            self.ready.extend(held.into_iter().map(|event| (at.clone(), event)));
        }
    }

    /// Those that are paused.
    #[must_use]
    pub fn paused(&self) -> Vec<TopicPartition> {
        self.places.paused()
    }

    /// Goes on elsewhere in a partition. What was fetched of it and not taken is dropped.
    ///
    /// # Errors
    /// [`ClientError::NotAssigned`] when it is not read here.
    pub fn seek(&mut self, at: &TopicPartition, to: Start) -> Result<(), ClientError> {
        self.check(at)?;
        self.forget(at);
        let todo = self.places.seek(at, to);
        self.order(todo);
        Ok(())
    }

    /// Reads a partition apart from now on, from where it stands: nothing of it comes here any more. It has
    /// prefetch memory of its own, up to twice [`ConsumerOptions::partition_bytes`], so that partitions do
    /// not wait for each other.
    ///
    /// # Errors
    /// [`ClientError::NotAssigned`] when it is not read here.
    pub fn split(&mut self, at: &TopicPartition) -> Result<PartitionStream, ClientError> {
        self.split_with(at, None)
    }

    pub(crate) fn split_with(
        &mut self,
        at: &TopicPartition,
        progress: Option<Progress>,
    ) -> Result<PartitionStream, ClientError> {
        self.check(at)?;
        if let Some(unread) = self.forget(at) {
            let todo = self.places.seek(at, Start::Offset(unread));
            self.order(todo);
        }
        let (stream, apart, outlet) = PartitionStream::new(at.clone(), progress);
        let todo = self.places.split(at, apart);
        self.order(todo);
        // From here on it is the fetcher's: the stream ends when it lets go.
        drop(outlet);
        Ok(stream)
    }

    fn check(&self, at: &TopicPartition) -> Result<(), ClientError> {
        match self.places.contains(at) {
            true => Ok(()),
            false => Err(ClientError::NotAssigned(at.clone())),
        }
    }

    fn order(&self, todo: Vec<Command>) {
        for command in todo {
            // A fetcher that has ended has said so.
            let _ = self.commands.send(command);
        }
    }

    /// Forgets what was taken in of a partition and not handed out; where that began.
    fn forget(&mut self, at: &TopicPartition) -> Option<i64> {
        let unpacked = self.unpacker.forget(at);
        let first = self.ready.iter().find(|(of, _)| of == at).map(|(_, event)| event.from());
        self.ready.retain(|(of, _)| of != at);
        unpacked.or(first)
    }

    /// Whether every partition has reached its end, and all of it was handed out.
    pub(crate) fn is_done(&self) -> bool {
        let is_empty = self.ready.is_empty() && self.error.is_none();
        is_empty && (self.failed || self.places.all_done())
    }

    fn poll_next_event(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Event, ClientError>>> {
        if let Some(fetched) = self.unpacker.rest() {
            return Poll::Ready(Some(Ok(Event::Records(fetched))));
        }
        loop {
            return Poll::Ready(match ready!(self.poll_step(cx)) {
                Some(Ok(Step::Event(event))) => Some(Ok(event)),
                // The fetcher was told to end with an error instead.
                Some(Ok(Step::Gone(_))) => continue,
                Some(Err(error)) => Some(Err(error)),
                None => None,
            });
        }
    }

    /// What comes next, also what a group has to know.
    pub(crate) fn poll_step(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Step, ClientError>>> {
        loop {
            if let Some(error) = self.error.take() {
                return Poll::Ready(Some(Err(error)));
            }
            if let Some((_, event)) = self.ready.pop_front() {
                event.taken();
                return Poll::Ready(Some(Ok(Step::Event(event))));
            }
            if self.is_done() {
                return Poll::Ready(None);
            }
            match ready!(self.told.poll_recv(cx)) {
                Some(Told::Event(reading, event)) => {
                    let (event, todo) = self.places.take(reading, event);
                    self.order(todo);
                    if let Some(event) = event {
                        event.taken();
                        return Poll::Ready(Some(Ok(Step::Event(event))));
                    }
                }
                Some(Told::Done(reading)) => self.places.done(reading),
                Some(Told::Gone(reading)) => {
                    if let Some(at) = self.places.name(reading).cloned() {
                        self.stop(std::slice::from_ref(&at));
                        return Poll::Ready(Some(Ok(Step::Gone(at))));
                    }
                }
                Some(Told::Failed(error)) => {
                    self.fail();
                    return Poll::Ready(Some(Err(error)));
                }
                None => {
                    self.fail();
                    return Poll::Ready(None);
                }
            }
        }
    }

    /// The next record; `moved` is told of jumps on the way to it.
    pub(crate) fn poll_record(
        &mut self,
        cx: &mut Context<'_>,
        mut moved: impl FnMut(Moved),
    ) -> Poll<Option<Result<ConsumerRecord, ClientError>>> {
        loop {
            if let Some(next) = self.unpacker.pop() {
                if next.is_err() {
                    self.fail();
                }
                return Poll::Ready(Some(next.map(|(record, _)| record)));
            }
            match ready!(self.poll_next_event(cx)) {
                Some(Ok(Event::Records(fetched))) => self.unpacker.load(fetched),
                Some(Ok(Event::Moved(jump))) => moved(jump),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
    }
}

impl Stream for Consumer {
    type Item = Result<ConsumerRecord, ClientError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_record(cx, log_moved)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is a callback")]
fn log_moved(moved: Moved) {
    tracing::warn!(?moved, "position moved");
}

/// A batch that can't be read.
fn unreadable(topic: &Text, partition: i32, error: &BatchError) -> ClientError {
    ClientError::refused(
        format!("partition {topic}-{partition}"),
        ErrorCode::CorruptMessage,
        Some(Text::from(error.to_string())),
    )
}

#[cfg(test)]
mod metrics_tests;
#[cfg(test)]
mod tests;
