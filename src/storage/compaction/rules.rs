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
    /// A segment that can't be written anew may show what tombstones delete: they stay.
    pub(super) keeps_tombstones: bool,
    /// What opened records may unfold to, in bytes.
    pub(super) unfolded_max: usize,
}

/// What the place of a batch asks for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// The last offset of the batch must not get lost.
    pub(super) must_stay: bool,
    /// Bytes that the batch may take.
    pub(super) room: u64,
}

impl Place {
    fn has_room_for(self, bytes: &Bytes) -> bool {
        bytes.len() as u64 <= self.room
    }
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
    /// What stays of `batch`.
    pub(super) fn judge(
        &self,
        batch: &BatchView<'_>,
        place: Place,
        underway: &mut Underway,
        scratch: &mut Vec<u8>,
    ) -> Result<Verdict, BatchError> {
        let header = batch.header();
        if header.is_control() {
            let alone = underway.marker_is_alone(&header);
            if header.base_offset >= self.end || !alone {
                return Ok(Verdict::Whole);
            }
            return self.judge_marker(batch, place, scratch);
        }
        underway.data(&header);
        if header.base_offset >= self.end {
            return Ok(Verdict::Whole);
        }
        if self.aborted.holds(&header) {
            return self.nothing(batch, place.must_stay);
        }
        let horizon = header.delete_horizon();
        let tombstones_stay =
            self.keeps_tombstones || horizon.is_none_or(|horizon| self.now_ms < horizon);
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
            return self.nothing(batch, place.must_stay);
        }
        let horizon = needs_horizon.then(|| self.horizon());
        let bytes = kept.build(batch, horizon)?;
        if !needs_horizon || place.has_room_for(&bytes) {
            return Ok(Verdict::Instead(bytes));
        }
        // A later pass may find room for a time of deletion. What is outdated goes now: no other will
        // know that it is.
        match kept.dropped() {
            0 => Ok(Verdict::Whole),
            _ => Ok(Verdict::Instead(kept.build(batch, None)?)),
        }
    }

    /// A marker whose transaction left nothing behind goes as tombstones do.
    fn judge_marker(
        &self,
        batch: &BatchView<'_>,
        place: Place,
        scratch: &mut Vec<u8>,
    ) -> Result<Verdict, BatchError> {
        match batch.delete_horizon() {
            Some(horizon) if horizon <= self.now_ms => self.nothing(batch, place.must_stay),
            Some(_) => Ok(Verdict::Whole),
            None if batch.record_count() == 0 => self.nothing(batch, place.must_stay),
            None => {
                let kept = batch.retain(scratch, self.unfolded_max, |_| true)?;
                let bytes = kept.build(batch, Some(self.horizon()))?;
                let fits = place.has_room_for(&bytes);
                Ok(if fits { Verdict::Instead(bytes) } else { Verdict::Whole })
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

#[cfg(test)]
mod tests {
    use super::*;
    use duramen_protocol::records::builder::{BatchBuilder, BatchOptions, Producer};
    use duramen_protocol::records::control::{ControlType, EndTxnMarker};
    use duramen_protocol::records::stamp::stamp_base_offset;

    const NOW: i64 = 1_000_000;

    fn at(offset: i64, batch: &Bytes) -> Vec<u8> {
        let mut bytes = batch.to_vec();
        stamp_base_offset(&mut bytes, offset).unwrap();
        bytes
    }

    /// A batch of one record, in a transaction or not.
    fn data(offset: i64, producer: i64, key: &str, transactional: bool) -> Vec<u8> {
        let mut builder = BatchBuilder::new(1000);
        assert!(builder.append(5, Some(key.as_bytes()), Some(b"value"), &[]).unwrap());
        let producer = Some(Producer { id: producer, epoch: 0, base_sequence: 7 });
        let options = BatchOptions { producer, transactional, ..BatchOptions::default() };
        at(offset, &builder.build(&options).unwrap())
    }

    fn marker(offset: i64, producer: i64, commit: bool) -> Vec<u8> {
        let marker = EndTxnMarker { commit, coordinator_epoch: 3 };
        at(offset, &marker.to_batch(6, producer, 0).unwrap())
    }

    fn view(bytes: &[u8]) -> BatchView<'_> {
        BatchView::split(bytes).unwrap().0
    }

    /// Cleans a log below offset 100 as a pass does; what stays.
    fn clean(log: &[Vec<u8>], last: &LastBatches, now_ms: i64) -> Vec<Vec<u8>> {
        let (mut map, mut aborted) = (KeyMap::new(1, 100, 100), Aborted::default());
        for batch in log.iter().map(|bytes| view(bytes)) {
            match batch.is_control() {
                false => aborted.data(&batch.header()),
                true => {
                    let mut scratch = Vec::new();
                    let record = batch.records(&mut scratch, 1000).unwrap().next();
                    let kind = record.map(|it| ControlType::of_key(it.unwrap().key.unwrap()));
                    aborted.marker(&batch.header(), kind.flatten().unwrap_or(ControlType::Commit));
                }
            }
        }
        let mut scratch = Vec::new();
        for batch in log.iter().map(|bytes| view(bytes)) {
            if !batch.is_control() && !aborted.holds(&batch.header()) {
                for record in batch.records(&mut scratch, 1000).unwrap().map(Result::unwrap) {
                    assert!(map.put(record.key.unwrap(), record.offset));
                }
            }
        }
        let rules = Rules {
            map: &map,
            aborted: &aborted,
            last_batches: last,
            end: 100,
            now_ms,
            delete_retention_ms: 1000,
            keeps_tombstones: false,
            unfolded_max: 1 << 20,
        };
        let place = Place { must_stay: false, room: 1000 };
        let (mut underway, mut left) = (Underway::default(), Vec::new());
        for bytes in log {
            match rules.judge(&view(bytes), place, &mut underway, &mut scratch).unwrap() {
                Verdict::Whole => left.push(bytes.clone()),
                Verdict::Instead(bytes) => left.push(bytes.to_vec()),
                Verdict::Nothing => {}
            }
        }
        left
    }

    fn offsets(log: &[Vec<u8>]) -> Vec<(i64, i32)> {
        log.iter().map(|bytes| (view(bytes).base_offset(), view(bytes).record_count())).collect()
    }

    #[test]
    fn aborted_records_go_and_do_not_hide_older_ones() {
        let log = [
            data(0, 1, "a", false),
            data(1, 2, "a", true),
            data(2, 3, "b", true),
            marker(3, 2, false),
            data(4, 2, "c", true),
            marker(5, 3, true),
            marker(6, 2, true),
        ];
        let left = clean(&log, &LastBatches::new(), NOW);
        assert_eq!(offsets(&left), [(0, 1), (2, 1), (3, 1), (4, 1), (5, 1), (6, 1)]);
        assert_eq!(left[1..], log[2..], "nothing of these is changed");
    }

    #[test]
    fn a_marker_goes_only_a_while_after_the_last_record_of_its_transaction() {
        let log =
            [data(1, 2, "a", true), marker(2, 2, false), data(3, 4, "a", true), marker(4, 4, true)];
        let first = clean(&log, &LastBatches::new(), NOW);
        // the abort loses its records in this pass, and only the next one sees it alone
        assert_eq!(first, log[1..]);
        let second = clean(&first, &LastBatches::new(), NOW + 1);
        assert_eq!(view(&second[0]).delete_horizon(), Some(NOW + 1001));
        assert!(view(&second[0]).crc_is_valid() && second[1..] == first[1..]);
        assert_eq!(clean(&second, &LastBatches::new(), NOW + 1000), second);
        assert_eq!(clean(&second, &LastBatches::new(), NOW + 1001), second[1..]);
    }

    #[test]
    fn the_last_batch_of_a_producer_stays_as_a_header() {
        let log = [data(0, 1, "a", false), data(1, 2, "a", false), data(2, 3, "a", false)];
        let last = LastBatches::from([(1, (0, Some(0))), (2, (1, Some(1))), (3, (0, Some(2)))]);
        let left = clean(&log, &last, NOW);
        assert_eq!(offsets(&left), [(0, 0), (2, 1)], "the epoch of 2 is an older one");
        assert_eq!((view(&left[0]).producer_id(), view(&left[0]).last_sequence()), (1, 7));
        assert_eq!(clean(&left, &last, NOW), left, "again and again");
        assert_eq!(clean(&left, &LastBatches::new(), NOW), left[1..]);
        // of a producer whose last is a marker
        let log = [marker(0, 5, true), data(1, 6, "a", false)];
        let once = clean(&log, &LastBatches::new(), NOW);
        let last = LastBatches::from([(5, (0, None))]);
        assert_eq!(offsets(&clean(&once, &last, NOW + 1000)), [(0, 0), (1, 1)]);
    }

    #[test]
    fn what_lies_behind_the_map_is_not_touched() {
        let log = [data(99, 1, "a", false), data(100, 1, "a", false), marker(101, 9, false)];
        assert_eq!(clean(&log, &LastBatches::new(), NOW), log[1..]);
    }
}
