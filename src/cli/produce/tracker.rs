//! Records on their way, in the order of the input, so that a failure can say which line it was.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use duramen_client::producer::{Delivered, Delivery, DeliveryError};

/// Where a record stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) file: u32,
    pub(super) line: u64,
}

/// A record on its way.
#[derive(Debug)]
struct Sent {
    delivery: Delivery,
    place: Place,
    /// Bytes of its line.
    bytes: usize,
}

/// See the top of the file. Bounded by the producer's buffer: a record waits here no longer than there.
#[derive(Debug, Default)]
pub(super) struct Tracker {
    waiting: VecDeque<Sent>,
    pub(super) delivered: u64,
    /// Bytes of the lines of those that were delivered.
    pub(super) delivered_bytes: u64,
    pub(super) failed: u64,
    /// The first few failures.
    pub(super) failures: Vec<(Place, DeliveryError)>,
}

/// Failures told one by one; the rest is only counted.
const FAILURES_TOLD: usize = 5;

impl Tracker {
    pub(super) fn push(&mut self, delivery: Delivery, place: Place, bytes: usize) {
        self.waiting.push_back(Sent { delivery, place, bytes });
    }

    /// Takes what is known by now off the front; `each` sees what was delivered, in order.
    pub(super) fn settle(&mut self, mut each: impl FnMut(Delivered)) {
        while let Some(result) = self.waiting.front().and_then(|sent| sent.delivery.result()) {
            let Some(Sent { place, bytes, .. }) = self.waiting.pop_front() else { return };
            match result {
                Ok(delivered) => {
                    self.delivered += 1;
                    self.delivered_bytes += bytes as u64;
                    each(delivered);
                }
                Err(error) => {
                    self.failed += 1;
                    if self.failures.len() < FAILURES_TOLD {
                        self.failures.push((place, error));
                    }
                }
            }
        }
    }

    /// Waits until the fate of the oldest record is known; for ever when there is none.
    pub(super) fn oldest(&mut self) -> Oldest<'_> {
        Oldest(self)
    }
}

/// See [`Tracker::oldest`].
pub(super) struct Oldest<'a>(&'a mut Tracker);

impl Future for Oldest<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match self.0.waiting.front_mut() {
            Some(sent) => Pin::new(&mut sent.delivery).poll(cx).map(|_| ()),
            None => Poll::Pending,
        }
    }
}
