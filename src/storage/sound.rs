//! Which bytes of a segment are known to be as they were written: this process appended them, or held
//! them against their checksums when it read them from the disk, and they have not left memory since.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Ranges kept; of more, the smallest is forgotten and checked again when it is read.
const KEPT: usize = 16;

/// Ranges of bytes, from and to, in order and apart.
#[derive(Debug, Default)]
pub(super) struct Sound {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    ranges: Vec<(u64, u64)>,
    /// The bytes that were checked last, from and to.
    checked: (u64, u64),
}

impl Sound {
    /// Bytes `[from, to)` are sound: they were appended.
    pub(super) fn add(&self, from: u64, to: u64) {
        self.lock().add(from, to);
    }

    /// Bytes `[from, to)` were read and checked.
    pub(super) fn checked(&self, from: u64, to: u64) {
        let mut known = self.lock();
        known.add(from, to);
        known.checked = (from, to);
    }

    /// Whether all of `[from, to)` is.
    pub(super) fn covers(&self, from: u64, to: u64) -> bool {
        self.lock().ranges.iter().any(|range| range.0 <= from && to <= range.1)
    }

    /// What stands at `from` has to come from the disk, and the kernel brings what lies around it along. So
    /// nothing is known any more but what was checked on the way there.
    pub(super) fn pushed_out(&self, from: u64) {
        let mut known = self.lock();
        let goes_on = (known.checked.0..=known.checked.1).contains(&from);
        known.ranges.retain_mut(|range| {
            range.1 = range.1.min(from);
            goes_on && range.0 < range.1
        });
    }

    /// Nothing is known any more.
    pub(super) fn clear(&self) {
        *self.lock() = Known::default();
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn add(&mut self, from: u64, to: u64) {
        let ranges = &mut self.ranges;
        if let Some(last) = ranges.last_mut().filter(|last| last.1 == from) {
            last.1 = to;
            return;
        }
        let touches = |range: &(u64, u64)| range.0 <= to && from <= range.1;
        let union = ranges.iter().filter(|range| touches(range));
        let (from, to) = union.fold((from, to), |all, it| (all.0.min(it.0), all.1.max(it.1)));
        ranges.retain(|range| !touches(range));
        let at = ranges.partition_point(|range| range.0 < from);
        ranges.insert(at, (from, to));
        if ranges.len() > KEPT {
            let smallest = ranges.iter().enumerate().min_by_key(|(_, range)| range.1 - range.0);
            if let Some((at, _)) = smallest {
                ranges.remove(at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_grow_together() {
        let sound = Sound::default();
        for (from, to) in [(0, 10), (10, 20), (40, 50), (30, 35), (18, 30)] {
            sound.add(from, to);
        }
        assert_eq!(sound.lock().ranges, [(0, 35), (40, 50)]);
        assert!(sound.covers(0, 35) && sound.covers(41, 50));
        assert!(!sound.covers(34, 41) && !sound.covers(50, 51));
        sound.add(35, 40);
        assert!(sound.covers(0, 50));
        sound.clear();
        assert!(!sound.covers(0, 1));
    }

    #[test]
    fn what_was_pushed_out_of_memory_is_forgotten_but_for_what_was_checked_on_the_way() {
        let sound = Sound::default();
        sound.add(0, 1000);
        sound.pushed_out(300);
        assert!(!sound.covers(0, 1));
        for from in [300, 400, 500] {
            sound.pushed_out(from);
            sound.checked(from, from + 100);
        }
        sound.add(1000, 1100);
        sound.pushed_out(600);
        assert_eq!(sound.lock().ranges, [(300, 600)]);
        sound.pushed_out(550);
        assert_eq!(sound.lock().ranges, [(300, 550)], "not all of what was checked was taken");
        sound.pushed_out(400);
        assert_eq!(sound.lock().ranges, []);
    }

    #[test]
    fn few_are_kept() {
        let sound = Sound::default();
        for n in 0..1000 {
            sound.add(n * 100, n * 100 + 10 + n);
        }
        assert_eq!(sound.lock().ranges.len(), KEPT);
        assert!(sound.covers(99_900, 99_910));
    }
}
