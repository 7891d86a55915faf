//! CRC-32C: of a batch, and what becomes of one when bytes follow.

use super::header::{CRC_START, HEADER_LEN};

/// The polynomial of Castagnoli, lowest power first.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// 1 and x, lowest power first.
const ONE: u32 = 1 << 31;
const X: u32 = 1 << 30;

/// x to the power of 8·2^n, modulo the polynomial: what 2^n bytes do to a checksum.
const BYTES: [u32; 32] = powers(square(square(square(X))));

/// CRC-32C of a batch, from the attributes on.
pub(super) fn crc_of(header: &[u8; HEADER_LEN], payload: &[u8]) -> u32 {
    crc32c::crc32c_append(crc_of_header(header), payload)
}

/// CRC-32C of what a header adds to that of its batch.
pub(super) fn crc_of_header(header: &[u8; HEADER_LEN]) -> u32 {
    crc32c::crc32c(&header[CRC_START..])
}

/// What the difference of two checksums becomes when the same `bytes` bytes follow both. A CRC is
/// linear: crc(a ++ c) ^ crc(b ++ c) = shifted(crc(a) ^ crc(b), len(c)).
///
/// (`crc32c_combine` of the `crc32c` crate does the same in 40 times the time.)
pub(super) fn shifted(difference: u32, bytes: u32) -> u32 {
    let powers = BYTES.iter().enumerate().filter(|(bit, _)| bytes >> bit & 1 == 1);
    powers.fold(difference, |product, (_, power)| multiply(*power, product))
}

/// A polynomial, its square, the square of that, and so on.
const fn powers(first: u32) -> [u32; 32] {
    let mut all = [0; 32];
    let mut rest: &mut [u32] = &mut all;
    let mut power = first;
    while let Some((place, behind)) = rest.split_first_mut() {
        *place = power;
        power = square(power);
        rest = behind;
    }
    all
}

const fn square(a: u32) -> u32 {
    multiply(a, a)
}

/// The product of two polynomials over GF(2), modulo the polynomial.
const fn multiply(a: u32, mut b: u32) -> u32 {
    let mut product = 0;
    let mut bit = ONE;
    while bit != 0 {
        if a & bit != 0 {
            product ^= b;
        }
        b = b >> 1 ^ if b & 1 == 1 { POLYNOMIAL } else { 0 };
        bit >>= 1;
    }
    product
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_castagnolis() {
        // RFC 3720, B.4.
        assert_eq!(crc32c::crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn a_difference_moves_with_the_bytes_that_follow() {
        for len in [0_u32, 1, 2, 3, 8, 255, 4096, 16_385, 1 << 20, (1 << 23) + 5] {
            let tail = vec![0xa5; len as usize];
            let [one, other] = [b"one  ", b"other"].map(|head| crc32c::crc32c(head));
            let [one_long, other_long] = [one, other].map(|crc| crc32c::crc32c_append(crc, &tail));
            assert_eq!(shifted(one ^ other, len), one_long ^ other_long, "{len}");
        }
    }

    #[test]
    fn two_gigabytes_are_no_more_than_the_parts() {
        let len = i32::MAX.unsigned_abs();
        let halves = shifted(shifted(0xdead_beef, len / 2), len - len / 2);
        assert_eq!(shifted(0xdead_beef, len), halves);
        assert_eq!(shifted(0xdead_beef, len), crc32c::crc32c_combine(0xdead_beef, 0, len as usize));
    }
}
