//! Replay: bounded ranges of partitions as one paced stream of records. No groups, no commits: reading
//! a topic again disturbs nobody who reads it.
//!
//! | file | what lives there |
//! |---|---|
//! | `lane.rs` | one partition: its consumer and its next record |
//! | [`pace`] | when a record is due, pure |
//! | [`arrived`] | how far producer ids got in a topic, for a replay that goes on after a crash |
//!
//! Records come in the order of their timestamps across partitions, and in the order of their offsets
//! within one. Nothing is read ahead beyond the prefetch bytes: who takes records slowly slows the
//! brokers' sending down, not this process' memory up.
//!
//! ```no_run
//! use duramen_client::replay::{Pace, Replay, ReplayRange};
//! # async fn example(cluster: duramen_client::Cluster) -> Result<(), duramen_client::ClientError> {
//! let mut replay = Replay::builder(&cluster)
//!     .range(ReplayRange::new("orders", 0, 100, 200))
//!     .pace(Pace::Original(10.0))
//!     .filter(|record| record.key.is_some())
//!     .start()?;
//! while let Some(record) = replay.next().await {
//!     println!("{:?}", record?);
//! }
//! # Ok(())
//! # }
//! ```

pub mod arrived;
mod lane;
pub mod pace;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use duramen_protocol::text::Text;
use futures_core::Stream;
use tokio::time::{Instant, Sleep, sleep_until};

pub use pace::Pace;

use crate::cluster::Cluster;
use crate::consumer::{
    Assignment, Consumer, ConsumerOptions, ConsumerRecord, Isolation, Moved, Reset, Start,
};
use crate::error::{ClientError, not_zero, wrong};
use lane::Lane;
use pace::Pacer;

/// Which records are wanted.
type Filter = Box<dyn FnMut(&ConsumerRecord) -> bool + Send>;

/// Bytes that a partition fetches ahead at least: with less, every batch is a request.
const LEAST_PREFETCH: usize = 64 * 1024;

/// Offsets of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReplayRange {
    /// The topic's name.
    pub topic: Text,
    /// The partition's number.
    pub partition: i32,
    /// The first offset.
    pub from: i64,
    /// The first offset that is not read any more; at most the end of the partition now, or the replay
    /// waits for records to come.
    pub to: i64,
}

impl ReplayRange {
    /// Offsets `from` up to `to` of a partition, `to` not included.
    #[must_use]
    pub fn new(topic: impl Into<Text>, partition: i32, from: i64, to: i64) -> Self {
        Self { topic: topic.into(), partition, from, to }
    }
}

/// What a replay is to do; made with [`Replay::builder`].
#[must_use = "a builder does nothing until it is started"]
pub struct ReplayBuilder {
    cluster: Cluster,
    ranges: Vec<ReplayRange>,
    pace: Pace,
    filter: Option<Filter>,
    isolation: Isolation,
    prefetch_bytes: usize,
}

impl fmt::Debug for ReplayBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ranges, pace, .. } = self;
        f.debug_struct("ReplayBuilder").field("ranges", ranges).field("pace", pace).finish()
    }
}

impl ReplayBuilder {
    /// Adds a partition.
    pub fn range(mut self, range: ReplayRange) -> Self {
        self.ranges.push(range);
        self
    }

    /// Adds partitions.
    pub fn ranges(mut self, ranges: impl IntoIterator<Item = ReplayRange>) -> Self {
        self.ranges.extend(ranges);
        self
    }

    /// How fast records come; [`Pace::Max`] unless said.
    pub fn pace(mut self, pace: Pace) -> Self {
        self.pace = pace;
        self
    }

    /// Leaves out what `wants` refuses. It takes no part in the timing: the gaps stay as they were.
    pub fn filter(mut self, wants: impl FnMut(&ConsumerRecord) -> bool + Send + 'static) -> Self {
        self.filter = Some(Box::new(wants));
        self
    }

    /// Which records of transactions are seen; committed ones unless said.
    pub fn isolation(mut self, isolation: Isolation) -> Self {
        self.isolation = isolation;
        self
    }

    /// Bytes read ahead over all partitions; 16 MiB unless said, and 64 KiB a partition at least.
    pub fn prefetch_bytes(mut self, bytes: usize) -> Self {
        self.prefetch_bytes = bytes;
        self
    }

    /// Whether this can be done; [`ReplayBuilder::start`] looks, too.
    ///
    /// # Errors
    /// [`ClientError::Options`] with the first thing that can't.
    pub fn check(&self) -> Result<(), ClientError> {
        self.pace.check()?;
        not_zero("prefetch_bytes", self.prefetch_bytes)?;
        for ReplayRange { topic, partition, from, to } in &self.ranges {
            if *from < 0 || from > to {
                let words = format!(
                    "of {topic}-{partition} goes from {from} to {to}; begin at 0 or later, and end behind that"
                );
                return Err(wrong("range", words));
            }
        }
        Ok(())
    }

    /// Starts reading on the current tokio runtime.
    ///
    /// # Errors
    /// As [`ReplayBuilder::check`].
    pub fn start(self) -> Result<Replay, ClientError> {
        self.check()?;
        let Self { cluster, ranges, pace, filter, isolation, prefetch_bytes } = self;
        let share = (prefetch_bytes / ranges.len().max(1)).max(LEAST_PREFETCH);
        let usual = ConsumerOptions::default();
        let (fetch_bytes, partition_bytes) = (usual.fetch_bytes, usual.partition_bytes);
        let options = usual
            .isolation(isolation)
            .prefetch_bytes(share)
            .fetch_bytes(fetch_bytes.min(share))
            .partition_bytes(partition_bytes.min(share))
            // What retention takes while we read is not there any more: go on behind it, and tell.
            .reset(Reset::Earliest);
        let lane = |range: ReplayRange| {
            let start = Start::Offset(range.from);
            let assignment =
                Assignment::new(range.topic.clone(), range.partition, start).end(range.to);
            // One consumer each: partitions must not wait for each other's share of the memory.
            Ok(Lane::new(range, Consumer::start(&cluster, options.clone(), vec![assignment])?))
        };
        let lanes = ranges.into_iter().map(lane).collect::<Result<Vec<Lane>, ClientError>>()?;
        Ok(Replay {
            waiting: (0..lanes.len()).collect(),
            lanes,
            ready: BinaryHeap::new(),
            filter,
            pacer: Pacer::new(pace),
            began: None,
            due: None,
            sleep: Box::pin(sleep_until(Instant::now())),
            moved: VecDeque::new(),
        })
    }
}

/// A bounded, paced stream of records. It ends when every range has been read, or after the first error.
pub struct Replay {
    lanes: Vec<Lane>,
    /// Lanes that have a record, by its timestamp.
    ready: BinaryHeap<Reverse<(i64, usize)>>,
    /// Lanes that must be asked for their next record.
    waiting: Vec<usize>,
    filter: Option<Filter>,
    pacer: Pacer,
    /// When the first record came.
    began: Option<Instant>,
    /// When the next record is due, once that is known.
    due: Option<Instant>,
    sleep: Pin<Box<Sleep>>,
    moved: VecDeque<Moved>,
}

impl fmt::Debug for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lanes, pacer, .. } = self;
        f.debug_struct("Replay").field("lanes", lanes).field("pacer", pacer).finish_non_exhaustive()
    }
}

impl Replay {
    /// A replay of nothing yet.
    pub fn builder(cluster: &Cluster) -> ReplayBuilder {
        ReplayBuilder {
            cluster: cluster.clone(),
            ranges: Vec::new(),
            pace: Pace::Max,
            filter: None,
            isolation: Isolation::ReadCommitted,
            prefetch_bytes: ConsumerOptions::default().prefetch_bytes,
        }
    }

    /// The next record; `None` at the end. Cancel safe.
    ///
    /// # Errors
    /// The first error that is not passing; nothing comes after it.
    pub async fn next(&mut self) -> Option<Result<ConsumerRecord, ClientError>> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// How far each range has got, in the order in which they were given: every wanted record below
    /// that offset has been handed out.
    pub fn positions(&self) -> impl Iterator<Item = (&ReplayRange, i64)> {
        self.lanes.iter().map(|lane| (&lane.range, lane.position))
    }

    /// The next jump over records that were deleted, or back to where a log was cut, if there was one.
    pub fn take_moved(&mut self) -> Option<Moved> {
        self.moved.pop_front()
    }

    /// Asks the lanes without a record for one; false while some have none yet.
    fn fill(&mut self, cx: &mut Context<'_>) -> Result<bool, ClientError> {
        let mut at = 0;
        while let Some(index) = self.waiting.get(at).copied() {
            let Some(lane) = self.lanes.get_mut(index) else { return Ok(true) };
            match lane.poll_head(cx, &mut self.filter, &mut self.moved) {
                Poll::Pending => {
                    at += 1;
                    continue;
                }
                Poll::Ready(Some(Ok(timestamp))) => self.ready.push(Reverse((timestamp, index))),
                Poll::Ready(Some(Err(error))) => return Err(error),
                Poll::Ready(None) => {}
            }
            self.waiting.swap_remove(at);
        }
        Ok(self.waiting.is_empty())
    }

    /// Waits until the record with this timestamp is due.
    fn poll_due(&mut self, cx: &mut Context<'_>, timestamp: i64) -> Poll<()> {
        let due = match self.due {
            Some(due) => due,
            None => {
                let now = Instant::now();
                let began = *self.began.get_or_insert(now);
                let due = began + self.pacer.due(now.duration_since(began), timestamp);
                if due <= now {
                    return Poll::Ready(());
                }
                self.sleep.as_mut().reset(due);
                *self.due.insert(due)
            }
        };
        debug_assert_eq!(self.sleep.deadline(), due);
        self.sleep.as_mut().poll(cx)
    }
}

impl Stream for Replay {
    type Item = Result<ConsumerRecord, ClientError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.fill(cx) {
            Ok(true) => {}
            Ok(false) => return Poll::Pending,
            Err(error) => {
                self.waiting.clear();
                self.ready.clear();
                return Poll::Ready(Some(Err(error)));
            }
        }
        let Some(Reverse((timestamp, index))) = self.ready.peek().copied() else {
            return Poll::Ready(None);
        };
        if self.poll_due(cx, timestamp).is_pending() {
            return Poll::Pending;
        }
        self.due = None;
        self.ready.pop();
        self.waiting.push(index);
        Poll::Ready(self.lanes.get_mut(index).and_then(Lane::take).map(Ok))
    }
}

#[cfg(test)]
mod tests;
