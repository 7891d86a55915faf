//! Work that may wait for a disk, off the runtime's threads and bounded in number.

use tracing::error;

/// Runs `work` on the blocking pool; `None` when it panicked, which is logged.
pub(crate) async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Some(done),
        Err(error) => {
            error!(%error, "work on the blocking pool was cut off");
            None
        }
    }
}
