//! Typed keys and values: what turns them into a record's bytes and back.
//!
//! | serializer | type | bytes |
//! |---|---|---|
//! | [`Raw`] | bytes | as they are |
//! | [`Utf8`] | strings | UTF-8, as Kafka's `StringSerializer` |
//! | [`BigEndian`] | `i16`, `i32`, `i64`, `f32`, `f64` | big-endian, as Kafka's `LongSerializer` and its like |
//! | `Json` | whatever serde knows | JSON; feature `json` |
//! | `Protobuf` | messages of prost | their encoding, without a registry's prefix; feature `prost` |
//!
//! A null key or value is `None` on both sides and never reaches a serializer. One of your own takes one
//! method of [`Serializer`] and one of [`Deserializer`].

#[cfg(feature = "json")]
mod json;
mod plain;
#[cfg(feature = "prost")]
mod protobuf;
mod typed;

use std::error::Error;
use std::sync::Arc;

use bytes::Bytes;
use duramen_protocol::text::Text;

#[cfg(feature = "json")]
pub use json::Json;
pub use plain::{BigEndian, Raw, Utf8};
#[cfg(feature = "prost")]
pub use protobuf::Protobuf;
pub use typed::{TypedProducer, TypedRecord};

use crate::consumer::ConsumerRecord;

/// Which part of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Part {
    /// The key.
    Key,
    /// The value.
    Value,
}

/// A key or value that can't be turned into bytes, or bytes that are not what was expected.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the {} of a record of topic {topic} is no {expected}: {reason}", match part {
    Part::Key => "key",
    Part::Value => "value",
})]
#[non_exhaustive]
pub struct SerdeError {
    /// The topic's name.
    pub topic: Text,
    /// Key or value.
    pub part: Part,
    /// What was expected, in words: `JSON`, `UTF-8 text`.
    pub expected: &'static str,
    /// What stood in the way.
    pub reason: Arc<dyn Error + Send + Sync>,
}

/// Why one value did not work, before topic and part are known.
pub type Failure = Box<dyn Error + Send + Sync>;

/// Turns values into bytes.
pub trait Serializer<T: ?Sized> {
    /// What it writes, in words, for errors: `JSON`.
    const FORMAT: &'static str;

    /// Appends the bytes of a value to `out`, which may hold others already.
    ///
    /// # Errors
    /// When the value has no such bytes; `out` then holds nothing of use.
    fn serialize(&self, value: &T, out: &mut Vec<u8>) -> Result<(), Failure>;
}

/// Turns bytes into values.
pub trait Deserializer<T> {
    /// What it reads, in words, for errors: `JSON`.
    const FORMAT: &'static str;

    /// Reads a value; what it keeps of `bytes` can share their memory.
    ///
    /// # Errors
    /// When the bytes are something else.
    fn deserialize(&self, bytes: &Bytes) -> Result<T, Failure>;
}

impl ConsumerRecord {
    /// The key as a `T`; `None` is null.
    ///
    /// # Errors
    /// [`SerdeError`], when the bytes are something else: the record can be put aside or skipped.
    pub fn key_as<T, D: Deserializer<T>>(&self, reader: &D) -> Result<Option<T>, SerdeError> {
        self.read(Part::Key, self.key.as_ref(), reader)
    }

    /// The value as a `T`; `None` is null.
    ///
    /// # Errors
    /// As [`ConsumerRecord::key_as`].
    pub fn value_as<T, D: Deserializer<T>>(&self, reader: &D) -> Result<Option<T>, SerdeError> {
        self.read(Part::Value, self.value.as_ref(), reader)
    }

    fn read<T, D: Deserializer<T>>(
        &self,
        part: Part,
        bytes: Option<&Bytes>,
        reader: &D,
    ) -> Result<Option<T>, SerdeError> {
        bytes.map(|bytes| reader.deserialize(bytes)).transpose().map_err(|reason| SerdeError {
            topic: self.topic.clone(),
            part,
            expected: D::FORMAT,
            reason: reason.into(),
        })
    }
}

#[cfg(test)]
mod tests;
