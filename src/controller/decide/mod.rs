//! Decisions: a view of the cluster and a command give metadata records and a reply. Pure: nothing
//! here waits, writes, asks for the time, or changes what it looks at.
//!
//! | file | what is decided |
//! |---|---|
//! | [`create_topics`], [`delete_topics`], [`create_partitions`] | which topics and partitions there are |
//! | `replicas` | who gets a new partition |
//! | [`configs`], `config_rules` | what is configured, and what may be |
//! | [`brokers`] | who is in the cluster |
//! | [`producer_ids`] | who gives which producer ids |
//! | [`names`] | what a topic may be called |

pub mod brokers;
mod config_rules;
pub mod configs;
pub mod create_partitions;
pub mod create_topics;
pub mod delete_topics;
pub mod names;
pub mod producer_ids;
mod replicas;

use duramen_protocol::metadata::MetadataRecord;

use super::command::{Command, Refusal, Reply};
use crate::config;
use crate::metadata::MetadataImage;

/// What came of one item of a command.
type Outcome<T> = Result<T, Refusal>;

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
    /// This node's id.
    pub node_id: i32,
    /// The broker's settings as they were typed before the start; what is set at run time stands in
    /// the image.
    pub broker: config::Settings,
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
            let (records, results) = create_topics::create(view, command, dice);
            (records, Reply::CreateTopics(results))
        }
        Command::DeleteTopics(command) => {
            let (records, results) = delete_topics::delete(view, command);
            (records, Reply::DeleteTopics(results))
        }
        Command::CreatePartitions(command) => {
            let (records, results) = create_partitions::create(view, command, dice);
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

#[cfg(test)]
pub(super) mod testing;
#[cfg(test)]
mod tests;
