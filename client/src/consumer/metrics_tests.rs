//! What a consumer's numbers say while it reads.

use std::time::Duration;

use duramen_protocol::records::{BatchBuilder, BatchOptions};

use super::*;
use crate::metrics::Standing;
use crate::testing::model::{Fault, Model};

/// Ten batches of ten records.
fn fill(model: &Model) -> u64 {
    let mut bytes = 0;
    for first in 0..10 {
        let mut builder = BatchBuilder::new(10_000);
        for at in 0..10 {
            assert!(builder.append(first * 10 + at, None, Some(b"value"), &[]).unwrap());
        }
        let batch = builder.build(&BatchOptions::default()).unwrap();
        bytes += u64::try_from(batch.len()).unwrap();
        model.lock().logs[0].append(&batch).unwrap();
    }
    bytes
}

#[tokio::test(start_paused = true)]
async fn they_say_how_far_it_got_and_what_it_holds() {
    let (model, cluster) = Model::start(1, |_, _| Fault::No);
    let bytes = fill(&model);
    let from = vec![Assignment::new("t", 0, Start::Offset(5))];
    let mut consumer = Consumer::start(&cluster, ConsumerOptions::default(), from).unwrap();
    assert_eq!(cluster.metrics().standings, [], "nothing was told yet");
    let Some(Ok(Event::Records(fetched))) = consumer.next().await else { panic!("records") };
    let numbers = cluster.metrics();
    assert!(numbers.fetches >= 1);
    assert_eq!(numbers.fetched_bytes, bytes);
    assert_eq!(numbers.records_taken, 95, "the first batch is cut");
    assert_eq!(numbers.prefetched_bytes, bytes, "the user still holds them");
    let at = TopicPartition::new("t", 0);
    assert_eq!(numbers.standings, [Standing { at: at.clone(), next: 100, end: 100 }]);
    drop(fetched);
    assert_eq!(cluster.metrics().prefetched_bytes, 0);

    // What comes is behind until it is handed out.
    fill(&model);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let numbers = cluster.metrics();
    assert_eq!((numbers.standings[0].lag(), numbers.prefetched_bytes), (100, bytes));
    consumer.seek(&at, Start::Offset(150)).unwrap();
    assert_eq!(consumer.poll(1, Duration::from_secs(1)).await.unwrap()[0].offset, 150);
    let standings = cluster.metrics().standings;
    assert_eq!(standings, [Standing { at, next: 200, end: 200 }]);
    drop(consumer);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(cluster.metrics().standings, [], "it is read no more");
}
