//! The commits of a member: they wait in line, one is in flight, and what another member owns by
//! now is left out.

use std::collections::{BTreeMap, VecDeque};

use duramen_protocol::text::Text;
use tokio::sync::oneshot;

use super::TopicPartition;
use super::positions::Position;
use crate::coordinator::offsets::{CommittedOffset, TopicIds};
use crate::error::ClientError;

/// Who waits for a commit.
#[derive(Debug)]
pub(super) enum Why {
    /// Nobody: its time had come.
    Auto,
    /// The user.
    Asked(oneshot::Sender<Result<(), ClientError>>),
    /// These are given back then.
    Release(Vec<TopicPartition>),
    /// The member leaves then.
    Close,
}

/// One commit.
#[derive(Debug)]
pub(super) struct Commit {
    pub(super) offsets: Vec<(TopicPartition, Position)>,
    pub(super) why: Why,
}

/// See the top of the file.
#[derive(Debug, Default)]
pub(super) struct Commits {
    line: VecDeque<Commit>,
    pub(super) in_flight: bool,
    /// Who sent it: id and generation.
    pub(super) sent_by: Option<(Text, i32)>,
    /// The group rebalances and took none: the next one waits until it has.
    pub(super) refused: bool,
    /// What the coordinator has taken last, by partition and assignment.
    done: BTreeMap<TopicPartition, (u64, i64)>,
}

impl Commits {
    pub(super) fn push(&mut self, commit: Commit) {
        self.line.push_back(commit);
    }

    /// A commit whose time has not come stays the first.
    pub(super) fn again(&mut self, commit: Commit) {
        self.line.push_front(commit);
    }

    /// The next one, unless one is in flight.
    pub(super) fn pop(&mut self) -> Option<Commit> {
        if self.in_flight { None } else { self.line.pop_front() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.line.is_empty() && !self.in_flight
    }

    /// Whether the coordinator has all this already.
    pub(super) fn has(&self, offsets: &[(TopicPartition, Position)]) -> bool {
        let known = |(at, position): &(TopicPartition, Position)| {
            self.done.get(at) == Some(&(position.given, position.next))
        };
        offsets.iter().all(known)
    }

    pub(super) fn succeeded(&mut self, offsets: &[(TopicPartition, Position)]) {
        let done = offsets.iter().map(|(at, it)| (at.clone(), (it.given, it.next)));
        self.done.extend(done);
    }
}

/// What of a commit is still the member's: `given` holds its partitions, with the assignment by which
/// each came.
pub(super) fn own(
    offsets: Vec<(TopicPartition, Position)>,
    given: &BTreeMap<TopicPartition, u64>,
) -> (Vec<(TopicPartition, Position)>, Option<TopicPartition>) {
    let (own, others): (Vec<_>, Vec<_>) =
        offsets.into_iter().partition(|(at, position)| given.get(at) == Some(&position.given));
    (own, others.into_iter().next().map(|(at, _)| at))
}

/// As it is sent, and the ids of its topics.
pub(super) fn sent(
    offsets: &[(TopicPartition, Position)],
) -> (Vec<(TopicPartition, CommittedOffset)>, TopicIds) {
    let committed = |(at, position): &(TopicPartition, Position)| {
        let committed = CommittedOffset {
            offset: position.next,
            leader_epoch: position.leader_epoch,
            metadata: Text::EMPTY,
        };
        (at.clone(), committed)
    };
    let known = offsets.iter().filter(|(_, position)| !position.topic_id.is_nil());
    let ids = known.map(|(at, position)| (at.topic.clone(), position.topic_id)).collect();
    (offsets.iter().map(committed).collect(), ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(partition: i32, next: i64, given: u64) -> (TopicPartition, Position) {
        let topic_id = duramen_protocol::ids::TopicId::nil();
        let position = Position { next, leader_epoch: -1, given, end: None, topic_id };
        (TopicPartition::new("t", partition), position)
    }

    #[test]
    fn what_came_with_an_earlier_assignment_is_not_committed() {
        let given =
            BTreeMap::from([(TopicPartition::new("t", 0), 1), (TopicPartition::new("t", 1), 2)]);
        let (own, lost) = own(vec![at(0, 5, 1), at(1, 6, 1), at(2, 7, 2)], &given);
        assert_eq!(own, [at(0, 5, 1)]);
        assert_eq!(lost, Some(TopicPartition::new("t", 1)));
    }

    #[test]
    fn one_is_in_flight_and_what_is_committed_is_known() {
        let mut commits = Commits::default();
        commits.push(Commit { offsets: vec![at(0, 5, 1)], why: Why::Auto });
        commits.push(Commit { offsets: vec![at(0, 6, 1)], why: Why::Close });
        let first = commits.pop().expect("the first");
        commits.in_flight = true;
        assert!(commits.pop().is_none());
        commits.in_flight = false;
        commits.succeeded(&first.offsets);
        assert!(commits.has(&[at(0, 5, 1)]));
        assert!(!commits.has(&[at(0, 5, 2)]), "given anew, it may stand elsewhere");
        commits.again(first);
        assert!(matches!(commits.pop(), Some(Commit { why: Why::Auto, .. })));
        assert!(!commits.is_empty());
    }
}
