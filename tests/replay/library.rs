//! `duramen_client::replay` against a real broker: what the model cannot show.

use std::time::Instant;

use duramen_client::replay::{Pace, Replay, ReplayRange};

use crate::lab::{Lab, numbered};

#[tokio::test(flavor = "multi_thread")]
async fn a_bounded_paced_stream_of_a_real_topic() {
    let lab = Lab::start().await;
    lab.topic("t", 3).await;
    for partition in 0..3 {
        lab.fill("t", partition, &numbered(partition, 500)).await;
    }
    let ranges = (0..3).map(|partition| ReplayRange::new("t", partition, 100, 400));
    let mut replay = Replay::builder(&lab.cluster)
        .ranges(ranges)
        .pace(Pace::Original(1.0))
        .filter(|record| record.key.is_some())
        .prefetch_bytes(1)
        .start()
        .unwrap();
    let began = Instant::now();
    let (mut last, mut count) = (0, 0);
    while let Some(record) = replay.next().await {
        let record = record.unwrap();
        assert!(record.timestamp >= last, "in the order of time over all partitions");
        assert!((100..400).contains(&record.offset));
        (last, count) = (record.timestamp, count + 1);
    }
    assert!(began.elapsed().as_millis() >= 290, "300 ms of records, a millisecond apart");
    assert_eq!(count, 3 * (100..400).filter(|offset| offset % 7 != 0).count());
    assert!(replay.positions().all(|(range, at)| at == range.to));
    assert!(replay.next().await.is_none());
}
