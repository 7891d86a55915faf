//! The chores that run by the clock: retention, checkpoints, syncs that are due.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::config::checked::LogDirsConfig;
use crate::env::Env;
use crate::replication::Replicas;

/// How often `flush.ms` is looked at when `log.flush.scheduler.interval.ms` does not say.
const FLUSH_CHECK: Duration = Duration::from_millis(500);

/// Does the chores until `stop` says so.
pub(super) async fn run(
    env: Env,
    config: LogDirsConfig,
    replicas: Arc<Replicas>,
    stop: CancellationToken,
) {
    let retention = every(config.retention_check_interval, stop.clone(), {
        let (env, replicas) = (env.clone(), Arc::clone(&replicas));
        move || replicas.maintain(env.clock.wall_ms())
    });
    let interval = config
        .recovery_checkpoint_interval
        .min(config.start_checkpoint_interval)
        .min(config.high_watermark_checkpoint_interval);
    let checkpoint = {
        let replicas = Arc::clone(&replicas);
        move || replicas.checkpoint()
    };
    // What recovery just made sure of need not be looked at again by the next start.
    let _ = tokio::task::spawn_blocking(checkpoint.clone()).await;
    let checkpoints = every(interval, stop.clone(), checkpoint);
    let flushes = every(config.flush_check_interval.unwrap_or(FLUSH_CHECK), stop, move || {
        replicas.flush_due(env.clock.wall_ms());
    });
    tokio::join!(retention, checkpoints, flushes);
}

/// Runs `chore` on the blocking pool each `interval`, never twice at once.
async fn every(
    interval: Duration,
    stop: CancellationToken,
    chore: impl Fn() + Clone + Send + 'static,
) {
    // A day stands for never: nothing else waits for this task.
    let interval = interval.min(Duration::from_secs(86_400)).max(Duration::from_millis(10));
    while stop.run_until_cancelled(tokio::time::sleep(interval)).await.is_some() {
        let chore = chore.clone();
        // A chore that panicked has said so; the next one gets its chance.
        let _ = tokio::task::spawn_blocking(chore).await;
    }
}
