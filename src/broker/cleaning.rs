//! Has logs compacted in the background, by the settings as they are at each round.

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::config::Settings;
use crate::config::cleaner::CleanerConfig;
use crate::env::Env;
use crate::replication::{Directory, Replicas};
use crate::storage::compaction::CleanLimits;

/// A backoff of nothing would be a loop without rest.
const BACKOFF_LEAST: Duration = Duration::from_millis(10);
/// How soon a change of the settings counts, however long the backoff is.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Compacts until `stop` says so.
pub(super) async fn run(
    env: Env,
    (settings, replicas): (Arc<RwLock<Settings>>, Arc<Replicas>),
    stop: CancellationToken,
) {
    let mut due = env.clock.now();
    loop {
        let resolved =
            CleanerConfig::resolve(&settings.read().unwrap_or_else(PoisonError::into_inner));
        let wait = match resolved {
            Ok(config) => {
                let now = env.clock.now();
                let backoff = config.backoff.max(BACKOFF_LEAST);
                due = due.min(now.saturating_add(backoff));
                if due <= now {
                    if config.enabled && config.threads > 0 {
                        round(&env, &config, &replicas, &stop).await;
                    }
                    due = env.clock.now().saturating_add(backoff);
                }
                backoff
            }
            Err(error) => {
                error!(%error, "nothing is compacted");
                LOOK_EVERY
            }
        };
        let tick = tokio::time::sleep(wait.min(LOOK_EVERY));
        if stop.run_until_cancelled(tick).await.is_none() {
            return;
        }
    }
}

/// Looks once through all directories, several at once.
async fn round(
    env: &Env,
    config: &CleanerConfig,
    replicas: &Arc<Replicas>,
    stop: &CancellationToken,
) {
    let directories = replicas.directories();
    let threads = directories.len().min(config.threads as usize).max(1);
    let share = u64::try_from(threads).unwrap_or(1);
    let limits = CleanLimits {
        map_bytes: config.map_bytes / share,
        load_factor: config.load_factor,
        io_bytes: config.io_bytes / u32::try_from(threads).unwrap_or(1),
        bytes_per_second: config.bytes_per_second / share as f64,
    };
    let queue = Arc::new(Mutex::new(directories));
    let workers: Vec<_> = (0..threads)
        .map(|_| {
            let (env, stop, queue) = (env.clone(), stop.clone(), Arc::clone(&queue));
            tokio::task::spawn_blocking(move || work(&env, &limits, &queue, &stop))
        })
        .collect();
    for worker in workers {
        // One that panicked has said so; the next round gets its chance.
        let _ = worker.await;
    }
}

fn work(env: &Env, limits: &CleanLimits, queue: &Mutex<Vec<Directory>>, stop: &CancellationToken) {
    let handle = Handle::current();
    let pause = |time: Duration| {
        if !time.is_zero() {
            handle.block_on(stop.run_until_cancelled(tokio::time::sleep(time)));
        }
        !stop.is_cancelled()
    };
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop();
    while let Some(directory) = next() {
        directory.clean(limits, &pause, &|| env.clock.wall_ms());
    }
}
