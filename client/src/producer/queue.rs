//! The unacknowledged batches of one partition, pure: their order, sequence numbers and retries.
//!
//! The broker accepts a batch of an idempotent producer only when its sequence follows the one before,
//! and remembers the last five batches, so at most five are in flight and a repeated one is answered
//! with its first offset (KIP-98). When a batch is given up, those behind it would never follow; they
//! wait until every batch whose fate is open has an answer, then all start again from sequence zero
//! under the next epoch (KIP-360).
//!
//! Behind a batch that was given up while it may be in the log, those whose requests were lost too are asked
//! about under their own sequence until their own time is over, and fail then; those never lost start again.
//! What the broker says meanwhile (out of order) proves nothing: the lost connection may bring it both
//! requests yet, up to the moment when it meets the next epoch, and a batch that went again under that would
//! be there twice. Kafka's own client takes that risk, and starts all again.
//!
//! A broker that knows nothing of the producer takes any first sequence. So the first batch goes alone:
//! were it refused and the second taken, the order would be lost.

use std::collections::VecDeque;
use std::time::Duration;

use duramen_protocol::error::ErrorCode;
use tokio::time::Instant;

/// Batches the broker remembers for a producer and partition.
pub(super) const MAX_IN_FLIGHT: usize = 5;

/// The producer fields of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sequence {
    pub(super) epoch: i16,
    pub(super) first: i32,
}

/// How long a full queue is given to drain.
const BUSY_WAIT: Duration = Duration::from_millis(1);

/// One batch with what is known of its fate; `P` is its content.
#[derive(Debug)]
pub(super) struct Batch<P> {
    pub(super) payload: P,
    pub(super) records: i32,
    /// When it is given up.
    pub(super) deadline: Instant,
    pub(super) sequence: Option<Sequence>,
    pub(super) attempts: u32,
    not_before: Option<Instant>,
    /// Batches behind it that were sent and have left the queue.
    passed: usize,
    /// An attempt ended without an answer, so that it may be in the log.
    maybe_written: bool,
    in_flight: bool,
}

impl<P> Batch<P> {
    pub(super) fn new(payload: P, records: i32, deadline: Instant) -> Self {
        Self {
            payload,
            records,
            deadline,
            sequence: None,
            attempts: 0,
            not_before: None,
            passed: 0,
            maybe_written: false,
            in_flight: false,
        }
    }
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attempt {
    /// Written, now or by an earlier attempt.
    Written,
    /// The broker said no.
    Refused(ErrorCode),
    /// No answer; it may have been written.
    Lost,
    /// It never left this process.
    NotSent,
    /// The connection's queue is full for the moment.
    Busy,
}

/// What becomes of the batch.
#[derive(Debug)]
pub(super) enum Fate<P> {
    /// Delivered.
    Delivered(Batch<P>),
    /// Stays in the queue for another attempt.
    Retried,
    /// Given up for this error.
    Failed(Batch<P>, ErrorCode),
}

/// See the top of the file.
#[derive(Debug)]
pub(super) struct PartitionQueue<P> {
    /// Oldest first; those in flight are before those that are not, but for retries.
    batches: VecDeque<Batch<P>>,
    idempotent: bool,
    epoch: i16,
    next_sequence: i32,
    /// A batch with a sequence was given up: what follows it can't be accepted any more.
    gap: bool,
    /// A batch of this epoch was given up that may be written still.
    ghosts: bool,
    /// The epoch never rises: behind a gap everything fails.
    fixed: bool,
    /// The broker has written a batch of this producer, and holds the next ones to their sequence.
    known: bool,
}

impl<P> PartitionQueue<P> {
    pub(super) fn new(idempotent: bool, epoch: i16) -> Self {
        Self {
            batches: VecDeque::new(),
            idempotent,
            epoch,
            next_sequence: 0,
            gap: false,
            ghosts: false,
            fixed: false,
            known: false,
        }
    }

    /// The queue of an identity that others have written under: its next sequence, and no other epoch.
    pub(super) fn going_on_at(self, next_sequence: i32) -> Self {
        Self { next_sequence, fixed: true, ..self }
    }

    /// Batches waiting or in flight.
    pub(super) fn len(&self) -> usize {
        self.batches.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Whether another batch may be put in: more would only wait here instead of growing.
    pub(super) fn has_room(&self) -> bool {
        self.batches.len() < self.max_in_flight() && (!self.gap || self.fixed)
    }

    pub(super) fn push(&mut self, batch: Batch<P>) {
        self.batches.push_back(batch);
    }

    fn max_in_flight(&self) -> usize {
        // Without sequences the broker can't put a retried batch back in its place.
        if self.idempotent { MAX_IN_FLIGHT } else { 1 }
    }

    /// The index of the batch to send now, if there is one; its sequence is set.
    ///
    /// A batch never overtakes one that waits for its retry.
    pub(super) fn next_to_send(&mut self, now: Instant) -> Option<usize> {
        self.close_gap();
        if self.gap && self.fixed {
            return None; // the next call of `expire` gives up what is left
        }
        // Behind a gap only the batches of unknown fate are asked about again.
        let may_go = |batch: &Batch<P>| !batch.in_flight && (!self.gap || batch.maybe_written);
        let at = self.batches.iter().position(may_go)?;
        let in_flight = self.batches.iter().filter(|batch| batch.in_flight).count();
        let too_early = self.batches.get(at)?.not_before.is_some_and(|at| now < at);
        let room = if self.known { self.max_in_flight() } else { 1 };
        // The broker is to remember the first one still when it is asked for it again.
        let forgotten =
            self.batches.front().is_some_and(|first| first.passed + at >= MAX_IN_FLIGHT);
        if in_flight >= room || too_early || at > 0 && forgotten {
            return None;
        }
        self.sequence_of(at);
        Some(at)
    }

    fn sequence_of(&mut self, at: usize) {
        let (idempotent, epoch, first) = (self.idempotent, self.epoch, self.next_sequence);
        let Some(batch) = self.batches.get_mut(at) else { return };
        if idempotent && batch.sequence.is_none() {
            batch.sequence = Some(Sequence { epoch, first });
            self.next_sequence = after(first, batch.records);
        }
    }

    /// Once nothing behind the gap is open, everything left starts again under the next epoch.
    fn close_gap(&mut self) {
        let open = self.batches.iter().any(|batch| batch.in_flight || batch.maybe_written);
        if !self.gap || open || self.fixed {
            return;
        }
        (self.gap, self.ghosts) = (false, false);
        self.epoch = self.epoch.saturating_add(1);
        self.next_sequence = 0;
        for batch in &mut self.batches {
            batch.sequence = None;
        }
    }

    /// A batch by its index, to be read or stamped before it is sent.
    pub(super) fn get_mut(&mut self, at: usize) -> Option<&mut Batch<P>> {
        self.batches.get_mut(at)
    }

    /// The batch at `at` is on its way now.
    pub(super) fn sent(&mut self, at: usize) {
        if let Some(batch) = self.batches.get_mut(at) {
            batch.in_flight = true;
            batch.attempts += 1;
        }
    }

    /// The oldest batch in flight for which `is_it` holds has come back. `wait` tells how long the
    /// next attempt waits, given the number of failures.
    pub(super) fn came_back(
        &mut self,
        is_it: impl Fn(&P) -> bool,
        attempt: Attempt,
        now: Instant,
        wait: impl FnOnce(u32) -> Duration,
    ) -> Option<Fate<P>> {
        let at = self.batches.iter().position(|batch| batch.in_flight && is_it(&batch.payload))?;
        let first_open = at == 0;
        let mut before = self.batches.iter().take(at);
        let open_before = before.any(|batch| batch.in_flight || batch.maybe_written);
        let gap = self.gap;
        let batch = self.batches.get_mut(at)?;
        batch.in_flight = false;
        let code = match attempt {
            Attempt::Written | Attempt::Refused(ErrorCode::DuplicateSequenceNumber) => {
                self.known = true;
                return self.leave(at).map(Fate::Delivered);
            }
            Attempt::Lost => {
                batch.maybe_written = self.idempotent || batch.maybe_written;
                ErrorCode::NetworkException
            }
            Attempt::NotSent => ErrorCode::NetworkException,
            Attempt::Busy => {
                batch.attempts = batch.attempts.saturating_sub(1);
                batch.not_before = Some(now + BUSY_WAIT);
                return Some(Fate::Retried);
            }
            Attempt::Refused(code) => code,
        };
        match code {
            ErrorCode::OutOfOrderSequenceNumber | ErrorCode::UnknownProducerId
                if self.idempotent =>
            {
                // Not written, then. Behind an open batch that is the order of things; in front,
                // the broker lost what it knew of this producer. A request that was lost may still come
                // to the broker, behind one before it whose fate is not known either.
                batch.maybe_written &= open_before || self.ghosts;
                if self.fixed && first_open {
                    return self.give_up(at).map(|batch| Fate::Failed(batch, code));
                }
                self.known &= gap || !first_open;
                self.gap = gap || first_open;
                batch.not_before = Some(now + wait(batch.attempts));
                Some(Fate::Retried)
            }
            code if code.is_retriable() || code == ErrorCode::NetworkException => {
                // These say that the leader took the batch, but not for good.
                let written = matches!(
                    code,
                    ErrorCode::RequestTimedOut | ErrorCode::NotEnoughReplicasAfterAppend
                );
                batch.maybe_written |= written && self.idempotent;
                batch.not_before = Some(now + wait(batch.attempts));
                Some(Fate::Retried)
            }
            code => self.give_up(at).map(|batch| Fate::Failed(batch, code)),
        }
    }

    /// The batch in flight for which `is_it` holds is too large for the topic: the halves that `divide`
    /// makes of it, each with its number of records, take its place under the same sequence numbers.
    /// False when it stays as it is: `divide` gave it back, or it may be in the log already, where a half
    /// of it would be another batch to the broker.
    pub(super) fn divide(
        &mut self,
        is_it: impl Fn(&P) -> bool,
        divide: impl FnOnce(P) -> Result<[(P, i32); 2], P>,
    ) -> bool {
        let found = |batch: &Batch<P>| batch.in_flight && is_it(&batch.payload);
        let Some(at) = self.batches.iter().position(found) else { return false };
        if self.batches.get(at).is_some_and(|batch| batch.maybe_written) {
            return false;
        }
        let Some(batch) = self.batches.remove(at) else { return false };
        let (deadline, sequence, passed) = (batch.deadline, batch.sequence, batch.passed);
        match divide(batch.payload) {
            Err(payload) => {
                self.batches.insert(at, Batch { payload, ..batch });
                false
            }
            Ok([(first, records), (second, others)]) => {
                let half = |payload, records, sequence| Batch {
                    sequence,
                    passed,
                    ..Batch::new(payload, records, deadline)
                };
                let next = sequence.map(|it| Sequence { first: after(it.first, records), ..it });
                self.batches.insert(at, half(second, others, next));
                self.batches.insert(at, half(first, records, sequence));
                true
            }
        }
    }

    /// Until when the oldest batch here may take.
    pub(super) fn first_deadline(&self) -> Option<Instant> {
        self.batches.front().map(|batch| batch.deadline)
    }

    /// Everything that is left, whatever its state.
    pub(super) fn into_batches(self) -> VecDeque<Batch<P>> {
        self.batches
    }

    /// Takes out the first batch whose time is over, unless it is in flight. Behind the gap of a fixed
    /// identity nothing has time left.
    pub(super) fn expire(&mut self, now: Instant) -> Option<Batch<P>> {
        let lost = self.gap && self.fixed;
        let over = |batch: &Batch<P>| lost || batch.deadline <= now;
        let at = self.batches.iter().position(|batch| !batch.in_flight && over(batch))?;
        self.give_up(at)
    }

    /// Takes a batch out, also from behind others.
    fn leave(&mut self, at: usize) -> Option<Batch<P>> {
        self.batches.iter_mut().take(at).for_each(|batch| batch.passed += 1);
        self.batches.remove(at)
    }

    fn give_up(&mut self, at: usize) -> Option<Batch<P>> {
        let batch = self.leave(at)?;
        // Batches that never had a sequence leave no gap.
        self.gap |= batch.sequence.is_some();
        self.ghosts |= batch.maybe_written;
        // Where nothing is left, nobody would come to close it, and nothing would be let in any more.
        self.close_gap();
        Some(batch)
    }

    /// When something here can go on by itself: a retry or a deadline.
    pub(super) fn next_wake(&self, now: Instant) -> Option<Instant> {
        let waiting = || self.batches.iter().filter(|batch| !batch.in_flight);
        let retry = waiting().next().and_then(|batch| batch.not_before).filter(|at| *at > now);
        let deadline = waiting().map(|batch| batch.deadline).min();
        retry.into_iter().chain(deadline).min()
    }
}

/// The sequence after `records` more; it runs from 0 to 2^31-1 and starts again at 0.
fn after(first: i32, records: i32) -> i32 {
    first.wrapping_add(records) & i32::MAX
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "queue_model.rs"]
mod model;
