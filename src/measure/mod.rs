//! What is counted, and how: plain atomics, so that counting on the hot path is one addition, takes no
//! lock and allocates nothing. Every floor may count; `server/metrics` gathers and shows it.
//!
//! | file | what lives there |
//! |---|---|
//! | this one | [`Counter`] and [`Gauge`] |
//! | [`Histogram`] | fixed buckets |
//! | [`LogGate`] | how often something may be logged |
//! | [`Exposition`] | the OpenMetrics text format |

mod exposition;
mod gate;
mod histogram;

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

pub use exposition::{Exposition, Family, Kind, Labels};
pub use gate::LogGate;
pub use histogram::{Histogram, Reading};

/// Only rises.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn inc(&self) {
        self.inc_by(1);
    }

    /// So many more.
    pub fn inc_by(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// How many by now.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// How many since this was last asked.
    #[must_use]
    pub fn take(&self) -> u64 {
        self.0.swap(0, Ordering::Relaxed)
    }
}

/// Rises and falls.
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

impl Gauge {
    /// One more.
    pub fn inc(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// One less.
    pub fn dec(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    /// How many now.
    #[must_use]
    pub fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}
