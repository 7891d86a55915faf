//! A bill was wrong. The orders are still there: they are read again, bounded and without touching the
//! group that bills, and what was charged is compared with what should have been.
//!
//! cargo run --example replay_after_a_bug --features json
#![allow(clippy::print_stdout, reason = "it says what it did")]

mod shop;

use std::time::Duration;

use duramen_client::admin::{OffsetQuestion, OffsetSpec};
use duramen_client::consumer::Isolation;
use duramen_client::consumer::group::{GroupConsumer, GroupOptions};
use duramen_client::replay::{Replay, ReplayRange};
use duramen_client::serde::Json;
use duramen_client::{Admin, Cluster};
use shop::{Failure, Order};

const ORDERS: u32 = 50;

/// Bills all orders, and forgets the cents: the bug.
async fn bill(cluster: &Cluster) -> Result<u64, Failure> {
    let options = GroupOptions::new("careless-billing").stop_at_end(true);
    let mut group = GroupConsumer::join(cluster, options, ["bug-orders"])?;
    let mut charged = 0;
    loop {
        let records = group.poll(500, Duration::from_secs(30)).await?;
        if records.is_empty() {
            break;
        }
        for record in &records {
            let order: Option<Order> = record.value_as(&Json)?;
            charged += order.map_or(0, |order| order.cents / 100 * 100);
        }
    }
    group.close().await?;
    Ok(charged)
}

/// All that the topic holds now.
async fn everything(cluster: &Cluster, topic: &str) -> Result<Vec<ReplayRange>, Failure> {
    let ask = |partition, spec| OffsetQuestion::new(topic, partition, spec);
    let questions = (0..3)
        .flat_map(|at| [ask(at, OffsetSpec::Earliest), ask(at, OffsetSpec::Latest)])
        .collect();
    let answers = Admin::new(cluster).list_offsets(Isolation::ReadCommitted, questions).await?;
    let mut ranges = Vec::new();
    for edges in answers.chunks(2) {
        let [start, end] = edges else { continue };
        let partition = start.question.partition;
        let from = start.offset.clone()?.unwrap_or(0);
        let to = end.offset.clone()?.unwrap_or(0);
        ranges.push(ReplayRange::new(topic, partition, from, to));
    }
    Ok(ranges)
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let cluster = shop::cluster()?;
    shop::topic(&cluster, "bug-orders").await?;
    shop::place(&cluster, "bug-orders", 0..ORDERS).await?;
    let charged = bill(&cluster).await?;

    let ranges = everything(&cluster, "bug-orders").await?;
    let mut replay = Replay::builder(&cluster).ranges(ranges).start()?;
    let mut owed = 0;
    while let Some(record) = replay.next().await {
        let order: Option<Order> = record?.value_as(&Json)?;
        owed += order.map_or(0, |order| order.cents);
    }
    println!("charged {charged} cents, owed {owed}: {} to claim", owed - charged);
    Ok(())
}
