//! The Rust client of Duramen and of any Kafka-wire broker.
//!
//! | module | what lives there |
//! |---|---|
//! | [`connection`] | one pipelined connection over any byte stream |
//! | [`cluster`] | brokers and topics as last heard of, a connection per broker |
//! | [`producer`] | idempotent, batching producer |
//! | [`consumer`] | reads given offsets as a stream |
//! | [`consumer::group`] | reads as a member of a group |
//! | [`replay`] | bounded ranges as one paced stream; how far a producer id got |
//! | [`mod@serde`] | typed keys and values |
//! | [`properties`] | options from Kafka's property maps |
//! | [`transport`] | how streams to brokers are made, and what is said first |
//! | [`metrics`] | what was done so far, in numbers |
//! | [`admin`] | the cluster, topics, configs, records, offsets, groups |
//! | [`probe`] | one address tried on its own, for diagnosis |
//! | [`error`] | what can fail, and what to do about it |

pub mod admin;
pub mod backoff;
mod clock;
pub mod cluster;
pub mod connection;
pub mod consumer;
mod coordinator;
pub mod error;
pub mod metrics;
pub mod probe;
pub mod producer;
pub mod properties;
pub mod random;
pub mod replay;
pub mod serde;
mod setters;
#[cfg(test)]
mod testing;
pub mod transport;
mod trouble;

/// The messages and codes of the wire, as far as this crate's API speaks of them.
pub use duramen_protocol as protocol;

pub use admin::Admin;
pub use cluster::{Cluster, ClusterOptions};
pub use connection::{Connection, ConnectionOptions};
pub use consumer::{Consumer, ConsumerOptions};
pub use error::{ClientError, Remedy};
pub use metrics::Metrics;
pub use producer::{Producer, ProducerOptions, ProducerRecord};
pub use replay::Replay;
pub use trouble::Trouble;

pub use duramen_protocol::error::ErrorCode;
pub use duramen_protocol::ids::{
    TopicId, TopicPartition, topic_id_from_base64, topic_id_to_base64,
};
pub use duramen_protocol::text::Text;

/// The guide's programs compile.
#[cfg(all(doctest, feature = "json"))]
#[doc = include_str!("../../docs/client.md")]
struct Guide;

/// And that of the page on replays.
#[cfg(doctest)]
#[doc = include_str!("../../docs/replay.md")]
struct ReplayPage;
