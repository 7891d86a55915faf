//! `duramen consume`: records of topics to stdout.

pub mod format;
mod format_parse;
mod group;
pub mod number;
pub mod render;
mod show;

use clap::Args;
use duramen_client::consumer::{Assignment, Consumer, ConsumerOptions, Isolation, Reset, Start};

use super::connect::{ClusterArgs, bytes};
use super::edges::{Edges, edges_of};
use super::encode::TextEncoding;
use super::exit::Failure;
use super::filter::FilterArgs;
use super::offsets::{self, Edge, OffsetRange};
use super::partitions::{PartitionList, partitions_of};
use super::record_json::JsonBinary;
use super::time::now_ms;
use format::RecordFormat;
use render::{RecordForm, Render};
use show::Show;

/// Print records of topics.
#[derive(Debug, Args)]
#[command(after_help = format!("{}\n\n{AFTER_HELP}", offsets::HELP))]
pub struct ConsumeArgs {
    #[command(flatten)]
    cluster: ClusterArgs,
    /// The topics
    #[arg(required_unless_present = "topic_regex", value_name = "TOPIC")]
    topics: Vec<String>,
    /// Where to begin, and where to stop; see below
    #[arg(short, long, default_value = "start", allow_hyphen_values = true)]
    offset: String,
    /// Stop after so many records
    #[arg(short = 'n', long, value_name = "N")]
    num: Option<u64>,
    /// Stop at what is the end now, instead of waiting for more
    #[arg(short, long)]
    end: bool,
    /// Only these partitions, as 0,2,5-7
    #[arg(short, long, value_name = "LIST", conflicts_with = "group")]
    partitions: Option<PartitionList>,
    #[command(flatten)]
    group: group::ConsumeGroupArgs,
    /// How to show a record
    #[arg(long, default_value = "text")]
    format: RecordForm,
    /// A form of your own, as '%t %p %o %k %v\n'; see below
    #[arg(short = 'f', long, value_name = "FORMAT", conflicts_with = "format")]
    template: Option<String>,
    /// Show values (and keys and headers in JSON) as hex
    #[arg(long, conflicts_with_all = ["base64", "template"])]
    hex: bool,
    /// Show values (and keys and headers in JSON) as base64
    #[arg(long, conflicts_with = "template")]
    base64: bool,
    #[command(flatten)]
    filter: FilterArgs,
    /// Leave out records of transactions that are open or aborted
    #[arg(long)]
    read_committed: bool,
    /// Go on behind records that are damaged on the broker's disk, and say which those are
    #[arg(long)]
    skip_damage: bool,
    /// Bytes fetched ahead
    #[arg(long, value_name = "SIZE", default_value = "8m", value_parser = bytes)]
    prefetch: usize,
    /// Say how many records came, and how fast, at the end
    #[arg(long)]
    stats: bool,
}

const AFTER_HELP: &str = "\
Formats (-f):
  %t topic  %p partition  %o offset  %k key  %v value  %d timestamp  %e leader epoch
  %h{%k=%v } each header  %H header count  %T %K %V lengths (-1 is null)  %i number in the output
  %x %y producer id and epoch  %[ %| %] log start, last stable offset, high watermark
  %a{compression} and {timestamp-type}, {transactional-bit}, {control-bit}
  text: {hex} {base64} {base64raw} {json}
  numbers: {hex64…hex4} {big64…big8} {little64…little8} {byte} {bool}
  times: {rfc3339} {strftime[%F %T]} · escapes: \\n \\t \\r \\0 \\xNN \\\\ and %% %{ %}

Examples:
  duramen consume orders -o -10 -e                   the last ten of each partition
  duramen consume orders -o @-1h:-30m                a half hour, an hour ago
  duramen consume orders -o 100:200 -p 0             offsets 100 to 199 of partition 0
  duramen consume orders -f '%d{rfc3339} %k %v\\n'
  duramen consume orders --format json -e | jq -r .key
  duramen consume orders --filter-key '^user-7$' -n 1
  duramen consume orders --filter-json '$.customer.id=^c-7$'
  duramen consume orders --group payments            share the topic, and go on there next time
  duramen consume --topic-regex 'orders-.*' --group payments";

/// Prints records until the range or the number asked for is reached.
pub(super) async fn run(args: ConsumeArgs) -> Result<(), Failure> {
    let range = OffsetRange::parse(&args.offset, now_ms()).map_err(Failure::usage)?;
    let render = render_of(&args)?;
    let filter = args.filter.compile()?;
    let group = args.group.options(&range)?;
    let isolation =
        if args.read_committed { Isolation::ReadCommitted } else { Isolation::ReadUncommitted };
    let cluster = args.cluster.cluster()?;
    let options = ConsumerOptions::default()
        .isolation(isolation)
        .prefetch_bytes(args.prefetch)
        // What retention has taken while we read is not there to be shown: go on behind it.
        .reset(Reset::Earliest)
        .skip_damage(args.skip_damage);
    if let Some(group) = group {
        let show = Show::new(render, filter, 0, args.num, args.stats)?;
        return group.run(&cluster, &args.topics, (options, args.end), show).await;
    }
    let partitions = partitions_of(&cluster, &args.topics, args.partitions.as_ref()).await?;
    let edges = edges_of(&cluster, isolation, partitions, Some(&range)).await?;
    let assignments: Vec<Assignment> =
        edges.iter().filter_map(|edges| assignment(edges, &range, args.end)).collect();
    let skip_below = match range.from {
        Edge::Offset(offset) => offset,
        _ => 0,
    };
    let consumer = Consumer::start(&cluster, options, assignments)?;
    Show::new(render, filter, skip_below, args.num, args.stats)?.run(consumer).await
}

fn render_of(args: &ConsumeArgs) -> Result<Render, Failure> {
    if let Some(template) = &args.template {
        return RecordFormat::compile(template).map(Render::Format).map_err(Failure::usage);
    }
    Ok(match (args.format, args.hex, args.base64) {
        (RecordForm::Text, true, _) => Render::Text(TextEncoding::Hex),
        (RecordForm::Text, _, true) => Render::Text(TextEncoding::Base64),
        (RecordForm::Text, ..) => Render::Text(TextEncoding::Raw),
        (RecordForm::Json, true, _) => Render::Json(JsonBinary::Hex),
        (RecordForm::Json, _, true) => Render::Json(JsonBinary::Base64),
        (RecordForm::Json, ..) => Render::Json(JsonBinary::WhenNeeded),
    })
}

/// What to read of a partition; `None` when there is nothing to read and nothing will come.
fn assignment(of: &Edges, range: &OffsetRange, stop_at_end: bool) -> Option<Assignment> {
    let Edges { topic, partition, edges } = of;
    let resolved = range.resolve(edges);
    let end = match (resolved.to, stop_at_end) {
        (Some(to), true) => Some(to.min(edges.end)),
        (None, true) => Some(edges.end),
        (to, false) => to,
    };
    if end.is_some_and(|end| end <= resolved.from) {
        return None;
    }
    // An offset that is not written yet is waited for at the end.
    let start = Start::Offset(resolved.from.min(edges.end));
    Some(Assignment::new(topic.clone(), *partition, start).end(end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::offsets::PartitionEdges;

    fn read(text: &str, stop_at_end: bool) -> Option<(Start, Option<i64>)> {
        let edges = Edges {
            topic: "t".into(),
            partition: 0,
            edges: PartitionEdges { start: 10, end: 100, from_time: None, to_time: None },
        };
        let range = OffsetRange::parse(text, 0).unwrap();
        let assignment = assignment(&edges, &range, stop_at_end)?;
        Some((assignment.start, assignment.end))
    }

    #[test]
    fn a_range_and_the_end_become_what_is_read() {
        let at = |offset| Start::Offset(offset);
        assert_eq!(read("start", false), Some((at(10), None)));
        assert_eq!(read("start", true), Some((at(10), Some(100))));
        assert_eq!(read("20:30", true), Some((at(20), Some(30))));
        assert_eq!(read("20:300", true), Some((at(20), Some(100))));
        assert_eq!(read("20:300", false), Some((at(20), Some(300))), "waits for the rest");
        assert_eq!(read("end", true), None);
        assert_eq!(read("end", false), Some((at(100), None)));
        assert_eq!(read("150", false), Some((at(100), None)), "waits for that offset");
        assert_eq!(read("150", true), None);
        assert_eq!(read(":5", false), None, "deleted already");
    }
}
