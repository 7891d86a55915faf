//! [`BatchBuilder`]: makes a batch of records, as a producer does (KIP-98).

use bytes::{BufMut, Bytes, BytesMut};

use super::compression::{Compression, compress_onto};
use super::error::BatchError;
use super::header::{Attributes, BatchHeader, HEADER_LEN};
use super::record::HeaderView;
use super::varint;

/// Bytes of a record's attributes field.
const ATTRIBUTES_LEN: usize = 1;

/// Bytes of the numbers in front of a record's key, at most: its length, attributes, timestamp and offset.
const NUMBERS_MAX: usize = 5 + ATTRIBUTES_LEN + 10 + 5;

/// The most that a new builder sets aside, in bytes: the `batch.size` of most producers.
const ROOM_MAX: usize = 16 * 1024;

/// How the finished batch is to be packed, and in whose name.
#[derive(Debug, Clone, Copy, Default)]
pub struct BatchOptions {
    /// Codec of the payload.
    pub compression: Compression,
    /// Level of the codec, one of [`Compression::levels`]; `None` is its default.
    pub level: Option<i32>,
    /// The idempotent producer, if there is one.
    pub producer: Option<Producer>,
    /// The batch is part of the producer's transaction.
    pub transactional: bool,
}

/// What an idempotent producer puts into its batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Producer {
    /// Producer id, from InitProducerId.
    pub id: i64,
    /// Producer epoch, from InitProducerId.
    pub epoch: i16,
    /// Sequence number of the first record; -1 on a transaction marker.
    pub base_sequence: i32,
}

/// A batch in the making. Its records are laid down as they come, in their final form.
#[derive(Debug, Clone)]
pub struct BatchBuilder {
    /// Room for the header, then the records.
    bytes: BytesMut,
    size_max: usize,
    count: i32,
    base_timestamp: i64,
    max_timestamp: i64,
}

impl BatchBuilder {
    /// A builder for batches of up to `size_max` bytes, header included, before compression.
    pub fn new(size_max: usize) -> Self {
        Self::with_room(size_max, ROOM_MAX)
    }

    /// The same with memory for `room` bytes from the start; beyond that it grows.
    pub fn with_room(size_max: usize, room: usize) -> Self {
        let mut bytes = BytesMut::with_capacity(room.min(size_max).max(HEADER_LEN));
        // Counted from now on: it becomes `Bytes`, and memory for another batch, without an allocation.
        drop(bytes.split());
        Self::within(size_max, bytes)
    }

    /// The same in this memory, as that of a batch that is no longer needed ([`Bytes::try_into_mut`]); what
    /// is in it is thrown away.
    pub fn within(size_max: usize, mut bytes: BytesMut) -> Self {
        bytes.clear();
        bytes.resize(HEADER_LEN, 0);
        Self { bytes, size_max, count: 0, base_timestamp: -1, max_timestamp: -1 }
    }

    /// Adds a record, whose offset is one above that of the record before. The timestamp is in
    /// milliseconds since 1970. Says `false`, and adds nothing, when the batch would grow above
    /// its size; the first record is taken at any size.
    ///
    /// # Errors
    /// [`BatchError::TooLarge`] for a record above the format's 2 GiB.
    pub fn append(
        &mut self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[HeaderView<'_>],
    ) -> Result<bool, BatchError> {
        if self.is_empty() {
            self.base_timestamp = timestamp;
            self.max_timestamp = timestamp;
        }
        let record = Record { timestamp, key, value, headers };
        let body_len = self.body_len(&record);
        let length =
            i32::try_from(body_len).map_err(|_| BatchError::TooLarge { size: body_len })?;
        let size = self.bytes.len() + varint::size(i64::from(length)) + body_len;
        if !self.is_empty() && (size > self.size_max || self.count == i32::MAX) {
            return Ok(false);
        }
        self.put(length, &record);
        self.count += 1;
        self.max_timestamp = self.max_timestamp.max(timestamp);
        debug_assert_eq!(self.bytes.len(), size);
        Ok(true)
    }

    /// Bytes that the batch would have with this record, header included, before compression.
    pub fn size_with(
        &self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[HeaderView<'_>],
    ) -> usize {
        let body_len = self.body_len(&Record { timestamp, key, value, headers });
        let length_len = varint::size(i64::try_from(body_len).unwrap_or(i64::MAX));
        self.bytes.len().saturating_add(length_len).saturating_add(body_len)
    }

    /// Bytes of the batch as it stands, header included, before compression.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Records so far.
    pub fn record_count(&self) -> i32 {
        self.count
    }

    /// There is no record yet.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The highest timestamp so far, in milliseconds; -1 before the first record.
    pub fn max_timestamp(&self) -> i64 {
        self.max_timestamp
    }

    /// Finishes the batch, with base offset 0 and leader epoch -1, which the leader stamps.
    ///
    /// # Errors
    /// [`BatchError::RecordCount`] without a record, [`BatchError::Compression`], or
    /// [`BatchError::TooLarge`].
    pub fn build(self, options: &BatchOptions) -> Result<Bytes, BatchError> {
        self.build_within(options, &mut Vec::new())
    }

    /// The same; a codec writes into the memory of `room` first.
    ///
    /// # Errors
    /// As [`BatchBuilder::build`].
    pub fn build_within(
        self,
        options: &BatchOptions,
        room: &mut Vec<u8>,
    ) -> Result<Bytes, BatchError> {
        let attributes = Attributes::default()
            .with_codec(options.compression.code())
            .with_transactional(options.transactional);
        self.finish(attributes, options, room)
    }

    pub(super) fn finish(
        mut self,
        attributes: Attributes,
        options: &BatchOptions,
        room: &mut Vec<u8>,
    ) -> Result<Bytes, BatchError> {
        let last_offset_delta = self.count - 1;
        if last_offset_delta < 0 {
            return Err(BatchError::RecordCount { count: 0, available: 0 });
        }
        let producer =
            options.producer.unwrap_or(Producer { id: -1, epoch: -1, base_sequence: -1 });
        let header = BatchHeader {
            base_offset: 0,
            batch_length: 0,
            partition_leader_epoch: -1,
            crc: 0,
            attributes,
            last_offset_delta,
            base_timestamp: self.base_timestamp,
            max_timestamp: self.max_timestamp,
            producer_id: producer.id,
            producer_epoch: producer.epoch,
            base_sequence: producer.base_sequence,
            record_count: self.count,
        };
        if options.compression != Compression::None {
            let records = self.bytes.get(HEADER_LEN..).unwrap_or_default();
            room.clear();
            compress_onto(options.compression, options.level, records, room)?;
            self.bytes.truncate(HEADER_LEN);
            self.bytes.extend_from_slice(room);
        }
        seal(header, &mut self.bytes)?;
        Ok(self.bytes.freeze())
    }

    fn body_len(&self, record: &Record<'_>) -> usize {
        let headers: usize = record
            .headers
            .iter()
            .map(|header| field_len(Some(header.key)) + field_len(header.value))
            .fold(0, usize::saturating_add);
        // An empty builder counts from this record's own timestamp.
        let base = if self.is_empty() { record.timestamp } else { self.base_timestamp };
        (ATTRIBUTES_LEN
            + varint::size(record.timestamp.wrapping_sub(base))
            + varint::size(i64::from(self.count))
            + varint::size(length_of(record.headers.len())))
        .saturating_add(field_len(record.key))
        .saturating_add(field_len(record.value))
        .saturating_add(headers)
    }

    fn put(&mut self, length: i32, record: &Record<'_>) {
        let out = &mut self.bytes;
        // Gathered, since the buffer looks for room each time that something is added.
        let mut numbers = [0; NUMBERS_MAX];
        let mut free = &mut numbers[..];
        varint::put_i64(&mut free, i64::from(length));
        free.put_u8(0);
        varint::put_i64(&mut free, record.timestamp.wrapping_sub(self.base_timestamp));
        varint::put_i64(&mut free, i64::from(self.count));
        let used = NUMBERS_MAX - free.len();
        out.extend_from_slice(numbers.get(..used).unwrap_or_default());
        put_field(out, record.key);
        put_field(out, record.value);
        varint::put_i64(out, length_of(record.headers.len()));
        for header in record.headers {
            put_field(out, Some(header.key));
            put_field(out, header.value);
        }
    }
}

/// A record to be laid down.
struct Record<'a> {
    timestamp: i64,
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
    headers: &'a [HeaderView<'a>],
}

fn put_field(out: &mut BytesMut, field: Option<&[u8]>) {
    match field {
        None => varint::put_i64(out, -1),
        Some(bytes) => {
            varint::put_i64(out, length_of(bytes.len()));
            out.extend_from_slice(bytes);
        }
    }
}

fn field_len(field: Option<&[u8]>) -> usize {
    match field {
        None => 1,
        Some(bytes) => varint::size(length_of(bytes.len())).saturating_add(bytes.len()),
    }
}

/// A length as it is written. No record of more than 2 GiB is, so that none here is cut.
fn length_of(len: usize) -> i64 {
    i64::try_from(len).unwrap_or(i64::MAX)
}

/// The batch of a header and what comes behind the room for it.
pub(super) fn sealed(header: BatchHeader, mut bytes: Vec<u8>) -> Result<Bytes, BatchError> {
    seal(header, &mut bytes)?;
    Ok(Bytes::from(bytes))
}

/// Puts the header, made right for the payload, into the room in front of it.
fn seal(header: BatchHeader, bytes: &mut [u8]) -> Result<(), BatchError> {
    let available = bytes.len();
    let (place, payload) = bytes
        .split_first_chunk_mut::<HEADER_LEN>()
        .ok_or(BatchError::Truncated { needed: HEADER_LEN, available })?;
    *place = header.sealed(payload)?.to_bytes();
    Ok(())
}

#[cfg(test)]
mod tests;
