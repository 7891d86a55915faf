//! Configs of topics, groups and brokers: what they are, where a value comes from (KIP-226). `ask.rs`
//! describes, changes and lists them.

mod ask;

use duramen_protocol::ids::{
    RESOURCE_BROKER, RESOURCE_BROKER_LOGGER, RESOURCE_CLIENT_METRICS, RESOURCE_GROUP,
    RESOURCE_TOPIC,
};
use duramen_protocol::messages::describe_configs::DescribeConfigsResourceResult;
use duramen_protocol::text::Text;

/// What has configs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
    /// The log levels of one broker, by logger.
    BrokerLogger(i32),
    /// A subscription to clients' metrics (KIP-714).
    ClientMetrics(Text),
}

/// A kind of [`Resource`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ResourceKind {
    /// Topics.
    Topic,
    /// Groups for which something is set.
    Group,
    /// Brokers.
    Broker,
    /// Log levels of brokers.
    BrokerLogger,
    /// Subscriptions to clients' metrics.
    ClientMetrics,
}

impl ResourceKind {
    fn code(self) -> i8 {
        match self {
            Self::Topic => RESOURCE_TOPIC,
            Self::Group => RESOURCE_GROUP,
            Self::Broker => RESOURCE_BROKER,
            Self::BrokerLogger => RESOURCE_BROKER_LOGGER,
            Self::ClientMetrics => RESOURCE_CLIENT_METRICS,
        }
    }
}

impl Resource {
    /// Its kind and name, as they stand on the wire.
    fn wire(&self) -> (i8, Text) {
        match self {
            Self::Topic(name) => (RESOURCE_TOPIC, name.clone()),
            Self::Group(name) => (RESOURCE_GROUP, name.clone()),
            Self::Broker(id) => (RESOURCE_BROKER, Text::from(id.to_string())),
            Self::AllBrokers => (RESOURCE_BROKER, Text::EMPTY),
            Self::BrokerLogger(id) => (RESOURCE_BROKER_LOGGER, Text::from(id.to_string())),
            Self::ClientMetrics(name) => (RESOURCE_CLIENT_METRICS, name.clone()),
        }
    }

    /// The same way back; `None` for a kind that is not known here.
    fn from_wire(kind: i8, name: Text) -> Option<Self> {
        Some(match kind {
            RESOURCE_TOPIC => Self::Topic(name),
            RESOURCE_GROUP => Self::Group(name),
            RESOURCE_BROKER if name.is_empty() => Self::AllBrokers,
            RESOURCE_BROKER => Self::Broker(name.parse().ok()?),
            RESOURCE_BROKER_LOGGER => Self::BrokerLogger(name.parse().ok()?),
            RESOURCE_CLIENT_METRICS => Self::ClientMetrics(name),
            _ => return None,
        })
    }

    /// The broker that alone can answer; `None` when any can.
    fn place(&self) -> Option<i32> {
        match self {
            Self::Broker(id) | Self::BrokerLogger(id) => Some(*id),
            Self::Topic(_) | Self::Group(_) | Self::AllBrokers | Self::ClientMetrics(_) => None,
        }
    }

    fn words(&self) -> String {
        match self {
            Self::Topic(name) => format!("configs of topic {name}"),
            Self::Group(name) => format!("configs of group {name}"),
            Self::Broker(id) => format!("configs of broker {id}"),
            Self::AllBrokers => "configs of all brokers".to_owned(),
            Self::BrokerLogger(id) => format!("log levels of broker {id}"),
            Self::ClientMetrics(name) => format!("configs of client metrics {name}"),
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
    /// The log levels of the broker.
    BrokerLogger,
    /// Set on the subscription to clients' metrics.
    ClientMetrics,
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
            6 => Self::BrokerLogger,
            7 => Self::ClientMetrics,
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
            Self::BrokerLogger => "DYNAMIC_BROKER_LOGGER_CONFIG",
            Self::ClientMetrics => "DYNAMIC_CLIENT_METRICS_CONFIG",
            Self::Other(_) => "UNKNOWN",
        }
    }
}

/// What values a config takes (KIP-569).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs, reason = "Kafka's names say it")]
pub enum ConfigKind {
    Boolean,
    String,
    Int,
    Short,
    Long,
    Double,
    List,
    Class,
    Password,
}

impl ConfigKind {
    fn from_code(code: i8) -> Option<Self> {
        Some(match code {
            1 => Self::Boolean,
            2 => Self::String,
            3 => Self::Int,
            4 => Self::Short,
            5 => Self::Long,
            6 => Self::Double,
            7 => Self::List,
            8 => Self::Class,
            9 => Self::Password,
            _ => return None,
        })
    }
}

/// What would apply if a nearer value were taken away.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigSynonym {
    /// The name under which it is set there.
    pub name: Text,
    /// The value; `None` when it is secret or not set.
    pub value: Option<Text>,
    /// Where it is set.
    pub source: ConfigSource,
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
    /// What values it takes, if the broker says so.
    pub kind: Option<ConfigKind>,
    /// The value with what else would apply, nearest first.
    pub synonyms: Vec<ConfigSynonym>,
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
    /// Does this to the config with this name.
    pub fn new(name: impl Into<Text>, operation: Operation) -> Self {
        Self { name: name.into(), operation }
    }

    /// Gives a config this value.
    pub fn set(name: impl Into<Text>, value: impl Into<Text>) -> Self {
        Self { name: name.into(), operation: Operation::Set(value.into()) }
    }

    /// Takes a config's value away, so that the default holds.
    pub fn unset(name: impl Into<Text>) -> Self {
        Self { name: name.into(), operation: Operation::Unset }
    }

    /// Adds items, separated by commas, to a config that is a list.
    pub fn append(name: impl Into<Text>, items: impl Into<Text>) -> Self {
        Self { name: name.into(), operation: Operation::Append(items.into()) }
    }

    /// Takes items, separated by commas, from a config that is a list.
    pub fn subtract(name: impl Into<Text>, items: impl Into<Text>) -> Self {
        Self { name: name.into(), operation: Operation::Subtract(items.into()) }
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

fn entry_of(told: DescribeConfigsResourceResult) -> ConfigEntry {
    ConfigEntry {
        name: told.name,
        value: told.value,
        source: ConfigSource::from_code(told.config_source),
        read_only: told.read_only,
        sensitive: told.is_sensitive,
        kind: ConfigKind::from_code(told.config_type),
        synonyms: told
            .synonyms
            .into_iter()
            .map(|other| ConfigSynonym {
                name: other.name,
                value: other.value,
                source: ConfigSource::from_code(other.source),
            })
            .collect(),
        documentation: told.documentation,
    }
}
