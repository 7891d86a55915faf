//! A steady stream of records into one partition whose every acknowledgement is noted, to be held
//! against the log afterwards.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use duramen_client::admin::{NewTopic, RecordsBefore};
use duramen_client::admin::{OffsetQuestion, OffsetSpec};
use duramen_client::consumer::{Assignment, Isolation, Start};
use duramen_client::{
    Admin, Cluster, ClusterOptions, Consumer, ConsumerOptions, Producer, ProducerOptions,
    ProducerRecord,
};
use futures_core::Stream as _;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use crate::truth::PartitionTruth;

/// A client of one node, blocking.
pub struct Client {
    runtime: Runtime,
    cluster: Cluster,
    pub admin: Admin,
}

/// A stream while it runs.
pub struct Stream {
    pub topic: String,
    /// What must be in the log.
    pub truth: Arc<PartitionTruth>,
    stop: Arc<AtomicBool>,
    producing: JoinHandle<Result<(), String>>,
}

impl Client {
    pub fn new(port: u16) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let options = ClusterOptions::default();
        let cluster = Cluster::new(&format!("127.0.0.1:{port}"), options).expect("an address");
        Self { runtime, admin: Admin::new(&cluster), cluster }
    }

    /// Makes a topic of one partition.
    pub fn create(&self, name: &str, configs: &[(&str, &str)]) -> Result<(), String> {
        let configs = configs.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        let topic = NewTopic::new(name).partitions(1).configs(configs.collect());
        let made = self.runtime.block_on(self.admin.create_topics(&[topic], false));
        let made = made.map_err(|error| error.to_string())?;
        made.into_iter().try_for_each(|made| made.result.map(|_| ())).map_err(|e| e.to_string())
    }

    /// Begins a stream of `bunch` records every 20 ms.
    pub fn stream(&self, topic: &str, bunch: u64) -> Stream {
        let truth = Arc::new(PartitionTruth::new(0x51 << 40, true));
        let stop = Arc::new(AtomicBool::new(false));
        let _inside = self.runtime.enter();
        let options = ProducerOptions::default()
            .delivery_timeout(Duration::from_secs(300))
            .allow_topic_creation(false);
        let producer = Producer::start(&self.cluster, options).unwrap();
        let name = topic.to_owned();
        let (stopped, truth_of_it) = (Arc::clone(&stop), Arc::clone(&truth));
        let producing = tokio::spawn(async move {
            let mut n = 0;
            let mut deliveries = std::collections::VecDeque::new();
            while !stopped.load(Ordering::SeqCst) || !deliveries.is_empty() {
                for _ in 0..if stopped.load(Ordering::SeqCst) { 0 } else { bunch } {
                    let value = truth_of_it.value(n);
                    let record =
                        ProducerRecord { partition: Some(0), ..ProducerRecord::new(&name, &value) };
                    let delivery = producer.enqueue(record).await;
                    deliveries.push_back((n, delivery.map_err(|error| error.to_string())?));
                    n += 1;
                }
                // what is on its way is waited for before more is sent
                while deliveries.len() > if stopped.load(Ordering::SeqCst) { 0 } else { 200 } {
                    let Some((n, delivery)) = deliveries.pop_front() else { break };
                    let delivered =
                        delivery.await.map_err(|error| format!("record {n}: {error}"))?;
                    truth_of_it.acknowledge(n, delivered.offset)?;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Ok(())
        });
        Stream { topic: topic.to_owned(), truth, stop, producing }
    }

    /// The first or last offset of a topic's partition.
    pub fn offset(&self, topic: &str, spec: OffsetSpec) -> Result<i64, String> {
        let question = OffsetQuestion::new(topic, 0, spec);
        let asked = self.admin.list_offsets(Isolation::ReadUncommitted, vec![question]);
        let answers = self.runtime.block_on(asked).map_err(|error| error.to_string())?;
        let answer = answers.into_iter().next().ok_or("no answer")?;
        answer.offset.map(|offset| offset.unwrap_or(-1)).map_err(|error| error.to_string())
    }

    /// Deletes the records before an offset.
    pub fn delete_before(&self, topic: &str, offset: i64) -> Result<(), String> {
        let before = RecordsBefore::new(topic, 0, offset);
        let outcomes = self.runtime.block_on(self.admin.delete_records(&[before]));
        let mut outcomes = outcomes.map_err(|error| error.to_string())?.into_iter();
        outcomes.try_for_each(|outcome| outcome.result.map(|_| ())).map_err(|e| e.to_string())
    }

    /// Stops a stream once all of it is acknowledged.
    pub fn finish(&self, stream: Stream) -> Finished {
        stream.stop.store(true, Ordering::SeqCst);
        self.runtime.block_on(stream.producing).expect("no panic").expect("all is delivered");
        Finished { topic: stream.topic, truth: stream.truth }
    }

    /// Reads all that is there of a stream and holds it against what was acknowledged; how many records
    /// there are.
    pub fn verify(&self, topic: &str, truth: &PartitionTruth) -> i64 {
        // What is acknowledged from here on may lie behind the end that is told.
        let acked = truth.acked.load(Ordering::SeqCst);
        let start = self.offset(topic, OffsetSpec::Earliest).expect("the first offset");
        let end = self.offset(topic, OffsetSpec::Latest).expect("the end");
        assert!(end >= acked, "{topic} ends at {end}, {acked} were acknowledged");
        let from = Assignment::new(topic, 0, Start::Offset(start)).end(end);
        let _inside = self.runtime.enter();
        let mut consumer =
            Consumer::start(&self.cluster, ConsumerOptions::default(), vec![from]).unwrap();
        let mut next = start;
        self.runtime.block_on(async {
            while let Some(record) =
                poll_fn(|context| Pin::new(&mut consumer).poll_next(context)).await
            {
                let record = record.expect("a record");
                assert_eq!(record.offset, next, "{topic}");
                truth.check(next, record.value.as_deref().unwrap_or_default()).expect("as sent");
                next += 1;
            }
        });
        assert_eq!(next, end, "{topic}");
        end - start
    }
}

impl Stream {
    /// How many records were acknowledged.
    pub fn acked(&self) -> i64 {
        self.truth.acked.load(Ordering::SeqCst)
    }

    /// Whether it has given up.
    pub fn has_ended(&self) -> bool {
        self.producing.is_finished()
    }
}

/// A stream that was acknowledged to its end.
pub struct Finished {
    pub topic: String,
    pub truth: Arc<PartitionTruth>,
}
