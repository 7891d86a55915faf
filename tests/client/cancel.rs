//! Futures that are dropped at each point at which they wait: what was acknowledged is there once, and
//! what comes after works.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use duramen_client::admin::{NewTopic, OffsetQuestion, OffsetSpec, Resource};
use duramen_client::cluster::Topics;
use duramen_client::consumer::group::{GroupConsumer, GroupOptions, GroupProtocol};
use duramen_client::consumer::{Assignment, Consumer, ConsumerOptions, Event, Isolation, Start};
use duramen_client::producer::{Producer, ProducerOptions, ProducerRecord};
use duramen_client::replay::{Replay, ReplayRange};
use duramen_client::{Admin, ClusterOptions, ErrorCode, TopicPartition};

use crate::lab::{Lab, cluster, create, read_all};

/// Polls a future so many times and drops it then; its output if it had one by then.
struct Polled<F> {
    future: Pin<Box<F>>,
    left: usize,
}

impl<F: Future> Future for Polled<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.left -= 1;
        match self.future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if self.left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }
}

fn polled<F: Future>(left: usize, future: F) -> Polled<F> {
    Polled { future: Box::pin(future), left }
}

/// Drops a future made anew at its first wait, then at its second and so on, until it comes to its end.
async fn dropped_at_each_wait<F: Future>(mut make: impl FnMut() -> F) -> F::Output {
    for left in 1.. {
        if let Some(output) = polled(left, make()).await {
            return output;
        }
    }
    unreachable!()
}

pub async fn a_send_that_is_dropped_is_sent_whole_or_not_at_all(lab: Arc<Lab>) {
    create(&lab.cluster(), "dropped", 1, &[]).await;
    let (mut acknowledged, mut begun) = (BTreeSet::new(), 0);
    for round in 0..40 {
        // A producer that knows nothing yet, and a buffer that is soon full: more points to wait at.
        let cluster = cluster(&lab.node, ClusterOptions::default());
        let options = ProducerOptions::default().buffer_bytes(400);
        let producer = Producer::start(&cluster, options).unwrap();
        for left in 0..6 {
            let value = begun.to_string();
            begun += 1;
            let record = ProducerRecord::new("dropped", value.as_bytes());
            let sent = polled(left + round % 3, producer.send(record)).await;
            if let Some(delivered) = sent {
                delivered.unwrap();
                acknowledged.insert(value);
            }
        }
        let value = begun.to_string();
        begun += 1;
        // the buffer is not lost with those that were dropped
        producer.send(ProducerRecord::new("dropped", value.as_bytes())).await.unwrap();
        acknowledged.insert(value);
        producer.flush().await;
    }
    let written = read_all(&lab.cluster(), "dropped").await.remove(0);
    let once: BTreeSet<String> = written.iter().cloned().collect();
    assert_eq!(once.len(), written.len(), "one was written twice");
    assert!(once.is_superset(&acknowledged), "{:?}", acknowledged.difference(&once));
}

pub async fn every_other_future_can_be_dropped(lab: Arc<Lab>) {
    create(&lab.cluster(), "others", 1, &[]).await;
    let cluster = lab.cluster();
    let producer = Producer::start(&cluster, ProducerOptions::default()).unwrap();
    for number in 0..RECORDS {
        let value = number.to_string();
        let record = ProducerRecord::new("others", value.as_bytes());
        drop(producer.enqueue(record).await.unwrap());
    }
    dropped_at_each_wait(|| producer.flush()).await;
    let fresh = || crate::lab::cluster(&lab.node, ClusterOptions::default());
    for _ in 0..3 {
        // each on a cluster of its own, which has to connect first
        let cluster = fresh();
        dropped_at_each_wait(|| cluster.any()).await.unwrap();
        let cluster = fresh();
        dropped_at_each_wait(|| cluster.refresh(Topics::All)).await.unwrap();
        let cluster = fresh();
        let topic = dropped_at_each_wait(|| cluster.topic("others")).await.unwrap();
        let leader = topic.partitions[0].leader.unwrap();
        dropped_at_each_wait(|| cluster.broker(leader)).await.unwrap();
        dropped_at_each_wait(|| cluster.dedicated(leader)).await.unwrap();
        dropped_at_each_wait(|| cluster.controller()).await.unwrap();
        let admin = Admin::new(&cluster);
        dropped_at_each_wait(|| admin.list_topics()).await.unwrap();
        dropped_at_each_wait(|| admin.describe_cluster()).await.unwrap();
        let end = OffsetQuestion::new("others", 0, OffsetSpec::Latest);
        let asked = [end];
        let level = Isolation::ReadUncommitted;
        let ends =
            dropped_at_each_wait(|| admin.list_offsets(level, asked.to_vec())).await.unwrap();
        assert_eq!(*ends[0].offset.as_ref().unwrap(), Some(RECORDS));
    }
    // a consumer goes on where it was
    let all = Assignment::new("others", 0, Start::Offset(0)).end(RECORDS);
    let options = ConsumerOptions::default().fetch_bytes(300);
    let mut consumer = Consumer::start(&cluster, options, vec![all]).unwrap();
    let (mut values, mut scratch, mut left) = (Vec::new(), Vec::new(), 0);
    loop {
        left = (left + 1) % 3;
        match polled(left, consumer.next()).await {
            None => tokio::task::yield_now().await,
            Some(None) => break,
            Some(Some(event)) => {
                let Event::Records(fetched) = event.unwrap() else { panic!("it jumped") };
                let _ = fetched
                    .visit(&mut scratch, |_, record| {
                        values.push(String::from_utf8(record.value.unwrap().to_vec()).unwrap());
                        std::ops::ControlFlow::<()>::Continue(())
                    })
                    .unwrap();
            }
        }
    }
    assert_eq!(values, (0..RECORDS).map(|number| number.to_string()).collect::<Vec<_>>());
}

const RECORDS: i64 = 200;

/// Fills the only partition of a topic with numbers.
async fn filled(lab: &Lab, topic: &str) {
    create(&lab.cluster(), topic, 1, &[]).await;
    let producer = Producer::start(&lab.cluster(), ProducerOptions::default()).unwrap();
    for number in 0..RECORDS {
        let value = number.to_string();
        drop(producer.enqueue(ProducerRecord::new(topic, value.as_bytes())).await.unwrap());
    }
    producer.flush().await;
}

pub async fn admin_calls_can_be_dropped(lab: Arc<Lab>) {
    filled(&lab, "asked").await;
    let (topics, places) = (["asked".into()], [TopicPartition::new("asked", 0)]);
    let groups = ["nobody".into()];
    // each on a cluster of its own, which has to connect first
    macro_rules! dropped {
        ($admin:ident => $call:expr) => {{
            let cluster = cluster(&lab.node, ClusterOptions::default());
            let $admin = Admin::new(&cluster);
            dropped_at_each_wait(|| $call).await.unwrap()
        }};
    }
    assert!(dropped!(admin => admin.describe_topics(&topics))[0].result.is_ok());
    assert!(dropped!(admin => admin.describe_partitions(&topics))[0].result.is_ok());
    assert!(dropped!(admin => admin.describe_producers(&places))[0].result.is_ok());
    let resources = [Resource::Topic("asked".into())];
    assert!(dropped!(admin => admin.describe_configs(&resources, false))[0].result.is_ok());
    assert!(dropped!(admin => admin.find_coordinators(&groups))[0].result.is_ok());
    dropped!(admin => admin.describe_features());
    dropped!(admin => admin.list_groups(&[], &[])).complete().unwrap();
    dropped!(admin => admin.describe_groups(&groups));
    dropped!(admin => admin.committed_offsets(&groups));
    // What changes something may have done so when it was dropped; the next call finds that.
    let made = [NewTopic::new("made").partitions(1)];
    let told = dropped!(admin => admin.create_topics(&made, false)).remove(0).result;
    assert!(told.is_ok() || told.unwrap_err().code() == Some(ErrorCode::TopicAlreadyExists));
    let gone = ["made".into()];
    let told = dropped!(admin => admin.delete_topics(&gone)).remove(0).result;
    assert!(told.is_ok() || told.unwrap_err().code() == Some(ErrorCode::UnknownTopicOrPartition));
}

pub async fn replays_and_members_can_be_dropped_while_they_wait(lab: Arc<Lab>) {
    filled(&lab, "again-and-again").await;
    let all: Vec<i64> = (0..RECORDS).collect();
    let range = ReplayRange::new("again-and-again", 0, 0, RECORDS);
    let mut replay = Replay::builder(&lab.cluster()).range(range).start().unwrap();
    let (mut offsets, mut left) = (Vec::new(), 0);
    loop {
        left = (left + 1) % 3;
        match polled(left, replay.next()).await {
            None => tokio::task::yield_now().await,
            Some(None) => break,
            Some(Some(record)) => offsets.push(record.unwrap().offset),
        }
    }
    assert_eq!(offsets, all);
    for protocol in [GroupProtocol::Classic, GroupProtocol::Consumer] {
        let group = format!("dropping-{protocol:?}");
        let options = GroupOptions::new(group.as_str()).protocol(protocol).auto_commit(None);
        let mut member = GroupConsumer::join(&lab.cluster(), options, "again-and-again").unwrap();
        let mut offsets = Vec::new();
        while offsets.len() < all.len() {
            left = (left + 1) % 3;
            match polled(left, member.poll(7, Duration::from_secs(1))).await {
                None => tokio::task::yield_now().await,
                Some(records) => offsets.extend(records.unwrap().iter().map(|it| it.offset)),
            }
        }
        assert_eq!(offsets, all);
        for left in 1.. {
            if let Some(committed) = polled(left, member.commit()).await {
                committed.unwrap();
                break;
            }
        }
        let there = Admin::new(&lab.cluster()).committed_offsets(&[group.into()]).await.unwrap();
        let there = there[0].result.as_ref().unwrap();
        assert_eq!(there[&TopicPartition::new("again-and-again", 0)].offset, RECORDS);
        member.close().await.unwrap();
    }
}
