//! Orders go in as JSON, a group takes them out and adds them up.
//!
//! cargo run --example order_pipeline --features json
#![allow(clippy::print_stdout, reason = "it says what it did")]

mod shop;

use std::collections::BTreeMap;
use std::time::Duration;

use duramen_client::consumer::group::{GroupConsumer, GroupOptions};
use duramen_client::serde::{Json, Utf8};
use shop::{Failure, Order};

const ORDERS: u32 = 100;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let cluster = shop::cluster()?;
    shop::topic(&cluster, "pipeline-orders").await?;
    shop::place(&cluster, "pipeline-orders", 0..ORDERS).await?;

    let options = GroupOptions::new("pipeline-billing").auto_commit(None);
    let mut billing = GroupConsumer::join(&cluster, options, ["pipeline-orders"])?;
    let (mut taken, mut bills) = (0, BTreeMap::<String, u64>::new());
    while taken < ORDERS {
        let records = billing.poll(500, Duration::from_secs(10)).await?;
        for record in &records {
            let customer = record.key_as(&Utf8)?.unwrap_or_default();
            let order: Option<Order> = record.value_as(&Json)?;
            *bills.entry(customer).or_default() += order.map_or(0, |order| order.cents);
            taken += 1;
        }
        // Only now are they dealt with: killed before this, the group gets them again.
        billing.commit().await?;
    }
    billing.close().await?;
    for (customer, cents) in bills {
        println!("{customer} owes {}.{:02}", cents / 100, cents % 100);
    }
    println!("{taken} orders billed");
    Ok(())
}
