//! A record that nobody can read must not stop those behind it: it goes to a topic of its own, with where
//! it came from and why in its headers.
//!
//! cargo run --example dead_letter_queue --features json
#![allow(clippy::print_stdout, reason = "it says what it did")]

mod shop;

use std::time::Duration;

use duramen_client::consumer::ConsumerRecord;
use duramen_client::consumer::group::{GroupConsumer, GroupOptions};
use duramen_client::producer::{HeaderView, Producer, ProducerOptions, ProducerRecord};
use duramen_client::serde::{Json, SerdeError};
use shop::{Failure, Order};

const TOPIC: &str = "mixed-orders";
const DEAD: &str = "mixed-orders.dead";

async fn put_aside(
    producer: &Producer,
    record: &ConsumerRecord,
    why: &SerdeError,
) -> Result<(), Failure> {
    let from = format!("{}-{} offset {}", record.topic, record.partition, record.offset);
    let why = why.to_string();
    let headers = [
        HeaderView { key: b"dead-letter.from", value: Some(from.as_bytes()) },
        HeaderView { key: b"dead-letter.why", value: Some(why.as_bytes()) },
    ];
    producer
        .send(ProducerRecord {
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            headers: &headers,
            ..ProducerRecord { topic: DEAD, ..ProducerRecord::default() }
        })
        .await?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let cluster = shop::cluster()?;
    shop::topic(&cluster, TOPIC).await?;
    shop::topic(&cluster, DEAD).await?;
    let producer = Producer::start(&cluster, ProducerOptions::default())?;
    shop::place(&cluster, TOPIC, 0..20).await?;
    for bad in [&b"not json"[..], br#"{"number": "seven"}"#] {
        producer.send(ProducerRecord::new(TOPIC, bad)).await?;
    }
    shop::place(&cluster, TOPIC, 20..40).await?;

    let options = GroupOptions::new("careful-billing").auto_commit(None).stop_at_end(true);
    let mut group = GroupConsumer::join(&cluster, options, [TOPIC])?;
    let (mut billed, mut dead) = (0, 0);
    loop {
        let records = group.poll(50, Duration::from_secs(30)).await?;
        if records.is_empty() {
            break;
        }
        for record in &records {
            match record.value_as::<Order, _>(&Json) {
                Ok(_) => billed += 1,
                Err(why) => {
                    put_aside(&producer, record, &why).await?;
                    dead += 1;
                }
            }
        }
        group.commit().await?;
    }
    group.close().await?;
    println!("{billed} orders billed, {dead} put aside in {DEAD}");
    Ok(())
}
