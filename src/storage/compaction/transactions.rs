//! Transactions in the part of a log that is cleaned: whose records were taken back, and when a
//! marker has nothing left to tell.
//!
//! PURE. All of them have ended, for what is cleaned lies below the last stable offset; but the marker may
//! lie behind what is cleaned.

use std::collections::{BTreeMap, BTreeSet};

use duramen_protocol::records::BatchHeader;
use duramen_protocol::records::control::ControlType;

/// Transactions that were aborted, by producer: first offset and offset of the marker.
#[derive(Debug, Default)]
pub(super) struct Aborted {
    open: BTreeMap<i64, i64>,
    ended: BTreeMap<i64, Vec<(i64, i64)>>,
}

impl Aborted {
    /// Notes a data batch.
    pub(super) fn data(&mut self, header: &BatchHeader) {
        if header.is_transactional() {
            self.open.entry(header.producer_id).or_insert(header.base_offset);
        }
    }

    /// Notes a marker.
    pub(super) fn marker(&mut self, header: &BatchHeader, kind: ControlType) {
        let first = self.open.remove(&header.producer_id);
        if let (Some(first), ControlType::Abort) = (first, kind) {
            let ended = self.ended.entry(header.producer_id).or_default();
            ended.push((first, header.base_offset));
        }
    }

    /// Whether the marker of each was noted.
    pub(super) fn all_ended(&self) -> bool {
        self.open.is_empty()
    }

    /// Whether the records of a data batch were taken back.
    pub(super) fn holds(&self, header: &BatchHeader) -> bool {
        header.is_transactional()
            && self.ended.get(&header.producer_id).is_some_and(|ended| {
                let after = ended.partition_point(|(first, _)| *first <= header.base_offset);
                let before = after.checked_sub(1).and_then(|at| ended.get(at));
                before.is_some_and(|(_, marker)| header.base_offset < *marker)
            })
    }
}

/// Producers with a transaction of which a batch is still there, from one marker to the next.
#[derive(Debug, Default)]
pub(super) struct Underway(BTreeSet<i64>);

impl Underway {
    /// Notes a data batch that was in the log before this pass.
    pub(super) fn data(&mut self, header: &BatchHeader) {
        if header.is_transactional() {
            self.0.insert(header.producer_id);
        }
    }

    /// Notes a marker. Whether no batch of its transaction was there any more.
    pub(super) fn marker_is_alone(&mut self, header: &BatchHeader) -> bool {
        !self.0.remove(&header.producer_id)
    }
}
