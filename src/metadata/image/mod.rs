//! The image: the whole cluster as it stands at one offset of the metadata log. Immutable and cheap
//! to clone (all parts are shared); only [`crate::metadata::delta`] makes a next one.

pub mod brokers;
pub mod configs;
pub mod topics;

use std::collections::BTreeMap;
use std::sync::Arc;

use duramen_protocol::text::Text;

pub use brokers::{BrokerImage, BrokersImage};
pub use configs::{ConfigResource, ConfigsImage};
pub use topics::{PartitionImage, TopicImage, TopicsImage};

/// Up to where in the metadata log an image goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Provenance {
    /// The offset of the last metadata record in the image; -1 before the first.
    pub offset: i64,
    /// The quorum epoch of that metadata record; -1 before the first.
    pub epoch: i32,
    /// The wall clock time (ms) of that metadata record's batch; -1 before the first.
    pub timestamp: i64,
}

impl Default for Provenance {
    fn default() -> Self {
        Self { offset: -1, epoch: -1, timestamp: -1 }
    }
}

/// The cluster at one offset of the metadata log.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MetadataImage {
    pub(super) provenance: Provenance,
    pub(super) cluster_id: Text,
    pub(super) features: Arc<BTreeMap<Text, i16>>,
    pub(super) brokers: BrokersImage,
    pub(super) topics: TopicsImage,
    pub(super) configs: ConfigsImage,
    pub(super) next_producer_id: i64,
}

impl MetadataImage {
    /// Up to where in the metadata log this image goes.
    #[must_use]
    pub fn provenance(&self) -> Provenance {
        self.provenance
    }

    /// The offset of the last metadata record in this image; -1 when it is empty.
    #[must_use]
    pub fn offset(&self) -> i64 {
        self.provenance.offset
    }

    /// The cluster's id; empty until the first controller wrote it.
    #[must_use]
    pub fn cluster_id(&self) -> &Text {
        &self.cluster_id
    }

    /// The finalized level of each feature, by name.
    #[must_use]
    pub fn features(&self) -> &BTreeMap<Text, i16> {
        &self.features
    }

    /// The registered brokers.
    #[must_use]
    pub fn brokers(&self) -> &BrokersImage {
        &self.brokers
    }

    /// The topics.
    #[must_use]
    pub fn topics(&self) -> &TopicsImage {
        &self.topics
    }

    /// The configs that were set, of all resources.
    #[must_use]
    pub fn configs(&self) -> &ConfigsImage {
        &self.configs
    }

    /// The first producer id that no broker was given yet.
    #[must_use]
    pub fn next_producer_id(&self) -> i64 {
        self.next_producer_id
    }

    /// The number of the finalized features' epoch, as ApiVersions reports it: the offset of this
    /// image (KIP-584).
    #[must_use]
    pub fn features_epoch(&self) -> i64 {
        self.provenance.offset
    }
}
