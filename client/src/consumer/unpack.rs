//! Fetches taken apart into records that own their bytes.

use std::collections::VecDeque;

use super::fetched::Fetched;
use super::record::{ConsumerRecord, unpack};
use super::unreadable;
use crate::consumer::TopicPartition;
use crate::error::ClientError;

/// A fetch being taken apart: the positions of its batches still to come, and the records of the last.
#[derive(Debug, Default)]
pub(super) struct Unpacker {
    current: Option<(Fetched, VecDeque<usize>)>,
    records: VecDeque<ConsumerRecord>,
}

impl Unpacker {
    /// Takes a fetch; the one before is used up.
    pub(super) fn load(&mut self, fetched: Fetched) {
        let positions = fetched.content.batches().map(|(at, _)| at).collect();
        self.current = Some((fetched, positions));
    }

    /// The next record, with the offset behind all that was taken when it is taken; `None` when the fetch
    /// is used up.
    pub(super) fn pop(&mut self) -> Option<Result<(ConsumerRecord, i64), ClientError>> {
        while self.records.is_empty() {
            let (fetched, positions) = self.current.as_mut()?;
            let Some(position) = positions.pop_front() else {
                self.current = None;
                return None;
            };
            if let Err(error) = unpack(fetched, position, &mut self.records) {
                let error = unreadable(&fetched.topic, fetched.partition, &error);
                self.clear();
                return Some(Err(error));
            }
        }
        let record = self.records.pop_front()?;
        let mut next = record.offset + 1;
        if let Some((fetched, positions)) = &self.current
            && positions.is_empty()
            && self.records.is_empty()
        {
            // What is hidden behind the last record is dealt with, too.
            next = fetched.next_offset();
            self.current = None;
        }
        Some(Ok((record, next)))
    }

    /// What is left, as a fetch again: for one who goes on with whole ones.
    pub(super) fn rest(&mut self) -> Option<Fetched> {
        let (mut fetched, positions) = self.current.take()?;
        let next = match self.records.front() {
            Some(record) => record.offset,
            None => {
                let first = *positions.front()?;
                let (_, batch) = fetched.content.batches().find(|(at, _)| *at == first)?;
                batch.base_offset().max(fetched.content.from)
            }
        };
        self.records.clear();
        fetched.content.skip_to(next);
        Some(fetched)
    }

    /// Forgets what is left of a partition; the offset of the first record that was not taken.
    pub(super) fn forget(&mut self, at: &TopicPartition) -> Option<i64> {
        let (fetched, _) = self.current.as_ref()?;
        if fetched.topic != at.topic || fetched.partition != at.partition {
            return None;
        }
        let next = match self.pop()? {
            Ok((record, _)) => record.offset,
            Err(_) => return None,
        };
        self.clear();
        Some(next)
    }

    pub(super) fn clear(&mut self) {
        self.current = None;
        self.records.clear();
    }
}
