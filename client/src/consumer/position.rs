//! One partition as the consumer reads it.

use std::sync::Arc;
use std::time::Duration;

use duramen_protocol::ids::TopicId;
use duramen_protocol::text::Text;
use tokio::time::Instant;

use super::MovedWhy;
use super::budget::Budget;
use super::command::{Order, Outlet};
use crate::metrics::Reading;

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
    /// The topic's id, once it is known; nil before.
    pub(super) topic_id: TopicId,
    pub(super) partition: i32,
    pub(super) position: Position,
    pub(super) end: Option<i64>,
    pub(super) paused: bool,
    /// Where its records go, when not to the consumer itself.
    pub(super) outlet: Option<Outlet>,
    /// Counts what was fetched of it.
    pub(super) budget: Arc<Budget>,
    /// For the metrics.
    pub(super) reading: Arc<Reading>,
    /// Leader epoch of the last batch read; -1 before the first.
    pub(super) last_epoch: i32,
    /// Where reading stood before it had to go on elsewhere, and why.
    pub(super) moved_from: Option<(i64, MovedWhy)>,
    /// The replica that the leader wants to be read instead, and until when.
    pub(super) replica: Option<(i32, Instant)>,
    pub(super) in_flight: bool,
    /// When a fetch of it was answered last.
    pub(super) heard: Option<Instant>,
    /// Answers in a row that did not know of it.
    pub(super) missed: u32,
    /// The topic is not there any more, and the consumer was told so.
    pub(super) gone: bool,
    pub(super) failures: u32,
    pub(super) not_before: Option<Instant>,
}

impl PartitionState {
    pub(super) fn new(order: Order, budget: Arc<Budget>, reading: Arc<Reading>) -> Self {
        let position = order.start.asked().map_or_else(Position::At, Position::Ask);
        Self {
            topic: order.at.topic,
            topic_id: TopicId::nil(),
            partition: order.at.partition,
            position,
            end: order.end,
            paused: order.paused,
            outlet: order.outlet,
            budget,
            reading,
            last_epoch: -1,
            moved_from: None,
            replica: None,
            in_flight: false,
            heard: None,
            missed: 0,
            gone: false,
            failures: 0,
            not_before: None,
        }
    }

    /// Nothing is left to read.
    pub(super) fn is_done(&self) -> bool {
        matches!((self.position, self.end), (Position::At(at), Some(end)) if at >= end)
    }

    /// Whether somebody waits for it, and nothing was heard of it after `then`.
    pub(super) fn is_unheard_since(&self, then: Instant) -> bool {
        let idle = self.paused || self.gone || self.is_done();
        !idle && self.heard.is_none_or(|at| at <= then)
    }

    /// The offset to fetch now, if there is one.
    pub(super) fn fetchable(&self, now: Instant) -> Option<i64> {
        let idle = self.in_flight || self.paused || self.gone || self.is_done() || self.waits(now);
        match self.position {
            Position::At(offset) if !idle => Some(offset),
            _ => None,
        }
    }

    /// Waits for another attempt.
    pub(super) fn waits(&self, now: Instant) -> bool {
        self.not_before.is_some_and(|at| now < at)
    }

    /// Tries again after a while.
    pub(super) fn wait(&mut self, now: Instant, backoff: impl Fn(u32) -> Duration) {
        self.failures = self.failures.saturating_add(1);
        self.not_before = Some(now + backoff(self.failures));
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

    /// Has to go on at a place that the broker names.
    pub(super) fn lose_place(&mut self, ask: i64, why: MovedWhy) {
        let from = match self.position {
            Position::At(offset) => offset,
            _ => -1,
        };
        self.position = Position::Ask(ask);
        self.moved_from = Some((from, why));
    }

    /// The replica to ask: the leader, or the one it prefers.
    pub(super) fn source(&self, leader: i32, now: Instant) -> i32 {
        match self.replica {
            Some((replica, until)) if now < until => replica,
            _ => leader,
        }
    }
}

#[cfg(test)]
mod tests {
    use duramen_protocol::ids::TopicPartition;

    use super::*;

    fn state() -> PartitionState {
        let order = Order {
            at: TopicPartition::new("t", 0),
            start: crate::consumer::Start::Offset(5),
            end: Some(7),
            paused: false,
            outlet: None,
        };
        let meter = Arc::default();
        let reading = crate::metrics::Meter::reads(&meter, &order.at);
        PartitionState::new(order, Arc::new(Budget::new(&meter)), reading)
    }

    #[test]
    fn a_partition_is_read_up_to_its_end() {
        let now = Instant::now();
        let mut state = state();
        assert_eq!((state.fetchable(now), state.is_done()), (Some(5), false));
        state.in_flight = true;
        assert_eq!(state.fetchable(now), None);
        state.in_flight = false;
        state.paused = true;
        assert_eq!(state.fetchable(now), None);
        state.paused = false;
        state.advance(9, Some(3));
        assert_eq!((state.fetchable(now), state.is_done(), state.last_epoch), (None, true, 3));
    }

    #[test]
    fn another_replica_is_read_for_a_while() {
        let now = Instant::now();
        let mut state = state();
        assert_eq!(state.source(1, now), 1);
        state.replica = Some((2, now + Duration::from_secs(1)));
        assert_eq!((state.source(1, now), state.source(1, now + Duration::from_secs(1))), (2, 1));
    }
}
