//! `duramen group delete`.

use clap::Args;
use duramen_client::admin::Outcome;
use duramen_client::consumer::TopicPartition;
use duramen_client::{Admin, Text};

use super::{TopicChoice, existing};
use crate::cli::exit::{Exit, Failure};
use crate::cli::outcomes::tell;

/// Delete groups, or what they have committed of some topics
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  duramen group delete payments                        the group and all its offsets
  duramen group delete payments --topic orders         only what it has committed of orders
  duramen group delete payments --topic orders:3,4

A group with members can't be deleted: stop them first. Nor can offsets of a topic that one reads.")]
pub(super) struct DeleteArgs {
    /// The groups
    #[arg(required = true, value_name = "GROUP")]
    groups: Vec<String>,
    /// Delete only the offsets of this topic, as orders or orders:0,2,5-7; may be repeated
    #[arg(long, value_name = "TOPIC[:LIST]")]
    topic: Vec<TopicChoice>,
}

pub(super) async fn run(admin: &Admin, args: DeleteArgs) -> Result<(), Failure> {
    let groups: Vec<Text> = args.groups.iter().map(Text::from).collect();
    if args.topic.is_empty() {
        let outcomes = admin.delete_groups(&groups).await?;
        return tell(outcomes, |group, ()| format!("{group} deleted"));
    }
    for group in &groups {
        delete_offsets(admin, group, &args.topic).await?;
    }
    Ok(())
}

async fn delete_offsets(
    admin: &Admin,
    group: &Text,
    topics: &[TopicChoice],
) -> Result<(), Failure> {
    existing(admin, std::slice::from_ref(group)).await?;
    let committed = admin.committed_offsets(std::slice::from_ref(group)).await?;
    let mut partitions: Vec<TopicPartition> = Vec::new();
    for Outcome { result, .. } in committed {
        let chosen =
            |at: &TopicPartition| topics.iter().any(|choice| choice.takes(&at.topic, at.partition));
        partitions.extend(result?.into_keys().filter(chosen));
    }
    if partitions.is_empty() {
        let words =
            format!("group {group} has committed nothing of that; see `duramen group lag {group}`");
        return Err(Failure::new(Exit::NotFound, words));
    }
    let outcomes = admin.delete_offsets(group, &partitions).await?;
    tell(outcomes, |at, ()| format!("{group}: the offset of {at} deleted"))
}
