//! What a user of the client meets when something fails: what happened, what kind of failure it is,
//! and what to do about it.

mod codes;
mod options;

use std::time::Duration;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::ids::TopicPartition;
use duramen_protocol::text::Text;

pub use crate::connection::{CallError, ConnectionError};
pub(crate) use options::{at_least, between, not_zero, wrong};

/// What may be done about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Remedy {
    /// The same may succeed later; the client has tried for as long as it was allowed.
    Retry,
    /// Another took this client's place, or its partitions; make a new one, or join again.
    Fenced,
    /// It can't succeed as it is, however often it is tried.
    Change,
}

/// An error of the client.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// An address that is no `host:port`.
    #[error("\"{0}\" is no broker address; write host:port, as 127.0.0.1:9092")]
    Address(String),
    /// Options that can't hold, alone or together; nothing was started.
    #[error("{option} {problem}")]
    Options {
        /// The option, and Kafka's name of it where there is one: `linger (linger.ms)`.
        option: &'static str,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// Properties that are not understood or can't be honoured; nothing was started.
    #[error(transparent)]
    Properties(#[from] crate::properties::PropertiesError),
    /// No broker answered.
    #[error("no broker answered at {}: {last}", addresses.join(", "))]
    Unreachable {
        /// Those that were tried.
        addresses: Vec<String>,
        /// What the last one met with.
        last: String,
    },
    /// A call failed below the level of Kafka's own errors.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The broker refused.
    #[error("{what}: {} ({})", message.as_deref().unwrap_or(code.message()), code.name())]
    Refused {
        /// What was asked for: `create topic orders`, `partition orders-3`.
        what: String,
        /// Kafka's error.
        code: ErrorCode,
        /// The broker's own words, if it had any.
        message: Option<Text>,
    },
    /// The time for the whole operation ran out.
    #[error("{what} took longer than {} ms; the last attempt met: {last}", after.as_millis())]
    Expired {
        /// What was asked for.
        what: String,
        /// How long it was tried.
        after: Duration,
        /// What the last attempt met with.
        last: String,
    },
    /// A record that is larger than all memory set aside for records.
    #[error("the record takes {size} bytes, more than the producer's whole buffer of {max}")]
    RecordTooLarge {
        /// Bytes of the record and what surrounds it.
        size: usize,
        /// Bytes of the buffer.
        max: usize,
    },
    /// A record that Kafka's format can't hold.
    #[error("the record can't be written: {0}")]
    Record(duramen_protocol::records::BatchError),
    /// A key or value that has no bytes in its format.
    #[error(transparent)]
    Serde(#[from] crate::serde::SerdeError),
    /// A partition that the topic does not have.
    #[error("topic {topic} has no partition {partition}; it has {count}, numbered from 0")]
    NoPartition {
        /// The topic's name.
        topic: Text,
        /// The partition asked for.
        partition: i32,
        /// How many partitions there are.
        count: usize,
    },
    /// A partition that is not read here (any more).
    #[error("partition {0} is not assigned to this consumer")]
    NotAssigned(TopicPartition),
    /// The broker answered something else than was asked.
    #[error("the broker's answer to {0} lacks what was asked for")]
    Incomplete(&'static str),
    /// The producer, consumer or cluster was closed.
    #[error("the client was closed")]
    Closed,
}

impl ClientError {
    /// A refusal, in Kafka's terms.
    pub fn refused(what: impl Into<String>, code: ErrorCode, message: Option<Text>) -> Self {
        Self::Refused { what: what.into(), code, message: message.filter(|text| !text.is_empty()) }
    }

    /// Kafka's error code, where the broker gave one.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// What may be done.
    #[must_use]
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Refused { code, .. } => codes::remedy(*code),
            Self::Unreachable { .. } | Self::Expired { .. } => Remedy::Retry,
            Self::Call(CallError::Connection(_) | CallError::Busy) => Remedy::Retry,
            Self::Call(_)
            | Self::Address(_)
            | Self::Options { .. }
            | Self::Properties(_)
            | Self::RecordTooLarge { .. }
            | Self::Record(_)
            | Self::Serde(_)
            | Self::NoPartition { .. }
            | Self::NotAssigned(_)
            | Self::Incomplete(_)
            | Self::Closed => Remedy::Change,
        }
    }

    /// True when the very same request may succeed when it is sent again. [`Remedy::Retry`] is wider: what
    /// [`ClientError::advice`] says may have to come first.
    #[must_use]
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Refused { code, .. } => code.is_retriable(),
            error => error.remedy() == Remedy::Retry,
        }
    }

    /// One line on the way out, where there is one.
    #[must_use]
    pub fn advice(&self) -> Option<&'static str> {
        Some(match self {
            Self::Refused { code, .. } => return codes::advice(*code),
            Self::Unreachable { .. } => "is a broker running there?",
            Self::Expired { .. } => {
                "the brokers are slow or unreachable: look at them, or allow more time"
            }
            Self::Call(CallError::Unsupported { .. }) => {
                "the broker is older than this client for that request"
            }
            Self::Call(CallError::Busy) => "wait for answers before sending more",
            Self::RecordTooLarge { .. } => "send smaller records, or raise buffer_bytes",
            Self::NotAssigned(_) => "read only what is assigned, or assign it first",
            Self::Incomplete(_) => "is this a broker of Kafka's protocol? look at its log",
            Self::Closed => "make a new one",
            // These say it themselves.
            Self::Address(_)
            | Self::Options { .. }
            | Self::Properties(_)
            | Self::Record(_)
            | Self::Serde(_)
            | Self::NoPartition { .. }
            | Self::Call(_) => return None,
        })
    }
}
