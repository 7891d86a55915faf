//! The leader-epoch history of one log: which epoch wrote from which offset on (KIP-101, KIP-279).
//!
//! A leader answers "where does epoch E end?" from it, and that answer alone decides where a
//! follower cuts its log, so the history must never hold an entry that the log does not.
//!
//! PURE: the owner persists [`EpochHistory::encode`] as `leader-epoch-checkpoint` whenever a call
//! here says that something changed: at once after [`EpochHistory::assign`], at leisure after a
//! truncation (an entry too many is cut again when the log is loaded; a missing one is not found).

use super::checkpoint::{CheckpointError, decode_lines, encode_lines, natural};

/// One leadership term: `epoch` wrote the log from `start_offset` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochEntry {
    /// Leadership term, from 0.
    pub epoch: i32,
    /// First offset written in that term.
    pub start_offset: i64,
}

/// Where a term ends: the answer of `OffsetForLeaderEpoch`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochEnd {
    /// The largest epoch known that is not above the one asked for, or -1.
    pub epoch: i32,
    /// First offset after that epoch, or -1.
    pub end_offset: i64,
}

impl EpochEnd {
    /// Nothing is known of the epoch asked for.
    pub const UNDEFINED: Self = Self { epoch: -1, end_offset: -1 };

    /// Whether nothing is known of the epoch asked for.
    pub const fn is_undefined(self) -> bool {
        self.end_offset == -1
    }
}

/// The history: epochs and start offsets both strictly rise.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EpochHistory {
    entries: Vec<EpochEntry>,
}

impl EpochHistory {
    /// An empty history.
    pub const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    /// Reads `leader-epoch-checkpoint`.
    ///
    /// # Errors
    /// Any [`CheckpointError`], also when epochs or offsets do not strictly rise: rebuild the
    /// history from the batches then.
    pub fn decode(bytes: &[u8]) -> Result<Self, CheckpointError> {
        let entries = decode_lines(bytes, |line| {
            let mut fields = line.split_ascii_whitespace();
            let (epoch, start_offset) = (natural(fields.next()?)?, natural(fields.next()?)?);
            fields.next().is_none().then_some(EpochEntry { epoch, start_offset })
        })?;
        let rises = |(a, b): (&EpochEntry, &EpochEntry)| {
            a.epoch < b.epoch && a.start_offset < b.start_offset
        };
        match entries.iter().zip(entries.iter().skip(1)).position(|pair| !rises(pair)) {
            Some(index) => Err(CheckpointError::Line { line: index + 4 }),
            None => Ok(Self { entries }),
        }
    }

    /// The text of `leader-epoch-checkpoint`.
    pub fn encode(&self) -> Vec<u8> {
        encode_lines(self.entries.iter().map(|e| format!("{} {}", e.epoch, e.start_offset)))
    }

    /// Notes that `epoch` writes from `start_offset` on; called for every batch appended, and by a
    /// new leader with its log end offset before any write. Returns whether the history changed.
    ///
    /// Entries that contradict the new one (same or higher epoch, or same or higher start) go,
    /// for the batch in the log is the truth. A negative epoch or offset is no statement at all.
    pub fn assign(&mut self, epoch: i32, start_offset: i64) -> bool {
        let nothing_new = self
            .latest()
            .is_some_and(|last| last.epoch == epoch && start_offset >= last.start_offset);
        if nothing_new || epoch < 0 || start_offset < 0 {
            return false;
        }
        let contradicts =
            |entry: &EpochEntry| entry.epoch >= epoch || entry.start_offset >= start_offset;
        while self.entries.last().is_some_and(contradicts) {
            self.entries.pop();
        }
        self.entries.push(EpochEntry { epoch, start_offset });
        true
    }

    /// Where `epoch` ends, for a log that ends at `log_end_offset`.
    ///
    /// For the latest epoch that is the log end offset; for an epoch older than all known ones the
    /// start of the first known one (the data before it is gone); for one newer than all known
    /// ones, or -1, undefined.
    pub fn end_offset_for(&self, epoch: i32, log_end_offset: i64) -> EpochEnd {
        if epoch < 0 {
            return EpochEnd::UNDEFINED;
        }
        if self.latest().is_some_and(|last| last.epoch == epoch) {
            return EpochEnd { epoch, end_offset: log_end_offset };
        }
        let above = self.entries.partition_point(|entry| entry.epoch <= epoch);
        let Some(next) = self.entries.get(above) else { return EpochEnd::UNDEFINED };
        let floor = above.checked_sub(1).and_then(|index| self.entries.get(index));
        let epoch = floor.map_or(epoch, |entry| entry.epoch);
        EpochEnd { epoch, end_offset: next.start_offset }
    }

    /// The epoch that wrote `offset`, if the history reaches back that far.
    pub fn epoch_for_offset(&self, offset: i64) -> Option<i32> {
        let above = self.entries.partition_point(|entry| entry.start_offset <= offset);
        above.checked_sub(1).and_then(|index| self.entries.get(index)).map(|entry| entry.epoch)
    }

    /// Forgets what starts at or after `end_offset`, when the log is cut there.
    /// Returns whether the history changed.
    pub fn truncate_from_end(&mut self, end_offset: i64) -> bool {
        let keep = self.entries.partition_point(|entry| entry.start_offset < end_offset);
        let changed = keep < self.entries.len();
        self.entries.truncate(keep);
        changed
    }

    /// Forgets what lies before `start_offset`, when the log start moves there: the epoch that
    /// wrote `start_offset` stays and now begins there. Returns whether the history changed.
    pub fn truncate_from_start(&mut self, start_offset: i64) -> bool {
        let above = self.entries.partition_point(|entry| entry.start_offset <= start_offset);
        let Some(last) = above.checked_sub(1) else { return false };
        self.entries.drain(..last);
        let Some(first) = self.entries.first_mut() else { return false };
        let changed = last > 0 || first.start_offset != start_offset;
        first.start_offset = start_offset;
        changed
    }

    /// Forgets everything. Returns whether there was anything.
    pub fn clear(&mut self) -> bool {
        let changed = !self.entries.is_empty();
        self.entries.clear();
        changed
    }

    /// The newest term.
    pub fn latest(&self) -> Option<EpochEntry> {
        self.entries.last().copied()
    }

    /// The newest epoch, or -1.
    pub fn latest_epoch(&self) -> i32 {
        self.latest().map_or(-1, |entry| entry.epoch)
    }

    /// The oldest term.
    pub fn earliest(&self) -> Option<EpochEntry> {
        self.entries.first().copied()
    }

    /// The newest known epoch below `epoch`.
    pub fn previous_epoch(&self, epoch: i32) -> Option<i32> {
        let below = self.entries.partition_point(|entry| entry.epoch < epoch);
        below.checked_sub(1).and_then(|index| self.entries.get(index)).map(|entry| entry.epoch)
    }

    /// All terms, oldest first.
    pub fn entries(&self) -> &[EpochEntry] {
        &self.entries
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests;
