//! The messages, one file an API. Structs and fields have the names of Kafka's message definitions.

use crate::api::{ApiKey, VersionRange};
use crate::error::{DecodeError, EncodeError};
use crate::primitives::{Decoder, Encoder, Size};
use crate::schema::Schema;

pub mod api_versions;
pub mod metadata;
pub mod produce;

pub use api_versions::{ApiVersionsRequest, ApiVersionsResponse};
pub use metadata::{MetadataRequest, MetadataResponse};
pub use produce::{ProduceRequest, ProduceResponse};

/// A body of a request or a response, in every version that is served.
///
/// A struct holds the fields of all versions; a field that a version lacks reads as its default.
/// On writing, a value in a field that the version lacks is dropped when Kafka calls the field
/// ignorable, and is an error otherwise.
pub trait Message: Sized {
    /// The API that it belongs to.
    const KEY: ApiKey;
    /// Kafka's name, like `ProduceRequest`.
    const NAME: &'static str;
    /// The versions that can be read and written.
    const VERSIONS: VersionRange;
    /// The declaration, as data.
    const SCHEMA: &'static Schema;

    /// Appends the body to `encoder`.
    fn encode(&self, encoder: &mut Encoder, version: i16) -> Result<(), EncodeError>;

    /// Reads a body; what follows it in `decoder` is left there.
    fn decode(decoder: &mut Decoder, version: i16) -> Result<Self, DecodeError>;

    /// Counts what [`encode`](Self::encode) writes.
    fn measure(&self, version: i16) -> Size;

    /// The exact number of bytes that [`encode`](Self::encode) writes.
    fn size(&self, version: i16) -> usize {
        self.measure(version).total()
    }
}

/// A message that a client sends, and the answer to it.
pub trait Request: Message {
    /// The answer.
    type Response: Message;
}
