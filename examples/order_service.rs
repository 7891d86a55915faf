//! An order service, tested end to end against a broker inside the test: no container, no port, nothing
//! to install and nothing left behind.
//!
//! `cargo test --example order_service` runs its tests, `cargo run --example order_service` shows it at
//! work. The service itself knows nothing of all that: it is given a [`Cluster`], which in production
//! comes from `Cluster::new("kafka:9092", …)`.
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::future::Future;
use std::ops::ControlFlow;
use std::pin::pin;

use duramen_client::consumer::group::{GroupConsumer, GroupEvent, GroupOptions};
use duramen_client::consumer::{Assignment, Consumer, ConsumerOptions, Event, Fetched, Start};
use duramen_client::{Cluster, Producer, ProducerOptions, ProducerRecord};
use serde_json::{Value, json};

/// What a service may fail with.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Reads `orders` as the group `billing` until `stop` completes. Each order becomes a bill in `bills`, or
/// lies in `rejected` with the reason; it is committed when that is acknowledged.
async fn serve(cluster: &Cluster, stop: impl Future<Output = ()>) -> Result<(), Failure> {
    let options = GroupOptions::new("billing").auto_commit(None);
    let mut orders = GroupConsumer::join(cluster, options, &["orders".into()])?;
    let producer = Producer::start(cluster, ProducerOptions::default())?;
    let mut stop = pin!(stop);
    loop {
        let event = tokio::select! {
            () = &mut stop => break,
            event = orders.next() => event.transpose()?,
        };
        match event {
            Some(GroupEvent::Records(fetched)) => {
                let mut sent = Vec::new();
                for (key, value) in values(&fetched)? {
                    let (topic, answer) = match bill(&value) {
                        Ok(bill) => ("bills", bill),
                        Err(reason) => {
                            let order = String::from_utf8_lossy(&value).into_owned();
                            ("rejected", json!({ "order": order, "reason": reason }))
                        }
                    };
                    let answer = answer.to_string();
                    let record = ProducerRecord::new(topic, answer.as_bytes()).with_key(&key);
                    sent.push(producer.enqueue(record).await?);
                }
                for delivery in sent {
                    delivery.await.map_err(|failed| failed.error)?;
                }
                orders.commit().await?;
            }
            Some(_) => {}
            None => break,
        }
    }
    Ok(orders.close().await?)
}

/// What an order costs, or why it is no order.
fn bill(order: &[u8]) -> Result<Value, String> {
    let order: Value = serde_json::from_slice(order).map_err(|error| error.to_string())?;
    let found = |name: &str| order.get(name).and_then(Value::as_u64);
    let number = |name: &str| found(name).ok_or(format!("`{name}` is no number"));
    let (id, count, cents) = (number("id")?, number("count")?, number("cents")?);
    let total = count.checked_mul(cents).ok_or("it costs more than there is")?;
    if count == 0 {
        Err("it orders nothing".to_owned())
    } else {
        Ok(json!({ "id": id, "cents": total }))
    }
}

/// A record's key and value.
type Pair = (Vec<u8>, Vec<u8>);

/// Keys and values of what was fetched.
fn values(fetched: &Fetched) -> Result<Vec<Pair>, Failure> {
    let mut found = Vec::new();
    let _ = fetched.visit::<()>(&mut Vec::new(), |_, record| {
        let copy = |bytes: Option<&[u8]>| bytes.unwrap_or_default().to_vec();
        found.push((copy(record.key), copy(record.value)));
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

/// Sends orders and waits until all are acknowledged.
async fn order(cluster: &Cluster, orders: &[&str]) -> Result<(), Failure> {
    let producer = Producer::start(cluster, ProducerOptions::default())?;
    let mut sent = Vec::new();
    for order in orders {
        sent.push(producer.enqueue(ProducerRecord::new("orders", order.as_bytes())).await?);
    }
    for delivery in sent {
        delivery.await.map_err(|failed| failed.error)?;
    }
    Ok(())
}

/// Waits for the first so many values of a topic.
async fn take(cluster: &Cluster, topic: &str, count: usize) -> Result<Vec<Value>, Failure> {
    let from = Assignment::new(topic, 0, Start::Earliest);
    let mut consumer = Consumer::start(cluster, ConsumerOptions::default(), vec![from])?;
    let mut taken = Vec::new();
    while taken.len() < count {
        let Some(event) = consumer.next().await.transpose()? else { break };
        if let Event::Records(fetched) = event {
            for (_, value) in values(&fetched)? {
                taken.push(serde_json::from_slice(&value)?);
            }
        }
    }
    Ok(taken)
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let broker = duramen::Broker::builder().start().await?;
    let cluster = broker.client();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let service = tokio::spawn({
        let cluster = cluster.clone();
        async move { serve(&cluster, async { _ = stopped.await }).await }
    });
    let orders =
        [r#"{"id": 1, "count": 3, "cents": 250}"#, r#"{"id": 2, "count": 0, "cents": 100}"#];
    order(&cluster, &orders).await?;
    println!("bills    {:?}", take(&cluster, "bills", 1).await?);
    println!("rejected {:?}", take(&cluster, "rejected", 1).await?);
    let _ = stop.send(());
    service.await??;
    broker.stop().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use duramen::Broker;

    #[tokio::test]
    async fn an_order_is_billed() {
        let broker = Broker::builder().start().await.unwrap();
        let cluster = broker.client();
        let scenario = async {
            order(&cluster, &[r#"{"id": 7, "count": 3, "cents": 250}"#]).await.unwrap();
            assert_eq!(take(&cluster, "bills", 1).await.unwrap(), [json!({"id": 7, "cents": 750})]);
        };
        serve(&cluster, scenario).await.unwrap();
    }

    #[tokio::test]
    async fn what_is_no_order_is_rejected_with_the_reason() {
        let broker = Broker::builder().start().await.unwrap();
        let cluster = broker.client();
        let scenario = async {
            let orders = ["?", r#"{"id": 1, "count": 0, "cents": 1}"#, r#"{"id": 2}"#];
            order(&cluster, &orders).await.unwrap();
            let rejected = take(&cluster, "rejected", 3).await.unwrap();
            let told: Vec<_> = rejected.iter().map(|it| it["order"].as_str().unwrap()).collect();
            assert_eq!(told, orders);
            assert_eq!(rejected[1]["reason"], "it orders nothing");
            assert_eq!(rejected[2]["reason"], "`count` is no number");
        };
        serve(&cluster, scenario).await.unwrap();
    }

    #[tokio::test]
    async fn a_service_that_starts_again_bills_what_came_meanwhile_and_nothing_twice() {
        let broker = Broker::builder().start().await.unwrap();
        let cluster = broker.client();
        let orders: Vec<String> = (0..100)
            .map(|id| json!({ "id": id, "count": 1, "cents": 100 + id }).to_string())
            .collect();
        let orders: Vec<&str> = orders.iter().map(String::as_str).collect();
        let (before, after) = orders.split_at(60);
        order(&cluster, before).await.unwrap();
        let first = async {
            assert_eq!(take(&cluster, "bills", 60).await.unwrap().len(), 60);
        };
        serve(&cluster, first).await.unwrap();
        order(&cluster, after).await.unwrap();
        let second = async {
            let bills = take(&cluster, "bills", 100).await.unwrap();
            let ids: Vec<_> = bills.iter().map(|bill| bill["id"].as_u64().unwrap()).collect();
            assert_eq!(ids, (0..100).collect::<Vec<_>>());
        };
        serve(&cluster, second).await.unwrap();
        broker.stop().await;
    }
}
