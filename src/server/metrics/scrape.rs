//! All that is exported. What needs a system call or a walk over the partitions is read here, when
//! someone asks, and not while requests are served. Blocks.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use tokio::runtime::{Handle, RuntimeMetrics};

use super::families::{self as f, Family};
use super::{Metrics, REASONS, WaitMeter};
use crate::coordinator::{Lag, lags};
use crate::env::process_figures;
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

/// All metrics of a server. A collector tells them, because most are read only when asked for.
pub(crate) fn registry(services: Arc<Services>, runtime: RuntimeMetrics) -> Registry {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Scrape { services, runtime }));
    registry
}

#[derive(Debug)]
struct Scrape {
    services: Arc<Services>,
    runtime: RuntimeMetrics,
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let (services, out) = (&*self.services, &mut encoder);
        identity(out, services)?;
        services.metrics.requests(out, services)?;
        services.metrics.traffic(out, services)?;
        partitions(out, services)?;
        groups(out, services)?;
        directories(out, &services.replicas.figures())?;
        f::METADATA_OFFSET.one(out, &ConstGauge::new(natural(services.image().offset())))?;
        tasks(out, &self.runtime)?;
        process(out)
    }
}

fn natural(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn identity(out: &mut DescriptorEncoder<'_>, services: &Services) -> fmt::Result {
    let build = [("version", env!("CARGO_PKG_VERSION").to_owned()), ("format", FORMAT.to_string())];
    f::BUILD.each(out, [(build, ConstGauge::new(1))])?;
    let (image, node) = (services.image(), services.node_id().to_string());
    let broker = [("cluster_id", image.cluster_id().as_str()), ("node_id", &node)];
    f::BROKER.each(out, [(broker, ConstGauge::new(1))])?;
    f::READY.one(out, &ConstGauge::new(u32::from(services.health().is_ok())))
}

impl Metrics {
    fn requests(&self, out: &mut DescriptorEncoder<'_>, services: &Services) -> fmt::Result {
        let apis = || self.by_api.iter().map(|api| ([("api", api.name)], api));
        f::REQUESTS.each(out, apis().map(|(labels, api)| (labels, api.requests.clone())))?;
        f::LATENCY.each(out, apis().map(|(labels, api)| (labels, api.latency.clone())))?;
        f::ERRORS.one(out, &self.errors)?;
        f::SLOW.one(out, &self.slow_requests)?;
        f::IN_FLIGHT.one(out, &self.in_flight)?;
        let (taken, limit) = services.budget.use_bytes();
        f::BUFFER.one(out, &ConstGauge::new(taken))?;
        if let Some(limit) = limit {
            f::BUFFER_MAX.one(out, &ConstGauge::new(limit))?;
        }
        let mut waits = |now: &Family, time: &Family, meter: &WaitMeter| {
            now.one(out, &meter.waiting)?;
            time.one(out, &meter.time)
        };
        waits(&f::PRODUCE_WAITING, &f::PRODUCE_WAIT, &self.produce_wait)?;
        waits(&f::FETCH_WAITING, &f::FETCH_WAIT, &self.fetch_wait)
    }

    fn traffic(&self, out: &mut DescriptorEncoder<'_>, services: &Services) -> fmt::Result {
        f::CONNECTIONS.one(out, &self.connections)?;
        let software = services.software.all();
        let samples = software.iter().map(|((name, version), count)| {
            ([("software", name.as_str()), ("version", version.as_str())], ConstGauge::new(*count))
        });
        f::CLIENTS.each(out, samples)?;
        let most = services.config.network.connections_max;
        f::CONNECTIONS_MAX.one(out, &ConstGauge::new(most))?;
        f::ACCEPTED.one(out, &self.connections_accepted)?;
        let ended = REASONS.iter().zip(&self.ended);
        f::ENDED.each(out, ended.map(|(reason, count)| ([("reason", *reason)], count.clone())))?;
        f::RECEIVED.one(out, &self.received_bytes)?;
        f::SENT.one(out, &self.sent_bytes)?;
        f::PRODUCED_BYTES.one(out, &self.produced_bytes)?;
        f::PRODUCED_BATCHES.one(out, &self.produced_batches)?;
        f::PRODUCED_RECORDS.one(out, &self.produced_records)?;
        f::FETCHED_BYTES.one(out, &self.fetched_bytes)?;
        f::COLD_READS.one(out, &self.cold_reads)
    }
}

/// Topics and partitions, in the order of their names.
fn partitions(out: &mut DescriptorEncoder<'_>, services: &Services) -> fmt::Result {
    let mut all = services.replicas.all();
    all.sort_unstable_by(|left, right| left.name().cmp(right.name()));
    let topics: Vec<&[Arc<Partition>]> =
        all.chunk_by(|left, right| left.name().topic == right.name().topic).collect();
    f::TOPICS.one(out, &ConstGauge::new(topics.len()))?;
    f::PARTITIONS.one(out, &ConstGauge::new(all.len()))?;
    let (listed, others) = topics.split_at(topics.len().min(LISTED));
    let of_topics: [Column<Partition, u64>; 3] = [
        (&f::TOPIC_IN_BYTES, |partition| partition.traffic().produced_bytes.get()),
        (&f::TOPIC_IN_RECORDS, |partition| partition.traffic().produced_records.get()),
        (&f::TOPIC_OUT_BYTES, |partition| partition.traffic().fetched_bytes.get()),
    ];
    for (family, figure) in of_topics {
        let sum = |topic: &[Arc<Partition>]| topic.iter().map(|it| figure(it)).sum::<u64>();
        let rest = others.iter().map(|topic| sum(topic)).reduce(|left, right| left + right);
        let samples = listed.iter().map(|topic| (topic_of(topic), sum(topic)));
        let samples = samples.chain(rest.map(|sum| (OTHERS, sum)));
        let samples = samples.map(|(topic, sum)| ([("topic", topic)], ConstCounter::new(sum)));
        family.each(out, samples)?;
    }
    let durability = listed.iter().filter_map(|topic| {
        let word = topic.first()?.durability()?.word();
        Some(([("topic", topic_of(topic)), ("durability", word)], ConstGauge::new(1)))
    });
    f::DURABILITY.each(out, durability)?;
    logs(out, &all)
}

fn topic_of(partitions: &[Arc<Partition>]) -> &str {
    partitions.first().map_or("", |partition| partition.name().topic.as_str())
}

fn logs(out: &mut DescriptorEncoder<'_>, all: &[Arc<Partition>]) -> fmt::Result {
    let (listed, others) = all.split_at(all.len().min(LISTED));
    let indexes: Vec<String> = listed.iter().map(|it| it.name().partition.to_string()).collect();
    let figures: [Column<Partition, u64>; 3] = [
        (&f::LOG_SIZE, Partition::size_bytes),
        (&f::LOG_START, |partition| natural(partition.log().log_start_offset())),
        (&f::LOG_END, |partition| natural(partition.log().log_end_offset())),
    ];
    for (family, figure) in figures {
        let samples = listed.iter().zip(&indexes).map(|(partition, index)| {
            let topic = partition.name().topic.as_str();
            ([("topic", topic), ("partition", index)], ConstGauge::new(figure(partition)))
        });
        // Offsets of several partitions have no sum that says anything.
        let summed = if family.name == f::LOG_SIZE.name { others } else { &[] };
        let rest = summed.iter().map(|it| figure(it)).reduce(|left, right| left + right);
        let rest =
            rest.map(|sum| ([("topic", OTHERS), ("partition", OTHERS)], ConstGauge::new(sum)));
        family.each(out, samples.chain(rest))?;
    }
    Ok(())
}

/// Groups, and how far they are behind in the partitions that this broker leads: the furthest first.
fn groups(out: &mut DescriptorEncoder<'_>, services: &Services) -> fmt::Result {
    let Ok(runtime) = Handle::try_current() else { return Ok(()) };
    // A scrape runs on a thread that may wait.
    let survey = runtime.block_on(services.groups.survey());
    let states = survey.groups.into_iter().map(|((kind, state), count)| {
        ([("type", kind), ("state", state)], ConstGauge::new(count as u64))
    });
    f::GROUPS.each(out, states)?;
    let figures = services.groups.figures();
    f::REBALANCES.one(out, &figures.rebalances)?;
    f::COMMITS.one(out, &figures.commits)?;
    f::GROUP_OFFSETS.one(out, &ConstGauge::new(survey.offsets.len()))?;
    let mut lags = lags(&services.replicas, survey.offsets, services.env.clock.wall_ms());
    lags.sort_by(|left, right| right.records.cmp(&left.records).then(left.at.cmp(&right.at)));
    let (listed, others) = lags.split_at(lags.len().min(LISTED));
    let partitions: Vec<String> = listed.iter().map(|lag| lag.at.partition.to_string()).collect();
    let labelled = || {
        listed.iter().zip(&partitions).map(|(lag, partition)| {
            let (group, topic) = (lag.at.group.as_str(), lag.at.topic.as_str());
            ([("group", group), ("topic", topic), ("partition", partition)], lag)
        })
    };
    let rest = others.iter().map(|lag| lag.records).reduce(|left, right| left + right);
    let rest = rest.map(|sum| {
        let labels = [("group", OTHERS), ("topic", OTHERS), ("partition", OTHERS)];
        (labels, ConstGauge::new(sum))
    });
    let records = labelled().map(|(labels, lag)| (labels, ConstGauge::new(lag.records)));
    f::GROUP_LAG.each(out, records.chain(rest))?;
    let seconds = |lag: &Lag| ConstGauge::new(lag.ms as f64 / 1e3);
    f::GROUP_LAG_SECONDS.each(out, labelled().map(|(labels, lag)| (labels, seconds(lag))))
}

fn directories(out: &mut DescriptorEncoder<'_>, dirs: &[DirFigures]) -> fmt::Result {
    let paths: Vec<String> = dirs.iter().map(|dir| dir.path.display().to_string()).collect();
    let dirs = || dirs.iter().zip(&paths).map(|(dir, path)| ([("dir", path)], dir));
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
        let known = dirs().filter_map(|(labels, dir)| Some((labels, figure(dir)?)));
        family.each(out, known.map(|(labels, value)| (labels, ConstGauge::new(value))))?;
    }
    cleaning(out, dirs())?;
    f::FLUSH.each(out, dirs().map(|(labels, dir)| (labels, dir.sync_seconds.clone())))?;
    f::FLUSH_BATCHES.each(out, dirs().map(|(labels, dir)| (labels, dir.sync_batches.clone())))
}

/// Compaction, by directory.
fn cleaning<'a>(
    out: &mut DescriptorEncoder<'_>,
    dirs: impl Iterator<Item = ([(&'a str, &'a String); 1], &'a DirFigures)> + Clone,
) -> fmt::Result {
    let counts: [Column<DirFigures, u64>; 4] = [
        (&f::CLEAN_RUNS, |dir| dir.cleaning.runs.get()),
        (&f::CLEAN_ERRORS, |dir| dir.cleaning.errors.get()),
        (&f::CLEAN_READ, |dir| dir.cleaning.read_bytes.get()),
        (&f::CLEAN_WRITTEN, |dir| dir.cleaning.written_bytes.get()),
    ];
    for (family, count) in counts {
        let samples = dirs.clone().map(|(labels, dir)| (labels, ConstCounter::new(count(dir))));
        family.each(out, samples)?;
    }
    let gauges: [Column<DirFigures, Option<f64>>; 4] = [
        (&f::CLEAN_RATIO, |dir| Some(dir.cleaning.max_dirty_ratio)),
        (&f::CLEAN_SINCE, |dir| Some(dir.cleaning.since_last_run.unwrap_or(0.0))),
        (&f::CLEAN_RUNNING, |dir| Some(f64::from(u8::from(dir.cleaning.running)))),
        (&f::CLEAN_UNCLEANABLE, |dir| Some(dir.cleaning.uncleanable as f64)),
    ];
    for (family, figure) in gauges {
        let known = dirs.clone().filter_map(|(labels, dir)| Some((labels, figure(dir)?)));
        family.each(out, known.map(|(labels, value)| (labels, ConstGauge::new(value))))?;
    }
    Ok(())
}

fn tasks(out: &mut DescriptorEncoder<'_>, runtime: &RuntimeMetrics) -> fmt::Result {
    f::TASKS.one(out, &ConstGauge::new(runtime.num_alive_tasks()))?;
    f::WORKERS.one(out, &ConstGauge::new(runtime.num_workers()))?;
    f::RUN_QUEUE.one(out, &ConstGauge::new(runtime.global_queue_depth()))?;
    let workers = 0..runtime.num_workers();
    let busy = workers.map(|worker| runtime.worker_total_busy_duration(worker).as_secs_f64());
    f::BUSY.one(out, &ConstCounter::new(busy.sum::<f64>()))
}

fn process(out: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let Some(figures) = process_figures(None) else { return Ok(()) };
    f::CPU.one(out, &ConstCounter::new(figures.cpu_seconds))?;
    f::STARTED.one(out, &ConstGauge::new(figures.started_at))?;
    let counts = [
        (&f::RESIDENT, figures.resident_bytes),
        (&f::ANONYMOUS, figures.anonymous_bytes),
        (&f::THREADS, figures.threads),
        (&f::FDS, figures.open_files),
        (&f::FDS_MAX, figures.max_open_files),
        (&f::MAPS, figures.maps),
        (&f::MAPS_MAX, figures.max_maps),
    ];
    counts.into_iter().try_for_each(|(family, count)| family.one(out, &ConstGauge::new(count)))
}
