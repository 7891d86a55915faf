//! One partition of a consumer, read apart from the others.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use tokio::sync::mpsc;

use super::command::Reading;
use super::group::Progress;
use super::places::Apart;
use super::record::ConsumerRecord;
use super::unpack::Unpacker;
use super::{Event, TopicPartition};
use crate::error::ClientError;

/// The events of one partition, for a task of its own; made with `split` of a consumer. It ends when the
/// partition has reached its end, is read no more or, in a group, goes to another member, and when the
/// consumer ends: an error that is not passing comes from the consumer.
///
/// As a [`Stream`] it gives records that own their bytes. In a group, asking for more says that what came
/// before is dealt with, and dropping this says that what came last is not.
#[derive(Debug)]
pub struct PartitionStream {
    at: TopicPartition,
    events: mpsc::UnboundedReceiver<(Reading, Event)>,
    /// The number that what comes must bear; 0 when nothing is wanted any more.
    wanted: Arc<AtomicU64>,
    /// The reading of which something is taken apart, or was handed out.
    reading: Reading,
    unpacker: Unpacker,
    progress: Option<Progress>,
}

impl PartitionStream {
    /// A stream, and what the consumer and its fetcher need of it.
    pub(super) fn new(
        at: TopicPartition,
        progress: Option<Progress>,
    ) -> (Self, Apart, mpsc::UnboundedSender<(Reading, Event)>) {
        let (outlet, events) = mpsc::unbounded_channel();
        let wanted = Arc::<AtomicU64>::default();
        let apart = Apart { outlet: outlet.downgrade(), wanted: Arc::clone(&wanted) };
        let unpacker = Unpacker::default();
        (Self { at, events, wanted, reading: 0, unpacker, progress }, apart, outlet)
    }

    /// The partition.
    #[must_use]
    pub fn partition(&self) -> &TopicPartition {
        &self.at
    }

    /// What comes next; `None` at the end. Cancel safe.
    pub async fn next(&mut self) -> Option<Event> {
        poll_fn(|cx| self.poll_event(cx)).await
    }

    /// In a group: says that of what was handed out last only offsets below `next` were dealt with.
    pub fn dealt_with_up_to(&mut self, next: i64) {
        if let Some(progress) = &mut self.progress {
            progress.dealt_with_up_to(next);
        }
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        self.settle();
        if let Some(fetched) = self.unpacker.rest() {
            return Poll::Ready(Some(self.hand(Event::Records(fetched))));
        }
        loop {
            let Some((reading, event)) = ready!(self.events.poll_recv(cx)) else {
                return Poll::Ready(self.end());
            };
            match self.wanted.load(Ordering::Acquire) {
                0 => return Poll::Ready(self.end()),
                wanted if wanted != reading => continue,
                _ => self.reading = reading,
            }
            event.taken();
            return Poll::Ready(Some(self.hand(event)));
        }
    }

    fn hand(&mut self, event: Event) -> Event {
        if let Some(progress) = &mut self.progress {
            progress.handed(&event);
        }
        event
    }

    fn poll_record(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<ConsumerRecord, ClientError>>> {
        loop {
            self.settle();
            match self.unpacker.pop() {
                Some(Ok((record, next))) => {
                    if let Some(progress) = &mut self.progress {
                        progress.handed_up_to(next, record.leader_epoch);
                    }
                    return Poll::Ready(Some(Ok(record)));
                }
                Some(Err(error)) => {
                    // What lies behind it must not count as dealt with.
                    self.end();
                    self.events.close();
                    self.wanted = Arc::default();
                    return Poll::Ready(Some(Err(error)));
                }
                None => {}
            }
            match ready!(self.poll_event(cx)) {
                Some(Event::Records(fetched)) => {
                    if fetched.batches().next().is_some() {
                        // Record by record from here on.
                        self.dealt_with_up_to(fetched.content.from);
                        self.unpacker.load(fetched);
                    }
                }
                Some(Event::Moved(moved)) => tracing::warn!(?moved, "position moved"),
                None => return Poll::Ready(None),
            }
        }
    }

    /// What was handed out is dealt with, unless the user went elsewhere.
    fn settle(&mut self) {
        let wanted = self.wanted.load(Ordering::Acquire);
        if wanted != self.reading {
            self.unpacker.clear();
        }
        if let Some(progress) = &mut self.progress {
            progress.settle(wanted == self.reading || wanted == 0);
        }
    }

    /// Who waits for the end need not wait any longer.
    fn end(&mut self) -> Option<Event> {
        self.progress = None;
        None
    }
}

impl Stream for PartitionStream {
    type Item = Result<ConsumerRecord, ClientError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_record(cx)
    }
}
