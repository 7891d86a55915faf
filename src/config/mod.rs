//! Settings: from what was typed to what the code needs.
//!
//! | file | what it holds |
//! |---|---|
//! | [`raw`] | what was typed: file, environment, `--set` |
//! | [`table`] | THE table: every setting's name, type, default, bounds, meaning |
//! | [`setting`] | what a row of the table says |
//! | [`value`] | from the text of a value to the value |
//! | [`settings`] | the layers in which settings are given, and which one holds |
//! | [`topic`] | [`TopicConfig`], the checked settings of a topic |
//! | [`checked`] | [`BrokerConfig`], the checked settings of a broker |
//! | [`groups`] | [`GroupsConfig`], the checked settings of the group coordinator |
//! | [`consumer_times`] | the times of KIP-848 groups, and what one group may make of them |
//! | [`cleaner`] | the settings of compaction, which can change at run time |
//! | [`listeners`] | what a node listens on and what it advertises |
//! | [`describe`] | what `DescribeConfigs` tells |
//! | [`docs`] | the page made from the table |
//! | [`error`] | what can be wrong |

pub mod checked;
pub mod cleaner;
pub mod consumer_times;
pub mod describe;
pub mod docs;
pub mod error;
pub mod groups;
pub mod listeners;
pub mod raw;
mod reader;
pub mod setting;
pub mod settings;
pub mod table;
pub mod topic;
pub mod value;

pub use checked::BrokerConfig;
pub use consumer_times::ConsumerTimes;
pub use error::ConfigError;
pub use groups::{GroupsConfig, MigrationPolicy};
pub use raw::RawConfig;
pub use settings::{Settings, Texts};
pub use topic::{Durability, TargetCompression, TopicConfig};
