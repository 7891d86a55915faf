//! The percent-verb language of `consume -f`, pure: compiled once, then written per record
//! without allocating. The verbs are those of rpk, so that formats can be shared.

use super::format_parse::parse;
use super::number::NumberFormat;
use crate::cli::encode::{TextEncoding, write_decimal};
use crate::cli::fields::{HeaderFields, RecordFields};
use crate::cli::time::rfc3339;

/// A compiled format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordFormat {
    pieces: Vec<Piece>,
}

/// Why a format could not be compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// A percent sign before an unknown letter.
    #[error(
        "%{0} is no verb; %t %k %v %h{{…}} %p %o %d %e %i and more are in `duramen consume --help`, %% is a percent sign"
    )]
    UnknownVerb(char),
    /// A percent sign at the end.
    #[error("the format ends in a single %; write %% for a percent sign")]
    LonePercent,
    /// A backslash before something that is no escape.
    #[error("\\{0} is no escape; \\n \\t \\r \\0 \\\\ and \\xNN are")]
    UnknownEscape(String),
    /// A brace without its partner.
    #[error("a {{ after %{0} has no matching }}")]
    OpenBrace(char),
    /// A modifier that does not fit its verb.
    #[error("{{{modifier}}} does not fit %{verb}; {hint}")]
    Modifier {
        /// The verb's letter.
        verb: char,
        /// What stood in the braces.
        modifier: String,
        /// What could stand there.
        hint: &'static str,
    },
    /// A verb that only has a meaning for records stood in a header format.
    #[error("%{0} has no meaning within %h{{…}}; only %k %K %v %V do")]
    NotInHeaders(char),
    /// `%h` without its braces.
    #[error("%h wants the form of one header in braces, as %h{{%k=%v }}")]
    BareHeaders,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Literal(Vec<u8>),
    Text(TextField, TextEncoding),
    Number(NumberField, NumberFormat),
    Time(TimeFormat),
    Attribute(Attribute, Option<NumberFormat>),
    Headers(Vec<Piece>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextField {
    Topic,
    Key,
    Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NumberField {
    TopicLength,
    KeyLength,
    ValueLength,
    HeaderCount,
    Partition,
    Offset,
    LeaderEpoch,
    Timestamp,
    ProducerId,
    ProducerEpoch,
    LogStart,
    LastStable,
    HighWatermark,
    Count,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TimeFormat {
    Rfc3339,
    Strftime(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attribute {
    Compression,
    TimestampType,
    Transactional,
    Control,
}

impl RecordFormat {
    /// Compiles a format.
    ///
    /// # Errors
    /// When a verb, modifier or escape is unknown.
    pub fn compile(format: &str) -> Result<Self, FormatError> {
        Ok(Self { pieces: parse(format)? })
    }

    /// True when the format shows headers or their number, so that they must be collected.
    #[must_use]
    pub fn needs_headers(&self) -> bool {
        self.pieces.iter().any(|piece| {
            matches!(piece, Piece::Headers(_) | Piece::Number(NumberField::HeaderCount, _))
        })
    }

    /// Appends one record; `count` is its number in the output, from 1.
    pub fn write(&self, out: &mut Vec<u8>, record: &RecordFields<'_>, count: u64) {
        for piece in &self.pieces {
            match piece {
                Piece::Literal(bytes) => out.extend_from_slice(bytes),
                Piece::Text(field, encoding) => encoding.write(out, text_of(record, *field)),
                Piece::Number(field, format) => format.write(out, number_of(record, *field, count)),
                Piece::Time(format) => write_time(out, record.timestamp, format),
                Piece::Attribute(which, format) => {
                    write_attribute(out, record.attributes, *which, *format);
                }
                Piece::Headers(inner) => {
                    for header in record.headers {
                        write_header(out, inner, header);
                    }
                }
            }
        }
    }
}

fn write_header(out: &mut Vec<u8>, inner: &[Piece], header: &HeaderFields<'_>) {
    // Within %h{…} the key and value are the header's; the parser lets no other field in.
    let view =
        RecordFields { key: Some(header.key), value: header.value, ..RecordFields::default() };
    for piece in inner {
        match piece {
            Piece::Literal(bytes) => out.extend_from_slice(bytes),
            Piece::Text(field, encoding) => encoding.write(out, text_of(&view, *field)),
            Piece::Number(field, format) => format.write(out, number_of(&view, *field, 0)),
            Piece::Time(_) | Piece::Attribute(..) | Piece::Headers(_) => {}
        }
    }
}

fn text_of<'a>(record: &RecordFields<'a>, field: TextField) -> Option<&'a [u8]> {
    match field {
        TextField::Topic => Some(record.topic.as_bytes()),
        TextField::Key => record.key,
        TextField::Value => record.value,
    }
}

fn number_of(record: &RecordFields<'_>, field: NumberField, count: u64) -> i64 {
    // A null has the length -1, as kcat shows it: a tombstone differs from an empty value.
    let length = |bytes: Option<&[u8]>| bytes.map_or(-1, |b| i64::try_from(b.len()).unwrap_or(-1));
    match field {
        NumberField::TopicLength => length(Some(record.topic.as_bytes())),
        NumberField::KeyLength => length(record.key),
        NumberField::ValueLength => length(record.value),
        NumberField::HeaderCount => i64::try_from(record.headers.len()).unwrap_or(-1),
        NumberField::Partition => i64::from(record.partition),
        NumberField::Offset => record.offset,
        NumberField::LeaderEpoch => i64::from(record.leader_epoch),
        NumberField::Timestamp => record.timestamp,
        NumberField::ProducerId => record.producer_id,
        NumberField::ProducerEpoch => i64::from(record.producer_epoch),
        NumberField::LogStart => record.log_start,
        NumberField::LastStable => record.last_stable,
        NumberField::HighWatermark => record.high_watermark,
        NumberField::Count => i64::try_from(count).unwrap_or(i64::MAX),
    }
}

fn write_time(out: &mut Vec<u8>, timestamp: i64, format: &TimeFormat) {
    match format {
        TimeFormat::Rfc3339 => out.extend_from_slice(rfc3339(timestamp).as_bytes()),
        TimeFormat::Strftime(format) => match jiff::Timestamp::from_millisecond(timestamp) {
            Ok(instant) => out.extend_from_slice(instant.strftime(format).to_string().as_bytes()),
            Err(_) => write_decimal(out, timestamp),
        },
    }
}

fn write_attribute(
    out: &mut Vec<u8>,
    attributes: i16,
    which: Attribute,
    format: Option<NumberFormat>,
) {
    let number = match which {
        Attribute::Compression => i64::from(attributes & 0x07),
        Attribute::TimestampType => i64::from(attributes >> 3 & 1),
        Attribute::Transactional => i64::from(attributes >> 4 & 1),
        Attribute::Control => i64::from(attributes >> 5 & 1),
    };
    match (which, format) {
        (Attribute::Compression, None) => out.extend_from_slice(match number {
            0 => b"none",
            1 => b"gzip",
            2 => b"snappy",
            3 => b"lz4",
            4 => b"zstd",
            _ => b"unknown",
        }),
        (_, format) => format.unwrap_or_default().write(out, number),
    }
}

#[cfg(test)]
#[path = "format_tests.rs"]
mod tests;
