//! Partitions: a log on this broker's disk plus the role it plays. The floor where offsets become
//! "committed" and where requests wait for that.
//!
//! [`Replicas`] is the table of partitions; [`Partition`] the shell around one `storage::Log`;
//! `leader` and `waiters` decide and touch nothing. `server/api` calls in from above; the flusher
//! of a log directory calls in from below when bytes have reached the disk.

mod cleaning;
mod errors;
mod leader;
mod partition;
mod partition_types;
mod replicas;
mod topic_key;
mod waiters;

pub(crate) use errors::AppendFailure;
pub(crate) use partition::Partition;
pub(crate) use partition_types::{
    Acks, Append, Commit, FetchQuery, Fetched, Isolation, OffsetFound,
};
pub(crate) use replicas::{Directory, Replicas};
pub(crate) use topic_key::TopicKey;

/// Logical place of a record in its partition.
pub(crate) type Offset = i64;
