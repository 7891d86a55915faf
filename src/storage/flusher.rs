//! Group commit: the logs that wait for the disk are synced one after another, each once for all that
//! was appended to it meanwhile. A few threads do it, because the file system makes one commit of
//! syncs that come at the same time (`docs/decisions/004-flushers.md`).

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::home::Home;
use super::log_state::LogState;

/// Where a log is on its way to the disk. It is never synced by two threads at once: the second
/// sync would cover little and hold up the next one, which covers much.
#[derive(Debug, Default)]
pub(super) struct FlushTicket(AtomicU8);

const IDLE: u8 = 0;
const WAITING: u8 = 1;
const SYNCING: u8 = 2;
/// Being synced, and more was appended since.
const SYNCING_BEHIND: u8 = 3;

impl FlushTicket {
    /// Asks for a sync of what has been appended until now. Returns whether the log must be queued.
    fn ask(&self) -> bool {
        let step = |state| match state {
            IDLE => Some(WAITING),
            SYNCING => Some(SYNCING_BEHIND),
            _ => None,
        };
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, step) == Ok(IDLE)
    }

    /// The sync begins: what is appended from here on asks again.
    fn begin(&self) {
        self.0.swap(SYNCING, Ordering::AcqRel);
    }

    /// The sync ended. Returns whether the log must be queued again.
    fn end(&self) -> bool {
        let step = |state| Some(if state == SYNCING_BEHIND { WAITING } else { IDLE });
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, step) == Ok(SYNCING_BEHIND)
    }
}

/// The logs that wait for a sync: each at most once, so there are never more than logs.
#[derive(Debug, Default)]
pub(super) struct FlushQueue {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Arc<LogState>>,
    asleep: usize,
    stop: bool,
}

impl FlushQueue {
    /// Asks for a sync of all that has been appended to `log` until now. Cheap when one is
    /// already asked for.
    pub(super) fn request(&self, log: &Arc<LogState>) {
        if log.flush_ticket.ask() {
            self.push(log);
        }
    }

    /// Ends the threads once the queue is empty.
    pub(super) fn stop(&self) {
        self.lock().stop = true;
        self.wake.notify_all();
    }

    /// How many logs wait.
    pub(super) fn len(&self) -> usize {
        self.lock().waiting.len()
    }

    fn push(&self, log: &Arc<LogState>) {
        let mut state = self.lock();
        state.waiting.push_back(Arc::clone(log));
        if state.asleep > 0 {
            self.wake.notify_one();
        }
    }

    /// The next log; waits for one if `wait`. `None` when there is none, or no more will come.
    fn next(&self, wait: bool) -> Option<Arc<LogState>> {
        let mut state = self.lock();
        loop {
            if let Some(log) = state.waiting.pop_front() {
                return Some(log);
            }
            if state.stop || !wait {
                return None;
            }
            state.asleep += 1;
            state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.asleep -= 1;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A flusher thread.
pub(super) fn run(home: &Home) {
    while let Some(log) = home.flush_queue.next(true) {
        flush(home, &log);
    }
}

/// Syncs what waits now, on the caller's thread. Returns how many logs that were.
pub(super) fn run_once(home: &Home) -> usize {
    let mut done = 0;
    while let Some(log) = home.flush_queue.next(false) {
        flush(home, &log);
        done += 1;
    }
    done
}

fn flush(home: &Home, log: &Arc<LogState>) {
    log.flush_ticket.begin();
    sync(home, log);
    if log.flush_ticket.end() {
        home.flush_queue.push(log);
    }
}

/// Syncs one log and tells who waits for it. An error takes the directory offline.
pub(super) fn sync(home: &Home, log: &LogState) {
    if home.is_offline() {
        return;
    }
    let before = log.durable();
    let batches = log.unsynced_batches.swap(0, Ordering::Relaxed);
    let began = home.env.clock.now();
    let synced = home.sync_names().and_then(|()| log.sync(&*home.env.disk));
    let took = home.env.clock.now().saturating_sub(began);
    home.syncs.synced(home, log, took, batches);
    match synced {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_queued_once_and_again_when_it_grew_during_its_sync() {
        let ticket = FlushTicket::default();
        assert!(ticket.ask());
        assert!(!ticket.ask(), "it waits already");
        ticket.begin();
        assert!(!ticket.end());
        assert!(ticket.ask());
        ticket.begin();
        assert!(!ticket.ask(), "its turn comes after this sync");
        assert!(!ticket.ask());
        assert!(ticket.end());
        assert!(!ticket.ask(), "it waits already");
        ticket.begin();
        assert!(!ticket.end());
    }
}
