//! A record as one line of JSON, binary-safe: what `consume --format json` writes, `produce` reads
//! back without loss.
//!
//! `key`, `value` and header values are JSON strings when they are UTF-8, `null` when absent, and
//! `{"base64":"…"}` or `{"hex":"…"}` otherwise. Any other JSON (a number, a list, an object) read as a
//! value stands for its own text.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::encode::{
    TextEncoding, parse_base64, parse_hex, write_decimal, write_hex, write_json, write_json_str,
};
use super::fields::RecordFields;
use super::time::{TimeSpec, parse_time};

/// Bytes of a field; `None` is null.
pub type JsonBytes<'a> = Option<Cow<'a, [u8]>>;

/// A record as it stood on one line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JsonRecord<'a> {
    /// The key; `None` is null.
    pub key: JsonBytes<'a>,
    /// The value; `None` is a tombstone.
    pub value: JsonBytes<'a>,
    /// The headers in their order; names may repeat.
    pub headers: Vec<(Cow<'a, [u8]>, JsonBytes<'a>)>,
    /// The partition it names, if any.
    pub partition: Option<i32>,
    /// Milliseconds since 1970, if it has a timestamp.
    pub timestamp: Option<i64>,
}

impl<'a> JsonRecord<'a> {
    /// Reads one line.
    ///
    /// # Errors
    /// When it is no JSON object, has an unknown field, or lacks `value`.
    pub fn parse(line: &'a [u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(line)
    }
}

/// How `consume --format json` writes keys and values.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum JsonBinary {
    /// Strings where the bytes are UTF-8, base64 objects elsewhere.
    #[default]
    WhenNeeded,
    /// Always `{"hex":…}`.
    Hex,
    /// Always `{"base64":…}`.
    Base64,
}

/// Appends one record and a newline.
pub fn write_record(out: &mut Vec<u8>, record: &RecordFields<'_>, binary: JsonBinary) {
    out.extend_from_slice(b"{\"topic\":");
    write_json_str(out, record.topic);
    out.extend_from_slice(b",\"partition\":");
    write_decimal(out, i64::from(record.partition));
    out.extend_from_slice(b",\"offset\":");
    write_decimal(out, record.offset);
    if record.timestamp >= 0 {
        out.extend_from_slice(b",\"timestamp\":");
        write_decimal(out, record.timestamp);
    }
    if record.timestamp_is_append_time() {
        out.extend_from_slice(b",\"timestamp_type\":\"LogAppendTime\"");
    }
    out.extend_from_slice(b",\"key\":");
    write_bytes(out, record.key, binary);
    out.extend_from_slice(b",\"value\":");
    write_bytes(out, record.value, binary);
    if !record.headers.is_empty() {
        out.extend_from_slice(b",\"headers\":[");
        for (at, header) in record.headers.iter().enumerate() {
            out.extend_from_slice(if at == 0 { b"{\"key\":" } else { b",{\"key\":" });
            write_json(out, Some(header.key));
            out.extend_from_slice(b",\"value\":");
            write_bytes(out, header.value, binary);
            out.push(b'}');
        }
        out.push(b']');
    }
    out.extend_from_slice(b"}\n");
}

fn write_bytes(out: &mut Vec<u8>, bytes: Option<&[u8]>, binary: JsonBinary) {
    let (Some(some), JsonBinary::Hex | JsonBinary::Base64) = (bytes, binary) else {
        return write_json(out, bytes);
    };
    if binary == JsonBinary::Hex {
        out.extend_from_slice(b"{\"hex\":\"");
        write_hex(out, some);
    } else {
        out.extend_from_slice(b"{\"base64\":\"");
        TextEncoding::Base64.write(out, bytes);
    }
    out.extend_from_slice(b"\"}");
}

impl<'de> Deserialize<'de> for JsonRecord<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(RecordVisitor)
    }
}

struct RecordVisitor;

impl<'de> Visitor<'de> for RecordVisitor {
    type Value = JsonRecord<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a record as {\"key\":…,\"value\":…,\"headers\":…,\"partition\":…,\"timestamp\":…}",
        )
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut record = JsonRecord::default();
        let mut has_value = false;
        while let Some(name) = map.next_key::<&str>()? {
            let raw: &RawValue = map.next_value()?;
            match name {
                "key" => record.key = bytes_of(raw).map_err(A::Error::custom)?,
                "value" => {
                    record.value = bytes_of(raw).map_err(A::Error::custom)?;
                    has_value = true;
                }
                "headers" => record.headers = headers_of(raw).map_err(A::Error::custom)?,
                "partition" => {
                    record.partition = serde_json::from_str(raw.get()).map_err(A::Error::custom)?;
                }
                "timestamp" => record.timestamp = time_of(raw).map_err(A::Error::custom)?,
                // What consume writes beside the record itself.
                "topic" | "offset" | "timestamp_type" => {}
                other => {
                    return Err(A::Error::custom(format_args!(
                        "unknown field \"{other}\"; key, value, headers, partition and timestamp are read"
                    )));
                }
            }
        }
        if has_value {
            Ok(record)
        } else {
            Err(A::Error::custom("no \"value\"; write \"value\":null for a tombstone"))
        }
    }
}

fn bytes_of(raw: &RawValue) -> Result<JsonBytes<'_>, String> {
    let text = raw.get();
    match text.as_bytes().first() {
        Some(b'n') => Ok(None),
        Some(b'"') => string_of(text).map(|text| Some(into_bytes(text))),
        Some(b'{') => object_of(text).map(Some),
        _ => Ok(Some(Cow::Borrowed(text.as_bytes()))),
    }
}

/// A JSON string; without escapes it is borrowed.
fn string_of(literal: &str) -> Result<Cow<'_, str>, String> {
    let inner = literal.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    match inner {
        Some(inner) if !inner.contains('\\') => Ok(Cow::Borrowed(inner)),
        _ => serde_json::from_str::<String>(literal).map(Cow::Owned).map_err(|e| e.to_string()),
    }
}

fn into_bytes(text: Cow<'_, str>) -> Cow<'_, [u8]> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}

/// `{"base64":"…"}` and `{"hex":"…"}` are bytes; any other object is its own text.
fn object_of(text: &str) -> Result<Cow<'_, [u8]>, String> {
    let Ok(BinaryObject { form, digits }) = serde_json::from_str(text) else {
        return Ok(Cow::Borrowed(text.as_bytes()));
    };
    let bytes = if form == "hex" { parse_hex(&digits) } else { parse_base64(&digits) };
    bytes.map(Cow::Owned).ok_or_else(|| format!("the text of \"{form}\" is not valid {form}"))
}

struct BinaryObject<'a> {
    form: &'a str,
    digits: Cow<'a, str>,
}

impl<'de> Deserialize<'de> for BinaryObject<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct ObjectVisitor;
        impl<'de> Visitor<'de> for ObjectVisitor {
            type Value = BinaryObject<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with the one field base64 or hex")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let form = map.next_key::<&str>()?.unwrap_or_default();
                if form != "hex" && form != "base64" {
                    return Err(A::Error::custom("another object"));
                }
                let raw: &RawValue = map.next_value()?;
                if !raw.get().starts_with('"') || map.next_key::<&str>()?.is_some() {
                    return Err(A::Error::custom("another object"));
                }
                Ok(BinaryObject { form, digits: string_of(raw.get()).map_err(A::Error::custom)? })
            }
        }
        from.deserialize_map(ObjectVisitor)
    }
}

/// Milliseconds as a number, or any time as a string; null and negative mean none.
fn time_of(raw: &RawValue) -> Result<Option<i64>, String> {
    let text = raw.get();
    if text.starts_with('"') {
        return match parse_time(&string_of(text)?).map_err(|e| e.to_string())? {
            TimeSpec::At(at) => Ok(Some(at)),
            _ => Err("a record's timestamp must be an instant".to_owned()),
        };
    }
    let number: Option<i64> = serde_json::from_str(text)
        .map_err(|_| "a timestamp is a number of milliseconds or a time as text".to_owned())?;
    Ok(number.filter(|ms| *ms >= 0))
}

type Headers<'a> = Vec<(Cow<'a, [u8]>, JsonBytes<'a>)>;

/// `[{"key":…,"value":…}…]` keeps repeats; `{"name":value…}` is the short form.
fn headers_of(raw: &RawValue) -> Result<Headers<'_>, String> {
    match raw.get().as_bytes().first() {
        Some(b'n') => Ok(Vec::new()),
        Some(b'[') => serde_json::from_str::<HeaderList<'_>>(raw.get()).map(|list| list.0),
        _ => serde_json::from_str::<HeaderMap<'_>>(raw.get()).map(|map| map.0),
    }
    .map_err(|e| format!("headers: {e}"))
}

struct HeaderList<'a>(Headers<'a>);
struct HeaderMap<'a>(Headers<'a>);
struct HeaderPair<'a>(Cow<'a, [u8]>, JsonBytes<'a>);

impl<'de> Deserialize<'de> for HeaderList<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct ListVisitor;
        impl<'de> Visitor<'de> for ListVisitor {
            type Value = HeaderList<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of {\"key\":…,\"value\":…}")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut list = Vec::new();
                while let Some(HeaderPair(key, value)) = seq.next_element()? {
                    list.push((key, value));
                }
                Ok(HeaderList(list))
            }
        }
        from.deserialize_seq(ListVisitor)
    }
}

impl<'de> Deserialize<'de> for HeaderPair<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct PairVisitor;
        impl<'de> Visitor<'de> for PairVisitor {
            type Value = HeaderPair<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a header as {\"key\":…,\"value\":…}")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let (mut key, mut value) = (None, None);
                while let Some(name) = map.next_key::<&str>()? {
                    let bytes = bytes_of(map.next_value()?).map_err(A::Error::custom)?;
                    match name {
                        "key" => key = bytes,
                        "value" => value = bytes,
                        _ => return Err(A::Error::custom("a header has only key and value")),
                    }
                }
                let key = key.ok_or_else(|| A::Error::custom("a header lacks its key"))?;
                Ok(HeaderPair(key, value))
            }
        }
        from.deserialize_map(PairVisitor)
    }
}

impl<'de> Deserialize<'de> for HeaderMap<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct MapVisitor;
        impl<'de> Visitor<'de> for MapVisitor {
            type Value = HeaderMap<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of header names and values")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut list = Vec::new();
                while let Some(name) = map.next_key::<String>()? {
                    let value = bytes_of(map.next_value()?).map_err(A::Error::custom)?;
                    list.push((Cow::Owned(name.into_bytes()), value));
                }
                Ok(HeaderMap(list))
            }
        }
        from.deserialize_map(MapVisitor)
    }
}

#[cfg(test)]
#[path = "record_json_tests.rs"]
mod tests;
