//! The fate of a record: one shared cell per batch, a small handle per record.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};

use duramen_protocol::text::Text;
use tokio::time::Instant;

use crate::error::ClientError;

/// Where a record was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivered {
    /// The partition's number.
    pub partition: i32,
    /// The record's offset; -1 with [`Acks::None`](super::Acks::None), and when the broker had the batch
    /// already and no longer knows where.
    pub offset: i64,
    /// The record's timestamp in milliseconds since 1970, as it is stored.
    pub timestamp: i64,
}

/// Why a record was not delivered.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DeliveryError {
    /// The topic's name.
    pub topic: Text,
    /// The partition's number.
    pub partition: i32,
    /// What went wrong.
    pub error: ClientError,
    /// What the broker said of this very record.
    pub record: Option<Text>,
}

impl fmt::Display for DeliveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let error = self.error.to_string();
        match &self.record {
            // Of the first record at fault the error often speaks already.
            Some(words) if !error.contains(words.as_str()) => write!(f, "{error}: {words}"),
            _ => f.write_str(&error),
        }
    }
}

impl std::error::Error for DeliveryError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

/// How a batch ended.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It was divided: the first record of each part, ascending, and how that ended.
    Parts(Vec<(i32, Outcome)>),
    Written {
        base_offset: i64,
        append_time: Option<i64>,
    },
    Failed {
        error: ClientError,
        records: Vec<(i32, Option<Text>)>,
    },
}

/// The fate of one batch, awaited by all its records.
#[derive(Debug)]
pub(super) struct BatchDelivery {
    topic: Text,
    partition: i32,
    /// How it ended, and when that was known here.
    outcome: OnceLock<(Outcome, Instant)>,
    wakers: Mutex<Vec<Waker>>,
    parts: Mutex<Parts>,
}

/// What a batch was divided into.
#[derive(Debug, Default)]
struct Parts {
    /// Parts whose end is not known; 0 while it is whole.
    open: usize,
    ended: Vec<(i32, Outcome)>,
}

impl BatchDelivery {
    pub(super) fn new(topic: Text, partition: i32) -> Self {
        Self {
            topic,
            partition,
            outcome: OnceLock::new(),
            wakers: Mutex::default(),
            parts: Mutex::default(),
        }
    }

    /// One part of it, or the whole, becomes two.
    pub(super) fn divide(&self) {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        parts.open = parts.open.max(1) + 1;
    }

    /// Says how the part that begins with its `first` record ended, or the whole.
    pub(super) fn end(&self, first: i32, outcome: Outcome) {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        if parts.open == 0 {
            return self.complete(outcome);
        }
        parts.ended.push((first, outcome));
        parts.open -= 1;
        if parts.open == 0 {
            let mut all = std::mem::take(&mut parts.ended);
            all.sort_unstable_by_key(|(first, _)| *first);
            self.complete(Outcome::Parts(all));
        }
    }

    /// Says how it ended; only the first word counts.
    fn complete(&self, outcome: Outcome) {
        let _ = self.outcome.set((outcome, Instant::now()));
        let wakers =
            std::mem::take(&mut *self.wakers.lock().unwrap_or_else(PoisonError::into_inner));
        wakers.into_iter().for_each(Waker::wake);
    }

    pub(super) fn is_complete(&self) -> bool {
        self.outcome.get().is_some()
    }

    pub(super) fn poll(&self, cx: &Context<'_>) -> Poll<&Outcome> {
        if let Some((outcome, _)) = self.outcome.get() {
            return Poll::Ready(outcome);
        }
        let mut wakers = self.wakers.lock().unwrap_or_else(PoisonError::into_inner);
        // Set between the first look and the lock? Then nobody will wake what is added now.
        if let Some((outcome, _)) = self.outcome.get() {
            return Poll::Ready(outcome);
        }
        if !wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
            wakers.push(cx.waker().clone());
        }
        Poll::Pending
    }
}

/// A record on its way; awaiting it gives its fate. Dropping it changes nothing.
#[derive(Debug, Clone)]
#[must_use = "a delivery that nobody looks at may have failed"]
pub struct Delivery {
    pub(super) batch: Arc<BatchDelivery>,
    pub(super) index: i32,
    pub(super) timestamp: i64,
}

impl Delivery {
    /// The fate, if it is known by now.
    #[must_use]
    pub fn result(&self) -> Option<Result<Delivered, DeliveryError>> {
        self.batch.outcome.get().map(|(outcome, _)| self.of(self.index, outcome))
    }

    /// When the fate became known, if it is known by now: whoever looks later still measures right.
    #[must_use]
    pub fn settled_at(&self) -> Option<Instant> {
        self.batch.outcome.get().map(|(_, at)| *at)
    }

    /// Whether both records are in the same batch and so will be settled together.
    #[must_use]
    pub fn shares_batch(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.batch, &other.batch)
    }

    /// The fate of the record at `index` of what ended so.
    fn of(&self, index: i32, outcome: &Outcome) -> Result<Delivered, DeliveryError> {
        let BatchDelivery { topic, partition, .. } = &*self.batch;
        match outcome {
            Outcome::Parts(parts) => {
                let part = parts.iter().rev().find(|(first, _)| *first <= index);
                match part {
                    Some((first, outcome)) => self.of(index - first, outcome),
                    None => Err(DeliveryError {
                        topic: topic.clone(),
                        partition: *partition,
                        error: ClientError::Incomplete("Produce"),
                        record: None,
                    }),
                }
            }
            Outcome::Written { base_offset, append_time } => Ok(Delivered {
                partition: *partition,
                offset: match base_offset {
                    -1 => -1,
                    base => base + i64::from(index),
                },
                timestamp: append_time.unwrap_or(self.timestamp),
            }),
            Outcome::Failed { error, records } => Err(DeliveryError {
                topic: topic.clone(),
                partition: *partition,
                error: error.clone(),
                record: match records.iter().find(|(at, _)| *at == index) {
                    Some((_, words)) => words.clone(),
                    None if records.is_empty() => None,
                    None => Some(Text::from("another record of the same batch is at fault")),
                },
            }),
        }
    }
}

impl Future for Delivery {
    type Output = Result<Delivered, DeliveryError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.batch.poll(cx).map(|outcome| self.of(self.index, outcome))
    }
}
