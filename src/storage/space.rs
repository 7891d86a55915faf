//! The reserve: the last part of a disk is kept for what must go on when it is full, the metadata
//! log above all. Topics stop growing below a low mark, at once and with an error, and go on by
//! themselves above a high one.

use std::io;
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

    /// Whether a topic may grow. Asks the disk only while it is full, twice a second.
    pub(super) fn may_grow(&self, env: &Env, path: &Path) -> bool {
        if !self.is_low.load(Ordering::Relaxed) {
            return true;
        }
        let now = u64::try_from(env.clock.now().as_nanos()).unwrap_or(u64::MAX);
        let next = self.next_look_ns.load(Ordering::Relaxed);
        if now < next {
            return false;
        }
        let pause = u64::try_from(LOOK_AGAIN.as_nanos()).unwrap_or(u64::MAX);
        self.next_look_ns.store(now.saturating_add(pause), Ordering::Relaxed);
        // A disk that does not tell its room is written until it refuses.
        let enough = |space: Space| space.free >= self.marks.on(space).high;
        let goes_on = env.disk.space(path).is_ok_and(enough);
        if goes_on && self.is_low.swap(false, Ordering::Relaxed) {
            tracing::info!(dir = %path.display(), "the disk has room again: topics grow");
        }
        goes_on
    }

    /// Before more space is reserved for a topic: whether that would touch the reserve.
    ///
    /// Errors of kind `StorageFull` say that it would.
    pub(super) fn before_reserve(&self, env: &Env, path: &Path) -> io::Result<()> {
        let Ok(space) = env.disk.space(path) else { return Ok(()) };
        if space.free >= self.marks.on(space).low {
            return Ok(());
        }
        if !self.is_low.swap(true, Ordering::Relaxed) {
            let free = space.free;
            tracing::warn!(dir = %path.display(), free, "the disk is nearly full: topics stop growing");
        }
        Err(io::ErrorKind::StorageFull.into())
    }
}
