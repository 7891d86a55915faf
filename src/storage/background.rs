//! The work of a directory that nobody waits for: syncing what can be rebuilt, removing files.
//! One thread does it in order, so an older version of a file never replaces a newer one.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::atomic_file;
use super::flusher::{self, vanished};
use super::home::Home;
use super::inspect::Inspection;
use super::log_state::LogState;
use super::segment::is_full;

/// A piece of work. All of it is repeated or made up for after a crash.
#[derive(Debug)]
pub(super) enum Job {
    /// A segment was closed: sync it and its indexes, then recovery may begin after it.
    FinishSegment { log: Arc<LogState>, base: i64, indexes: Vec<PathBuf> },
    /// Write `leader-epoch-checkpoint`.
    Epochs { log: Arc<LogState>, path: PathBuf, version: u64, bytes: Vec<u8> },
    /// Write a producer snapshot.
    Snapshot { log: Arc<LogState>, path: PathBuf, generation: u64, bytes: Vec<u8> },
    /// Look at the batches of a closed segment.
    Inspect { log: Arc<LogState>, inspection: Inspection },
    /// Remove files, in this order; sync the names in their directory first, if they were not yet.
    RemoveFiles { paths: Vec<PathBuf>, unsynced: Option<PathBuf> },
    /// Remove a directory and all in it.
    RemoveTree(PathBuf),
}

/// Jobs in order. There are a few per segment rolled or log deleted, each a few hundred bytes
/// (a snapshot: 46 bytes a producer), so the queue has no bound of its own.
#[derive(Debug, Default)]
pub(super) struct JobQueue {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct State {
    jobs: VecDeque<Job>,
    stop: bool,
}

impl JobQueue {
    pub(super) fn push(&self, job: Job) {
        self.lock().jobs.push_back(job);
        self.wake.notify_all();
    }

    /// Ends the thread once the queue is empty.
    pub(super) fn stop(&self) {
        self.lock().stop = true;
        self.wake.notify_all();
    }

    fn next(&self, wait: bool) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                return Some(job);
            }
            if state.stop || !wait {
                return None;
            }
            state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The background thread.
pub(super) fn run(home: &Home) {
    while let Some(job) = home.jobs.next(true) {
        perform(home, job);
    }
}

/// Does what waits now, on the caller's thread. Returns how many jobs that were.
pub(super) fn run_once(home: &Home) -> usize {
    let mut done = 0;
    while let Some(job) = home.jobs.next(false) {
        perform(home, job);
        done += 1;
    }
    done
}

fn perform(home: &Home, job: Job) {
    if home.is_offline() {
        return;
    }
    let disk = &*home.env.disk;
    match job {
        Job::FinishSegment { log, base, indexes } => {
            flusher::sync(home, &log);
            let synced = indexes.iter().try_for_each(|path| atomic_file::sync_if_there(disk, path));
            if settle(home, Some(&log), "sync the indexes of", synced) {
                log.finished(base);
                // The next start begins behind this segment. An error takes the directory offline
                // by itself; a full disk only makes that start longer.
                let _ = home.checkpoints.write(home);
            }
        }
        Job::Epochs { log, path, version, bytes } => {
            let written = log.write_epochs(disk, &path, (version, &bytes));
            settle(home, Some(&log), "write the epochs of", written);
        }
        Job::Snapshot { log, path, generation, bytes } => {
            let written = log.write_snapshot(disk, &path, (generation, &bytes));
            settle(home, Some(&log), "write a producer snapshot of", written);
        }
        Job::Inspect { log, inspection } => match inspection.run(home) {
            Ok(finding) => log.add_finding(finding),
            // Deleted meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => _ = settle(home, Some(&log), "inspect", Err(error)),
        },
        Job::RemoveFiles { paths, unsynced } => {
            let synced = match unsynced.map(|dir| disk.sync_dir(&dir)) {
                // The log was deleted, and the files with it.
                Some(Err(error)) if error.kind() == io::ErrorKind::NotFound => return,
                synced => synced.unwrap_or(Ok(())),
            };
            let remove = || paths.iter().try_for_each(|path| atomic_file::remove(disk, path));
            settle(home, None, "remove files of", synced.and_then(|()| remove()));
        }
        Job::RemoveTree(path) => {
            let removed = match disk.remove_dir_all(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                other => other,
            };
            settle(home, None, "remove a deleted log of", removed);
        }
    }
}

/// Whether the job is done. A full disk leaves it undone, which only makes recovery longer.
fn settle(home: &Home, log: Option<&LogState>, doing: &str, result: io::Result<()>) -> bool {
    let Err(error) = result else { return true };
    let gone = log.is_some_and(|log| vanished(log, &error));
    if !gone && !is_full(&error) {
        home.judge(doing, log.map_or(&home.path, |log| &log.dir), &error);
    }
    false
}
