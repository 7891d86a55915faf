//! What `log dump` prints, row by row: nothing is gathered, a segment may be large.

use std::path::Path;

use duramen_protocol::records::{BatchHeader, Compression, TimestampType};
use serde_json::{Map, Value, json};

use crate::cli::encode::{TextEncoding, write_json};
use crate::cli::exit::Failure;
use crate::cli::output::{Format, Output};
use crate::cli::time::rfc3339;
use crate::storage::offline::Stretch;

/// Headings and widths of the columns of a batch.
const BATCH: [(&str, usize); 11] = [
    ("position", 10),
    ("bytes", 8),
    ("first", 10),
    ("last", 10),
    ("records", 7),
    ("epoch", 5),
    ("codec", 6),
    ("producer", 8),
    ("sequence", 8),
    ("crc", 10),
    ("latest", 24),
];

/// Prints rows.
#[derive(Debug)]
pub(super) struct Rows {
    out: Output,
    format: Format,
    file: String,
}

/// A record to print.
#[derive(Debug)]
pub(super) struct RecordRow<'a> {
    pub(super) offset: i64,
    pub(super) timestamp: i64,
    pub(super) key: Option<&'a [u8]>,
    pub(super) value: Option<&'a [u8]>,
    pub(super) headers: Vec<(&'a [u8], Option<&'a [u8]>)>,
    /// What the value says, where that is known.
    pub(super) words: Option<String>,
}

impl Rows {
    pub(super) fn new(format: Format) -> Result<Self, Failure> {
        Ok(Self { out: Output::stdout()?, format, file: String::new() })
    }

    /// What follows is of this file.
    pub(super) fn file(&mut self, path: &Path) {
        self.file = path.display().to_string();
        if self.format == Format::Table {
            let line = format!("{}\n", self.file);
            self.out.buffer().extend_from_slice(line.as_bytes());
        }
    }

    /// Batches follow.
    pub(super) fn batches(&mut self) {
        if self.format == Format::Table {
            self.cells(&BATCH.map(|(name, _)| name.to_uppercase()));
        }
    }

    pub(super) fn batch(&mut self, position: u64, header: &BatchHeader) -> Result<(), Failure> {
        let codec = Compression::from_code(header.attributes.codec());
        let codec = codec.map_or_else(|| "unknown".to_owned(), |codec| codec.name().to_owned());
        if self.format == Format::Json {
            let appended = header.attributes.timestamp_type() == TimestampType::LogAppendTime;
            return self.json(json!({
                "type": "batch",
                "position": position,
                "size": header.size(),
                "base_offset": header.base_offset,
                "last_offset": header.last_offset(),
                "records": header.record_count,
                "leader_epoch": header.partition_leader_epoch,
                "codec": codec,
                "timestamp_type": if appended { "LogAppendTime" } else { "CreateTime" },
                "max_timestamp": header.max_timestamp,
                "producer_id": header.producer_id,
                "producer_epoch": header.producer_epoch,
                "base_sequence": header.base_sequence,
                "transactional": header.is_transactional(),
                "control": header.is_control(),
                "crc": header.crc,
            }));
        }
        let or_none = |n: i64| if n < 0 { "-".to_owned() } else { n.to_string() };
        let producer = match header.producer_id {
            id if id < 0 => "-".to_owned(),
            id => format!("{id}:{}", header.producer_epoch),
        };
        let mut codec = codec;
        if header.is_control() {
            codec = "marker".to_owned();
        }
        let latest = match header.max_timestamp {
            at if at < 0 => "-".to_owned(),
            at => rfc3339(at),
        };
        self.cells(&[
            position.to_string(),
            header.size().to_string(),
            header.base_offset.to_string(),
            header.last_offset().to_string(),
            header.record_count.to_string(),
            header.partition_leader_epoch.to_string(),
            codec,
            producer,
            or_none(header.base_sequence.into()),
            format!("{:#010x}", header.crc),
            latest,
        ]);
        self.out.spill()
    }

    pub(super) fn record(&mut self, row: &RecordRow<'_>) -> Result<(), Failure> {
        match self.format {
            Format::Json => self.record_json(row),
            Format::Table | Format::Text => self.record_text(row),
        }
        self.out.spill()
    }

    fn record_json(&mut self, row: &RecordRow<'_>) {
        let file = Value::from(self.file.as_str());
        let out = self.out.buffer();
        let head = format!(
            "{{\"type\":\"record\",\"file\":{file},\"offset\":{},\"timestamp\":{},\"key\":",
            row.offset, row.timestamp
        );
        out.extend_from_slice(head.as_bytes());
        write_json(out, row.key);
        out.extend_from_slice(b",\"value\":");
        write_json(out, row.value);
        if let Some(words) = &row.words {
            out.extend_from_slice(b",\"words\":");
            write_json(out, Some(words.as_bytes()));
        }
        if !row.headers.is_empty() {
            out.extend_from_slice(b",\"headers\":[");
            for (at, (key, value)) in row.headers.iter().enumerate() {
                out.extend_from_slice(if at == 0 { b"{\"key\":" } else { b",{\"key\":" });
                write_json(out, Some(key));
                out.extend_from_slice(b",\"value\":");
                write_json(out, *value);
                out.push(b'}');
            }
            out.push(b']');
        }
        out.extend_from_slice(b"}\n");
    }

    fn record_text(&mut self, row: &RecordRow<'_>) {
        let indent = if self.format == Format::Table { "  " } else { "record\t" };
        let out = self.out.buffer();
        let when = if row.timestamp < 0 { "-".to_owned() } else { rfc3339(row.timestamp) };
        out.extend_from_slice(format!("{indent}{}\t{when}\t", row.offset).as_bytes());
        if let Some(words) = &row.words {
            out.extend_from_slice(words.as_bytes());
        } else {
            TextEncoding::Json.write(out, row.key);
            out.push(b'\t');
            TextEncoding::Json.write(out, row.value);
            for (key, value) in &row.headers {
                out.push(b'\t');
                TextEncoding::Json.write(out, Some(key));
                out.push(b'=');
                TextEncoding::Json.write(out, *value);
            }
        }
        out.push(b'\n');
    }

    /// Bytes that are no sound batch.
    pub(super) fn broken(&mut self, stretch: &Stretch) -> Result<(), Failure> {
        let Stretch { from, to, first, next, fault, .. } = *stretch;
        if self.format == Format::Json {
            return self.json(json!({
                "type": "damage",
                "position": from,
                "end": to,
                "first_offset": first,
                "next_offset": next,
                "reason": fault.to_string(),
            }));
        }
        let behind = match next {
            Some(next) => format!("goes on with offset {next}"),
            None => "no batch follows".to_owned(),
        };
        let line = format!("bytes {from} to {to}, from offset {first}: {fault}; {behind}");
        self.line("damaged", &line)
    }

    /// Something that a small file says, as a line of words and a value.
    pub(super) fn fact(&mut self, kind: &str, words: &str, value: Value) -> Result<(), Failure> {
        if self.format == Format::Json {
            let mut object = json!({ "type": kind });
            if let (Some(object), Value::Object(more)) = (object.as_object_mut(), value) {
                object.extend(more);
            }
            return self.json(object);
        }
        self.line(kind, words)
    }

    fn line(&mut self, kind: &str, words: &str) -> Result<(), Failure> {
        let between = if self.format == Format::Table { "  " } else { "\t" };
        self.out.buffer().extend_from_slice(format!("{kind}{between}{words}\n").as_bytes());
        self.out.spill()
    }

    fn json(&mut self, row: Value) -> Result<(), Failure> {
        let mut whole = Map::new();
        if let Value::Object(mut fields) = row {
            if let Some(kind) = fields.shift_remove("type") {
                whole.insert("type".to_owned(), kind);
            }
            whole.insert("file".to_owned(), self.file.as_str().into());
            whole.append(&mut fields);
        }
        let text = Value::Object(whole).to_string();
        self.out.buffer().extend_from_slice(text.as_bytes());
        self.out.buffer().push(b'\n');
        self.out.spill()
    }

    fn cells(&mut self, cells: &[String; 11]) {
        let tabbed = self.format == Format::Text;
        let mut line = if tabbed { "batch".to_owned() } else { String::new() };
        for (cell, (_, width)) in cells.iter().zip(BATCH) {
            match tabbed {
                true => line.extend(["\t", cell]),
                false => line.push_str(&format!("{cell:>width$}  ")),
            }
        }
        let out = self.out.buffer();
        out.extend_from_slice(line.trim_end().as_bytes());
        out.push(b'\n');
    }

    pub(super) fn finish(mut self) -> Result<(), Failure> {
        self.out.flush()
    }
}
