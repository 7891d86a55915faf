//! Configs of topics, groups and brokers: shown with their source, changed one by one (KIP-226, KIP-339).

use duramen_protocol::ids::{RESOURCE_BROKER, RESOURCE_GROUP, RESOURCE_TOPIC};
use duramen_protocol::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult,
};
use duramen_protocol::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use duramen_protocol::text::Text;

use super::{Admin, Outcome, check};
use crate::connection::Connection;
use crate::error::ClientError;

/// The first version that tells types and documentation.
const WITH_DOCUMENTATION: i16 = 3;

/// What has configs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Resource {
    /// A topic.
    Topic(Text),
    /// A group, whether it is there or not.
    Group(Text),
    /// One broker.
    Broker(i32),
    /// The default of all brokers.
    AllBrokers,
}

impl Resource {
    fn wire(&self) -> (i8, Text) {
        match self {
            Self::Topic(name) => (RESOURCE_TOPIC, name.clone()),
            Self::Group(name) => (RESOURCE_GROUP, name.clone()),
            Self::Broker(id) => (RESOURCE_BROKER, Text::from(id.to_string())),
            Self::AllBrokers => (RESOURCE_BROKER, Text::EMPTY),
        }
    }

    fn words(&self) -> String {
        match self {
            Self::Topic(name) => format!("configs of topic {name}"),
            Self::Group(name) => format!("configs of group {name}"),
            Self::Broker(id) => format!("configs of broker {id}"),
            Self::AllBrokers => "configs of all brokers".to_owned(),
        }
    }
}

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConfigSource {
    /// Set on the topic.
    Topic,
    /// Set on the group.
    Group,
    /// Set on the broker while it runs.
    Broker,
    /// Set for all brokers while they run.
    AllBrokers,
    /// The broker's properties file or command line.
    File,
    /// Built in.
    Default,
    /// Another source, by its number.
    Other(i8),
}

impl ConfigSource {
    fn from_code(code: i8) -> Self {
        match code {
            1 => Self::Topic,
            2 => Self::Broker,
            3 => Self::AllBrokers,
            4 => Self::File,
            5 => Self::Default,
            8 => Self::Group,
            other => Self::Other(other),
        }
    }

    /// Kafka's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Topic => "DYNAMIC_TOPIC_CONFIG",
            Self::Group => "DYNAMIC_GROUP_CONFIG",
            Self::Broker => "DYNAMIC_BROKER_CONFIG",
            Self::AllBrokers => "DYNAMIC_DEFAULT_BROKER_CONFIG",
            Self::File => "STATIC_BROKER_CONFIG",
            Self::Default => "DEFAULT_CONFIG",
            Self::Other(_) => "UNKNOWN",
        }
    }
}

/// A config and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigEntry {
    /// Kafka's name.
    pub name: Text,
    /// The value; `None` when it is secret or not set.
    pub value: Option<Text>,
    /// Where the value comes from.
    pub source: ConfigSource,
    /// Whether it can't be changed while the broker runs.
    pub read_only: bool,
    /// Whether the value is a secret.
    pub sensitive: bool,
    /// What else would apply, nearest first.
    pub synonyms: Vec<(Text, Option<Text>, ConfigSource)>,
    /// What it does, if it was asked for and the broker knows.
    pub documentation: Option<Text>,
}

/// A change of one config.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigChange {
    /// Kafka's name.
    pub name: Text,
    /// What to do.
    pub operation: Operation,
}

impl ConfigChange {
    /// A change of the config with this name.
    #[must_use]
    pub fn new(name: impl Into<Text>, operation: Operation) -> Self {
        Self { name: name.into(), operation }
    }
}

/// What to do with a config.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation {
    /// Give it this value.
    Set(Text),
    /// Take its value away, so that the default holds.
    Unset,
    /// Add to a list.
    Append(Text),
    /// Take from a list.
    Subtract(Text),
}

impl Operation {
    fn wire(&self) -> (i8, Option<Text>) {
        match self {
            Self::Set(value) => (0, Some(value.clone())),
            Self::Unset => (1, None),
            Self::Append(value) => (2, Some(value.clone())),
            Self::Subtract(value) => (3, Some(value.clone())),
        }
    }
}

impl Admin {
    /// The configs of resources; a broker's are asked of that broker.
    ///
    /// # Errors
    /// When a broker does not answer; each resource has its own outcome.
    pub async fn describe_configs(
        &self,
        resources: &[Resource],
        documentation: bool,
    ) -> Result<Vec<Outcome<Resource, Vec<ConfigEntry>>>, ClientError> {
        let mut outcomes = Vec::new();
        for resource in resources {
            let result = self.describe_one(resource, documentation).await;
            if let Err(error @ ClientError::Unreachable { .. }) = result {
                return Err(error);
            }
            outcomes.push(Outcome { about: resource.clone(), result });
        }
        Ok(outcomes)
    }

    async fn describe_one(
        &self,
        resource: &Resource,
        documentation: bool,
    ) -> Result<Vec<ConfigEntry>, ClientError> {
        let (resource_type, resource_name) = &resource.wire();
        let what = &resource.words();
        self.cluster
            .retrying(what, || async move {
                let connection = self.place_of(resource).await?;
                let version = connection.version_of::<DescribeConfigsRequest>(i16::MAX)?;
                let request = DescribeConfigsRequest {
                    resources: vec![DescribeConfigsResource {
                        resource_type: *resource_type,
                        resource_name: resource_name.clone(),
                        configuration_keys: None,
                    }],
                    include_synonyms: true,
                    include_documentation: documentation && version >= WITH_DOCUMENTATION,
                };
                let timeout = self.cluster.options().connection.request_timeout;
                let answer = connection.call_version(version, &request, timeout).await?;
                let result = answer.results.into_iter().next();
                let result = result.ok_or(ClientError::Incomplete("DescribeConfigs"))?;
                check(what, result.error_code, result.error_message.as_ref())?;
                Ok(result.configs.into_iter().map(entry_of).collect())
            })
            .await
    }

    /// Changes configs of one resource, all or none.
    ///
    /// # Errors
    /// When the broker does not answer, or refuses.
    pub async fn alter_configs(
        &self,
        resource: &Resource,
        changes: &[ConfigChange],
        validate_only: bool,
    ) -> Result<(), ClientError> {
        let (resource_type, resource_name) = resource.wire();
        let what = &resource.words();
        let configs: Vec<AlterableConfig> = changes
            .iter()
            .map(|change| {
                let (config_operation, value) = change.operation.wire();
                AlterableConfig { name: change.name.clone(), config_operation, value }
            })
            .collect();
        let request = &IncrementalAlterConfigsRequest {
            resources: vec![AlterConfigsResource { resource_type, resource_name, configs }],
            validate_only,
        };
        self.cluster
            .retrying(what, || async move {
                let answer = self.place_of(resource).await?.call(request).await?;
                let outcome = answer.responses.into_iter().next();
                let outcome = outcome.ok_or(ClientError::Incomplete("IncrementalAlterConfigs"))?;
                check(what, outcome.error_code, outcome.error_message.as_ref())
            })
            .await
    }

    pub(super) async fn place_of(&self, resource: &Resource) -> Result<Connection, ClientError> {
        match resource {
            Resource::Broker(id) => {
                if self.cluster.view().brokers.is_empty() {
                    self.cluster.fetch_metadata(crate::cluster::Topics::None).await?;
                }
                self.cluster.broker(*id).await
            }
            Resource::Topic(_) | Resource::Group(_) | Resource::AllBrokers => {
                self.cluster.any().await
            }
        }
    }
}

fn entry_of(told: DescribeConfigsResourceResult) -> ConfigEntry {
    ConfigEntry {
        name: told.name,
        value: told.value,
        source: ConfigSource::from_code(told.config_source),
        read_only: told.read_only,
        sensitive: told.is_sensitive,
        synonyms: told
            .synonyms
            .into_iter()
            .map(|other| (other.name, other.value, ConfigSource::from_code(other.source)))
            .collect(),
        documentation: told.documentation,
    }
}
