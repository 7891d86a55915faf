//! Clients that reach the broker without a socket.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::time::Duration;

use duramen::Broker;
use duramen_client::cluster::Topics;
use duramen_client::consumer::group::{GroupConsumer, GroupEvent, GroupOptions};
use duramen_client::transport::{Address, Target};
use duramen_client::{Admin, Cluster};
use duramen_protocol::messages::fetch::{FetchPartition, FetchRequest, FetchTopic};
use duramen_protocol::messages::metadata::{MetadataRequest, MetadataRequestTopic};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

use crate::lab::{eventually, on_each, producer, read, write};

#[test]
fn whatever_address_is_asked_for_it_is_this_broker() {
    on_each(async || {
        let broker = Broker::builder().start().await.unwrap();
        let cluster = broker.client();
        write(&cluster, "orders", &["apple"]).await;
        let described = Admin::new(&cluster).describe_cluster().await.unwrap();
        assert_eq!(described.brokers.len(), 1);
        assert_eq!(described.brokers[0].address.to_string(), "in-process:9092");
        assert_eq!(described.cluster_id.as_str(), broker.cluster_id());
        let options = duramen_client::ClusterOptions::default().connector(broker.connector());
        let elsewhere = Cluster::new("kafka.example:19092", options).unwrap();
        assert_eq!(read(&elsewhere, "orders", 1).await, ["apple"]);
        broker.stop().await;
    });
}

#[test]
fn a_fetch_that_waits_is_answered_when_the_broker_stops() {
    on_each(async || {
        let broker = Broker::builder().start().await.unwrap();
        let cluster = broker.client();
        write(&cluster, "orders", &["apple"]).await;
        let connection = cluster.any().await.unwrap();
        let topic = cluster.topic("orders").await.unwrap();
        let partition =
            FetchPartition { partition: 0, fetch_offset: 1, ..FetchPartition::default() };
        let request = FetchRequest {
            max_wait_ms: 50_000,
            min_bytes: 1,
            max_bytes: 1 << 20,
            topics: vec![FetchTopic {
                topic: topic.name.clone(),
                topic_id: topic.id,
                partitions: vec![FetchPartition { partition_max_bytes: 1 << 20, ..partition }],
            }],
            ..FetchRequest::default()
        };
        // Requests of a connection are served in their order, and the answers wait for each other: the
        // fetch is there when others see what was asked for behind it.
        let request_behind = made_if_missing("behind");
        let mut waiting = std::pin::pin!(connection.call(&request));
        let mut behind = std::pin::pin!(connection.call(&request_behind));
        let watcher = broker.client();
        tokio::select! {
            biased;
            answer = &mut waiting => panic!("nothing came to be read: {answer:?}"),
            _ = &mut behind => panic!("answered before what was asked first"),
            () = eventually("the topic is there", async || {
                watcher.refresh(Topics::All).await.unwrap().topic("behind").is_some()
            }) => {}
        }
        let (answer, created, ()) = tokio::join!(waiting, behind, broker.stop());
        assert!(created.is_ok());
        let answer = answer.unwrap();
        assert_eq!(answer.responses[0].partitions[0].error_code, 0);
        assert!(connection.ended().is_some() || connection.closed().await.to_string() != "");
    });
}

/// Asks for a topic's metadata, which makes the topic.
fn made_if_missing(topic: &str) -> MetadataRequest {
    let asked =
        MetadataRequestTopic { name: Some(topic.into()), ..MetadataRequestTopic::default() };
    MetadataRequest {
        topics: Some(vec![asked]),
        allow_auto_topic_creation: true,
        ..MetadataRequest::default()
    }
}

#[test]
fn members_of_a_group_share_a_topic_and_remember_how_far_they_came() {
    on_each(async || {
        let folder = tempfile::tempdir().unwrap();
        let builder = Broker::builder()
            .directory(folder.path())
            .default_partitions(4)
            .initial_rebalance_delay(Duration::ZERO)
            .set("group.consumer.min.heartbeat.interval.ms", "100")
            .set("group.consumer.heartbeat.interval.ms", "100");
        let broker = builder.clone().start().await.unwrap();
        send_numbers(&broker.client(), 0..100).await;
        let seen = read_as_two(&broker.client(), 100).await;
        assert_eq!(seen, (0..100).collect());
        broker.stop().await;
        let broker = builder.start().await.unwrap();
        send_numbers(&broker.client(), 100..110).await;
        let seen = read_as_two(&broker.client(), 10).await;
        assert_eq!(seen, (100..110).collect(), "the group goes on where it was");
        broker.stop().await;
    });
}

async fn send_numbers(cluster: &Cluster, numbers: std::ops::Range<u32>) {
    let producer = producer(cluster);
    for number in numbers {
        let (key, value) = (number.to_string(), number.to_string());
        let record = duramen_client::ProducerRecord::new("orders", value.as_bytes());
        producer.send(record.with_key(key.as_bytes())).await.unwrap();
    }
}

/// Reads so many records with two members, each of which works at what it gets.
async fn read_as_two(cluster: &Cluster, count: usize) -> BTreeSet<u32> {
    let join =
        || GroupConsumer::join(cluster, GroupOptions::new("readers"), &["orders".into()]).unwrap();
    let (mut one, mut two) = (join(), join());
    let mut seen = BTreeSet::new();
    while seen.len() < count {
        let event = tokio::select! {
            event = one.next() => event,
            event = two.next() => event,
        };
        if let GroupEvent::Records(fetched) = event.expect("no end").expect("no error") {
            let visited = fetched.visit::<()>(&mut Vec::new(), |_, record| {
                let text = std::str::from_utf8(record.value.unwrap()).unwrap();
                seen.insert(text.parse().unwrap());
                ControlFlow::Continue(())
            });
            assert!(visited.is_ok());
        }
    }
    one.close().await.unwrap();
    two.close().await.unwrap();
    seen
}

/// An ApiVersions request of version 0.
const REQUEST: [u8; 14] = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff];

/// So many of them at once.
const BURST: usize = 1000;

#[test]
fn a_client_that_takes_no_answers_is_held_back_and_loses_none() {
    on_each(async || {
        let builder = Broker::builder().set("connection.max.inflight.bytes", "1048576");
        let broker = builder.start().await.unwrap();
        let target = Target::new(Address::new("x", 1));
        let stream = broker.connector().connect(target).await.unwrap();
        let (mut answers, mut requests) = tokio::io::split(stream);
        let (written, seen) = tokio::sync::watch::channel(0);
        let (burst, mut asked) = (REQUEST.repeat(BURST), 0);
        let writing = tokio::spawn(async move {
            while asked < 40 * BURST {
                requests.write_all(&burst).await.unwrap();
                asked += BURST;
                written.send_replace(asked);
            }
        });
        // It stands still when all that may be in flight is.
        let mut before = 0;
        eventually("the client is held back", async || {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let now = *seen.borrow();
            let stands = now > 0 && now == before;
            before = now;
            stands
        })
        .await;
        assert!(before < 30 * BURST, "nothing held it back");
        for _ in 0..40 * BURST {
            assert_eq!(answer(&mut answers).await, 7);
        }
        writing.await.unwrap();
        broker.stop().await;
    });
}

/// The correlation id of the next answer.
async fn answer(stream: &mut (impl AsyncRead + Unpin)) -> i32 {
    let length = usize::try_from(stream.read_u32().await.unwrap()).unwrap();
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    i32::from_be_bytes(body[..4].try_into().unwrap())
}
