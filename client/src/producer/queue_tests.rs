//! The sequence rules of an idempotent producer, as stories.

use super::*;

type Queue = PartitionQueue<u32>;

const MINUTE: Duration = Duration::from_secs(60);

fn start() -> Instant {
    // Within a paused runtime this needs no real clock.
    Instant::now()
}

fn queue_of(batches: u32, now: Instant) -> Queue {
    let mut queue = Queue::new(true, 0);
    queue.known = true;
    for id in 0..batches {
        queue.push(Batch::new(id, 10, now + Duration::from_secs(120)));
    }
    queue
}

fn send_all(queue: &mut Queue, now: Instant) -> Vec<(u32, i16, i32)> {
    let mut sent = Vec::new();
    while let Some(at) = queue.next_to_send(now) {
        let batch = queue.get_mut(at).unwrap();
        let sequence = batch.sequence.unwrap();
        sent.push((batch.payload, sequence.epoch, sequence.first));
        queue.sent(at);
    }
    sent
}

fn back(queue: &mut Queue, id: u32, attempt: Attempt, now: Instant) -> Fate<u32> {
    queue.came_back(|p| *p == id, attempt, now, |_| Duration::from_millis(100)).unwrap()
}

fn later(now: Instant) -> Instant {
    now + Duration::from_secs(1)
}

#[test]
fn five_leave_in_order_and_the_sixth_waits() {
    let now = start();
    let mut queue = queue_of(6, now);
    assert_eq!(
        send_all(&mut queue, now),
        [(0, 0, 0), (1, 0, 10), (2, 0, 20), (3, 0, 30), (4, 0, 40)]
    );
    assert!(matches!(back(&mut queue, 0, Attempt::Written, now), Fate::Delivered(_)));
    assert_eq!(send_all(&mut queue, now), [(5, 0, 50)]);
}

#[test]
fn a_cut_connection_sends_all_again_with_the_same_sequences() {
    let now = start();
    let mut queue = queue_of(3, now);
    send_all(&mut queue, now);
    for id in 0..3 {
        assert!(matches!(back(&mut queue, id, Attempt::Lost, now), Fate::Retried));
    }
    assert_eq!(send_all(&mut queue, now), [], "not before the wait is over");
    assert_eq!(send_all(&mut queue, later(now)), [(0, 0, 0), (1, 0, 10), (2, 0, 20)]);
    let duplicate = Attempt::Refused(ErrorCode::DuplicateSequenceNumber);
    assert!(matches!(back(&mut queue, 0, duplicate, now), Fate::Delivered(_)));
}

#[test]
fn those_behind_a_retried_batch_are_retried_behind_it() {
    let now = start();
    let mut queue = queue_of(3, now);
    send_all(&mut queue, now);
    let moved = Attempt::Refused(ErrorCode::NotLeaderOrFollower);
    let disorder = Attempt::Refused(ErrorCode::OutOfOrderSequenceNumber);
    assert!(matches!(back(&mut queue, 0, moved, now), Fate::Retried));
    assert!(matches!(back(&mut queue, 1, disorder, now), Fate::Retried));
    assert!(matches!(back(&mut queue, 2, disorder, now), Fate::Retried));
    assert_eq!(send_all(&mut queue, later(now)), [(0, 0, 0), (1, 0, 10), (2, 0, 20)]);
}

#[test]
fn after_a_refusal_the_rest_starts_again_under_the_next_epoch() {
    let now = start();
    let mut queue = queue_of(4, now);
    send_all(&mut queue, now);
    let too_large = Attempt::Refused(ErrorCode::MessageTooLarge);
    let failed = back(&mut queue, 1, too_large, now);
    assert!(
        matches!(failed, Fate::Failed(batch, ErrorCode::MessageTooLarge) if batch.payload == 1)
    );
    let disorder = Attempt::Refused(ErrorCode::OutOfOrderSequenceNumber);
    assert!(matches!(back(&mut queue, 2, disorder, now), Fate::Retried));
    assert_eq!(send_all(&mut queue, later(now)), [], "0 and 3 are still open");
    assert!(matches!(back(&mut queue, 0, Attempt::Written, now), Fate::Delivered(_)));
    assert!(matches!(back(&mut queue, 3, Attempt::Lost, now), Fate::Retried));
    assert_eq!(send_all(&mut queue, later(now)), [(3, 0, 30)], "its fate is not known");
    assert!(matches!(back(&mut queue, 3, disorder, now), Fate::Retried));
    assert_eq!(send_all(&mut queue, later(now)), [(2, 1, 0), (3, 1, 10)]);
}

#[test]
fn a_batch_of_unknown_fate_is_asked_about_before_a_new_epoch() {
    let now = start();
    let mut queue = queue_of(3, now);
    send_all(&mut queue, now);
    let refused = Attempt::Refused(ErrorCode::InvalidRecord);
    assert!(matches!(back(&mut queue, 0, refused, now), Fate::Failed(..)));
    assert!(matches!(back(&mut queue, 1, Attempt::Lost, now), Fate::Retried));
    let disorder = Attempt::Refused(ErrorCode::OutOfOrderSequenceNumber);
    assert!(matches!(back(&mut queue, 2, disorder, now), Fate::Retried));
    assert_eq!(send_all(&mut queue, later(now)), [(1, 0, 10)], "the same sequence, to learn");
    assert!(matches!(back(&mut queue, 1, disorder, now), Fate::Retried));
    assert_eq!(send_all(&mut queue, later(now)), [(1, 1, 0), (2, 1, 10)]);
}

#[test]
fn a_lost_request_may_still_come_behind_the_one_before_it() {
    let now = start();
    let mut queue = queue_of(3, now);
    send_all(&mut queue, now);
    let refused = Attempt::Refused(ErrorCode::InvalidRecord);
    assert!(matches!(back(&mut queue, 0, refused, now), Fate::Failed(..)));
    for id in [1, 2] {
        assert!(matches!(back(&mut queue, id, Attempt::Lost, now), Fate::Retried));
    }
    assert_eq!(send_all(&mut queue, later(now)), [(1, 0, 10), (2, 0, 20)]);
    // The broker meets the second one before what the cut connection still brings it: both, in their order.
    let disorder = Attempt::Refused(ErrorCode::OutOfOrderSequenceNumber);
    assert!(matches!(back(&mut queue, 2, disorder, now), Fate::Retried));
    assert!(matches!(back(&mut queue, 1, Attempt::Written, now), Fate::Delivered(_)));
    assert_eq!(send_all(&mut queue, later(now)), [(2, 0, 20)], "the same sequence, to learn");
    let duplicate = Attempt::Refused(ErrorCode::DuplicateSequenceNumber);
    assert!(matches!(back(&mut queue, 2, duplicate, now), Fate::Delivered(_)));
}

#[test]
fn behind_a_lost_batch_that_was_given_up_those_lost_with_it_do_not_start_again() {
    let (now, mut queue) = (start(), Queue::new(true, 0));
    queue.push(Batch::new(9, 10, now + MINUTE));
    send_all(&mut queue, now);
    back(&mut queue, 9, Attempt::Written, now);
    for (id, minutes) in [(0, 1), (1, 2), (2, 3)] {
        queue.push(Batch::new(id, 10, now + MINUTE * minutes));
    }
    assert_eq!(send_all(&mut queue, now), [(0, 0, 10), (1, 0, 20), (2, 0, 30)]);
    back(&mut queue, 0, Attempt::Lost, now);
    back(&mut queue, 1, Attempt::Lost, now);
    let moved = Attempt::Refused(ErrorCode::NotLeaderOrFollower);
    back(&mut queue, 2, moved, now);
    let (first, second) = (now + MINUTE, now + MINUTE * 2);
    assert_eq!(queue.expire(first).unwrap().payload, 0);
    assert_eq!(send_all(&mut queue, first), [(1, 0, 20)]);
    // The cut connection may bring both to the broker yet.
    let disorder = Attempt::Refused(ErrorCode::OutOfOrderSequenceNumber);
    assert!(matches!(back(&mut queue, 1, disorder, first), Fate::Retried));
    assert_eq!(send_all(&mut queue, later(first)), [(1, 0, 20)], "not under a new epoch");
    back(&mut queue, 1, disorder, first);
    assert_eq!(queue.expire(second).unwrap().payload, 1);
    // That one was refused, and so never lost.
    assert_eq!(send_all(&mut queue, later(second)), [(2, 1, 0)]);
}

#[test]
fn no_more_is_sent_than_the_broker_remembers_behind_one_whose_answer_was_in_doubt() {
    let now = start();
    let mut queue = queue_of(4, now);
    send_all(&mut queue, now);
    let doubt = Attempt::Refused(ErrorCode::RequestTimedOut);
    assert!(matches!(back(&mut queue, 0, doubt, now), Fate::Retried));
    for id in [1, 2, 3] {
        assert!(matches!(back(&mut queue, id, Attempt::Written, now), Fate::Delivered(_)));
    }
    for id in 4..8 {
        queue.push(Batch::new(id, 10, now + MINUTE));
    }
    // With 1, 2 and 3 it remembers 0 and one more.
    let sent = [(0, 0, 0), (4, 0, 40)];
    assert_eq!(send_all(&mut queue, later(now)), sent);
    let moved = Attempt::Refused(ErrorCode::NotLeaderOrFollower);
    assert!(matches!(back(&mut queue, 0, moved, now), Fate::Retried));
    assert!(matches!(back(&mut queue, 4, Attempt::Written, now), Fate::Delivered(_)));
    assert_eq!(send_all(&mut queue, later(now)), [(0, 0, 0)]);
    assert!(matches!(back(&mut queue, 0, Attempt::Written, now), Fate::Delivered(_)));
    assert_eq!(send_all(&mut queue, later(now)).len(), 3);
}

#[test]
fn a_broker_that_forgot_the_producer_gets_a_new_epoch() {
    let now = start();
    let mut queue = queue_of(2, now);
    send_all(&mut queue, now);
    let unknown = Attempt::Refused(ErrorCode::UnknownProducerId);
    assert!(matches!(back(&mut queue, 0, unknown, now), Fate::Retried));
    assert!(matches!(back(&mut queue, 1, unknown, now), Fate::Retried));
    assert_eq!(send_all(&mut queue, later(now)), [(0, 1, 0)]);
    assert!(matches!(back(&mut queue, 0, Attempt::Written, now), Fate::Delivered(_)));
    assert_eq!(send_all(&mut queue, later(now)), [(1, 1, 10)]);
}

#[test]
fn a_batch_whose_time_is_over_is_given_up_but_not_while_in_flight() {
    let now = start();
    let end = now + Duration::from_secs(120);
    let mut queue = queue_of(2, now);
    send_all(&mut queue, now);
    assert!(queue.expire(end).is_none());
    assert!(matches!(back(&mut queue, 0, Attempt::Lost, now), Fate::Retried));
    assert!(queue.next_wake(now).is_some_and(|at| at <= later(now)));
    assert_eq!(queue.expire(end).map(|batch| batch.payload), Some(0));
    assert!(matches!(back(&mut queue, 1, Attempt::Written, now), Fate::Delivered(_)));
    queue.push(Batch::new(9, 1, end + Duration::from_secs(1)));
    assert_eq!(send_all(&mut queue, now), [(9, 1, 0)], "a new epoch after the gap");
}

#[test]
fn without_sequences_one_batch_at_a_time_keeps_the_order() {
    let now = start();
    let mut queue = Queue::new(false, -1);
    for id in 0..2 {
        queue.push(Batch::new(id, 10, now + Duration::from_secs(1)));
    }
    let at = queue.next_to_send(now).unwrap();
    queue.sent(at);
    assert_eq!(queue.next_to_send(now), None);
    assert!(matches!(back(&mut queue, 0, Attempt::Lost, now), Fate::Retried));
    let at = queue.next_to_send(later(now)).unwrap();
    assert_eq!(queue.get_mut(at).unwrap().payload, 0);
    assert_eq!(queue.get_mut(at).unwrap().sequence, None);
}

#[test]
fn sequences_start_again_at_zero_after_the_largest() {
    assert_eq!(after(i32::MAX - 4, 5), 0);
    assert_eq!(after(i32::MAX - 4, 4), i32::MAX);
    assert_eq!(after(0, 10), 10);
}

#[test]
fn a_fixed_identity_goes_on_where_it_stopped_and_never_raises_its_epoch() {
    let now = start();
    let mut queue = Queue::new(true, 3).going_on_at(70);
    queue.known = true;
    for id in 0..3 {
        queue.push(Batch::new(id, 10, now + Duration::from_secs(120)));
    }
    assert_eq!(send_all(&mut queue, now), [(0, 3, 70), (1, 3, 80), (2, 3, 90)]);
    let refused = Attempt::Refused(ErrorCode::OutOfOrderSequenceNumber);
    // Another wrote under this identity: what stands there now, only reading tells.
    assert!(matches!(back(&mut queue, 0, refused, now), Fate::Failed(..)));
    assert!(matches!(back(&mut queue, 1, refused, now), Fate::Failed(..)));
    assert!(queue.has_room(), "what is still to come fails as well");
    assert!(matches!(back(&mut queue, 2, Attempt::Lost, now), Fate::Retried));
    assert_eq!(send_all(&mut queue, later(now)), [], "nothing goes under another epoch");
    assert_eq!(queue.expire(now).map(|batch| batch.payload), Some(2));
    assert!(queue.is_empty());
}

#[test]
fn the_only_batch_that_is_given_up_leaves_room_under_the_next_epoch() {
    let now = start();
    let mut queue = queue_of(1, now);
    send_all(&mut queue, now);
    let refused = Attempt::Refused(ErrorCode::MessageTooLarge);
    assert!(matches!(back(&mut queue, 0, refused, now), Fate::Failed(..)));
    assert!(queue.has_room());
    queue.push(Batch::new(1, 10, now + Duration::from_secs(120)));
    assert_eq!(send_all(&mut queue, now), [(1, 1, 0)]);
}

/// Halves of a batch of 10 records are told apart by a digit behind its number.
fn halved(id: u32) -> Result<[(u32, i32); 2], u32> {
    Ok([(id * 10 + 1, 4), (id * 10 + 2, 6)])
}

#[test]
fn a_batch_that_is_too_large_goes_in_halves_under_its_own_sequences() {
    let now = start();
    let mut queue = queue_of(2, now);
    send_all(&mut queue, now);
    assert!(queue.divide(|id| *id == 0, halved));
    // the one behind it can't be written yet
    let early = Attempt::Refused(ErrorCode::OutOfOrderSequenceNumber);
    assert!(matches!(back(&mut queue, 1, early, now), Fate::Retried));
    assert_eq!(send_all(&mut queue, now), [(1, 0, 0), (2, 0, 4)]);
    // and a half may be too large as well
    assert!(queue.divide(|id| *id == 2, |_| Ok([(21, 5), (22, 1)])));
    assert!(matches!(back(&mut queue, 1, Attempt::Written, now), Fate::Delivered(_)));
    assert_eq!(send_all(&mut queue, later(now)), [(21, 0, 4), (22, 0, 9), (1, 0, 10)]);
}

#[test]
fn a_batch_that_may_be_written_or_is_one_record_stays_whole() {
    let now = start();
    let mut queue = queue_of(1, now);
    send_all(&mut queue, now);
    assert!(!queue.divide(|id| *id == 0, Err), "it can't be divided");
    back(&mut queue, 0, Attempt::Lost, now);
    assert_eq!(send_all(&mut queue, later(now)), [(0, 0, 0)]);
    assert!(!queue.divide(|id| *id == 0, halved), "it may be in the log");
}

#[test]
fn the_first_batch_goes_alone_until_the_broker_knows_the_producer() {
    let now = start();
    let mut queue = queue_of(3, now);
    queue.known = false;
    assert_eq!(send_all(&mut queue, now), [(0, 0, 0)]);
    let refused = Attempt::Refused(ErrorCode::NotEnoughReplicas);
    assert!(matches!(back(&mut queue, 0, refused, now), Fate::Retried));
    assert_eq!(send_all(&mut queue, later(now)), [(0, 0, 0)]);
    assert!(matches!(back(&mut queue, 0, Attempt::Written, now), Fate::Delivered(_)));
    assert_eq!(send_all(&mut queue, now), [(1, 0, 10), (2, 0, 20)]);
    // it forgot: alone again, under the next epoch
    let forgot = Attempt::Refused(ErrorCode::UnknownProducerId);
    assert!(matches!(back(&mut queue, 1, forgot, now), Fate::Retried));
    assert!(matches!(back(&mut queue, 2, forgot, now), Fate::Retried));
    assert_eq!(send_all(&mut queue, later(now)), [(1, 1, 0)]);
}
