//! Reads that may wait for a disk: on the blocking pool, a bounded number at a time. Touching a cold
//! page of a map stalls the thread that touches it, so nothing cold is ever read on the runtime.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::blocking;

/// Reads at once: more gain nothing on one disk, and each holds a thread.
const AT_ONCE: usize = 4;

/// The gate to the blocking pool for cold reads.
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
    /// Runs `read` once it is its turn; `None` when it panicked, which is logged.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        read: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        // The gate is never closed.
        let permit = Arc::clone(&self.gate).acquire_owned().await.ok()?;
        let work = move || {
            let _permit = permit;
            read()
        };
        blocking::run(work).await
    }
}
