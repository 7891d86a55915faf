//! What stays of one batch: Kafka's rules, record by record.
//!
//! PURE.

use std::collections::BTreeMap;

use bytes::Bytes;
use duramen_protocol::records::{BatchError, BatchView, RecordView};

use super::key_map::KeyMap;
use super::transactions::{Aborted, Underway};

/// The last batch of each producer, which must stay if only as a header: the producer's epoch, and
/// the last offset of the batch (`None`: the last that it wrote is a marker).
pub(super) type LastBatches = BTreeMap<i64, (i16, Option<i64>)>;

/// What a pass knows of a log.
#[derive(Debug)]
pub(super) struct Rules<'a> {
    pub(super) map: &'a KeyMap,
    pub(super) aborted: &'a Aborted,
    pub(super) last_batches: &'a LastBatches,
    /// The map knows the log below this offset; from here on all stays as it is.
    pub(super) end: i64,
    /// ms since 1970.
    pub(super) now_ms: i64,
    pub(super) delete_retention_ms: i64,
    /// What opened records may unfold to, in bytes.
    pub(super) unfolded_max: usize,
}

/// What stays of a batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// All of it.
    Whole,
    /// These bytes instead.
    Instead(Bytes),
    /// Nothing.
    Nothing,
}

impl Rules<'_> {
    /// What stays of `batch`. `must_stay` says that its last offset must not get lost.
    pub(super) fn judge(
        &self,
        batch: &BatchView<'_>,
        must_stay: bool,
        underway: &mut Underway,
        scratch: &mut Vec<u8>,
    ) -> Result<Verdict, BatchError> {
        let header = batch.header();
        if header.is_control() {
            let alone = underway.marker_is_alone(&header);
            if header.base_offset >= self.end || !alone {
                return Ok(Verdict::Whole);
            }
            return self.judge_marker(batch, must_stay, scratch);
        }
        underway.data(&header);
        if header.base_offset >= self.end {
            return Ok(Verdict::Whole);
        }
        if self.aborted.holds(&header) {
            return self.nothing(batch, must_stay);
        }
        let horizon = header.delete_horizon();
        let tombstones_stay = horizon.is_none_or(|horizon| self.now_ms < horizon);
        let keep = |record: &RecordView<'_>| {
            let is_last = |key| self.map.get(key).is_none_or(|last| record.offset >= last);
            record.key.is_some_and(is_last) && (record.value.is_some() || tombstones_stay)
        };
        let kept = batch.retain(scratch, self.unfolded_max, keep)?;
        let needs_horizon = kept.has_tombstone() && horizon.is_none();
        if kept.dropped() == 0 && !needs_horizon && !kept.is_empty() {
            return Ok(Verdict::Whole);
        }
        if kept.is_empty() {
            return self.nothing(batch, must_stay);
        }
        let horizon = needs_horizon.then(|| self.horizon());
        Ok(Verdict::Instead(kept.build(batch, horizon)?))
    }

    /// A marker whose transaction left nothing behind goes as tombstones do.
    fn judge_marker(
        &self,
        batch: &BatchView<'_>,
        must_stay: bool,
        scratch: &mut Vec<u8>,
    ) -> Result<Verdict, BatchError> {
        match batch.delete_horizon() {
            Some(horizon) if horizon <= self.now_ms => self.nothing(batch, must_stay),
            Some(_) => Ok(Verdict::Whole),
            None if batch.record_count() == 0 => self.nothing(batch, must_stay),
            None => {
                let kept = batch.retain(scratch, self.unfolded_max, |_| true)?;
                Ok(Verdict::Instead(kept.build(batch, Some(self.horizon()))?))
            }
        }
    }

    fn horizon(&self) -> i64 {
        self.now_ms.saturating_add(self.delete_retention_ms)
    }

    /// No record of the batch stays; its header may have to.
    fn nothing(&self, batch: &BatchView<'_>, must_stay: bool) -> Result<Verdict, BatchError> {
        let last = self.last_batches.get(&batch.producer_id());
        let is_last = last.is_some_and(|(epoch, offset)| {
            *epoch == batch.producer_epoch()
                && match offset {
                    Some(offset) => *offset == batch.last_offset(),
                    None => batch.is_control(),
                }
        });
        if !is_last && !must_stay {
            return Ok(Verdict::Nothing);
        }
        if batch.record_count() == 0 {
            return Ok(Verdict::Whole);
        }
        batch.emptied().map(Verdict::Instead)
    }
}
