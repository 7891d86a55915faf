//! What consumers of a classic group tell each other through the coordinator: the subscription in
//! JoinGroup's metadata, the assignment in SyncGroup's, and in the subscription the user data of the
//! sticky assignors.
//!
//! Clients of every age meet in a group, so reading is lenient as Java's is: a version newer than 3
//! is read as 3, and bytes behind the fields that are known are passed over. A broker needs none of
//! this to serve a group; where it looks inside (lag, topics subscribed to), what can't be read is
//! no reason to refuse the member.

use bytes::Bytes;

use crate::codec::declare;
use crate::data::{Data, prefix_of, refused};
use crate::error::{DataDecodeError, DataEncodeError, DecodeErrorKind};
use crate::primitives::{Decoder, Encoder};

/// The protocol type of consumers' groups.
pub const PROTOCOL_TYPE: &str = "consumer";

declare! {
    /// What a member wants to read, and what it owns.
    data ConsumerProtocolSubscription: 0-3 flexible never {
        /// The topics.
        topics: [string] (0+),
        /// What the assignor of the client adds.
        user_data: bytes (0+, nullable 0+, default null),
        /// The partitions that the member owns (KIP-429).
        owned_partitions: [TopicPartition] (1+) ignorable,
        /// The generation in which it came to own them; -1 when unknown.
        generation_id: int32 (2+, default -1) ignorable,
        /// The member's rack (KIP-881).
        rack_id: string (3+, nullable 3+, default null) ignorable,
    }

    /// What a member is to read.
    data ConsumerProtocolAssignment: 0-3 flexible never {
        /// The partitions.
        assigned_partitions: [TopicPartition] (0+),
        /// What the assignor of the client adds.
        user_data: bytes (0+, nullable 0+, default null),
    }

    /// The user data of the assignor `sticky`; it bears no version.
    data StickyAssignorUserData: 0-1 flexible never {
        /// What the member had.
        previous_assignment: [TopicPartition] (0+),
        /// The generation in which it had it; -1 when unknown.
        generation: int32 (1+, default -1) ignorable,
    }

    /// The user data of the assignor `cooperative-sticky`; it bears no version.
    data CooperativeStickyAssignorUserData: 0-0 flexible never {
        /// The generation of the member's last assignment; -1 for none.
        generation: int32 (0+, default -1),
    }

    /// Partitions of one topic.
    struct TopicPartition {
        /// The topic's name.
        topic: string (0+),
        /// The partitions' indexes.
        partitions: [int32] (0+),
    }
}

impl ConsumerProtocolSubscription {
    /// Reads a member's subscription.
    pub fn from_bytes(bytes: &Bytes) -> Result<Self, DataDecodeError> {
        versioned(bytes)
    }

    /// The subscription in this version.
    pub fn to_bytes(&self, version: i16) -> Result<Bytes, DataEncodeError> {
        self.prefixed(version, version)
    }
}

impl ConsumerProtocolAssignment {
    /// Reads a member's assignment.
    pub fn from_bytes(bytes: &Bytes) -> Result<Self, DataDecodeError> {
        versioned(bytes)
    }

    /// The assignment in this version.
    pub fn to_bytes(&self, version: i16) -> Result<Bytes, DataEncodeError> {
        self.prefixed(version, version)
    }
}

impl StickyAssignorUserData {
    /// Reads the user data of a subscription: version 1, or else 0, as the assignor itself does.
    pub fn from_bytes(bytes: &Bytes) -> Result<Self, DataDecodeError> {
        Self::decode(&mut Decoder::new(bytes.clone()), 1)
            .or_else(|_| Self::decode(&mut Decoder::new(bytes.clone()), 0))
    }

    /// The user data, in version 1.
    pub fn to_bytes(&self) -> Result<Bytes, DataEncodeError> {
        unversioned(self)
    }
}

impl CooperativeStickyAssignorUserData {
    /// Reads the user data of a subscription.
    pub fn from_bytes(bytes: &Bytes) -> Result<Self, DataDecodeError> {
        Self::decode(&mut Decoder::new(bytes.clone()), 0)
    }

    /// The user data.
    pub fn to_bytes(&self) -> Result<Bytes, DataEncodeError> {
        unversioned(self)
    }
}

fn versioned<D: Data>(bytes: &Bytes) -> Result<D, DataDecodeError> {
    let mut decoder = Decoder::new(bytes.clone());
    let version = prefix_of(D::NAME, &mut decoder)?;
    if version < D::VERSIONS.min {
        return Err(refused(D::NAME, DecodeErrorKind::UnsupportedVersion, version));
    }
    D::decode(&mut decoder, version.min(D::VERSIONS.max))
}

fn unversioned<D: Data>(data: &D) -> Result<Bytes, DataEncodeError> {
    let mut encoder = Encoder::new();
    data.encode(&mut encoder, D::VERSIONS.max)?;
    Ok(encoder.finish().into_bytes())
}

#[cfg(test)]
mod tests;
