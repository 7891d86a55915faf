//! What the broker counts while serving, as Prometheus metrics. Counters of the hot path are plain
//! atomics resolved once at start; nothing here looks anything up by name while a request is served.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use duramen_protocol::api::{self, ApiKey};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// Upper bounds of the request latency buckets, in seconds.
const LATENCY_BUCKETS: [f64; 14] =
    [50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 0.1, 0.25, 1.0, 5.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ApiLabel {
    api: String,
}

/// The counters of one API.
#[derive(Debug, Clone)]
pub(crate) struct ApiMetrics {
    requests: Counter,
    latency: Histogram,
}

impl ApiMetrics {
    /// Counts a request that was answered after `elapsed`.
    pub(crate) fn answered(&self, elapsed: Duration) {
        self.requests.inc();
        self.latency.observe(elapsed.as_secs_f64());
    }
}

/// All metrics of a broker; encode them with [`Metrics::encode`].
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    by_api: Vec<(ApiKey, ApiMetrics)>,
    /// Open client connections.
    pub(crate) connections: Gauge,
    /// Connections accepted so far.
    pub(crate) connections_accepted: Counter,
    /// Connections closed because of what they sent, or failed to send.
    pub(crate) connections_refused: Counter,
    /// Bytes of record batches appended by producers.
    pub(crate) produced_bytes: Counter<u64, AtomicU64>,
    /// Record batches appended by producers.
    pub(crate) produced_batches: Counter,
    /// Records appended by producers.
    pub(crate) produced_records: Counter,
    /// Partitions of produce requests that were answered with an error.
    pub(crate) produce_errors: Counter,
    /// Bytes of record batches handed to consumers.
    pub(crate) fetched_bytes: Counter<u64, AtomicU64>,
    /// Partitions of fetch requests that were answered with an error.
    pub(crate) fetch_errors: Counter,
    /// Fetch ranges that were not in memory and were brought in on the blocking pool first.
    pub(crate) cold_reads: Counter,
    /// Partitions that this broker leads.
    pub(crate) partitions: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Registers every metric.
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("duramen");
        let requests = Family::<ApiLabel, Counter>::default();
        let latency =
            Family::<ApiLabel, Histogram>::new_with_constructor(|| Histogram::new(LATENCY_BUCKETS));
        registry.register("requests", "requests answered, by API", requests.clone());
        registry.register_with_unit(
            "request_latency",
            "time from a request's last byte to its encoded answer, waits included, by API",
            Unit::Seconds,
            latency.clone(),
        );
        let by_api = api::TABLE
            .iter()
            .map(|spec| {
                let label = ApiLabel { api: spec.name.to_owned() };
                let requests = requests.get_or_create(&label).clone();
                let latency = latency.get_or_create(&label).clone();
                (spec.key, ApiMetrics { requests, latency })
            })
            .collect();
        let mut metrics = Self {
            registry,
            by_api,
            connections: Gauge::default(),
            connections_accepted: Counter::default(),
            connections_refused: Counter::default(),
            produced_bytes: Counter::default(),
            produced_batches: Counter::default(),
            produced_records: Counter::default(),
            produce_errors: Counter::default(),
            fetched_bytes: Counter::default(),
            fetch_errors: Counter::default(),
            cold_reads: Counter::default(),
            partitions: Gauge::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register("connections", "open client connections", self.connections.clone());
        let plain = [
            ("connections_accepted", "connections accepted", &self.connections_accepted),
            (
                "connections_refused",
                "connections closed for what they sent or failed to send",
                &self.connections_refused,
            ),
            ("produced_batches", "record batches appended by producers", &self.produced_batches),
            ("produced_records", "records appended by producers", &self.produced_records),
            (
                "produce_errors",
                "partitions of produce requests answered with an error",
                &self.produce_errors,
            ),
            (
                "fetch_errors",
                "partitions of fetch requests answered with an error",
                &self.fetch_errors,
            ),
            (
                "cold_reads",
                "fetched ranges that had to be read from the disk first",
                &self.cold_reads,
            ),
        ];
        for (name, help, counter) in plain {
            registry.register(name, help, counter.clone());
        }
        registry.register_with_unit(
            "produced",
            "bytes of record batches appended by producers",
            Unit::Bytes,
            self.produced_bytes.clone(),
        );
        registry.register_with_unit(
            "fetched",
            "bytes of record batches handed to consumers",
            Unit::Bytes,
            self.fetched_bytes.clone(),
        );
        registry.register(
            "partitions",
            "partitions that this broker leads",
            self.partitions.clone(),
        );
    }

    /// The counters of an API; `None` for one that is not served.
    pub(crate) fn api(&self, key: ApiKey) -> Option<&ApiMetrics> {
        self.by_api.iter().find(|(known, _)| *known == key).map(|(_, metrics)| metrics)
    }

    /// The metrics in the OpenMetrics text format.
    pub(crate) fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}
