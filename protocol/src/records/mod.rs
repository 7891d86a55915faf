//! Record batches, format v2 (KIP-82, KIP-98): the unit that is produced, stored, replicated and
//! fetched.
//!
//! A batch is a 61-byte header and a payload of records, compressed or not. The broker works on
//! the header alone and passes the payload on as it came; records are opened only by who must see
//! them. Nothing here trusts a length: each is held against the bytes that are really there, and
//! every decompression has a limit.
//!
//! | file | what it holds |
//! |---|---|
//! | [`header`] | the 61 header bytes: places, attribute bits, an owned copy |
//! | [`batch`] | [`batch::BatchView`], one batch over borrowed bytes |
//! | [`stamp`] | the header fields that a leader writes in place |
//! | [`record`] | the records of a batch, read lazily |
//! | [`compression`] | the codecs, each with a bound on its output |
//! | [`builder`] | makes batches as a producer does |
//! | [`control`] | transaction markers and the control records of the metadata log |
//! | [`repack`] | a batch in another codec |
//! | [`retain`] | a batch with some of its records |
//! | [`error`] | what can be wrong with a batch |

pub mod batch;
pub mod builder;
pub mod compression;
pub mod control;
mod crc;
pub mod error;
pub mod header;
pub mod record;
pub mod repack;
pub mod retain;
pub mod stamp;
mod varint;

pub use batch::BatchView;
pub use builder::{BatchBuilder, BatchOptions, Producer};
pub use compression::{Compression, CompressionError};
pub use error::{BatchError, RecordFault};
pub use header::{Attributes, BatchHeader, HEADER_LEN, TimestampType};
pub use record::{HeaderIter, HeaderView, RecordIter, RecordView};
pub use retain::Retained;
