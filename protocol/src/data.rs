//! Data that is declared like a message and belongs to no API: it lies inside the bytes of messages
//! ([`consumer_protocol`](crate::consumer_protocol)) or in records
//! ([`group_records`](crate::group_records)), as a rule behind its version, an int16.

use bytes::Bytes;

use crate::api::VersionRange;
use crate::error::{DataDecodeError, DataEncodeError, DecodeErrorKind, Failure};
use crate::primitives::{Decoder, Encoder};
use crate::schema::Schema;

/// Data in every version that Kafka 4.3 knows. Fields behave as those of a
/// [`Message`](crate::messages::Message).
pub trait Data: Sized {
    /// Kafka's name, like `OffsetCommitValue`.
    const NAME: &'static str;
    /// The versions that can be read and written.
    const VERSIONS: VersionRange;
    /// The first version with compact lengths and tagged fields (KIP-482), if there is one.
    const FIRST_FLEXIBLE: Option<i16>;
    /// The declaration, as data.
    const SCHEMA: &'static Schema;

    /// Appends the fields to `encoder`, without the version.
    fn encode(&self, encoder: &mut Encoder, version: i16) -> Result<(), DataEncodeError>;

    /// Reads the fields of this version; what follows them in `decoder` is left there.
    fn decode(decoder: &mut Decoder, version: i16) -> Result<Self, DataDecodeError>;

    /// Whether this version has compact lengths and tagged fields.
    fn is_flexible(version: i16) -> bool {
        Self::FIRST_FLEXIBLE.is_some_and(|first| version >= first)
    }

    /// The fields behind `prefix`, an int16: their version, or what stands in its place.
    fn prefixed(&self, prefix: i16, version: i16) -> Result<Bytes, DataEncodeError> {
        let mut encoder = Encoder::new();
        encoder.i16(prefix);
        self.encode(&mut encoder, version)?;
        Ok(encoder.finish().into_bytes())
    }
}

/// Reads the int16 at the front of `data`.
pub(crate) fn prefix_of(data: &'static str, decoder: &mut Decoder) -> Result<i16, DataDecodeError> {
    decoder.i16().map_err(|kind| refused(data, kind, 0))
}

/// The error of `data` as a whole.
pub(crate) fn refused(data: &'static str, kind: DecodeErrorKind, version: i16) -> DataDecodeError {
    Failure { field: data, kind }.of_data(data, version)
}
