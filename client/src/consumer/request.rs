//! Fetch requests, pure.

use std::collections::BTreeMap;

use duramen_protocol::ids::TopicId;
use duramen_protocol::messages::fetch::{FetchPartition, FetchRequest, FetchTopic};
use duramen_protocol::text::Text;

use super::options::ConsumerOptions;

/// The last version that names topics by name (KIP-516).
const LAST_BY_NAME: i16 = 12;
/// The first version with the epoch of the last record (KIP-595).
const FIRST_WITH_LAST_EPOCH: i16 = 12;

/// A partition that goes with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wish {
    /// Its index in the consumer.
    pub(super) index: usize,
    pub(super) topic: Text,
    pub(super) topic_id: TopicId,
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) leader_epoch: i32,
    pub(super) last_epoch: i32,
}

/// The highest version in which all of these topics can be named.
pub(super) fn version_cap(wishes: &[Wish]) -> i16 {
    if wishes.iter().any(|wish| wish.topic_id.is_nil()) { LAST_BY_NAME } else { i16::MAX }
}

/// One request for all; sessions are not used (KIP-227), so each names everything.
pub(super) fn request(options: &ConsumerOptions, version: i16, wishes: &[Wish]) -> FetchRequest {
    let int = |bytes: usize| i32::try_from(bytes).unwrap_or(i32::MAX);
    let mut order: BTreeMap<&Text, usize> = BTreeMap::new();
    let mut topics: Vec<FetchTopic> = Vec::new();
    for wish in wishes {
        let at = *order.entry(&wish.topic).or_insert_with(|| {
            topics.push(FetchTopic {
                topic: if version > LAST_BY_NAME { Text::EMPTY } else { wish.topic.clone() },
                topic_id: wish.topic_id,
                partitions: Vec::new(),
            });
            topics.len() - 1
        });
        let Some(topic) = topics.get_mut(at) else { continue };
        topic.partitions.push(FetchPartition {
            partition: wish.partition,
            current_leader_epoch: wish.leader_epoch,
            fetch_offset: wish.offset,
            last_fetched_epoch: if version >= FIRST_WITH_LAST_EPOCH { wish.last_epoch } else { -1 },
            partition_max_bytes: int(options.partition_bytes),
            ..FetchPartition::default()
        });
    }
    FetchRequest {
        max_wait_ms: i32::try_from(options.max_wait.as_millis()).unwrap_or(i32::MAX),
        min_bytes: int(options.min_bytes),
        max_bytes: int(options.fetch_bytes),
        isolation_level: options.isolation.code(),
        session_id: 0,
        session_epoch: -1,
        topics,
        ..FetchRequest::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(topic: &str, id: u128, partition: i32) -> Wish {
        Wish {
            index: 0,
            topic: topic.into(),
            topic_id: TopicId::from_u128(id),
            partition,
            offset: 5,
            leader_epoch: 2,
            last_epoch: 1,
        }
    }

    #[test]
    fn topics_stand_in_the_order_of_their_first_partition() {
        let wishes = [wish("b", 2, 0), wish("a", 1, 0), wish("b", 2, 1)];
        let request = request(&ConsumerOptions::default(), 13, &wishes);
        let ids: Vec<_> = request.topics.iter().map(|t| (t.topic_id, t.partitions.len())).collect();
        assert_eq!(ids, [(TopicId::from_u128(2), 2), (TopicId::from_u128(1), 1)]);
        assert_eq!(version_cap(&wishes), i16::MAX);
        assert_eq!(version_cap(&[wish("a", 0, 0)]), 12);
    }

    #[test]
    fn an_old_broker_is_asked_by_name_and_without_the_last_epoch() {
        let request = request(&ConsumerOptions::default(), 11, &[wish("a", 0, 0)]);
        assert_eq!(request.topics[0].topic, "a");
        assert_eq!(request.topics[0].partitions[0].last_fetched_epoch, -1);
        assert_eq!(request.topics[0].partitions[0].current_leader_epoch, 2);
    }
}
