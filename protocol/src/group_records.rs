//! The records of `__consumer_offsets`, as Kafka 4.3 writes them.
//!
//! A key is an int16 that says what kind of record it is and the fields of that kind; a value is its
//! version, an int16, and the fields of that version. A record without a value, a tombstone, deletes
//! what the key names. [`GroupRecord`] is both together.
//!
//! Unlike the consumer protocol, what a coordinator keeps must be understood to the last byte: a
//! value of a newer version or with bytes left over is an error. Only a *kind* of record that is not
//! known here is told apart ([`GroupRecordError::UnknownKind`]), for Kafka's coordinators pass over
//! those (share and streams groups have kinds of their own in the same topic).

mod classic;
mod consumer;
mod offsets;

use bytes::Bytes;

pub use classic::{GroupMetadataKey, GroupMetadataValue, MemberMetadata};
pub use consumer::{
    AssignedTopicPartitions, ClassicMemberMetadata, ClassicProtocol,
    ConsumerGroupCurrentMemberAssignmentKey, ConsumerGroupCurrentMemberAssignmentValue,
    ConsumerGroupMemberMetadataKey, ConsumerGroupMemberMetadataValue, ConsumerGroupMetadataKey,
    ConsumerGroupMetadataValue, ConsumerGroupPartitionMetadataKey,
    ConsumerGroupPartitionMetadataValue, ConsumerGroupRegularExpressionKey,
    ConsumerGroupRegularExpressionValue, ConsumerGroupTargetAssignmentMemberKey,
    ConsumerGroupTargetAssignmentMemberValue, ConsumerGroupTargetAssignmentMetadataKey,
    ConsumerGroupTargetAssignmentMetadataValue, PartitionMetadata, TopicMetadata, TopicPartitions,
};
pub use offsets::{OffsetCommitKey, OffsetCommitValue};

use crate::data::{Data, prefix_of, refused};
use crate::error::{DataDecodeError, DataEncodeError};
use crate::primitives::Decoder;

/// Why a record was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GroupRecordError {
    /// The key begins with a kind that is not known here: a reader passes over the record.
    #[error("group record of unknown kind {kind}")]
    UnknownKind {
        /// What the key begins with.
        kind: i16,
    },
    /// The record is not what its key says, or its value is of a version that is not known here.
    #[error("malformed group record: {0}")]
    Malformed(#[from] DataDecodeError),
}

/// Calls the macro `$each` with every kind of record:
/// `KIND[ | OLDER KIND], Name Key Value;`
#[macro_export]
macro_rules! for_each_group_record {
    ($each:ident) => {
        $each! {
            1 | 0, OffsetCommit OffsetCommitKey OffsetCommitValue;
            2, GroupMetadata GroupMetadataKey GroupMetadataValue;
            3, ConsumerGroupMetadata ConsumerGroupMetadataKey ConsumerGroupMetadataValue;
            4, ConsumerGroupPartitionMetadata ConsumerGroupPartitionMetadataKey
                ConsumerGroupPartitionMetadataValue;
            5, ConsumerGroupMemberMetadata ConsumerGroupMemberMetadataKey
                ConsumerGroupMemberMetadataValue;
            6, ConsumerGroupTargetAssignmentMetadata ConsumerGroupTargetAssignmentMetadataKey
                ConsumerGroupTargetAssignmentMetadataValue;
            7, ConsumerGroupTargetAssignmentMember ConsumerGroupTargetAssignmentMemberKey
                ConsumerGroupTargetAssignmentMemberValue;
            8, ConsumerGroupCurrentMemberAssignment ConsumerGroupCurrentMemberAssignmentKey
                ConsumerGroupCurrentMemberAssignmentValue;
            16, ConsumerGroupRegularExpression ConsumerGroupRegularExpressionKey
                ConsumerGroupRegularExpressionValue;
        }
    };
}

macro_rules! group_record {
    ($( $kind:literal $(| $older:literal)?, $name:ident $key:ident $value:ident; )*) => {
        /// A record, by kind: its key, and its value or `None` where it is a tombstone.
        #[derive(Clone, Debug, PartialEq)]
        pub enum GroupRecord {
            $(
                #[doc = concat!("Kind ", $kind, ".")]
                $name($key, Option<$value>),
            )*
        }

        impl GroupRecord {
            /// Reads a record of the topic. Fields of bytes share memory with the value, so whoever
            /// keeps them for long copies them, or keeps the whole batch.
            ///
            /// # Errors
            ///
            /// What is not understood, and of those the kinds to pass over as
            /// [`GroupRecordError::UnknownKind`].
            pub fn decode(key: &Bytes, value: Option<&Bytes>) -> Result<Self, GroupRecordError> {
                let mut decoder = Decoder::new(key.clone());
                match prefix_of("GroupRecordKey", &mut decoder)? {
                    $( $kind $(| $older)? => {
                        let key = whole::<$key>(&mut decoder, 0)?;
                        Ok(Self::$name(key, value.map(versioned::<$value>).transpose()?))
                    } )*
                    kind => Err(GroupRecordError::UnknownKind { kind }),
                }
            }

            /// The record's key and value, in the version that Kafka 4.3 writes.
            ///
            /// # Errors
            ///
            /// A string that is longer than its length field can say.
            pub fn encode(&self) -> Result<(Bytes, Option<Bytes>), DataEncodeError> {
                match self {
                    $( Self::$name(key, value) => {
                        let value = value.as_ref().map(|value| {
                            let version = value.written_version();
                            value.prefixed(version, version)
                        });
                        Ok((key.prefixed($kind, 0)?, value.transpose()?))
                    } )*
                }
            }

            /// Kafka's name of the kind.
            pub const fn kind_name(&self) -> &'static str {
                match self {
                    $( Self::$name(..) => stringify!($name), )*
                }
            }

            /// Whether the record deletes what its key names.
            pub const fn is_tombstone(&self) -> bool {
                match self {
                    $( Self::$name(_, value) => value.is_none(), )*
                }
            }
        }
    };
}

for_each_group_record!(group_record);

/// A value, which knows the version in which Kafka 4.3 writes it.
trait Written: Data {
    fn written_version(&self) -> i16 {
        Self::VERSIONS.max
    }
}

fn versioned<D: Data>(bytes: &Bytes) -> Result<D, DataDecodeError> {
    let mut decoder = Decoder::new(bytes.clone());
    let version = prefix_of(D::NAME, &mut decoder)?;
    whole(&mut decoder, version)
}

/// Reads `D` to the end of the bytes.
fn whole<D: Data>(decoder: &mut Decoder, version: i16) -> Result<D, DataDecodeError> {
    let data = D::decode(decoder, version)?;
    decoder.finish().map_err(|kind| refused(D::NAME, kind, version))?;
    Ok(data)
}

#[cfg(test)]
mod tests;
