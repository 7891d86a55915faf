//! One replica's log on disk: bytes and offsets, no leaders.
//!
//! [`LogDir`] is a directory, [`Log`] one partition in it. An append checks, stamps and writes a
//! batch with one system call; a read hands out a slice of a map. Durability is group-committed by
//! the directory's flusher ([`Log::durable_offset`]). Files are Kafka's, so Kafka's tools read them.

mod aging;
mod append;
mod atomic_file;
mod background;
mod chain;
pub mod checkpoint;
mod checkpoints;
pub mod compaction;
mod cut;
mod damage;
mod dir;
pub mod epochs;
mod error;
mod figures;
mod file_cache;
mod flusher;
mod home;
mod hot;
mod index_file;
mod inspect;
mod lifecycle;
mod log;
mod log_config;
mod log_state;
mod meta_properties;
pub mod offline;
mod offset_index;
pub mod partition_metadata;
pub mod producer_snapshot;
pub mod producer_state;
pub mod producer_txn;
mod read;
mod recovery;
mod recovery_epochs;
mod recovery_files;
mod recovery_load;
mod recovery_walk;
pub mod refusal;
pub mod retention;
mod roll;
mod segment;
mod sound;
mod space;
mod survey;
mod time_index;
mod timestamps;
pub mod validate;
mod view;
mod walk;

pub use aging::RetentionOutcome;
pub use append::{AppendInfo, Appended};
pub use chain::trusted_prefix;
pub use damage::Damage;
pub use dir::{LogDir, LogDirOptions};
pub use error::{AppendError, OpenError, ReadError, StorageError};
pub use figures::DirFigures;
pub use home::{DurableHook, Hooks, OfflineHook};
pub use log::{Log, LogHandle};
pub use log_config::{Durability, LogConfig};
pub use meta_properties::{FORMAT, MetaProperties};
pub use read::{LogRead, ReadRequest};
pub use recovery::{Cut, Recovered, RecoveryReport, UnrecoveredLog};
pub use space::SpaceMarks;
pub use survey::{Holder, Survey, survey};
pub use timestamps::TimestampedOffset;
pub use view::LogView;

#[cfg(test)]
mod tests;
