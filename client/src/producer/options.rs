//! How a producer behaves, and what it is given to send.

use std::collections::BTreeMap;
use std::time::Duration;

use duramen_protocol::records::Compression;
use duramen_protocol::records::HeaderView;
use duramen_protocol::text::Text;

use super::partitioner::Partitioner;

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
pub struct Identity {
    /// The producer id, from [`new_identity`](super::new_identity).
    pub id: i64,
    /// Its epoch.
    pub epoch: i16,
    /// The sequence number of the next record by topic and partition; 0 where nothing stands.
    pub next: BTreeMap<(Text, i32), i32>,
}

/// How a producer behaves; the defaults are Kafka's unless said otherwise.
#[derive(Debug, Clone)]
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

impl ProducerOptions {
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
