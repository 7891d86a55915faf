//! How far a partition of a member was dealt with that a task of its own reads.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::TopicPartition;
use super::positions::Positions;
use crate::consumer::Event;

/// Kept until the reader has seen the end: until then the partition is not given back.
#[derive(Debug)]
pub(crate) struct Progress {
    at: TopicPartition,
    /// With which assignment the partition came.
    given: u64,
    positions: Arc<Positions>,
    /// What was handed out last: the offset behind it, and its leader epoch.
    handed: Option<(i64, i32)>,
    _reads: oneshot::Sender<()>,
}

impl Progress {
    /// With what ends when the reader has ended.
    pub(super) fn new(
        at: &TopicPartition,
        given: u64,
        positions: &Arc<Positions>,
    ) -> (Self, oneshot::Receiver<()>) {
        let (reads, ended) = oneshot::channel();
        let (at, positions) = (at.clone(), Arc::clone(positions));
        (Self { at, given, positions, handed: None, _reads: reads }, ended)
    }

    pub(crate) fn handed(&mut self, event: &Event) {
        match event {
            Event::Records(fetched) => {
                self.handed = Some((fetched.next_offset(), fetched.last_epoch()));
            }
            Event::Moved(moved) => self.positions.go_to(&self.at, Some(self.given), moved.to),
        }
    }

    pub(crate) fn handed_up_to(&mut self, next: i64, leader_epoch: i32) {
        self.handed = Some((next, leader_epoch));
    }

    pub(crate) fn dealt_with_up_to(&mut self, next: i64) {
        if let Some((end, _)) = &mut self.handed {
            *end = next.min(*end);
        }
    }

    /// The reader comes for more: what was handed out is dealt with, if it still counts.
    pub(crate) fn settle(&mut self, counts: bool) {
        if let Some((next, epoch)) = self.handed.take().filter(|_| counts) {
            self.positions.advance(&self.at, Some(self.given), next, epoch);
        }
    }
}
