//! `duramen group reset` and `seek`: a group without members goes on elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use clap::Args;
use duramen_client::admin::{CommittedOffset, GroupDescription, OffsetSpec, Outcome};
use duramen_client::cluster::Topics;
use duramen_client::consumer::{Isolation, TopicPartition};
use duramen_client::{Admin, Text};
use serde_json::json;

use super::standing::{committed, edges, question};
use super::target::{Goal, State, Target};
use super::{TopicChoice, described, offsets_file};
use crate::cli::exit::{Exit, Failure, at_place, words_of};
use crate::cli::offsets::PartitionEdges;
use crate::cli::output::{self, Format, Table};
use crate::cli::time::now_ms;

const HELP: &str = "\
An offset (--to) is start, end, current, n, +n (after the start), -n (before the end), or a time as
@2026-11-22T10:30:00Z, @1700000000 or @-1h. What lies outside the log goes to its nearest edge.

Nothing changes without --execute. A group with members can't be moved, since they would commit over
it: stop them first.";

/// Move a group to other offsets; says what would change unless told to --execute
#[derive(Debug, Args)]
#[command(after_help = format!("Examples:
  duramen group reset payments --to start                        everything again
  duramen group reset payments --topic orders:0,3 --to @-1h --execute
  duramen group reset payments --shift -100                      the last hundred of each again
  duramen group reset payments --from-group billing --execute    where another group stands
  duramen group reset payments --to current --export now.csv     keep where it stands
  duramen group reset payments --from-file now.csv --execute     and go back there

{HELP}"))]
#[group(id = "target", required = true, multiple = false, args = ["to", "shift", "from_group", "from_file"])]
pub(super) struct ResetArgs {
    /// The group
    group: String,
    /// Only this topic, as orders or orders:0,2,5-7; may be repeated. Otherwise all that the group has
    /// committed
    #[arg(short, long, value_name = "TOPIC[:LIST]")]
    topic: Vec<TopicChoice>,
    /// Go to an offset or time; see below
    #[arg(long, value_name = "OFFSET", allow_hyphen_values = true)]
    to: Option<String>,
    /// Go so many records on, or back with a minus
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    shift: Option<i64>,
    /// Go where another group stands
    #[arg(long, value_name = "GROUP")]
    from_group: Option<String>,
    /// Go where a file says: CSV as topic,partition,offset or JSON
    #[arg(long, value_name = "FILE")]
    from_file: Option<PathBuf>,
    #[command(flatten)]
    how: HowArgs,
}

/// Move a group in one partition; says what would change unless told to --execute
#[derive(Debug, Args)]
#[command(after_help = format!("Examples:
  duramen group seek payments orders 3 1500              from offset 1500 on
  duramen group seek payments orders 3 @-15m --execute

{HELP}"))]
pub(super) struct SeekArgs {
    /// The group
    group: String,
    /// The topic
    topic: String,
    /// The partition
    partition: i32,
    /// Where to go; see below
    #[arg(value_name = "OFFSET", allow_hyphen_values = true)]
    to: String,
    #[command(flatten)]
    how: HowArgs,
}

#[derive(Debug, Args)]
struct HowArgs {
    /// Do it
    #[arg(long)]
    execute: bool,
    /// Write the offsets of the plan to a file, as JSON when its name ends in .json, else as CSV
    #[arg(long, value_name = "FILE")]
    export: Option<PathBuf>,
    /// How to show it
    #[arg(long, env = "DURAMEN_FORMAT", default_value = "table")]
    format: Format,
}

/// One partition of the plan.
struct Step {
    at: TopicPartition,
    before: Option<i64>,
    goal: Goal,
}

pub(super) async fn seek(admin: &Admin, args: SeekArgs) -> Result<(), Failure> {
    let target = Target::parse(&args.to, now_ms()).map_err(Failure::usage)?;
    let at = TopicPartition::new(&args.topic, args.partition);
    let group = Text::from(&args.group);
    let found = movable(admin, &group).await?;
    admin.cluster().refresh(Topics::Named(std::slice::from_ref(&at.topic))).await?;
    let before = committed(admin, &group).await?;
    if before.is_empty() && target == Target::Current {
        return Err(nothing(&group));
    }
    run(admin, &group, found.is_none(), (target, vec![at], before), args.how).await
}

pub(super) async fn reset(admin: &Admin, args: ResetArgs) -> Result<(), Failure> {
    let group = Text::from(&args.group);
    let target = target(admin, &args).await?;
    let found = movable(admin, &group).await?;
    let before = committed(admin, &group).await?;
    let partitions = chosen(admin, &args.topic, &target, &before).await?;
    if partitions.is_empty() {
        return Err(nothing(&group));
    }
    run(admin, &group, found.is_none(), (target, partitions, before), args.how).await
}

fn nothing(group: &Text) -> Failure {
    let words =
        format!("group {group} has committed nothing of that; name what to set with --topic TOPIC");
    Failure::new(Exit::NotFound, words)
}

async fn target(admin: &Admin, args: &ResetArgs) -> Result<Target, Failure> {
    if let Some(to) = &args.to {
        return Target::parse(to, now_ms()).map_err(Failure::usage);
    }
    if let Some(by) = args.shift {
        return Ok(Target::Shift(by));
    }
    if let Some(other) = &args.from_group {
        let other = Text::from(other);
        let offsets = committed(admin, &other).await?;
        if offsets.is_empty() {
            let words = format!("group {other} has committed nothing; see `duramen group list`");
            return Err(Failure::new(Exit::NotFound, words));
        }
        return Ok(Target::Given(offsets));
    }
    match &args.from_file {
        Some(path) => Ok(Target::Given(offsets_file::read(path, &args.group)?)),
        None => Err(Failure::usage("name where to go: --to, --shift, --from-group or --from-file")),
    }
}

/// The group, unless somebody is in it; `None` when it does not exist yet.
async fn movable(admin: &Admin, group: &Text) -> Result<Option<GroupDescription>, Failure> {
    let found = described(admin, std::slice::from_ref(group)).await?.into_iter().next();
    let found = found.and_then(|(_, found)| found);
    let Some(live) = found.as_ref().filter(|group| group.is_live()) else {
        return Ok(found);
    };
    let mut who: Vec<String> = live
        .members
        .iter()
        .take(3)
        .map(|member| format!("{} at {}", member.client_id, member.host))
        .collect();
    if live.members.len() > who.len() {
        who.push("…".to_owned());
    }
    let (count, state) = (live.members.len(), live.state.to_lowercase());
    let members = if count == 1 { "member" } else { "members" };
    Err(Failure::new(
        Exit::Refused,
        format!(
            "group {group} is live ({state}, {count} {members}: {}), and would commit over it; stop \
             them, wait until `duramen group describe {group}` says Empty, and try again",
            who.join(", ")
        ),
    ))
}

/// The partitions to move: those of the topics named, or all that are known of.
async fn chosen(
    admin: &Admin,
    topics: &[TopicChoice],
    target: &Target,
    before: &BTreeMap<TopicPartition, i64>,
) -> Result<Vec<TopicPartition>, Failure> {
    if topics.is_empty() {
        return Ok(match target {
            Target::Given(offsets) => offsets.keys().cloned().collect(),
            _ => before.keys().cloned().collect(),
        });
    }
    let names: Vec<Text> = topics.iter().map(|choice| choice.topic.clone()).collect();
    let view = admin.cluster().refresh(Topics::Named(&names)).await?;
    let mut all = BTreeSet::new();
    for choice in topics {
        let count = view.topic(&choice.topic).map_or(0, |topic| topic.partitions.len());
        let count = i32::try_from(count).unwrap_or(i32::MAX);
        let place = |partition| TopicPartition::new(choice.topic.clone(), partition);
        match &choice.partitions {
            Some(list) => all.extend(list.iter().map(place)),
            None => all.extend((0..count).map(place)),
        }
    }
    Ok(all.into_iter().collect())
}

/// What is to be moved: where to, which partitions, and where the group stands.
type Task = (Target, Vec<TopicPartition>, BTreeMap<TopicPartition, i64>);

async fn run(
    admin: &Admin,
    group: &Text,
    is_new: bool,
    (target, partitions, before): Task,
    how: HowArgs,
) -> Result<(), Failure> {
    let steps = plan(admin, &target, partitions, &before).await?;
    let offsets: Vec<(TopicPartition, i64)> =
        steps.iter().map(|step| (step.at.clone(), step.goal.offset)).collect();
    if let Some(path) = &how.export {
        offsets_file::write(path, &offsets)?;
    }
    if how.execute {
        execute(admin, group, &offsets).await?;
    }
    show(group, &steps, &how)?;
    let count = steps.len();
    let partitions = if count == 1 { "partition" } else { "partitions" };
    if how.execute {
        output::note(&format!("group {group} is set in {count} {partitions}"));
    } else if how.export.is_none() {
        let made = if is_new { ", and makes the group" } else { "" };
        output::note(&format!("nothing was changed; --execute does it{made}"));
    }
    Ok(())
}

async fn plan(
    admin: &Admin,
    target: &Target,
    partitions: Vec<TopicPartition>,
    before: &BTreeMap<TopicPartition, i64>,
) -> Result<Vec<Step>, Failure> {
    let edges = edges(admin, partitions.clone()).await?;
    if let Some(gone) = partitions.iter().find(|at| !edges.contains_key(at)) {
        let words = format!(
            "there is no partition {gone}; name topics that exist with --topic, see `duramen topic list`"
        );
        return Err(Failure::new(Exit::NotFound, words));
    }
    let times = times(admin, target, &partitions).await?;
    let step = |at: TopicPartition| {
        let (start, end) = edges.get(&at).copied()?;
        let from_time = times.get(&at).copied();
        let edges = PartitionEdges { start, end, from_time, to_time: None };
        let before = before.get(&at).copied();
        let goal = target.of(&at, &State { edges, committed: before })?;
        Some(Step { at, before, goal })
    };
    let steps: Vec<Step> = partitions.into_iter().filter_map(step).collect();
    match steps.is_empty() {
        true => Err(Failure::new(Exit::NotFound, "nothing of that has an offset to go to")),
        false => Ok(steps),
    }
}

/// The offsets at the target's time.
async fn times(
    admin: &Admin,
    target: &Target,
    partitions: &[TopicPartition],
) -> Result<BTreeMap<TopicPartition, i64>, Failure> {
    let Some(time) = target.time() else { return Ok(BTreeMap::new()) };
    let questions = partitions.iter().map(|at| question(at, OffsetSpec::Time(time))).collect();
    let answers = admin.list_offsets(Isolation::ReadUncommitted, questions).await?;
    let mut times = BTreeMap::new();
    for (at, answer) in partitions.iter().zip(answers) {
        if let Some(offset) = answer.offset? {
            times.insert(at.clone(), offset);
        }
    }
    Ok(times)
}

async fn execute(
    admin: &Admin,
    group: &Text,
    offsets: &[(TopicPartition, i64)],
) -> Result<(), Failure> {
    let offsets: Vec<(TopicPartition, CommittedOffset)> =
        offsets.iter().map(|(at, offset)| (at.clone(), CommittedOffset::at(*offset))).collect();
    let outcomes = admin.alter_offsets(group, &offsets).await?;
    let mut failed = outcomes.into_iter().filter_map(|Outcome { about, result, .. }| {
        let error = result.err()?;
        Some((about, error))
    });
    let Some((at, first)) = failed.next() else { return Ok(()) };
    for (_, error) in failed {
        output::note(&words_of(&error));
    }
    Err(at_place(&at.to_string(), &first))
}

fn show(group: &Text, steps: &[Step], how: &HowArgs) -> Result<(), Failure> {
    let mut table =
        Table::new(&["group", "topic", "partition", "before", "after", "change", "note"]);
    let mut json = Vec::new();
    for Step { at, before, goal } in steps {
        let note =
            goal.clamped.map_or_else(String::new, |asked| format!("{asked} is outside the log"));
        table.row(vec![
            group.to_string(),
            at.topic.to_string(),
            at.partition.to_string(),
            before.map_or_else(|| "-".to_owned(), |offset| offset.to_string()),
            goal.offset.to_string(),
            before.map_or_else(|| "-".to_owned(), |before| format!("{:+}", goal.offset - before)),
            note,
        ]);
        json.push(json!({
            "topic": at.topic.as_str(),
            "partition": at.partition,
            "before": before,
            "after": goal.offset,
            "asked": goal.clamped.unwrap_or(goal.offset),
        }));
    }
    let json = json!({"group": group.as_str(), "executed": how.execute, "partitions": json});
    output::print(how.format, &json, &[table])
}
