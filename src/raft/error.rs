//! What can go wrong with the metadata log.

use std::io;
use std::path::PathBuf;

use duramen_protocol::metadata::FramedError;

use crate::storage::StorageError;

/// Why metadata records were not committed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// Another node leads, or none.
    #[error("this node does not lead the metadata quorum")]
    NotLeader,
    /// Nothing to write.
    #[error("a proposal needs at least one metadata record")]
    Empty,
    /// More than fits into one batch.
    #[error("a proposal of {bytes} bytes is larger than the {max} that one batch may hold")]
    TooLarge {
        /// The proposal's size, in bytes.
        bytes: usize,
        /// [`super::PROPOSAL_MAX_BYTES`].
        max: usize,
    },
    /// The metadata log can't be written; no proposal succeeds until the node is started again.
    #[error("the metadata log can't be written: {0}")]
    Storage(String),
    /// The driver has stopped, or stopped before it knew the outcome.
    #[error("the metadata log is closed")]
    Stopped,
}

/// Why the metadata log can't be read.
#[derive(Debug, thiserror::Error)]
pub enum RaftError {
    /// The disk said no.
    #[error(
        "can't read the metadata in {}: {source}; check the disk (dmesg tells more), then start again",
        path.display()
    )]
    Io {
        /// The file, or the directory that holds it.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// The disk said no, and its log directory is offline.
    #[error("can't read the metadata log at offset {offset}: {source}")]
    Storage {
        /// Where.
        offset: i64,
        /// Names the file, and what to do.
        source: StorageError,
    },
    /// A batch is damaged, or is not a batch of metadata records.
    #[error(
        "the metadata log is damaged at offset {offset}: {reason}; put its directory back from a copy"
    )]
    Damaged {
        /// Where.
        offset: i64,
        /// What is wrong there.
        reason: String,
    },
    /// A metadata record that this build does not understand.
    #[error("can't read the metadata log at offset {offset}: {source}")]
    Refused {
        /// Where.
        offset: i64,
        /// Why.
        source: FramedError,
    },
    /// The log was trimmed up to here, and no valid snapshot stands for what is gone.
    #[error(
        "the metadata log starts at offset {log_start} and no valid snapshot reaches up to it: \
         restore the newest .checkpoint file of this directory"
    )]
    MissingSnapshot {
        /// The first offset of the log.
        log_start: i64,
    },
}

/// Why a snapshot file was refused or not written.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The disk said no.
    #[error("can't read or write the metadata snapshot: {0}")]
    Io(#[from] io::Error),
    /// The file is damaged or was cut short.
    #[error("the metadata snapshot is damaged: {0}")]
    Damaged(String),
    /// The file holds something that this build does not understand.
    #[error("can't read the metadata snapshot: {0}")]
    Refused(#[from] FramedError),
}
