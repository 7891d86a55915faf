//! PURE. How often one kind of event may be logged: a client that provokes it a million times gets a
//! few lines, and a count of the rest.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Lets a few events through in each window of time. `now` is monotonic and comes in as an argument.
#[derive(Debug)]
pub struct LogGate {
    per_window: u64,
    window_ns: u64,
    /// When the window began, ns + 1; 0 before the first.
    began: AtomicU64,
    seen: AtomicU64,
    held_back: AtomicU64,
}

impl LogGate {
    /// At most `per_window` events in each `window`.
    #[must_use]
    pub const fn new(per_window: u64, window: Duration) -> Self {
        Self {
            per_window,
            window_ns: window.as_nanos() as u64,
            began: AtomicU64::new(0),
            seen: AtomicU64::new(0),
            held_back: AtomicU64::new(0),
        }
    }

    /// Whether an event may be logged; if so, how many were held back since the last one that was.
    pub fn admit(&self, now: Duration) -> Option<u64> {
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX - 1) + 1;
        let began = self.began.load(Ordering::Relaxed);
        let over = began == 0 || now.saturating_sub(began) >= self.window_ns;
        let begins = over
            && self
                .began
                .compare_exchange(began, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if begins {
            self.seen.store(0, Ordering::Relaxed);
        }
        if self.seen.fetch_add(1, Ordering::Relaxed) < self.per_window {
            return Some(self.held_back.swap(0, Ordering::Relaxed));
        }
        self.held_back.fetch_add(1, Ordering::Relaxed);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_gets_a_few_lines_a_window_and_the_next_line_tells_the_rest() {
        let gate = LogGate::new(3, Duration::from_secs(10));
        let at = |ms: u64| gate.admit(Duration::from_millis(ms));
        let told: Vec<_> = (0..1000).filter_map(at).collect();
        assert_eq!(told, [0, 0, 0]);
        assert_eq!(at(9_999), None);
        assert_eq!(at(10_000), Some(998), "a new window tells what was held back");
        assert_eq!(at(10_001), Some(0));
        assert_eq!(at(60_000), Some(0));
    }
}
