//! What a fetch brought of one partition: whole batches, borrowed on reading.

use std::ops::ControlFlow;
use std::sync::Weak;

use bytes::Bytes;
use duramen_protocol::records::{BatchError, BatchView, RecordView};
use duramen_protocol::text::Text;

use super::budget::Held;
use crate::metrics::Reading;

/// Batches of one partition, in order; none when only markers and aborted transactions came. Holds its share
/// of the consumer's prefetch memory until it is dropped.
#[derive(Debug)]
#[non_exhaustive]
pub struct Fetched {
    /// The topic's name.
    pub topic: Text,
    /// The partition's number.
    pub partition: i32,
    /// The partition's high watermark, as of the fetch.
    pub high_watermark: i64,
    /// The partition's last stable offset, as of the fetch; -1 when the broker does not say.
    pub last_stable_offset: i64,
    /// The partition's log start offset, as of the fetch; -1 when the broker does not say.
    pub log_start_offset: i64,
    pub(super) content: Content,
    pub(super) unpacked_bytes: usize,
    pub(super) held: Held,
    pub(super) reading: Weak<Reading>,
}

/// The records of a fetch after the checks: whole batches only.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) bytes: Bytes,
    /// Positions of batches that are not for the caller: control batches, aborted transactions.
    pub(super) hidden: Vec<usize>,
    /// The first offset for the caller.
    pub(super) from: i64,
    /// The first offset that is not.
    pub(super) to: i64,
}

impl Content {
    /// The batches for the caller, each with its position.
    pub(super) fn batches(&self) -> impl Iterator<Item = (usize, BatchView<'_>)> {
        let mut position = 0;
        let mut hidden = self.hidden.iter().copied().peekable();
        BatchView::iter(&self.bytes).map_while(Result::ok).filter_map(move |batch| {
            let at = position;
            position += batch.size();
            match hidden.next_if_eq(&at) {
                Some(_) => None,
                None => Some((at, batch)),
            }
        })
    }

    /// Leaves out what is below an offset, and the batches that end there.
    pub(super) fn skip_to(&mut self, offset: i64) {
        let batches = BatchView::iter(&self.bytes).map_while(Result::ok);
        let before = batches.take_while(|batch| batch.next_offset() <= offset);
        let skipped = before.map(|batch| batch.size()).sum();
        self.bytes = self.bytes.slice(skipped..);
        self.hidden.retain(|at| *at >= skipped);
        self.hidden.iter_mut().for_each(|at| *at -= skipped);
        self.from = offset;
    }

    /// How many records there are for the caller: of a batch that is cut, as many as fit between the cuts.
    fn count(&self) -> u64 {
        let of = |batch: BatchView<'_>| {
            let from = batch.base_offset().max(self.from);
            let room = batch.next_offset().min(self.to).saturating_sub(from);
            u64::try_from(i64::from(batch.record_count()).min(room)).unwrap_or(0)
        };
        self.batches().map(|(_, batch)| of(batch)).sum()
    }

    pub(super) fn contains(&self, offset: i64) -> bool {
        self.from <= offset && offset < self.to
    }
}

impl Fetched {
    /// The user has it.
    pub(super) fn taken(&self) {
        if let Some(reading) = self.reading.upgrade() {
            reading.reached(self.content.to);
        }
        self.held.meter().records_taken.add(self.content.count());
    }

    /// The batches. A first or last one may reach over the bounds that were asked for; see
    /// [`Fetched::contains`].
    pub fn batches(&self) -> impl Iterator<Item = BatchView<'_>> {
        self.content.batches().map(|(_, batch)| batch)
    }

    /// Whether an offset lies within the bounds that were asked for.
    #[must_use]
    pub fn contains(&self, offset: i64) -> bool {
        self.content.contains(offset)
    }

    /// Shows each record in order, until `visit` breaks. Nothing is allocated per record; compressed
    /// batches are unpacked into `scratch`, which is best used again.
    ///
    /// # Errors
    /// When a batch can't be read.
    pub fn visit<B>(
        &self,
        scratch: &mut Vec<u8>,
        mut visit: impl FnMut(&BatchView<'_>, &RecordView<'_>) -> ControlFlow<B>,
    ) -> Result<ControlFlow<B>, BatchError> {
        for (_, batch) in self.content.batches() {
            for record in batch.records(scratch, self.unpacked_bytes)? {
                let record = record?;
                if !self.content.contains(record.offset) {
                    continue;
                }
                if let ControlFlow::Break(reason) = visit(&batch, &record) {
                    return Ok(ControlFlow::Break(reason));
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// The leader epoch of the last batch, or -1.
    pub(super) fn last_epoch(&self) -> i32 {
        self.batches().last().map_or(-1, |batch| batch.partition_leader_epoch())
    }

    /// Bytes of the batches, as they came.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.content.bytes.len()
    }

    /// The offset after the last one here.
    #[must_use]
    pub fn next_offset(&self) -> i64 {
        self.content.to
    }
}
