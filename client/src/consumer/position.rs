//! One partition as the consumer reads it, pure.

use duramen_protocol::text::Text;
use tokio::time::Instant;

use super::options::{Assignment, Start};

/// Where reading goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Position {
    /// At this offset.
    At(i64),
    /// At the offset that the broker names for this timestamp or special number.
    Ask(i64),
    /// The question is on its way.
    Asking(i64),
}

/// See the top of the file.
#[derive(Debug)]
pub(super) struct PartitionState {
    pub(super) topic: Text,
    pub(super) partition: i32,
    pub(super) position: Position,
    pub(super) end: Option<i64>,
    /// Leader epoch of the last batch read; -1 before the first.
    pub(super) last_epoch: i32,
    /// Where reading stood before it had to go on elsewhere.
    pub(super) moved_from: Option<i64>,
    pub(super) in_flight: bool,
    pub(super) failures: u32,
    pub(super) not_before: Option<Instant>,
}

impl PartitionState {
    pub(super) fn new(assignment: Assignment) -> Self {
        let position = match assignment.start {
            Start::Offset(offset) => Position::At(offset),
            Start::Earliest => Position::Ask(duramen_protocol::ids::EARLIEST),
            Start::Latest => Position::Ask(duramen_protocol::ids::LATEST),
            Start::Time(at) => Position::Ask(at.max(0)),
        };
        Self {
            topic: assignment.topic,
            partition: assignment.partition,
            position,
            end: assignment.end,
            last_epoch: -1,
            moved_from: None,
            in_flight: false,
            failures: 0,
            not_before: None,
        }
    }

    /// Nothing is left to read.
    pub(super) fn is_done(&self) -> bool {
        matches!((self.position, self.end), (Position::At(at), Some(end)) if at >= end)
    }

    /// The offset to fetch now, if there is one.
    pub(super) fn fetchable(&self, now: Instant) -> Option<i64> {
        match self.position {
            Position::At(offset) if !self.in_flight && !self.is_done() && !self.waits(now) => {
                Some(offset)
            }
            _ => None,
        }
    }

    /// Waits for another attempt.
    pub(super) fn waits(&self, now: Instant) -> bool {
        self.not_before.is_some_and(|at| now < at)
    }

    /// Reads on elsewhere: the epoch read last says nothing of the batch before that place.
    pub(super) fn jump(&mut self, to: i64) {
        self.advance(to, Some(-1));
    }

    /// An answer moved the position.
    pub(super) fn advance(&mut self, next: i64, last_epoch: Option<i32>) {
        self.position = Position::At(next);
        self.last_epoch = last_epoch.unwrap_or(self.last_epoch);
        self.failures = 0;
        self.not_before = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_read_up_to_its_end() {
        let now = Instant::now();
        let mut state = PartitionState::new(Assignment {
            topic: "t".into(),
            partition: 0,
            start: Start::Offset(5),
            end: Some(7),
        });
        assert_eq!((state.fetchable(now), state.is_done()), (Some(5), false));
        state.in_flight = true;
        assert_eq!(state.fetchable(now), None);
        state.in_flight = false;
        state.advance(9, Some(3));
        assert_eq!((state.fetchable(now), state.is_done(), state.last_epoch), (None, true, 3));
    }
}
