//! `duramen topic list`.

use clap::Args;
use duramen_client::Admin;
use duramen_client::topic_id_to_base64;
use serde_json::json;

use crate::cli::exit::Failure;
use crate::cli::output::{self, Format, Table};
use crate::cli::pattern;

/// List topics
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  duramen topic list
  duramen topic list 'orders-.*' --format json
  duramen topic list --format text | cut -f1")]
pub(super) struct ListArgs {
    /// Only topics whose whole name matches
    #[arg(value_name = "REGEX")]
    pattern: Option<String>,
    /// Also the broker's own topics
    #[arg(long)]
    internal: bool,
    /// How to show it
    #[arg(long, env = "DURAMEN_FORMAT", default_value = "table")]
    format: Format,
}

pub(super) async fn run(admin: &Admin, args: ListArgs) -> Result<(), Failure> {
    let pattern = args.pattern.as_deref().unwrap_or(".*");
    let pattern = pattern::whole(pattern)?;
    let topics = admin.list_topics().await?;
    let shown = topics
        .iter()
        .filter(|topic| (args.internal || !topic.internal) && pattern.is_match(&topic.name));
    let mut table = Table::new(&["topic", "partitions", "replicas"]);
    let mut json = Vec::new();
    for topic in shown {
        let replicas = topic.partitions.first().map_or(0, |partition| partition.replicas.len());
        table.row(vec![
            topic.name.to_string(),
            topic.partitions.len().to_string(),
            replicas.to_string(),
        ]);
        json.push(json!({
            "topic": topic.name.as_str(),
            "id": topic_id_to_base64(&topic.id),
            "partitions": topic.partitions.len(),
            "replicas": replicas,
            "internal": topic.internal,
        }));
    }
    if table.is_empty() && args.format == Format::Table && output::stdout_is_terminal() {
        output::note("no topics; make one with `duramen topic create NAME`");
    }
    output::print(args.format, &json.into(), &[table])
}
