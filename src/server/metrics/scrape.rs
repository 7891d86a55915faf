//! All that is exported, as text. What needs a system call or a walk over the partitions is read here,
//! when someone asks, and not while requests are served. Blocks.

use std::sync::Arc;

use tokio::runtime::RuntimeMetrics;

use super::{Metrics, REASONS, WaitMeter, families as f};
use crate::env::process_figures;
use crate::measure::{Exposition, Family};
use crate::replication::Partition;
use crate::server::context::Services;
use crate::storage::{DirFigures, FORMAT};

/// Partitions, and topics, that are listed one by one, in order of their names; what lies beyond is
/// told as one sum, so that ten thousand partitions do not make a scrape of megabytes.
const LISTED: usize = 1000;
/// The label of that sum.
const OTHERS: &str = "(others)";
/// A family, and what of `T` it tells.
type Column<T, V> = (&'static Family, fn(&T) -> V);
/// Nanoseconds of a second.
const NS: f64 = 1e9;

/// The metrics in the OpenMetrics text format.
pub(crate) fn scrape(services: &Services, runtime: &RuntimeMetrics) -> String {
    let mut out = Exposition::default();
    identity(&mut out, services);
    services.metrics.requests(&mut out, services);
    services.metrics.traffic(&mut out, services);
    partitions(&mut out, services);
    directories(&mut out, &services.replicas.figures());
    out.count(&f::METADATA_OFFSET, natural(services.image().offset()));
    tasks(&mut out, runtime);
    process(&mut out);
    out.finish()
}

fn natural(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn identity(out: &mut Exposition, services: &Services) {
    let format = FORMAT.to_string();
    let build = [("version", env!("CARGO_PKG_VERSION")), ("format", &format)];
    out.family(&f::BUILD).count(&build, 1);
    let (image, node) = (services.image(), services.node_id().to_string());
    out.family(&f::BROKER).count(&[("cluster_id", image.cluster_id()), ("node_id", &node)], 1);
    out.count(&f::READY, services.health().is_ok().into());
}

impl Metrics {
    fn requests(&self, out: &mut Exposition, services: &Services) {
        let mut requests = out.family(&f::REQUESTS);
        for api in &self.by_api {
            requests.count(&[("api", api.name)], api.requests.get());
        }
        let mut latency = out.family(&f::LATENCY);
        for api in &self.by_api {
            latency.histogram(&[("api", api.name)], &api.latency.read(), NS);
        }
        let mut errors = out.family(&f::ERRORS);
        for api in &self.by_api {
            for (code, count) in api.errors() {
                errors.count(&[("api", api.name), ("error", code)], count);
            }
        }
        out.count(&f::SLOW, self.slow_requests.get());
        out.count(&f::IN_FLIGHT, natural(self.in_flight.get()));
        let (taken, limit) = services.budget.use_bytes();
        out.count(&f::BUFFER, taken as u64);
        if let Some(limit) = limit {
            out.count(&f::BUFFER_MAX, limit as u64);
        }
        let mut waits = |now: &Family, time: &Family, meter: &WaitMeter| {
            out.count(now, natural(meter.waiting.get()));
            out.family(time).histogram(&[], &meter.time.read(), NS);
        };
        waits(&f::PRODUCE_WAITING, &f::PRODUCE_WAIT, &self.produce_wait);
        waits(&f::FETCH_WAITING, &f::FETCH_WAIT, &self.fetch_wait);
    }

    fn traffic(&self, out: &mut Exposition, services: &Services) {
        out.count(&f::CONNECTIONS, natural(self.connections.get()));
        out.count(&f::CONNECTIONS_MAX, services.config.network.connections_max.into());
        out.count(&f::ACCEPTED, self.connections_accepted.get());
        let mut ended = out.family(&f::ENDED);
        for (reason, count) in REASONS.iter().zip(&self.ended) {
            ended.count(&[("reason", reason)], count.get());
        }
        let counters = [
            (&f::RECEIVED, &self.received_bytes),
            (&f::SENT, &self.sent_bytes),
            (&f::PRODUCED_BYTES, &self.produced_bytes),
            (&f::PRODUCED_BATCHES, &self.produced_batches),
            (&f::PRODUCED_RECORDS, &self.produced_records),
            (&f::FETCHED_BYTES, &self.fetched_bytes),
            (&f::COLD_READS, &self.cold_reads),
        ];
        for (family, counter) in counters {
            out.count(family, counter.get());
        }
    }
}

/// Topics and partitions, in the order of their names.
fn partitions(out: &mut Exposition, services: &Services) {
    let mut all = services.replicas.all();
    all.sort_unstable_by(|left, right| left.name().cmp(right.name()));
    let topics: Vec<&[Arc<Partition>]> =
        all.chunk_by(|left, right| left.name().topic == right.name().topic).collect();
    out.count(&f::TOPICS, topics.len() as u64);
    out.count(&f::PARTITIONS, all.len() as u64);
    let (listed, others) = topics.split_at(topics.len().min(LISTED));
    let of_topics: [Column<Partition, u64>; 3] = [
        (&f::TOPIC_IN_BYTES, |partition| partition.traffic().produced_bytes.get()),
        (&f::TOPIC_IN_RECORDS, |partition| partition.traffic().produced_records.get()),
        (&f::TOPIC_OUT_BYTES, |partition| partition.traffic().fetched_bytes.get()),
    ];
    for (family, figure) in of_topics {
        let mut samples = out.family(family);
        let sum = |topic: &[Arc<Partition>]| topic.iter().map(|it| figure(it)).sum::<u64>();
        for topic in listed {
            samples.count(&[("topic", topic_of(topic))], sum(topic));
        }
        if !others.is_empty() {
            samples.count(&[("topic", OTHERS)], others.iter().map(|topic| sum(topic)).sum());
        }
    }
    let mut durability = out.family(&f::DURABILITY);
    for topic in listed {
        if let Some(word) = topic.first().and_then(|partition| partition.durability()) {
            durability.count(&[("topic", topic_of(topic)), ("durability", word.word())], 1);
        }
    }
    logs(out, &all);
}

fn topic_of(partitions: &[Arc<Partition>]) -> &str {
    partitions.first().map_or("", |partition| partition.name().topic.as_str())
}

fn logs(out: &mut Exposition, all: &[Arc<Partition>]) {
    let (listed, others) = all.split_at(all.len().min(LISTED));
    let indexes: Vec<String> = listed.iter().map(|it| it.name().partition.to_string()).collect();
    let figures: [Column<Partition, u64>; 3] = [
        (&f::LOG_SIZE, Partition::size_bytes),
        (&f::LOG_START, |partition| natural(partition.log().log_start_offset())),
        (&f::LOG_END, |partition| natural(partition.log().log_end_offset())),
    ];
    for (family, figure) in figures {
        let mut samples = out.family(family);
        for (partition, index) in listed.iter().zip(&indexes) {
            let labels = [("topic", partition.name().topic.as_str()), ("partition", index)];
            samples.count(&labels, figure(partition));
        }
        // Offsets of several partitions have no sum that says anything.
        if !others.is_empty() && family.name == f::LOG_SIZE.name {
            let sum = others.iter().map(|partition| figure(partition)).sum();
            samples.count(&[("topic", OTHERS), ("partition", OTHERS)], sum);
        }
    }
}

fn directories(out: &mut Exposition, dirs: &[DirFigures]) {
    let paths: Vec<String> = dirs.iter().map(|dir| dir.path.display().to_string()).collect();
    let figures: [Column<DirFigures, Option<u64>>; 10] = [
        (&f::DISK_FREE, |dir| Some(dir.space?.free)),
        (&f::DISK_SIZE, |dir| Some(dir.space?.total)),
        (&f::DISK_LOW, |dir| Some(dir.low_mark)),
        (&f::DISK_HIGH, |dir| Some(dir.high_mark)),
        (&f::DISK_FULL, |dir| Some(dir.full.into())),
        (&f::OFFLINE, |dir| Some(dir.failure.is_some().into())),
        (&f::DIR_LOGS, |dir| Some(dir.logs as u64)),
        (&f::SEGMENTS, |dir| Some(dir.open_segments.0 as u64)),
        (&f::SEGMENTS_MAX, |dir| Some(dir.open_segments.1 as u64)),
        (&f::FLUSH_WAITING, |dir| Some(dir.waiting_syncs as u64)),
    ];
    for (family, figure) in figures {
        let mut samples = out.family(family);
        for (dir, path) in dirs.iter().zip(&paths) {
            if let Some(value) = figure(dir) {
                samples.count(&[("dir", path)], value);
            }
        }
    }
    let mut flushes = out.family(&f::FLUSH);
    for (dir, path) in dirs.iter().zip(&paths) {
        flushes.histogram(&[("dir", path)], &dir.sync_ns, NS);
    }
    let mut batches = out.family(&f::FLUSH_BATCHES);
    for (dir, path) in dirs.iter().zip(&paths) {
        batches.histogram(&[("dir", path)], &dir.sync_batches, 1.0);
    }
}

fn tasks(out: &mut Exposition, runtime: &RuntimeMetrics) {
    out.count(&f::TASKS, runtime.num_alive_tasks() as u64);
    out.count(&f::WORKERS, runtime.num_workers() as u64);
    out.count(&f::RUN_QUEUE, runtime.global_queue_depth() as u64);
    let workers = 0..runtime.num_workers();
    let busy = workers.map(|worker| runtime.worker_total_busy_duration(worker).as_secs_f64());
    out.one(&f::BUSY, busy.sum::<f64>());
}

fn process(out: &mut Exposition) {
    let Some(figures) = process_figures(None) else { return };
    out.one(&f::CPU, figures.cpu_seconds);
    out.one(&f::STARTED, figures.started_at);
    let counts = [
        (&f::RESIDENT, figures.resident_bytes),
        (&f::ANONYMOUS, figures.anonymous_bytes),
        (&f::THREADS, figures.threads),
        (&f::FDS, figures.open_files),
        (&f::FDS_MAX, figures.max_open_files),
        (&f::MAPS, figures.maps),
        (&f::MAPS_MAX, figures.max_maps),
    ];
    for (family, count) in counts {
        out.count(family, count);
    }
}
