//! How a producer behaves, and what it is given to send.

use std::collections::BTreeMap;
use std::time::Duration;

use duramen_protocol::records::Compression;
use duramen_protocol::records::HeaderView;
use duramen_protocol::text::Text;

use super::partitioner::Partitioner;
use super::queue::MAX_IN_FLIGHT;
use crate::error::{ClientError, at_least, not_zero, wrong};
use crate::setters::setters;

const MAX_IN_FLIGHT_NAME: &str = "max_in_flight (max.in.flight.requests.per.connection)";
const MILLISECOND: Duration = Duration::from_millis(1);

/// Who must have a batch before it counts as delivered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Acks {
    /// All in-sync replicas. Needed for idempotence.
    #[default]
    All,
    /// The leader.
    Leader,
    /// Nobody: records may be lost without a sign, and offsets are not known.
    None,
}

impl Acks {
    /// The number on the wire.
    #[must_use]
    pub fn code(self) -> i16 {
        match self {
            Self::All => -1,
            Self::Leader => 1,
            Self::None => 0,
        }
    }
}

/// A producer id that outlives the producer: another one goes on where this one stopped.
///
/// The broker takes a batch of it only when its sequence follows the last one in the log, so whoever
/// numbers the same records the same way can send them again, from any process, without writing one
/// twice. For that the epoch never rises by itself here: a sequence that does not follow fails the
/// batch, and everything behind it in that partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Identity {
    /// The producer id, from [`new_identity`](super::new_identity).
    pub id: i64,
    /// Its epoch.
    pub epoch: i16,
    /// The sequence number of the next record by topic and partition; 0 where nothing stands.
    pub next: BTreeMap<(Text, i32), i32>,
}

impl Identity {
    /// A producer id and its epoch, with nothing written yet.
    #[must_use]
    pub fn new(id: i64, epoch: i16) -> Self {
        Self { id, epoch, next: BTreeMap::new() }
    }
}

setters! { Identity { next: BTreeMap<(Text, i32), i32> } }

/// How a producer behaves; the defaults are Kafka's unless said otherwise.
///
/// ```
/// use duramen_client::producer::{Compression, ProducerOptions};
/// use std::time::Duration;
///
/// let options = ProducerOptions::default()
///     .compression(Compression::Lz4)
///     .linger(Duration::from_millis(20))
///     .batch_bytes(256 * 1024);
/// assert_eq!(options.max_in_flight, 5);
/// assert!(options.max_in_flight(6).check().is_err(), "too many to keep their order");
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ProducerOptions {
    /// Who must have a batch (`acks`).
    pub acks: Acks,
    /// Each record is written once and in order, also over retries (`enable.idempotence`); only with
    /// [`Acks::All`].
    pub idempotent: bool,
    /// The identity to write under; `None` asks the cluster for one of this producer's own. Only with
    /// idempotence.
    pub identity: Option<Identity>,
    /// Where records go that do not name their partition (`partitioner.class`).
    pub partitioner: Partitioner,
    /// Codec of the batches (`compression.type`).
    pub compression: Compression,
    /// Level of the codec; `None` is its default.
    pub compression_level: Option<i32>,
    /// How long a batch waits for more records (`linger.ms`).
    pub linger: Duration,
    /// Bytes of a batch before compression (`batch.size`); 64 KiB here.
    pub batch_bytes: usize,
    /// Bytes of a request, over all its partitions (`max.request.size`); 256 KiB here, as brokers take
    /// frames that fit a core's cache at the least cost. One larger batch goes alone.
    pub request_bytes: usize,
    /// Bytes of records that may wait for delivery (`buffer.memory`); `send` waits beyond.
    pub buffer_bytes: usize,
    /// Requests in flight to one broker (`max.in.flight.requests.per.connection`).
    pub max_in_flight: usize,
    /// How long a broker may take to answer (`request.timeout.ms`).
    pub request_timeout: Duration,
    /// How long delivery is tried, from `send` on (`delivery.timeout.ms`).
    pub delivery_timeout: Duration,
    /// Let the broker make topics that are missing, if it does so at all.
    pub allow_topic_creation: bool,
}

impl Default for ProducerOptions {
    fn default() -> Self {
        Self {
            acks: Acks::All,
            idempotent: true,
            identity: None,
            partitioner: Partitioner::default(),
            compression: Compression::None,
            compression_level: None,
            linger: Duration::from_millis(5),
            batch_bytes: 64 * 1024,
            request_bytes: 256 * 1024,
            buffer_bytes: 32 * 1024 * 1024,
            max_in_flight: 5,
            request_timeout: Duration::from_secs(30),
            delivery_timeout: Duration::from_secs(120),
            allow_topic_creation: true,
        }
    }
}

setters! { ProducerOptions {
    acks: Acks,
    idempotent: bool,
    identity: impl Into<Option<Identity>>,
    partitioner: Partitioner,
    compression: Compression,
    compression_level: impl Into<Option<i32>>,
    linger: Duration,
    batch_bytes: usize,
    request_bytes: usize,
    buffer_bytes: usize,
    max_in_flight: usize,
    request_timeout: Duration,
    delivery_timeout: Duration,
    allow_topic_creation: bool,
} }

impl ProducerOptions {
    /// Whether these go together; [`Producer::start`](super::Producer::start) looks, too.
    ///
    /// # Errors
    /// [`ClientError::Options`] with the first that does not.
    pub fn check(&self) -> Result<(), ClientError> {
        not_zero("batch_bytes (batch.size)", self.batch_bytes)?;
        not_zero("request_bytes (max.request.size)", self.request_bytes)?;
        not_zero("buffer_bytes (buffer.memory)", self.buffer_bytes)?;
        not_zero(MAX_IN_FLIGHT_NAME, self.max_in_flight)?;
        at_least("request_timeout (request.timeout.ms)", self.request_timeout, MILLISECOND)?;
        at_least("delivery_timeout (delivery.timeout.ms)", self.delivery_timeout, MILLISECOND)?;
        if self.linger >= self.delivery_timeout {
            let (linger, delivery) = (self.linger, self.delivery_timeout);
            let words = format!("is {linger:?}; it must be below delivery_timeout, {delivery:?}");
            return Err(wrong("linger (linger.ms)", words));
        }
        self.check_idempotence()?;
        self.check_codec()
    }

    fn check_idempotence(&self) -> Result<(), ClientError> {
        const IDEMPOTENT: &str = "idempotent (enable.idempotence)";
        match (self.idempotent, self.acks) {
            (true, Acks::Leader | Acks::None) => {
                let words = "needs acks of all in-sync replicas (acks=all): leave acks as it is, or set \
                             idempotent(false), and records may be lost or doubled";
                Err(wrong(IDEMPOTENT, words))
            }
            (true, Acks::All) if self.max_in_flight > MAX_IN_FLIGHT => {
                let words = format!(
                    "is {}; with idempotence at most {MAX_IN_FLIGHT} keep their order: lower it, or set \
                     idempotent(false)",
                    self.max_in_flight
                );
                Err(wrong(MAX_IN_FLIGHT_NAME, words))
            }
            (false, _) if self.identity.is_some() => {
                Err(wrong("identity", "needs idempotence: set idempotent(true)"))
            }
            _ => Ok(()),
        }
    }

    fn check_codec(&self) -> Result<(), ClientError> {
        if cfg!(not(feature = "zstd")) && self.compression == Compression::Zstd {
            let words = "is zstd, which this build lacks: turn on the feature `zstd`";
            return Err(wrong("compression (compression.type)", words));
        }
        let Some(level) = self.compression_level else { return Ok(()) };
        let levels = self.compression.levels().map(|(levels, _)| levels);
        match levels {
            Some(levels) if !levels.contains(&level) => {
                let (codec, min, max) = (self.compression, levels.start(), levels.end());
                let words = format!("is {level}; {codec} has {min} to {max}");
                Err(wrong("compression_level", words))
            }
            _ => Ok(()),
        }
    }

    /// Whether batches carry a producer id and sequence numbers.
    pub(super) fn sequences(&self) -> bool {
        self.idempotent && self.acks == Acks::All
    }
}

/// A record to send; its bytes are borrowed, and copied once, into the batch.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProducerRecord<'a> {
    /// The topic's name.
    pub topic: &'a str,
    /// The partition; `None` chooses by key, or spreads records that have none.
    pub partition: Option<i32>,
    /// Milliseconds since 1970; `None` is now.
    pub timestamp: Option<i64>,
    /// The key; `None` is null.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is null, a tombstone on a compacted topic.
    pub value: Option<&'a [u8]>,
    /// The headers, in order; names may repeat.
    pub headers: &'a [HeaderView<'a>],
}

impl<'a> ProducerRecord<'a> {
    /// A record with a value and nothing else.
    #[must_use]
    pub fn new(topic: &'a str, value: &'a [u8]) -> Self {
        Self { topic, value: Some(value), ..Self::default() }
    }

    /// The same with a key.
    #[must_use]
    pub fn with_key(self, key: &'a [u8]) -> Self {
        Self { key: Some(key), ..self }
    }

    /// Bytes it takes of the buffer: its own, and what surrounds them.
    pub(super) fn size(&self) -> usize {
        let headers: usize = self
            .headers
            .iter()
            .map(|header| 10 + header.key.len() + header.value.map_or(0, <[u8]>::len))
            .sum();
        24 + self.key.map_or(0, <[u8]>::len) + self.value.map_or(0, <[u8]>::len) + headers
    }
}
