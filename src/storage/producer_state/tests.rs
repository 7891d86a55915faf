//! The rules against Kafka's own cases (`ProducerStateManagerTest`) and against a log model.

use super::*;
use proptest::prelude::*;

const PID: i64 = 7;
const NOW: i64 = 1_700_000_000_000;

fn batch(epoch: i16, base_sequence: i32, first_offset: i64, records: i64) -> BatchFacts {
    BatchFacts {
        producer_id: PID,
        producer_epoch: epoch,
        base_sequence,
        first_offset,
        last_offset: first_offset + records - 1,
        max_timestamp: NOW,
        transactional: false,
    }
}

fn transactional(batch: BatchFacts) -> BatchFacts {
    BatchFacts { transactional: true, ..batch }
}

fn marker(epoch: i16, offset: i64, transaction_version: i16) -> MarkerFacts {
    MarkerFacts {
        producer_id: PID,
        producer_epoch: epoch,
        coordinator_epoch: 3,
        offset,
        timestamp: NOW,
        abort: true,
        transaction_version,
    }
}

fn after(batches: &[BatchFacts]) -> ProducerStates {
    let mut states = ProducerStates::default();
    for batch in batches {
        states.apply(batch, NOW);
    }
    states
}

fn client(states: &ProducerStates, batch: BatchFacts) -> Result<Verdict, ProducerError> {
    states.check(&batch, Origin::Client)
}

fn out_of_order(result: Result<Verdict, ProducerError>) -> bool {
    matches!(result, Err(ProducerError::OutOfOrderSequence { .. }))
}

fn stale(result: Result<Verdict, ProducerError>) -> bool {
    matches!(result, Err(ProducerError::InvalidEpoch { .. }))
}

#[test]
fn the_first_batch_of_an_unknown_producer_may_have_any_sequence() {
    assert_eq!(client(&ProducerStates::default(), batch(0, 16, 0, 1)), Ok(Verdict::New));
}

#[test]
fn the_next_batch_must_follow() {
    let states = after(&[batch(0, 0, 0, 5)]);
    assert_eq!(client(&states, batch(0, 5, 5, 1)), Ok(Verdict::New));
    assert!(out_of_order(client(&states, batch(0, 6, 5, 1))), "a gap");
    assert!(out_of_order(client(&states, batch(0, 3, 5, 1))), "an overlap");
}

#[test]
fn a_newer_epoch_starts_at_zero_and_fences_the_older() {
    let states = after(&[batch(0, 0, 0, 1)]);
    assert_eq!(client(&states, batch(1, 0, 1, 1)), Ok(Verdict::New));
    assert!(out_of_order(client(&states, batch(1, 1, 1, 1))));
    let states = after(&[batch(0, 0, 0, 1), batch(1, 0, 1, 1)]);
    assert!(stale(client(&states, batch(0, 1, 2, 1))));
    assert!(stale(states.check(&batch(0, NO_SEQUENCE, 2, 1), Origin::Coordinator)));
}

#[test]
fn sequences_wrap_after_the_largest() {
    let states = after(&[batch(0, i32::MAX - 15, 0, 16)]);
    assert_eq!(client(&states, batch(0, 0, 16, 1)), Ok(Verdict::New));
    let states = after(&[batch(0, i32::MAX - 15, 0, 1)]);
    assert!(out_of_order(client(&states, batch(0, 0, 1, 1))), "not yet at the largest");
    let states = after(&[batch(0, i32::MAX - 10, 9, 20)]);
    let entry = states.get(PID).unwrap();
    assert_eq!(entry.last_sequence(), 8, "a batch across the wrap");
    assert_eq!(entry.last_batch().unwrap().first_sequence(), i32::MAX - 10);
    assert_eq!(client(&states, batch(0, 9, 29, 1)), Ok(Verdict::New));
}

#[test]
fn each_of_the_last_five_batches_is_answered_with_its_first_offsets() {
    let batches: Vec<_> = (0..7).map(|i| batch(0, i * 2, i64::from(i) * 10, 2)).collect();
    let states = after(&batches);
    for sent_again in &batches[2..] {
        let again = BatchFacts { first_offset: 500, last_offset: 501, ..*sent_again };
        let Ok(Verdict::Duplicate(stored)) = client(&states, again) else {
            panic!("{again:?} was not recognised");
        };
        assert_eq!(stored.first_offset(), sent_again.first_offset);
        assert_eq!(stored.last_offset, sent_again.last_offset);
        assert_eq!(stored.timestamp, NOW);
    }
    for too_old in &batches[..2] {
        assert!(out_of_order(client(&states, *too_old)));
    }
    let part_of_one = batch(0, 12, 500, 1);
    assert!(out_of_order(client(&states, part_of_one)), "only a whole batch is a duplicate");
}

#[test]
fn a_duplicate_of_an_older_epoch_is_fenced() {
    let states = after(&[batch(0, 0, 0, 1), batch(1, 0, 1, 1)]);
    assert!(stale(client(&states, batch(0, 0, 2, 1))));
}

#[test]
fn replicas_and_coordinators_are_not_asked_for_sequences() {
    let states = after(&[batch(3, 0, 0, 1)]);
    assert_eq!(states.check(&batch(3, 9, 1, 1), Origin::Replica), Ok(Verdict::New));
    assert_eq!(states.check(&batch(1, 9, 1, 1), Origin::Replica), Ok(Verdict::New));
    assert_eq!(states.check(&batch(3, NO_SEQUENCE, 1, 1), Origin::Coordinator), Ok(Verdict::New));
}

#[test]
fn a_check_leaves_no_trace() {
    let states = after(&[batch(0, 0, 0, 1)]);
    let before = states.clone();
    let _ = client(&states, batch(0, 1, 1, 1));
    let _ = client(&states, batch(5, 0, 1, 1));
    assert_eq!(states, before);
}

#[test]
fn idle_producers_expire_by_this_brokers_clock() {
    let mut states = ProducerStates::default();
    // Data of last year, appended now: not idle.
    states.apply(&BatchFacts { max_timestamp: NOW - 31_536_000_000, ..batch(0, 0, 0, 1) }, NOW);
    assert_eq!(states.expire(NOW + 999, 1_000), 0);
    assert_eq!(states.expire(NOW + 1_000, 1_000), 1);
    assert!(states.is_empty());
    assert_eq!(states.end_offset(), 1);
}

#[test]
fn markers_keep_a_producer_and_an_open_transaction_never_expires() {
    let mut states = after(&[transactional(batch(0, 0, 0, 1))]);
    assert_eq!(states.expire(NOW + 1_000_000, 1_000), 0, "its transaction is open");
    let completed = states.apply_marker(&marker(1, 1, 2), NOW + 5_000).unwrap();
    states.complete(&completed);
    assert_eq!(states.expire(NOW + 5_500, 1_000), 0, "the marker counts (KAFKA-9144)");
    let zombie = MarkerFacts { coordinator_epoch: 2, ..marker(2, 2, 2) };
    let fenced = states.check_marker(&zombie, Origin::Coordinator);
    assert!(matches!(fenced, Err(ProducerError::CoordinatorFenced { epoch: 2, current: 3, .. })));
    assert_eq!(states.expire(NOW + 6_000, 1_000), 1);
}

#[test]
fn a_batch_outside_the_open_transaction_is_refused() {
    let states = after(&[transactional(batch(0, 0, 0, 1))]);
    let refused = Err(ProducerError::TransactionOpen { producer_id: PID });
    assert_eq!(client(&states, batch(0, 1, 1, 1)), refused);
    assert_eq!(client(&states, transactional(batch(0, 1, 1, 1))), Ok(Verdict::New));
    assert!(states.has_open_txn(PID, 0));
    assert!(!states.has_open_txn(PID, 1));
}

#[test]
fn marker_epochs_by_transaction_version() {
    let open = after(&[transactional(batch(5, 0, 0, 1))]);
    let check = |marker: &MarkerFacts| open.check_marker(marker, Origin::Coordinator).is_ok();
    assert!(check(&marker(5, 1, 1)), "old versions mark with the epoch of the data");
    assert!(!check(&marker(5, 1, 2)), "from version 2 on the epoch must be above it");
    assert!(check(&marker(6, 1, 2)));
    assert!(!check(&marker(4, 1, 1)));
    assert!(!check(&marker(4, 1, 2)));

    let mut ended = open.clone();
    ended.apply_marker(&marker(6, 1, 2), NOW);
    let again = ended.check_marker(&marker(6, 2, 2), Origin::Coordinator);
    assert_eq!(again, Ok(()), "the same marker sent again (KAFKA-19999)");
    assert_eq!(open.check_marker(&marker(0, 1, 2), Origin::Replica), Ok(()));
}

#[test]
fn the_data_after_a_marker_starts_over() {
    let mut states = after(&[transactional(batch(0, 0, 0, 4))]);
    states.apply_marker(&marker(1, 4, 2), NOW);
    assert_eq!(states.get(PID).unwrap().last_sequence(), NO_SEQUENCE);
    assert!(out_of_order(client(&states, batch(1, 4, 5, 1))));
    assert_eq!(client(&states, batch(1, 0, 5, 1)), Ok(Verdict::New));
}

#[test]
fn readers_of_committed_records_wait_for_the_marker_to_be_replicated() {
    let mut states = after(&[transactional(batch(0, 0, 10, 5))]);
    let other = BatchFacts { producer_id: 8, ..transactional(batch(0, 0, 15, 5)) };
    states.apply(&other, NOW);
    assert_eq!(states.first_unstable_offset(), Some(10));

    let completed = states.apply_marker(&marker(0, 20, 1), NOW).unwrap();
    let expected =
        CompletedTxn { producer_id: PID, first_offset: 10, last_offset: 20, aborted: true };
    assert_eq!(completed, expected);
    assert_eq!(states.stable_offset_after(&completed), 15, "the other one is open");
    assert_eq!(states.first_unstable_offset(), Some(10), "until the index is written");
    states.complete(&completed);
    assert_eq!(states.first_undecided_offset(), Some(15));
    states.on_high_watermark(20);
    assert_eq!(states.first_unstable_offset(), Some(10), "the marker itself is at 20");
    states.on_high_watermark(21);
    assert_eq!(states.first_unstable_offset(), Some(15));

    let last =
        states.apply_marker(&MarkerFacts { producer_id: 8, ..marker(0, 21, 1) }, NOW).unwrap();
    assert_eq!(states.stable_offset_after(&last), 22);
    states.complete(&last);
    states.on_log_start(22);
    assert_eq!(states.first_unstable_offset(), None);
    assert_eq!(states.end_offset(), 22);
}

#[test]
fn a_marker_without_records_ends_nothing() {
    let mut states = ProducerStates::default();
    assert_eq!(states.check_marker(&marker(0, 0, 1), Origin::Coordinator), Ok(()));
    assert_eq!(states.apply_marker(&marker(0, 0, 1), NOW), None);
    assert_eq!(states.first_unstable_offset(), None);
    assert_eq!(states.get(PID).unwrap().coordinator_epoch, 3);
}

#[test]
fn a_batch_without_a_producer_only_moves_the_end() {
    let states = after(&[BatchFacts { producer_id: NO_PRODUCER_ID, ..batch(-1, -1, 4, 3) }]);
    assert!(states.is_empty());
    assert_eq!(states.end_offset(), 7);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A client with five batches in flight over a network that repeats and reorders them:
    /// whatever arrives, the log holds each sequence once, in order.
    #[test]
    fn the_log_holds_each_record_once_and_in_order(
        start in prop_oneof![Just(0_i32), Just(i32::MAX - 20)],
        arrivals in proptest::collection::vec((0..5_usize, 1..4_i64), 1..120)
    ) {
        let sizes: Vec<i64> = arrivals.iter().map(|(_, size)| *size).collect();
        let mut sequence = start;
        let sent: Vec<BatchFacts> = sizes.iter().map(|&size| {
            let batch = batch(0, sequence, 0, size);
            sequence = sequence_after(sequence, i32::try_from(size).unwrap());
            batch
        }).collect();

        let mut states = after(&[]);
        let (mut log, mut acked): (Vec<BatchFacts>, _) = (Vec::new(), vec![None; sent.len()]);
        let mut window = 0;
        for (jump, _) in &arrivals {
            let index = (window + jump).min(sent.len() - 1);
            let end = states.end_offset();
            let size = sent[index].last_offset + 1;
            let now = BatchFacts { first_offset: end, last_offset: end + size - 1, ..sent[index] };
            match client(&states, now) {
                // Nothing is known at first, so any batch may open the log.
                Ok(Verdict::New) if log.is_empty() && index != 0 => {}
                Ok(Verdict::New) => {
                    prop_assert_eq!(index, log.len(), "only the next one is new");
                    states.apply(&now, NOW);
                    log.push(now);
                    acked[index] = Some(end);
                    window = log.len().saturating_sub(2);
                }
                Ok(Verdict::Duplicate(stored)) => {
                    prop_assert_eq!(Some(stored.first_offset()), acked[index]);
                }
                Err(error) => {
                    prop_assert!(
                        index > log.len() || index + RECENT_BATCHES < log.len(),
                        "{} refused with {} in the log: {}", index, log.len(), error
                    );
                }
            }
        }
        let entry = states.get(PID);
        prop_assert!(entry.is_none_or(|entry| entry.batches.len() <= RECENT_BATCHES));
    }

    #[test]
    fn sequences_go_forth_and_back(sequence in 0..=i32::MAX, steps in 0..=i32::MAX) {
        let after = sequence_after(sequence, steps);
        prop_assert!(after >= 0);
        prop_assert_eq!(sequence_before(after, steps), sequence);
    }
}
