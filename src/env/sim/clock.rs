//! A clock moved by hand.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use crate::env::Clock;

/// A clock that stands still until it is moved.
#[derive(Debug, Default)]
pub struct SimClock {
    monotonic_ns: AtomicU64,
    wall_ms: AtomicI64,
}

impl SimClock {
    /// A clock whose wall time starts at `wall_ms` (milliseconds since 1970).
    pub fn starting_at(wall_ms: i64) -> Self {
        Self { monotonic_ns: AtomicU64::new(0), wall_ms: AtomicI64::new(wall_ms) }
    }

    /// Lets time pass, on both readings.
    pub fn advance(&self, by: Duration) {
        let nanos = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        self.monotonic_ns.fetch_add(nanos, Ordering::SeqCst);
        self.wall_ms.fetch_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX), Ordering::SeqCst);
    }

    /// Sets the wall time, as an operator or NTP might: the monotonic reading does not move.
    pub fn set_wall_ms(&self, wall_ms: i64) {
        self.wall_ms.store(wall_ms, Ordering::SeqCst);
    }
}

impl Clock for SimClock {
    fn now(&self) -> Duration {
        Duration::from_nanos(self.monotonic_ns.load(Ordering::SeqCst))
    }

    fn wall_ms(&self) -> i64 {
        self.wall_ms.load(Ordering::SeqCst)
    }
}
