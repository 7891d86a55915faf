//! Protocol Buffers, of messages that prost generated.

use bytes::Bytes;
use prost::Message;

use super::{Deserializer, Failure, Serializer};

/// The encoding of a message and nothing around it: no magic byte, no schema id.
#[derive(Debug, Clone, Copy, Default)]
pub struct Protobuf;

impl<T: Message> Serializer<T> for Protobuf {
    const FORMAT: &'static str = "Protocol Buffers message";

    fn serialize(&self, value: &T, out: &mut Vec<u8>) -> Result<(), Failure> {
        Ok(value.encode(out)?)
    }
}

impl<T: Message + Default> Deserializer<T> for Protobuf {
    const FORMAT: &'static str = "Protocol Buffers message of the type asked for";

    fn deserialize(&self, bytes: &Bytes) -> Result<T, Failure> {
        Ok(T::decode(bytes.clone())?)
    }
}
