//! What can go wrong with one connection, and with one call on it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use duramen_protocol::api::{ApiKey, VersionRange};
use duramen_protocol::error::{DecodeError, EncodeError};
use duramen_protocol::frame::FrameError;

/// Why a connection ended. Every call that waits on it gets a copy.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// The peer closed the stream.
    #[error("the broker closed the connection")]
    Closed,
    /// The operating system reported an error.
    #[error("the connection broke: {0}")]
    Io(Arc<io::Error>),
    /// The peer sent a length that is no frame's.
    #[error("{0}; is this a Kafka port?")]
    Frame(#[from] FrameError),
    /// An answer that belongs to no request, or to another than the oldest one.
    #[error("the broker answered request {got} where {expected:?} was due")]
    OutOfOrder {
        /// Correlation id of the oldest request without an answer, if there is one.
        expected: Option<i32>,
        /// Correlation id of the answer.
        got: i32,
    },
    /// A frame too short to hold a correlation id.
    #[error("the broker sent a frame of {0} bytes, too short for an answer")]
    Short(usize),
    /// No answer came in time; later answers could only come after it, so the connection ended.
    #[error("the broker did not answer {api} within {} ms", after.as_millis())]
    Timeout {
        /// The API of the request.
        api: ApiKey,
        /// How long it was waited for.
        after: Duration,
    },
    /// The last handle of the connection was dropped.
    #[error("the connection was closed here")]
    Dropped,
}

impl From<io::Error> for ConnectionError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Closed,
            _ => Self::Io(Arc::new(error)),
        }
    }
}

/// Why one call failed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The connection ended; whether the broker did the work is not known.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// The request can't be written in this version; nothing was sent.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The answer can't be read.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The broker and this client share no version of the API; nothing was sent.
    #[error("the broker does not serve {api} in versions {ours} (it has {})", range(*theirs))]
    Unsupported {
        /// The API.
        api: ApiKey,
        /// The versions that this client speaks.
        ours: VersionRange,
        /// The versions that the broker named, if it has the API at all.
        theirs: Option<VersionRange>,
    },
    /// So many requests wait on this connection that no more is taken; nothing was sent.
    #[error("too many requests wait on this connection")]
    Busy,
}

fn range(theirs: Option<VersionRange>) -> String {
    theirs.map_or_else(|| "none".to_owned(), |range| range.to_string())
}
