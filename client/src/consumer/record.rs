//! A record that owns its bytes: slices of what was fetched or unpacked, nothing copied.

use std::collections::VecDeque;
use std::ops::Range;

use bytes::Bytes;
use duramen_protocol::records::{BatchError, BatchView, RecordView};
use duramen_protocol::text::Text;

use super::fetched::Fetched;

/// A record as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsumerRecord {
    /// The topic's name.
    pub topic: Text,
    /// The partition's number.
    pub partition: i32,
    /// The record's offset.
    pub offset: i64,
    /// Milliseconds since 1970, or -1 for none.
    pub timestamp: i64,
    /// Leader epoch in which the record was written, or -1.
    pub leader_epoch: i32,
    /// The key; `None` is null.
    pub key: Option<Bytes>,
    /// The value; `None` is null.
    pub value: Option<Bytes>,
    /// The headers, in order; names may repeat.
    pub headers: Vec<RecordHeader>,
}

/// A header of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordHeader {
    /// The name: UTF-8 by convention, which nobody checks.
    pub key: Bytes,
    /// The value; `None` is null.
    pub value: Option<Bytes>,
}

/// Where the parts of a record lie in their batch's bytes.
struct Parts {
    offset: i64,
    timestamp: i64,
    key: Option<Range<usize>>,
    value: Option<Range<usize>>,
    headers: Vec<(Range<usize>, Option<Range<usize>>)>,
}

/// Takes the batch at `position` of a fetch apart; records outside its bounds are left out.
pub(super) fn unpack(
    fetched: &Fetched,
    position: usize,
    into: &mut VecDeque<ConsumerRecord>,
) -> Result<(), BatchError> {
    let whole = fetched.content.bytes.slice(position..);
    let (batch, _) = BatchView::split(&whole)?;
    let mut scratch = Vec::new();
    let parts = parts_of(fetched, &batch, &mut scratch)?;
    let epoch = batch.partition_leader_epoch();
    // An uncompressed batch is read where it is; otherwise the scratch becomes the records' memory.
    let memory = if scratch.is_empty() { whole.clone() } else { Bytes::from(scratch) };
    into.extend(parts.into_iter().map(|parts| {
        ConsumerRecord {
            topic: fetched.topic.clone(),
            partition: fetched.partition,
            offset: parts.offset,
            timestamp: parts.timestamp,
            leader_epoch: epoch,
            key: parts.key.map(|range| memory.slice(range)),
            value: parts.value.map(|range| memory.slice(range)),
            headers: parts
                .headers
                .into_iter()
                .map(|(key, value)| RecordHeader {
                    key: memory.slice(key),
                    value: value.map(|range| memory.slice(range)),
                })
                .collect(),
        }
    }));
    Ok(())
}

fn parts_of(
    fetched: &Fetched,
    batch: &BatchView<'_>,
    scratch: &mut Vec<u8>,
) -> Result<Vec<Parts>, BatchError> {
    let mut all =
        Vec::with_capacity(usize::try_from(batch.record_count()).unwrap_or(0).min(65_536));
    let records = batch.records(scratch, fetched.unpacked_bytes)?;
    // Before the first record is read, what is left of the records is all of them.
    let start = match batch.attributes().codec() {
        0 => batch.bytes().as_ptr() as usize,
        _ => records.rest().as_ptr() as usize,
    };
    for record in records {
        let record = record?;
        if fetched.contains(record.offset) {
            all.push(parts(&record, start));
        }
    }
    Ok(all)
}

fn parts(record: &RecordView<'_>, start: usize) -> Parts {
    let range = |bytes: &[u8]| {
        let from = (bytes.as_ptr() as usize).saturating_sub(start);
        from..from + bytes.len()
    };
    Parts {
        offset: record.offset,
        timestamp: record.timestamp,
        key: record.key.map(range),
        value: record.value.map(range),
        headers: record
            .headers
            .clone()
            .map(|header| (range(header.key), header.value.map(range)))
            .collect(),
    }
}
