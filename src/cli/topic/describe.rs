//! `duramen topic describe`.

use std::sync::Arc;

use clap::Args;
use duramen_client::admin::{ConfigEntry, Resource};
use duramen_client::cluster::Topic;
use duramen_client::consumer::Isolation;
use duramen_client::topic_id_to_base64;
use duramen_client::{Admin, ClientError};
use serde_json::{Value, json};

use super::texts;
use crate::cli::configs;
use crate::cli::edges::{Edges, edges_of};
use crate::cli::exit::Failure;
use crate::cli::output::{self, Format, Table};

/// Configs shown although nobody set them: what a reader of records asks first.
const TELLING: &[&str] = &["cleanup.policy", "durability", "min.insync.replicas"];

/// Show topics: their partitions with offsets and replicas, and their configs
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  duramen topic describe orders
  duramen topic describe orders --configs            every config with its source
  duramen topic describe orders payments --format json")]
pub(super) struct DescribeArgs {
    /// The names
    #[arg(required = true, value_name = "TOPIC")]
    names: Vec<String>,
    /// Show every config, not only those that differ from the default
    #[arg(short, long)]
    configs: bool,
    /// How to show it
    #[arg(long, env = "DURAMEN_FORMAT", default_value = "table")]
    format: Format,
}

pub(super) async fn run(admin: &Admin, args: DescribeArgs) -> Result<(), Failure> {
    let mut tables = Vec::new();
    let mut json = Vec::new();
    for outcome in admin.describe_topics(&texts(&args.names)).await? {
        let topic = outcome.result?;
        let edges = edges(admin, &topic).await?;
        let resource = Resource::Topic(topic.name.clone());
        let configs = configs::shown(admin, resource, args.configs, TELLING).await?;
        tables.push(summary(&topic, &edges));
        tables.push(partitions(&topic, &edges));
        tables.push(configs::table(&configs));
        json.push(as_json(&topic, &edges, &configs));
    }
    output::print(args.format, &json.into(), &tables)
}

/// The edges of the partitions that have a leader.
async fn edges(admin: &Admin, topic: &Arc<Topic>) -> Result<Vec<Edges>, ClientError> {
    let led = topic.partitions.iter().filter(|partition| partition.leader.is_some());
    let partitions = led.map(|partition| (topic.name.clone(), partition.id)).collect();
    edges_of(admin.cluster(), Isolation::ReadUncommitted, partitions, None).await
}

fn of(edges: &[Edges], partition: i32) -> Option<&Edges> {
    edges.iter().find(|edges| edges.partition == partition)
}

fn summary(topic: &Topic, edges: &[Edges]) -> Table {
    let mut table = Table::new(&["topic", "id", "partitions", "replicas", "records"]);
    let records: i64 = edges.iter().map(|Edges { edges, .. }| edges.end - edges.start).sum();
    table.row(vec![
        topic.name.to_string(),
        topic_id_to_base64(&topic.id),
        topic.partitions.len().to_string(),
        topic.partitions.first().map_or(0, |partition| partition.replicas.len()).to_string(),
        records.to_string(),
    ]);
    table
}

fn partitions(topic: &Topic, edges: &[Edges]) -> Table {
    let mut table = Table::new(&[
        "partition",
        "leader",
        "epoch",
        "replicas",
        "in sync",
        "start",
        "end",
        "records",
    ]);
    let ids = |ids: &[i32]| ids.iter().map(i32::to_string).collect::<Vec<_>>().join(",");
    for partition in &topic.partitions {
        let (start, end, count) = match of(edges, partition.id) {
            Some(Edges { edges, .. }) => (
                edges.start.to_string(),
                edges.end.to_string(),
                (edges.end - edges.start).to_string(),
            ),
            None => ("-".to_owned(), "-".to_owned(), "-".to_owned()),
        };
        table.row(vec![
            partition.id.to_string(),
            partition.leader.map_or_else(|| "none".to_owned(), |leader| leader.to_string()),
            partition.leader_epoch.to_string(),
            ids(&partition.replicas),
            ids(&partition.in_sync),
            start,
            end,
            count,
        ]);
    }
    table
}

fn as_json(topic: &Topic, edges: &[Edges], configs: &[ConfigEntry]) -> Value {
    let partitions: Vec<Value> = topic
        .partitions
        .iter()
        .map(|partition| {
            let edges = of(edges, partition.id).map(|edges| edges.edges);
            json!({
                "partition": partition.id,
                "leader": partition.leader,
                "leader_epoch": partition.leader_epoch,
                "replicas": partition.replicas,
                "in_sync": partition.in_sync,
                "offline": partition.offline,
                "log_start_offset": edges.map(|edges| edges.start),
                "high_watermark": edges.map(|edges| edges.end),
            })
        })
        .collect();
    json!({
        "topic": topic.name.as_str(),
        "id": topic_id_to_base64(&topic.id),
        "internal": topic.internal,
        "partitions": partitions,
        "configs": configs::as_json(configs),
    })
}
