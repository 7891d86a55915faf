//! A producer that is given values instead of bytes.

use std::cell::RefCell;

use duramen_protocol::text::Text;

use super::{Failure, Part, SerdeError, Serializer};
use crate::error::ClientError;
use crate::producer::{Delivered, Delivery, HeaderView, Producer, ProducerRecord};

/// A record to send, with a key and a value that are not bytes yet.
#[derive(Debug, Clone, Copy)]
pub struct TypedRecord<'a, K: ?Sized, V: ?Sized> {
    /// The topic's name.
    pub topic: &'a str,
    /// The partition; `None` chooses by the bytes of the key.
    pub partition: Option<i32>,
    /// Milliseconds since 1970; `None` is now.
    pub timestamp: Option<i64>,
    /// The key; `None` is null.
    pub key: Option<&'a K>,
    /// The value; `None` is null, a tombstone on a compacted topic.
    pub value: Option<&'a V>,
    /// The headers, in order; names may repeat.
    pub headers: &'a [HeaderView<'a>],
}

impl<'a, K: ?Sized, V: ?Sized> TypedRecord<'a, K, V> {
    /// A record with a key and a value and nothing else.
    #[must_use]
    pub fn new(topic: &'a str, key: Option<&'a K>, value: Option<&'a V>) -> Self {
        Self { topic, partition: None, timestamp: None, key, value, headers: &[] }
    }
}

/// A producer whose keys and values go through serializers.
///
/// ```no_run
/// # async fn example(producer: duramen_client::Producer) -> Result<(), duramen_client::ClientError> {
/// use duramen_client::serde::{BigEndian, TypedRecord, Utf8};
///
/// let producer = producer.typed(BigEndian, Utf8);
/// let sent = producer.send(TypedRecord::new("orders", Some(&42_i64), Some("one coffee"))).await?;
/// println!("partition {}, offset {}", sent.partition, sent.offset);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct TypedProducer<KS, VS> {
    producer: Producer,
    key: KS,
    value: VS,
}

impl Producer {
    /// The same producer, given values instead of bytes; clones and the original share everything.
    pub fn typed<KS, VS>(&self, key: KS, value: VS) -> TypedProducer<KS, VS> {
        TypedProducer { producer: self.clone(), key, value }
    }
}

thread_local! {
    /// Bytes of a key and a value on their way into a batch, to be used again.
    static SCRATCH: RefCell<(Vec<u8>, Vec<u8>)> = const { RefCell::new((Vec::new(), Vec::new())) };
}

/// What a thread keeps of one large value, at most.
const KEPT_MAX: usize = 64 * 1024;

impl<KS, VS> TypedProducer<KS, VS> {
    /// The producer behind it, for [`Producer::flush`] and the like.
    pub fn producer(&self) -> &Producer {
        &self.producer
    }

    /// Sends a record and waits until it is delivered.
    ///
    /// # Errors
    /// [`ClientError::Serde`] when key or value have no bytes; else as [`Producer::send`].
    pub async fn send<K: ?Sized, V: ?Sized>(
        &self,
        record: TypedRecord<'_, K, V>,
    ) -> Result<Delivered, ClientError>
    where
        KS: Serializer<K>,
        VS: Serializer<V>,
    {
        self.enqueue(record).await?.await.map_err(|failed| failed.error)
    }

    /// Puts a record into its batch, waiting while the buffer is full, and returns a handle on its fate.
    ///
    /// # Errors
    /// [`ClientError::Serde`] when key or value have no bytes; else as [`Producer::enqueue`].
    pub async fn enqueue<K: ?Sized, V: ?Sized>(
        &self,
        record: TypedRecord<'_, K, V>,
    ) -> Result<Delivery, ClientError>
    where
        KS: Serializer<K>,
        VS: Serializer<V>,
    {
        // Mostly there is room and the topic is known: then no bytes outlive this call.
        let (mut key, mut value) = SCRATCH.take();
        self.write(&record, &mut key, &mut value)?;
        let bytes = bytes_of(&record, &key, &value);
        if let Some(delivery) = self.producer.try_enqueue(&bytes)? {
            if key.capacity().max(value.capacity()) <= KEPT_MAX {
                SCRATCH.set((key, value));
            }
            return Ok(delivery);
        }
        self.producer.enqueue(bytes).await
    }

    fn write<K: ?Sized, V: ?Sized>(
        &self,
        record: &TypedRecord<'_, K, V>,
        key: &mut Vec<u8>,
        value: &mut Vec<u8>,
    ) -> Result<(), SerdeError>
    where
        KS: Serializer<K>,
        VS: Serializer<V>,
    {
        let failed = |part, expected| {
            move |reason: Failure| SerdeError {
                topic: Text::from(record.topic),
                part,
                expected,
                reason: reason.into(),
            }
        };
        key.clear();
        value.clear();
        if let Some(typed) = record.key {
            self.key.serialize(typed, key).map_err(failed(Part::Key, KS::FORMAT))?;
        }
        if let Some(typed) = record.value {
            self.value.serialize(typed, value).map_err(failed(Part::Value, VS::FORMAT))?;
        }
        Ok(())
    }
}

fn bytes_of<'a, K: ?Sized, V: ?Sized>(
    record: &TypedRecord<'a, K, V>,
    key: &'a [u8],
    value: &'a [u8],
) -> ProducerRecord<'a> {
    ProducerRecord {
        topic: record.topic,
        partition: record.partition,
        timestamp: record.timestamp,
        key: record.key.map(|_| key),
        value: record.value.map(|_| value),
        headers: record.headers,
    }
}
