//! Holds the epoch history against the batches: its file carries no checksum, so a changed digit
//! would tell a follower to cut its log at the wrong place.

use crate::env::Patience;

use super::epochs::EpochEntry;
use super::log::Log;

/// How many of the newest terms are looked at: older ones matter only to replicas that have been
/// away for as many elections.
const LOOK_AT: usize = 64;

impl Log {
    /// Whether the batches around the beginning of each term say the same as the history.
    pub(super) fn epochs_agree(&self) -> bool {
        let entries = self.epochs.entries();
        let skip = entries.len().saturating_sub(LOOK_AT);
        let before = entries.iter().map(Some);
        let before = std::iter::once(None).chain(before);
        before.zip(entries).skip(skip).all(|(before, entry)| self.term_agrees(before, entry))
    }

    fn term_agrees(&self, before: Option<&EpochEntry>, entry: &EpochEntry) -> bool {
        let (start, log_start) = (entry.start_offset, self.log_start_offset());
        let first = self.epoch_written_at(start.max(log_start));
        // A term that wrote nothing leaves no batch; what follows is then later than it.
        let begins = first.is_none_or(|(epoch, _)| epoch >= entry.epoch);
        let has_first = first.is_some_and(|(epoch, _)| epoch == entry.epoch);
        let at_batch = first.is_none_or(|(_, base)| base >= start);
        if !begins || (has_first && start > log_start && !at_batch) {
            return false;
        }
        if start <= log_start {
            return true;
        }
        // Compaction may have taken the batch: what is found then lies behind.
        let last = self.epoch_written_at(start - 1).filter(|(_, base)| *base < start);
        last.is_none_or(|(epoch, _)| {
            epoch < entry.epoch && before.is_none_or(|before| epoch <= before.epoch)
        }) && (before.is_some() || last.is_none())
    }

    /// The epoch and base offset of the batch that holds `offset`, if there is one.
    fn epoch_written_at(&self, offset: i64) -> Option<(i32, i64)> {
        let segment = self.segments.get(self.segment_at(offset))?;
        // What can't be read proves nothing.
        let found = self.reader().find(segment, offset, Patience::Wait).ok().flatten()?;
        (found.header.partition_leader_epoch >= 0)
            .then_some((found.header.partition_leader_epoch, found.header.base_offset))
    }
}
