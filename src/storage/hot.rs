//! Which part of a log was written so lately that it must still be in memory.
//!
//! The page cache keeps what was written last, over all logs of the machine; so age is measured in
//! bytes written to the whole directory, and noted once in a while per log.

use std::collections::VecDeque;

/// A note is taken each time this many bytes were written to the directory, at most.
const NOTE_EVERY: u64 = 256 << 10;

/// A place in a log: base offset of the segment, and position in it.
pub(super) type Place = (i64, u64);

/// The notes of one log, oldest first.
#[derive(Debug, Default)]
pub(super) struct HotMarks {
    marks: VecDeque<(u64, Place)>,
}

impl HotMarks {
    /// An append begins at `place`; the directory had written `written` bytes after it.
    pub(super) fn note(&mut self, place: Place, written: u64, hot_bytes: u64) {
        if self.marks.back().is_none_or(|(at, _)| written.saturating_sub(*at) >= NOTE_EVERY) {
            self.marks.push_back((written, place));
            while self.marks.front().is_some_and(|(at, _)| written.saturating_sub(*at) > hot_bytes)
            {
                self.marks.pop_front();
            }
        }
    }

    /// Whether all from `place` on is in memory, now that the directory has written `written`.
    pub(super) fn is_hot(&self, place: Place, written: u64, hot_bytes: u64) -> bool {
        let young = self.marks.iter().find(|(at, _)| written.saturating_sub(*at) <= hot_bytes);
        young.is_some_and(|(_, mark)| *mark <= place)
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
        for step in 0..100_u64 {
            written += 100_000;
            hot.note((0, step * 100_000), written, 1_000_000);
        }
        assert!(hot.is_hot((0, 9_900_000), written, 1_000_000));
        assert!(hot.is_hot((0, 9_400_000), written, 1_000_000));
        assert!(!hot.is_hot((0, 5_000_000), written, 1_000_000));
        assert!(hot.is_hot((7, 0), written, 1_000_000), "a later segment");
        assert!(!hot.is_hot((0, 9_900_000), written + 2_000_000, 1_000_000), "others wrote since");
        assert!(hot.marks.len() < 10);
    }

    #[test]
    fn nothing_is_hot_after_a_restart() {
        assert!(!HotMarks::default().is_hot((0, 0), 0, 1_000_000));
    }
}
