//! Typed keys and values, over the wire.

use std::sync::Arc;

use duramen_client::ClientError;
use duramen_client::consumer::{Assignment, Consumer, ConsumerOptions, Start};
use duramen_client::producer::{HeaderView, Producer, ProducerOptions};
use duramen_client::serde::{BigEndian, Json, Part, TypedRecord, Utf8};
use serde::{Deserialize, Serialize};

use crate::lab::{Lab, create};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Order {
    item: String,
    count: u32,
}

pub async fn values_go_there_and_back(lab: Arc<Lab>) {
    let cluster = lab.cluster();
    create(&cluster, "typed", 1, &[]).await;
    let producer = Producer::start(&cluster, ProducerOptions::default()).unwrap();
    let orders = producer.typed(BigEndian, Json);
    let order = Order { item: "coffee".into(), count: 2 };
    let headers = [HeaderView { key: b"kind", value: Some(b"test") }];
    let record =
        TypedRecord { headers: &headers, ..TypedRecord::new("typed", Some(&7_i64), Some(&order)) };
    assert_eq!(orders.send(record).await.unwrap().offset, 0);
    // a null value, and text where JSON of an order is expected
    let nothing: Option<&Order> = None;
    orders.send(TypedRecord::new("typed", Some(&8_i64), nothing)).await.unwrap();
    let text = producer.typed(Utf8, Utf8);
    text.send(TypedRecord::new("typed", Some("nine"), Some("no order"))).await.unwrap();

    let all = Assignment::new("typed", 0, Start::Offset(0)).end(3);
    let mut consumer = Consumer::start(&cluster, ConsumerOptions::default(), vec![all]).unwrap();
    let mut records = Vec::new();
    while let Some(record) = next(&mut consumer).await {
        records.push(record.unwrap());
    }
    assert_eq!(records[0].key_as(&BigEndian).unwrap(), Some(7_i64));
    assert_eq!(records[0].value_as(&Json).unwrap(), Some(order));
    assert_eq!(records[0].headers.len(), 1);
    assert_eq!(records[1].value_as::<Order, _>(&Json).unwrap(), None);
    let error = records[2].value_as::<Order, _>(&Json).unwrap_err();
    assert_eq!((error.part, error.topic.as_str()), (Part::Value, "typed"));
    assert!(records[2].key_as::<i64, _>(&BigEndian).is_err());
}

async fn next(
    consumer: &mut Consumer,
) -> Option<Result<duramen_client::consumer::ConsumerRecord, ClientError>> {
    std::future::poll_fn(|cx| {
        futures_core::Stream::poll_next(std::pin::Pin::new(&mut *consumer), cx)
    })
    .await
}
