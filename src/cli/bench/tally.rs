//! What became of the records that were sent. Records of one batch meet one fate, so a run of them is
//! kept as one entry: nothing is allocated or looked at per record until its batch is settled.

use std::collections::VecDeque;
use std::time::Duration;

use duramen_client::producer::{Delivery, DeliveryError};
use hdrhistogram::Histogram;
use tokio::time::Instant;

use super::timetable::Timetable;

/// Latencies up to this are told apart; longer ones count as this.
const LONGEST: Duration = Duration::from_secs(600);

/// Latencies in nanoseconds, to three digits.
#[derive(Debug)]
pub(super) struct Latencies(pub(super) Histogram<u64>);

impl Latencies {
    pub(super) fn new() -> Result<Self, hdrhistogram::CreationError> {
        Histogram::new_with_max(nanos(LONGEST), 3).map(Self)
    }

    pub(super) fn add(&mut self, latency: Duration, count: u64) {
        self.0.saturating_record_n(nanos(latency), count);
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Records that went into one batch in a row.
#[derive(Debug)]
struct Run {
    delivery: Delivery,
    /// The number of the first one.
    first: u64,
    count: u64,
    /// When the first one was handed over.
    sent: Duration,
}

/// See the top of the file.
#[derive(Debug)]
pub(super) struct Tally {
    start: Instant,
    /// When records were due; without it they count from when they were handed over.
    timetable: Option<Timetable>,
    /// Records before this one are not measured.
    measured_from: u64,
    runs: VecDeque<Run>,
    pub(super) latencies: Latencies,
    pub(super) delivered: u64,
    pub(super) failed: u64,
    pub(super) first_failure: Option<DeliveryError>,
    /// When the last batch was settled.
    pub(super) ended: Duration,
}

impl Tally {
    pub(super) fn new(
        start: Instant,
        timetable: Option<Timetable>,
        measured_from: u64,
        latencies: Latencies,
    ) -> Self {
        Self {
            start,
            timetable,
            measured_from,
            runs: VecDeque::new(),
            latencies,
            delivered: 0,
            failed: 0,
            first_failure: None,
            ended: Duration::ZERO,
        }
    }

    /// Record `number` was handed over.
    pub(super) fn sent(&mut self, number: u64, delivery: Delivery) {
        if let Some(run) = self.runs.back_mut()
            && run.delivery.shares_batch(&delivery)
        {
            run.count += 1;
            return;
        }
        self.runs.push_back(Run { delivery, first: number, count: 1, sent: self.start.elapsed() });
        self.settle();
    }

    /// Takes in what is known by now.
    fn settle(&mut self) {
        while let Some(run) = self.runs.front() {
            let (Some(result), Some(at)) = (run.delivery.result(), run.delivery.settled_at())
            else {
                return;
            };
            let Some(run) = self.runs.pop_front() else { return };
            let at = at.saturating_duration_since(self.start);
            self.ended = self.ended.max(at);
            match result {
                Ok(_) => self.delivered(&run, at),
                Err(error) => {
                    self.failed += run.count;
                    self.first_failure.get_or_insert(error);
                }
            }
        }
    }

    fn delivered(&mut self, run: &Run, at: Duration) {
        self.delivered += run.count;
        let skipped = self.measured_from.saturating_sub(run.first).min(run.count);
        match self.timetable {
            None => self.latencies.add(at.saturating_sub(run.sent), run.count - skipped),
            Some(table) => {
                for number in run.first + skipped..run.first + run.count {
                    self.latencies.add(at.saturating_sub(table.due(number)), 1);
                }
            }
        }
    }

    /// Waits until half of what is on its way has been settled.
    pub(super) async fn drain_half(&mut self) {
        if let Some(run) = self.runs.get(self.runs.len() / 2) {
            let _ = run.delivery.clone().await;
        }
        self.settle();
    }

    /// Waits for everything.
    pub(super) async fn drain(&mut self) {
        while let Some(run) = self.runs.front() {
            let _ = run.delivery.clone().await;
            self.settle();
        }
    }
}
