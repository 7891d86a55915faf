//! Topics that are missing, small, deleted, made again and grown while a client works with them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use duramen_client::producer::{Compression, Producer, ProducerOptions, ProducerRecord};
use duramen_client::{Admin, ClusterOptions, Remedy};
use duramen_protocol::error::ErrorCode;

use crate::lab::{Lab, PATIENCE, cluster, create, enqueue, numbers, read_all};

pub async fn a_topic_that_is_missing_is_told_in_time(lab: Arc<Lab>) {
    let options = ClusterOptions::default().operation_timeout(Duration::from_secs(2));
    let cluster = cluster(&lab.node, options);
    let producer = Producer::start(&cluster, ProducerOptions::default()).unwrap();
    let began = Instant::now();
    let error = producer.send(ProducerRecord::new("nowhere", b"v")).await.unwrap_err();
    // Not as long as a record may take to its delivery.
    assert!(began.elapsed() < Duration::from_secs(100), "{:?}", began.elapsed());
    assert!(error.to_string().contains("nowhere"), "{error}");
    // whoever makes it later finds the producer willing
    create(&lab.cluster(), "nowhere", 1, &[]).await;
    producer.send(ProducerRecord::new("nowhere", b"0")).await.unwrap();
    assert_eq!(read_all(&lab.cluster(), "nowhere").await, [numbers(0..1)]);
}

pub async fn a_record_that_is_too_large_is_told_and_the_rest_goes_on(lab: Arc<Lab>) {
    let cluster = lab.cluster();
    create(&cluster, "small", 1, &[("max.message.bytes", "1000")]).await;
    let producer = Producer::start(&cluster, ProducerOptions::default()).unwrap();
    let large = vec![b'x'; 2_000];
    let error = producer.send(ProducerRecord::new("small", &large)).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::MessageTooLarge), "{error}");
    assert_eq!(error.remedy(), Remedy::Change);
    for delivery in enqueue(&producer, "small", 0, 0..10).await {
        delivery.await.unwrap();
    }
    assert_eq!(read_all(&cluster, "small").await, [numbers(0..10)]);
}

pub async fn batches_larger_than_the_topic_takes_go_in_parts(lab: Arc<Lab>) {
    let cluster = lab.cluster();
    for compression in [Compression::None, Compression::Lz4] {
        let topic = format!("parts-{compression}");
        create(&cluster, &topic, 1, &[("max.message.bytes", "2000")]).await;
        let options = ProducerOptions::default().compression(compression);
        let producer = Producer::start(&cluster, options).unwrap();
        // each fits, all together in one batch of 64 KiB they do not
        let deliveries = enqueue(&producer, &topic, 0, 0..5_000).await;
        producer.flush().await;
        for (offset, delivery) in (0..).zip(deliveries) {
            assert_eq!(delivery.await.unwrap().offset, offset);
        }
        assert_eq!(read_all(&cluster, &topic).await, [numbers(0..5_000)]);
    }
}

pub async fn a_topic_that_is_made_again_is_written_and_read_anew(lab: Arc<Lab>) {
    let cluster = lab.cluster();
    let producer = Producer::start(&cluster, ProducerOptions::default()).unwrap();
    for records in [50, 70, 20] {
        create(&cluster, "again", 2, &[]).await;
        for partition in 0..2 {
            for delivery in enqueue(&producer, "again", partition, 0..records).await {
                delivery.await.unwrap();
            }
        }
        for values in read_all(&cluster, "again").await {
            assert_eq!(values, numbers(0..records));
        }
        for gone in Admin::new(&cluster).delete_topics(&["again".into()]).await.unwrap() {
            gone.result.unwrap();
        }
    }
}

pub async fn a_topic_that_grows_is_used_whole(lab: Arc<Lab>) {
    let options = ClusterOptions::default().metadata_max_age(Duration::from_millis(200));
    let cluster = cluster(&lab.node, options);
    create(&cluster, "grows", 1, &[]).await;
    let producer = Producer::start(&cluster, ProducerOptions::default()).unwrap();
    enqueue(&producer, "grows", 0, 0..10).await;
    Admin::new(&cluster).create_partitions(&[("grows".into(), 4)], false).await.unwrap();
    // named at once, and spread over when metadata has grown old
    let named = ProducerRecord { partition: Some(3), ..ProducerRecord::new("grows", b"named") };
    assert_eq!(producer.send(named).await.unwrap().partition, 3);
    let (began, mut seen) = (Instant::now(), [false; 4]);
    while seen != [true; 4] {
        assert!(began.elapsed() < PATIENCE, "only {seen:?}");
        let delivered = producer.send(ProducerRecord::new("grows", &[b'x'; 70_000])).await.unwrap();
        seen[usize::try_from(delivered.partition).unwrap()] = true;
    }
}
