//! Metadata records on the wire and on disk: the prost messages and their framing.
//!
//! A framed value is one byte that says what follows, and then a protobuf message:
//!
//! ```text
//! 01 | MetadataRecord      a value of a record in `__cluster_metadata-0` or in a snapshot
//! 02 | SnapshotHeader      the first value of a snapshot
//! 03 | SnapshotFooter      the last value of a snapshot
//! ```
//!
//! Protobuf ignores what it does not know; a cluster's state must not. [`Framed::decode`] therefore
//! refuses an unknown kind of record, and a version of a known kind that is newer than
//! [`Kind::newest_version`], by name. The rules of change stand in `proto/metadata.proto`.

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;

#[expect(missing_docs, unreachable_pub, reason = "generated from the documented schema")]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/duramen.metadata.rs"));
}

mod generated_snapshot {
    include!(concat!(env!("OUT_DIR"), "/duramen.snapshot.rs"));
}

pub use generated::metadata_record::Kind;
pub use generated::{
    BrokerChangeRecord, BrokerEndpoint, BrokerFeature, BrokerList, BrokerRegistrationRecord,
    ClusterRecord, ConfigRecord, FeatureLevelRecord, MetadataRecord, NoOpRecord,
    PartitionChangeRecord, PartitionRecord, ProducerIdsRecord, RemoveTopicRecord, TopicRecord,
    UnregisterBrokerRecord, Uuid,
};
pub use generated_snapshot::{SnapshotFooter, SnapshotHeader};

/// The form of a snapshot that this build writes and the newest that it reads.
pub const SNAPSHOT_VERSION: u32 = 0;

const METADATA_RECORD: u8 = 1;
const SNAPSHOT_HEADER: u8 = 2;
const SNAPSHOT_FOOTER: u8 = 3;

/// The field number of `MetadataRecord.version`.
const VERSION_FIELD: usize = 1;

/// Why a framed value was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FramedError {
    /// There is not even the byte that says what follows.
    #[error("metadata value is empty")]
    Empty,
    /// The first byte names something that this build has never heard of.
    #[error("metadata value of unknown frame type {0}; a newer duramen wrote it: run that version")]
    UnknownFrame(u8),
    /// The bytes are not the protobuf message that the first byte promises.
    #[error("malformed metadata record: {0}")]
    Malformed(String),
    /// A kind of metadata record that this build does not know.
    #[error("metadata record of unknown kind {number}; a newer duramen wrote it: run that version")]
    UnknownKind {
        /// The kind's field number in `proto/metadata.proto`; 0 when there is none at all.
        number: usize,
    },
    /// A known kind in a version that this build does not know.
    #[error(
        "metadata record {kind} version {version} is newer than {newest}; a newer duramen wrote \
         it: run that version"
    )]
    UnknownVersion {
        /// The kind's name.
        kind: &'static str,
        /// The version found.
        version: u32,
        /// The newest version that this build knows.
        newest: u32,
    },
    /// A snapshot in a form that this build does not know.
    #[error(
        "metadata snapshot version {version} is newer than {newest}; a newer duramen wrote it: \
         run that version"
    )]
    UnknownSnapshotVersion {
        /// The version found.
        version: u32,
        /// The newest version that this build knows.
        newest: u32,
    },
}

/// One value of the metadata log or of a snapshot.
#[derive(Debug, Clone, PartialEq)]
pub enum Framed {
    /// A metadata record.
    Record(MetadataRecord),
    /// The start of a snapshot.
    Header(SnapshotHeader),
    /// The end of a snapshot.
    Footer(SnapshotFooter),
}

impl Framed {
    /// The value's bytes.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        match self {
            Self::Record(record) => frame(METADATA_RECORD, record),
            Self::Header(header) => frame(SNAPSHOT_HEADER, header),
            Self::Footer(footer) => frame(SNAPSHOT_FOOTER, footer),
        }
    }

    /// Reads a value back.
    ///
    /// # Errors
    ///
    /// Anything that this build does not fully understand.
    pub fn decode(bytes: &[u8]) -> Result<Self, FramedError> {
        let (&frame_type, body) = bytes.split_first().ok_or(FramedError::Empty)?;
        match frame_type {
            METADATA_RECORD => MetadataRecord::decode_checked(body).map(Self::Record),
            SNAPSHOT_HEADER => {
                let header = SnapshotHeader::decode(body).map_err(malformed)?;
                if header.version > SNAPSHOT_VERSION {
                    return Err(FramedError::UnknownSnapshotVersion {
                        version: header.version,
                        newest: SNAPSHOT_VERSION,
                    });
                }
                Ok(Self::Header(header))
            }
            SNAPSHOT_FOOTER => SnapshotFooter::decode(body).map_err(malformed).map(Self::Footer),
            other => Err(FramedError::UnknownFrame(other)),
        }
    }
}

impl MetadataRecord {
    /// A record of `kind` in the newest version that this build writes.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        Self { version: kind.newest_version(), kind: Some(kind) }
    }

    /// The framed bytes, as a record's value in the metadata log.
    #[must_use]
    pub fn to_value(&self) -> Bytes {
        frame(METADATA_RECORD, self)
    }

    /// The length in bytes of [`Self::to_value`].
    #[must_use]
    pub fn value_len(&self) -> usize {
        1 + self.encoded_len()
    }

    /// The record's kind, if this build fully understands it.
    ///
    /// # Errors
    ///
    /// A version newer than this build knows, or no kind at all.
    pub fn checked_kind(&self) -> Result<&Kind, FramedError> {
        let kind = self.kind.as_ref().ok_or(FramedError::UnknownKind { number: 0 })?;
        let newest = kind.newest_version();
        if self.version > newest {
            return Err(FramedError::UnknownVersion {
                kind: kind.name(),
                version: self.version,
                newest,
            });
        }
        Ok(kind)
    }

    fn decode_checked(body: &[u8]) -> Result<Self, FramedError> {
        let record = Self::decode(body).map_err(malformed)?;
        if record.kind.is_none() {
            return Err(FramedError::UnknownKind { number: unknown_kind(body) });
        }
        record.checked_kind()?;
        Ok(record)
    }
}

impl From<Kind> for MetadataRecord {
    fn from(kind: Kind) -> Self {
        Self::new(kind)
    }
}

impl Kind {
    /// The newest version of this kind that this build writes and reads.
    #[must_use]
    pub const fn newest_version(&self) -> u32 {
        match self {
            Self::NoOp(_)
            | Self::Cluster(_)
            | Self::FeatureLevel(_)
            | Self::BrokerRegistration(_)
            | Self::BrokerChange(_)
            | Self::UnregisterBroker(_)
            | Self::Topic(_)
            | Self::Partition(_)
            | Self::PartitionChange(_)
            | Self::RemoveTopic(_)
            | Self::Config(_)
            | Self::ProducerIds(_) => 0,
        }
    }

    /// The kind's name, as in `proto/metadata.proto`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::NoOp(_) => "NoOpRecord",
            Self::Cluster(_) => "ClusterRecord",
            Self::FeatureLevel(_) => "FeatureLevelRecord",
            Self::BrokerRegistration(_) => "BrokerRegistrationRecord",
            Self::BrokerChange(_) => "BrokerChangeRecord",
            Self::UnregisterBroker(_) => "UnregisterBrokerRecord",
            Self::Topic(_) => "TopicRecord",
            Self::Partition(_) => "PartitionRecord",
            Self::PartitionChange(_) => "PartitionChangeRecord",
            Self::RemoveTopic(_) => "RemoveTopicRecord",
            Self::Config(_) => "ConfigRecord",
            Self::ProducerIds(_) => "ProducerIdsRecord",
        }
    }
}

impl From<uuid::Uuid> for Uuid {
    fn from(id: uuid::Uuid) -> Self {
        let (most, least) = id.as_u64_pair();
        Self { most, least }
    }
}

impl From<Uuid> for uuid::Uuid {
    fn from(id: Uuid) -> Self {
        Self::from_u64_pair(id.most, id.least)
    }
}

impl From<Vec<i32>> for BrokerList {
    fn from(ids: Vec<i32>) -> Self {
        Self { ids }
    }
}

fn frame(frame_type: u8, message: &impl Message) -> Bytes {
    let mut bytes = BytesMut::with_capacity(1 + message.encoded_len());
    bytes.put_u8(frame_type);
    bytes.put(message.encode_to_vec().as_slice());
    bytes.freeze()
}

fn malformed(error: prost::DecodeError) -> FramedError {
    FramedError::Malformed(error.to_string())
}

/// The field number of a record whose kind prost did not recognise; 0 when nothing is there.
fn unknown_kind(body: &[u8]) -> usize {
    // A protobuf key is a varint: the field's number above three bits of wire type.
    let mut rest = body;
    while let Ok(key) = prost::decode_length_delimiter(&mut rest) {
        if key >> 3 != VERSION_FIELD {
            return key >> 3;
        }
        if prost::decode_length_delimiter(&mut rest).is_err() {
            return 0;
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn topic(name: &str) -> MetadataRecord {
        let topic_id = Some(uuid::Uuid::from_u128(7).into());
        Kind::Topic(TopicRecord { name: name.to_owned(), topic_id }).into()
    }

    #[test]
    fn a_record_reads_back_as_it_was_written() {
        let record = topic("orders");
        assert_eq!(Framed::decode(&record.to_value()), Ok(Framed::Record(record.clone())));
        assert_eq!(record.to_value().len(), record.value_len());
        assert_eq!(Framed::Record(record.clone()).encode(), record.to_value());
    }

    #[test]
    fn the_bytes_of_a_topic_record_never_change() {
        let id = uuid::Uuid::from_u64_pair(1, 2);
        let record: MetadataRecord =
            Kind::Topic(TopicRecord { name: "t".to_owned(), topic_id: Some(id.into()) }).into();
        let mut expected = vec![1, 0x42, 23, 0x0a, 1, b't', 0x12, 18];
        expected.extend([9, 1, 0, 0, 0, 0, 0, 0, 0, 0x11, 2, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(record.to_value().as_ref(), expected.as_slice());
    }

    #[test]
    fn a_newer_version_of_a_known_kind_is_refused_by_name() {
        let mut record = topic("orders");
        record.version = 9;
        assert_eq!(
            Framed::decode(&record.to_value()),
            Err(FramedError::UnknownVersion { kind: "TopicRecord", version: 9, newest: 0 })
        );
    }

    #[test]
    fn an_unknown_kind_is_refused_by_number_with_and_without_a_version() {
        // Field 200 (wire type 2), empty message: key = 200 << 3 | 2 = 0x642.
        let unknown = [1, 0xc2, 0x0c, 0];
        assert_eq!(Framed::decode(&unknown), Err(FramedError::UnknownKind { number: 200 }));
        let versioned = [1, 0x08, 3, 0xc2, 0x0c, 0];
        assert_eq!(Framed::decode(&versioned), Err(FramedError::UnknownKind { number: 200 }));
        assert_eq!(Framed::decode(&[1]), Err(FramedError::UnknownKind { number: 0 }));
        assert_eq!(Framed::decode(&[77, 1]), Err(FramedError::UnknownFrame(77)));
        assert_eq!(Framed::decode(&[]), Err(FramedError::Empty));
    }

    #[test]
    fn a_cut_or_lying_length_is_malformed() {
        let value = topic("orders").to_value();
        for cut in 2..value.len() {
            assert!(
                matches!(Framed::decode(&value[..cut]), Err(FramedError::Malformed(_))),
                "cut at {cut}"
            );
        }
        // A topic record that promises 2^31-1 bytes.
        let hostile = [1, 0x42, 0xff, 0xff, 0xff, 0xff, 0x07];
        assert!(matches!(Framed::decode(&hostile), Err(FramedError::Malformed(_))));
    }

    #[test]
    fn a_newer_snapshot_is_refused() {
        let header = Framed::Header(SnapshotHeader { version: 5, ..Default::default() });
        assert_eq!(
            Framed::decode(&header.encode()),
            Err(FramedError::UnknownSnapshotVersion { version: 5, newest: SNAPSHOT_VERSION })
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn any_bytes_give_a_value_or_a_typed_error(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let _ = Framed::decode(&bytes);
        }

        #[test]
        fn a_flipped_byte_never_panics(at in 0usize..40, to in any::<u8>()) {
            let mut value = topic("orders-and-more-orders").to_value().to_vec();
            let at = at % value.len();
            value[at] = to;
            let _ = Framed::decode(&value);
        }
    }
}
