//! `duramen bench produce`: records in, at a fixed rate or as fast as they are taken.

use std::time::Duration;

use clap::Args;
use serde_json::json;
use tokio::time::Instant;

use super::load::{Ends, Load, LoadArgs, Payload};
use super::report::{Rate, latency_table, merged};
use super::tally::{Latencies, Tally};
use super::timetable::{Timetable, rate};
use super::topic::TopicArgs;
use crate::cli::connect::{ClusterArgs, duration};
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::{self, Format};
use crate::cli::progress::Progress;

/// Send records as fast as they are taken, or at a fixed rate
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  duramen bench produce                              ten seconds of 1000-byte records to topic bench
  duramen bench produce load -p 12 -n 1000000 --size 100
  duramen bench produce load -p 12 -z zstd -c durability=page-cache --duration 30s
  duramen bench produce paid --rate 5k/s --linger 0s --acks all --format json

At a fixed rate the latency of a record is counted from when it was due to its acknowledgement;
without one, from when the first record of its batch was handed over. The exit code is 5 when a
record was not delivered.")]
pub(super) struct ProduceArgs {
    #[command(flatten)]
    topic: TopicArgs,
    #[command(flatten)]
    load: LoadArgs,
    #[command(flatten)]
    ends: Ends,
    /// Records a second, as 20k; as many as are taken otherwise
    #[arg(short, long, value_name = "N/s", value_parser = rate)]
    rate: Option<u64>,
    /// How long a batch waits for more records
    #[arg(long, value_name = "DURATION", default_value = "5ms", value_parser = duration)]
    linger: Duration,
    /// How figures are shown
    #[arg(long, default_value = "table")]
    format: Format,
}

pub(super) async fn run(cluster: &ClusterArgs, args: ProduceArgs) -> Result<(), Failure> {
    let timeout = cluster.timeout();
    let cluster = cluster.cluster()?;
    let partitions = args.topic.ready(&cluster).await?;
    let producer = args.load.producer(&cluster, timeout, args.linger)?;
    let size = u64::try_from(args.load.size).unwrap_or(u64::MAX);
    let total = args.ends.records.map(|records| records.saturating_mul(size));
    let progress = Progress::bytes(total, true);
    let timetable = args.rate.map(Timetable::new);
    let latencies = Latencies::new().map_err(|error| Failure::new(Exit::Failed, error))?;
    let payload = Payload::new(args.load.size);
    let start = Instant::now();
    let mut tally = Tally::new(start, timetable, 0, latencies);
    let topic = &args.topic.topic;
    let mut load = Load { producer: &producer, topic, payload, run: None, timetable, start };
    let ran = load.run(args.ends.count(), args.ends.time(), &mut tally, &progress).await;
    if ran.is_ok() {
        tally.drain().await;
    }
    progress.finish();
    ran?;
    if let Some(error) = &tally.first_failure {
        let failed = tally.failed;
        return Err(Failure::new(
            Exit::Delivery,
            format!("{failed} records not delivered: {error}"),
        ));
    }
    let rate = Rate { records: tally.delivered, bytes: tally.delivered * size, took: tally.ended };
    let head =
        json!({"bench": "produce", "topic": topic, "partitions": partitions, "rate": args.rate});
    let load = args.load.json(args.linger);
    let json = merged([head, load, rate.json(), json!({"ack_ms": tally.latencies.json()})]);
    let latencies = latency_table(&[("acknowledged", &tally.latencies)]);
    output::print(args.format, &json, &[rate.table(), latencies])
}
