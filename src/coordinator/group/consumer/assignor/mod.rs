//! PURE. Who is to have what.

use std::collections::{BTreeMap, BTreeSet};

use duramen_protocol::ids::TopicId;
use duramen_protocol::text::Text;

/// Partitions by topic.
pub(crate) type Assignment = BTreeMap<TopicId, BTreeSet<i32>>;

/// What an assignor is given.
#[derive(Debug)]
pub(crate) struct MemberSpec<'a> {
    /// The member.
    pub member_id: &'a Text,
    /// Its instance id.
    pub instance_id: Option<&'a Text>,
    /// The topics it subscribes to.
    pub topics: BTreeSet<TopicId>,
    /// What it had so far.
    pub owned: &'a Assignment,
}

/// The assignors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum AssignorKind {
    /// Spreads.
    Uniform,
    /// Ranges.
    Range,
}

impl AssignorKind {
    /// Kafka's name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Range => "range",
        }
    }

    /// By name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [Self::Uniform, Self::Range].into_iter().find(|kind| kind.name() == name)
    }
}

/// Assigns.
pub(crate) fn assign(
    _kind: AssignorKind,
    members: &[MemberSpec<'_>],
    partitions: &BTreeMap<TopicId, i32>,
) -> BTreeMap<Text, Assignment> {
    let mut all: BTreeMap<Text, Assignment> =
        members.iter().map(|member| (member.member_id.clone(), Assignment::new())).collect();
    for (topic, count) in partitions {
        let subscribed: Vec<_> = members.iter().filter(|it| it.topics.contains(topic)).collect();
        for (index, member) in (0..*count).zip(subscribed.iter().cycle()) {
            let own = all.entry(member.member_id.clone()).or_default();
            own.entry(*topic).or_default().insert(index);
        }
    }
    all
}
