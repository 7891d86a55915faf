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
    /// Whether all from `offset` on was written so lately that reading it waits for no disk.
    pub fn is_hot(&self, offset: i64) -> bool {
        let written = self.home.written.load(Ordering::Relaxed);
        self.hot.is_hot(offset, written, self.home.hot_bytes)
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

    /// Whether all from `offset` on is in memory, now that the directory has written `written`.
    fn is_hot(&self, offset: i64, written: u64, hot_bytes: u64) -> bool {
        let young = self.marks.iter().find(|(at, _)| written.saturating_sub(*at) <= hot_bytes);
        young.is_some_and(|(_, mark)| *mark <= offset)
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
        assert!(hot.is_hot(99, written, 1_000_000));
        assert!(hot.is_hot(94, written, 1_000_000));
        assert!(!hot.is_hot(50, written, 1_000_000));
        assert!(!hot.is_hot(99, written + 2_000_000, 1_000_000), "others wrote since");
        assert!(hot.marks.len() < 10);
    }

    #[test]
    fn nothing_is_hot_after_a_restart() {
        assert!(!HotMarks::default().is_hot(0, 0, 1_000_000));
    }
}
