//! The primitive values of the protocol: fixed-width big-endian numbers, variable-length numbers,
//! and lengths in their old (int16, int32) and compact form (KIP-482).
//!
//! [`Decoder`] reads them out of one [`bytes::Bytes`] and believes no length before it has compared
//! it with what is really there. [`Encoder`] writes them into [`Chunks`], in which record bytes keep
//! their own memory.

mod decoder;
mod encoder;

pub use decoder::Decoder;
pub use encoder::{Arena, Chunks, Encoder, SHARED_MIN, Size};

/// Bytes that `value` takes as an unsigned variable-length integer: 1 to 5.
pub const fn uvarint_len(value: u32) -> usize {
    // ceil(significant bits / 7), and one byte for zero.
    let bits = 32 - (value | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    #[test]
    fn a_uvarint_reads_back_at_every_width() {
        let edges = [0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, 268_435_455, u32::MAX];
        for value in edges {
            let mut encoder = Encoder::new();
            encoder.uvarint(value);
            let bytes = encoder.finish().into_bytes();
            assert_eq!(bytes.len(), uvarint_len(value), "{value}");
            assert_eq!(Decoder::new(bytes).uvarint(), Ok(value));
        }
    }

    #[test]
    fn a_uvarint_of_the_specification() {
        let mut encoder = Encoder::new();
        encoder.uvarint(300);
        assert_eq!(encoder.finish().into_bytes(), Bytes::from_static(&[0xac, 0x02]));
    }
}
