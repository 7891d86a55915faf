//! The mixed load: producers, readers from the start and by time, members of groups, and an administrator
//! who makes, changes, trims and deletes. Each holds what it sees against the truth.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use duramen_client::admin::{
    ConfigChange, NewTopic, OffsetQuestion, OffsetSpec, RecordsBefore, Resource,
};
use duramen_client::consumer::{Assignment, ConsumerRecord, Isolation, Reset, Start};
use duramen_client::producer::{Acks, Compression, Delivery};
use duramen_client::{
    Admin, ClientError, Cluster, ClusterOptions, Consumer, ConsumerOptions, Producer,
    ProducerOptions, ProducerRecord,
};
use duramen_protocol::error::ErrorCode;

use futures_core::Stream;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::groups::Groups;
use crate::support::chance::Chance;
use crate::truth::{PartitionTruth, TopicTruth};

const PARTITIONS: i32 = 2;
/// Records a second come in this many bunches.
const BUNCHES: u64 = 20;
/// Records whose acknowledgement is awaited at once.
const UNACKED: usize = 10_000;

/// Topic, durability, codec, idempotent.
const TOPICS: [(&str, &str, Compression, bool); 5] = [
    ("soak-plain", "disk", Compression::None, true),
    ("soak-lz4", "disk", Compression::Lz4, true),
    ("soak-zstd", "page-cache", Compression::Zstd, true),
    (TRIMMED, "page-cache", Compression::None, true),
    ("soak-loose", "page-cache", Compression::Snappy, false),
];
const TRIMMED: &str = "soak-trimmed";

/// What all parts of the load share.
pub(super) struct World {
    pub(super) cluster: Cluster,
    pub(super) admin: Admin,
    pub(super) topics: Vec<TopicTruth>,
    pub(super) groups: Groups,
    rate: u64,
    stop: AtomicBool,
    faults: Mutex<Vec<String>>,
    produced: AtomicU64,
    consumed: AtomicU64,
    churned: AtomicU64,
}

/// The load while it runs.
pub struct Load {
    world: Arc<World>,
    producers: Mutex<Vec<JoinHandle<()>>>,
    runtime: Runtime,
}

impl Load {
    /// Makes the topics and sets all parts going.
    pub fn start(port: u16, rate: u64, chance: &Chance) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let inside = runtime.enter();
        let options = ClusterOptions::default().operation_timeout(Duration::from_secs(60));
        let cluster = Cluster::new(&format!("127.0.0.1:{port}"), options).expect("an address");
        let truth = |(number, (name, _, _, idempotent)): (usize, &(&str, _, _, bool))| {
            let seed = |partition: u64| (number as u64 * 100 + partition) << 40;
            let partition = |partition| PartitionTruth::new(seed(partition), *idempotent);
            TopicTruth {
                name: (*name).to_owned(),
                partitions: (0..PARTITIONS as u64).map(partition).collect(),
            }
        };
        let world = Arc::new(World {
            admin: Admin::new(&cluster),
            cluster,
            topics: TOPICS.iter().enumerate().map(truth).collect(),
            groups: Groups::default(),
            rate,
            stop: AtomicBool::new(false),
            faults: Mutex::default(),
            produced: AtomicU64::new(0),
            consumed: AtomicU64::new(0),
            churned: AtomicU64::new(0),
        });
        runtime.block_on(world.create()).expect("the topics of the load");
        let mut producers = Vec::new();
        for topic in 0..TOPICS.len() {
            for partition in 0..PARTITIONS {
                producers.push(tokio::spawn(Arc::clone(&world).produce(topic, partition)));
            }
            tokio::spawn(Arc::clone(&world).follow(topic));
        }
        tokio::spawn(Arc::clone(&world).reread(chance.clone()));
        tokio::spawn(Arc::clone(&world).churn());
        world.start_groups(chance);
        tokio::spawn(Arc::clone(&world).change(chance.clone()));
        drop(inside);
        Self { world, producers: Mutex::new(producers), runtime }
    }

    /// What went wrong so far.
    pub fn faults(&self) -> Vec<String> {
        self.world.faults.lock().expect("nobody panics here").clone()
    }

    /// Stops producing and waits until all that was sent is acknowledged.
    pub fn stop(&self) {
        self.world.stop.store(true, Ordering::SeqCst);
        for producer in self.producers.lock().expect("nobody panics here").drain(..) {
            self.runtime.block_on(producer).expect("no panic");
        }
    }

    /// Reads every partition from its start to its end.
    pub fn verify(&self) {
        for topic in 0..TOPICS.len() {
            for partition in 0..PARTITIONS {
                let checked = self.runtime.block_on(self.world.read_whole(topic, partition));
                self.world.note(checked.map(|_| ()));
            }
        }
        let committed = self.runtime.block_on(self.world.verify_groups());
        self.world.note(committed);
    }

    /// How much there was.
    pub fn summary(&self) -> String {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let World { produced, consumed, churned, .. } = &*self.world;
        format!(
            "{} records acknowledged, {} read and compared, {} in groups, {} topics made and deleted",
            count(produced),
            count(consumed),
            self.world.groups.read(),
            count(churned)
        )
    }
}

impl World {
    pub(super) fn note(&self, result: Result<(), String>) {
        if let Err(fault) = result {
            println!("soak: fault: {fault}");
            self.faults.lock().expect("nobody panics here").push(fault);
        }
    }

    pub(super) fn stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    async fn create(&self) -> Result<(), ClientError> {
        let topics = TOPICS.map(|(name, durability, ..)| {
            topic(name, durability, &[("retention.bytes", "8388608")])
        });
        for made in self.admin.create_topics(&topics, false).await? {
            made.result?;
        }
        Ok(())
    }

    /// Produces into one partition at a steady rate.
    async fn produce(self: Arc<Self>, topic: usize, partition: i32) {
        let (name, _, compression, idempotent) = TOPICS[topic];
        let acks = if idempotent { Acks::All } else { Acks::Leader };
        let options = ProducerOptions::default()
            .acks(acks)
            .idempotent(idempotent)
            .compression(compression)
            .delivery_timeout(Duration::from_secs(300));
        let producer = Producer::start(&self.cluster, options).unwrap();
        let (sent, deliveries) = mpsc::channel(UNACKED);
        let acknowledging =
            tokio::spawn(Arc::clone(&self).acknowledge(topic, partition, deliveries));
        let mut ticks = tokio::time::interval(Duration::from_millis(1000 / BUNCHES));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut n, mut due) = (0, 0);
        let truth = &self.topics[topic].partitions[partition as usize];
        while !self.stopped() {
            ticks.tick().await;
            due += self.rate;
            while due >= BUNCHES {
                due -= BUNCHES;
                let value = truth.value(n);
                let record = ProducerRecord {
                    partition: Some(partition),
                    timestamp: Some(now_ms()),
                    ..ProducerRecord::new(name, &value)
                };
                match producer.enqueue(record).await {
                    Ok(delivery) => _ = sent.send((n, delivery)).await,
                    // the node is away, and the topic was never heard of
                    Err(error) if error.is_retriable() => break,
                    Err(error) => return self.note(Err(format!("{name}-{partition}: {error}"))),
                }
                n += 1;
            }
        }
        drop(sent);
        producer.flush().await;
        acknowledging.await.expect("no panic");
    }

    async fn acknowledge(
        self: Arc<Self>,
        topic: usize,
        partition: i32,
        mut deliveries: mpsc::Receiver<(i64, Delivery)>,
    ) {
        let TopicTruth { name, partitions } = &self.topics[topic];
        while let Some((n, delivery)) = deliveries.recv().await {
            let acked = match delivery.await {
                Ok(delivered) => {
                    self.produced.fetch_add(1, Ordering::Relaxed);
                    partitions[partition as usize].acknowledge(n, delivered.offset)
                }
                Err(error) => Err(format!("record {n} was not delivered: {error}")),
            };
            self.note(acked.map_err(|fault| format!("{name}-{partition}: {fault}")));
        }
    }

    /// Reads a topic from its start for as long as the load runs.
    async fn follow(self: Arc<Self>, topic: usize) {
        let name = TOPICS[topic].0;
        let from = |partition| Assignment::new(name, partition, Start::Earliest);
        let options = ConsumerOptions::default().reset(Reset::Earliest);
        let mut consumer =
            Consumer::start(&self.cluster, options, (0..PARTITIONS).map(from).collect()).unwrap();
        let mut next = [0; PARTITIONS as usize];
        while !self.stopped() {
            match next_record(&mut consumer).await {
                Some(Ok(record)) => {
                    let next = &mut next[record.partition as usize];
                    let checked = self.check(topic, &record, next).await;
                    self.note(checked);
                }
                ended => return self.note(Err(format!("the reader of {name} ended: {ended:?}"))),
            }
        }
    }

    /// Holds a record against the truth, and its offset against the one before.
    async fn check(
        &self,
        topic: usize,
        record: &ConsumerRecord,
        next: &mut i64,
    ) -> Result<(), String> {
        let TopicTruth { name, partitions } = &self.topics[topic];
        let (partition, offset) = (record.partition, record.offset);
        let place = || format!("{name}-{partition}");
        if offset > *next {
            // what lies between must have been deleted
            let start = self.offset(name, partition, OffsetSpec::Earliest).await?;
            if start < offset {
                return Err(format!("{}: {offset} after {next}, it starts at {start}", place()));
            }
        } else if offset < *next {
            return Err(format!("{}: {offset} came again, expected {next}", place()));
        }
        *next = offset + 1;
        self.consumed.fetch_add(1, Ordering::Relaxed);
        let value = record.value.as_deref().unwrap_or_default();
        partitions[partition as usize].check(offset, value).map_err(|e| format!("{}: {e}", place()))
    }

    async fn offset(&self, name: &str, partition: i32, spec: OffsetSpec) -> Result<i64, String> {
        let mut last = String::new();
        for _ in 0..30 {
            let question = OffsetQuestion::new(name, partition, spec);
            match self.admin.list_offsets(Isolation::ReadUncommitted, vec![question]).await {
                Ok(answers) => match answers.into_iter().next().map(|answer| answer.offset) {
                    Some(Ok(offset)) => return Ok(offset.unwrap_or(-1)),
                    other => last = format!("{other:?}"),
                },
                Err(error) => last = error.to_string(),
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        Err(format!("{name}-{partition}: no offset for {spec:?}: {last}"))
    }

    /// Reads a partition from its start to its end; how many records there were.
    async fn read_whole(&self, topic: usize, partition: i32) -> Result<i64, String> {
        let TopicTruth { name, partitions } = &self.topics[topic];
        let acked = partitions[partition as usize].acked.load(Ordering::SeqCst);
        let start = self.offset(name, partition, OffsetSpec::Earliest).await?;
        let end = self.offset(name, partition, OffsetSpec::Latest).await?;
        if end < acked {
            return Err(format!("{name}-{partition} ends at {end}, {acked} were acknowledged"));
        }
        let read = self.read(topic, partition, Start::Offset(start), Some(end), i64::MAX).await?;
        match read {
            Some((_, last)) if last + 1 != end => {
                Err(format!("{name}-{partition}: reading ended at {last}, the log at {end}"))
            }
            None if start < end
                && self.offset(name, partition, OffsetSpec::Earliest).await? < end =>
            {
                Err(format!("{name}-{partition}: nothing came from {start} to {end}"))
            }
            _ => Ok(end - start),
        }
    }

    /// Reads up to `count` records; the first and the last offset.
    async fn read(
        &self,
        topic: usize,
        partition: i32,
        start: Start,
        end: Option<i64>,
        count: i64,
    ) -> Result<Option<(ConsumerRecord, i64)>, String> {
        let name = TOPICS[topic].0;
        let from = Assignment::new(name, partition, start).end(end);
        let options = ConsumerOptions::default().reset(Reset::Earliest);
        let mut consumer = Consumer::start(&self.cluster, options, vec![from]).unwrap();
        let mut read: Option<(ConsumerRecord, i64)> = None;
        let mut next = 0;
        for _ in 0..count {
            let record = match next_record(&mut consumer).await {
                Some(Ok(record)) => record,
                Some(Err(error)) => return Err(format!("reading {name}-{partition}: {error}")),
                None => break,
            };
            if read.is_none() {
                next = record.offset;
            }
            self.check(topic, &record, &mut next).await?;
            let offset = record.offset;
            read = Some((read.map_or(record, |(first, _)| first), offset));
        }
        Ok(read)
    }

    /// Reads again and again: a whole partition, then another from some moment on.
    async fn reread(self: Arc<Self>, mut chance: Chance) {
        while !self.stopped() {
            tokio::time::sleep(Duration::from_millis(1000 + chance.below(5000))).await;
            let topic = chance.below(TOPICS.len() as u64) as usize;
            let partition = chance.below(PARTITIONS as u64) as i32;
            let whole = self.read_whole(topic, partition).await;
            self.note(whole.map(|_| ()));
            let at = now_ms() - 1000 - chance.below(40_000) as i64;
            let by_time = self.read_from_time(topic, partition, at).await;
            self.note(by_time);
        }
    }

    async fn read_from_time(&self, topic: usize, partition: i32, at: i64) -> Result<(), String> {
        let name = TOPICS[topic].0;
        let found = self.offset(name, partition, OffsetSpec::Time(at)).await?;
        if found < 0 {
            return Ok(()); // nothing was written since
        }
        let start = Start::Offset(
            (found - 1).max(self.offset(name, partition, OffsetSpec::Earliest).await?),
        );
        let Some((before, _)) = self.read(topic, partition, start, None, 1).await? else {
            return Ok(());
        };
        if before.offset == found - 1 && before.timestamp >= at {
            let (offset, time) = (before.offset, before.timestamp);
            return Err(format!("{name}-{partition}: {offset} at {time} is missed from {at} on"));
        }
        match self.read(topic, partition, Start::Offset(found), None, 1).await? {
            Some((first, _)) if first.timestamp < at => {
                let (offset, time) = (first.offset, first.timestamp);
                Err(format!("{name}-{partition}: {offset} is of {time}, asked from {at} on"))
            }
            _ => Ok(()),
        }
    }

    /// Makes a topic, uses and deletes it, again and again.
    async fn churn(self: Arc<Self>) {
        // else it would bring back topics that were deleted, when it asks about all that it knows
        let options = ProducerOptions::default().allow_topic_creation(false);
        let producer = Producer::start(&self.cluster, options).unwrap();
        for number in 0.. {
            if self.stopped() {
                return;
            }
            let name = format!("churned-{number}");
            let churned = self.churn_one(&producer, &name).await;
            self.note(churned.map_err(|error| format!("{name}: {error}")));
            self.churned.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
    }

    async fn churn_one(&self, producer: &Producer, name: &str) -> Result<(), ClientError> {
        let topic = topic(name, "page-cache", &[]);
        patiently(ErrorCode::TopicAlreadyExists, || async {
            let made = self.admin.create_topics(std::slice::from_ref(&topic), false).await?;
            made.into_iter().try_for_each(|made| made.result.map(|_| ()))
        })
        .await?;
        let mut deliveries = Vec::new();
        for n in 0..50_u32 {
            deliveries.push(producer.enqueue(ProducerRecord::new(name, &n.to_be_bytes())).await?);
        }
        for delivery in deliveries {
            delivery.await.map_err(|failed| failed.error)?;
        }
        patiently(ErrorCode::UnknownTopicOrPartition, || async {
            let deleted = self.admin.delete_topics(&[name.into()]).await?;
            deleted.into_iter().try_for_each(|deleted| deleted.result)
        })
        .await
    }

    /// Changes settings and deletes records, again and again.
    async fn change(self: Arc<Self>, mut chance: Chance) {
        while !self.stopped() {
            tokio::time::sleep(Duration::from_millis(1000 + chance.below(4000))).await;
            let name = TOPICS[chance.below(TOPICS.len() as u64) as usize].0;
            let bytes = (4 + chance.below(5)) << 20;
            let change = ConfigChange::set("retention.bytes", bytes.to_string());
            let changes = [(Resource::Topic(name.into()), vec![change])];
            let changed = patiently(ErrorCode::None, || async {
                let altered = self.admin.alter_configs(&changes, false).await?;
                altered.into_iter().try_for_each(|altered| altered.result)
            });
            self.note(changed.await.map_err(|error| format!("changing {name}: {error}")));
            let trimmed = self.trim(&mut chance).await;
            self.note(trimmed.map_err(|error| format!("trimming: {error}")));
        }
    }

    async fn trim(&self, chance: &mut Chance) -> Result<(), ClientError> {
        let topic = self.topics.iter().find(|topic| topic.name == TRIMMED).expect("it is there");
        for (truth, partition) in topic.partitions.iter().zip(0..) {
            let keep = 500 + chance.below(3000) as i64;
            let offset = truth.acked.load(Ordering::SeqCst) - keep;
            if offset < 0 {
                continue;
            }
            let before = RecordsBefore::new(TRIMMED, partition, offset);
            // below the log start already, as retention was faster
            patiently(ErrorCode::OffsetOutOfRange, || async {
                let outcomes = self.admin.delete_records(std::slice::from_ref(&before)).await?;
                outcomes.into_iter().try_for_each(|outcome| outcome.result.map(|_| ()))
            })
            .await?;
        }
        Ok(())
    }
}

fn topic(name: &str, durability: &str, configs: &[(&str, &str)]) -> NewTopic {
    let durability = [("durability", durability)];
    let configs = configs.iter().chain(&durability);
    NewTopic::new(name)
        .partitions(PARTITIONS)
        .configs(configs.map(|(name, value)| ((*name).into(), (*value).into())).collect())
}

/// Tries through restarts of the node; `done` is what a second attempt is told when the first was done.
async fn patiently<F: Future<Output = Result<(), ClientError>>>(
    done: ErrorCode,
    mut attempt: impl FnMut() -> F,
) -> Result<(), ClientError> {
    let began = tokio::time::Instant::now();
    loop {
        match attempt().await {
            Err(error) if error.code() == Some(done) => return Ok(()),
            Err(error) if error.is_retriable() && began.elapsed() < Duration::from_secs(60) => {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            other => return other,
        }
    }
}

async fn next_record(consumer: &mut Consumer) -> Option<Result<ConsumerRecord, ClientError>> {
    poll_fn(|context| Pin::new(&mut *consumer).poll_next(context)).await
}

fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    now.as_millis() as i64
}
