//! What the examples share: a shop whose orders are JSON, keyed by customer.
#![allow(dead_code, unreachable_pub, reason = "each example uses a part of it")]

use duramen_client::admin::NewTopic;
use duramen_client::producer::{Producer, ProducerOptions};
use duramen_client::serde::{Json, TypedRecord, Utf8};
use duramen_client::{Admin, ClientError, Cluster, ClusterOptions};
use duramen_protocol::error::ErrorCode;
use serde::{Deserialize, Serialize};

/// Whatever ends an example early.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// An order as it stands in a record's value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Order {
    pub number: u32,
    pub item: String,
    pub cents: u64,
}

/// The cluster that DURAMEN_BROKERS names, or the one on this machine.
pub fn cluster() -> Result<Cluster, ClientError> {
    let brokers = std::env::var("DURAMEN_BROKERS");
    Cluster::new(brokers.as_deref().unwrap_or("localhost:9092"), ClusterOptions::default())
}

/// Makes a topic of three partitions, unless it is there.
pub async fn topic(cluster: &Cluster, name: &str) -> Result<(), ClientError> {
    let topic = NewTopic::new(name).partitions(3);
    for made in Admin::new(cluster).create_topics(&[topic], false).await? {
        match made.result {
            Err(error) if error.code() == Some(ErrorCode::TopicAlreadyExists) => {}
            made => {
                made?;
            }
        }
    }
    Ok(())
}

/// Places orders with these numbers, of four customers in turn.
pub async fn place(
    cluster: &Cluster,
    topic: &str,
    numbers: std::ops::Range<u32>,
) -> Result<(), ClientError> {
    let producer = Producer::start(cluster, ProducerOptions::default())?;
    let orders = producer.typed(Utf8, Json);
    let mut placed = Vec::new();
    for number in numbers {
        let customer = format!("customer-{}", number % 4);
        let order = Order { number, item: "coffee".into(), cents: 250 + u64::from(number) };
        // Without waiting for each: the records of a batch travel together.
        placed.push(orders.enqueue(TypedRecord::new(topic, Some(&customer), Some(&order))).await?);
    }
    for delivery in placed {
        delivery.await.map_err(|failed| failed.error)?;
    }
    Ok(())
}
