//! The work by librdkafka, through the thinnest wrapper there is: no futures, one poll loop.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::util::Timeout;

use super::work::{Done, Failure, Load, Values, Work};

const PATIENCE: Duration = Duration::from_secs(60);
/// Calls between looks for answers.
const POLL_EACH: usize = 1_000;

pub fn run(brokers: &str, topic: &str, work: &Work) -> Result<Done, Failure> {
    match work {
        Work::Produce(load) => produce(brokers, topic, load),
        Work::Consume => consume(brokers, topic),
    }
}

/// Counts what was delivered.
#[derive(Default)]
struct Count {
    delivered: AtomicU64,
}

impl ClientContext for Count {}

impl ProducerContext for Count {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        self.delivered.fetch_add(u64::from(result.is_ok()), Ordering::Relaxed);
    }
}

fn produce(brokers: &str, topic: &str, load: &Load) -> Result<Done, Failure> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("compression.codec", &load.codec)
        .set("queue.buffering.max.messages", "1000000");
    if let Some(batch) = load.batch {
        config.set("batch.size", batch.to_string());
    }
    let producer: BaseProducer<Count> = config.create_with_context(Count::default())?;
    let mut values = Values::new(load.size);
    for number in 0..load.records {
        let mut record = BaseRecord::<(), [u8]>::to(topic).payload(values.next());
        loop {
            match producer.send(record) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    producer.poll(Duration::from_millis(1));
                    record = back;
                }
                Err((error, _)) => return Err(error.into()),
            }
        }
        if number % POLL_EACH == 0 {
            producer.poll(Duration::ZERO);
        }
    }
    producer.flush(Timeout::After(PATIENCE))?;
    let delivered = producer.context().delivered.load(Ordering::Relaxed);
    if delivered != u64::try_from(load.records)? {
        return Err(format!("{delivered} of {} were delivered", load.records).into());
    }
    Ok(Done { records: delivered, bytes: delivered * u64::try_from(load.size)? })
}

fn consume(brokers: &str, topic: &str) -> Result<Done, Failure> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "unused")
        .set("enable.auto.commit", "false")
        .create()?;
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE)?;
    let topics = metadata.topics().first().ok_or("no such topic")?;
    let (mut assignment, mut left) = (TopicPartitionList::new(), 0);
    for partition in topics.partitions() {
        let (start, end) = consumer.fetch_watermarks(topic, partition.id(), PATIENCE)?;
        assignment.add_partition_offset(topic, partition.id(), Offset::Beginning)?;
        left += end - start;
    }
    consumer.assign(&assignment)?;
    let mut done = Done::default();
    while left > 0 {
        let message = consumer.poll(PATIENCE).ok_or("no record for a minute")??;
        done.records += 1;
        done.bytes += u64::try_from(message.payload_len())?;
        left -= 1;
    }
    Ok(done)
}
