//! Writing: small values into one buffer, large byte strings as chunks of their own.

use bytes::{BufMut, Bytes, BytesMut};
use uuid::Uuid;

use super::uvarint_len;
use crate::error::EncodeErrorKind as Kind;

/// Byte strings of at least this many bytes are not copied: they become a chunk of the answer.
pub const SHARED_MIN: usize = 1024;

/// Lists of chunks that an arena keeps, and how many chunks the longest of them has room for.
const LISTS: usize = 8;
const LIST_CHUNKS: usize = 256;

/// Memory that many messages are written into, one after another.
#[derive(Debug, Default)]
pub struct Arena {
    /// For what is copied: each message takes what it needs.
    pub bytes: BytesMut,
    /// For chunks; they are empty.
    lists: Vec<Vec<Bytes>>,
}

impl Arena {
    /// Takes back the list of a message's chunks ([`Chunks::into_vec`]).
    pub fn keep(&mut self, mut list: Vec<Bytes>) {
        if self.lists.len() < LISTS && list.capacity() <= LIST_CHUNKS {
            list.clear();
            self.lists.push(list);
        }
    }
}

/// Collects a message. What it is handed as [`Bytes`] of [`SHARED_MIN`] or more keeps its memory.
#[derive(Debug, Default)]
pub struct Encoder {
    chunks: Vec<Bytes>,
    /// Bytes in `chunks`.
    chunked: usize,
    tail: BytesMut,
}

impl Encoder {
    /// An empty encoder that has reserved nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty encoder with room for a message of this size.
    pub fn with_room(size: &Size) -> Self {
        Self {
            chunks: Vec::with_capacity(2 * size.shared_chunks + 1),
            chunked: 0,
            tail: BytesMut::with_capacity(size.copied()),
        }
    }

    /// The same in the memory of `arena`, which [`finish_within`](Self::finish_within) gives back: many
    /// messages share an allocation then. A message that it has no room for gets memory of its own.
    pub fn within(arena: &mut Arena, size: &Size) -> Self {
        let mut chunks = arena.lists.pop().unwrap_or_default();
        chunks.reserve(2 * size.shared_chunks + 1);
        let tail = match size.copied() {
            copied if copied > arena.bytes.capacity() => BytesMut::with_capacity(copied),
            _ => std::mem::take(&mut arena.bytes),
        };
        Self { chunks, chunked: 0, tail }
    }

    /// Bytes written so far.
    pub fn len(&self) -> usize {
        self.chunked + self.tail.len()
    }

    /// Whether nothing has been written.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The message as chunks, in order.
    pub fn finish(mut self) -> Chunks {
        self.cut();
        Chunks { chunks: self.chunks, len: self.chunked }
    }

    /// The message as chunks, in order; what is left of the memory goes back to the arena.
    pub fn finish_within(mut self, arena: &mut Arena) -> Chunks {
        self.cut();
        if arena.bytes.capacity() == 0 {
            arena.bytes = self.tail;
        }
        Chunks { chunks: self.chunks, len: self.chunked }
    }

    /// Ends the chunk being filled.
    fn cut(&mut self) {
        if !self.tail.is_empty() {
            self.chunked += self.tail.len();
            self.chunks.push(self.tail.split().freeze());
        }
    }

    /// One byte, 1 or 0.
    pub fn bool(&mut self, value: bool) {
        self.tail.put_u8(value.into());
    }

    /// Kafka's `int8`.
    pub fn i8(&mut self, value: i8) {
        self.tail.put_i8(value);
    }

    /// Kafka's `int16`.
    pub fn i16(&mut self, value: i16) {
        self.tail.put_i16(value);
    }

    /// Kafka's `uint16`.
    pub fn u16(&mut self, value: u16) {
        self.tail.put_u16(value);
    }

    /// Kafka's `int32`.
    pub fn i32(&mut self, value: i32) {
        self.tail.put_i32(value);
    }

    /// Kafka's `uint32`.
    pub fn u32(&mut self, value: u32) {
        self.tail.put_u32(value);
    }

    /// Kafka's `int64`.
    pub fn i64(&mut self, value: i64) {
        self.tail.put_i64(value);
    }

    /// Kafka's `float64`.
    pub fn f64(&mut self, value: f64) {
        self.tail.put_f64(value);
    }

    /// Sixteen bytes.
    pub fn uuid(&mut self, value: Uuid) {
        self.tail.put_slice(value.as_bytes());
    }

    /// An unsigned integer in groups of seven bits, the lowest first.
    pub fn uvarint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.tail.put_u8(value as u8 | 0x80);
            value >>= 7;
        }
        self.tail.put_u8(value as u8);
    }

    /// These bytes as they are, copied.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.tail.put_slice(bytes);
    }

    /// These bytes as they are: without a copy when they are [`SHARED_MIN`] or more.
    pub fn append(&mut self, bytes: &Bytes) {
        if bytes.len() < SHARED_MIN {
            self.tail.put_slice(bytes);
        } else {
            self.cut();
            self.chunked += bytes.len();
            self.chunks.push(bytes.clone());
        }
    }

    /// A string, or null.
    pub fn text(&mut self, value: Option<&str>, compact: bool) -> Result<(), Kind> {
        match value {
            None if compact => self.uvarint(0),
            None => self.i16(-1),
            Some(text) => {
                let length = text.len();
                if compact {
                    self.uvarint(compact_len(length)?);
                } else {
                    self.i16(i16::try_from(length).map_err(|_| Kind::TooLong { length })?);
                }
                self.raw(text.as_bytes());
            }
        }
        Ok(())
    }

    /// A byte string, or null.
    pub fn blob(&mut self, value: Option<&Bytes>, compact: bool) -> Result<(), Kind> {
        self.count(value.map(Bytes::len), compact)?;
        if let Some(bytes) = value {
            self.append(bytes);
        }
        Ok(())
    }

    /// An array's count (or a byte string's length), or null.
    pub fn count(&mut self, value: Option<usize>, compact: bool) -> Result<(), Kind> {
        match value {
            None if compact => self.uvarint(0),
            None => self.i32(-1),
            Some(length) if compact => self.uvarint(compact_len(length)?),
            Some(length) => self.i32(i32::try_from(length).map_err(|_| Kind::TooLong { length })?),
        }
        Ok(())
    }
}

/// A length in compact form: plus one, and at most what Kafka's signed lengths can say.
fn compact_len(length: usize) -> Result<u32, Kind> {
    i32::try_from(length).map(|len| len as u32 + 1).map_err(|_| Kind::TooLong { length })
}

/// How long a message is, counted before it is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    total: usize,
    shared: usize,
    shared_chunks: usize,
}

impl Size {
    /// Nothing counted yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes of the whole message.
    pub fn total(&self) -> usize {
        self.total
    }

    /// Bytes that the encoder will copy into a buffer of its own; the rest keeps its memory.
    pub fn copied(&self) -> usize {
        self.total - self.shared
    }

    /// Counts `bytes` more bytes.
    pub fn add(&mut self, bytes: usize) {
        self.total += bytes;
    }

    /// Counts what has been counted apart.
    pub fn include(&mut self, part: &Self) {
        self.total += part.total;
        self.shared += part.shared;
        self.shared_chunks += part.shared_chunks;
    }

    /// Counts a string.
    pub fn text(&mut self, value: Option<&str>, compact: bool) {
        self.add(match value {
            None if compact => 1,
            None => 2,
            Some(text) if compact => uvarint_len(saturating_compact(text.len())) + text.len(),
            Some(text) => 2 + text.len(),
        });
    }

    /// Counts a byte string.
    pub fn blob(&mut self, value: Option<&Bytes>, compact: bool) {
        self.count(value.map(Bytes::len), compact);
        if let Some(bytes) = value {
            self.append(bytes);
        }
    }

    /// Counts these bytes as they are.
    pub fn append(&mut self, bytes: &Bytes) {
        self.add(bytes.len());
        if bytes.len() >= SHARED_MIN {
            self.shared += bytes.len();
            self.shared_chunks += 1;
        }
    }

    /// Counts an array's count, not its elements.
    pub fn count(&mut self, value: Option<usize>, compact: bool) {
        self.add(match value {
            None if compact => 1,
            Some(count) if compact => uvarint_len(saturating_compact(count)),
            _ => 4,
        });
    }
}

/// A length in compact form; one that is too long for it fails when it is written.
fn saturating_compact(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX).saturating_add(1)
}

/// A message ready to be written: its bytes in order, in as many chunks as share memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chunks {
    chunks: Vec<Bytes>,
    len: usize,
}

impl Chunks {
    /// Bytes in all chunks.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The chunks, none of them empty.
    pub fn as_slice(&self) -> &[Bytes] {
        &self.chunks
    }

    /// The chunks, none of them empty.
    pub fn into_vec(self) -> Vec<Bytes> {
        self.chunks
    }

    /// One run of bytes; copies unless there is one chunk only.
    pub fn into_bytes(mut self) -> Bytes {
        if self.chunks.len() == 1 {
            return self.chunks.pop().unwrap_or_default();
        }
        let mut whole = BytesMut::with_capacity(self.len);
        for chunk in &self.chunks {
            whole.extend_from_slice(chunk);
        }
        whole.freeze()
    }
}

impl IntoIterator for Chunks {
    type Item = Bytes;
    type IntoIter = std::vec::IntoIter<Bytes>;

    fn into_iter(self) -> Self::IntoIter {
        self.chunks.into_iter()
    }
}

impl From<Bytes> for Chunks {
    fn from(bytes: Bytes) -> Self {
        let len = bytes.len();
        Self { chunks: if len == 0 { Vec::new() } else { vec![bytes] }, len }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_byte_string_keeps_its_memory_and_a_small_one_is_copied() {
        let large = Bytes::from(vec![7; SHARED_MIN]);
        let mut encoder = Encoder::new();
        encoder.i32(1);
        encoder.blob(Some(&large), false).unwrap();
        encoder.blob(Some(&Bytes::from_static(b"small")), true).unwrap();
        let chunks = encoder.finish();
        assert_eq!(chunks.len(), 4 + 4 + SHARED_MIN + 1 + 5);
        let lens: Vec<usize> = chunks.as_slice().iter().map(Bytes::len).collect();
        assert_eq!(lens, [8, SHARED_MIN, 6]);
        assert_eq!(chunks.as_slice()[1].as_ptr(), large.as_ptr());
        assert_eq!(chunks.clone().into_bytes().len(), chunks.len());
    }

    #[test]
    fn messages_in_one_arena_share_its_memory_and_a_long_one_has_its_own() {
        const ROOM: usize = 2000;
        let mut arena = Arena { bytes: BytesMut::with_capacity(ROOM), ..Arena::default() };
        let mut message = |number: i32, text: &str| {
            let mut size = Size::new();
            size.add(4);
            size.text(Some(text), true);
            let mut encoder = Encoder::within(&mut arena, &size);
            encoder.i32(number);
            encoder.text(Some(text), true).unwrap();
            encoder.finish_within(&mut arena).into_bytes()
        };
        let messages: Vec<Bytes> = (0..100).map(|number| message(number, "orders")).collect();
        let long = message(100, &"x".repeat(ROOM));
        let after = message(101, "orders");
        for (number, message) in (0..).zip(&messages) {
            assert_eq!(message[..4], i32::to_be_bytes(number));
            assert_eq!(message[4..], b"\x07orders"[..]);
        }
        let start = messages[0].as_ptr() as usize;
        let away = |message: &Bytes| (message.as_ptr() as usize).wrapping_sub(start);
        assert_eq!(away(&messages[99]), 99 * messages[0].len());
        assert_eq!(away(&after), 100 * messages[0].len(), "the long one took none of it");
        assert!(long.len() > ROOM && away(&long) > ROOM);
    }

    #[test]
    fn a_list_of_chunks_is_used_again() {
        let mut arena = Arena::default();
        let large = Bytes::from(vec![7; SHARED_MIN]);
        let mut size = Size::new();
        size.append(&large);
        let list = |arena: &mut Arena| {
            let mut encoder = Encoder::within(arena, &size);
            encoder.append(&large);
            encoder.finish_within(arena).into_vec()
        };
        let first = list(&mut arena);
        let place = first.as_ptr();
        arena.keep(first);
        let second = list(&mut arena);
        assert_eq!((second.as_ptr(), second.len()), (place, 1));
        arena.keep(Vec::with_capacity(LIST_CHUNKS + 1));
        assert!(arena.lists.is_empty(), "of a message of unusual length");
        (0..2 * LISTS).for_each(|_| arena.keep(Vec::with_capacity(1)));
        assert_eq!(arena.lists.len(), LISTS);
    }

    #[test]
    fn a_string_too_long_for_its_length_field_is_an_error() {
        let text = "x".repeat(32_768);
        let too_long = Err(Kind::TooLong { length: 32_768 });
        assert_eq!(Encoder::new().text(Some(&text), false), too_long);
        assert_eq!(Encoder::new().text(Some(&text), true), Ok(()));
    }

    #[test]
    fn the_size_counted_is_the_size_written() {
        let large = Bytes::from(vec![7; 5000]);
        for compact in [false, true] {
            let (mut size, mut encoder) = (Size::new(), Encoder::new());
            for text in [None, Some(""), Some("orders")] {
                size.text(text, compact);
                encoder.text(text, compact).unwrap();
            }
            for blob in [None, Some(&Bytes::new()), Some(&large)] {
                size.blob(blob, compact);
                encoder.blob(blob, compact).unwrap();
            }
            assert_eq!(size.total(), encoder.len());
            assert_eq!(size.copied(), encoder.len() - 5000);
        }
    }
}
