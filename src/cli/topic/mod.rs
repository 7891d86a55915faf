//! `duramen topic`: topics made, shown, changed, grown, trimmed, deleted.

mod change;
mod describe;
mod list;
mod trim;

use clap::{Args, Subcommand};
use duramen_client::{Admin, Text};

use super::connect::ClusterArgs;
use super::exit::Failure;

/// Create, list, describe, change and delete topics.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  duramen topic create orders -p 12 -c retention.ms=86400000
  duramen topic list --format json
  duramen topic describe orders
  duramen topic alter orders --set cleanup.policy=compact --unset retention.ms
  duramen topic trim orders --before @-7d")]
pub struct TopicArgs {
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(subcommand)]
    verb: TopicVerb,
}

#[derive(Debug, Subcommand)]
enum TopicVerb {
    Create(change::CreateArgs),
    List(list::ListArgs),
    Describe(describe::DescribeArgs),
    Alter(change::AlterArgs),
    AddPartitions(change::AddPartitionsArgs),
    Delete(change::DeleteArgs),
    Trim(trim::TrimArgs),
}

/// Does what was asked.
pub(super) async fn run(args: TopicArgs) -> Result<(), Failure> {
    let admin = Admin::new(&args.cluster.cluster()?);
    match args.verb {
        TopicVerb::Create(args) => change::create(&admin, args).await,
        TopicVerb::List(args) => list::run(&admin, args).await,
        TopicVerb::Describe(args) => describe::run(&admin, args).await,
        TopicVerb::Alter(args) => change::alter(&admin, args).await,
        TopicVerb::AddPartitions(args) => change::add_partitions(&admin, args).await,
        TopicVerb::Delete(args) => change::delete(&admin, args).await,
        TopicVerb::Trim(args) => trim::run(&admin, args).await,
    }
}

fn texts(names: &[String]) -> Vec<Text> {
    names.iter().map(Text::from).collect()
}
