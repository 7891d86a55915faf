//! Who of a group reads which partition, pure: the leader of a classic group decides it for all.
//!
//! The names, the order of members and what range and round-robin give are those of Kafka's Java client,
//! so that members of both may share a group. A sticky assignment is any that is even and moves little:
//! only the leader computes it.

mod sticky;

use std::collections::{BTreeMap, BTreeSet};

use duramen_protocol::text::Text;

use super::TopicPartition;

/// A way to share the partitions out (`partition.assignment.strategy`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Assignor {
    /// Per topic, members in order get adjoining ranges; topics of equal partition counts are shared out
    /// alike.
    Range,
    /// All partitions of all topics go to the members in turn.
    RoundRobin,
    /// Even, and members keep what they have where they can. All of it is given up for the time of a
    /// rebalance.
    Sticky,
    /// The same, but only partitions that move are given up, and the others are read on during a
    /// rebalance.
    CooperativeSticky,
}

/// A member as the leader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) member_id: Text,
    pub(super) instance_id: Option<Text>,
    pub(super) topics: Vec<Text>,
    /// What it says that it reads now, or read last.
    pub(super) owned: Vec<TopicPartition>,
    /// The generation in which it got that; -1 when it does not say.
    pub(super) generation: i32,
}

/// Partitions by member id.
pub(super) type Shares = BTreeMap<Text, Vec<TopicPartition>>;

impl Assignor {
    /// Its name in the protocol.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Range => "range",
            Self::RoundRobin => "roundrobin",
            Self::Sticky => "sticky",
            Self::CooperativeSticky => "cooperative-sticky",
        }
    }

    /// The assignor of a name in the protocol.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Range, Self::RoundRobin, Self::Sticky, Self::CooperativeSticky]
            .into_iter()
            .find(|assignor| assignor.name() == name)
    }

    /// Whether members read on what they keep while the group rebalances.
    #[must_use]
    pub fn is_cooperative(self) -> bool {
        self == Self::CooperativeSticky
    }

    /// Shares the partitions of the topics out; every member is in the result. `counts` holds how many
    /// partitions each topic has; a topic that is not in it has none.
    pub(super) fn assign(self, members: &[Candidate], counts: &BTreeMap<Text, i32>) -> Shares {
        let mut members: Vec<&Candidate> = members.iter().collect();
        members.sort_by(|left, right| order(left).cmp(&order(right)));
        match self {
            Self::Range => range(&members, counts),
            Self::RoundRobin => round_robin(&members, counts),
            Self::Sticky => sticky::assign(&members, counts),
            Self::CooperativeSticky => {
                let target = sticky::assign(&members, counts);
                sticky::without_moving(&members, target)
            }
        }
    }
}

/// Static members come first, by instance id; the others by member id.
fn order(member: &Candidate) -> (bool, &Text) {
    match &member.instance_id {
        Some(instance) => (false, instance),
        None => (true, &member.member_id),
    }
}

/// A share for each member, empty.
fn nothing(members: &[&Candidate]) -> Shares {
    members.iter().map(|member| (member.member_id.clone(), Vec::new())).collect()
}

fn count_of(counts: &BTreeMap<Text, i32>, topic: &Text) -> i32 {
    counts.get(topic).copied().unwrap_or(0).max(0)
}

/// The topics that somebody wants.
fn wanted(members: &[&Candidate]) -> BTreeSet<Text> {
    members.iter().flat_map(|member| member.topics.iter().cloned()).collect()
}

fn range(members: &[&Candidate], counts: &BTreeMap<Text, i32>) -> Shares {
    let mut shares = nothing(members);
    for topic in wanted(members) {
        let readers: Vec<&Candidate> =
            members.iter().copied().filter(|member| member.topics.contains(&topic)).collect();
        let count = count_of(counts, &topic);
        let Ok(readers_count) = i32::try_from(readers.len()) else { continue };
        let (each, more) = (count / readers_count.max(1), count % readers_count.max(1));
        let mut next = 0;
        for (at, reader) in (0..).zip(readers) {
            let end = next + each + i32::from(at < more);
            let part = (next..end).map(|partition| TopicPartition::new(topic.clone(), partition));
            shares.entry(reader.member_id.clone()).or_default().extend(part);
            next = end;
        }
    }
    shares
}

fn round_robin(members: &[&Candidate], counts: &BTreeMap<Text, i32>) -> Shares {
    let mut shares = nothing(members);
    let mut turn = members.iter().cycle();
    for topic in wanted(members) {
        for partition in 0..count_of(counts, &topic) {
            // Somebody wants the topic, so that a turn finds him.
            let Some(reader) = turn.by_ref().find(|member| member.topics.contains(&topic)) else {
                break;
            };
            let part = TopicPartition::new(topic.clone(), partition);
            shares.entry(reader.member_id.clone()).or_default().push(part);
        }
    }
    shares
}

#[cfg(test)]
mod tests;
