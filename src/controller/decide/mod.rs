//! Decisions: a view of the cluster and a command give metadata records and a reply. Pure: nothing
//! here waits, writes, asks for the time, or changes what it looks at.
//!
//! * [`topics`]: create, delete, add partitions;
//! * [`configs`]: alter configs, in both ways;
//! * [`brokers`]: registrations;
//! * [`producer_ids`]: blocks of producer ids;
//! * [`names`]: what a topic may be called.

pub mod brokers;
pub mod configs;
pub mod names;
pub mod producer_ids;
pub mod topics;

use std::fmt;
use std::sync::Arc;

use duramen_protocol::metadata::MetadataRecord;
use duramen_protocol::text::Text;

use super::command::{Command, Refusal, Reply};
use crate::metadata::image::configs::ConfigValues;
use crate::metadata::{ConfigResource, MetadataImage};

/// What a decision looks at.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// The cluster, with everything decided before.
    pub image: &'a MetadataImage,
    /// The controller's settings.
    pub settings: &'a Settings,
}

/// What the controller needs of the broker's configuration.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `num.partitions`.
    pub num_partitions: i32,
    /// `default.replication.factor`.
    pub default_replication_factor: i16,
    /// `delete.topic.enable`.
    pub delete_topic_enable: bool,
    /// What may be configured.
    pub config_rules: ConfigRules,
}

/// Checks all configs that a resource would have after a change; the refusal is the client's.
pub type CheckConfigs = dyn Fn(&ConfigResource, &ConfigValues) -> Result<(), Refusal> + Send + Sync;

/// Says, for a config of type list, which items stand there when none was set; `None` for a config
/// of another type, or an unknown one.
pub type ListDefault = dyn Fn(&ConfigResource, &str) -> Option<Text> + Send + Sync;

/// The configs there are and what they may be: the tables of `crate::config`, handed in so that
/// decisions can be tested without them.
#[derive(Clone)]
pub struct ConfigRules {
    /// Whether a resource may be configured so.
    pub check: Arc<CheckConfigs>,
    /// The default of a config of type list.
    pub list_default: Arc<ListDefault>,
}

impl fmt::Debug for ConfigRules {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ConfigRules").finish_non_exhaustive()
    }
}

/// Where random numbers come from: 64 fresh bits a call.
pub type Dice<'a> = &'a mut dyn FnMut() -> u64;

/// Metadata records to be committed, and the reply for when they are.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// What changes; all or none of it.
    pub records: Vec<MetadataRecord>,
    /// What to answer.
    pub reply: Reply,
}

/// Decides `command`.
pub fn decide(view: View<'_>, command: &Command, dice: Dice<'_>) -> Decision {
    let (records, reply) = match command {
        Command::CreateTopics(command) => {
            let (records, results) = topics::create(view, command, dice);
            (records, Reply::CreateTopics(results))
        }
        Command::DeleteTopics(command) => {
            let (records, results) = topics::delete(view, command);
            (records, Reply::DeleteTopics(results))
        }
        Command::CreatePartitions(command) => {
            let (records, results) = topics::create_partitions(view, command, dice);
            (records, Reply::CreatePartitions(results))
        }
        Command::AlterConfigs(command) => {
            let (records, results) = configs::alter(view, command);
            (records, Reply::AlterConfigs(results))
        }
        Command::IncrementalAlterConfigs(command) => {
            let (records, results) = configs::alter_incrementally(view, command);
            (records, Reply::IncrementalAlterConfigs(results))
        }
        Command::AllocateProducerIds(command) => {
            let (records, result) = producer_ids::allocate(view, *command);
            (records, Reply::AllocateProducerIds(result))
        }
        Command::RegisterBroker(command) => {
            let (records, result) = brokers::register(view, command);
            (records, Reply::RegisterBroker(result))
        }
    };
    Decision { records, reply }
}
