//! Records that go on coming to a topic until the test has seen enough.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use duramen_client::Admin;
use duramen_client::admin::NewTopic;
use duramen_client::cluster::{Cluster, ClusterOptions};
use duramen_client::producer::{Producer, ProducerOptions, ProducerRecord};
use tokio::runtime::Runtime;

/// Records of a partition that are there before any member comes.
const AT_ONCE: usize = 40;
/// Then one a partition, so often.
const PACE: Duration = Duration::from_millis(40);

/// A producer of a topic of its own; an idempotent one, so that no record is written twice.
pub struct Flow {
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<BTreeMap<i32, i64>>>,
}

impl Flow {
    /// Makes the topic; returns when the first records are there.
    pub fn start(bootstrap: &str, topic: &str, partitions: i32) -> Self {
        let runtime = Runtime::new().unwrap();
        let producer = runtime.block_on(async {
            let cluster = Cluster::new(bootstrap, ClusterOptions::default()).unwrap();
            let new = NewTopic::new(topic).partitions(partitions);
            for made in Admin::new(&cluster).create_topics(&[new], false).await.unwrap() {
                made.result.unwrap();
            }
            Producer::start(&cluster, ProducerOptions::default()).unwrap()
        });
        let mut ends: BTreeMap<i32, i64> =
            (0..partitions).map(|partition| (partition, 0)).collect();
        for _ in 0..AT_ONCE {
            runtime.block_on(one_each(&producer, topic, &mut ends));
        }
        let stopping = Arc::new(AtomicBool::new(false));
        let (stop, topic) = (Arc::clone(&stopping), topic.to_owned());
        let thread = thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                runtime.block_on(one_each(&producer, &topic, &mut ends));
                thread::sleep(PACE); // nobody waits for this: it is how fast records come
            }
            ends
        });
        Self { stopping, thread: Some(thread) }
    }

    /// Where each partition ends now that no more records come.
    pub fn stop(mut self) -> BTreeMap<i32, i64> {
        self.stopping.store(true, Ordering::Relaxed);
        self.thread.take().expect("stopped once").join().expect("all records were written")
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn one_each(producer: &Producer, topic: &str, ends: &mut BTreeMap<i32, i64>) {
    let mut sent = Vec::new();
    for (partition, end) in ends.iter() {
        let value = end.to_string();
        let mut record = ProducerRecord::new(topic, value.as_bytes());
        record.partition = Some(*partition);
        sent.push(producer.enqueue(record).await.expect("a record is taken"));
    }
    for delivery in sent {
        let delivered = delivery.await.expect("a record is written");
        let end = ends.get_mut(&delivered.partition).expect("our partition");
        // -1: written before the broker was killed, and it no longer knows where
        assert!(delivered.offset == *end || delivered.offset == -1, "{delivered:?} for {end}");
        *end += 1;
    }
}
