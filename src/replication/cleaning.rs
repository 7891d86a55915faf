//! Compaction of the logs of this broker: which log of a directory is next, and when to stop.

use std::sync::Arc;

use tracing::{info, warn};

use super::partition::Partition;
use super::replicas::Directory;
use crate::storage::Log;
use crate::storage::compaction::{self, CleanError, CleanLimits, CleanOutcome, Pause, SharedLog};

impl SharedLog for Arc<Partition> {
    fn with_log<T>(&self, work: impl FnOnce(&mut Log) -> T) -> Option<T> {
        self.on_log(work)
    }
}

impl Directory {
    /// Compacts the logs in the directory, the dirtiest first, until none is worth it. Blocks on
    /// the disk; `now_ms` tells the wall time, in ms since 1970.
    pub(crate) fn clean(&self, limits: &CleanLimits, pause: Pause<'_>, now_ms: &dyn Fn() -> i64) {
        if self.offline {
            return;
        }
        loop {
            let Some(partition) = compaction::dirtiest(&self.partitions, now_ms()) else { return };
            let name = partition.name();
            match compaction::clean(partition, limits, pause, now_ms()) {
                // Nothing to do after all.
                Ok(outcome) if outcome == CleanOutcome::default() => return,
                Ok(outcome) => info!(
                    partition = %name, up_to = outcome.cleaned_to,
                    bytes = outcome.bytes_before, left = outcome.bytes_after,
                    "compacted"
                ),
                Err(CleanError::Stopped) => return,
                Err(error @ CleanError::Uncleanable { .. }) => warn!(
                    partition = %name, %error,
                    "a log is not compacted any more; `duramen log verify` tells more, a change \
                     of its settings has it tried again"
                ),
                // Maybe it goes better after a while.
                Err(error) => {
                    warn!(partition = %name, %error, "could not compact a log");
                    return;
                }
            }
        }
    }
}
