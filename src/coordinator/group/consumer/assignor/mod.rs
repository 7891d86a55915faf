//! PURE. Who is to have what: the assignors of KIP-848, by Kafka's names.

mod range;
mod uniform;

use std::collections::{BTreeMap, BTreeSet};

use duramen_protocol::ids::TopicId;
use duramen_protocol::text::Text;

/// Partitions by topic.
pub(crate) type Assignment = BTreeMap<TopicId, BTreeSet<i32>>;

/// A member as an assignor sees it.
#[derive(Debug)]
pub(crate) struct MemberSpec<'a> {
    /// Its id.
    pub(crate) member_id: &'a Text,
    /// The name of a static member.
    pub(crate) instance_id: Option<&'a Text>,
    /// The topics it subscribes to.
    pub(crate) topics: BTreeSet<TopicId>,
    /// What it was to have so far.
    pub(crate) owned: &'a Assignment,
}

/// An assignor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum AssignorKind {
    /// As many partitions for each, of all topics together, and few that move.
    Uniform,
    /// A range of each topic for each, so that equal partitions of topics go together.
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

    /// The assignor of this name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [Self::Uniform, Self::Range].into_iter().find(|kind| kind.name() == name)
    }
}

/// What each member is to have. `members` come in the order of their ids; `partitions` says how many
/// each topic has.
pub(crate) fn assign(
    kind: AssignorKind,
    members: &[MemberSpec<'_>],
    partitions: &BTreeMap<TopicId, i32>,
) -> BTreeMap<Text, Assignment> {
    let assigned = match kind {
        AssignorKind::Uniform => uniform::assign(members, partitions),
        AssignorKind::Range => range::assign(members, partitions),
    };
    let ids = members.iter().map(|member| member.member_id.clone());
    ids.zip(assigned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: TopicId = TopicId::from_u128(1);
    const TWO: TopicId = TopicId::from_u128(2);

    /// Assigns to members who subscribe to these topics and had this.
    fn run(
        kind: AssignorKind,
        members: &[(&str, &[TopicId], &Assignment)],
        counts: &[(TopicId, i32)],
    ) -> Vec<Assignment> {
        let ids: Vec<Text> = members.iter().map(|(id, ..)| Text::from(*id)).collect();
        let specs: Vec<MemberSpec<'_>> = ids
            .iter()
            .zip(members)
            .map(|(member_id, (_, topics, owned))| MemberSpec {
                member_id,
                instance_id: None,
                topics: topics.iter().copied().collect(),
                owned,
            })
            .collect();
        assign(kind, &specs, &counts.iter().copied().collect()).into_values().collect()
    }

    fn some(topic: TopicId, partitions: &[i32]) -> Assignment {
        Assignment::from([(topic, partitions.iter().copied().collect())])
    }

    fn sizes(assigned: &[Assignment]) -> Vec<usize> {
        assigned.iter().map(|own| own.values().map(BTreeSet::len).sum()).collect()
    }

    #[test]
    fn a_new_member_takes_only_what_is_too_much_for_others() {
        let (a, b) = (some(ONE, &[0, 1, 2]), some(ONE, &[3, 4, 5]));
        let none = Assignment::new();
        let members: [(_, &[TopicId], _); 3] =
            [("a", &[ONE], &a), ("b", &[ONE], &b), ("c", &[ONE], &none)];
        let assigned = run(AssignorKind::Uniform, &members, &[(ONE, 6)]);
        assert_eq!(sizes(&assigned), [2, 2, 2]);
        assert!(assigned[0][&ONE].is_subset(&a[&ONE]) && assigned[1][&ONE].is_subset(&b[&ONE]));
    }

    #[test]
    fn whoever_subscribes_to_less_gets_what_others_can_spare() {
        let a = Assignment::from([(ONE, BTreeSet::from([0, 1])), (TWO, BTreeSet::from([0, 1]))]);
        let none = Assignment::new();
        let members: [(_, &[TopicId], _); 2] = [("a", &[ONE, TWO], &a), ("b", &[TWO], &none)];
        let assigned = run(AssignorKind::Uniform, &members, &[(ONE, 2), (TWO, 2)]);
        assert_eq!(assigned, [some(ONE, &[0, 1]), some(TWO, &[0, 1])]);
    }

    #[test]
    fn what_is_gone_or_had_twice_is_given_once() {
        let a = Assignment::from([(ONE, BTreeSet::from([0, 1, 7])), (TWO, BTreeSet::from([0]))]);
        let b = some(ONE, &[0, 1]);
        let members: [(_, &[TopicId], _); 2] = [("a", &[ONE], &a), ("b", &[ONE], &b)];
        let assigned = run(AssignorKind::Uniform, &members, &[(ONE, 2)]);
        assert_eq!(sizes(&assigned), [1, 1]);
        assert!(assigned[0][&ONE].is_disjoint(&assigned[1][&ONE]));
    }

    #[test]
    fn ranges_of_topics_go_together() {
        let none = Assignment::new();
        let members: [(_, &[TopicId], _); 2] =
            [("a", &[ONE, TWO], &none), ("b", &[ONE, TWO], &none)];
        let assigned = run(AssignorKind::Range, &members, &[(ONE, 3), (TWO, 3)]);
        let range = |partitions: &[i32]| {
            let set: BTreeSet<i32> = partitions.iter().copied().collect();
            Assignment::from([(ONE, set.clone()), (TWO, set)])
        };
        assert_eq!(assigned, [range(&[0, 1]), range(&[2])]);
    }
}
