//! Bytes, strings and numbers.

use std::str;

use bytes::Bytes;

use super::{Deserializer, Failure, Serializer};

/// Bytes as they are. What is read as [`Bytes`] shares the memory of what was fetched.
#[derive(Debug, Clone, Copy, Default)]
pub struct Raw;

impl<T: AsRef<[u8]> + ?Sized> Serializer<T> for Raw {
    const FORMAT: &'static str = "bytes";

    fn serialize(&self, value: &T, out: &mut Vec<u8>) -> Result<(), Failure> {
        out.extend_from_slice(value.as_ref());
        Ok(())
    }
}

impl<T: From<Bytes>> Deserializer<T> for Raw {
    const FORMAT: &'static str = "bytes";

    fn deserialize(&self, bytes: &Bytes) -> Result<T, Failure> {
        Ok(bytes.clone().into())
    }
}

/// UTF-8 text.
#[derive(Debug, Clone, Copy, Default)]
pub struct Utf8;

impl<T: AsRef<str> + ?Sized> Serializer<T> for Utf8 {
    const FORMAT: &'static str = "UTF-8 text";

    fn serialize(&self, value: &T, out: &mut Vec<u8>) -> Result<(), Failure> {
        out.extend_from_slice(value.as_ref().as_bytes());
        Ok(())
    }
}

impl Deserializer<String> for Utf8 {
    const FORMAT: &'static str = "UTF-8 text";

    fn deserialize(&self, bytes: &Bytes) -> Result<String, Failure> {
        Ok(str::from_utf8(bytes)?.to_owned())
    }
}

/// Numbers, the most significant byte first: what Kafka's serializers of the same types write.
#[derive(Debug, Clone, Copy, Default)]
pub struct BigEndian;

macro_rules! big_endian {
    ($($number:ty),*) => {$(
        impl Serializer<$number> for BigEndian {
            const FORMAT: &'static str = concat!("big-endian ", stringify!($number));

            fn serialize(&self, value: &$number, out: &mut Vec<u8>) -> Result<(), Failure> {
                out.extend_from_slice(&value.to_be_bytes());
                Ok(())
            }
        }

        impl Deserializer<$number> for BigEndian {
            const FORMAT: &'static str = concat!("big-endian ", stringify!($number));

            fn deserialize(&self, bytes: &Bytes) -> Result<$number, Failure> {
                match bytes.as_ref().try_into() {
                    Ok(bytes) => Ok(<$number>::from_be_bytes(bytes)),
                    Err(_) => Err(format!("it has {} bytes", bytes.len()).into()),
                }
            }
        }
    )*};
}

big_endian!(i16, i32, i64, f32, f64);
