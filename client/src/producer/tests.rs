//! A producer against a broker that loses connections, moves, refuses and sleeps.

use std::time::Duration;

use duramen_protocol::api::ApiKey;
use duramen_protocol::error::ErrorCode;

use super::*;
use crate::testing::model::{Fault, MADE, Model};
use crate::testing::{away_for, eventually};
use crate::trouble::Trouble;

fn small_batches() -> ProducerOptions {
    ProducerOptions { batch_bytes: 200, request_bytes: 600, ..ProducerOptions::default() }
}

async fn enqueue(
    producer: &Producer,
    partition: i32,
    numbers: std::ops::Range<u32>,
) -> Vec<Delivery> {
    let mut deliveries = Vec::new();
    for number in numbers {
        let value = format!("{number:05}");
        let record = ProducerRecord {
            partition: Some(partition),
            ..ProducerRecord::new("t", value.as_bytes())
        };
        deliveries.push(producer.enqueue(record).await.unwrap());
    }
    deliveries
}

fn numbers(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|number| format!("{number:05}")).collect()
}

#[tokio::test(start_paused = true)]
async fn every_record_arrives_once_in_order_and_knows_its_offset() {
    let (model, cluster) = Model::start(3, |_, _| Fault::No);
    let producer = Producer::start(&cluster, small_batches()).unwrap();
    let mut all = Vec::new();
    for partition in 0..3 {
        all.push(enqueue(&producer, partition, 0..500).await);
    }
    producer.flush().await;
    for (partition, deliveries) in all.into_iter().enumerate() {
        assert_eq!(model.values(partition), numbers(0..500));
        for (offset, delivery) in (0..).zip(deliveries) {
            let delivered = delivery.result().unwrap().unwrap();
            assert_eq!(
                (delivered.offset, delivered.partition),
                (offset, i32::try_from(partition).unwrap())
            );
        }
    }
    let asked = model.lock().asked.iter().filter(|api| **api == ApiKey::Produce).count();
    assert!(asked < 300, "batches travel together: {asked} requests");
}

/// Sends 300 records to a broker whose `n`th produce request meets `fault`, for each n in `at`.
async fn arrives_despite(fault: Fault, at: &'static [u32]) {
    let mut produced = 0;
    let (model, cluster) = Model::start(1, move |api, _| {
        if api != ApiKey::Produce {
            return Fault::No;
        }
        produced += 1;
        if at.contains(&produced) { fault } else { Fault::No }
    });
    let producer = Producer::start(&cluster, small_batches()).unwrap();
    let deliveries = enqueue(&producer, 0, 0..300).await;
    for (offset, delivery) in (0..).zip(deliveries) {
        assert_eq!(delivery.await.unwrap().offset, offset, "{fault:?} at {at:?}");
    }
    assert_eq!(model.values(0), numbers(0..300), "{fault:?} at {at:?}");
    let told = cluster.metrics();
    assert_eq!((told.records_delivered, told.records_failed), (300, 0), "{told:?}");
    assert!(told.batches_retried >= 1 && told.batches_delivered > 10, "{told:?}");
    assert!(told.answers <= told.requests && told.bytes_out > 300 * 5, "{told:?}");
    // One to each broker: both are asked for metadata.
    assert!((1..=2).contains(&(told.connections_made - told.connections_broken)), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_tried_again_is_told_as_long_as_something_waits() {
    let refused = Arc::new(AtomicBool::new(true));
    let refuses = Arc::clone(&refused);
    let (_model, cluster) = Model::start(2, move |api, _| match api {
        ApiKey::Produce if refuses.load(Ordering::Relaxed) => {
            Fault::Refuse(ErrorCode::KafkaStorageError)
        }
        _ => Fault::No,
    });
    let producer = Producer::start(&cluster, small_batches()).unwrap();
    let deliveries = enqueue(&producer, 1, 0..3).await;
    let lasting = |told: &Trouble| told.lasting > Duration::from_secs(4);
    eventually("it lasts", || cluster.troubles().iter().any(lasting)).await;
    let told = cluster.troubles();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].error.code(), Some(ErrorCode::KafkaStorageError));
    assert!(told[0].error.to_string().starts_with("partition t-1: "), "{told:?}");
    refused.store(false, Ordering::Relaxed);
    for delivery in deliveries {
        delivery.await.unwrap();
    }
    eventually("it is over", || cluster.troubles().is_empty()).await;
    assert_eq!(cluster.troubles_over(), 1);
    refused.store(true, Ordering::Relaxed);
    for delivery in enqueue(&producer, 1, 3..6).await {
        assert!(delivery.await.is_err());
    }
    eventually("it is over", || cluster.troubles().is_empty()).await;
    assert_eq!(cluster.troubles_over(), 1, "it was given up");
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_of_requests_is_no_trouble() {
    let (model, cluster) = Model::start(1000, |_, _| Fault::No);
    let one_batch = ProducerOptions { batch_bytes: 100, request_bytes: 100, ..small_batches() };
    let options = ProducerOptions { acks: Acks::None, idempotent: false, ..one_batch };
    let producer = Producer::start(&cluster, options).unwrap();
    let mut deliveries = enqueue(&producer, 0, 0..1).await;
    producer.flush().await;
    // At once, so that all of them are sent before the connection has written any.
    for partition in 0..1000 {
        let record =
            ProducerRecord { partition: Some(partition), ..ProducerRecord::new("t", b"1") };
        deliveries.push(producer.try_enqueue(&record).unwrap().unwrap());
    }
    for looks in 0.. {
        assert!(cluster.troubles().is_empty(), "{:?}", cluster.troubles());
        match looks % 20 {
            0 if deliveries.iter().all(|delivery| delivery.result().is_some()) => break,
            0 => tokio::time::sleep(Duration::from_millis(1)).await,
            _ => tokio::task::yield_now().await,
        }
    }
    assert!(producer.last_error().is_some_and(|words| words.contains("too many requests")));
    drop(model);
}

#[tokio::test(start_paused = true)]
async fn a_topic_without_any_leader_is_told_of() {
    let (model, cluster) = Model::start(1, |_, _| Fault::No);
    model.lock().leader = -1;
    let producer = Producer::start(&cluster, ProducerOptions::default()).unwrap();
    let sends = producer.clone();
    let sent = tokio::spawn(async move { sends.send(ProducerRecord::new("t", b"00007")).await });
    let lasting = |told: &Trouble| told.lasting > Duration::from_secs(4);
    eventually("it lasts", || cluster.troubles().iter().any(lasting)).await;
    let told = cluster.troubles();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].error.code(), Some(ErrorCode::LeaderNotAvailable));
    model.lock().leader = 1;
    assert_eq!(sent.await.unwrap().unwrap().offset, 0);
    eventually("it is over", || cluster.troubles().is_empty()).await;
}

#[tokio::test(start_paused = true)]
async fn a_cut_connection_loses_and_doubles_nothing() {
    for at in [&[1][..], &[3], &[1, 2, 3], &[5, 9, 14]] {
        arrives_despite(Fault::CutAfter, at).await;
        arrives_despite(Fault::CutBefore, at).await;
    }
}

#[tokio::test(start_paused = true)]
async fn passing_errors_are_tried_again_in_order() {
    for code in [
        ErrorCode::NotLeaderOrFollower,
        ErrorCode::NotEnoughReplicas,
        ErrorCode::NotEnoughReplicasAfterAppend,
        ErrorCode::KafkaStorageError,
        ErrorCode::UnknownTopicOrPartition,
        ErrorCode::OutOfOrderSequenceNumber,
        ErrorCode::UnknownProducerId,
    ] {
        arrives_despite(Fault::Refuse(code), &[1, 2, 4]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_given_up_names_the_cause_and_not_its_echo_on_batches_behind() {
    let mut produced = 0;
    let (_model, cluster) = Model::start(1, move |api, _| {
        produced += u32::from(api == ApiKey::Produce);
        match (api, produced) {
            (ApiKey::Produce, 3) => Fault::Refuse(ErrorCode::KafkaStorageError),
            (ApiKey::Produce, 4..) => Fault::Refuse(ErrorCode::OutOfOrderSequenceNumber),
            _ => Fault::No,
        }
    });
    let delivery_timeout = Duration::from_secs(5);
    let options = ProducerOptions { delivery_timeout, ..small_batches() };
    let producer = Producer::start(&cluster, options).unwrap();
    let last = enqueue(&producer, 0, 0..300).await.pop().unwrap();
    let words = last.await.unwrap_err().to_string();
    assert!(words.contains("KAFKA_STORAGE_ERROR"), "{words}");
}

#[tokio::test(start_paused = true)]
async fn a_silent_broker_is_left_and_asked_again() {
    arrives_despite(Fault::Silence, &[2]).await;
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_moves_is_followed() {
    let (model, cluster) = Model::start(1, |_, _| Fault::No);
    let producer = Producer::start(&cluster, small_batches()).unwrap();
    enqueue(&producer, 0, 0..100).await;
    producer.flush().await;
    model.lock().leader = 2;
    let after = enqueue(&producer, 0, 100..200).await;
    producer.flush().await;
    assert!(after.iter().all(|delivery| delivery.result().unwrap().is_ok()));
    assert_eq!(model.values(0), numbers(0..200));
}

#[tokio::test(start_paused = true)]
async fn a_refused_batch_fails_its_records_and_the_rest_goes_on() {
    let mut produced = 0;
    let (model, cluster) = Model::start(1, move |api, _| {
        produced += u32::from(api == ApiKey::Produce);
        match (api, produced) {
            (ApiKey::Produce, 3) => Fault::Refuse(ErrorCode::InvalidRecord),
            _ => Fault::No,
        }
    });
    let producer = Producer::start(&cluster, small_batches()).unwrap();
    let deliveries = enqueue(&producer, 0, 0..200).await;
    let mut failed = Vec::new();
    for (number, delivery) in (0..).zip(deliveries) {
        match delivery.await {
            Ok(_) => {}
            Err(error) => {
                assert_eq!(error.error.code(), Some(ErrorCode::InvalidRecord));
                assert_eq!((&*error.topic, error.partition), ("t", 0));
                failed.push(number);
            }
        }
    }
    assert!(!failed.is_empty() && failed.len() < 30, "one batch: {failed:?}");
    let wanted: Vec<_> =
        (0..200).filter(|number| !failed.contains(number)).map(|n| format!("{n:05}")).collect();
    assert_eq!(model.values(0), wanted, "in order, under a new epoch");
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_is_too_large_goes_in_parts() {
    arrives_despite(Fault::Refuse(ErrorCode::MessageTooLarge), &[1, 2, 3, 9]).await;
    arrives_despite(Fault::Refuse(ErrorCode::RecordListTooLarge), &[4]).await;
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_delivered_in_time_fails_with_the_last_reason() {
    let (_, cluster) = Model::start(1, |api, _| match api {
        ApiKey::Produce => Fault::Refuse(ErrorCode::NotEnoughReplicas),
        _ => Fault::No,
    });
    let options = ProducerOptions { delivery_timeout: Duration::from_secs(10), ..small_batches() };
    let producer = Producer::start(&cluster, options).unwrap();
    let before = Instant::now();
    let error = producer.send(ProducerRecord::new("t", b"v")).await.unwrap_err();
    assert!(matches!(error, ClientError::Expired { .. }), "{error}");
    assert!(error.to_string().contains("NOT_ENOUGH_REPLICAS"), "{error}");
    assert_eq!(before.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_full_buffer_makes_senders_wait_until_there_is_room() {
    let (model, cluster) = Model::start(1, |_, _| Fault::No);
    let options = ProducerOptions {
        buffer_bytes: 1000,
        linger: Duration::from_secs(100),
        batch_bytes: 100_000,
        ..ProducerOptions::default()
    };
    let producer = Producer::start(&cluster, options).unwrap();
    // Far more than the buffer: open batches leave when somebody waits for their memory.
    enqueue(&producer, 0, 0..500).await;
    let large = vec![0; 2000];
    let error = producer.enqueue(ProducerRecord::new("t", &large)).await.unwrap_err();
    assert!(matches!(error, ClientError::RecordTooLarge { max: 1000, .. }));
    producer.flush().await;
    assert_eq!(model.values(0), numbers(0..500));
}

#[tokio::test(start_paused = true)]
async fn records_linger_for_company_unless_flushed() {
    let (model, cluster) = Model::start(1, |_, _| Fault::No);
    let options = ProducerOptions { linger: Duration::from_secs(5), ..ProducerOptions::default() };
    let producer = Producer::start(&cluster, options).unwrap();
    let before = Instant::now();
    let first = enqueue(&producer, 0, 0..1).await.remove(0);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let second = enqueue(&producer, 0, 1..2).await.remove(0);
    first.await.unwrap();
    second.await.unwrap();
    assert_eq!(before.elapsed().as_secs(), 5, "both went when the first was due");
    assert_eq!(model.lock().logs[0].batches.len(), 1);
    enqueue(&producer, 0, 2..3).await;
    producer.flush().await;
    assert_eq!(before.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn without_acks_nothing_is_waited_for_and_dropping_still_sends() {
    let (model, cluster) = Model::start(1, |_, _| Fault::No);
    let options = small_batches().acks(Acks::None).idempotent(false);
    let producer = Producer::start(&cluster, options).unwrap();
    let deliveries = enqueue(&producer, 0, 0..100).await;
    drop(producer);
    for delivery in deliveries {
        assert_eq!(delivery.await.unwrap().offset, -1);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(model.values(0), numbers(0..100));
}

#[tokio::test(start_paused = true)]
async fn what_does_not_exist_is_named() {
    let (_, cluster) = Model::start(2, |_, _| Fault::No);
    let producer = Producer::start(&cluster, ProducerOptions::default()).unwrap();
    let record = ProducerRecord { partition: Some(7), ..ProducerRecord::new("t", b"v") };
    let error = producer.send(record).await.unwrap_err();
    assert_eq!(error.to_string(), "topic t has no partition 7; it has 2, numbered from 0");
    let error = producer.send(ProducerRecord::new("missing", b"v")).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::UnknownTopicOrPartition));
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_brokers_do_not_show_yet_is_looked_for_again() {
    let (model, cluster) = Model::start(1, |_, _| Fault::No);
    tokio::spawn(model.clone().grow_after(3));
    let producer = Producer::start(&cluster, ProducerOptions::default()).unwrap();
    let record = ProducerRecord { partition: Some(1), ..ProducerRecord::new("t", b"00007") };
    assert_eq!(producer.send(record).await.unwrap().partition, 1);
    assert_eq!(model.values(1), numbers(7..8));
}

#[tokio::test(start_paused = true)]
async fn every_codec_is_sent_and_read_back() {
    for compression in Compression::ALL {
        let (model, cluster) = Model::start(1, |_, _| Fault::No);
        let options = ProducerOptions { compression, ..ProducerOptions::default() };
        let producer = Producer::start(&cluster, options).unwrap();
        enqueue(&producer, 0, 0..100).await;
        producer.flush().await;
        assert_eq!(model.values(0), numbers(0..100), "{compression:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_was_deleted_is_made_again_for_records_only() {
    let (model, cluster) = Model::start(1, |_, _| Fault::No);
    let producer = Producer::start(&cluster, small_batches()).unwrap();
    enqueue(&producer, 0, 0..1).await;
    producer.flush().await;
    model.lock().topic_id = None;
    let asked =
        |model: &Model| model.lock().asked.iter().filter(|api| **api == ApiKey::Metadata).count();
    let before = asked(&model);
    tokio::time::sleep(cluster.options().metadata_max_age * 2).await;
    assert!(asked(&model) > before, "it looked");
    assert_eq!(model.lock().topic_id, None);
    let delivery = enqueue(&producer, 0, 1..2).await.remove(0);
    delivery.await.unwrap();
    assert_eq!(model.lock().topic_id, Some(MADE));
}

#[tokio::test(start_paused = true)]
async fn a_record_of_a_topic_not_known_yet_waits_for_brokers_as_long_as_for_its_delivery() {
    let (model, cluster) = Model::start(1, |_, _| Fault::No);
    let options = small_batches().delivery_timeout(Duration::from_secs(90));
    let late = away_for(Duration::from_secs(80), &cluster);
    let producer = Producer::start(&late, options.clone()).unwrap();
    let delivery = producer.enqueue(ProducerRecord::new("t", b"00000")).await.unwrap();
    delivery.await.unwrap();
    assert_eq!(model.values(0), numbers(0..1));

    // One that is not there is told soon, once there is a broker to ask.
    model.lock().topic_id = None;
    let late = away_for(Duration::from_secs(30), &cluster);
    let producer = Producer::start(&late, options.clone().allow_topic_creation(false)).unwrap();
    let before = Instant::now();
    let error = producer.enqueue(ProducerRecord::new("t", b"v")).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::UnknownTopicOrPartition));
    assert!((30..=34).contains(&before.elapsed().as_secs()), "{:?}", before.elapsed());

    let gone = away_for(Duration::from_secs(10_000), &cluster);
    let producer = Producer::start(&gone, options).unwrap();
    let before = Instant::now();
    let error = producer.enqueue(ProducerRecord::new("t", b"v")).await.unwrap_err();
    assert!(matches!(error, ClientError::Expired { .. }), "{error}");
    assert!(error.to_string().contains("connection refused"), "{error}");
    assert!((80..=91).contains(&before.elapsed().as_secs()), "{:?}", before.elapsed());
}
