//! One replica's log on disk: bytes and offsets, no leaders.

pub mod checkpoint;
pub mod epochs;
pub mod partition_metadata;
pub mod producer_snapshot;
pub mod producer_state;
pub mod producer_txn;
pub mod refusal;
pub mod retention;
pub mod validate;
