//! `duramen topic trim`: deletes the oldest records of partitions.

use clap::Args;
use duramen_client::admin::RecordsBefore;
use duramen_client::consumer::Isolation;
use duramen_client::{Admin, Text};

use crate::cli::edges::{Edges, edges_of};
use crate::cli::exit::Failure;
use crate::cli::offsets::OffsetRange;
use crate::cli::outcomes::tell;
use crate::cli::output;
use crate::cli::partitions::PartitionList;
use crate::cli::time::now_ms;

/// Delete the oldest records of a topic
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  duramen topic trim orders --before @-7d            what is older than a week
  duramen topic trim orders --before -1000           all but the last thousand of each partition
  duramen topic trim orders --before 5000 -p 0,3
  duramen topic trim orders --before end --dry-run   everything, but only say so

OFFSET is start, end, n, +n, -n or @time as in `duramen consume --offset`. Brokers drop whole files,
so the disk space of the last one comes back later; the records are gone for readers at once.")]
pub(super) struct TrimArgs {
    /// The name
    #[arg(value_name = "TOPIC")]
    name: String,
    /// The first offset to keep
    #[arg(long, value_name = "OFFSET", allow_hyphen_values = true)]
    before: String,
    /// Only these partitions, as 0,2,5-7
    #[arg(short, long, value_name = "LIST")]
    partitions: Option<PartitionList>,
    /// Only say what would be deleted
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(admin: &Admin, args: TrimArgs) -> Result<(), Failure> {
    let range = OffsetRange::parse(&args.before, now_ms()).map_err(Failure::usage)?;
    if range.to.is_some() {
        return Err(Failure::usage("--before takes one offset, not a range"));
    }
    let name = Text::from(&args.name);
    let topic = admin.cluster().topic(&name).await?;
    let wanted = |partition: i32| {
        args.partitions.as_ref().is_none_or(|partitions| partitions.contains(partition))
    };
    let partitions = topic.partitions.iter().map(|partition| partition.id);
    let partitions: Vec<_> =
        partitions.filter(|id| wanted(*id)).map(|id| (name.clone(), id)).collect();
    let edges =
        edges_of(admin.cluster(), Isolation::ReadUncommitted, partitions, Some(&range)).await?;
    let before: Vec<(RecordsBefore, i64)> = edges
        .into_iter()
        .map(|Edges { topic, partition, edges }| {
            let offset = range.resolve(&edges).from.min(edges.end);
            (RecordsBefore::new(topic, partition, offset), offset - edges.start)
        })
        .filter(|(_, count)| *count > 0)
        .collect();
    if before.is_empty() {
        output::note("nothing to trim: no record lies before that");
        return Ok(());
    }
    let count_of = |records: &RecordsBefore| {
        before.iter().find(|(known, _)| known == records).map_or(0, |(_, count)| *count)
    };
    let all: Vec<RecordsBefore> = before.iter().map(|(records, _)| records.clone()).collect();
    if args.dry_run {
        let mut out = output::Output::stdout()?;
        for records in &all {
            let RecordsBefore { topic, partition, offset, .. } = records;
            let count = count_of(records);
            let line =
                format!("{topic}-{partition} would start at {offset} ({count} records less)\n");
            out.buffer().extend_from_slice(line.as_bytes());
        }
        return out.flush();
    }
    let outcomes = admin.delete_records(&all).await?;
    tell(outcomes, |records, deleted| {
        let RecordsBefore { topic, partition, .. } = records;
        let (start, count) = (deleted.log_start_offset, count_of(records));
        format!("{topic}-{partition} starts at {start} ({count} records less)")
    })
}
