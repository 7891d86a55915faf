//! The reserve: the last part of a disk is kept for what must go on when it is full, the metadata
//! log above all. Topics stop growing below a low mark, at once and with an error, and go on by
//! themselves above a high one.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::env::{Env, Space};

/// How often a full disk is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Where topics stop and go on, in bytes free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpaceMarks {
    /// Topics stop growing below this (`log.free.low.bytes`), but at no more than a fiftieth of the disk.
    pub low: u64,
    /// They go on from this (`log.free.high.bytes`), but at no more than a twenty-fifth of the disk.
    pub high: u64,
}

impl Default for SpaceMarks {
    fn default() -> Self {
        Self { low: 256 << 20, high: 512 << 20 }
    }
}

impl SpaceMarks {
    /// The marks on a disk of this size: a small one is not all reserve.
    #[must_use]
    pub fn on(self, disk: Space) -> Self {
        let low = self.low.min(disk.total / 50);
        Self { low, high: self.high.min(disk.total / 25).max(low) }
    }
}

/// Watches the room on the disk of one directory.
#[derive(Debug, Default)]
pub(super) struct SpaceGuard {
    marks: SpaceMarks,
    is_low: AtomicBool,
    /// Monotonic time in ns before which a full disk is not looked at again.
    next_look_ns: AtomicU64,
}

impl SpaceGuard {
    /// Keeps a reserve by these marks.
    pub(super) fn new(marks: SpaceMarks) -> Self {
        Self { marks, ..Self::default() }
    }

    /// Whether topics have stopped growing.
    pub(super) fn is_low(&self) -> bool {
        self.is_low.load(Ordering::Relaxed)
    }

    /// The marks on the disk as it is, or as they are set when it does not tell its size.
    pub(super) fn marks_on(&self, disk: Option<Space>) -> SpaceMarks {
        disk.map_or(self.marks, |disk| self.marks.on(disk))
    }

    /// Takes the room on the disk as it is when `wanted` bytes are to be written: whether topics have
    /// stopped growing.
    pub(super) fn observe(&self, path: &Path, space: Space, wanted: u64) -> bool {
        let (marks, free) = (self.marks.on(space), space.free);
        let dir = path.display();
        if free < marks.low.saturating_add(wanted) {
            if self.is_low.swap(true, Ordering::Relaxed) {
                return true;
            }
            tracing::warn!(%dir, free, "the disk is nearly full: topics stop growing");
        } else if free >= marks.high && self.is_low.swap(false, Ordering::Relaxed) {
            tracing::info!(%dir, "the disk has room again: topics grow");
        }
        self.is_low()
    }

    /// Whether a topic may grow. Asks the disk only while it is full, twice a second.
    pub(super) fn may_grow(&self, env: &Env, path: &Path) -> bool {
        if !self.is_low() {
            return true;
        }
        let now = u64::try_from(env.clock.now().as_nanos()).unwrap_or(u64::MAX);
        let next = self.next_look_ns.load(Ordering::Relaxed);
        if now < next {
            return false;
        }
        let pause = u64::try_from(LOOK_AGAIN.as_nanos()).unwrap_or(u64::MAX);
        self.next_look_ns.store(now.saturating_add(pause), Ordering::Relaxed);
        env.disk.space(path).is_ok_and(|space| !self.observe(path, space, 0))
    }

    /// How many bytes may be reserved for topics without touching the reserve, when that is enough for
    /// the `wanted` ones. A disk that does not tell its room is written until it refuses.
    pub(super) fn room_for(&self, env: &Env, path: &Path, wanted: u64) -> Option<u64> {
        let Ok(space) = env.disk.space(path) else { return Some(u64::MAX) };
        self.observe(path, space, wanted);
        let room = space.free.saturating_sub(self.marks.on(space).low);
        (room >= wanted).then_some(room)
    }
}
