//! PURE. A member's next step towards its target (KIP-848, as Kafka 4.3 takes it). It keeps its
//! epoch until it has given up what is not its own any more; then it comes into the target's epoch,
//! and gets what others have given up.

use std::collections::BTreeSet;

use duramen_protocol::ids::TopicId;

use super::assignor::Assignment;
use super::member::{Given, MemberState, Position};

/// Where a member is to go.
pub(super) struct Goal<'a> {
    /// The target's epoch.
    pub(super) epoch: i32,
    /// What it is to have.
    pub(super) target: &'a Assignment,
    /// What it says it has; `None` when it does not say.
    pub(super) owned: Option<&'a Assignment>,
}

impl Goal<'_> {
    /// Whether the member may still read one of these.
    fn owns_any(&self, partitions: &Given) -> bool {
        let Some(owned) = self.owned else { return true };
        partitions.iter().any(|(topic, given)| {
            let owned = owned.get(topic);
            owned.is_some_and(|owned| given.keys().any(|index| owned.contains(index)))
        })
    }

    /// The member's next position. `is_free` says whether nobody else may be reading a partition.
    pub(super) fn next(
        &self,
        position: &Position,
        is_free: impl Fn(TopicId, i32) -> bool,
    ) -> Position {
        match position.state {
            MemberState::Stable if position.epoch == self.epoch => position.clone(),
            MemberState::Unrevoked if self.owns_any(&position.revoking) => position.clone(),
            MemberState::Unrevoked => self.step(position, position.epoch + 1, is_free),
            _ => self.step(position, position.epoch, is_free),
        }
    }

    fn step(
        &self,
        position: &Position,
        epoch: i32,
        is_free: impl Fn(TopicId, i32) -> bool,
    ) -> Position {
        let mut next = Position { previous_epoch: position.epoch, ..Position::default() };
        for (topic, partitions) in &position.assigned {
            let target = self.target.get(topic);
            for (index, given) in partitions {
                let keeps = target.is_some_and(|target| target.contains(index));
                let side = if keeps { &mut next.assigned } else { &mut next.revoking };
                side.entry(*topic).or_default().insert(*index, *given);
            }
        }
        if self.owns_any(&next.revoking) && !next.revoking.is_empty() {
            next.epoch = epoch;
            next.state = MemberState::Unrevoked;
            return next;
        }
        next.revoking.clear();
        next.epoch = self.epoch;
        for (topic, partitions) in self.target {
            let (free, waits) = self.split(&next, *topic, partitions, &is_free);
            if waits {
                next.state = MemberState::Unreleased;
            }
            if !free.is_empty() {
                let given = free.into_iter().map(|index| (index, self.epoch));
                next.assigned.entry(*topic).or_default().extend(given);
            }
        }
        next
    }

    /// The partitions of a topic that the member can be given, and whether it has to wait for others.
    fn split(
        &self,
        position: &Position,
        topic: TopicId,
        partitions: &BTreeSet<i32>,
        is_free: impl Fn(TopicId, i32) -> bool,
    ) -> (Vec<i32>, bool) {
        let has = position.assigned.get(&topic);
        let lacks = |index: &&i32| has.is_none_or(|has| !has.contains_key(index));
        let (free, taken): (Vec<i32>, Vec<i32>) =
            partitions.iter().filter(lacks).partition(|index| is_free(topic, **index));
        (free, !taken.is_empty())
    }
}
