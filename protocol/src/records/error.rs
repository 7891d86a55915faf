//! What can be wrong with a record batch.

use thiserror::Error;

use super::compression::CompressionError;

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
    /// The payload could not be decompressed, or the records not compressed.
    #[error(transparent)]
    Compression(#[from] CompressionError),
    /// The record count is negative, or more than the payload has room for.
    #[error("record batch claims {count} records in {available} bytes")]
    RecordCount {
        /// The count in the header.
        count: i32,
        /// Bytes of the payload, decompressed.
        available: usize,
    },
    /// A record is not what the format says.
    #[error("record {index} of the batch: {fault}")]
    Record {
        /// Place of the record in the batch, from 0.
        index: i32,
        /// What is wrong with it.
        fault: RecordFault,
    },
    /// There are bytes behind the last record.
    #[error("record batch has {bytes} bytes behind its last record")]
    Unread {
        /// How many.
        bytes: usize,
    },
}

/// What is wrong with a single record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RecordFault {
    /// The field reaches past the end of the record, or the record past the end of the batch.
    #[error("{field} is cut off")]
    Truncated {
        /// The field.
        field: &'static str,
    },
    /// The field's number is cut off or does not fit its type.
    #[error("{field} is no whole number of its size")]
    Number {
        /// The field.
        field: &'static str,
    },
    /// The field's length is negative (and not the -1 that says "none", where that is allowed).
    #[error("{field} has length {length}")]
    Length {
        /// The field.
        field: &'static str,
        /// The length as it stands.
        length: i32,
    },
    /// The header count is negative, or more than the record has room for.
    #[error("claims {count} headers in {available} bytes")]
    HeaderCount {
        /// The count as it stands.
        count: i32,
        /// Bytes of the record that are left for the headers.
        available: usize,
    },
    /// The record's length counts more bytes than its fields take.
    #[error("has {bytes} bytes behind its last field")]
    Unread {
        /// How many.
        bytes: usize,
    },
}
