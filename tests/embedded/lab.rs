//! Runtimes of both kinds, and what a test does with a broker.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use duramen_client::consumer::{Assignment, Consumer, ConsumerOptions, Event, Start};
use duramen_client::{Cluster, Producer, ProducerOptions, ProducerRecord};
use tokio::runtime::{Builder, Runtime};

/// How long anything may take: the machine that runs the tests may be busy with other things.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// One runtime of each kind.
pub fn runtimes() -> [Runtime; 2] {
    [Builder::new_current_thread(), Builder::new_multi_thread()]
        .map(|mut builder| builder.worker_threads(2).enable_all().build().unwrap())
}

/// Runs a test on each kind of runtime.
pub fn on_each(test: impl AsyncFn()) {
    for runtime in runtimes() {
        runtime.block_on(async {
            tokio::time::timeout(PATIENCE, test()).await.expect("the test ends");
        });
    }
}

/// Asks until it is so; panics with `reason` when it does not come true.
pub async fn eventually(reason: &str, mut ask: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !ask().await {
        assert!(began.elapsed() < PATIENCE, "not within {PATIENCE:?}: {reason}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Sends at once; nothing here waits for more records.
pub fn producer(cluster: &Cluster) -> Producer {
    let options = ProducerOptions::default().linger(Duration::ZERO);
    Producer::start(cluster, options).unwrap()
}

/// Writes values to partition 0 of a topic, each acknowledged before the next is sent.
pub async fn write(cluster: &Cluster, topic: &str, values: &[&str]) {
    let producer = producer(cluster);
    for value in values {
        let record = ProducerRecord::new(topic, value.as_bytes());
        producer.send(ProducerRecord { partition: Some(0), ..record }).await.unwrap();
    }
}

/// The first so many values of partition 0 of a topic.
pub async fn read(cluster: &Cluster, topic: &str, count: usize) -> Vec<String> {
    let from = Assignment::new(topic, 0, Start::Earliest);
    let mut consumer = Consumer::start(cluster, ConsumerOptions::default(), vec![from]).unwrap();
    let (mut values, mut scratch) = (Vec::new(), Vec::new());
    while values.len() < count {
        let event = consumer.next().await.expect("no end").expect("no error");
        let Event::Records(fetched) = event else { panic!("{event:?}") };
        let visited = fetched.visit::<()>(&mut scratch, |_, record| {
            values.push(String::from_utf8(record.value.unwrap().to_vec()).unwrap());
            ControlFlow::Continue(())
        });
        assert!(visited.is_ok());
    }
    values
}
