//! The records of a batch, read one after another from borrowed bytes; nothing is allocated for a
//! record.
//!
//! ```text
//! length varint | attributes i8 (unused) | timestamp delta varlong | offset delta varint
//! key length varint (-1: none), key | value length varint (-1: none), value
//! header count varint, then of each header: key length varint, key, value length varint, value
//! ```

use std::iter::FusedIterator;

use super::batch::BatchView;
use super::compression::{Compression, decompress_into};
use super::error::{BatchError, RecordFault};
use super::header::TimestampType;
use super::varint::{read_i32, read_i64};

/// Bytes of the smallest record: seven fields, each of one byte.
const RECORD_LEN_MIN: usize = 7;

/// Bytes of the smallest header: two lengths.
const HEADER_LEN_MIN: usize = 2;

/// One record of a batch.
#[derive(Debug, Clone)]
pub struct RecordView<'a> {
    /// Place in the log.
    pub offset: i64,
    /// Milliseconds since 1970, by the producer or (LogAppendTime) the leader; -1 for none.
    pub timestamp: i64,
    /// The key, if there is one.
    pub key: Option<&'a [u8]>,
    /// The value; none is a tombstone on a compacted topic.
    pub value: Option<&'a [u8]>,
    /// The headers (KIP-82), in order.
    pub headers: HeaderIter<'a>,
}

/// One header of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct HeaderView<'a> {
    /// The key: UTF-8 by convention, which nobody checks. Keys may repeat.
    pub key: &'a [u8],
    /// The value, if there is one.
    pub value: Option<&'a [u8]>,
}

/// The headers of a record. They were checked when the record was read, so this cannot fail.
#[derive(Debug, Clone, Default)]
pub struct HeaderIter<'a> {
    rest: &'a [u8],
    left: usize,
}

impl<'a> Iterator for HeaderIter<'a> {
    type Item = HeaderView<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let mut fields = Fields { rest: self.rest };
        let header = fields.header().ok();
        self.rest = fields.rest;
        header
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for HeaderIter<'_> {}
impl FusedIterator for HeaderIter<'_> {}

impl<'a> BatchView<'a> {
    /// The records. Those of a compressed batch are unfolded into `scratch`, to at most `limit`
    /// bytes; those of others are read where they are. Use one scratch for many batches.
    ///
    /// # Errors
    /// [`BatchError::Codec`], [`BatchError::Compression`], or [`BatchError::RecordCount`] when
    /// the payload cannot hold as many records as the header claims.
    pub fn records<'s>(
        &self,
        scratch: &'s mut Vec<u8>,
        limit: usize,
    ) -> Result<RecordIter<'s>, BatchError>
    where
        'a: 's,
    {
        let payload = self.payload();
        let records = match self.compression()? {
            Compression::None => payload,
            // What compaction leaves of an emptied batch is a header.
            _ if payload.is_empty() && self.record_count() == 0 => payload,
            codec => {
                decompress_into(codec, payload, limit, scratch)?;
                scratch.as_slice()
            }
        };
        RecordIter::new(self, records)
    }
}

/// The records of a batch, from [`BatchView::records`]. It yields as many as the header claims,
/// and an error instead of the first that is not there; bytes behind the last are an error too.
/// After an error it ends.
#[derive(Debug, Clone)]
pub struct RecordIter<'a> {
    rest: &'a [u8],
    index: i32,
    count: i32,
    base_offset: i64,
    base_timestamp: i64,
    log_append_time: Option<i64>,
}

impl<'a> RecordIter<'a> {
    fn new(batch: &BatchView<'_>, records: &'a [u8]) -> Result<Self, BatchError> {
        let count = batch.record_count();
        let possible = records.len() / RECORD_LEN_MIN;
        if usize::try_from(count).map_or(true, |count| count > possible) {
            return Err(BatchError::RecordCount { count, available: records.len() });
        }
        Ok(Self {
            rest: records,
            index: 0,
            count,
            base_offset: batch.base_offset(),
            base_timestamp: batch.base_timestamp(),
            log_append_time: match batch.timestamp_type() {
                TimestampType::CreateTime => None,
                TimestampType::LogAppendTime => Some(batch.max_timestamp()),
            },
        })
    }

    /// The bytes of the records that were not read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    fn record(&mut self) -> Result<RecordView<'a>, RecordFault> {
        let mut batch = Fields { rest: self.rest };
        let mut fields = Fields { rest: batch.bytes("record")? };
        let record = fields.record(self)?;
        if !fields.rest.is_empty() {
            return Err(RecordFault::Unread { bytes: fields.rest.len() });
        }
        self.rest = batch.rest;
        Ok(record)
    }
}

impl<'a> Iterator for RecordIter<'a> {
    type Item = Result<RecordView<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        let index = self.index;
        if index == self.count {
            let bytes = std::mem::take(&mut self.rest).len();
            return (bytes > 0).then_some(Err(BatchError::Unread { bytes }));
        }
        self.index += 1;
        Some(self.record().map_err(|fault| {
            self.rest = &[];
            self.index = self.count;
            BatchError::Record { index, fault }
        }))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = usize::try_from(self.count - self.index).unwrap_or(0);
        // One more for the error that can stand behind the last record.
        (left.min(1), Some(left + 1))
    }
}

impl FusedIterator for RecordIter<'_> {}

/// The fields of a record that were not read yet.
struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    #[inline]
    fn record(&mut self, batch: &RecordIter<'a>) -> Result<RecordView<'a>, RecordFault> {
        // The attributes of a record have no meaning yet; a broker passes on what is there.
        self.take(1, "attributes")?;
        let timestamp_delta = self.varlong("timestamp delta")?;
        let offset_delta = self.varint("offset delta")?;
        let key = self.nullable_bytes("key")?;
        let value = self.nullable_bytes("value")?;
        let headers = self.headers()?;
        Ok(RecordView {
            offset: batch.base_offset.saturating_add(i64::from(offset_delta)),
            timestamp: batch
                .log_append_time
                .unwrap_or_else(|| batch.base_timestamp.wrapping_add(timestamp_delta)),
            key,
            value,
            headers,
        })
    }

    #[inline]
    fn headers(&mut self) -> Result<HeaderIter<'a>, RecordFault> {
        let count = self.varint("header count")?;
        let rest = self.rest;
        let left = usize::try_from(count)
            .ok()
            .filter(|count| *count <= rest.len() / HEADER_LEN_MIN)
            .ok_or(RecordFault::HeaderCount { count, available: rest.len() })?;
        for _ in 0..left {
            self.header()?;
        }
        Ok(HeaderIter { rest, left })
    }

    fn header(&mut self) -> Result<HeaderView<'a>, RecordFault> {
        let key = self.bytes("header key")?;
        let value = self.nullable_bytes("header value")?;
        Ok(HeaderView { key, value })
    }

    /// Bytes behind their length; there is no "none" for these.
    fn bytes(&mut self, field: &'static str) -> Result<&'a [u8], RecordFault> {
        let length = self.varint(field)?;
        let len = usize::try_from(length).map_err(|_| RecordFault::Length { field, length })?;
        self.take(len, field)
    }

    /// Bytes behind their length, where -1 is "none".
    fn nullable_bytes(&mut self, field: &'static str) -> Result<Option<&'a [u8]>, RecordFault> {
        match self.varint(field)? {
            -1 => Ok(None),
            length => {
                let len =
                    usize::try_from(length).map_err(|_| RecordFault::Length { field, length })?;
                self.take(len, field).map(Some)
            }
        }
    }

    #[inline]
    fn take(&mut self, len: usize, field: &'static str) -> Result<&'a [u8], RecordFault> {
        let (taken, rest) =
            self.rest.split_at_checked(len).ok_or(RecordFault::Truncated { field })?;
        self.rest = rest;
        Ok(taken)
    }

    #[inline]
    fn varint(&mut self, field: &'static str) -> Result<i32, RecordFault> {
        let (number, rest) = read_i32(self.rest).ok_or(RecordFault::Number { field })?;
        self.rest = rest;
        Ok(number)
    }

    #[inline]
    fn varlong(&mut self, field: &'static str) -> Result<i64, RecordFault> {
        let (number, rest) = read_i64(self.rest).ok_or(RecordFault::Number { field })?;
        self.rest = rest;
        Ok(number)
    }
}

#[cfg(test)]
mod tests;
