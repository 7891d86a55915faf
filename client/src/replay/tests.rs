//! A replay of what the model broker holds, on a paused clock.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use duramen_protocol::api::ApiKey;
use duramen_protocol::error::ErrorCode;

use super::arrived::{Stretch, last_sequences};
use super::*;
use crate::producer::{Identity, Producer, ProducerOptions, ProducerRecord, new_identity};
use crate::testing::model::{Fault, Model};

/// Partitions of the model, as the timestamps of their records; a record's value is `partition:timestamp`.
async fn filled(partitions: &[&[i64]]) -> (Model, Cluster) {
    let (model, cluster) = Model::start(partitions.len(), |_, _| Fault::No);
    let options = ProducerOptions { batch_bytes: 150, ..ProducerOptions::default() };
    let producer = Producer::start(&cluster, options).unwrap();
    for (partition, timestamps) in (0..).zip(partitions) {
        for timestamp in *timestamps {
            let value = format!("{partition}:{timestamp}");
            let record = ProducerRecord {
                partition: Some(partition),
                timestamp: Some(*timestamp),
                ..ProducerRecord::new("t", value.as_bytes())
            };
            producer.enqueue(record).await.unwrap().await.unwrap();
        }
    }
    model.lock().asked.clear();
    (model, cluster)
}

fn range(partition: i32, from: i64, to: i64) -> ReplayRange {
    ReplayRange::new("t", partition, from, to)
}

fn value(record: &ConsumerRecord) -> String {
    String::from_utf8(record.value.clone().unwrap().to_vec()).unwrap()
}

/// Every record with the milliseconds after which it came.
async fn all(mut replay: Replay) -> Vec<(String, u128)> {
    let (began, mut seen) = (Instant::now(), Vec::new());
    while let Some(record) = replay.next().await {
        seen.push((value(&record.unwrap()), began.elapsed().as_millis()));
    }
    seen
}

#[tokio::test(start_paused = true)]
async fn partitions_are_merged_by_time_and_ranges_are_kept() {
    let (model, cluster) = filled(&[&[10, 40, 50, 99], &[5, 20, 20, 45]]).await;
    let replay =
        Replay::builder(&cluster).ranges([range(0, 0, 3), range(1, 1, 4)]).start().unwrap();
    let seen: Vec<_> = all(replay).await.into_iter().map(|(value, _)| value).collect();
    assert_eq!(seen, ["0:10", "1:20", "1:20", "0:40", "1:45", "0:50"]);
    let asked = model.lock().asked.clone();
    assert!(
        asked.iter().all(|api| matches!(api, ApiKey::Fetch | ApiKey::Metadata)),
        "nothing but reading: {asked:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_original_timing_comes_back_at_any_speed() {
    let times = [1_000, 1_500, 1_500, 61_000];
    for (speed, want) in [(1.0, [0, 500, 500, 60_000]), (10.0, [0, 50, 50, 6_000])] {
        let (_, cluster) = filled(&[&times]).await;
        let mut replay = Replay::builder(&cluster)
            .range(range(0, 0, 4))
            .pace(Pace::Original(speed))
            .start()
            .unwrap();
        let mut seen = Vec::new();
        let first = replay.next().await.unwrap().unwrap();
        let began = Instant::now();
        assert_eq!(first.timestamp, 1_000);
        seen.push(0);
        while let Some(record) = replay.next().await {
            record.unwrap();
            seen.push(began.elapsed().as_millis());
        }
        assert_eq!(seen, want, "at {speed}x");
    }
}

#[tokio::test(start_paused = true)]
async fn a_rate_spreads_records_evenly_and_a_filter_costs_no_time() {
    let (_, cluster) = filled(&[&[1, 2, 3, 4, 5, 6, 7, 8]]).await;
    let mut replay = Replay::builder(&cluster)
        .range(range(0, 0, 8))
        .pace(Pace::Rate(2.0))
        .filter(|record| record.offset % 2 == 0)
        .start()
        .unwrap();
    assert_eq!(replay.next().await.unwrap().unwrap().offset, 0);
    let began = Instant::now();
    for (offset, after) in [(2, 500), (4, 1000), (6, 1500)] {
        assert_eq!(replay.next().await.unwrap().unwrap().offset, offset);
        assert_eq!(began.elapsed().as_millis(), after);
    }
    assert!(replay.next().await.is_none());
    assert_eq!(replay.positions().map(|(_, at)| at).collect::<Vec<_>>(), [8]);
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_is_given_up_loses_nothing() {
    let (_, cluster) = filled(&[&[0, 10_000, 20_000]]).await;
    let mut replay =
        Replay::builder(&cluster).range(range(0, 0, 3)).pace(Pace::Original(1.0)).start().unwrap();
    replay.next().await.unwrap().unwrap();
    let began = Instant::now();
    for _ in 0..9 {
        let waited = tokio::time::timeout(Duration::from_secs(1), replay.next()).await;
        assert!(waited.is_err());
        assert_eq!(replay.positions().map(|(_, at)| at).collect::<Vec<_>>(), [1]);
    }
    assert_eq!(replay.next().await.unwrap().unwrap().offset, 1);
    assert_eq!(began.elapsed().as_secs(), 10);
    assert_eq!(replay.next().await.unwrap().unwrap().offset, 2);
    assert_eq!(began.elapsed().as_secs(), 20);
}

#[tokio::test(start_paused = true)]
async fn who_takes_slowly_is_not_flooded() {
    let long: Vec<i64> = (0..20_000).collect();
    let (model, cluster) = filled(&[&[]]).await;
    let producer = Producer::start(&cluster, ProducerOptions::default()).unwrap();
    for timestamp in &long {
        let payload = [7; 100];
        let record =
            ProducerRecord { timestamp: Some(*timestamp), ..ProducerRecord::new("t", &payload) };
        drop(producer.enqueue(record).await.unwrap());
    }
    producer.flush().await;
    let bytes: usize = model.lock().logs[0].batches.iter().map(bytes::Bytes::len).sum();
    model.lock().asked.clear();
    let mut replay = Replay::builder(&cluster)
        .range(range(0, 0, 20_000))
        .prefetch_bytes(128 * 1024)
        .start()
        .unwrap();
    for _ in 0..10 {
        replay.next().await.unwrap().unwrap();
        tokio::time::sleep(Duration::from_secs(10)).await;
    }
    let fetches = || model.lock().asked.iter().filter(|api| **api == ApiKey::Fetch).count();
    let early = fetches();
    assert!(early * 128 * 1024 < bytes / 3, "{early} fetches of {bytes} bytes");
    let mut left = 0;
    while let Some(record) = replay.next().await {
        record.unwrap();
        left += 1;
    }
    assert_eq!(left, 20_000 - 10);
    assert!(fetches() > early);
}

#[tokio::test(start_paused = true)]
async fn what_was_deleted_meanwhile_is_told_and_reading_goes_on() {
    let (model, cluster) = filled(&[&[1, 2, 3, 4, 5]]).await;
    model.lock().logs[0].start = 2;
    let mut replay = Replay::builder(&cluster).range(range(0, 0, 5)).start().unwrap();
    let mut offsets = Vec::new();
    while let Some(record) = replay.next().await {
        offsets.push(record.unwrap().offset);
    }
    assert_eq!(offsets, [2, 3, 4]);
    let moved = replay.take_moved().unwrap();
    assert_eq!((moved.from, moved.to), (0, 2));
    assert!(replay.take_moved().is_none());
}

#[tokio::test(start_paused = true)]
async fn nothing_comes_after_an_error() {
    let (_, cluster) = Model::start(1, |api, _| match api {
        ApiKey::Fetch => Fault::Refuse(ErrorCode::TopicAuthorizationFailed),
        _ => Fault::No,
    });
    cluster.refresh(crate::cluster::Topics::Named(&["t".into()])).await.unwrap();
    let mut replay = Replay::builder(&cluster).range(range(0, 0, 5)).start().unwrap();
    let error = replay.next().await.unwrap().unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::TopicAuthorizationFailed));
    assert!(replay.next().await.is_none());
    assert_eq!(replay.positions().map(|(_, at)| at).collect::<Vec<_>>(), [0]);
}

/// Sends records `from` to `to` as the numbers they are, under an identity that knows of `from` records.
async fn send(cluster: &Cluster, identity: &Identity, from: i32, to: i32) -> Vec<bool> {
    let next = BTreeMap::from([(("t".into(), 0), from)]);
    let options = ProducerOptions {
        identity: Some(Identity { next, ..identity.clone() }),
        batch_bytes: 120,
        ..ProducerOptions::default()
    };
    let producer = Producer::start(cluster, options).unwrap();
    let mut deliveries = Vec::new();
    for number in from..to {
        let value = format!("{number:05}");
        let record =
            ProducerRecord { partition: Some(0), ..ProducerRecord::new("t", value.as_bytes()) };
        deliveries.push(producer.enqueue(record).await.unwrap());
    }
    producer.flush().await;
    deliveries.iter().map(|delivery| delivery.result().unwrap().is_ok()).collect()
}

async fn last(cluster: &Cluster, model: &Model, identity: &Identity) -> Option<i32> {
    let to = model.lock().logs[0].end;
    let stretch = Stretch::new(0, 0, to);
    let found =
        last_sequences(cluster, &"t".into(), &[stretch], |id| id == identity.id).await.unwrap();
    found.get(&(identity.id, 0)).copied()
}

/// The story of docs/replay.md: a killed run's requests may land at any time after the next run has
/// looked. Whatever lands first, the log holds each record once and in order.
#[tokio::test(start_paused = true)]
async fn the_same_records_under_the_same_numbers_are_written_once() {
    let (model, cluster) = Model::start(1, |_, _| Fault::No);
    let identity = new_identity(&cluster).await.unwrap();
    assert_eq!(last(&cluster, &model, &identity).await, None);
    assert!(send(&cluster, &identity, 0, 40).await.iter().all(|ok| *ok));
    assert_eq!(last(&cluster, &model, &identity).await, Some(39));
    // A look that is too old: the broker refuses what does not follow.
    let refused = send(&cluster, &identity, 33, 60).await;
    assert!(refused.iter().all(|ok| !*ok), "{refused:?}");
    // And with what stands there now it goes on.
    assert!(send(&cluster, &identity, 40, 60).await.iter().all(|ok| *ok));
    let want: Vec<_> = (0..60).map(|number| format!("{number:05}")).collect();
    assert_eq!(model.values(0), want);
}

#[tokio::test(start_paused = true)]
async fn two_runs_at_once_write_each_record_once() {
    let (model, cluster) = Model::start(1, |_, _| Fault::No);
    let identity = new_identity(&cluster).await.unwrap();
    let done = Arc::new(Mutex::new(0));
    let runs = (0..3).map(|run| {
        let (model, cluster, identity) = (model.clone(), cluster.clone(), identity.clone());
        let done = Arc::clone(&done);
        tokio::spawn(async move {
            // Runs cut their batches differently.
            loop {
                let from = last(&cluster, &model, &identity).await.map_or(0, |last| last + 1);
                if from >= 300 {
                    *done.lock().unwrap() += 1;
                    return;
                }
                send(&cluster, &identity, from, (from + 17 + 5 * run).min(300)).await;
            }
        })
    });
    for run in runs.collect::<Vec<_>>() {
        run.await.unwrap();
    }
    assert_eq!(*done.lock().unwrap(), 3);
    let want: Vec<_> = (0..300).map(|number| format!("{number:05}")).collect();
    assert_eq!(model.values(0), want);
}
