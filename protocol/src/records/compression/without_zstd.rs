//! What stands for zstd in a build without the feature of that name: an error that says so.

use super::{Compression, CompressionError};

const LEFT_OUT: CompressionError = CompressionError::LeftOut { codec: Compression::Zstd };

pub(super) fn compress(_: i32, _: &[u8], _: &mut Vec<u8>) -> Result<(), CompressionError> {
    Err(LEFT_OUT)
}

pub(super) fn decompress(_: &[u8], _: usize, _: &mut Vec<u8>) -> Result<(), CompressionError> {
    Err(LEFT_OUT)
}

#[test]
fn a_build_without_zstd_says_so() {
    let error = super::decompress(Compression::Zstd, b"any", 9).unwrap_err();
    assert_eq!(error, super::compress(Compression::Zstd, None, b"any").unwrap_err());
    assert!(error.to_string().contains("the feature `zstd`"), "{error}");
}
