//! PURE. What clients of the classic protocol tell each other, by name, and what a coordinator that
//! assigns itself makes of it, by id.

use bytes::Bytes;
use duramen_protocol::consumer_protocol::{ConsumerProtocolAssignment, TopicPartition};

use crate::coordinator::group::consumer::Assignment;
use crate::metadata::MetadataImage;

/// The newest version of subscriptions and assignments.
const NEWEST: i16 = 3;

/// Partitions by id. What is not there is left out.
pub(in crate::coordinator::group) fn by_id(
    topics: &[TopicPartition],
    image: &MetadataImage,
) -> Assignment {
    let mut assignment = Assignment::new();
    for named in topics {
        let Some(topic) = image.topics().by_name(&named.topic) else { continue };
        let there = 0..topic.partition_count();
        let partitions = named.partitions.iter().copied().filter(|index| there.contains(index));
        assignment.entry(topic.id()).or_default().extend(partitions);
    }
    assignment.retain(|_, partitions| !partitions.is_empty());
    assignment
}

/// Assignors that keep nothing beside an assignment. librdkafka's write there what the member has said
/// of itself (with cooperative-sticky, from its second generation on), which it says again when it is asked.
const KEEP_NOTHING: [&str; 4] = ["range", "roundrobin", "sticky", "cooperative-sticky"];

/// What a leader assigned by this assignor; an error says why the coordinator can't go on from there.
pub(in crate::coordinator::group) fn read_assignment(
    bytes: &Bytes,
    assignor: &str,
    image: &MetadataImage,
) -> Result<Assignment, &'static str> {
    if bytes.is_empty() {
        return Ok(Assignment::new());
    }
    let read = ConsumerProtocolAssignment::from_bytes(bytes);
    let read = read.map_err(|_| "the embedded consumer protocol is malformed")?;
    let beside = read.user_data.is_some_and(|data| !data.is_empty());
    if beside && !KEEP_NOTHING.contains(&assignor) {
        return Err("an unsupported custom assignor is in use: what it keeps beside the \
                    assignment would be lost");
    }
    Ok(by_id(&read.assigned_partitions, image))
}

/// An assignment as a member reads it that sent this subscription.
pub(in crate::coordinator::group) fn to_assignment(
    assignment: &Assignment,
    subscription: &Bytes,
    image: &MetadataImage,
) -> Bytes {
    let named = assignment.iter().filter_map(|(id, partitions)| {
        Some(TopicPartition {
            topic: image.topics().by_id(*id)?.name().clone(),
            partitions: partitions.iter().copied().collect(),
        })
    });
    let blob = ConsumerProtocolAssignment {
        assigned_partitions: named.collect(),
        ..ConsumerProtocolAssignment::default()
    };
    // Names of topics are short.
    blob.to_bytes(version_of(subscription)).unwrap_or_default()
}

/// The version of a subscription, as far as it is known.
fn version_of(subscription: &Bytes) -> i16 {
    let version = subscription.first_chunk().map_or(0, |bytes| i16::from_be_bytes(*bytes));
    version.clamp(0, NEWEST)
}
