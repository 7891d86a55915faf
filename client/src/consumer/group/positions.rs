//! How far a member has read, shared between the user's handle, which moves it, and the member's task,
//! which commits it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use duramen_protocol::ids::TopicId;

use super::TopicPartition;

/// How far a partition was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    /// The next offset to read: all below is dealt with.
    pub(super) next: i64,
    /// The leader epoch of the last record read; -1 for none.
    pub(super) leader_epoch: i32,
    /// With which assignment the partition came. What was read under an earlier one is another's by now.
    pub(super) given: u64,
    /// The first offset not to read; `None` goes on for ever.
    pub(super) end: Option<i64>,
    /// The id of the topic, where it is known: what was read of a topic that was made again since is not
    /// committed.
    pub(super) topic_id: TopicId,
}

/// See the top of the file.
#[derive(Debug, Default)]
pub(super) struct Positions(Mutex<BTreeMap<TopicPartition, Position>>);

impl Positions {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<TopicPartition, Position>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn insert(&self, added: impl IntoIterator<Item = (TopicPartition, Position)>) {
        self.lock().extend(added);
    }

    /// Moves a position on; one that is not there any more stays away, as one that came with another
    /// assignment than `given` (`None` for any) stays where it is.
    pub(super) fn advance(
        &self,
        partition: &TopicPartition,
        given: Option<u64>,
        next: i64,
        leader_epoch: i32,
    ) {
        self.change(partition, given, |position| {
            position.next = position.next.max(next);
            if leader_epoch >= 0 {
                position.leader_epoch = leader_epoch;
            }
        });
    }

    /// Sets a position, also to an earlier offset.
    pub(super) fn go_to(&self, partition: &TopicPartition, given: Option<u64>, next: i64) {
        self.change(partition, given, |position| {
            position.next = next;
            position.leader_epoch = -1;
        });
    }

    fn change(
        &self,
        partition: &TopicPartition,
        given: Option<u64>,
        change: impl FnOnce(&mut Position),
    ) {
        if let Some(position) = self.lock().get_mut(partition)
            && given.is_none_or(|given| given == position.given)
        {
            change(position);
        }
    }

    pub(super) fn get(&self, partition: &TopicPartition) -> Option<Position> {
        self.lock().get(partition).copied()
    }

    /// Takes partitions out.
    pub(super) fn remove(&self, partitions: &[TopicPartition]) -> Vec<(TopicPartition, Position)> {
        let mut all = self.lock();
        partitions.iter().filter_map(|partition| all.remove_entry(partition)).collect()
    }

    pub(super) fn all(&self) -> Vec<(TopicPartition, Position)> {
        self.lock().iter().map(|(partition, position)| (partition.clone(), *position)).collect()
    }
}
