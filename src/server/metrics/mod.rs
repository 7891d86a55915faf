//! What the broker counts while serving. Everything here is resolved once at start; on the way of a
//! request counting is an atomic addition. [`registry`] shows it, with what is read only when asked for.
//!
//! | file | what lives there |
//! |---|---|
//! | this one | the counters |
//! | `api.rs` | requests, latency and errors of one API |
//! | `families.rs` | names and help texts |
//! | `scrape.rs` | all of it, for the exposition |

mod api;
mod families;
mod scrape;

use std::sync::Arc;
use std::time::Duration;

use duramen_protocol::api::{ApiKey, TABLE};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;

pub(crate) use api::{ApiMetrics, InFlight};
pub(crate) use scrape::registry;

use super::connection::Ended;
use super::context::Services;
use crate::measure::{self, LogGate};

/// Lines that one kind of provoked event may write to the log in each window.
const LINES: u64 = 10;
/// The window.
const WINDOW: Duration = Duration::from_secs(10);

/// Answers that wait for something: how many now, and how long they did.
#[derive(Debug)]
pub(crate) struct WaitMeter {
    waiting: Gauge,
    time: Histogram,
}

impl WaitMeter {
    fn new() -> Self {
        Self { waiting: Gauge::default(), time: measure::times() }
    }
}

/// One answer that waits; counted until dropped.
#[derive(Debug)]
pub(crate) struct Waiting {
    services: Arc<Services>,
    meter: fn(&Metrics) -> &WaitMeter,
    began: Duration,
}

impl Waiting {
    /// Begins a wait that `meter` counts.
    pub(crate) fn begin(services: &Arc<Services>, meter: fn(&Metrics) -> &WaitMeter) -> Self {
        meter(&services.metrics).waiting.inc();
        let began = services.env.clock.now();
        Self { services: Arc::clone(services), meter, began }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let meter = (self.meter)(&self.services.metrics);
        meter.waiting.dec();
        let waited = self.services.env.clock.now().saturating_sub(self.began);
        meter.time.observe(waited.as_secs_f64());
    }
}

/// Why connections ended, as `reason` tells it.
const REASONS: [&str; 11] = [
    "by_peer",
    "cut_off",
    "stopped",
    "idle",
    "stalled",
    "framing",
    "refused",
    "io",
    "max_connections",
    "accept_failed",
    "not_taken",
];

/// A place in [`REASONS`].
fn reason_of(ended: &Ended) -> usize {
    match ended {
        Ended::ByPeer => 0,
        Ended::CutOff => 1,
        Ended::Stopped => 2,
        Ended::Idle => 3,
        Ended::Stalled => 4,
        Ended::Framing(_) => 5,
        Ended::Refused(_) => 6,
        Ended::Io(_) => 7,
        Ended::NotTaken => 10,
    }
}

/// How often what clients provoke is logged.
#[derive(Debug)]
pub(crate) struct LogGates {
    /// A connection refused for what it sent or failed to send.
    pub(crate) refused: LogGate,
    /// A connection lost in the middle of something.
    pub(crate) lost: LogGate,
    /// A connection beyond `max.connections`, or that the system did not give.
    pub(crate) crowded: LogGate,
    /// A request that took long.
    pub(crate) slow: LogGate,
}

/// All counters of a server.
#[derive(Debug)]
pub(crate) struct Metrics {
    by_api: Vec<Arc<ApiMetrics>>,
    /// Error codes in answers, by API and name.
    errors: Family<[(&'static str, &'static str); 2], Counter>,
    /// Requests that have no answer yet.
    in_flight: Gauge,
    /// Open client connections.
    pub(crate) connections: Gauge,
    /// Connections accepted so far.
    pub(crate) connections_accepted: Counter,
    ended: [Counter; REASONS.len()],
    /// Bytes read from clients.
    pub(crate) received_bytes: Counter,
    /// Bytes written to clients.
    pub(crate) sent_bytes: Counter,
    /// Bytes of record batches appended by producers.
    pub(crate) produced_bytes: Counter,
    /// Record batches appended by producers.
    pub(crate) produced_batches: Counter,
    /// Records appended by producers.
    pub(crate) produced_records: Counter,
    /// Bytes of record batches handed to consumers.
    pub(crate) fetched_bytes: Counter,
    /// Fetch ranges that were not in memory and were brought in on the blocking pool first.
    pub(crate) cold_reads: Counter,
    /// Produce answers that wait for the disk or for replicas.
    pub(crate) produce_wait: WaitMeter,
    /// Fetch answers that wait for records.
    pub(crate) fetch_wait: WaitMeter,
    slow_requests: Counter,
    /// How often what clients provoke is logged.
    pub(crate) gates: LogGates,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All zero.
    pub(crate) fn new() -> Self {
        let gate = || LogGate::new(LINES, WINDOW);
        Self {
            by_api: TABLE.iter().map(|spec| Arc::new(ApiMetrics::new(spec))).collect(),
            errors: Family::default(),
            in_flight: Gauge::default(),
            connections: Gauge::default(),
            connections_accepted: Counter::default(),
            ended: Default::default(),
            received_bytes: Counter::default(),
            sent_bytes: Counter::default(),
            produced_bytes: Counter::default(),
            produced_batches: Counter::default(),
            produced_records: Counter::default(),
            fetched_bytes: Counter::default(),
            cold_reads: Counter::default(),
            produce_wait: WaitMeter::new(),
            fetch_wait: WaitMeter::new(),
            slow_requests: Counter::default(),
            gates: LogGates { refused: gate(), lost: gate(), crowded: gate(), slow: gate() },
        }
    }

    /// The counters of an API; `None` for one that is not served.
    pub(crate) fn api(&self, key: ApiKey) -> Option<&Arc<ApiMetrics>> {
        self.by_api.iter().find(|api| api.key() == key)
    }

    /// A connection ended.
    pub(crate) fn connection_ended(&self, ended: &Ended) {
        self.connections.dec();
        self.count_end(reason_of(ended));
    }

    /// A connection was turned away: there are `max.connections` already.
    pub(crate) fn connection_turned_away(&self) {
        self.count_end(8);
    }

    /// The system gave no connection.
    pub(crate) fn accept_failed(&self) {
        self.count_end(9);
    }

    fn count_end(&self, reason: usize) {
        if let Some(counter) = self.ended.get(reason) {
            counter.inc();
        }
    }
}
