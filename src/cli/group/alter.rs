//! `duramen group alter`.

use clap::Args;
use duramen_client::admin::Resource;
use duramen_client::{Admin, Text};

use crate::cli::configs::ChangeArgs;
use crate::cli::exit::Failure;

/// Change configs of groups
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  duramen group alter payments --set consumer.session.timeout.ms=60000
  duramen group alter payments billing --unset consumer.heartbeat.interval.ms --dry-run

They hold for KIP-848 groups, from each member's next heartbeat, within the broker's bounds.
A group need not exist yet. `duramen group describe --configs` shows them.")]
pub(super) struct AlterArgs {
    /// The groups
    #[arg(required = true, value_name = "GROUP")]
    groups: Vec<String>,
    #[command(flatten)]
    change: ChangeArgs,
}

pub(super) async fn run(admin: &Admin, args: AlterArgs) -> Result<(), Failure> {
    let groups: Vec<Text> = args.groups.iter().map(Text::from).collect();
    args.change.carry_out(admin, &groups, Resource::Group, Vec::new()).await
}
