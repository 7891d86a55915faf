//! What members tell each other through the coordinator, as bytes: subscriptions and assignments.

use std::collections::BTreeMap;

use bytes::Bytes;
use duramen_protocol::consumer_protocol::{
    self as wire, ConsumerProtocolAssignment, ConsumerProtocolSubscription,
    CooperativeStickyAssignorUserData, StickyAssignorUserData,
};
use duramen_protocol::error::{DataDecodeError, DataEncodeError, ErrorCode};
use duramen_protocol::text::Text;

use super::assignor::Candidate;
use super::member::Parts;
use super::{Assignor, TopicPartition};
use crate::error::ClientError;

/// The version that is written; every reader passes over what it does not know.
const WRITTEN: i16 = 3;

/// A subscription of this client: what it owns with its generation, and of an eager sticky member, which
/// has given everything back, its last share.
pub(super) fn write_subscription(
    assignor: Assignor,
    topics: &[Text],
    (owned, generation): (&Parts, i32),
    (last, last_generation): &(Parts, i32),
) -> Result<Bytes, ClientError> {
    let user_data = match assignor {
        // Members that are older than the field of the generation look for it here.
        Assignor::CooperativeSticky => {
            Some(CooperativeStickyAssignorUserData { generation }.to_bytes())
        }
        Assignor::Sticky if *last_generation >= 0 => {
            let previous_assignment = by_topic(last.iter());
            let generation = *last_generation;
            Some(StickyAssignorUserData { previous_assignment, generation }.to_bytes())
        }
        _ => None,
    };
    let user_data = user_data.transpose().map_err(unwritten)?;
    let subscription = ConsumerProtocolSubscription {
        topics: topics.to_vec(),
        user_data,
        owned_partitions: by_topic(owned.iter()),
        generation_id: generation,
        rack_id: None,
    };
    subscription.to_bytes(WRITTEN).map_err(unwritten)
}

/// A member as the leader sees it.
pub(super) fn read_subscription(
    assignor: Assignor,
    member: &Text,
    instance: Option<&Text>,
    blob: &Bytes,
) -> Result<Candidate, ClientError> {
    let what = || format!("the subscription of member {member}");
    let read =
        ConsumerProtocolSubscription::from_bytes(blob).map_err(|error| unread(what(), &error))?;
    if assignor == Assignor::Sticky {
        // User data that can't be read is none, as Kafka's own assignor takes it.
        let last = read.user_data.and_then(|data| StickyAssignorUserData::from_bytes(&data).ok());
        let last = last.unwrap_or(StickyAssignorUserData { generation: -1, ..Default::default() });
        return Ok(Candidate {
            member_id: member.clone(),
            instance_id: instance.cloned(),
            topics: read.topics,
            owned: each(last.previous_assignment).collect(),
            generation: last.generation,
        });
    }
    let told = read.user_data.filter(|_| read.generation_id < 0);
    let told = told.and_then(|data| CooperativeStickyAssignorUserData::from_bytes(&data).ok());
    Ok(Candidate {
        member_id: member.clone(),
        instance_id: instance.cloned(),
        topics: read.topics,
        owned: each(read.owned_partitions).collect(),
        generation: told.map_or(read.generation_id, |told| told.generation),
    })
}

/// A member's share.
pub(super) fn write_assignment(share: &[TopicPartition]) -> Result<Bytes, ClientError> {
    let assignment =
        ConsumerProtocolAssignment { assigned_partitions: by_topic(share.iter()), user_data: None };
    assignment.to_bytes(WRITTEN).map_err(unwritten)
}

/// Reads a member's share. Nothing at all is the share of a member that the leader did not know of.
pub(crate) fn read_assignment(blob: &Bytes) -> Result<Parts, ClientError> {
    if blob.is_empty() {
        return Ok(Parts::new());
    }
    let read = ConsumerProtocolAssignment::from_bytes(blob)
        .map_err(|error| unread("an assignment".to_owned(), &error))?;
    Ok(each(read.assigned_partitions).collect())
}

fn by_topic<'a>(all: impl Iterator<Item = &'a TopicPartition>) -> Vec<wire::TopicPartition> {
    let mut topics: BTreeMap<&Text, Vec<i32>> = BTreeMap::new();
    for TopicPartition { topic, partition } in all {
        topics.entry(topic).or_default().push(*partition);
    }
    let topics = topics.into_iter();
    topics
        .map(|(topic, partitions)| wire::TopicPartition { topic: topic.clone(), partitions })
        .collect()
}

fn each(topics: Vec<wire::TopicPartition>) -> impl Iterator<Item = TopicPartition> {
    topics.into_iter().flat_map(|wire::TopicPartition { topic, partitions }| {
        let partitions = partitions.into_iter();
        partitions.map(move |partition| TopicPartition::new(topic.clone(), partition))
    })
}

fn unwritten(error: DataEncodeError) -> ClientError {
    let words = Some(Text::from(error.to_string()));
    ClientError::refused("a group's message", ErrorCode::InvalidRequest, words)
}

fn unread(what: String, error: &DataDecodeError) -> ClientError {
    let words = Some(Text::from(error.to_string()));
    ClientError::refused(what, ErrorCode::InconsistentGroupProtocol, words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let owned: Parts =
            [("a", 1), ("a", 0), ("b", 2)].map(|(topic, at)| TopicPartition::new(topic, at)).into();
        let topics = [Text::from("a"), Text::from("b")];
        let all: Vec<_> = owned.iter().cloned().collect();
        let instance = "i".into();
        let instance = Some(&instance);
        for assignor in [Assignor::Range, Assignor::CooperativeSticky] {
            let last = (Parts::new(), -1);
            let blob = write_subscription(assignor, &topics, (&owned, 7), &last).unwrap();
            let read = read_subscription(assignor, &"m".into(), instance, &blob).unwrap();
            assert_eq!(
                (read.topics, read.owned, read.generation),
                (topics.to_vec(), all.clone(), 7)
            );
        }
        let sticky = Assignor::Sticky;
        for (last, want) in [((owned.clone(), 6), (all, 6)), ((Parts::new(), -1), (vec![], -1))] {
            let blob = write_subscription(sticky, &topics, (&Parts::new(), -1), &last).unwrap();
            let read = read_subscription(sticky, &"m".into(), instance, &blob).unwrap();
            assert_eq!((read.owned, read.generation), want, "an eager member has a past only");
        }
        let share: Vec<_> = owned.iter().cloned().collect();
        assert_eq!(read_assignment(&write_assignment(&share).unwrap()).unwrap(), owned);
        assert_eq!(read_assignment(&Bytes::new()).unwrap(), Parts::new());
        assert!(read_assignment(&Bytes::from_static(b"\0\x01\xff")).is_err());
    }

    #[test]
    fn an_older_member_tells_its_generation_in_the_user_data() {
        let user_data = CooperativeStickyAssignorUserData { generation: 4 }.to_bytes().unwrap();
        let older =
            ConsumerProtocolSubscription { user_data: Some(user_data), ..Default::default() };
        let blob = older.to_bytes(1).unwrap();
        let read = read_subscription(Assignor::CooperativeSticky, &"m".into(), None, &blob);
        assert_eq!(read.unwrap().generation, 4);
    }
}
