//! The producer: records in, batches out, each record's fate as a future.
//!
//! A record is copied once, into the open batch of its partition (`accumulator.rs`). One task per
//! producer (`sender.rs`, `dispatch.rs`) takes full batches to the leaders and keeps them in order over
//! retries (`queue.rs`, pure); what became of a batch is told to all its records at once (`delivery.rs`).

mod accumulator;
mod content;
mod delivery;
mod dispatch;
mod lane;
mod options;
pub mod partitioner;
mod queue;
mod request;
mod sender;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use duramen_protocol::error::ErrorCode;
use duramen_protocol::text::Text;
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;
use tracing::Instrument;

pub use delivery::{Delivered, Delivery, DeliveryError};
pub use duramen_protocol::records::{Compression, HeaderView};
pub use options::{Acks, Identity, ProducerOptions, ProducerRecord};
pub use partitioner::Partitioner;

use accumulator::{Accumulator, Refusal};
use sender::Sender;

use crate::clock::wall_ms;
use crate::cluster::{Cluster, Topics};
use crate::error::ClientError;
use crate::random::Random;
use crate::trouble::Trying;

/// Times that a topic's metadata is asked for before a partition it does not show is believed not to be: of
/// one that has just grown a broker may not know yet.
const LOOKS_FOR_A_PARTITION: u32 = 5;

/// A handle on a producer; clones share it. When the last one is dropped, what was enqueued is still
/// delivered in the background, as long as the runtime lives; [`Producer::flush`] waits for it.
#[derive(Debug, Clone)]
pub struct Producer {
    handle: Arc<Handle>,
}

#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
    cluster: Cluster,
}

/// What the handles and the sender share.
#[derive(Debug)]
struct Shared {
    options: ProducerOptions,
    accumulator: Mutex<Accumulator>,
    /// Free bytes of the buffer.
    memory: Semaphore,
    /// Callers that wait for memory: open batches are sent as they are.
    starving: AtomicUsize,
    /// Callers that wait for everything to be delivered.
    flushing: AtomicUsize,
    closed: AtomicBool,
    wake: Notify,
    last_error: Mutex<Option<String>>,
}

impl Shared {
    fn accumulator(&self) -> MutexGuard<'_, Accumulator> {
        self.accumulator.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn release(&self, bytes: usize) {
        self.memory.add_permits(bytes);
    }

    fn wants_all(&self) -> bool {
        self.closed.load(Ordering::Acquire)
            || self.flushing.load(Ordering::Acquire) > 0
            || self.starving.load(Ordering::Acquire) > 0
    }

    fn last_error(&self) -> Option<String> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_last_error(&self, words: String) {
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(words);
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Release);
        self.shared.wake.notify_one();
    }
}

/// Counts someone who waits, for as long as it lives.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Producer {
    /// Starts a producer on the current tokio runtime.
    ///
    /// # Errors
    /// [`ClientError::Options`] when the options do not go together ([`ProducerOptions::check`]).
    pub fn start(cluster: &Cluster, options: ProducerOptions) -> Result<Self, ClientError> {
        options.check()?;
        let shared = Arc::new(Shared {
            accumulator: Mutex::new(Accumulator::new(&options, Random::from_entropy())),
            memory: Semaphore::new(options.buffer_bytes.min(Semaphore::MAX_PERMITS)),
            options,
            starving: AtomicUsize::new(0),
            flushing: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            wake: Notify::new(),
            last_error: Mutex::default(),
        });
        let sender = Sender::new(Arc::clone(&shared), cluster.clone()).run();
        tokio::spawn(sender.instrument(tracing::info_span!("producer")));
        Ok(Self { handle: Arc::new(Handle { shared, cluster: cluster.clone() }) })
    }

    /// Sends a record and waits until it is delivered.
    ///
    /// # Errors
    /// When the record can't be taken in, or was not delivered within the delivery timeout.
    pub async fn send(&self, record: ProducerRecord<'_>) -> Result<Delivered, ClientError> {
        self.enqueue(record).await?.await.map_err(|failed| failed.error)
    }

    /// Puts a record into its batch, waiting while the buffer is full, and returns a handle on its fate. Of a
    /// topic that is not known yet it waits for a broker that answers, within the delivery timeout.
    ///
    /// When this future is dropped before it ends, the record is not sent.
    ///
    /// # Errors
    /// When the topic or partition does not exist, no broker tells of it in time, or the record is larger
    /// than the buffer.
    pub async fn enqueue(&self, record: ProducerRecord<'_>) -> Result<Delivery, ClientError> {
        let shared = &self.handle.shared;
        let size = record.size();
        if size > shared.options.buffer_bytes {
            return Err(ClientError::RecordTooLarge { size, max: shared.options.buffer_bytes });
        }
        if let Some(delivery) = self.try_enqueue(&record)? {
            return Ok(delivery);
        }
        self.reserve(size).await?;
        let reserved = Reserved { shared, bytes: size };
        let deadline = Instant::now() + shared.options.delivery_timeout;
        let mut failures = 0;
        let mut trying = Trying::new(self.handle.cluster.meter());
        loop {
            let refusal = match self.append(&record, size) {
                Ok(delivery) => {
                    reserved.keep();
                    trying.is_well();
                    return Ok(delivery);
                }
                Err(refusal) => refusal,
            };
            failures += 1;
            if refusal == Refusal::NoPartition {
                let what = format!("topic {}", record.topic);
                trying.failed(&ClientError::refused(what, ErrorCode::LeaderNotAvailable, None));
            }
            self.learn(&record, &refusal, failures, deadline).await?;
        }
    }

    /// Puts a record into its batch if that needs no waiting: `None` when the buffer is full or the
    /// topic is not known yet; [`Producer::enqueue`] does what is needed then.
    ///
    /// # Errors
    /// When the record can't be written in Kafka's format.
    pub fn try_enqueue(
        &self,
        record: &ProducerRecord<'_>,
    ) -> Result<Option<Delivery>, ClientError> {
        let shared = &self.handle.shared;
        let size = record.size();
        let Ok(Ok(permits)) =
            u32::try_from(size).map(|bytes| shared.memory.try_acquire_many(bytes))
        else {
            return Ok(None);
        };
        match self.append(record, size) {
            Ok(delivery) => {
                permits.forget();
                Ok(Some(delivery))
            }
            Err(Refusal::Batch(error)) => Err(ClientError::Record(error)),
            Err(_) => Ok(None),
        }
    }

    /// Waits until every record enqueued before has met its fate; the handles tell which.
    pub async fn flush(&self) {
        let shared = &self.handle.shared;
        let flushing = Counted::new(&shared.flushing);
        shared.wake.notify_one();
        let undelivered = shared.accumulator().undelivered();
        for batch in undelivered {
            std::future::poll_fn(|cx| batch.poll(cx).map(|_| ())).await;
        }
        drop(flushing);
    }

    /// What went wrong last, also if a retry mended it.
    #[must_use]
    pub fn last_error(&self) -> Option<String> {
        self.handle.shared.last_error()
    }

    fn append(&self, record: &ProducerRecord<'_>, size: usize) -> Result<Delivery, Refusal> {
        let shared = &self.handle.shared;
        let timestamp = record.timestamp.unwrap_or_else(wall_ms);
        let appended = shared.accumulator().append(record, timestamp, size)?;
        if appended.wake_sender {
            shared.wake.notify_one();
        }
        Ok(appended.delivery)
    }

    async fn reserve(&self, bytes: usize) -> Result<(), ClientError> {
        let shared = &self.handle.shared;
        let count = u32::try_from(bytes).unwrap_or(u32::MAX);
        if let Ok(permits) = shared.memory.try_acquire_many(count) {
            permits.forget();
            return Ok(());
        }
        let starving = Counted::new(&shared.starving);
        shared.wake.notify_one();
        let permits = shared.memory.acquire_many(count).await.map_err(|_| ClientError::Closed)?;
        drop(starving);
        permits.forget();
        Ok(())
    }

    /// Learns about the record's topic, so that it can be taken in. A topic that is not there is told soon;
    /// brokers that are not may come back.
    async fn learn(
        &self,
        record: &ProducerRecord<'_>,
        refusal: &Refusal,
        failures: u32,
        deadline: Instant,
    ) -> Result<(), ClientError> {
        let Handle { shared, cluster } = &*self.handle;
        let missing = match refusal {
            Refusal::Batch(error) => return Err(ClientError::Record(error.clone())),
            Refusal::UnknownPartition { partition, count } if failures > LOOKS_FOR_A_PARTITION => {
                return Err(ClientError::NoPartition {
                    topic: Text::from(record.topic),
                    partition: *partition,
                    count: *count,
                });
            }
            Refusal::NoPartition => "no partition has a leader",
            Refusal::UnknownPartition { .. } => "the partition is not known yet",
            _ => "the topic is not known yet",
        };
        if failures > 1 {
            let wait = cluster.backoff(failures - 1);
            if Instant::now() + wait > deadline {
                return Err(ClientError::Expired {
                    what: format!("topic {}", record.topic),
                    after: shared.options.delivery_timeout,
                    last: missing.to_owned(),
                });
            }
            tokio::time::sleep(wait).await;
        }
        let names = [Text::from(record.topic)];
        let make = shared.options.allow_topic_creation;
        let topics = if make { Topics::NamedOrMade(&names) } else { Topics::Named(&names) };
        let left = deadline.saturating_duration_since(Instant::now());
        match cluster.refresh_within(topics, left, |_, _| false).await {
            Ok(view) => {
                if let Some(topic) = view.topic(record.topic) {
                    shared.accumulator().learn(topic);
                }
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

/// A new producer id, for [`ProducerOptions::identity`].
///
/// # Errors
/// When no broker gives one.
pub async fn new_identity(cluster: &Cluster) -> Result<Identity, ClientError> {
    let (id, epoch) = cluster.retrying("producer id", || sender::ask_identity(cluster)).await?;
    Ok(Identity { id, epoch, ..Identity::default() })
}

/// Bytes of the buffer that go back unless they are kept.
struct Reserved<'a> {
    shared: &'a Shared,
    bytes: usize,
}

impl Reserved<'_> {
    fn keep(mut self) {
        self.bytes = 0;
    }
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.shared.release(self.bytes);
        }
    }
}

#[cfg(test)]
mod tests;
