//! What a cluster handle and everything made from it have done so far, as plain numbers: to be read at
//! any time and handed to whatever metrics library the program uses.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use duramen_protocol::ids::TopicPartition;

use crate::trouble::Troubles;

/// Counters since the [`Cluster`](crate::Cluster) was made, which only ever grow, and at the end what holds
/// now; see [`Cluster::metrics`](crate::Cluster::metrics).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
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
    /// Fetches that were answered, with records or without.
    pub fetches: u64,
    /// Bytes of the record batches fetched, compressed as they came.
    pub fetched_bytes: u64,
    /// Records that consumers have handed out, or begun to take apart for that, as the headers of their
    /// batches count them.
    pub records_taken: u64,
    /// Commits that a group's coordinator has taken, each of the offsets of one or more partitions.
    pub commits: u64,
    /// Commits that were given up.
    pub commits_failed: u64,
    /// Heartbeats that a group's coordinator has answered without an error.
    pub heartbeats: u64,
    /// How often members have got a share: by a rebalance of a classic group, or as a group of KIP-848 moved
    /// partitions.
    pub rebalances: u64,
    /// Bytes fetched that are held now: they wait to be taken, or were taken and are still in use.
    pub prefetched_bytes: u64,
    /// Where each partition stands that is read now, as far as a broker has told its end.
    pub standings: Vec<Standing>,
}

/// How far the reading of a partition has got.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Standing {
    /// The partition.
    pub at: TopicPartition,
    /// The offset that is handed out next.
    pub next: i64,
    /// The end for this reader when a broker last spoke of it: the high watermark, or with
    /// `read_committed` the last stable offset.
    pub end: i64,
}

impl Standing {
    /// Records between the two, those that compaction has taken included.
    #[must_use]
    pub fn lag(&self) -> i64 {
        self.end.saturating_sub(self.next).max(0)
    }
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
    pub(crate) fetches: Counter,
    pub(crate) fetched_bytes: Counter,
    pub(crate) records_taken: Counter,
    pub(crate) commits: Counter,
    pub(crate) commits_failed: Counter,
    pub(crate) heartbeats: Counter,
    pub(crate) rebalances: Counter,
    pub(crate) prefetched_bytes: Counter,
    pub(crate) troubles: Troubles,
    readings: Mutex<Vec<Weak<Reading>>>,
}

/// A partition that is being read; its standing is told for as long as somebody holds this.
#[derive(Debug)]
pub(crate) struct Reading {
    at: TopicPartition,
    next: AtomicI64,
    end: AtomicI64,
}

/// An offset that is not known.
const UNKNOWN: i64 = -1;

impl Reading {
    /// What is handed out next.
    pub(crate) fn reached(&self, next: i64) {
        self.next.store(next, Ordering::Relaxed);
    }

    /// The end was told; `next` is where reading begins, if nothing was handed out yet.
    pub(crate) fn told_end(&self, end: i64, next: i64) {
        self.end.store(end, Ordering::Relaxed);
        let _ = self.next.compare_exchange(UNKNOWN, next, Ordering::Relaxed, Ordering::Relaxed);
    }

    fn standing(&self) -> Option<Standing> {
        let (next, end) = (self.next.load(Ordering::Relaxed), self.end.load(Ordering::Relaxed));
        let known = next != UNKNOWN && end != UNKNOWN;
        known.then(|| Standing { at: self.at.clone(), next, end })
    }
}

/// A number.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// For what goes up and down.
    pub(crate) fn sub(&self, count: u64) {
        self.0.fetch_sub(count, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Meter {
    /// A partition is read from now on.
    pub(crate) fn reads(&self, at: &TopicPartition) -> Arc<Reading> {
        let (next, end) = (AtomicI64::new(UNKNOWN), AtomicI64::new(UNKNOWN));
        let reading = Arc::new(Reading { at: at.clone(), next, end });
        let mut readings = self.readings();
        readings.retain(|reading| reading.strong_count() > 0);
        readings.push(Arc::downgrade(&reading));
        reading
    }

    fn readings(&self) -> MutexGuard<'_, Vec<Weak<Reading>>> {
        self.readings.lock().unwrap_or_else(PoisonError::into_inner)
    }

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
            fetches: self.fetches.get(),
            fetched_bytes: self.fetched_bytes.get(),
            records_taken: self.records_taken.get(),
            commits: self.commits.get(),
            commits_failed: self.commits_failed.get(),
            heartbeats: self.heartbeats.get(),
            rebalances: self.rebalances.get(),
            prefetched_bytes: self.prefetched_bytes.get(),
            standings: self.standings(),
        }
    }

    fn standings(&self) -> Vec<Standing> {
        let readings = self.readings();
        let standings = readings.iter().filter_map(Weak::upgrade);
        let mut standings: Vec<_> = standings.filter_map(|reading| reading.standing()).collect();
        standings.sort_unstable_by(|left, right| left.at.cmp(&right.at));
        standings
    }
}
