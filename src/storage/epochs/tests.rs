//! The history against Kafka's own cases (`LeaderEpochFileCacheTest`) and against a log model.

use super::*;
use proptest::prelude::*;

fn history(entries: &[(i32, i64)]) -> EpochHistory {
    let mut history = EpochHistory::new();
    for &(epoch, start) in entries {
        history.assign(epoch, start);
    }
    history
}

fn pairs(history: &EpochHistory) -> Vec<(i32, i64)> {
    history.entries().iter().map(|e| (e.epoch, e.start_offset)).collect()
}

fn end(epoch: i32, end_offset: i64) -> EpochEnd {
    EpochEnd { epoch, end_offset }
}

#[test]
fn a_batch_of_the_same_epoch_changes_nothing() {
    let mut h = EpochHistory::new();
    assert!(h.assign(2, 10));
    assert!(!h.assign(2, 11));
    assert!(!h.assign(2, 10));
    assert_eq!(pairs(&h), [(2, 10)]);
}

#[test]
fn a_lower_start_of_the_same_epoch_wins() {
    let mut h = history(&[(2, 10)]);
    assert!(h.assign(2, 6));
    assert_eq!(pairs(&h), [(2, 6)]);
}

#[test]
fn a_new_entry_removes_what_contradicts_it() {
    assert_eq!(pairs(&history(&[(1, 1), (2, 5), (3, 9), (2, 7)])), [(1, 1), (2, 7)]);
    assert_eq!(pairs(&history(&[(0, 0), (4, 7), (5, 7)])), [(0, 0), (5, 7)]);
    assert_eq!(pairs(&history(&[(4, 7), (1, 3)])), [(1, 3)]);
    assert_eq!(pairs(&history(&[(1, 6), (1, 7), (2, 8), (3, 6)])), [(3, 6)]);
}

#[test]
fn batches_without_an_epoch_say_nothing() {
    let mut h = history(&[(1, 1)]);
    assert!(!h.assign(-1, 5));
    assert!(!h.assign(3, -5));
    assert_eq!(pairs(&h), [(1, 1)]);
}

#[test]
fn end_offsets_as_kafka_answers() {
    let empty = EpochHistory::new();
    assert_eq!(empty.end_offset_for(0, 0), EpochEnd::UNDEFINED);
    assert!(empty.end_offset_for(-1, 0).is_undefined());

    let h = history(&[(2, 20), (4, 40), (7, 70)]);
    assert_eq!(h.end_offset_for(7, 99), end(7, 99), "latest: the log end");
    assert_eq!(h.end_offset_for(8, 99), EpochEnd::UNDEFINED, "newer than all");
    assert_eq!(h.end_offset_for(-1, 99), EpochEnd::UNDEFINED, "none asked for");
    assert_eq!(h.end_offset_for(1, 99), end(1, 20), "older than all: the first known start");
    assert_eq!(h.end_offset_for(2, 99), end(2, 40));
    assert_eq!(h.end_offset_for(3, 99), end(2, 40), "unknown: the floor epoch's end");
    assert_eq!(h.end_offset_for(6, 99), end(4, 70));
}

#[test]
fn an_epoch_owns_its_offsets() {
    let h = history(&[(2, 20), (4, 40)]);
    assert_eq!(h.epoch_for_offset(19), None);
    assert_eq!(h.epoch_for_offset(20), Some(2));
    assert_eq!(h.epoch_for_offset(39), Some(2));
    assert_eq!(h.epoch_for_offset(1_000), Some(4));
    assert_eq!(h.previous_epoch(4), Some(2));
    assert_eq!(h.previous_epoch(2), None);
    assert_eq!((h.latest_epoch(), EpochHistory::new().latest_epoch()), (4, -1));
}

#[test]
fn truncation_from_the_end() {
    let full = [(2, 6), (3, 8), (4, 11)];
    let cut = |offset| {
        let mut h = history(&full);
        let changed = h.truncate_from_end(offset);
        (changed, pairs(&h))
    };
    assert_eq!(cut(12), (false, full.to_vec()));
    assert_eq!(cut(11), (true, vec![(2, 6), (3, 8)]));
    assert_eq!(cut(9), (true, vec![(2, 6), (3, 8)]));
    assert_eq!(cut(8), (true, vec![(2, 6)]));
    assert_eq!(cut(0), (true, vec![]));
}

#[test]
fn truncation_from_the_start() {
    let full = [(2, 6), (3, 8), (4, 11)];
    let cut = |offset| {
        let mut h = history(&full);
        let changed = h.truncate_from_start(offset);
        (changed, pairs(&h))
    };
    assert_eq!(cut(1), (false, full.to_vec()), "before the first: nothing to do");
    assert_eq!(cut(6), (false, full.to_vec()));
    assert_eq!(cut(7), (true, vec![(2, 7), (3, 8), (4, 11)]));
    assert_eq!(cut(8), (true, vec![(3, 8), (4, 11)]));
    assert_eq!(cut(10), (true, vec![(3, 10), (4, 11)]));
    assert_eq!(cut(500), (true, vec![(4, 500)]));
}

#[test]
fn the_file_is_kafkas() {
    let h = history(&[(0, 0), (5, 120)]);
    assert_eq!(h.encode(), b"0\n2\n0 0\n5 120\n");
    assert_eq!(EpochHistory::decode(&h.encode()), Ok(h));
    assert_eq!(EpochHistory::decode(b"0\n0\n"), Ok(EpochHistory::new()));
}

#[test]
fn a_file_that_goes_backwards_is_damage() {
    let line = |text: &[u8]| EpochHistory::decode(text).unwrap_err();
    assert_eq!(line(b"0\n2\n5 0\n4 9\n"), CheckpointError::Line { line: 4 });
    assert_eq!(line(b"0\n3\n1 1\n2 9\n3 9\n"), CheckpointError::Line { line: 5 });
    assert_eq!(line(b"0\n1\n-1 9\n"), CheckpointError::Line { line: 3 });
    assert_eq!(line(b""), CheckpointError::Empty);
}

#[test]
fn every_cut_of_a_file_is_found() {
    let bytes = history(&[(0, 0), (5, 120), (17, 4_000)]).encode();
    for cut in 0..bytes.len() {
        assert!(EpochHistory::decode(&bytes[..cut]).is_err(), "cut at {cut} was believed");
    }
}

/// What the log itself would say: the epoch of each offset from `start` on.
#[derive(Default)]
struct Model {
    start: i64,
    epochs: Vec<i32>,
}

impl Model {
    fn end(&self) -> i64 {
        self.start + i64::try_from(self.epochs.len()).unwrap()
    }

    fn terms(&self) -> Vec<(i32, i64)> {
        let mut terms: Vec<(i32, i64)> = Vec::new();
        for (offset, &epoch) in (self.start..).zip(&self.epochs) {
            if terms.last().is_none_or(|last| last.0 != epoch) {
                terms.push((epoch, offset));
            }
        }
        terms
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_history_is_what_the_log_holds(
        steps in proptest::collection::vec((0..4_u8, 0..6_i64), 1..60)
    ) {
        let (mut model, mut history, mut epoch) = (Model::default(), EpochHistory::new(), 0);
        for (kind, amount) in steps {
            match kind {
                0 => epoch += 1,
                1 => {
                    history.assign(epoch, model.end());
                    for _ in 0..=amount { model.epochs.push(epoch); }
                }
                2 => {
                    let cut = (model.end() - amount).max(model.start);
                    model.epochs.truncate(usize::try_from(cut - model.start).unwrap());
                    history.truncate_from_end(cut);
                }
                _ => {
                    let to = (model.start + amount).min(model.end());
                    if to < model.end() {
                        model.epochs.drain(..usize::try_from(to - model.start).unwrap());
                        model.start = to;
                        history.truncate_from_start(to);
                    }
                }
            }
            prop_assert_eq!(pairs(&history), model.terms());
            let read = EpochHistory::decode(&history.encode());
            prop_assert_eq!(read.as_ref(), Ok(&history));
            for asked in 0..=epoch {
                let last = model.epochs.iter().rposition(|&e| e <= asked);
                let answer = history.end_offset_for(asked, model.end());
                match (last, model.epochs.last()) {
                    (_, None) => prop_assert!(answer.is_undefined()),
                    (_, Some(&newest)) if asked > newest => prop_assert!(answer.is_undefined()),
                    (None, _) => prop_assert_eq!(answer, end(asked, model.start)),
                    (Some(last), _) => {
                        let after = model.start + i64::try_from(last).unwrap() + 1;
                        prop_assert_eq!(answer, end(model.epochs[last], after));
                    }
                }
            }
        }
    }
}
