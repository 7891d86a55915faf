//! PURE. A member's step towards its target: what it has to give up comes first, what it gets comes
//! only when nobody else has it.

use std::collections::BTreeSet;

use duramen_protocol::messages::consumer_group_heartbeat::TopicPartitions;
use duramen_protocol::text::Text;

use super::ConsumerGroup;
use super::assign::Partitions;
use super::member::{Member, Progress};

/// What a heartbeat says of the partitions that its member has; `None` when that did not change.
pub(super) type Owned<'a> = Option<&'a [TopicPartitions]>;

/// Whether none of what a member says it has is in `partitions`.
fn holds_any(owned: Owned<'_>, partitions: &Partitions) -> bool {
    owned.is_none_or(|owned| {
        owned.iter().any(|topic| {
            let of_topic = partitions.get(&topic.topic_id);
            of_topic.is_some_and(|of_topic| topic.partitions.iter().any(|it| of_topic.contains(it)))
        })
    })
}

/// Whether all that a member says it has was assigned to it.
pub(super) fn holds_only(owned: Owned<'_>, assigned: &Partitions) -> bool {
    owned.is_some_and(|owned| {
        owned.iter().all(|topic| {
            let of_topic = assigned.get(&topic.topic_id);
            topic.partitions.iter().all(|it| of_topic.is_some_and(|all| all.contains(it)))
        })
    })
}

impl ConsumerGroup {
    /// The member as it is after its next step.
    pub(super) fn reconciled(&self, id: &Text, member: &Member, owned: Owned<'_>) -> Member {
        match member.progress {
            Progress::Stable if member.epoch == self.target_epoch => member.clone(),
            Progress::Unrevoked if holds_any(owned, &member.revoking) => member.clone(),
            _ => self.step(id, member, owned),
        }
    }

    fn step(&self, id: &Text, member: &Member, owned: Owned<'_>) -> Member {
        let nothing = Partitions::new();
        let target = self.target.get(id).unwrap_or(&nothing);
        let mut next = member.clone();
        next.assigned = pick(&member.assigned, target, |in_both| in_both);
        next.revoking = pick(&member.assigned, target, |in_both| !in_both);
        if !next.revoking.is_empty() && holds_any(owned, &next.revoking) {
            next.progress = Progress::Unrevoked;
            return next;
        }
        next.revoking = Partitions::new();
        next.progress = Progress::Stable;
        for (topic, indexes) in target {
            for index in indexes {
                let had = member.assigned.get(topic).is_some_and(|all| all.contains(index));
                if had {
                    continue;
                }
                let owner = self.owners.get(topic).and_then(|of_topic| of_topic.get(index));
                if owner.is_some() {
                    next.progress = Progress::Unreleased;
                } else {
                    next.assigned.entry(*topic).or_default().insert(*index);
                }
            }
        }
        if next.epoch != self.target_epoch {
            next.previous_epoch = next.epoch;
            next.epoch = self.target_epoch;
        }
        next
    }
}

/// Those partitions of `from` whose being in `other` too is as asked.
fn pick(from: &Partitions, other: &Partitions, asked: impl Fn(bool) -> bool) -> Partitions {
    let of_topic = |(topic, indexes): (&_, &BTreeSet<i32>)| {
        let in_other = |it: &i32| other.get(topic).is_some_and(|all| all.contains(it));
        let picked: BTreeSet<i32> =
            indexes.iter().copied().filter(|it| asked(in_other(it))).collect();
        (!picked.is_empty()).then_some((*topic, picked))
    };
    from.iter().filter_map(of_topic).collect()
}
