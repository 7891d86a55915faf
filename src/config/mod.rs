//! Settings: from what was typed to what the code needs.
//!
//! | file | what it holds |
//! |---|---|
//! | [`table`] | THE table: every setting's name, type, default, bounds, meaning |
//! | [`setting`] | what a row of the table says |
//! | [`value`] | from the text of a value to the value |
//! | [`settings`] | the layers in which settings are given, and which one holds |
//! | [`topic`] | [`TopicConfig`], the checked settings of a topic |
//! | [`error`] | what can be wrong |

pub mod error;
mod reader;
pub mod setting;
pub mod settings;
pub mod table;
pub mod topic;
pub mod value;

pub use error::ConfigError;
pub use settings::{Settings, Texts};
pub use topic::{Durability, TargetCompression, TopicConfig};
