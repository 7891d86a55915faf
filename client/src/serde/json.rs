//! JSON, of whatever serde knows.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Deserializer, Failure, Serializer};

/// JSON without a byte of space.
#[derive(Debug, Clone, Copy, Default)]
pub struct Json;

impl<T: Serialize + ?Sized> Serializer<T> for Json {
    const FORMAT: &'static str = "JSON";

    fn serialize(&self, value: &T, out: &mut Vec<u8>) -> Result<(), Failure> {
        Ok(serde_json::to_writer(out, value)?)
    }
}

impl<T: DeserializeOwned> Deserializer<T> for Json {
    const FORMAT: &'static str = "JSON of the type asked for";

    fn deserialize(&self, bytes: &Bytes) -> Result<T, Failure> {
        Ok(serde_json::from_slice(bytes)?)
    }
}
