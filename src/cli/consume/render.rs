//! How `consume` shows a record, pure: text, JSON, or a format of the user's own.

use clap::ValueEnum;

use super::format::RecordFormat;
use crate::cli::encode::TextEncoding;
use crate::cli::fields::RecordFields;
use crate::cli::record_json::{JsonBinary, write_record};

/// The forms that have names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum RecordForm {
    /// The value and a newline
    #[default]
    Text,
    /// A JSON object a line, which `produce --format json` reads back without loss
    Json,
}

/// How records are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Render {
    /// The value in an encoding, and a newline.
    Text(TextEncoding),
    /// A JSON object a line.
    Json(JsonBinary),
    /// The user's own format.
    Format(RecordFormat),
}

impl Render {
    /// Whether headers must be collected for it.
    #[must_use]
    pub fn needs_headers(&self) -> bool {
        match self {
            Self::Text(_) => false,
            Self::Json(_) => true,
            Self::Format(format) => format.needs_headers(),
        }
    }

    /// Appends a record; `count` is its number in the output, from 1.
    pub fn write(&self, out: &mut Vec<u8>, record: &RecordFields<'_>, count: u64) {
        match self {
            Self::Text(encoding) => {
                encoding.write(out, record.value);
                out.push(b'\n');
            }
            Self::Json(binary) => write_record(out, record, *binary),
            Self::Format(format) => format.write(out, record, count),
        }
    }
}
