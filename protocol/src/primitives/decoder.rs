//! Reading: every length is compared with the bytes left before it is believed.

use bytes::Bytes;
use uuid::Uuid;

use crate::error::DecodeErrorKind as Kind;
use crate::text::Text;

/// Reads primitives from the front of some bytes. Byte strings come out as slices of the same
/// memory; nothing is copied but text.
#[derive(Clone, Debug)]
pub struct Decoder {
    bytes: Bytes,
    /// Where the next value begins.
    at: usize,
    /// Where reading must stop: the end of the bytes, or of the tagged field being read.
    end: usize,
}

impl Decoder {
    /// A decoder of all of `bytes`.
    pub fn new(bytes: Bytes) -> Self {
        let end = bytes.len();
        Self { bytes, at: 0, end }
    }

    /// Bytes left to read.
    pub fn remaining(&self) -> usize {
        self.end - self.at
    }

    /// Bytes read so far.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Ends reading: an error when bytes are left.
    pub fn finish(&self) -> Result<(), Kind> {
        match self.remaining() {
            0 => Ok(()),
            unread => Err(Kind::TrailingBytes { unread }),
        }
    }

    fn rest(&self) -> &[u8] {
        self.bytes.get(self.at..self.end).unwrap_or_default()
    }

    fn truncated(&self, needed: usize) -> Kind {
        Kind::Truncated { needed, remaining: self.remaining() }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Kind> {
        let value = *self.rest().first_chunk::<N>().ok_or_else(|| self.truncated(N))?;
        self.at += N;
        Ok(value)
    }

    /// One byte; any but 0 is true.
    pub fn bool(&mut self) -> Result<bool, Kind> {
        Ok(self.i8()? != 0)
    }

    /// Kafka's `int8`.
    pub fn i8(&mut self) -> Result<i8, Kind> {
        self.array().map(i8::from_be_bytes)
    }

    /// Kafka's `int16`.
    pub fn i16(&mut self) -> Result<i16, Kind> {
        self.array().map(i16::from_be_bytes)
    }

    /// Kafka's `uint16`.
    pub fn u16(&mut self) -> Result<u16, Kind> {
        self.array().map(u16::from_be_bytes)
    }

    /// Kafka's `int32`.
    pub fn i32(&mut self) -> Result<i32, Kind> {
        self.array().map(i32::from_be_bytes)
    }

    /// Kafka's `uint32`.
    pub fn u32(&mut self) -> Result<u32, Kind> {
        self.array().map(u32::from_be_bytes)
    }

    /// Kafka's `int64`.
    pub fn i64(&mut self) -> Result<i64, Kind> {
        self.array().map(i64::from_be_bytes)
    }

    /// Kafka's `float64`.
    pub fn f64(&mut self) -> Result<f64, Kind> {
        self.array().map(f64::from_be_bytes)
    }

    /// Sixteen bytes.
    pub fn uuid(&mut self) -> Result<Uuid, Kind> {
        self.array().map(Uuid::from_bytes)
    }

    /// An unsigned integer in groups of seven bits, the lowest first.
    pub fn uvarint(&mut self) -> Result<u32, Kind> {
        let mut value = 0;
        for (index, byte) in self.rest().iter().take(5).enumerate() {
            let group = u32::from(byte & 0x7f);
            // The fifth byte has room for the four highest bits only.
            if index == 4 && group > 0x0f {
                return Err(Kind::VarintTooLong);
            }
            value |= group << (7 * index);
            if byte & 0x80 == 0 {
                self.at += index + 1;
                return Ok(value);
            }
        }
        match self.remaining() {
            remaining @ 0..5 => Err(Kind::Truncated { needed: remaining + 1, remaining }),
            _ => Err(Kind::VarintTooLong),
        }
    }

    /// The next `len` bytes, sharing memory with the whole.
    pub fn take(&mut self, len: usize) -> Result<Bytes, Kind> {
        if len > self.remaining() {
            return Err(self.truncated(len));
        }
        let taken = self.bytes.slice(self.at..self.at + len);
        self.at += len;
        Ok(taken)
    }

    /// Passes over the next `len` bytes.
    pub fn skip(&mut self, len: usize) -> Result<(), Kind> {
        if len > self.remaining() {
            return Err(self.truncated(len));
        }
        self.at += len;
        Ok(())
    }

    /// Runs `read` on the next `len` bytes alone; it must read all of them.
    pub fn within<T, E: From<Kind>>(
        &mut self,
        len: usize,
        read: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        if len > self.remaining() {
            return Err(self.truncated(len).into());
        }
        let outer = self.end;
        self.end = self.at + len;
        let value = read(self)?;
        let unread = self.remaining();
        self.end = outer;
        if unread == 0 { Ok(value) } else { Err(Kind::TagNotFilled { unread }.into()) }
    }

    /// A string's length in bytes (`None`: null): compact, or an `int16`.
    fn text_len(&mut self, compact: bool) -> Result<Option<usize>, Kind> {
        if compact { self.compact_len() } else { self.i16().and_then(|len| length(len.into())) }
    }

    /// A byte string's length or an array's count (`None`: null): compact, or an `int32`.
    fn wide_len(&mut self, compact: bool) -> Result<Option<usize>, Kind> {
        if compact { self.compact_len() } else { self.i32().and_then(length) }
    }

    /// A length plus one; zero is null.
    fn compact_len(&mut self) -> Result<Option<usize>, Kind> {
        Ok(self.uvarint()?.checked_sub(1).map(|len| len as usize))
    }

    /// A string, or null.
    pub fn text(&mut self, compact: bool) -> Result<Option<Text>, Kind> {
        let Some(len) = self.text_len(compact)? else { return Ok(None) };
        let raw = self.rest().get(..len).ok_or_else(|| self.truncated(len))?;
        let text = Text::from(str::from_utf8(raw).map_err(|_| Kind::NotUtf8)?);
        self.at += len;
        Ok(Some(text))
    }

    /// A byte string, or null; it shares memory with the whole.
    pub fn blob(&mut self, compact: bool) -> Result<Option<Bytes>, Kind> {
        match self.wide_len(compact)? {
            Some(len) => self.take(len).map(Some),
            None => Ok(None),
        }
    }

    /// An array's count, or null. `element` is the least number of bytes that one element takes: a
    /// count that the bytes left can't hold is refused here, before anyone makes room for it.
    pub fn count(&mut self, compact: bool, element: usize) -> Result<Option<usize>, Kind> {
        let Some(count) = self.wide_len(compact)? else { return Ok(None) };
        let remaining = self.remaining();
        if count > remaining / element.max(1) {
            return Err(Kind::CountTooLarge { count, remaining });
        }
        Ok(Some(count))
    }
}

/// A length sent as a signed number: -1 is null, other negative numbers are wrong.
fn length(length: i32) -> Result<Option<usize>, Kind> {
    match usize::try_from(length) {
        Ok(len) => Ok(Some(len)),
        Err(_) if length == -1 => Ok(None),
        Err(_) => Err(Kind::NegativeLength { length }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoder(bytes: &'static [u8]) -> Decoder {
        Decoder::new(Bytes::from_static(bytes))
    }

    #[test]
    fn a_length_beyond_the_end_is_refused_before_anything_is_read() {
        let truncated = Err(Kind::Truncated { needed: 0x7fff_ffff, remaining: 1 });
        assert_eq!(decoder(b"\x7f\xff\xff\xffx").blob(false), truncated);
        assert_eq!(
            decoder(b"\x00\x02x").text(false),
            Err(Kind::Truncated { needed: 2, remaining: 1 })
        );
        assert_eq!(
            decoder(b"\x7f\xff\xff\xff....").count(false, 4),
            Err(Kind::CountTooLarge { count: 0x7fff_ffff, remaining: 4 })
        );
        assert_eq!(decoder(b"\x00\x00\x00\x02........").count(false, 4), Ok(Some(2)));
    }

    #[test]
    fn minus_one_and_compact_zero_are_null_and_minus_two_is_wrong() {
        assert_eq!(decoder(b"\xff\xff").text(false), Ok(None));
        assert_eq!(decoder(b"\x00").text(true), Ok(None));
        assert_eq!(decoder(b"\xff\xff\xff\xff").blob(false), Ok(None));
        let negative = Kind::NegativeLength { length: -2 };
        assert_eq!(decoder(b"\xff\xfe").text(false), Err(negative));
        assert_eq!(decoder(b"\xff\xff\xff\xfe").count(false, 1), Err(negative));
    }

    #[test]
    fn a_varint_ends_within_32_bits() {
        assert_eq!(decoder(b"\xff\xff\xff\xff\x1f").uvarint(), Err(Kind::VarintTooLong));
        assert_eq!(decoder(b"\x80\x80\x80\x80\x80\x00").uvarint(), Err(Kind::VarintTooLong));
        assert_eq!(
            decoder(b"\x80\x80").uvarint(),
            Err(Kind::Truncated { needed: 3, remaining: 2 })
        );
    }

    #[test]
    fn a_tagged_value_can_neither_leave_its_size_nor_fall_short_of_it() {
        let mut tagged = decoder(b"\x00\x01\x02\x03");
        let inner = tagged.within(2, |inner| inner.i32());
        assert_eq!(inner, Err(Kind::Truncated { needed: 4, remaining: 2 }));
        let mut tagged = decoder(b"\x00\x01\x02\x03");
        assert_eq!(tagged.within(3, |inner| inner.i16()), Err(Kind::TagNotFilled { unread: 1 }));
    }

    #[test]
    fn text_must_be_utf8() {
        assert_eq!(decoder(b"\x00\x02\xff\xfe").text(false), Err(Kind::NotUtf8));
    }

    #[test]
    fn a_byte_string_shares_the_memory_it_was_read_from() {
        let whole = Bytes::from(b"\x00\x00\x00\x03abc".to_vec());
        let blob = Decoder::new(whole.clone()).blob(false).unwrap().unwrap();
        assert_eq!(blob.as_ptr(), whole.slice(4..).as_ptr());
    }
}
