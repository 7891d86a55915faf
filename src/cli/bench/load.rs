//! The records that are sent, and the loop that sends them: nothing is allocated per record, and at a
//! fixed rate this thread sleeps until the next one is due.

use std::time::Duration;

use clap::Args;
use duramen_client::cluster::Cluster;
use duramen_client::producer::{Acks, Compression, Producer, ProducerOptions, ProducerRecord};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::tally::Tally;
use super::timetable::Timetable;
use crate::cli::connect::{bytes, duration};
use crate::cli::exit::{Exit, Failure};
use crate::cli::produce::{acks, codec};
use crate::cli::progress::Progress;

/// How the records are and how they are sent.
#[derive(Debug, Clone, Args)]
pub(super) struct LoadArgs {
    /// Bytes of a record's value
    #[arg(short, long, value_name = "SIZE", default_value = "1000", value_parser = bytes)]
    pub(super) size: usize,
    /// How batches are compressed: none, gzip, snappy, lz4 or zstd
    #[arg(short = 'z', long, value_name = "CODEC", default_value = "none", value_parser = codec)]
    pub(super) compression: Compression,
    /// Who must have a record before it counts as delivered: all, 1 (the leader) or 0 (nobody)
    #[arg(short, long, default_value = "all", value_parser = acks)]
    pub(super) acks: Acks,
    /// Bytes of a batch before compression
    #[arg(long, value_name = "SIZE", default_value = "64k", value_parser = bytes)]
    pub(super) batch_size: usize,
    /// Bytes of a request
    #[arg(long, value_name = "SIZE", default_value = "256k", value_parser = bytes)]
    pub(super) request_size: usize,
    /// Bytes that may wait for delivery
    #[arg(long, value_name = "SIZE", default_value = "8m", value_parser = bytes)]
    pub(super) buffer: usize,
    /// Requests on their way to one broker
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(super) in_flight: usize,
}

impl LoadArgs {
    /// A producer for these records.
    pub(super) fn producer(
        &self,
        cluster: &Cluster,
        timeout: Duration,
        linger: Duration,
    ) -> Result<Producer, Failure> {
        let options = ProducerOptions::default()
            .acks(self.acks)
            // Either can be measured, and does without.
            .idempotent(self.acks == Acks::All && self.in_flight <= 5)
            .compression(self.compression)
            .linger(linger)
            .batch_bytes(self.batch_size.max(1))
            .request_bytes(self.request_size.max(self.batch_size))
            .buffer_bytes(self.buffer.max(4 * self.batch_size).max(2 * self.size))
            .max_in_flight(self.in_flight.max(1))
            .request_timeout(timeout)
            .allow_topic_creation(false);
        Ok(Producer::start(cluster, options)?)
    }

    /// What was sent and how, as the result tells it.
    pub(super) fn json(&self, linger: Duration) -> Value {
        json!({
            "size": self.size,
            "compression": self.compression.name(),
            "acks": self.acks.code(),
            "linger_ms": linger.as_secs_f64() * 1e3,
            "batch_bytes": self.batch_size,
        })
    }
}

/// When a run ends.
#[derive(Debug, Clone, Args)]
pub(super) struct Ends {
    /// Stop after so long
    #[arg(short, long, value_name = "DURATION", value_parser = duration)]
    pub(super) duration: Option<Duration>,
    /// Stop after so many records
    #[arg(short = 'n', long, value_name = "N")]
    pub(super) records: Option<u64>,
}

/// When a load without an end given stops.
const DEFAULT_DURATION: Duration = Duration::from_secs(10);

impl Ends {
    /// The time after which nothing more is sent.
    pub(super) fn time(&self) -> Duration {
        match (self.duration, self.records) {
            (Some(duration), _) => duration,
            (None, Some(_)) => Duration::MAX,
            (None, None) => DEFAULT_DURATION,
        }
    }

    /// The number of records after which nothing more is sent.
    pub(super) fn count(&self) -> u64 {
        self.records.unwrap_or(u64::MAX)
    }
}

/// Values of random capital letters, as Kafka's own tool sends them: slices of one block of memory,
/// which does not repeat within a batch.
#[derive(Debug)]
pub(super) struct Payload {
    block: Vec<u8>,
    size: usize,
    at: usize,
}

const BLOCK_BYTES: usize = 1 << 20;

/// Bytes at the front of a value that [`Payload::stamped`] writes.
pub(super) const STAMP_BYTES: usize = 16;

impl Payload {
    pub(super) fn new(size: usize) -> Self {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let letter = |_| {
            // xorshift64: any even spread will do
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            b'A' + u8::try_from(state % 26).unwrap_or(0)
        };
        let length = BLOCK_BYTES.max(size.saturating_mul(2));
        Self { block: (0..length).map(letter).collect(), size, at: 0 }
    }

    /// The next value.
    pub(super) fn next(&mut self) -> &[u8] {
        self.turn();
        self.block.get(self.at..self.at + self.size).unwrap_or_default()
    }

    /// The next value, with two numbers at its front.
    pub(super) fn stamped(&mut self, run: u64, number: u64) -> &[u8] {
        self.turn();
        let Some(value) = self.block.get_mut(self.at..self.at + self.size) else { return &[] };
        let stamps = [run.to_be_bytes(), number.to_be_bytes()];
        value.iter_mut().zip(stamps.as_flattened()).for_each(|(to, from)| *to = *from);
        value
    }

    fn turn(&mut self) {
        self.at += self.size;
        if self.at + self.size > self.block.len() {
            self.at = 0;
        }
    }
}

/// A load on its way.
pub(super) struct Load<'a> {
    pub(super) producer: &'a Producer,
    pub(super) topic: &'a str,
    pub(super) payload: Payload,
    /// Written into each value, if given.
    pub(super) run: Option<u64>,
    pub(super) timetable: Option<Timetable>,
    pub(super) start: Instant,
}

/// Without a timetable, the clock is read once in so many records.
const UNTIMED: u64 = 64;

impl Load<'_> {
    /// Sends records until the end, and says how many.
    pub(super) async fn run(
        &mut self,
        count: u64,
        time: Duration,
        tally: &mut Tally,
        progress: &Progress,
    ) -> Result<u64, Failure> {
        let size = u64::try_from(self.payload.size).unwrap_or(u64::MAX);
        let mut sent = 0;
        let end = self.timetable.map_or(count, |table| match time {
            Duration::MAX => count,
            time => count.min(table.count_by(time).saturating_sub(1)),
        });
        while sent < end {
            let elapsed = self.start.elapsed();
            let goal = match self.timetable {
                Some(table) => table.count_by(elapsed).min(end),
                None if elapsed >= time => break,
                None => (sent + UNTIMED).min(end),
            };
            while sent < goal {
                self.send(sent, tally).await?;
                sent += 1;
            }
            progress.set(sent.saturating_mul(size), sent);
            if let Some(error) = &tally.first_failure {
                return Err(Failure::new(Exit::Delivery, format!("not delivered: {error}")));
            }
            if let Some(table) = self.timetable {
                // This thread serves nobody else, and its sleep is finer than the runtime's.
                std::thread::sleep(table.due(sent).saturating_sub(self.start.elapsed()));
            }
        }
        Ok(sent)
    }

    async fn send(&mut self, number: u64, tally: &mut Tally) -> Result<(), Failure> {
        let value = match self.run {
            Some(run) => self.payload.stamped(run, number),
            None => self.payload.next(),
        };
        let record = ProducerRecord::new(self.topic, value);
        let delivery = match self.producer.try_enqueue(&record)? {
            Some(delivery) => delivery,
            None => {
                // Half a buffer at a time, or each batch that is delivered would wake us.
                tally.drain_half().await;
                self.producer.enqueue(record).await?
            }
        };
        tally.sent(number, delivery);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_their_size_and_their_stamp() {
        let mut payload = Payload::new(100);
        let first = payload.next().to_vec();
        assert_eq!(first.len(), 100);
        assert!(first.iter().all(u8::is_ascii_uppercase));
        assert_ne!(payload.next(), first);
        let stamped = payload.stamped(7, 9);
        assert_eq!(stamped[..8], 7_u64.to_be_bytes());
        assert_eq!(stamped[8..16], 9_u64.to_be_bytes());
        let mut large = Payload::new(3 << 20);
        (0..3).for_each(|_| assert_eq!(large.next().len(), 3 << 20));
        assert_eq!(Payload::new(0).next(), b"");
        assert_eq!(Payload::new(4).stamped(1, 2).len(), 4);
    }
}
