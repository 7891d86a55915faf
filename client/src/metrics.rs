//! What a cluster handle and everything made from it have done so far, as plain numbers: to be read at
//! any time and handed to whatever metrics library the program uses.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counters since the [`Cluster`](crate::Cluster) was made; see
/// [`Cluster::metrics`](crate::Cluster::metrics). They only ever grow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metrics {
    /// Connections made, first ones and later ones.
    pub connections_made: u64,
    /// Attempts to connect that failed.
    pub connections_failed: u64,
    /// Connections that ended for any reason but that nobody used them any more.
    pub connections_broken: u64,
    /// Requests written.
    pub requests: u64,
    /// Answers read.
    pub answers: u64,
    /// From when each answered request was taken up to its answer, summed.
    pub answer_time: Duration,
    /// Bytes written to brokers.
    pub bytes_out: u64,
    /// Bytes read from brokers.
    pub bytes_in: u64,
    /// Records that brokers have acknowledged (or were sent, with `acks=0`).
    pub records_delivered: u64,
    /// Batches that these records were in.
    pub batches_delivered: u64,
    /// Records that were given up.
    pub records_failed: u64,
    /// Batches that were sent once more.
    pub batches_retried: u64,
}

/// The counters themselves.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    pub(crate) connections_made: Counter,
    pub(crate) connections_failed: Counter,
    pub(crate) connections_broken: Counter,
    pub(crate) requests: Counter,
    pub(crate) answers: Counter,
    pub(crate) answer_micros: Counter,
    pub(crate) bytes_out: Counter,
    pub(crate) bytes_in: Counter,
    pub(crate) records_delivered: Counter,
    pub(crate) batches_delivered: Counter,
    pub(crate) records_failed: Counter,
    pub(crate) batches_retried: Counter,
}

/// A number that grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Meter {
    pub(crate) fn read(&self) -> Metrics {
        Metrics {
            connections_made: self.connections_made.get(),
            connections_failed: self.connections_failed.get(),
            connections_broken: self.connections_broken.get(),
            requests: self.requests.get(),
            answers: self.answers.get(),
            answer_time: Duration::from_micros(self.answer_micros.get()),
            bytes_out: self.bytes_out.get(),
            bytes_in: self.bytes_in.get(),
            records_delivered: self.records_delivered.get(),
            batches_delivered: self.batches_delivered.get(),
            records_failed: self.records_failed.get(),
            batches_retried: self.batches_retried.get(),
        }
    }
}
