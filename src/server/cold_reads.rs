//! Bringing file ranges into memory before they are sent. Touching a cold page of a map stalls the
//! thread that touches it, so the ranges go to the blocking pool first, a bounded number at a time.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tracing::warn;

use crate::env::Populate;

/// Ranges that are being brought in at once: more gain nothing on one disk, and each holds a thread.
const AT_ONCE: usize = 4;

/// The gate to the blocking pool for cold ranges.
#[derive(Debug, Clone)]
pub(crate) struct ColdReads {
    gate: Arc<Semaphore>,
}

impl Default for ColdReads {
    fn default() -> Self {
        Self { gate: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

impl ColdReads {
    /// Returns when the ranges are in memory. A range that can't be read is left to the socket
    /// write, which then fails for that connection alone.
    pub(crate) async fn populate(&self, ranges: Vec<Populate>) {
        let Ok(permit) = Arc::clone(&self.gate).acquire_owned().await else { return };
        let read = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            ranges.iter().try_for_each(Populate::run)
        });
        match read.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(%error, "cannot read a part of a log"),
            Err(error) => warn!(%error, "reading a part of a log was cut off"),
        }
    }
}
