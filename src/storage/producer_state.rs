//! What one log knows of its idempotent and transactional producers (KIP-98, KIP-360, KIP-890):
//! epoch, the last five batches, the open transaction.
//!
//! The append path asks [`ProducerStates::check`] before it writes and calls
//! [`ProducerStates::apply`] after the write, so a failed write leaves no trace here. Followers and
//! recovery only apply: the log that they replay has been checked once.
//!
//! PURE. Expiry goes by when this broker last appended for the producer, not by the producer's
//! own timestamps as Kafka does: a producer that replays old data would lose its duplicate check
//! within minutes (the family of KAFKA-9144).

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};

use duramen_protocol::error::ErrorCode;
use duramen_protocol::records::BatchHeader;

pub use super::producer_txn::{CompletedTxn, MarkerFacts};

/// The producer id of a batch that has no producer.
pub const NO_PRODUCER_ID: i64 = -1;
/// The producer epoch of a batch that has no producer.
pub const NO_PRODUCER_EPOCH: i16 = -1;
/// The sequence of a batch that has no producer, and of coordinator batches.
pub const NO_SEQUENCE: i32 = -1;
/// Batches remembered for each producer: as many as a client may have in flight.
pub const RECENT_BATCHES: usize = 5;

/// Who asks for an append, and so how much is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A produce request: everything is checked.
    Client,
    /// A group or transaction coordinator: its batches have no sequence, only the epoch counts.
    Coordinator,
    /// A copy of what the leader has checked, or the log itself during recovery: nothing is.
    Replica,
}

/// Why the producer may not append. The text goes to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProducerError {
    /// A newer incarnation of the producer has written: `INVALID_PRODUCER_EPOCH`.
    #[error("producer {producer_id} writes with epoch {epoch}, the last seen epoch is {current}")]
    InvalidEpoch {
        /// The producer.
        producer_id: i64,
        /// The epoch of the batch.
        epoch: i16,
        /// The newest epoch seen.
        current: i16,
    },
    /// A batch before this one is missing, or is older than the last five:
    /// `OUT_OF_ORDER_SEQUENCE_NUMBER`.
    #[error(
        "out of order sequence number of producer {producer_id} epoch {epoch}: \
         the batch begins at {sequence}, the last sequence of epoch {current_epoch} is {last_sequence}"
    )]
    OutOfOrderSequence {
        /// The producer.
        producer_id: i64,
        /// The epoch of the batch.
        epoch: i16,
        /// The first sequence of the batch.
        sequence: i32,
        /// The newest epoch seen.
        current_epoch: i16,
        /// The last sequence of that epoch, -1 when it has written nothing.
        last_sequence: i32,
    },
    /// A batch outside the transaction that its producer has open here: `INVALID_TXN_STATE`.
    #[error("producer {producer_id} has a transaction open here, its batch must belong to it")]
    TransactionOpen {
        /// The producer.
        producer_id: i64,
    },
    /// A marker of a coordinator that has been replaced: `TRANSACTION_COORDINATOR_FENCED`.
    #[error(
        "the transaction marker of producer {producer_id} has coordinator epoch {epoch}, \
         the last seen one is {current}"
    )]
    CoordinatorFenced {
        /// The producer.
        producer_id: i64,
        /// The coordinator epoch of the marker.
        epoch: i32,
        /// The newest coordinator epoch seen.
        current: i32,
    },
}

impl ProducerError {
    /// Kafka's error code.
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::InvalidEpoch { .. } => ErrorCode::InvalidProducerEpoch,
            Self::OutOfOrderSequence { .. } => ErrorCode::OutOfOrderSequenceNumber,
            Self::TransactionOpen { .. } => ErrorCode::InvalidTxnState,
            Self::CoordinatorFenced { .. } => ErrorCode::TransactionCoordinatorFenced,
        }
    }
}

/// The part of a data batch's header that concerns its producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchFacts {
    /// Producer id, -1 for none: such batches never come here.
    pub producer_id: i64,
    /// Producer epoch.
    pub producer_epoch: i16,
    /// Sequence of the first record, -1 from a coordinator.
    pub base_sequence: i32,
    /// Offset of the first record, as assigned or as it would be.
    pub first_offset: i64,
    /// Offset of the last record.
    pub last_offset: i64,
    /// Largest timestamp, in ms since 1970, or -1.
    pub max_timestamp: i64,
    /// Whether the batch is part of a transaction.
    pub transactional: bool,
}

impl BatchFacts {
    /// The facts of a batch that stands, or is about to, at `first_offset`.
    pub fn of(header: &BatchHeader, first_offset: i64) -> Self {
        Self {
            producer_id: header.producer_id,
            producer_epoch: header.producer_epoch,
            base_sequence: header.base_sequence,
            first_offset,
            last_offset: first_offset.saturating_add(i64::from(header.last_offset_delta)),
            max_timestamp: header.max_timestamp,
            transactional: header.is_transactional(),
        }
    }

    fn offset_delta(&self) -> i32 {
        i32::try_from(self.last_offset.saturating_sub(self.first_offset)).unwrap_or(i32::MAX)
    }

    fn last_sequence(&self) -> i32 {
        match self.base_sequence {
            NO_SEQUENCE => NO_SEQUENCE,
            first => sequence_after(first, self.offset_delta()),
        }
    }
}

/// A batch that a producer has written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredBatch {
    /// Sequence of its last record, -1 for none.
    pub last_sequence: i32,
    /// Offset of its last record.
    pub last_offset: i64,
    /// Last offset minus first offset.
    pub offset_delta: i32,
    /// Its largest timestamp, in ms since 1970, or -1.
    pub timestamp: i64,
}

impl StoredBatch {
    /// Offset of its first record.
    pub fn first_offset(&self) -> i64 {
        self.last_offset.saturating_sub(i64::from(self.offset_delta))
    }

    /// Sequence of its first record, -1 for none.
    pub fn first_sequence(&self) -> i32 {
        match self.last_sequence {
            NO_SEQUENCE => NO_SEQUENCE,
            last => sequence_before(last, self.offset_delta),
        }
    }
}

/// What [`ProducerStates::check`] says of a batch that may come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Write it.
    New,
    /// It has been written already: answer with these offsets and write nothing.
    Duplicate(StoredBatch),
}

/// One producer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProducerEntry {
    /// Newest epoch seen.
    pub epoch: i16,
    /// Epoch of the transaction coordinator that wrote the last marker, -1 for none.
    pub coordinator_epoch: i32,
    /// Largest timestamp of the last batch or marker, in ms since 1970, or -1.
    pub last_timestamp: i64,
    /// First offset of the open transaction.
    pub current_txn_first_offset: Option<i64>,
    /// Batches of the newest epoch, oldest first, at most [`RECENT_BATCHES`].
    pub(super) batches: VecDeque<StoredBatch>,
    /// When this broker last appended for it, in ms since 1970.
    pub(super) touched_ms: i64,
}

impl ProducerEntry {
    pub(super) fn new(epoch: i16) -> Self {
        Self {
            epoch,
            coordinator_epoch: -1,
            last_timestamp: -1,
            current_txn_first_offset: None,
            batches: VecDeque::new(),
            touched_ms: 0,
        }
    }

    /// Sequence of the last record of the newest epoch, -1 for none.
    pub fn last_sequence(&self) -> i32 {
        self.batches.back().map_or(NO_SEQUENCE, |batch| batch.last_sequence)
    }

    /// The last batch of the newest epoch.
    pub fn last_batch(&self) -> Option<&StoredBatch> {
        self.batches.back()
    }

    pub(super) fn raise_epoch(&mut self, epoch: i16) {
        if self.epoch != epoch {
            self.batches.clear();
            self.epoch = epoch;
        }
    }

    fn duplicate_of(&self, batch: &BatchFacts) -> Option<StoredBatch> {
        let same = |stored: &&StoredBatch| {
            stored.first_sequence() == batch.base_sequence
                && stored.last_sequence == batch.last_sequence()
        };
        (self.epoch == batch.producer_epoch)
            .then(|| self.batches.iter().find(same))
            .flatten()
            .copied()
    }

    fn check_sequence(&self, batch: &BatchFacts) -> Result<(), ProducerError> {
        let last = self.last_sequence();
        let in_order = if self.epoch == batch.producer_epoch {
            batch.base_sequence == sequence_after(last, 1)
        } else {
            // A new epoch starts over.
            batch.base_sequence == 0
        };
        // Of an epoch never seen (expired, or deleted with its records) any sequence will do.
        if in_order || self.epoch == NO_PRODUCER_EPOCH {
            return Ok(());
        }
        Err(ProducerError::OutOfOrderSequence {
            producer_id: batch.producer_id,
            epoch: batch.producer_epoch,
            sequence: batch.base_sequence,
            current_epoch: self.epoch,
            last_sequence: last,
        })
    }
}

/// The producers of one log, up to [`ProducerStates::end_offset`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProducerStates {
    pub(super) producers: BTreeMap<i64, ProducerEntry>,
    /// First offset → producer of each open transaction.
    pub(super) open: BTreeMap<i64, i64>,
    /// First offset → last offset of transactions whose marker is not yet replicated.
    pub(super) unreplicated: BTreeMap<i64, i64>,
    pub(super) end_offset: i64,
}

impl ProducerStates {
    /// Knows nothing, as of `offset`.
    pub fn starting_at(offset: i64) -> Self {
        Self { end_offset: offset, ..Self::default() }
    }

    /// Whether `batch` may be appended. Changes nothing.
    ///
    /// # Errors
    /// [`ProducerError`], never for [`Origin::Replica`].
    pub fn check(&self, batch: &BatchFacts, origin: Origin) -> Result<Verdict, ProducerError> {
        let Some(entry) = self.producers.get(&batch.producer_id) else { return Ok(Verdict::New) };
        if origin == Origin::Replica {
            return Ok(Verdict::New);
        }
        let duplicate = || entry.duplicate_of(batch);
        if let Some(stored) = (origin == Origin::Client).then(duplicate).flatten() {
            return Ok(Verdict::Duplicate(stored));
        }
        let producer_id = batch.producer_id;
        if batch.producer_epoch < entry.epoch {
            let (epoch, current) = (batch.producer_epoch, entry.epoch);
            return Err(ProducerError::InvalidEpoch { producer_id, epoch, current });
        }
        if origin == Origin::Client {
            entry.check_sequence(batch)?;
        }
        if entry.current_txn_first_offset.is_some() && !batch.transactional {
            return Err(ProducerError::TransactionOpen { producer_id });
        }
        Ok(Verdict::New)
    }

    /// Notes that `batch` is in the log as of `now_ms` (this broker's clock, ms since 1970).
    /// A batch without a producer only moves the end offset.
    pub fn apply(&mut self, batch: &BatchFacts, now_ms: i64) {
        self.end_offset = batch.last_offset.saturating_add(1);
        if batch.producer_id < 0 {
            return;
        }
        let new = || ProducerEntry::new(batch.producer_epoch);
        let entry = self.producers.entry(batch.producer_id).or_insert_with(new);
        entry.raise_epoch(batch.producer_epoch);
        if entry.batches.len() == RECENT_BATCHES {
            entry.batches.pop_front();
        }
        entry.batches.push_back(StoredBatch {
            last_sequence: batch.last_sequence(),
            last_offset: batch.last_offset,
            offset_delta: batch.offset_delta(),
            timestamp: batch.max_timestamp,
        });
        entry.last_timestamp = batch.max_timestamp;
        entry.touched_ms = now_ms;
        if batch.transactional && entry.current_txn_first_offset.is_none() {
            entry.current_txn_first_offset = Some(batch.first_offset);
            self.open.insert(batch.first_offset, batch.producer_id);
        }
    }

    /// Everything below this offset is known.
    pub const fn end_offset(&self) -> i64 {
        self.end_offset
    }

    /// Notes that the log goes on to `offset` without further producers (batches without one).
    pub const fn advance_to(&mut self, offset: i64) {
        self.end_offset = offset;
    }

    /// Adds what the batches before told, as `before` has it: those before the ones that are known of a
    /// producer, and producers that are not known.
    pub(super) fn remember(&mut self, before: Self) {
        for (id, mut before) in before.producers {
            match self.producers.entry(id) {
                Entry::Vacant(unknown) => {
                    // One with an open transaction would be known.
                    before.current_txn_first_offset = None;
                    unknown.insert(before);
                }
                Entry::Occupied(mut known) if known.get().epoch == before.epoch => {
                    let known = known.get_mut();
                    let first = known.batches.front().map_or(i64::MAX, StoredBatch::first_offset);
                    before.batches.retain(|batch| batch.last_offset < first);
                    before.batches.append(&mut known.batches);
                    let surplus = before.batches.len().saturating_sub(RECENT_BATCHES);
                    before.batches.drain(..surplus);
                    known.batches = before.batches;
                    known.touched_ms = known.touched_ms.max(before.touched_ms);
                }
                Entry::Occupied(_) => {}
            }
        }
    }

    /// One producer.
    pub fn get(&self, producer_id: i64) -> Option<&ProducerEntry> {
        self.producers.get(&producer_id)
    }

    /// All producers by id: the answer of `DescribeProducers`.
    pub fn iter(&self) -> impl Iterator<Item = (i64, &ProducerEntry)> {
        self.producers.iter().map(|(id, entry)| (*id, entry))
    }

    /// How many producers are remembered.
    pub fn len(&self) -> usize {
        self.producers.len()
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.producers.is_empty() && self.unreplicated.is_empty()
    }

    /// Forgets producers that wrote nothing for `expiration_ms` (`producer.id.expiration.ms`) as
    /// of `now_ms`, except those with an open transaction. Returns how many.
    pub fn expire(&mut self, now_ms: i64, expiration_ms: i64) -> usize {
        let before = self.producers.len();
        self.producers.retain(|_, entry| !expired(entry, now_ms, expiration_ms));
        before - self.producers.len()
    }
}

pub(super) fn expired(entry: &ProducerEntry, now_ms: i64, expiration_ms: i64) -> bool {
    entry.current_txn_first_offset.is_none()
        && now_ms.saturating_sub(entry.touched_ms) >= expiration_ms
}

/// The sequence `steps` after `sequence`; after 2^31-1 comes 0.
pub fn sequence_after(sequence: i32, steps: i32) -> i32 {
    let sum = i64::from(sequence) + i64::from(steps);
    let wrapped = if sum > i64::from(i32::MAX) { sum - (i64::from(i32::MAX) + 1) } else { sum };
    i32::try_from(wrapped).unwrap_or(NO_SEQUENCE)
}

/// The sequence `steps` before `sequence`; before 0 comes 2^31-1.
pub fn sequence_before(sequence: i32, steps: i32) -> i32 {
    let difference = i64::from(sequence) - i64::from(steps);
    let wrapped = if difference < 0 { difference + i64::from(i32::MAX) + 1 } else { difference };
    i32::try_from(wrapped).unwrap_or(NO_SEQUENCE)
}

#[cfg(test)]
mod tests;
