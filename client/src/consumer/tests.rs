//! A consumer against a broker that loses connections, moves, forgets and is cut back.

use std::future::poll_fn;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use duramen_protocol::api::ApiKey;
use duramen_protocol::messages::fetch::EpochEndOffset;
use duramen_protocol::records::control::EndTxnMarker;
use duramen_protocol::records::{BatchBuilder, BatchOptions, Compression};

use super::*;
use crate::testing::model::{Fault, Model};
use crate::testing::{dropped_after, eventually};
use crate::trouble::Trouble;

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
    Assignment::new("t", partition, start).end(end)
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
        let records = all(Consumer::start(&cluster, options, from).unwrap()).await;
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
    let mut consumer = Consumer::start(&cluster, ConsumerOptions::default(), from).unwrap();
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
async fn what_is_tried_again_is_told_until_all_is_heard_of() {
    for fault in [Fault::CutBefore, Fault::Refuse(ErrorCode::KafkaStorageError)] {
        let fails = Arc::new(AtomicBool::new(true));
        let met = Arc::clone(&fails);
        let (model, cluster) = Model::start(2, move |api, _| match api {
            ApiKey::Fetch if met.load(Ordering::Relaxed) => fault,
            _ => Fault::No,
        });
        fill(&model, 0, 10, Compression::None);
        let from = vec![assign(0, Start::Offset(0), None), assign(1, Start::Offset(0), None)];
        let mut consumer = Consumer::start(&cluster, ConsumerOptions::default(), from).unwrap();
        let lasting = |told: &Trouble| told.lasting > Duration::from_secs(4);
        eventually("it lasts", || cluster.troubles().iter().any(lasting)).await;
        assert_eq!(cluster.troubles().len(), 1, "{:?}", cluster.troubles());
        fails.store(false, Ordering::Relaxed);
        assert_eq!(record(&mut consumer).await.unwrap().unwrap().offset, 0);
        // The other partition has nothing, which is told after a while.
        eventually("it is over", || cluster.troubles().is_empty()).await;
        assert_eq!(cluster.troubles_over(), 1);
    }
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
        let records = all(Consumer::start(&cluster, options, from).unwrap()).await;
        assert_eq!(offsets(&records), (0..200).collect::<Vec<_>>(), "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_moves_is_followed() {
    let (model, cluster) = Model::start(1, |_, _| Fault::No);
    fill(&model, 0, 10, Compression::None);
    let from = vec![assign(0, Start::Offset(0), Some(20))];
    let mut consumer = Consumer::start(&cluster, ConsumerOptions::default(), from).unwrap();
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
        Consumer::start(&cluster, options, from).unwrap()
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
    let mut consumer = Consumer::start(&cluster, ConsumerOptions::default(), from).unwrap();
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
    let mut consumer = Consumer::start(&cluster, options, from).unwrap();
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
    let records = all(Consumer::start(&cluster, ConsumerOptions::default(), from).unwrap()).await;
    assert_eq!(offsets(&records), (0..30).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn damage_and_what_does_not_exist_end_reading_with_a_name() {
    let (model, cluster) = Model::start(1, |_, _| Fault::No);
    fill(&model, 0, 10, Compression::None);
    let mut damaged = model.lock().logs[0].batches[0].to_vec();
    damaged[70] ^= 1;
    model.lock().logs[0].batches[0] = damaged.into();
    let start = |assignment| {
        Consumer::start(&cluster, ConsumerOptions::default(), vec![assignment]).unwrap()
    };
    let mut consumer = start(assign(0, Start::Offset(0), None));
    let error = consumer.next().await.unwrap().unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::CorruptMessage));
    assert!(error.to_string().starts_with("partition t-0: record batch has crc"), "{error}");
    assert!(consumer.next().await.is_none());
    for from in [Start::Offset(0), Start::Earliest] {
        let end = async |assignment| {
            let mut consumer = start(assignment);
            let next = tokio::time::timeout(Duration::from_secs(60), consumer.next()).await;
            next.expect("it is believed at some time").unwrap().unwrap_err()
        };
        let missing = Assignment { topic: "missing".into(), ..assign(0, from, None) };
        assert_eq!(end(missing).await.code(), Some(ErrorCode::UnknownTopicOrPartition));
        let error = end(assign(7, from, None)).await;
        assert!(matches!(error, ClientError::NoPartition { partition: 7, count: 1, .. }));
    }
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_brokers_do_not_show_yet_is_looked_for_again() {
    for start in [Start::Offset(0), Start::Earliest] {
        let (model, cluster) = Model::start(1, |_, _| Fault::No);
        let from = vec![assign(1, start, None)];
        let mut consumer = Consumer::start(&cluster, ConsumerOptions::default(), from).unwrap();
        model.clone().grow_after(3).await;
        fill(&model, 1, 10, Compression::None);
        let next = consumer.next().await;
        assert!(matches!(next, Some(Ok(Event::Records(_)))), "{start:?}: {next:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_told_of_what_waits_for_its_reader() {
    let mut refused = 0;
    let (model, cluster) = Model::start(2, move |api, _| {
        refused += u32::from(api == ApiKey::Fetch);
        match api {
            ApiKey::Fetch if refused <= 3 => Fault::Refuse(ErrorCode::NotLeaderOrFollower),
            _ => Fault::No,
        }
    });
    (0..2).for_each(|partition| fill(&model, partition, 1000, Compression::None));
    let options = ConsumerOptions {
        partition_bytes: 5000,
        prefetch_bytes: 100,
        ..ConsumerOptions::default()
    };
    let from = vec![assign(0, Start::Offset(0), None), assign(1, Start::Offset(0), None)];
    let consumer = Consumer::start(&cluster, options, from).unwrap();
    let is_full = || cluster.metrics().prefetched_bytes > 0;
    eventually("one is read as far as there is room", is_full).await;
    eventually("nothing is told any more", || cluster.troubles().is_empty()).await;
    drop(consumer);
}

#[tokio::test(start_paused = true)]
async fn a_marker_is_not_shown_but_passed_over() {
    let (model, cluster) = Model::start(1, |_, _| Fault::No);
    fill(&model, 0, 10, Compression::None);
    let marker = EndTxnMarker { commit: true, coordinator_epoch: 0 }.to_batch(0, 7, 0).unwrap();
    model.lock().logs[0].append(&marker).unwrap();
    let from = vec![assign(0, Start::Offset(10), Some(11))];
    let mut consumer = Consumer::start(&cluster, ConsumerOptions::default(), from).unwrap();
    let Some(Ok(Event::Records(fetched))) = consumer.next().await else { panic!("an event") };
    assert_eq!((fetched.batches().count(), fetched.next_offset()), (0, 11));
    assert!(consumer.next().await.is_none());
}

fn t(partition: i32) -> TopicPartition {
    TopicPartition::new("t", partition)
}

/// A consumer of a log a partition, from their starts on.
fn reads(partitions: usize, ends: &[i64], options: ConsumerOptions) -> (Model, Consumer) {
    let (model, cluster) = Model::start(partitions, |_, _| Fault::No);
    for (partition, end) in ends.iter().enumerate() {
        fill(&model, partition, *end, Compression::None);
    }
    let from = (0..).take(partitions).map(|it| assign(it, Start::Earliest, None)).collect();
    (model, Consumer::start(&cluster, options, from).unwrap())
}

/// Offsets of the next `count` records, by partition.
async fn take(consumer: &mut Consumer, count: usize) -> Vec<(i32, i64)> {
    let mut records = Vec::new();
    while records.len() < count {
        let wait = Duration::from_secs(60);
        let more = consumer.poll(count - records.len(), wait).await.unwrap();
        assert!(!more.is_empty(), "{} of {count} came", records.len());
        records.extend(more.iter().map(|record| (record.partition, record.offset)));
    }
    records
}

/// Nothing comes for a while.
async fn is_quiet(consumer: &mut Consumer) -> bool {
    consumer.poll(1, Duration::from_secs(10)).await.unwrap().is_empty()
}

#[tokio::test(start_paused = true)]
async fn a_fetch_within_a_session_names_what_changed() {
    let (model, mut consumer) = reads(3, &[10, 10, 10], ConsumerOptions::default());
    take(&mut consumer, 30).await;
    assert!(is_quiet(&mut consumer).await);
    fill(&model, 1, 20, Compression::None);
    let more = take(&mut consumer, 10).await;
    assert_eq!(more, (10..20).map(|offset| (1, offset)).collect::<Vec<_>>());
    assert!(is_quiet(&mut consumer).await);
    let named: Vec<usize> = model.lock().fetches.iter().map(|(_, named)| *named).collect();
    assert_eq!(named[..2], [3, 3], "{named:?}");
    assert_eq!(named.iter().sum::<usize>(), 7, "and then only what moved: {named:?}");
}

#[tokio::test(start_paused = true)]
async fn a_session_that_the_broker_has_lost_begins_anew() {
    let (model, mut consumer) = reads(1, &[10], ConsumerOptions::default());
    take(&mut consumer, 10).await;
    assert!(is_quiet(&mut consumer).await);
    model.lock().drop_sessions();
    fill(&model, 0, 20, Compression::None);
    assert_eq!(take(&mut consumer, 10).await.last(), Some(&(0, 19)));
}

#[tokio::test(start_paused = true)]
async fn a_replica_nearby_is_read_and_the_leader_when_it_fails() {
    let options = ConsumerOptions { rack: Some("r".into()), ..ConsumerOptions::default() };
    let (model, mut consumer) = reads(1, &[10], options);
    model.lock().follower = Some(2);
    take(&mut consumer, 10).await;
    fill(&model, 0, 20, Compression::None);
    take(&mut consumer, 10).await;
    assert_eq!(model.lock().fetches[0].0, 1);
    assert!(model.lock().fetches[1..].iter().all(|(broker, _)| *broker == 2));
    // It is none any more: the leader is asked, and sends nobody away.
    model.lock().follower = None;
    fill(&model, 0, 30, Compression::None);
    assert_eq!(take(&mut consumer, 10).await.last(), Some(&(0, 29)));
    assert_eq!(model.lock().fetches.last().map(|(broker, _)| *broker), Some(1));
}

#[tokio::test(start_paused = true)]
async fn what_is_paused_waits_and_loses_nothing() {
    let small = ConsumerOptions {
        partition_bytes: 1000,
        prefetch_bytes: 4000,
        ..ConsumerOptions::default()
    };
    for options in [ConsumerOptions::default(), small] {
        let (_model, mut consumer) = reads(2, &[200, 200], options);
        let mut seen = take(&mut consumer, 5).await;
        consumer.pause(&[t(0)]);
        assert_eq!(consumer.paused(), [t(0)]);
        let before = seen.iter().filter(|(partition, _)| *partition == 0).count();
        let others = 200 - (seen.len() - before);
        let more = take(&mut consumer, others).await;
        assert!(more.iter().all(|(partition, _)| *partition == 1), "only the other comes");
        seen.extend(more);
        assert!(is_quiet(&mut consumer).await);
        consumer.resume(&[t(0)]);
        seen.extend(take(&mut consumer, 200 - before).await);
        seen.sort_unstable();
        let all = (0..2).flat_map(|partition| (0..200).map(move |offset| (partition, offset)));
        assert_eq!(seen, all.collect::<Vec<_>>());
        // Paused again with records at hand.
        consumer.seek(&t(0), Start::Earliest).unwrap();
        let again = take(&mut consumer, 3).await;
        consumer.pause(&[t(0)]);
        assert!(is_quiet(&mut consumer).await);
        consumer.resume(&[t(0)]);
        consumer.pause(&[t(0)]);
        consumer.resume(&[t(0)]);
        let rest = take(&mut consumer, 197).await;
        let offsets: Vec<i64> = again.iter().chain(&rest).map(|(_, offset)| *offset).collect();
        assert_eq!(offsets, (0..200).collect::<Vec<_>>());
    }
}

#[tokio::test(start_paused = true)]
async fn reading_goes_on_where_it_is_sent() {
    let (model, mut consumer) = reads(1, &[100], ConsumerOptions::default());
    take(&mut consumer, 5).await;
    consumer.seek(&t(0), Start::Offset(50)).unwrap();
    assert_eq!(take(&mut consumer, 2).await, [(0, 50), (0, 51)]);
    consumer.seek(&t(0), Start::Earliest).unwrap();
    assert_eq!(take(&mut consumer, 1).await, [(0, 0)]);
    consumer.seek(&t(0), Start::Latest).unwrap();
    assert!(is_quiet(&mut consumer).await);
    fill(&model, 0, 110, Compression::None);
    assert_eq!(take(&mut consumer, 1).await, [(0, 100)]);
    let error = consumer.seek(&t(1), Start::Earliest).unwrap_err();
    assert!(matches!(error, ClientError::NotAssigned(at) if at == t(1)));
    consumer.stop(&[t(0)]);
    assert!(consumer.next().await.is_none(), "nothing is read");
    consumer.read(assign(0, Start::Offset(7), Some(9)));
    assert_eq!(take(&mut consumer, 2).await, [(0, 7), (0, 8)]);
    assert!(consumer.next().await.is_none(), "the end is reached");
}

#[tokio::test(start_paused = true)]
async fn a_partition_read_apart_holds_up_no_other() {
    let options = ConsumerOptions {
        partition_bytes: 2000,
        prefetch_bytes: 4000,
        ..ConsumerOptions::default()
    };
    let (_model, mut consumer) = reads(2, &[500, 500], options);
    let mut seen = take(&mut consumer, 3).await;
    let mut apart = consumer.split(&t(0)).unwrap();
    assert_eq!(apart.partition(), &t(0));
    // Nobody reads it, and the other comes whole.
    let before = seen.iter().filter(|(partition, _)| *partition == 0).count();
    seen.extend(take(&mut consumer, 500 - (seen.len() - before)).await);
    assert!(is_quiet(&mut consumer).await);
    let mut next = async || poll_fn(|cx| Pin::new(&mut apart).poll_next(cx)).await;
    for _ in before..500 {
        let record = next().await.unwrap().unwrap();
        seen.push((record.partition, record.offset));
    }
    seen.sort_unstable();
    assert_eq!(seen.len(), 1000);
    seen.dedup();
    assert_eq!(seen.len(), 1000, "each once");
    consumer.seek(&t(0), Start::Offset(490)).unwrap();
    assert_eq!(next().await.unwrap().unwrap().offset, 490);
    consumer.stop(&[t(0)]);
    assert!(next().await.is_none(), "it is read no more");
}

#[tokio::test(start_paused = true)]
async fn a_topic_made_again_is_read_from_its_start() {
    let (model, mut consumer) = reads(1, &[100], ConsumerOptions::default());
    take(&mut consumer, 100).await;
    {
        let mut state = model.lock();
        state.topic_id = Some(6);
        state.logs[0] = Default::default();
    }
    fill(&model, 0, 20, Compression::None);
    let Some(Ok(Event::Moved(moved))) = consumer.next().await else { panic!("moved") };
    assert_eq!((moved.from, moved.to, moved.why), (100, 0, MovedWhy::Recreated));
    assert_eq!(take(&mut consumer, 20).await.first(), Some(&(0, 0)));
    model.lock().topic_id = None;
    let error = consumer.next().await.unwrap().unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::UnknownTopicOrPartition));
    assert!(consumer.next().await.is_none());
}

/// The offsets of a whole fetch, none of whose batches was handed out before.
fn whole(event: Event, behind: i64) -> Vec<i64> {
    let Event::Records(fetched) = event else { panic!("nothing moved: {event:?}") };
    assert!(fetched.batches().all(|batch| batch.next_offset() > behind), "behind {behind}");
    let mut offsets = Vec::new();
    let visited = fetched.visit::<()>(&mut Vec::new(), |_, record| {
        offsets.push(record.offset);
        ControlFlow::Continue(())
    });
    assert!(visited.is_ok());
    offsets
}

#[tokio::test(start_paused = true)]
async fn what_is_left_of_a_fetch_taken_apart_comes_before_the_next() {
    let options = ConsumerOptions { partition_bytes: 1500, ..ConsumerOptions::default() };
    for compression in [Compression::None, Compression::Lz4] {
        let (model, cluster) = Model::start(1, |_, _| Fault::No);
        fill(&model, 0, 2000, compression);
        let from = vec![assign(0, Start::Earliest, None)];
        let mut consumer = Consumer::start(&cluster, options.clone(), from).unwrap();
        let mut seen = Vec::new();
        for count in [3, 7, 10, 13] {
            seen.extend(take(&mut consumer, count).await.iter().map(|(_, offset)| *offset));
            let event = consumer.next().await.unwrap().unwrap();
            seen.extend(whole(event, *seen.last().unwrap()));
        }
        let mut apart = consumer.split(&t(0)).unwrap();
        for count in [1, 4] {
            for _ in 0..count {
                let next = poll_fn(|cx| Pin::new(&mut apart).poll_next(cx)).await;
                seen.push(next.unwrap().unwrap().offset);
            }
            seen.extend(whole(apart.next().await.unwrap(), *seen.last().unwrap()));
        }
        assert_eq!(seen, (0..).take(seen.len()).collect::<Vec<_>>(), "{compression}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_cant_be_unpacked_is_not_passed_over() {
    for is_apart in [false, true] {
        let (model, cluster) = Model::start(1, |_, _| Fault::No);
        fill(&model, 0, 20, Compression::Lz4);
        let options = ConsumerOptions { unpacked_bytes: 10, ..ConsumerOptions::default() };
        let from = vec![assign(0, Start::Earliest, None)];
        let mut consumer = Consumer::start(&cluster, options, from).unwrap();
        let mut apart = is_apart.then(|| consumer.split(&t(0)).unwrap());
        let mut next = async || match &mut apart {
            Some(apart) => poll_fn(|cx| Pin::new(&mut *apart).poll_next(cx)).await,
            None => record(&mut consumer).await,
        };
        let error = next().await.unwrap().unwrap_err();
        assert_eq!(error.code(), Some(ErrorCode::CorruptMessage));
        fill(&model, 0, 30, Compression::None);
        assert!(next().await.is_none(), "nothing comes after it");
    }
}

#[tokio::test(start_paused = true)]
async fn a_partition_whose_stream_is_dropped_is_fetched_no_more() {
    let (model, cluster) = Model::start(1, |_, _| Fault::No);
    fill(&model, 0, 5000, Compression::None);
    let options = ConsumerOptions { partition_bytes: 1500, ..ConsumerOptions::default() };
    let from = vec![assign(0, Start::Earliest, Some(5000))];
    let mut consumer = Consumer::start(&cluster, options, from).unwrap();
    drop(consumer.split(&t(0)).unwrap());
    assert!(consumer.next().await.is_none(), "nothing is read any more");
    tokio::time::sleep(Duration::from_secs(10)).await;
    let fetches = model.lock().fetches.len();
    assert!(fetches <= 4, "{fetches} fetches for nobody");
}

/// Whatever call is dropped at whatever point, nothing is lost and nothing comes twice.
#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_loses_nothing() {
    for polls in 1..6 {
        let options = ConsumerOptions { partition_bytes: 1500, ..ConsumerOptions::default() };
        let (_model, mut consumer) = reads(2, &[300, 300], options);
        let mut seen = Vec::new();
        while seen.len() < 600 {
            if let Some(Ok(Event::Records(fetched))) =
                dropped_after(polls, consumer.next()).await.flatten()
            {
                let _ = fetched.visit::<()>(&mut Vec::new(), |_, record| {
                    seen.push((fetched.partition, record.offset));
                    ControlFlow::Continue(())
                });
            }
            let polled = consumer.poll(7, Duration::from_millis(1));
            if let Some(records) = dropped_after(polls, polled).await {
                let records = records.unwrap();
                seen.extend(records.iter().map(|record| (record.partition, record.offset)));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        seen.sort_unstable();
        let all = (0..2).flat_map(|partition| (0..300).map(move |offset| (partition, offset)));
        assert_eq!(seen, all.collect::<Vec<_>>(), "dropped after {polls} polls");
    }
}
