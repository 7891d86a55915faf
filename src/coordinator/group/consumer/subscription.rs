//! PURE. The topics that members ask for, by name and by regular expression.

use std::collections::{BTreeMap, BTreeSet};

use duramen_protocol::ids::TopicId;
use duramen_protocol::text::Text;

use super::member::Member;
use super::topic_regex::TopicRegex;
use crate::metadata::MetadataImage;

/// The topics that each regular expression matched.
pub(super) type Matches = BTreeMap<Text, BTreeSet<Text>>;

/// The topics that match; those that the cluster keeps for itself never do.
pub(super) fn matching(regex: &TopicRegex, image: &MetadataImage) -> BTreeSet<Text> {
    let topics = image.topics().iter().filter(|topic| !topic.is_internal());
    topics.map(|topic| topic.name()).filter(|name| regex.matches(name)).cloned().collect()
}

/// The names of the topics that a member asks for.
pub(super) fn names<'a>(
    member: &'a Member,
    matches: &'a Matches,
) -> impl Iterator<Item = &'a Text> {
    let by_regex = member.regex().and_then(|regex| matches.get(regex)).into_iter().flatten();
    member.about.subscribed_topic_names.iter().chain(by_regex)
}

/// The topics that a member asks for, as far as they are there.
pub(super) fn topics(
    member: &Member,
    matches: &Matches,
    image: &MetadataImage,
) -> BTreeSet<TopicId> {
    let found = names(member, matches).filter_map(|name| image.topics().by_name(name));
    found.map(|topic| topic.id()).collect()
}

/// Hash of all that an assignment depends on in the topics that members ask for: whenever it
/// changes there must be a new one. It is kept, so it must never be computed in another way.
pub(super) fn hash<'a>(
    members: impl Iterator<Item = &'a Member>,
    matches: &'a Matches,
    image: &MetadataImage,
) -> i64 {
    let names: BTreeSet<&Text> = members.flat_map(|member| names(member, matches)).collect();
    let mut hash = None;
    for topic in names.into_iter().filter_map(|name| image.topics().by_name(name)) {
        let mut sum = hash.unwrap_or(FNV_BASIS);
        let id = topic.id().into_bytes();
        let count = topic.partition_count().to_be_bytes();
        for byte in id.iter().chain(topic.name().as_bytes()).chain(&count) {
            sum = (sum ^ u64::from(*byte)).wrapping_mul(FNV_PRIME);
        }
        hash = Some(sum);
    }
    // 0 stands for no topics.
    hash.map_or(0, |sum| i64::from_be_bytes(sum.max(1).to_be_bytes()))
}

/// FNV-1a.
const FNV_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;
