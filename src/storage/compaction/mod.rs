//! Compaction (KIP-58, KIP-354, KIP-534): of each key the last record stays, the others go.
//!
//! A pass reads the dirty part of a log into a map from key to last offset, then writes each run of
//! closed segments anew without what the map says is outdated, and swaps the new file in under the
//! log's lock. Offsets never change; what goes leaves a gap. A pass touches no lock but for moments.
//!
//! | file | what it holds |
//! |---|---|
//! | `plan` | what of a log may be cleaned, and how much it needs it |
//! | `key_map` | key → last offset, of bounded size |
//! | `transactions` | aborted records, markers that nobody needs |
//! | `rules` | what stays of one batch |
//! | `batches` | reads the batches of a segment in a row |
//! | `output` | writes the new segment under its `.cleaned` name |
//! | `swap` | puts it in the place of the old ones, and completes that after a crash |
//! | `pass` | one pass over one log |
//! | `meter` | what is counted |

mod batches;
mod key_map;
mod meter;
mod output;
mod pass;
pub(super) mod plan;
mod rules;
pub(super) mod swap;
mod transactions;

use std::time::Duration;

use super::error::StorageError;
use super::log::Log;

pub use meter::CleanFigures;
pub(super) use meter::CleanMeter;
pub(super) use output::{CLEANED, REPLACED, SWAP};
pub use pass::{CleanOutcome, clean};
pub use plan::CleanPlan;

/// What a topic says of its compaction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CompactionPolicy {
    /// `min.cleanable.dirty.ratio`.
    pub min_dirty_ratio: f64,
    /// `min.compaction.lag.ms`.
    pub min_lag_ms: i64,
    /// `max.compaction.lag.ms`; `i64::MAX` is never.
    pub max_lag_ms: i64,
    /// `delete.retention.ms`.
    pub delete_retention_ms: i64,
}

impl Default for CompactionPolicy {
    fn default() -> Self {
        Self {
            min_dirty_ratio: 0.5,
            min_lag_ms: 0,
            max_lag_ms: i64::MAX,
            delete_retention_ms: 86_400_000,
        }
    }
}

/// What a pass may use.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CleanLimits {
    /// Bytes of the key map (`log.cleaner.dedupe.buffer.size`). It takes the keys of one batch
    /// even when they are more.
    pub map_bytes: u64,
    /// How full the map may become (`log.cleaner.io.buffer.load.factor`), 0 to 1.
    pub load_factor: f64,
    /// Bytes read and written at once (`log.cleaner.io.buffer.size`).
    pub io_bytes: u32,
    /// Bytes read and written a second (`log.cleaner.io.max.bytes.per.second`).
    pub bytes_per_second: f64,
}

impl Default for CleanLimits {
    fn default() -> Self {
        Self {
            map_bytes: 128 << 20,
            load_factor: 0.9,
            io_bytes: 512 << 10,
            bytes_per_second: f64::MAX,
        }
    }
}

/// A log that others use meanwhile: reached for moments, under its lock.
pub trait SharedLog {
    /// Runs `work` under the log's lock; `None` when the log is gone.
    fn with_log<T>(&self, work: impl FnOnce(&mut Log) -> T) -> Option<T>;
}

/// Waits for so long, unless the pass is to stop: then it says `false`, at once. Called with zero
/// every now and then.
pub type Pause<'a> = &'a dyn Fn(Duration) -> bool;

/// Why a pass ended early. The log is whole in any case.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CleanError {
    /// The broker stops.
    #[error("the cleaner is stopping")]
    Stopped,
    /// The log was cut, deleted or closed meanwhile.
    #[error("the log was changed meanwhile")]
    Changed,
    /// A batch can't be read: the log is left alone until the next start or a change of its settings.
    #[error("the segment at offset {segment} can't be cleaned: {reason}")]
    Uncleanable {
        /// First offset of the segment.
        segment: i64,
        /// What is wrong.
        reason: String,
    },
    /// The disk.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// The log that needs cleaning most as of `now_ms` (ms since 1970), if one is worth it: one with
/// records that waited too long, or else the one with the largest dirty ratio.
pub fn dirtiest<L: SharedLog>(logs: &[L], now_ms: i64) -> Option<&L> {
    let mut dirtiest: Option<((bool, f64), &L)> = None;
    let mut ratio_max = 0.0_f64;
    for log in logs {
        let planned = |log: &mut Log| {
            let plan = log.clean_plan(now_ms)?;
            Some((plan, plan.is_due(&log.config.compaction)))
        };
        let Some((plan, is_due)) = log.with_log(planned).flatten() else { continue };
        ratio_max = ratio_max.max(plan.dirty_ratio);
        let need = (plan.overdue, plan.dirty_ratio);
        if is_due && dirtiest.is_none_or(|(most, _)| most < need) {
            dirtiest = Some((need, log));
        }
    }
    if let Some(log) = logs.first() {
        log.with_log(|log| log.home.cleaning.set_dirty_ratio(ratio_max));
    }
    dirtiest.map(|(_, log)| log)
}
