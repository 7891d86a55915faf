//! The brokers of an image.

use std::collections::BTreeMap;
use std::sync::Arc;

use duramen_protocol::text::Text;
use uuid::Uuid;

/// Where a broker can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The listener's name.
    pub name: Text,
    /// Host name or address.
    pub host: Text,
    /// TCP port.
    pub port: u16,
    /// Kafka's security protocol: 0 PLAINTEXT, 1 SSL, 2 SASL_PLAINTEXT, 3 SASL_SSL.
    pub security_protocol: i16,
}

/// The levels of a feature that a broker can work with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeatureRange {
    /// The lowest level.
    pub min: i16,
    /// The highest level.
    pub max: i16,
}

/// One registered broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerImage {
    /// The broker's id.
    pub id: i32,
    /// Made anew by each process.
    pub incarnation_id: Uuid,
    /// Given by the controller; grows with each registration.
    pub epoch: i64,
    /// Where the broker can be reached, in the order that it gave.
    pub endpoints: Vec<Endpoint>,
    /// The levels of each feature that it can work with.
    pub features: BTreeMap<Text, FeatureRange>,
    /// The rack it stands in.
    pub rack: Option<Text>,
    /// Whether it may not lead or be in sync yet.
    pub fenced: bool,
    /// Whether it is being shut down.
    pub in_controlled_shutdown: bool,
    /// Its log directories.
    pub log_dirs: Vec<Uuid>,
}

impl BrokerImage {
    /// Whether it may lead and be in sync.
    #[must_use]
    pub fn is_active(&self) -> bool {
        !self.fenced && !self.in_controlled_shutdown
    }

    /// Its endpoint of the listener `name`.
    #[must_use]
    pub fn endpoint(&self, name: &str) -> Option<&Endpoint> {
        self.endpoints.iter().find(|endpoint| endpoint.name == name)
    }
}

/// All registered brokers, by id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BrokersImage {
    by_id: Arc<BTreeMap<i32, Arc<BrokerImage>>>,
}

impl BrokersImage {
    /// The broker `id`.
    #[must_use]
    pub fn get(&self, id: i32) -> Option<&Arc<BrokerImage>> {
        self.by_id.get(&id)
    }

    /// Whether the broker `id` is registered and may lead and be in sync.
    #[must_use]
    pub fn is_active(&self, id: i32) -> bool {
        self.get(id).is_some_and(|broker| broker.is_active())
    }

    /// All brokers, by rising id.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<BrokerImage>> {
        self.by_id.values()
    }

    /// How many are registered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether none is registered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    pub(in crate::metadata) fn insert(&mut self, broker: BrokerImage) {
        Arc::make_mut(&mut self.by_id).insert(broker.id, Arc::new(broker));
    }

    pub(in crate::metadata) fn remove(&mut self, id: i32) {
        Arc::make_mut(&mut self.by_id).remove(&id);
    }
}
