//! Groups: who reads which partition, and how far each group has read. State machines that are
//! replicated as records of an internal topic, `__consumer_offsets`.
//!
//! ```text
//! server/api ─▶ Coordinator ─▶ the shard of the group: one task a partition of the topic
//!     groups.decide     command → records, replies           (pure)
//!     partition.append  one batch
//!     groups.replay     the records become state
//!     the replies leave when the high watermark has passed the records
//! ```
//!
//! | path | what lives there |
//! |---|---|
//! | `runtime/` | the shards: loading, deciding, appending, answering, waking up |
//! | `command.rs` | pure: what is asked and answered |
//! | `groups.rs` | pure: all that a shard knows |
//! | `group/` | pure: a group |
//! | `offsets/` | pure: committed offsets |
//! | `lag.rs` | how far behind them the groups are |
//! | `rehearsal.rs` | a shard without tasks, for tests and the fuzzer |
//!
//! Called by `server/api` with requests and by `broker/applier.rs` with what changed in the cluster;
//! calls `replication` to append and to load.

pub(crate) mod command;
mod group;
mod groups;
mod lag;
mod offsets;
pub mod rehearsal;
mod runtime;

pub(crate) use group::classic::refused_join;
pub(crate) use lag::{Lag, lags};
pub(crate) use runtime::{Asked, Coordinator, CoordinatorParts, OFFSETS_TOPIC, offsets_topic};

#[cfg(test)]
mod tests;
