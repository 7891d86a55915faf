//! `duramen group describe`.

use clap::Args;
use duramen_client::Admin;
use duramen_client::admin::{ConfigEntry, GroupDescription, GroupKind, Resource};
use duramen_protocol::text::Text;
use serde_json::{Value, json};

use super::existing;
use super::members::{member_json, table};
use super::standing::{Standing, standings};
use crate::cli::configs;
use crate::cli::exit::Failure;
use crate::cli::output::{self, Format, Table};

/// Show what groups are: type, state, coordinator, members, offsets behind, configs
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  duramen group describe payments
  duramen group describe payments --configs          every config with its source
  duramen group describe payments --format json | jq '.[0].state'

The offsets of each partition are shown by `duramen group lag`.")]
pub(super) struct DescribeArgs {
    /// The groups
    #[arg(required = true, value_name = "GROUP")]
    groups: Vec<String>,
    /// Show every config, not only those that are set for the group
    #[arg(short, long)]
    configs: bool,
    /// How to show it
    #[arg(long, env = "DURAMEN_FORMAT", default_value = "table")]
    format: Format,
}

pub(super) async fn run(admin: &Admin, args: DescribeArgs) -> Result<(), Failure> {
    let names: Vec<Text> = args.groups.iter().map(Text::from).collect();
    let groups = existing(admin, &names).await?;
    let known: Vec<_> =
        groups.iter().map(|group| (group.group.clone(), Some(group.clone()))).collect();
    let (mut tables, mut all) = (Vec::new(), Vec::new());
    for (group, standings) in groups.iter().zip(standings(admin, &known).await?) {
        let resource = Resource::Group(group.group.clone());
        let configs = configs::shown(admin, resource, args.configs, &[]).await?;
        tables.push(summary(group, &standings));
        tables.push(table(group));
        if !configs.is_empty() {
            tables.push(configs::table(&configs));
        }
        all.push(as_json(group, &standings, &configs));
    }
    output::print(args.format, &all.into(), &tables)
}

fn kind(group: &GroupDescription) -> &'static str {
    match group.kind {
        GroupKind::Classic => "classic",
        GroupKind::Consumer => "consumer",
        _ => "other",
    }
}

fn lag(standings: &[Standing]) -> i64 {
    standings.iter().filter_map(Standing::lag).sum()
}

fn coordinator(group: &GroupDescription) -> String {
    let coordinator = group.coordinator.as_ref();
    coordinator.map_or_else(|| "-".to_owned(), |it| format!("{} ({})", it.id, it.address))
}

fn summary(group: &GroupDescription, standings: &[Standing]) -> Table {
    let mut table =
        Table::new(&["group", "type", "state", "assignor", "coordinator", "members", "lag"]);
    let assignor = if group.assignor.is_empty() { "-" } else { &group.assignor };
    table.row(vec![
        group.group.to_string(),
        kind(group).to_owned(),
        group.state.to_string(),
        assignor.to_owned(),
        coordinator(group),
        group.members.len().to_string(),
        lag(standings).to_string(),
    ]);
    table
}

fn as_json(group: &GroupDescription, standings: &[Standing], configs: &[ConfigEntry]) -> Value {
    json!({
        "group": group.group.as_str(),
        "type": kind(group),
        "state": group.state.as_str(),
        "assignor": group.assignor.as_str(),
        "epoch": group.epoch,
        "coordinator": group.coordinator.as_ref().map(|it| json!({
            "id": it.id, "address": it.address.to_string(),
        })),
        "lag": lag(standings),
        "configs": configs::as_json(configs),
        "members": group.members.iter().map(member_json).collect::<Vec<_>>(),
    })
}
