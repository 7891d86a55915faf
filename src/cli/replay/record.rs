//! A record on its way: as filters and JSON see it, and the headers that say where it came from.

use duramen_client::consumer::ConsumerRecord;
use duramen_client::producer::HeaderView;

use crate::cli::encode::write_decimal;
use crate::cli::fields::{HeaderFields, RecordFields};
use crate::cli::time::{now_ms, rfc3339};

/// Topic and partition that the record was read from, as `orders-3`.
pub(super) const SOURCE: &str = "duramen.replay.source";
/// Its offset there.
pub(super) const OFFSET: &str = "duramen.replay.offset";
/// When it was replayed, RFC 3339 in UTC.
pub(super) const TIME: &str = "duramen.replay.time";

/// The record as filters and JSON see it.
pub(super) fn fields<'a>(
    record: &'a ConsumerRecord,
    headers: &'a [HeaderFields<'a>],
) -> RecordFields<'a> {
    RecordFields {
        topic: &record.topic,
        partition: record.partition,
        offset: record.offset,
        timestamp: record.timestamp,
        leader_epoch: record.leader_epoch,
        producer_id: -1,
        producer_epoch: -1,
        key: record.key.as_deref(),
        value: record.value.as_deref(),
        headers,
        ..RecordFields::default()
    }
}

/// Bytes of key, value and headers.
pub(super) fn size(record: &ConsumerRecord) -> u64 {
    let headers: usize = record
        .headers
        .iter()
        .map(|header| header.key.len() + header.value.as_ref().map_or(0, bytes::Bytes::len))
        .sum();
    let key = record.key.as_ref().map_or(0, bytes::Bytes::len);
    let value = record.value.as_ref().map_or(0, bytes::Bytes::len);
    u64::try_from(headers + key + value).unwrap_or(u64::MAX)
}

/// The texts of a record's provenance headers, used again for the next one.
#[derive(Debug, Default)]
pub(super) struct Provenance {
    source: String,
    of: Option<i32>,
    offset: Vec<u8>,
    time: String,
    at_ms: i64,
}

impl Provenance {
    /// The headers of a record: its own, and behind them where it came from.
    pub(super) fn headers<'a>(
        &'a mut self,
        record: &'a ConsumerRecord,
    ) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> {
        if self.of != Some(record.partition) {
            self.source = format!("{}-{}", record.topic, record.partition);
            self.of = Some(record.partition);
        }
        self.offset.clear();
        write_decimal(&mut self.offset, record.offset);
        let now = now_ms();
        if self.at_ms != now {
            self.time = rfc3339(now);
            self.at_ms = now;
        }
        own_headers(record).chain([
            (SOURCE.as_bytes(), Some(self.source.as_bytes())),
            (OFFSET.as_bytes(), Some(self.offset.as_slice())),
            (TIME.as_bytes(), Some(self.time.as_bytes())),
        ])
    }
}

/// The headers that a record has by itself.
pub(super) fn own_headers(record: &ConsumerRecord) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
    record.headers.iter().map(|header| (&header.key[..], header.value.as_deref()))
}

/// As the output writes them.
pub(super) fn header_fields<'a>((key, value): (&'a [u8], Option<&'a [u8]>)) -> HeaderFields<'a> {
    HeaderFields { key, value }
}

/// As the producer takes them.
pub(super) fn header_view<'a>((key, value): (&'a [u8], Option<&'a [u8]>)) -> HeaderView<'a> {
    HeaderView { key, value }
}
