//! What stands before every body: which API and version, who asks, and the number that joins an
//! answer to its request.

use crate::api::ApiKey;
use crate::error::DecodeErrorKind;
use crate::primitives::{Decoder, Encoder, Size};
use crate::text::Text;

/// The header of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHeader {
    /// The API asked.
    pub api: ApiKey,
    /// The version of header and body; not yet compared with what is served.
    pub version: i16,
    /// The number that the answer repeats.
    pub correlation_id: i32,
    /// Who the client says it is (`client.id`), for logs and quotas.
    pub client_id: Option<Text>,
}

/// The header of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseHeader {
    /// The number of the request that is answered.
    pub correlation_id: i32,
}

/// Bytes that are no header of a request. There is no answer to them: the connection closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// An API that Kafka does not have. What follows can't be understood.
    #[error("api key {key} (version {version}) is not one of kafka's")]
    UnknownApi {
        /// The key as it was sent.
        key: i16,
        /// The version as it was sent.
        version: i16,
    },
    /// A header that is cut off or damaged.
    #[error("the request header is malformed: it {0}")]
    Malformed(DecodeErrorKind),
}

impl From<DecodeErrorKind> for HeaderError {
    fn from(kind: DecodeErrorKind) -> Self {
        Self::Malformed(kind)
    }
}

impl RequestHeader {
    /// Reads a header; the decoder then stands at the body.
    pub fn decode(decoder: &mut Decoder) -> Result<Self, HeaderError> {
        let (key, version) = (decoder.i16()?, decoder.i16()?);
        let api = ApiKey::from_code(key).ok_or(HeaderError::UnknownApi { key, version })?;
        let correlation_id = decoder.i32()?;
        // The client id keeps its int16 length in flexible headers too.
        let client_id = decoder.text(false)?;
        if api.is_flexible(version) {
            skip_tags(decoder)?;
        }
        Ok(Self { api, version, correlation_id, client_id })
    }

    /// Writes the header. A client id of more than 32,767 bytes is left out.
    pub fn encode(&self, encoder: &mut Encoder) {
        encoder.i16(self.api.code());
        encoder.i16(self.version);
        encoder.i32(self.correlation_id);
        if encoder.text(self.client_id.as_deref(), false).is_err() {
            encoder.i16(-1);
        }
        if self.api.is_flexible(self.version) {
            encoder.uvarint(0);
        }
    }

    /// Counts what [`encode`](Self::encode) writes.
    pub fn measure(&self, size: &mut Size) {
        size.add(8);
        size.text(self.client_id.as_deref().filter(|id| id.len() <= i16::MAX as usize), false);
        size.add(self.api.is_flexible(self.version).into());
    }
}

impl ResponseHeader {
    /// Whether the answer's header ends in tagged fields (header v1). ApiVersions never does, so
    /// that a client can read the answer before it knows what the broker speaks (KIP-511).
    pub fn has_tags(api: ApiKey, version: i16) -> bool {
        api != ApiKey::ApiVersions && api.is_flexible(version)
    }

    /// Reads the header of the answer to a request of this API and version.
    pub fn decode(
        decoder: &mut Decoder,
        api: ApiKey,
        version: i16,
    ) -> Result<Self, DecodeErrorKind> {
        let correlation_id = decoder.i32()?;
        if Self::has_tags(api, version) {
            skip_tags(decoder)?;
        }
        Ok(Self { correlation_id })
    }

    /// Writes the header of the answer to a request of this API and version.
    pub fn encode(&self, encoder: &mut Encoder, api: ApiKey, version: i16) {
        encoder.i32(self.correlation_id);
        if Self::has_tags(api, version) {
            encoder.uvarint(0);
        }
    }

    /// Counts what [`encode`](Self::encode) writes.
    pub fn measure(&self, size: &mut Size, api: ApiKey, version: i16) {
        size.add(4 + usize::from(Self::has_tags(api, version)));
    }
}

/// Passes over a section of tagged fields.
fn skip_tags(decoder: &mut Decoder) -> Result<(), DecodeErrorKind> {
    for _ in 0..decoder.uvarint()? {
        decoder.uvarint()?;
        let size = decoder.uvarint()? as usize;
        decoder.skip(size)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn round_trip(header: &RequestHeader) -> usize {
        let (mut size, mut encoder) = (Size::new(), Encoder::new());
        header.measure(&mut size);
        header.encode(&mut encoder);
        assert_eq!(encoder.len(), size.total());
        let mut decoder = Decoder::new(encoder.finish().into_bytes());
        assert_eq!(RequestHeader::decode(&mut decoder).as_ref(), Ok(header));
        assert_eq!(decoder.finish(), Ok(()));
        size.total()
    }

    #[test]
    fn a_flexible_request_header_is_one_byte_longer_and_its_client_id_stays_int16() {
        let client_id = Some(Text::from("kcat"));
        let mut header =
            RequestHeader { api: ApiKey::Produce, version: 8, correlation_id: 7, client_id };
        assert_eq!(round_trip(&header), 8 + 2 + 4);
        header.version = 9;
        assert_eq!(round_trip(&header), 8 + 2 + 4 + 1);
        header.client_id = None;
        assert_eq!(round_trip(&header), 8 + 2 + 1);
    }

    #[test]
    fn an_api_versions_answer_never_has_tags_in_its_header() {
        assert!(!ResponseHeader::has_tags(ApiKey::ApiVersions, 4));
        assert!(ResponseHeader::has_tags(ApiKey::Produce, 9));
        assert!(!ResponseHeader::has_tags(ApiKey::Produce, 8));
    }

    #[test]
    fn a_key_that_kafka_does_not_have_is_told_apart_from_damage() {
        let unknown = Bytes::from_static(&[0x03, 0xe7, 0, 1, 0, 0, 0, 0, 0xff, 0xff]);
        assert_eq!(
            RequestHeader::decode(&mut Decoder::new(unknown.clone())),
            Err(HeaderError::UnknownApi { key: 999, version: 1 })
        );
        let cut = RequestHeader::decode(&mut Decoder::new(unknown.slice(..3)));
        assert!(matches!(cut, Err(HeaderError::Malformed(_))));
    }

    #[test]
    fn tags_in_a_header_are_passed_over_and_bounded() {
        let bytes = [0, 18, 0, 3, 0, 0, 0, 9, 0xff, 0xff, 2, 5, 1, b'x', 6, 0];
        let mut decoder = Decoder::new(Bytes::copy_from_slice(&bytes));
        assert_eq!(RequestHeader::decode(&mut decoder).unwrap().correlation_id, 9);
        assert_eq!(decoder.remaining(), 0);
        let endless = [0, 18, 0, 3, 0, 0, 0, 9, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f];
        assert!(
            RequestHeader::decode(&mut Decoder::new(Bytes::copy_from_slice(&endless))).is_err()
        );
    }
}
