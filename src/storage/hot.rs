//! Which part of a log was written so lately that it must still be in memory.
//!
//! The page cache keeps what was written last, over all logs of the machine; so age is measured in
//! bytes written to the whole directory, and noted once in a while per log.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;

use super::log::Log;

/// A note is taken each time this many bytes were written to the directory, at most.
const NOTE_EVERY: u64 = 256 << 10;

/// The notes of one log, oldest first: how much the directory had written, and from which offset on.
#[derive(Debug, Default)]
pub(super) struct HotMarks {
    marks: VecDeque<(u64, i64)>,
}

impl Log {
    /// All from this offset on was written so lately that reading it waits for no disk.
    pub(super) fn hot_from(&self) -> i64 {
        let written = self.home.written.load(Ordering::Relaxed);
        self.hot.hot_from(written, self.home.hot_bytes)
    }
}

impl HotMarks {
    /// A batch was written at `offset`; the directory had written `written` bytes after it.
    pub(super) fn note(&mut self, offset: i64, written: u64, hot_bytes: u64) {
        if self.marks.back().is_none_or(|(at, _)| written.saturating_sub(*at) >= NOTE_EVERY) {
            self.marks.push_back((written, offset));
            while self.marks.front().is_some_and(|(at, _)| written.saturating_sub(*at) > hot_bytes)
            {
                self.marks.pop_front();
            }
        }
    }

    /// All from this offset on is in memory, now that the directory has written `written`.
    fn hot_from(&self, written: u64, hot_bytes: u64) -> i64 {
        let young = self.marks.iter().find(|(at, _)| written.saturating_sub(*at) <= hot_bytes);
        young.map_or(i64::MAX, |(_, mark)| *mark)
    }

    /// Forgets everything: the log was cut.
    pub(super) fn clear(&mut self) {
        self.marks.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_lately_is_hot() {
        let mut hot = HotMarks::default();
        let mut written = 0;
        for offset in 0..100 {
            written += 100_000;
            hot.note(offset, written, 1_000_000);
        }
        let from = hot.hot_from(written, 1_000_000);
        assert!((51..=94).contains(&from), "{from}");
        assert_eq!(hot.hot_from(written + 2_000_000, 1_000_000), i64::MAX, "others wrote since");
        assert!(hot.marks.len() < 10);
    }

    #[test]
    fn nothing_is_hot_after_a_restart() {
        assert_eq!(HotMarks::default().hot_from(0, 1_000_000), i64::MAX);
    }
}
