//! Identifiers and the special numbers that travel in many messages.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use crate::text::Text;

/// A topic's id (KIP-516): one incarnation of a topic; a topic deleted and made again has another.
/// The nil id stands for "none".
pub type TopicId = Uuid;

/// The id of the cluster metadata log's topic.
pub const METADATA_TOPIC_ID: TopicId = Uuid::from_u128(1);

/// No timestamp, in milliseconds since the epoch.
pub const NO_TIMESTAMP: i64 = -1;
/// No offset.
pub const NO_OFFSET: i64 = -1;
/// No leader epoch.
pub const NO_EPOCH: i32 = -1;
/// No broker, as in "this partition has no leader" or "the request is not a replica's".
pub const NO_NODE: i32 = -1;
/// No producer id: the batch is not idempotent (KIP-98).
pub const NO_PRODUCER_ID: i64 = -1;
/// No producer epoch.
pub const NO_PRODUCER_EPOCH: i16 = -1;
/// No sequence number.
pub const NO_SEQUENCE: i32 = -1;
/// `authorized_operations` was not asked for.
pub const NO_AUTHORIZED_OPERATIONS: i32 = i32::MIN;

/// ListOffsets: the log end offset (the high watermark or last stable offset for a consumer).
pub const LATEST: i64 = -1;
/// ListOffsets: the log start offset.
pub const EARLIEST: i64 = -2;
/// ListOffsets: the offset of the record with the largest timestamp (KIP-734).
pub const MAX_TIMESTAMP: i64 = -3;
/// ListOffsets: the first offset on the local disk (KIP-405).
pub const EARLIEST_LOCAL: i64 = -4;
/// ListOffsets: the last offset in tiered storage (KIP-1005).
pub const LATEST_TIERED: i64 = -5;
/// ListOffsets: the first offset not yet uploaded to tiered storage (KIP-1023).
pub const EARLIEST_PENDING_UPLOAD: i64 = -6;

/// Isolation level: a fetch sees everything below the high watermark.
pub const READ_UNCOMMITTED: i8 = 0;
/// Isolation level: a fetch sees everything below the last stable offset.
pub const READ_COMMITTED: i8 = 1;

/// A resource of DescribeConfigs and its family: nothing known.
pub const RESOURCE_UNKNOWN: i8 = 0;
/// A topic's configuration.
pub const RESOURCE_TOPIC: i8 = 2;
/// A broker's configuration; the empty name is the whole cluster's default.
pub const RESOURCE_BROKER: i8 = 4;
/// A broker's log levels.
pub const RESOURCE_BROKER_LOGGER: i8 = 8;
/// Client metrics subscriptions (KIP-714).
pub const RESOURCE_CLIENT_METRICS: i8 = 16;
/// A group's configuration (KIP-848).
pub const RESOURCE_GROUP: i8 = 32;

/// One partition of one topic, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// The topic's name.
    pub topic: Text,
    /// The partition's index, from 0.
    pub partition: i32,
}

impl TopicPartition {
    /// The partition `partition` of `topic`.
    pub fn new(topic: impl Into<Text>, partition: i32) -> Self {
        Self { topic: topic.into(), partition }
    }
}

impl fmt::Display for TopicPartition {
    /// `orders-0`, the form of Kafka's directory names and log lines.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", self.topic, self.partition)
    }
}

/// An id as Kafka prints it: 22 characters of URL-safe base64 without padding.
pub fn topic_id_to_base64(id: &TopicId) -> String {
    URL_SAFE_NO_PAD.encode(id.as_bytes())
}

/// The id that Kafka prints so; `None` when it is not 16 bytes of URL-safe base64.
pub fn topic_id_from_base64(printed: &str) -> Option<TopicId> {
    let mut bytes = [0; 18];
    let len = URL_SAFE_NO_PAD.decode_slice(printed, &mut bytes).ok()?;
    Uuid::from_slice(bytes.get(..len)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_prints_as_kafka_prints_it() {
        assert_eq!(topic_id_to_base64(&METADATA_TOPIC_ID), "AAAAAAAAAAAAAAAAAAAAAQ");
        let id = Uuid::from_u128(0xfeed_beef_0000_1111_2222_3333_4444_5555);
        assert_eq!(topic_id_from_base64(&topic_id_to_base64(&id)), Some(id));
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for printed in ["", "AAAA", "not base64 at all!!!!!", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
            assert_eq!(topic_id_from_base64(printed), None, "{printed}");
        }
    }

    #[test]
    fn a_partition_prints_as_its_directory() {
        assert_eq!(TopicPartition::new("a-b", 12).to_string(), "a-b-12");
    }
}
