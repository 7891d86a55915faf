//! Consume, transform, produce: each order becomes a line of a report in another topic. What is committed
//! is what has arrived there, so that nothing is left out, whenever this is killed. (Something may come
//! twice then; a report keyed by order number keeps one on a compacted topic.)
//!
//! cargo run --example transform --features json
#![allow(clippy::print_stdout, reason = "it says what it did")]

mod shop;

use std::time::Duration;

use duramen_client::consumer::group::{GroupConsumer, GroupOptions};
use duramen_client::producer::{Producer, ProducerOptions};
use duramen_client::serde::{Json, TypedRecord, Utf8};
use shop::{Failure, Order};

const ORDERS: u32 = 100;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let cluster = shop::cluster()?;
    shop::topic(&cluster, "raw-orders").await?;
    shop::topic(&cluster, "report").await?;
    shop::place(&cluster, "raw-orders", 0..ORDERS).await?;

    let lines = Producer::start(&cluster, ProducerOptions::default())?.typed(Utf8, Utf8);
    // Not by itself: only when the lines have arrived.
    let options = GroupOptions::new("reporting").auto_commit(None).stop_at_end(true);
    let mut group = GroupConsumer::join(&cluster, options, ["raw-orders"])?;
    let mut written = 0;
    loop {
        let records = group.poll(50, Duration::from_secs(30)).await?;
        if records.is_empty() {
            break;
        }
        let mut arriving = Vec::new();
        for record in &records {
            let Some(order) = record.value_as::<Order, _>(&Json)? else { continue };
            let (key, line) = (order.number.to_string(), format!("{order:?}"));
            let line = TypedRecord::new("report", Some(&*key), Some(&*line));
            arriving.push(lines.enqueue(line).await?);
        }
        for line in arriving {
            line.await?;
            written += 1;
        }
        group.commit().await?;
    }
    group.close().await?;
    println!("{written} lines reported");
    Ok(())
}
