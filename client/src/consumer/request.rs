//! Fetch requests, pure.

use std::collections::BTreeMap;

use duramen_protocol::ids::TopicId;
use duramen_protocol::messages::fetch::{FetchPartition, FetchRequest, FetchTopic, ForgottenTopic};
use duramen_protocol::text::Text;

use super::command::Reading;
use super::options::ConsumerOptions;
use super::session::{Key, Step};

/// The last version that names topics by name (KIP-516).
const LAST_BY_NAME: i16 = 12;
/// The first version with the epoch of the last record (KIP-595).
const FIRST_WITH_LAST_EPOCH: i16 = 12;

/// A partition that goes with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wish {
    /// The reading that it is for.
    pub(super) reading: Reading,
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

/// Whether topics go by their ids in a version.
pub(super) fn by_id(version: i16) -> bool {
    version > LAST_BY_NAME
}

/// One request for all: those that the session's step names.
pub(super) fn request(
    options: &ConsumerOptions,
    version: i16,
    wishes: &[Wish],
    step: Step,
) -> FetchRequest {
    let int = |bytes: usize| i32::try_from(bytes).unwrap_or(i32::MAX);
    let mut order: BTreeMap<&Text, usize> = BTreeMap::new();
    let mut topics: Vec<FetchTopic> = Vec::new();
    let name = |topic: &Text| if by_id(version) { Text::EMPTY } else { topic.clone() };
    for wish in step.named.iter().filter_map(|at| wishes.get(*at)) {
        let at = *order.entry(&wish.topic).or_insert_with(|| {
            topics.push(FetchTopic {
                topic: name(&wish.topic),
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
        session_id: step.id,
        session_epoch: step.epoch,
        topics,
        forgotten_topics_data: forgotten(step.forgotten, name),
        rack_id: options.rack.clone().unwrap_or_default(),
        ..FetchRequest::default()
    }
}

fn forgotten(keys: Vec<Key>, name: impl Fn(&Text) -> Text) -> Vec<ForgottenTopic> {
    let mut topics: Vec<ForgottenTopic> = Vec::new();
    // The keys stand in the order of their topics.
    for Key { topic, topic_id, partition } in keys {
        let topic = name(&topic);
        match topics.last_mut().filter(|last| last.topic == topic && last.topic_id == topic_id) {
            Some(last) => last.partitions.push(partition),
            None => topics.push(ForgottenTopic { topic, topic_id, partitions: vec![partition] }),
        }
    }
    topics
}

#[cfg(test)]
mod tests {
    use super::super::session::Session;
    use super::*;

    fn wish(topic: &str, id: u128, partition: i32) -> Wish {
        Wish {
            reading: 0,
            topic: topic.into(),
            topic_id: TopicId::from_u128(id),
            partition,
            offset: 5,
            leader_epoch: 2,
            last_epoch: 1,
        }
    }

    fn all(wishes: &[Wish]) -> Step {
        Session::default().step(wishes, true, true)
    }

    #[test]
    fn what_goes_is_forgotten_by_topic() {
        let mut session = Session::default();
        session.step(&[wish("a", 1, 0), wish("b", 2, 0), wish("a", 1, 1)], true, true);
        session.answered(7);
        let wishes = [wish("c", 3, 0)];
        let step = session.step(&wishes, true, true);
        let request = request(&ConsumerOptions::default(), 13, &wishes, step);
        assert_eq!((request.session_id, request.session_epoch, request.topics.len()), (7, 1, 1));
        let forgotten = request.forgotten_topics_data.iter();
        let forgotten: Vec<_> = forgotten.map(|it| (it.topic_id, &it.partitions[..])).collect();
        let (a, b) = (TopicId::from_u128(1), TopicId::from_u128(2));
        assert_eq!(forgotten, [(a, &[0, 1][..]), (b, &[0][..])]);
    }

    #[test]
    fn topics_stand_in_the_order_of_their_first_partition() {
        let wishes = [wish("b", 2, 0), wish("a", 1, 0), wish("b", 2, 1)];
        let request = request(&ConsumerOptions::default(), 13, &wishes, all(&wishes));
        let ids: Vec<_> = request.topics.iter().map(|t| (t.topic_id, t.partitions.len())).collect();
        assert_eq!(ids, [(TopicId::from_u128(2), 2), (TopicId::from_u128(1), 1)]);
        assert_eq!(version_cap(&wishes), i16::MAX);
        assert_eq!(version_cap(&[wish("a", 0, 0)]), 12);
    }

    #[test]
    fn an_old_broker_is_asked_by_name_and_without_the_last_epoch() {
        let wishes = [wish("a", 0, 0)];
        let options = ConsumerOptions { rack: Some("r".into()), ..ConsumerOptions::default() };
        let request = request(&options, 11, &wishes, all(&wishes));
        assert_eq!(request.rack_id, "r");
        assert_eq!(request.topics[0].topic, "a");
        assert_eq!(request.topics[0].partitions[0].last_fetched_epoch, -1);
        assert_eq!(request.topics[0].partitions[0].current_leader_epoch, 2);
    }
}
