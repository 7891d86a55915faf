//! The work by duramen-client. tests/embedded builds this too, and has it work: nothing else in CI does.

use std::future::Future;
use std::ops::ControlFlow;

use duramen_client::admin::{OffsetQuestion, OffsetSpec};
use duramen_client::consumer::{Assignment, Event, Isolation, Start};
use duramen_client::producer::Compression;
use duramen_client::{
    Admin, Cluster, ClusterOptions, Consumer, ConsumerOptions, Producer, ProducerOptions,
    ProducerRecord,
};
use tokio::runtime::Builder;

use super::work::{Done, Failure, Load, Values, Work};

/// On `threads` worker threads; 0 is this thread alone.
pub fn run(brokers: &str, topic: &str, work: &Work, threads: usize) -> Result<Done, Failure> {
    let mut builder = match threads {
        0 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    if threads > 0 {
        builder.worker_threads(threads);
    }
    let runtime = builder.enable_all().build()?;
    let cluster = Cluster::new(brokers, ClusterOptions::default())?;
    let work: std::pin::Pin<Box<dyn Future<Output = _>>> = match work {
        Work::Produce(load) => Box::pin(produce(cluster, topic, load)),
        Work::Consume => Box::pin(consume(cluster, topic)),
    };
    runtime.block_on(work)
}

async fn produce(cluster: Cluster, topic: &str, load: &Load) -> Result<Done, Failure> {
    let compression = Compression::from_name(&load.codec).ok_or("no such codec")?;
    let mut options = ProducerOptions::default().compression(compression);
    if let Some(batch) = load.batch {
        options = options.batch_bytes(batch);
    }
    let producer = Producer::start(&cluster, options)?;
    let mut values = Values::new(load.size);
    for _ in 0..load.records {
        let record = ProducerRecord::new(topic, values.next());
        if producer.try_enqueue(&record)?.is_none() {
            drop(producer.enqueue(record).await?);
        }
    }
    producer.flush().await;
    let delivered = cluster.metrics().records_delivered;
    if delivered != u64::try_from(load.records)? {
        return Err(format!("{delivered} of {} were delivered", load.records).into());
    }
    Ok(Done { records: delivered, bytes: delivered * u64::try_from(load.size)? })
}

async fn consume(cluster: Cluster, topic: &str) -> Result<Done, Failure> {
    let count = cluster.topic(topic).await?.partitions.len();
    let questions: Vec<OffsetQuestion> = (0..i32::try_from(count)?)
        .map(|partition| OffsetQuestion::new(topic, partition, OffsetSpec::Latest))
        .collect();
    let answers = Admin::new(&cluster).list_offsets(Isolation::ReadUncommitted, questions).await?;
    let mut assignments = Vec::new();
    for answer in answers {
        let end = answer.offset?;
        assignments
            .push(Assignment::new(topic, answer.question.partition, Start::Offset(0)).end(end));
    }
    let mut consumer = Consumer::start(&cluster, ConsumerOptions::default(), assignments)?;
    let (mut done, mut scratch) = (Done::default(), Vec::new());
    while let Some(event) = consumer.next().await {
        let Event::Records(fetched) = event? else { continue };
        let _ = fetched.visit(&mut scratch, |_, record| {
            done.records += 1;
            done.bytes += record.value.map_or(0, |value| value.len() as u64);
            ControlFlow::<()>::Continue(())
        })?;
    }
    Ok(done)
}
