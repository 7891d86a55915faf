//! What the controller is asked, and what it answers. Kafka's admin requests become these in
//! `server/api/`; the shapes are Kafka's, without the wire.

use std::collections::BTreeMap;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::ids::TopicId;
use duramen_protocol::text::Text;
use uuid::Uuid;

use crate::metadata::ConfigResource;
use crate::metadata::image::brokers::{Endpoint, FeatureRange};

/// Something that only the controller may decide.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Create topics.
    CreateTopics(CreateTopics),
    /// Delete topics.
    DeleteTopics(DeleteTopics),
    /// Add partitions to topics.
    CreatePartitions(CreatePartitions),
    /// Replace all configs of resources.
    AlterConfigs(AlterConfigs),
    /// Change single configs of resources (KIP-339).
    IncrementalAlterConfigs(IncrementalAlterConfigs),
    /// Hand out a block of producer ids (KIP-730).
    AllocateProducerIds(AllocateProducerIds),
    /// A broker came up (KIP-631).
    RegisterBroker(RegisterBroker),
}

/// The answer to a [`Command`] of the same name.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// Each topic asked for, once.
    CreateTopics(Vec<(Text, Result<CreatedTopic, Refusal>)>),
    /// Each topic asked for, once.
    DeleteTopics(Vec<DeletedTopic>),
    /// Each topic asked for, once.
    CreatePartitions(Vec<(Text, Result<(), Refusal>)>),
    /// Each resource asked for, in order.
    AlterConfigs(Vec<(ConfigResource, Result<(), Refusal>)>),
    /// Each resource asked for, in order.
    IncrementalAlterConfigs(Vec<(ConfigResource, Result<(), Refusal>)>),
    /// The block, or why there is none.
    AllocateProducerIds(Result<ProducerIdBlock, Refusal>),
    /// The registration, or why there is none.
    RegisterBroker(Result<Registered, Refusal>),
}

/// Why one item was not done, as Kafka tells the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Kafka's error code.
    pub code: ErrorCode,
    /// One line for a person.
    pub message: Text,
}

impl Refusal {
    /// A refusal with a message of its own.
    pub fn new(code: ErrorCode, message: impl Into<Text>) -> Self {
        Self { code, message: message.into() }
    }

    /// A refusal with the code's usual message.
    #[must_use]
    pub fn plain(code: ErrorCode) -> Self {
        Self { code, message: code.message().into() }
    }
}

/// Create topics (KIP-4).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CreateTopics {
    /// The topics; one that comes twice is refused.
    pub topics: Vec<NewTopic>,
    /// Decide, but change nothing.
    pub validate_only: bool,
}

/// A topic to be created.
#[derive(Debug, Clone, PartialEq)]
pub struct NewTopic {
    /// Its name.
    pub name: Text,
    /// How many partitions; -1: the broker's `num.partitions`, or as `assignments` say.
    pub partitions: i32,
    /// How many replicas of each; -1: the broker's `default.replication.factor`, or as
    /// `assignments` say.
    pub replication_factor: i16,
    /// Partition index and its replicas, the preferred leader first; empty: the controller chooses.
    pub assignments: Vec<(i32, Vec<i32>)>,
    /// Configs by name.
    pub configs: ConfigTexts,
}

impl NewTopic {
    /// A topic with the broker's default partitions and replicas, and no config of its own.
    pub fn with_defaults(name: impl Into<Text>) -> Self {
        Self {
            name: name.into(),
            partitions: -1,
            replication_factor: -1,
            assignments: Vec::new(),
            configs: Vec::new(),
        }
    }
}

/// A topic that was created, or would have been.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedTopic {
    /// Its id.
    pub id: TopicId,
    /// How many partitions it has.
    pub partitions: i32,
    /// How many replicas each of them has.
    pub replication_factor: i16,
    /// The configs that were set for it.
    pub configs: BTreeMap<Text, Text>,
}

/// Delete topics.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DeleteTopics {
    /// The topics; one that comes twice is refused.
    pub topics: Vec<TopicRef>,
}

/// A topic by name or by id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicRef {
    /// Its name; `None` when the id says it.
    pub name: Option<Text>,
    /// Its id; nil when the name says it.
    pub id: TopicId,
}

impl TopicRef {
    /// A topic by name.
    pub fn name(name: impl Into<Text>) -> Self {
        Self { name: Some(name.into()), id: TopicId::nil() }
    }

    /// A topic by id.
    #[must_use]
    pub fn id(id: TopicId) -> Self {
        Self { name: None, id }
    }
}

/// A topic that was deleted, or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletedTopic {
    /// Its name, where it is known.
    pub name: Option<Text>,
    /// Its id, where it is known; else nil.
    pub id: TopicId,
    /// What came of it.
    pub result: Result<(), Refusal>,
}

/// Add partitions to topics (KIP-195).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CreatePartitions {
    /// The topics; one that comes twice is refused.
    pub topics: Vec<MorePartitions>,
    /// Decide, but change nothing.
    pub validate_only: bool,
}

/// More partitions for a topic.
#[derive(Debug, Clone, PartialEq)]
pub struct MorePartitions {
    /// The topic.
    pub topic: Text,
    /// How many partitions it is to have in all.
    pub count: i32,
    /// Replicas of each new partition; `None`: the controller chooses.
    pub assignments: Option<Vec<Vec<i32>>>,
}

/// Configs by name, as a request has them: a name may come twice, a value may be null.
pub type ConfigTexts = Vec<(Text, Option<Text>)>;

/// Replace all configs of resources.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AlterConfigs {
    /// The resources with all configs that each is to have; one that comes twice is refused.
    pub resources: Vec<(ConfigResource, ConfigTexts)>,
    /// Decide, but change nothing.
    pub validate_only: bool,
}

/// Change single configs of resources.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct IncrementalAlterConfigs {
    /// The resources with their changes; one that comes twice is refused.
    pub resources: Vec<(ConfigResource, Vec<ConfigChange>)>,
    /// Decide, but change nothing.
    pub validate_only: bool,
}

/// A change of one config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigChange {
    /// The config's name.
    pub name: Text,
    /// Kafka's operation: 0 set, 1 delete, 2 append, 3 subtract.
    pub operation: i8,
    /// The value; not needed to delete.
    pub value: Option<Text>,
}

/// Hand out a block of producer ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AllocateProducerIds {
    /// The broker that asks.
    pub broker_id: i32,
    /// Its registration.
    pub broker_epoch: i64,
}

/// Producer ids for one broker to give to producers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerIdBlock {
    /// The first id.
    pub first: i64,
    /// How many ids.
    pub len: i32,
}

/// A broker came up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisterBroker {
    /// The broker's id.
    pub id: i32,
    /// The cluster that it believes to be in; empty: it does not know yet.
    pub cluster_id: Text,
    /// Made anew by each process.
    pub incarnation_id: Uuid,
    /// Where it can be reached.
    pub endpoints: Vec<Endpoint>,
    /// The levels of each feature that it can work with.
    pub features: BTreeMap<Text, FeatureRange>,
    /// The rack it stands in.
    pub rack: Option<Text>,
    /// Its log directories.
    pub log_dirs: Vec<Uuid>,
}

/// A broker's registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Registered {
    /// Its number: grows with each registration of a broker.
    pub broker_epoch: i64,
}
