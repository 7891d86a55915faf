//! What the cleaner of a directory counts.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use prometheus_client::metrics::counter::Counter;

use super::super::home::Home;

/// The counts themselves.
#[derive(Debug)]
pub(in crate::storage) struct CleanMeter {
    pub(super) runs: Counter,
    pub(super) errors: Counter,
    pub(super) read_bytes: Counter,
    pub(super) written_bytes: Counter,
    /// Wall time of the end of the last pass, in ms since 1970; `i64::MIN` for none.
    ended_ms: AtomicI64,
    /// The largest dirty ratio of the logs looked at last, as bits.
    dirty_ratio: AtomicU64,
    running: AtomicBool,
}

impl Default for CleanMeter {
    fn default() -> Self {
        Self {
            runs: Counter::default(),
            errors: Counter::default(),
            read_bytes: Counter::default(),
            written_bytes: Counter::default(),
            ended_ms: AtomicI64::new(i64::MIN),
            dirty_ratio: AtomicU64::new(0),
            running: AtomicBool::new(false),
        }
    }
}

/// What the cleaner of a directory has done.
#[derive(Debug, Clone)]
pub struct CleanFigures {
    /// Passes that came to their end.
    pub runs: Counter,
    /// Passes that did not.
    pub errors: Counter,
    /// Bytes of batches read.
    pub read_bytes: Counter,
    /// Bytes of batches written.
    pub written_bytes: Counter,
    /// Seconds since the end of the last pass, if there was one.
    pub since_last_run: Option<f64>,
    /// The largest share of not yet cleaned bytes among the compacted logs, 0 to 1.
    pub max_dirty_ratio: f64,
    /// Logs that can't be cleaned.
    pub uncleanable: usize,
    /// A pass is under way.
    pub running: bool,
}

impl CleanMeter {
    pub(super) fn begin(&self) {
        self.running.store(true, Ordering::Relaxed);
    }

    pub(super) fn end(&self, now_ms: i64, done: bool) {
        self.running.store(false, Ordering::Relaxed);
        if done {
            self.runs.inc();
            self.ended_ms.store(now_ms, Ordering::Relaxed);
        }
    }

    pub(in crate::storage) fn set_dirty_ratio(&self, ratio: f64) {
        self.dirty_ratio.store(ratio.to_bits(), Ordering::Relaxed);
    }

    pub(in crate::storage) fn figures(&self, home: &Home) -> CleanFigures {
        let ended = self.ended_ms.load(Ordering::Relaxed);
        let since_ms = home.env.clock.wall_ms().saturating_sub(ended).max(0);
        let logs = home.logs();
        let uncleanable = logs.values().filter(|log| log.uncleanable.load(Ordering::Relaxed));
        CleanFigures {
            runs: self.runs.clone(),
            errors: self.errors.clone(),
            read_bytes: self.read_bytes.clone(),
            written_bytes: self.written_bytes.clone(),
            since_last_run: (ended != i64::MIN).then_some(since_ms as f64 / 1e3),
            max_dirty_ratio: f64::from_bits(self.dirty_ratio.load(Ordering::Relaxed)),
            uncleanable: uncleanable.count(),
            running: self.running.load(Ordering::Relaxed),
        }
    }
}
