//! Numbers of 1 to 10 bytes, seven bits a byte, low bits first, the top bit for "more to come";
//! signed ones zigzag so that small negatives stay short. Kafka's records are made of these.

use bytes::BufMut;

/// The varint at the front of `bytes` and what follows it; `None` when it is cut off or does not
/// fit 32 bits.
#[inline]
pub(super) fn read_i32(bytes: &[u8]) -> Option<(i32, &[u8])> {
    let (raw, rest) = read::<5>(bytes)?;
    let raw = u32::try_from(raw).ok()?;
    Some(((raw >> 1).cast_signed() ^ -(raw & 1).cast_signed(), rest))
}

/// The varlong at the front of `bytes` and what follows it; `None` when it is cut off or does not
/// fit 64 bits.
#[inline]
pub(super) fn read_i64(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let (raw, rest) = read::<10>(bytes)?;
    Some(((raw >> 1).cast_signed() ^ -(raw & 1).cast_signed(), rest))
}

#[inline]
fn read<const BYTES_MAX: usize>(bytes: &[u8]) -> Option<(u64, &[u8])> {
    // Most numbers in a record are below 64.
    let (&first, rest) = bytes.split_first()?;
    if first < 0x80 {
        return Some((u64::from(first), rest));
    }
    read_long::<BYTES_MAX>(u64::from(first & 0x7f), rest)
}

fn read_long<const BYTES_MAX: usize>(mut number: u64, mut rest: &[u8]) -> Option<(u64, &[u8])> {
    for index in 1..BYTES_MAX {
        let (&byte, tail) = rest.split_first()?;
        let bits = u64::from(byte & 0x7f);
        let shift = 7 * index;
        if bits << shift >> shift != bits {
            return None;
        }
        number |= bits << shift;
        rest = tail;
        if byte < 0x80 {
            return Some((number, rest));
        }
    }
    None
}

/// Writes a varlong. The same number as a varint has the same bytes.
pub(super) fn put_i64(out: &mut impl BufMut, number: i64) {
    let mut raw = zigzag(number);
    if raw < 0x80 {
        // Most numbers in a record are below 64.
        out.put_u8(raw as u8);
        return;
    }
    while raw >= 0x80 {
        out.put_u8((raw & 0x7f) as u8 | 0x80);
        raw >>= 7;
    }
    out.put_u8(raw as u8);
}

/// Bytes that `number` takes, as a varint or varlong.
pub(super) fn size(number: i64) -> usize {
    let bits = 64 - (zigzag(number) | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

fn zigzag(number: i64) -> u64 {
    (number << 1 ^ number >> 63).cast_unsigned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bytes_are_kafkas() {
        // From Kafka's ByteUtilsTest.
        for (number, bytes) in [
            (0, &[0x00][..]),
            (-1, &[0x01]),
            (1, &[0x02]),
            (63, &[0x7e]),
            (-64, &[0x7f]),
            (64, &[0x80, 0x01]),
            (8191, &[0xfe, 0x7f]),
            (-8192, &[0xff, 0x7f]),
            (i32::MAX, &[0xfe, 0xff, 0xff, 0xff, 0x0f]),
            (i32::MIN, &[0xff, 0xff, 0xff, 0xff, 0x0f]),
        ] {
            let mut out = Vec::new();
            put_i64(&mut out, i64::from(number));
            assert_eq!(out, bytes, "{number}");
            assert_eq!(read_i32(bytes), Some((number, &[][..])));
            assert_eq!(read_i64(bytes), Some((i64::from(number), &[][..])));
        }
        let mut out = Vec::new();
        put_i64(&mut out, i64::MIN);
        assert_eq!(out, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]);
    }

    #[test]
    fn numbers_that_do_not_fit_are_refused() {
        assert_eq!(read_i32(&[]), None);
        assert_eq!(read_i32(&[0x80]), None);
        assert_eq!(read_i32(&[0xff, 0xff, 0xff, 0xff, 0x10]), None);
        assert_eq!(read_i32(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x00]), None);
        assert_eq!(read_i64(&[0xff; 9]), None);
        assert_eq!(read_i64(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02]), None);
        assert_eq!(read_i64(&[0x80; 11]), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn numbers_round_trip(number: i64, shift in 0..64_u32) {
            let number = number >> shift;
            let mut out = Vec::new();
            put_i64(&mut out, number);
            prop_assert_eq!(out.len(), size(number));
            out.push(9);
            prop_assert_eq!(read_i64(&out), Some((number, &[9][..])));
            prop_assert_eq!(
                read_i32(&out),
                i32::try_from(number).ok().map(|number| (number, &[9][..]))
            );
        }
    }
}
