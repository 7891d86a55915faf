//! A consumer against a broker that loses connections, moves, forgets and is cut back.

use std::future::poll_fn;
use std::ops::ControlFlow;
use std::time::Duration;

use duramen_protocol::api::ApiKey;
use duramen_protocol::messages::fetch::EpochEndOffset;
use duramen_protocol::records::control::EndTxnMarker;
use duramen_protocol::records::{BatchBuilder, BatchOptions, Compression};

use super::*;
use crate::testing::model::{Fault, Model};

/// Batches of ten records each, up to `end`.
fn fill(model: &Model, partition: usize, end: i64, compression: Compression) {
    let mut state = model.lock();
    let log = &mut state.logs[partition];
    while log.end < end {
        let mut builder = BatchBuilder::new(100_000);
        for offset in log.end..log.end + 10 {
            let (key, value) = (format!("k{offset}"), format!("v{offset}"));
            let headers = [HeaderView { key: b"h", value: Some(b"x") }];
            let took =
                builder.append(offset, Some(key.as_bytes()), Some(value.as_bytes()), &headers);
            assert!(took.unwrap());
        }
        let options = BatchOptions { compression, ..BatchOptions::default() };
        log.append(&builder.build(&options).unwrap()).unwrap();
    }
}

fn assign(partition: i32, start: Start, end: Option<i64>) -> Assignment {
    Assignment { topic: "t".into(), partition, start, end }
}

async fn record(consumer: &mut Consumer) -> Option<Result<ConsumerRecord, ClientError>> {
    poll_fn(|cx| Pin::new(&mut *consumer).poll_next(cx)).await
}

async fn all(mut consumer: Consumer) -> Vec<ConsumerRecord> {
    let mut records = Vec::new();
    while let Some(next) = record(&mut consumer).await {
        records.push(next.unwrap());
    }
    records
}

fn offsets(records: &[ConsumerRecord]) -> Vec<i64> {
    records.iter().map(|record| record.offset).collect()
}

#[tokio::test(start_paused = true)]
async fn a_range_of_each_partition_is_read_whole_and_then_it_ends() {
    for compression in Compression::ALL {
        let (model, cluster) = Model::start(2, |_, _| Fault::No);
        fill(&model, 0, 1000, compression);
        fill(&model, 1, 100, compression);
        let from =
            vec![assign(0, Start::Offset(5), Some(995)), assign(1, Start::Earliest, Some(100))];
        let options = ConsumerOptions { partition_bytes: 5000, ..ConsumerOptions::default() };
        let records = all(Consumer::start(&cluster, options, from)).await;
        let (first, second): (Vec<_>, Vec<_>) =
            records.into_iter().partition(|record| record.partition == 0);
        assert_eq!(offsets(&first), (5..995).collect::<Vec<_>>(), "{compression:?}");
        assert_eq!(offsets(&second), (0..100).collect::<Vec<_>>());
        let record = &second[42];
        assert_eq!(record.key.as_deref(), Some(&b"k42"[..]));
        assert_eq!(record.value.as_deref(), Some(&b"v42"[..]));
        assert_eq!((record.timestamp, &*record.headers[0].key), (42, &b"h"[..]));
    }
}

#[tokio::test(start_paused = true)]
async fn whole_fetches_are_visited_without_owning_anything() {
    let (model, cluster) = Model::start(1, |_, _| Fault::No);
    fill(&model, 0, 100, Compression::Lz4);
    let from = vec![assign(0, Start::Offset(3), Some(50))];
    let mut consumer = Consumer::start(&cluster, ConsumerOptions::default(), from);
    let (mut seen, mut scratch) = (Vec::new(), Vec::new());
    let event = consumer.next().await.unwrap();
    let Event::Records(fetched) = event.unwrap() else { panic!("nothing moved") };
    assert_eq!((fetched.high_watermark, fetched.log_start_offset), (100, 0));
    let visited = fetched.visit(&mut scratch, |_, record| {
        seen.push(record.offset);
        if seen.len() == 20 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert!(matches!(visited, Ok(ControlFlow::Break(()))));
    assert_eq!(seen, (3..23).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn faults_on_the_way_lose_and_double_nothing() {
    for fault in [
        Fault::CutBefore,
        Fault::CutAfter,
        Fault::Silence,
        Fault::Refuse(ErrorCode::NotLeaderOrFollower),
        Fault::Refuse(ErrorCode::UnknownLeaderEpoch),
        Fault::Refuse(ErrorCode::FencedLeaderEpoch),
        Fault::Refuse(ErrorCode::KafkaStorageError),
    ] {
        let mut fetched = 0;
        let (model, cluster) = Model::start(1, move |api, _| {
            fetched += u32::from(api == ApiKey::Fetch);
            if api == ApiKey::Fetch && fetched % 3 == 2 { fault } else { Fault::No }
        });
        fill(&model, 0, 200, Compression::None);
        let options = ConsumerOptions { partition_bytes: 1500, ..ConsumerOptions::default() };
        let from = vec![assign(0, Start::Earliest, Some(200))];
        let records = all(Consumer::start(&cluster, options, from)).await;
        assert_eq!(offsets(&records), (0..200).collect::<Vec<_>>(), "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_moves_is_followed() {
    let (model, cluster) = Model::start(1, |_, _| Fault::No);
    fill(&model, 0, 10, Compression::None);
    let from = vec![assign(0, Start::Offset(0), Some(20))];
    let mut consumer = Consumer::start(&cluster, ConsumerOptions::default(), from);
    assert_eq!(record(&mut consumer).await.unwrap().unwrap().offset, 0);
    model.lock().leader = 2;
    fill(&model, 0, 20, Compression::None);
    assert_eq!(offsets(&all(consumer).await), (1..20).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn an_offset_that_is_not_there_ends_reading_or_moves_it() {
    let (model, cluster) = Model::start(1, |_, _| Fault::No);
    fill(&model, 0, 100, Compression::None);
    model.lock().logs[0].start = 30;
    let read = |reset| {
        let options = ConsumerOptions { reset, ..ConsumerOptions::default() };
        let from = vec![assign(0, Start::Offset(5), Some(100))];
        Consumer::start(&cluster, options, from)
    };
    let error = read(Reset::Fail).next().await.unwrap().unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::OffsetOutOfRange));
    assert!(error.to_string().starts_with("offset 5 of t-0"), "{error}");
    let mut consumer = read(Reset::Earliest);
    let Event::Moved(moved) = consumer.next().await.unwrap().unwrap() else { panic!("moved") };
    assert_eq!((moved.from, moved.to, moved.why), (5, 30, MovedWhy::OutOfRange));
    assert_eq!(offsets(&all(consumer).await), (30..100).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_log_that_was_cut_back_is_told() {
    let (model, cluster) = Model::start(1, |_, _| Fault::No);
    fill(&model, 0, 20, Compression::None);
    let from = vec![assign(0, Start::Offset(0), None)];
    let mut consumer = Consumer::start(&cluster, ConsumerOptions::default(), from);
    assert!(matches!(consumer.next().await, Some(Ok(Event::Records(_)))));
    model.lock().logs[0].diverging = Some(EpochEndOffset { epoch: 0, end_offset: 10 });
    let Some(Ok(Event::Moved(moved))) = consumer.next().await else { panic!("moved") };
    assert_eq!((moved.from, moved.to, moved.why), (20, 10, MovedWhy::Truncated));
    let Some(Ok(Event::Records(again))) = consumer.next().await else { panic!("records") };
    assert_eq!(again.batches().next().unwrap().base_offset(), 10);
}

#[tokio::test(start_paused = true)]
async fn no_more_is_fetched_ahead_than_there_is_memory_for() {
    let (model, cluster) = Model::start(1, |_, _| Fault::No);
    fill(&model, 0, 10_000, Compression::None);
    let options = ConsumerOptions {
        partition_bytes: 10_000,
        prefetch_bytes: 30_000,
        ..ConsumerOptions::default()
    };
    let from = vec![assign(0, Start::Offset(0), Some(10_000))];
    let mut consumer = Consumer::start(&cluster, options, from);
    let first = consumer.next().await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let fetches =
        |model: &Model| model.lock().asked.iter().filter(|api| **api == ApiKey::Fetch).count();
    assert!(fetches(&model) <= 5, "{} fetches while nobody reads", fetches(&model));
    drop(first);
    let mut count = 0;
    while consumer.next().await.is_some() {
        count += 1;
    }
    assert!(count > 20);
}

#[tokio::test(start_paused = true)]
async fn an_end_that_compaction_has_emptied_is_reached() {
    let (model, cluster) = Model::start(1, |_, _| Fault::No);
    fill(&model, 0, 100, Compression::None);
    model.lock().logs[0].batches.truncate(3);
    let from = vec![assign(0, Start::Offset(0), Some(100))];
    let records = all(Consumer::start(&cluster, ConsumerOptions::default(), from)).await;
    assert_eq!(offsets(&records), (0..30).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn damage_and_what_does_not_exist_end_reading_with_a_name() {
    let (model, cluster) = Model::start(1, |_, _| Fault::No);
    fill(&model, 0, 10, Compression::None);
    let mut damaged = model.lock().logs[0].batches[0].to_vec();
    damaged[70] ^= 1;
    model.lock().logs[0].batches[0] = damaged.into();
    let start =
        |assignment| Consumer::start(&cluster, ConsumerOptions::default(), vec![assignment]);
    let mut consumer = start(assign(0, Start::Offset(0), None));
    let error = consumer.next().await.unwrap().unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::CorruptMessage));
    assert!(error.to_string().starts_with("partition t-0: record batch has crc"), "{error}");
    assert!(consumer.next().await.is_none());
    let missing = Assignment { topic: "missing".into(), ..assign(0, Start::Offset(0), None) };
    let error = start(missing).next().await.unwrap().unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::UnknownTopicOrPartition));
    let error = start(assign(7, Start::Offset(0), None)).next().await.unwrap().unwrap_err();
    assert!(matches!(error, ClientError::NoPartition { partition: 7, count: 1, .. }));
}

#[tokio::test(start_paused = true)]
async fn a_marker_is_not_shown_but_passed_over() {
    let (model, cluster) = Model::start(1, |_, _| Fault::No);
    fill(&model, 0, 10, Compression::None);
    let marker = EndTxnMarker { commit: true, coordinator_epoch: 0 }.to_batch(0, 7, 0).unwrap();
    model.lock().logs[0].append(&marker).unwrap();
    let from = vec![assign(0, Start::Offset(10), Some(11))];
    let mut consumer = Consumer::start(&cluster, ConsumerOptions::default(), from);
    let Some(Ok(Event::Records(fetched))) = consumer.next().await else { panic!("an event") };
    assert_eq!((fetched.batches().count(), fetched.next_offset()), (0, 11));
    assert!(consumer.next().await.is_none());
}
