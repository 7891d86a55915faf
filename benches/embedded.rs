//! The broker inside this process: how long a start takes, how long one record and its answer take, and
//! how much goes through; without a socket and, for comparison, over loopback TCP.
//!
//! `cargo bench --bench embedded`; with `-- --quick` in a few seconds, with a word for one part (`start`).
#![allow(missing_docs, clippy::unwrap_used, reason = "a bench may panic, and has no readers")]
#![allow(clippy::disallowed_methods, clippy::panic, reason = "a bench measures by the real clock")]

use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use duramen::Broker;
use duramen_client::consumer::{Assignment, Consumer, ConsumerOptions, Event, Start};
use duramen_client::{Cluster, ClusterOptions, Producer, ProducerOptions, ProducerRecord};
use tokio::runtime::{Builder, Runtime};

/// Bytes of a record's value.
const RECORD: [u8; 1000] = [b'x'; 1000];
/// Records of one round of the throughput.
const RECORDS: usize = 50_000;

fn runtimes() -> [(&'static str, Runtime); 2] {
    let build = |mut builder: Builder| builder.enable_all().build().unwrap();
    [
        ("one thread", build(Builder::new_current_thread())),
        ("threads", build(Builder::new_multi_thread())),
    ]
}

/// Measures starts alone: what comes between them is not counted.
fn starts(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, start: impl AsyncFn() -> Broker) {
    for (kind, runtime) in runtimes() {
        group.bench_function(format!("{name}, {kind}"), |bencher| {
            bencher.iter_custom(|rounds| {
                runtime.block_on(async {
                    let mut spent = Duration::ZERO;
                    for _ in 0..rounds {
                        let began = Instant::now();
                        let broker = start().await;
                        spent += began.elapsed();
                        broker.stop().await;
                    }
                    spent
                })
            });
        });
    }
}

fn start(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("start");
    starts(&mut group, "temporary", async || Broker::builder().start().await.unwrap());
    let folder = tempfile::tempdir().unwrap();
    let fresh = async || {
        let own = tempfile::tempdir_in(folder.path()).unwrap().keep();
        Broker::builder().directory(own).start().await.unwrap()
    };
    starts(&mut group, "durable, new", fresh);
    let own = tempfile::tempdir().unwrap();
    let again = async || Broker::builder().directory(own.path()).start().await.unwrap();
    starts(&mut group, "durable, again", again);
    group.finish();
}

/// A broker and its clients: without a socket, and over loopback.
async fn broker() -> (Broker, [(&'static str, Cluster); 2]) {
    let broker = Broker::builder().listen("127.0.0.1:0").start().await.unwrap();
    let tcp = Cluster::new(&broker.bootstrap(), ClusterOptions::default()).unwrap();
    let clusters = [("in process", broker.client()), ("loopback", tcp)];
    (broker, clusters)
}

fn round_trip(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("round trip");
    for (kind, runtime) in runtimes() {
        let (broker, clusters) = runtime.block_on(broker());
        for (way, cluster) in clusters {
            let linger = Duration::ZERO;
            let options = ProducerOptions::default().linger(linger);
            let producer = runtime.block_on(async { Producer::start(&cluster, options).unwrap() });
            let send = async || {
                let record = ProducerRecord::new("orders", &RECORD);
                producer.send(ProducerRecord { partition: Some(0), ..record }).await.unwrap()
            };
            runtime.block_on(send());
            group.bench_function(format!("{way}, {kind}"), |bencher| {
                bencher.iter_custom(|rounds| {
                    runtime.block_on(async {
                        let began = Instant::now();
                        for _ in 0..rounds {
                            send().await;
                        }
                        began.elapsed()
                    })
                });
            });
        }
        runtime.block_on(broker.stop());
    }
    group.finish();
}

fn throughput(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("throughput");
    group.throughput(Throughput::Bytes((RECORDS * RECORD.len()) as u64)).sample_size(10);
    for (kind, runtime) in runtimes() {
        let (broker, clusters) = runtime.block_on(broker());
        for (way, cluster) in clusters {
            let topic = format!("{}-records", way.replace(' ', "-"));
            let producer = runtime
                .block_on(async { Producer::start(&cluster, ProducerOptions::default()).unwrap() });
            runtime.block_on(produce(&producer, &topic));
            group.bench_function(format!("produce, {way}, {kind}"), |bencher| {
                bencher.iter(|| runtime.block_on(produce(&producer, &topic)));
            });
            group.bench_function(format!("consume, {way}, {kind}"), |bencher| {
                bencher.iter(|| runtime.block_on(consume(&cluster, &topic)));
            });
        }
        runtime.block_on(broker.stop());
    }
    group.finish();
}

async fn produce(producer: &Producer, topic: &str) {
    let record = ProducerRecord { partition: Some(0), ..ProducerRecord::new(topic, &RECORD) };
    for _ in 0..RECORDS {
        if producer.try_enqueue(&record).unwrap().is_none() {
            drop(producer.enqueue(record).await.unwrap());
        }
    }
    producer.flush().await;
}

async fn consume(cluster: &Cluster, topic: &str) {
    let from = Assignment::new(topic, 0, Start::Earliest);
    let mut consumer = Consumer::start(cluster, ConsumerOptions::default(), vec![from]).unwrap();
    let mut seen = 0;
    while seen < RECORDS {
        let Some(Ok(Event::Records(fetched))) = consumer.next().await else { panic!("records") };
        seen +=
            fetched.batches().map(|it| usize::try_from(it.record_count()).unwrap()).sum::<usize>();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2))
        .sample_size(20);
    targets = start, round_trip, throughput
}
criterion_main!(benches);
