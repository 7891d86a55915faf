//! What can be wrong with a record batch.

use thiserror::Error;

/// Why bytes are not the record batch they claim to be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BatchError {
    /// The bytes end before the batch does: a cut-off batch, or the tail of a page-limited read.
    #[error("record batch is cut off: {needed} bytes needed, {available} there")]
    Truncated {
        /// Bytes the batch needs, as far as can be told from what is there.
        needed: usize,
        /// Bytes that are there.
        available: usize,
    },
    /// The length field is negative or too small to hold a header.
    #[error(
        "record batch length {length} is below the {} of an empty batch",
        super::header::MIN_BATCH_LENGTH
    )]
    Length {
        /// The length field: bytes that follow it.
        length: i32,
    },
    /// The format is not v2. Magic 0 and 1 are the message sets of before Kafka 0.11.
    #[error("record batch has magic {magic}, only magic 2 is served")]
    Magic {
        /// The magic byte.
        magic: i8,
    },
    /// The CRC-32C over the batch, from the attributes on, is not the stored one.
    #[error("record batch has crc {stored:#010x}, its bytes give {computed:#010x}")]
    Crc {
        /// The checksum in the header.
        stored: u32,
        /// The checksum of the bytes.
        computed: u32,
    },
    /// A batch that was to be made does not fit the 32-bit length field.
    #[error("record batch of {size} bytes is above the format's 2 GiB")]
    TooLarge {
        /// Bytes that the length field would have to count.
        size: usize,
    },
    /// The compression bits of the attributes name no codec.
    #[error("record batch names compression codec {code}, known are 0 to 4")]
    Codec {
        /// The three compression bits.
        code: u8,
    },
}
