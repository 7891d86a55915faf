//! Group commit: one thread per directory takes all logs that wait for the disk, syncs each once,
//! and tells who waits. Whatever is appended while a round runs is covered by the next one.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::home::Home;
use super::log_state::LogState;

/// The logs that wait for a sync: each at most once, so there are never more than logs.
#[derive(Debug, Default)]
pub(super) struct FlushQueue {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<Arc<LogState>>,
    asleep: bool,
    stop: bool,
}

impl FlushQueue {
    /// Asks for a sync of all that has been appended to `log` until now. Cheap when one is
    /// already asked for.
    pub(super) fn request(&self, log: &Arc<LogState>) {
        if log.queued.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut state = self.lock();
        state.waiting.push(Arc::clone(log));
        if state.asleep {
            self.wake.notify_one();
        }
    }

    /// Ends the thread once the queue is empty.
    pub(super) fn stop(&self) {
        self.lock().stop = true;
        self.wake.notify_all();
    }

    fn take(&self) -> Vec<Arc<LogState>> {
        std::mem::take(&mut self.lock().waiting)
    }

    /// Waits for work. `None` when stopped.
    fn wait(&self) -> Option<Vec<Arc<LogState>>> {
        let mut state = self.lock();
        while state.waiting.is_empty() {
            if state.stop {
                return None;
            }
            state.asleep = true;
            state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.asleep = false;
        }
        Some(std::mem::take(&mut state.waiting))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The flusher thread.
pub(super) fn run(home: &Home) {
    while let Some(logs) = home.flush_queue.wait() {
        round(home, &logs);
    }
}

/// One round over what waits now, on the caller's thread. Returns how many logs were synced.
pub(super) fn run_once(home: &Home) -> usize {
    let logs = home.flush_queue.take();
    round(home, &logs);
    logs.len()
}

fn round(home: &Home, logs: &[Arc<LogState>]) {
    for log in logs {
        // Out of the queue before the end of the log is read: an append that comes too late for
        // this sync finds the log not queued, and asks again.
        log.queued.swap(false, Ordering::AcqRel);
        sync(home, log);
    }
}

/// Syncs one log and tells who waits for it. An error takes the directory offline.
pub(super) fn sync(home: &Home, log: &LogState) {
    if home.is_offline() {
        return;
    }
    let before = log.durable();
    match log.sync(&*home.env.disk) {
        Ok(durable) if durable > before => {
            if let Some(hook) = &home.hooks.durable {
                hook(&log.topic_partition, durable);
            }
        }
        Ok(_) => {}
        Err(error) if vanished(log, &error) => {}
        Err(error) => _ = home.fail("sync", &log.dir, &error),
    }
}

/// A deleted log takes its files along: no fault of the disk.
pub(super) fn vanished(log: &LogState, error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound && log.closed.load(Ordering::Acquire)
}
