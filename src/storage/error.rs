//! What can go wrong in storage, told to whoever can do something about it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use duramen_protocol::records::batch::BatchError;

use super::producer_state::ProducerError;

/// Names the file in an error of the system, which keeps its kind.
pub(super) fn naming(path: &Path) -> impl Fn(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// The disk refused, or the log is gone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StorageError {
    /// The log directory failed earlier, or just now, and is not used again before a restart.
    #[error(
        "log directory {} is offline until the next start: {reason}; check the disk, then restart",
        path.display()
    )]
    Offline {
        /// The log directory.
        path: PathBuf,
        /// The first error.
        reason: Arc<str>,
    },
    /// No room. Nothing was written, reads go on, and appends resume once there is room.
    #[error("the disk of {} is full: free space, or lower the retention of topics", path.display())]
    NoSpace {
        /// The log directory.
        path: PathBuf,
    },
    /// The directory of a log to be made has files in it.
    #[error("{} holds a log already", path.display())]
    Exists {
        /// The directory.
        path: PathBuf,
    },
    /// The log has been deleted or closed.
    #[error("the log has been closed")]
    Closed,
}

/// Why an append did not happen. Nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The disk.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The producer's epoch or sequence.
    #[error(transparent)]
    Producer(#[from] ProducerError),
    /// Not a record batch.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// More bytes than a segment may hold: `RECORD_LIST_TOO_LARGE`.
    #[error("{size} bytes are more than a segment may hold (segment.bytes is {limit})")]
    LargerThanSegment {
        /// Bytes of the batches.
        size: usize,
        /// `segment.bytes`.
        limit: u32,
    },
    /// A copied batch does not continue the log.
    #[error("the batch begins at offset {found}, the log ends at {log_end}")]
    NotNext {
        /// Base offset of the batch.
        found: i64,
        /// Log end offset.
        log_end: i64,
    },
    /// The last offset would not fit in 63 bits, or a batch ends before it begins.
    #[error("the offsets of the batch are out of range")]
    Offsets,
}

/// Why a read gave nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// `OFFSET_OUT_OF_RANGE`.
    #[error("offset {offset} lies outside the log, which holds {log_start} to {log_end}")]
    OutOfRange {
        /// What was asked for.
        offset: i64,
        /// Log start offset.
        log_start: i64,
        /// Log end offset.
        log_end: i64,
    },
    /// The bytes are damaged: `CORRUPT_MESSAGE`. What lies before and after can be read.
    #[error("offsets {first} to {next} (exclusive) are damaged on the disk and can't be read")]
    Damaged {
        /// First offset that is lost.
        first: i64,
        /// First offset after it that can be read.
        next: i64,
    },
    /// The request has no patience, and what it wants must come from the disk.
    #[error("what is read is not in memory")]
    NotInMemory,
    /// Files of the log went while a copy of it was read: read again from a new one.
    #[error("the log was cut while it was read")]
    Changed,
    /// The disk.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl OpenError {
    /// An error of the system with something in the directory at `path`: of the rights to it and its place, or
    /// of the disk.
    pub(super) fn of_system(path: &Path, error: &io::Error) -> Self {
        use io::ErrorKind as Kind;
        let (path, reason) = (path.to_owned(), error.to_string());
        match error.kind() {
            Kind::PermissionDenied
            | Kind::ReadOnlyFilesystem
            | Kind::NotFound
            | Kind::NotADirectory
            | Kind::IsADirectory
            | Kind::AlreadyExists
            | Kind::InvalidFilename
            | Kind::StorageFull
            | Kind::QuotaExceeded => Self::Unusable { path, reason },
            _ => Self::Disk { path, reason },
        }
    }
}

/// Why a log directory can't be used. Each text says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Another broker holds the lock, of this process or another.
    #[error(
        "{} is in use by another broker: stop that one, or choose another directory",
        path.display()
    )]
    InUse {
        /// The log directory.
        path: PathBuf,
    },
    /// The directory can't be made, read or written.
    #[error(
        "can't use {} as a log directory: {reason}; make it writable, or choose another with --data",
        path.display()
    )]
    Unusable {
        /// The directory or a file in it.
        path: PathBuf,
        /// What the operating system said.
        reason: String,
    },
    /// The disk does not give or take what lies there.
    #[error(
        "can't use {} as a log directory: {reason}; check the disk (dmesg tells more), then start again",
        path.display()
    )]
    Disk {
        /// The directory.
        path: PathBuf,
        /// What the operating system said, of which file.
        reason: String,
    },
    /// Written by a later version of Duramen.
    #[error(
        "{} has storage format {found}, this build reads up to {supported}: use a newer build",
        path.display()
    )]
    NewerFormat {
        /// The log directory.
        path: PathBuf,
        /// Format found.
        found: u32,
        /// The newest that this build knows.
        supported: u32,
    },
    /// The directory belongs to another node or cluster.
    #[error(
        "{} belongs to {field} {found}, not {expected}: choose another directory, or the right id",
        path.display()
    )]
    OtherOwner {
        /// The log directory.
        path: PathBuf,
        /// `cluster.id` or `node.id`.
        field: &'static str,
        /// As stored.
        found: String,
        /// As asked for.
        expected: String,
    },
    /// Apache Kafka made the directory.
    #[error("{} holds the data of an Apache Kafka broker: choose another directory", path.display())]
    Kafka {
        /// The log directory.
        path: PathBuf,
    },
    /// `meta.properties` is damaged.
    #[error("{} is damaged: {reason}; restore it from a copy", path.display())]
    BadMetaProperties {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}
