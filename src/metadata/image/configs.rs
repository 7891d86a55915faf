//! The configs of an image: what was set, never the defaults.

use std::collections::BTreeMap;
use std::sync::Arc;

use duramen_protocol::ids::{RESOURCE_BROKER, RESOURCE_GROUP, RESOURCE_TOPIC};
use duramen_protocol::text::Text;

use crate::metadata::map::SharedMap;

/// Whose configs: a topic's, a group's, a broker's, all brokers' default.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConfigResource {
    /// Kafka's resource type, one of `duramen_protocol::ids::RESOURCE_…`.
    pub kind: i8,
    /// The topic's or group's name, or the broker's id as a decimal number; for brokers the empty name is the
    /// default of the whole cluster.
    pub name: Text,
}

impl ConfigResource {
    /// The topic `name`.
    pub fn topic(name: impl Into<Text>) -> Self {
        Self { kind: RESOURCE_TOPIC, name: name.into() }
    }

    /// The group `name`.
    pub fn group(name: impl Into<Text>) -> Self {
        Self { kind: RESOURCE_GROUP, name: name.into() }
    }

    /// The broker `id`.
    #[must_use]
    pub fn broker(id: i32) -> Self {
        Self { kind: RESOURCE_BROKER, name: id.to_string().into() }
    }

    /// The default of all brokers.
    #[must_use]
    pub fn cluster() -> Self {
        Self { kind: RESOURCE_BROKER, name: Text::EMPTY }
    }
}

/// The configs of one resource, by name.
pub type ConfigValues = BTreeMap<Text, Text>;

/// The configs that were set, of all resources; a resource with none has no entry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigsImage {
    by_resource: SharedMap<ConfigResource, Arc<ConfigValues>>,
}

impl ConfigsImage {
    /// What was set for `resource`.
    #[must_use]
    pub fn get(&self, resource: &ConfigResource) -> Option<&Arc<ConfigValues>> {
        self.by_resource.get(resource)
    }

    /// What was set for the topic `name`; nothing, often.
    #[must_use]
    pub fn topic(&self, name: &str) -> Arc<ConfigValues> {
        self.of(&ConfigResource::topic(name))
    }

    /// What was set for the group `name`; nothing, mostly.
    #[must_use]
    pub fn group(&self, name: &Text) -> Option<&ConfigValues> {
        self.get(&ConfigResource::group(name.clone())).map(|values| &**values)
    }

    /// What was set for the broker `id` alone.
    #[must_use]
    pub fn broker(&self, id: i32) -> Arc<ConfigValues> {
        self.of(&ConfigResource::broker(id))
    }

    /// What was set as the default of all brokers.
    #[must_use]
    pub fn cluster(&self) -> Arc<ConfigValues> {
        self.of(&ConfigResource::cluster())
    }

    /// What was set for `resource`; empty when nothing was.
    #[must_use]
    pub fn of(&self, resource: &ConfigResource) -> Arc<ConfigValues> {
        self.get(resource).cloned().unwrap_or_default()
    }

    /// All resources for which something was set, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&ConfigResource, &Arc<ConfigValues>)> {
        self.by_resource.iter()
    }

    pub(in crate::metadata) fn set(&mut self, resource: ConfigResource, name: Text, value: Text) {
        let mut values = self.of(&resource);
        Arc::make_mut(&mut values).insert(name, value);
        self.by_resource.insert(resource, values);
    }

    pub(in crate::metadata) fn unset(&mut self, resource: &ConfigResource, name: &str) {
        let Some(values) = self.by_resource.get(resource) else { return };
        let mut values = Arc::clone(values);
        Arc::make_mut(&mut values).remove(name);
        if values.is_empty() {
            self.by_resource.remove(resource);
        } else {
            self.by_resource.insert(resource.clone(), values);
        }
    }

    pub(in crate::metadata) fn remove(&mut self, resource: &ConfigResource) -> bool {
        self.by_resource.remove(resource).is_some()
    }
}
