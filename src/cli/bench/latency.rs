//! `duramen bench latency`: from a record's intended send time to its arrival at a consumer.

use std::ops::ControlFlow;
use std::time::Duration;

use clap::Args;
use duramen_client::Text;
use duramen_client::cluster::Cluster;
use duramen_client::consumer::{
    Assignment, Consumer, ConsumerOptions, Event, Fetched, Isolation, Start,
};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::load::{Load, LoadArgs, Payload, STAMP_BYTES};
use super::report::{Rate, latency_table, merged};
use super::tally::{Latencies, Tally};
use super::timetable::{Timetable, rate};
use super::topic::TopicArgs;
use crate::cli::connect::{ClusterArgs, duration};
use crate::cli::edges::edges_of;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::{self, Format};
use crate::cli::progress::Progress;
use crate::env::Env;

/// Measure from a record's intended send time to its arrival at a consumer
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  duramen bench latency                              1000 records a second for ten seconds
  duramen bench latency probe -p 12 --rate 20k --duration 30s -c durability=page-cache
  duramen bench latency probe --rate 50k --size 100 --format json

One process sends and receives, so that there is one clock. Each record is due at its place in an
even timetable; its latency is counted from then, also when a stall kept it from being sent in
time.")]
pub(super) struct LatencyArgs {
    #[command(flatten)]
    topic: TopicArgs,
    #[command(flatten)]
    load: LoadArgs,
    /// Records a second, as 20k
    #[arg(short, long, value_name = "N/s", default_value = "1k", value_parser = rate)]
    rate: u64,
    /// How long is measured
    #[arg(short, long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    duration: Duration,
    /// How long records are sent before that
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = duration)]
    warmup: Duration,
    /// How long a batch waits for more records
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration)]
    linger: Duration,
    /// How figures are shown
    #[arg(long, default_value = "table")]
    format: Format,
}

pub(super) async fn run(cluster: &ClusterArgs, args: LatencyArgs) -> Result<(), Failure> {
    if args.load.size < STAMP_BYTES {
        return Err(Failure::usage(format!("--size must be at least {STAMP_BYTES}")));
    }
    let patience = cluster.timeout();
    let cluster = cluster.cluster()?;
    let partitions = args.topic.ready(&cluster).await?;
    let topic = &args.topic.topic;
    let consumer = at_the_end(&cluster, topic, partitions).await?;
    let producer = args.load.producer(&cluster, patience, args.linger)?;
    let timetable = Timetable::new(args.rate);
    let measured_from = timetable.count_by(args.warmup).saturating_sub(1);
    let new = || Latencies::new().map_err(|error| Failure::new(Exit::Failed, error));
    let run = Env::real().random.u64();
    let start = Instant::now();
    let (tell_sent, sent) = watch::channel(None);
    let arrivals = Arrivals { run, start, timetable, measured_from, seen: 0, latencies: new()? };
    let arrived = tokio::spawn(arrivals.gather(consumer, sent, patience));
    let mut tally = Tally::new(start, Some(timetable), measured_from, new()?);
    let progress = Progress::bytes(None, true);
    let payload = Payload::new(args.load.size);
    let timed = Some(timetable);
    let mut load =
        Load { producer: &producer, topic, payload, run: Some(run), timetable: timed, start };
    let ran = load.run(u64::MAX, args.warmup + args.duration, &mut tally, &progress).await;
    if ran.is_ok() {
        tally.drain().await;
    }
    progress.finish();
    let _ = tell_sent.send(Some(ran?));
    let arrived = arrived.await.map_err(|error| Failure::new(Exit::Failed, error))??;
    let size = u64::try_from(args.load.size).unwrap_or(u64::MAX);
    let rate = Rate { records: arrived.seen, bytes: arrived.seen * size, took: tally.ended };
    let head =
        json!({"bench": "latency", "topic": topic, "partitions": partitions, "rate": args.rate});
    let load = args.load.json(args.linger);
    let ends = &arrived.latencies;
    let tail = json!({"ack_ms": tally.latencies.json(), "end_to_end_ms": ends.json()});
    let json = merged([head, load, rate.json(), tail]);
    let latencies = latency_table(&[("acknowledged", &tally.latencies), ("end to end", ends)]);
    output::print(args.format, &json, &[rate.table(), latencies])
}

/// A consumer of what comes from now on.
async fn at_the_end(cluster: &Cluster, topic: &str, count: usize) -> Result<Consumer, Failure> {
    let count = i32::try_from(count).unwrap_or(i32::MAX);
    let all = (0..count).map(|partition| (Text::from(topic), partition)).collect();
    let edges = edges_of(cluster, Isolation::ReadUncommitted, all, None).await?;
    let from = edges
        .into_iter()
        .map(|of| Assignment::new(of.topic, of.partition, Start::Offset(of.edges.end)))
        .collect();
    Ok(Consumer::start(cluster, ConsumerOptions::default(), from)?)
}

/// Records as they arrive.
struct Arrivals {
    run: u64,
    start: Instant,
    timetable: Timetable,
    measured_from: u64,
    seen: u64,
    latencies: Latencies,
}

impl Arrivals {
    /// Takes in records until all that were sent have come, or none came for `patience`.
    async fn gather(
        mut self,
        mut consumer: Consumer,
        mut sent: watch::Receiver<Option<u64>>,
        patience: Duration,
    ) -> Result<Self, Failure> {
        let mut scratch = Vec::new();
        loop {
            let goal = *sent.borrow();
            if goal.is_some_and(|goal| self.seen >= goal) {
                return Ok(self);
            }
            let event = tokio::select! {
                event = timeout(patience, consumer.next()) => event,
                Ok(()) = sent.changed() => continue,
            };
            match event {
                Ok(Some(Ok(Event::Records(fetched)))) => self.take(&fetched, &mut scratch)?,
                Ok(Some(Ok(_))) => {}
                Ok(Some(Err(error))) => return Err(error.into()),
                Ok(None) | Err(_) => {
                    let (seen, goal) = (self.seen, goal.unwrap_or(0));
                    let words =
                        format!("{seen} records of {goal} arrived, then none for {patience:?}");
                    return Err(Failure::new(Exit::Unreachable, words));
                }
            }
        }
    }

    fn take(&mut self, fetched: &Fetched, scratch: &mut Vec<u8>) -> Result<(), Failure> {
        let now = self.start.elapsed();
        let visited = fetched.visit(scratch, |_, record| {
            // Records of others may be there too.
            if let Some(number) = record.value.and_then(|value| number_of(value, self.run)) {
                self.seen += 1;
                if number >= self.measured_from {
                    self.latencies.add(now.saturating_sub(self.timetable.due(number)), 1);
                }
            }
            ControlFlow::<()>::Continue(())
        });
        visited.map(|_| ()).map_err(|error| Failure::new(Exit::Failed, error))
    }
}

/// The number of a record of this run.
fn number_of(value: &[u8], run: u64) -> Option<u64> {
    let (front, rest) = value.split_first_chunk::<8>()?;
    let number = u64::from_be_bytes(*rest.first_chunk::<8>()?);
    (u64::from_be_bytes(*front) == run).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_tells_its_run_and_number() {
        let mut payload = Payload::new(40);
        assert_eq!(number_of(payload.stamped(5, 77), 5), Some(77));
        assert_eq!(number_of(payload.stamped(5, 77), 6), None);
        assert_eq!(number_of(b"short", 5), None);
    }
}
