//! `duramen bench consume`: all that a topic holds, read as fast as it comes.

use std::ops::ControlFlow;

use clap::Args;
use duramen_client::Text;
use duramen_client::consumer::{
    Assignment, Consumer, ConsumerOptions, Event, Fetched, Isolation, Start,
};
use serde_json::json;
use tokio::time::Instant;

use super::report::{Rate, merged};
use super::topic::partitions;
use crate::cli::connect::{ClusterArgs, bytes};
use crate::cli::edges::edges_of;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::{self, Format};
use crate::cli::progress::Progress;

/// Read a topic from its start to its end as fast as it comes
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  duramen bench consume load
  duramen bench consume load -n 1000000 --fetch-size 1m --format json

Every record is looked at and the checksum of every batch is checked. Bytes are those of keys and
values; wire_bytes are the batches as they came.")]
pub(super) struct ConsumeArgs {
    /// The topic
    #[arg(default_value = "bench")]
    topic: String,
    /// Stop after so many records
    #[arg(short = 'n', long, value_name = "N")]
    records: Option<u64>,
    /// Bytes of an answer
    #[arg(long, value_name = "SIZE", default_value = "4m", value_parser = bytes)]
    fetch_size: usize,
    /// Bytes of one partition in an answer
    #[arg(long, value_name = "SIZE", default_value = "1m", value_parser = bytes)]
    partition_fetch_size: usize,
    /// Bytes fetched ahead
    #[arg(long, value_name = "SIZE", default_value = "16m", value_parser = bytes)]
    prefetch: usize,
    /// How figures are shown
    #[arg(long, default_value = "table")]
    format: Format,
}

/// What was read so far.
#[derive(Debug, Default)]
struct Read {
    records: u64,
    bytes: u64,
    wire_bytes: u64,
    scratch: Vec<u8>,
}

pub(super) async fn run(cluster: &ClusterArgs, args: ConsumeArgs) -> Result<(), Failure> {
    let cluster = cluster.cluster()?;
    let name = Text::from(&args.topic);
    let count = i32::try_from(partitions(&cluster, &name).await?).unwrap_or(i32::MAX);
    let all = (0..count).map(|partition| (name.clone(), partition)).collect();
    let edges = edges_of(&cluster, Isolation::ReadUncommitted, all, None).await?;
    let assignments: Vec<Assignment> = edges
        .into_iter()
        .filter(|of| of.edges.start < of.edges.end)
        .map(|of| {
            Assignment::new(of.topic, of.partition, Start::Offset(of.edges.start)).end(of.edges.end)
        })
        .collect();
    if assignments.is_empty() {
        return Err(Failure::new(Exit::NotFound, format!("topic {name} holds no records")));
    }
    let options = ConsumerOptions::default()
        .fetch_bytes(args.fetch_size)
        .partition_bytes(args.partition_fetch_size)
        .prefetch_bytes(args.prefetch);
    let progress = Progress::bytes(None, true);
    let start = Instant::now();
    let read =
        read_all(Consumer::start(&cluster, options, assignments)?, args.records, &progress).await;
    let took = start.elapsed();
    progress.finish();
    let read = read?;
    let rate = Rate { records: read.records, bytes: read.bytes, took };
    let head = json!({"bench": "consume", "topic": args.topic, "partitions": count});
    let json = merged([head, rate.json(), json!({"wire_bytes": read.wire_bytes})]);
    output::print(args.format, &json, &[rate.table()])
}

async fn read_all(
    mut consumer: Consumer,
    records: Option<u64>,
    progress: &Progress,
) -> Result<Read, Failure> {
    let mut read = Read::default();
    let most = records.unwrap_or(u64::MAX);
    while read.records < most {
        match consumer.next().await {
            None => break,
            Some(Ok(Event::Records(fetched))) => read.take(&fetched, most)?,
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(error.into()),
        }
        progress.set(read.bytes, read.records);
    }
    Ok(read)
}

impl Read {
    fn take(&mut self, fetched: &Fetched, most: u64) -> Result<(), Failure> {
        let Self { records, bytes, wire_bytes, scratch } = self;
        *wire_bytes += u64::try_from(fetched.bytes()).unwrap_or(0);
        let visited = fetched.visit(scratch, |_, record| {
            if *records >= most {
                return ControlFlow::Break(());
            }
            *records += 1;
            let size = record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len);
            *bytes += u64::try_from(size).unwrap_or(0);
            ControlFlow::Continue(())
        });
        let (topic, partition) = (&fetched.topic, fetched.partition);
        let unreadable =
            |error| Failure::new(Exit::Failed, format!("partition {topic}-{partition}: {error}"));
        visited.map(|_| ()).map_err(unreadable)
    }
}
