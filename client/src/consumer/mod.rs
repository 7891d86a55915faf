//! The offset-driven consumer: given partitions and offsets, it reads them as a stream. `group/` has the
//! consumer whose partitions a group gives it.
//!
//! One task per consumer (`fetcher.rs`) keeps a fetch at every leader, checks what comes (`accept.rs`,
//! pure) and puts it into a queue bounded in bytes (`budget.rs`). [`Consumer::next`] hands out whole
//! fetches for reading without copies; as a [`Stream`] it gives single records that own their bytes.

mod accept;
mod answers;
mod budget;
mod fetched;
mod fetcher;
pub mod group;
mod options;
mod position;
mod record;
mod request;

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use duramen_protocol::error::ErrorCode;
use duramen_protocol::records::BatchError;
use duramen_protocol::text::Text;
use futures_core::Stream;
use tokio::sync::mpsc;

pub use duramen_protocol::ids::TopicPartition;
pub use duramen_protocol::records::{BatchView, HeaderView, RecordView};
pub use fetched::Fetched;
pub use options::{Assignment, ConsumerOptions, Isolation, Reset, Start};
pub use record::{ConsumerRecord, RecordHeader};

use crate::cluster::Cluster;
use crate::error::ClientError;
use budget::Budget;
use fetcher::Fetcher;

/// What happens while reading.
#[derive(Debug)]
pub enum Event {
    /// Records of one partition.
    Records(Fetched),
    /// Reading goes on at another offset than it stood at.
    Moved(Moved),
}

/// A jump of the position.
#[derive(Debug, Clone, PartialEq, Eq)]
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
pub enum MovedWhy {
    /// The records there were deleted, or never written.
    OutOfRange,
    /// The log was cut back there: records that were read before are not in it any more (KIP-320).
    Truncated,
    /// The records there are damaged on the broker's disk
    /// ([`ConsumerOptions::skip_damage`]).
    Damaged,
}

/// Reads partitions from given offsets; made with [`Consumer::start`].
#[derive(Debug)]
pub struct Consumer {
    /// Bounded in bytes by the budget.
    events: mpsc::UnboundedReceiver<Result<Event, ClientError>>,
    /// Of the stream: the fetch being taken apart, and the positions of its batches still to come.
    current: Option<(Fetched, VecDeque<usize>)>,
    records: VecDeque<ConsumerRecord>,
}

impl Consumer {
    /// Starts reading on the current tokio runtime. It ends when every partition has reached its end,
    /// at the first error that is not passing, or when it is dropped.
    #[must_use]
    pub fn start(cluster: &Cluster, options: ConsumerOptions, from: Vec<Assignment>) -> Self {
        let (sender, events) = mpsc::unbounded_channel();
        let budget = Arc::new(Budget::default());
        tokio::spawn(Fetcher::new(cluster.clone(), options, from, budget, sender).run());
        Self { events, current: None, records: VecDeque::new() }
    }

    /// What comes next; `None` when every partition has reached its end. Cancel safe.
    ///
    /// # Errors
    /// The first error that is not passing; nothing comes after it.
    pub async fn next(&mut self) -> Option<Result<Event, ClientError>> {
        self.events.recv().await
    }

    /// What has come already, without waiting.
    pub fn try_next(&mut self) -> Option<Result<Event, ClientError>> {
        self.events.try_recv().ok()
    }

    /// Unpacks the next batch of the current fetch; false when there is none.
    fn unpack_next(&mut self) -> Result<bool, ClientError> {
        let Some((fetched, positions)) = &mut self.current else { return Ok(false) };
        let Some(position) = positions.pop_front() else {
            self.current = None;
            return Ok(false);
        };
        record::unpack(fetched, position, &mut self.records)
            .map_err(|error| unreadable(&fetched.topic, fetched.partition, &error))?;
        Ok(true)
    }
}

impl Consumer {
    /// The next record; `moved` is told of jumps on the way to it.
    pub(crate) fn poll_record(
        &mut self,
        cx: &mut Context<'_>,
        mut moved: impl FnMut(Moved),
    ) -> Poll<Option<Result<ConsumerRecord, ClientError>>> {
        loop {
            if let Some(record) = self.records.pop_front() {
                return Poll::Ready(Some(Ok(record)));
            }
            match self.unpack_next() {
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => {
                    self.current = None;
                    return Poll::Ready(Some(Err(error)));
                }
            }
            match ready!(self.events.poll_recv(cx)) {
                Some(Ok(Event::Records(fetched))) => {
                    let positions = fetched.content.batches().map(|(at, _)| at).collect();
                    self.current = Some((fetched, positions));
                }
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
        self.poll_record(cx, |moved| tracing::warn!(?moved, "position moved"))
    }
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
mod tests;
