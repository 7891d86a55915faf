//! What a log directory tells of itself to whoever watches: room, marks, syncs, open files.

use std::path::PathBuf;
use std::time::Duration;

use prometheus_client::metrics::histogram::Histogram;

use super::compaction::CleanFigures;
use super::dir::LogDir;
use super::home::Home;
use super::log_state::LogState;
use crate::env::Space;
use crate::measure::{self, LogGate};

/// Upper bounds of how many batches one sync covers.
const SYNC_BATCHES: [f64; 11] =
    [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 1024.0, 4096.0];
/// A sync that takes longer is worth a line in the log.
const SLOW_SYNC: Duration = Duration::from_secs(1);

/// What the flushers count.
#[derive(Debug)]
pub(super) struct SyncMeter {
    seconds: Histogram,
    batches: Histogram,
    slow: LogGate,
}

impl Default for SyncMeter {
    fn default() -> Self {
        Self {
            seconds: measure::times(),
            batches: Histogram::new(SYNC_BATCHES),
            slow: LogGate::new(1, Duration::from_secs(10)),
        }
    }
}

impl SyncMeter {
    /// A log was synced in `took`; `batches` were appended to it since its last sync.
    pub(super) fn synced(&self, home: &Home, log: &LogState, took: Duration, batches: u64) {
        self.seconds.observe(took.as_secs_f64());
        if batches > 0 {
            self.batches.observe(batches as f64);
        }
        if took < SLOW_SYNC {
            return;
        }
        if let Some(held_back) = self.slow.admit(home.env.clock.now()) {
            let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            let log = &log.topic_partition;
            tracing::warn!(dir = %home.path.display(), %log, ms, held_back, "slow flush");
        }
    }
}

/// A log directory at one moment.
#[derive(Debug, Clone)]
pub struct DirFigures {
    /// Where it is.
    pub path: PathBuf,
    /// Why it is offline, if it is.
    pub failure: Option<String>,
    /// Room on its disk, if that tells.
    pub space: Option<Space>,
    /// Bytes free below which topics stop growing, on this disk.
    pub low_mark: u64,
    /// Bytes free from which they go on.
    pub high_mark: u64,
    /// Topics have stopped growing.
    pub full: bool,
    /// Logs in it.
    pub logs: usize,
    /// Closed segments that are kept open, and how many may be.
    pub open_segments: (usize, usize),
    /// Logs that wait for a sync.
    pub waiting_syncs: usize,
    /// How long syncs took.
    pub sync_seconds: Histogram,
    /// How many batches each sync covered.
    pub sync_batches: Histogram,
    /// Compaction.
    pub cleaning: CleanFigures,
}

impl LogDir {
    /// What there is to tell of the directory now. Asks the disk for its room.
    pub fn figures(&self) -> DirFigures {
        let home = &self.home;
        let space = home.env.disk.space(&home.path).ok();
        let marks = home.space.marks_on(space);
        if let Some(space) = space {
            home.space.observe(&home.path, space, 0);
        }
        // Before the rest: it takes the lock of the list of logs, too.
        let cleaning = home.cleaning.figures(home);
        DirFigures {
            path: home.path.clone(),
            failure: home.failure().map(|reason| reason.to_string()),
            space,
            low_mark: marks.low,
            high_mark: marks.high,
            full: home.space.is_low(),
            logs: home.logs().len(),
            open_segments: home.files.open_count(),
            waiting_syncs: home.flush_queue.len(),
            sync_seconds: home.syncs.seconds.clone(),
            sync_batches: home.syncs.batches.clone(),
            cleaning,
        }
    }
}
