//! `replay --dry-run`: reads what would be replayed, and tells counts, bytes and times without writing.

use serde_json::{Map, Value, json};

use super::plan::{Destination, Plan};
use super::speed;
use super::work::Work;
use super::{ReplayArgs, record};
use crate::cli::exit::Failure;
use crate::cli::filter::FilterArgs;
use crate::cli::output::{Table, print};
use crate::cli::time::rfc3339;

/// What one partition has, or all of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Count {
    records: u64,
    /// Of keys, values and headers.
    bytes: u64,
    /// Smallest and largest timestamp, in milliseconds since 1970.
    times: Option<(i64, i64)>,
}

impl Count {
    fn add(&mut self, bytes: u64, timestamp: i64) {
        self.take_in(Self {
            records: 1,
            bytes,
            times: (timestamp >= 0).then_some((timestamp, timestamp)),
        });
    }

    fn take_in(&mut self, other: Self) {
        self.records += other.records;
        self.bytes += other.bytes;
        self.times = match (self.times, other.times) {
            (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
            (one, other) => one.or(other),
        };
    }

    fn span_ms(&self) -> i64 {
        self.times.map_or(0, |(first, last)| last - first)
    }

    fn json(&self) -> Map<String, Value> {
        let fields = [
            ("records", json!(self.records)),
            ("bytes", json!(self.bytes)),
            ("first_timestamp", json!(self.times.map(|(first, _)| first))),
            ("last_timestamp", json!(self.times.map(|(_, last)| last))),
            ("span_ms", json!(self.span_ms())),
        ];
        fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    fn cells(&self) -> [String; 4] {
        let time = |at: Option<i64>| at.map_or_else(|| "-".to_owned(), rfc3339);
        [
            self.records.to_string(),
            self.bytes.to_string(),
            time(self.times.map(|(first, _)| first)),
            time(self.times.map(|(_, last)| last)),
        ]
    }
}

/// Counts and tells.
pub(super) async fn run(work: &mut Work, args: &ReplayArgs, plan: &Plan) -> Result<(), Failure> {
    let mut counts = vec![Count::default(); plan.sources.len()];
    let mut replay = work.replay(&plan.sources, duramen_client::replay::Pace::Max)?;
    while let Some(record) = work.next_or_stop(&mut replay).await? {
        let source = plan.sources.binary_search_by_key(&record.partition, |s| s.partition);
        if let Some(count) = source.ok().and_then(|source| counts.get_mut(source)) {
            count.add(record::size(&record), record.timestamp);
        }
        work.show_progress(&replay);
    }
    work.progress.finish();
    let mut total = Count::default();
    counts.iter().for_each(|count| total.take_in(*count));
    tell(work, args, plan, &counts, total)
}

fn tell(
    work: &Work,
    args: &ReplayArgs,
    plan: &Plan,
    counts: &[Count],
    total: Count,
) -> Result<(), Failure> {
    let mut table = Table::new(&["partition", "from", "to", "records", "bytes", "first", "last"]);
    let mut partitions = Vec::new();
    for (source, count) in plan.sources.iter().zip(counts) {
        let mut cells =
            [source.partition.to_string(), source.from.to_string(), source.to.to_string()].to_vec();
        cells.extend(count.cells());
        table.row(cells);
        let place =
            [("partition", i64::from(source.partition)), ("from", source.from), ("to", source.to)];
        let mut json = count.json();
        json.extend(place.map(|(name, number)| (name.to_owned(), number.into())));
        partitions.push(json);
    }
    let mut all = ["all", "", ""].map(str::to_owned).to_vec();
    all.extend(total.cells());
    table.row(all);
    let takes = speed::takes(work.pace, total.records, total.span_ms());
    let mut would = Table::new(&["would", ""]);
    let destination = Destination::of(args);
    for (what, how) in [
        ("read", format!("topic {}", args.source)),
        ("write to", destination.words()),
        ("partitions", partitions_words(args, plan, destination)),
        ("filter", filters(args)),
        ("pace", speed::words(work.pace)),
        ("take", takes.map_or_else(|| "-".to_owned(), |takes| format!("{takes:.1?}"))),
        ("add headers", if args.no_provenance { "none" } else { "provenance" }.to_owned()),
    ] {
        would.row(vec![what.to_owned(), how]);
    }
    let json = json!({
        "source": args.source,
        "to": args.to,
        "to_file": args.to_file.as_ref().map(|file| file.display().to_string()),
        "keep_partitions": args.keep_partitions,
        "provenance": !args.no_provenance,
        "filters": filters(args),
        "pace": speed::words(work.pace),
        "takes_ms": takes.map(|takes| u64::try_from(takes.as_millis()).unwrap_or(u64::MAX)),
        "partitions": partitions,
        "total": total.json(),
    });
    print(args.format, &json, &[table, would])
}

/// The filters as they were typed.
fn filters(args: &ReplayArgs) -> String {
    let FilterArgs { filter_key, filter_value, filter_header, filter_json } = &args.filter;
    let kinds = [
        ("key", filter_key),
        ("value", filter_value),
        ("header", filter_header),
        ("json", filter_json),
    ];
    let each = kinds.into_iter().flat_map(|(kind, list)| list.iter().map(move |text| (kind, text)));
    let words: Vec<_> = each.map(|(kind, text)| format!("{kind} {text}")).collect();
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}

fn partitions_words(args: &ReplayArgs, plan: &Plan, destination: Destination<'_>) -> String {
    match (destination, &plan.target) {
        (Destination::Topic(_), _) if args.keep_partitions => "those of the source".to_owned(),
        (Destination::Topic(_), Some((count, _))) => format!("by key, among {count}"),
        _ => "one line a record, in the order of time".to_owned(),
    }
}
