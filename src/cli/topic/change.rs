//! `duramen topic create`, `alter`, `add-partitions` and `delete`.

use clap::Args;
use duramen_client::admin::{NewTopic, Operation, Resource};
use duramen_client::{Admin, ErrorCode, Text};

use super::texts;
use crate::cli::configs::{ChangeArgs, assignment, each};
use crate::cli::exit::Failure;
use crate::cli::outcomes::tell;
use crate::cli::output;
use crate::cli::pattern;

/// Create topics
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  duramen topic create orders payments -p 12
  duramen topic create events -c cleanup.policy=compact -c durability=page-cache
  duramen topic create orders --if-not-exists
  duramen topic create big -p 1000 --dry-run         ask whether the broker would")]
pub(super) struct CreateArgs {
    /// The names
    #[arg(required = true, value_name = "TOPIC")]
    names: Vec<String>,
    /// How many partitions; the broker's default otherwise
    #[arg(short, long)]
    partitions: Option<i32>,
    /// How many replicas of each partition; the broker's default otherwise
    #[arg(short, long)]
    replicas: Option<i16>,
    /// A config, as retention.ms=3600000; may be repeated
    #[arg(short, long = "config", value_name = "NAME=VALUE", value_parser = assignment)]
    configs: Vec<(Text, Text)>,
    /// Succeed when a topic exists already
    #[arg(long)]
    if_not_exists: bool,
    /// Only say whether it could be done
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn create(admin: &Admin, args: CreateArgs) -> Result<(), Failure> {
    let topics: Vec<NewTopic> = args
        .names
        .iter()
        .map(|name| {
            NewTopic::new(Text::from(name))
                .partitions(args.partitions)
                .replication_factor(args.replicas)
                .configs(args.configs.clone())
        })
        .collect();
    let mut outcomes = admin.create_topics(&topics, args.dry_run).await?;
    if args.if_not_exists {
        outcomes.retain(|outcome| {
            let exists =
                matches!(&outcome.result, Err(e) if e.code() == Some(ErrorCode::TopicAlreadyExists));
            if exists {
                output::note(&format!("topic {} exists already", outcome.about));
            }
            !exists
        });
    }
    let verb = if args.dry_run { "could be created" } else { "created" };
    tell(outcomes, |name, topic| match (topic.partitions, topic.replication_factor) {
        (partitions @ 1.., replicas @ 1..) => format!(
            "{name} {verb} with {partitions} partition{} of {replicas} replica{}",
            plural(partitions),
            plural(replicas.into())
        ),
        _ => format!("{name} {verb}"),
    })
}

fn plural(count: i32) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// Change configs of topics
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  duramen topic alter orders --set retention.ms=86400000
  duramen topic alter orders payments --unset retention.ms --set durability=disk
  duramen topic alter orders --append cleanup.policy=compact")]
pub(super) struct AlterArgs {
    /// The names
    #[arg(required = true, value_name = "TOPIC")]
    names: Vec<String>,
    #[command(flatten)]
    change: ChangeArgs,
    /// Add to a config that is a list; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = assignment)]
    append: Vec<(Text, Text)>,
    /// Take from a config that is a list; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = assignment)]
    subtract: Vec<(Text, Text)>,
}

pub(super) async fn alter(admin: &Admin, args: AlterArgs) -> Result<(), Failure> {
    let mut lists = each(&args.append, Operation::Append);
    lists.extend(each(&args.subtract, Operation::Subtract));
    args.change.carry_out(admin, &texts(&args.names), Resource::Topic, lists).await
}

/// Give topics more partitions
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  duramen topic add-partitions orders --to 12
  duramen topic add-partitions orders payments --add 3

Records with a key go to other partitions from then on; those written before stay where they are.")]
pub(super) struct AddPartitionsArgs {
    /// The names
    #[arg(required = true, value_name = "TOPIC")]
    names: Vec<String>,
    /// How many more
    #[arg(short, long, value_name = "N", required_unless_present = "to", conflicts_with = "to")]
    add: Option<i32>,
    /// How many in all
    #[arg(long, value_name = "N")]
    to: Option<i32>,
    /// Only say whether it could be done
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn add_partitions(admin: &Admin, args: AddPartitionsArgs) -> Result<(), Failure> {
    let mut counts = Vec::new();
    for outcome in admin.describe_topics(&texts(&args.names)).await? {
        let topic = outcome.result?;
        let today = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
        let count = args.to.unwrap_or_else(|| today.saturating_add(args.add.unwrap_or(0)));
        counts.push((outcome.about, count));
    }
    let outcomes = admin.create_partitions(&counts, args.dry_run).await?;
    let verb = if args.dry_run { "could have" } else { "has" };
    tell(outcomes, |name, ()| {
        let count = counts.iter().find(|(topic, _)| topic == name).map_or(0, |(_, count)| *count);
        format!("{name} {verb} {count} partitions")
    })
}

/// Delete topics with all their records
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  duramen topic delete orders
  duramen topic delete --regex 'test-.*' --dry-run   only say which ones")]
pub(super) struct DeleteArgs {
    /// The names, or with --regex patterns that must match whole names
    #[arg(required = true, value_name = "TOPIC")]
    names: Vec<String>,
    /// Take the names as regular expressions; internal topics are never matched
    #[arg(long)]
    regex: bool,
    /// Only say which topics would be deleted
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn delete(admin: &Admin, args: DeleteArgs) -> Result<(), Failure> {
    let names = if args.regex { matching(admin, &args.names).await? } else { texts(&args.names) };
    if args.dry_run {
        let described = admin.describe_topics(&names).await?;
        return tell(described, |name, topic| {
            format!("{name} would be deleted ({} partitions)", topic.partitions.len())
        });
    }
    if names.is_empty() {
        output::note("no topic matches");
        return Ok(());
    }
    let outcomes = admin.delete_topics(&names).await?;
    tell(outcomes, |name, ()| format!("{name} deleted"))
}

async fn matching(admin: &Admin, patterns: &[String]) -> Result<Vec<Text>, Failure> {
    let patterns =
        patterns.iter().map(|text| pattern::whole(text)).collect::<Result<Vec<_>, _>>()?;
    let topics = admin.list_topics().await?;
    Ok(topics
        .iter()
        .filter(|topic| !topic.internal && patterns.iter().any(|p| p.is_match(&topic.name)))
        .map(|topic| topic.name.clone())
        .collect())
}
