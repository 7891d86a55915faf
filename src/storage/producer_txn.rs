//! The transactions of one log: markers, the first unstable offset, what an abort leaves behind.
//!
//! PURE. A marker ends a transaction in three steps, because the transaction index is written
//! between them: [`ProducerStates::check_marker`], the write, [`ProducerStates::apply_marker`],
//! the index entry, [`ProducerStates::complete`]. If the index can't be written the last step never
//! happens and the last stable offset stays put until recovery.

use super::producer_state::{Origin, ProducerEntry, ProducerError, ProducerStates};

/// The part of a control batch that ends a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MarkerFacts {
    /// Producer id.
    pub producer_id: i64,
    /// Producer epoch.
    pub producer_epoch: i16,
    /// Epoch of the transaction coordinator that wrote it.
    pub coordinator_epoch: i32,
    /// Offset of the marker, as assigned or as it would be.
    pub offset: i64,
    /// Timestamp of the marker, in ms since 1970.
    pub timestamp: i64,
    /// Whether the transaction is aborted, not committed.
    pub abort: bool,
    /// Transaction version of the writer: from 2 on each transaction has its own epoch (KIP-890).
    pub transaction_version: i16,
}

/// A transaction that a marker has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompletedTxn {
    /// Its producer.
    pub producer_id: i64,
    /// Offset of its first record.
    pub first_offset: i64,
    /// Offset of its marker.
    pub last_offset: i64,
    /// Whether it was aborted, so that the transaction index must name it.
    pub aborted: bool,
}

impl ProducerStates {
    /// Whether a marker may be appended. Changes nothing.
    ///
    /// # Errors
    /// [`ProducerError`], never for [`Origin::Replica`].
    pub fn check_marker(&self, marker: &MarkerFacts, origin: Origin) -> Result<(), ProducerError> {
        let Some(entry) = self.producers.get(&marker.producer_id) else { return Ok(()) };
        if origin == Origin::Replica {
            return Ok(());
        }
        let producer_id = marker.producer_id;
        let (epoch, current) = (marker.producer_epoch, entry.epoch);
        // From version 2 on a marker's epoch is above that of the data; the same epoch is a marker
        // sent again after its transaction has ended (KAFKA-19999).
        let stale = if marker.transaction_version >= 2 && epoch == current {
            entry.current_txn_first_offset.is_some() && epoch != i16::MAX
        } else {
            epoch < current
        };
        if stale {
            return Err(ProducerError::InvalidEpoch { producer_id, epoch, current });
        }
        let (epoch, current) = (marker.coordinator_epoch, entry.coordinator_epoch);
        if epoch < current {
            return Err(ProducerError::CoordinatorFenced { producer_id, epoch, current });
        }
        Ok(())
    }

    /// Notes that a marker is in the log as of `now_ms` (this broker's clock, ms since 1970).
    /// Returns the transaction it ended, if that had any records here: hand it to
    /// [`Self::complete`] once the transaction index has it.
    pub fn apply_marker(&mut self, marker: &MarkerFacts, now_ms: i64) -> Option<CompletedTxn> {
        self.end_offset = marker.offset.saturating_add(1);
        let new = || ProducerEntry::new(marker.producer_epoch);
        let entry = self.producers.entry(marker.producer_id).or_insert_with(new);
        entry.raise_epoch(marker.producer_epoch);
        entry.coordinator_epoch = marker.coordinator_epoch;
        entry.last_timestamp = marker.timestamp;
        entry.touched_ms = now_ms;
        let first_offset = entry.current_txn_first_offset.take()?;
        Some(CompletedTxn {
            producer_id: marker.producer_id,
            first_offset,
            last_offset: marker.offset,
            aborted: marker.abort,
        })
    }

    /// The last stable offset once `completed` is: what its transaction index entry must say.
    pub fn stable_offset_after(&self, completed: &CompletedTxn) -> i64 {
        let other = self.open.iter().find(|(_, producer)| **producer != completed.producer_id);
        other.map_or(completed.last_offset.saturating_add(1), |(first, _)| *first)
    }

    /// Ends a transaction; it stays unstable until the high watermark passes its marker.
    pub fn complete(&mut self, completed: &CompletedTxn) {
        self.open.remove(&completed.first_offset);
        self.unreplicated.insert(completed.first_offset, completed.last_offset);
    }

    /// The first offset of a transaction that is open, or ended by a marker that is not yet
    /// replicated. Readers of committed records stop here.
    pub fn first_unstable_offset(&self) -> Option<i64> {
        let first = |(first, _): (&i64, &i64)| *first;
        let open = self.open.first_key_value().map(first);
        let unreplicated = self.unreplicated.first_key_value().map(first);
        open.into_iter().chain(unreplicated).min()
    }

    /// The first offset of a transaction that is still open.
    pub fn first_undecided_offset(&self) -> Option<i64> {
        self.open.first_key_value().map(|(first, _)| *first)
    }

    /// Whether `producer_id` has a transaction open here with just this epoch.
    pub fn has_open_txn(&self, producer_id: i64, epoch: i16) -> bool {
        let open = |entry: &ProducerEntry| {
            entry.epoch == epoch && entry.current_txn_first_offset.is_some()
        };
        self.producers.get(&producer_id).is_some_and(open)
    }

    /// The high watermark moved: transactions whose marker is below it are stable.
    pub fn on_high_watermark(&mut self, high_watermark: i64) {
        self.unreplicated.retain(|_, last| *last >= high_watermark);
    }

    /// The log start moved to `offset`.
    pub fn on_log_start(&mut self, offset: i64) {
        self.unreplicated.retain(|_, last| *last >= offset);
        self.end_offset = self.end_offset.max(offset);
    }
}
