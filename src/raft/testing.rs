//! What tests of this floor and those above share: a metadata log in a temporary directory or on a
//! simulated disk, to be stopped, crashed, and started again.

use std::path::PathBuf;
use std::sync::Arc;

use duramen_protocol::ids::METADATA_TOPIC_ID;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::log::{FlushSignal, metadata_log_config, metadata_partition};
use super::single::{self, SingleOptions};
use super::{CommittedStream, Raft};
use crate::env::Env;
use crate::env::sim::SimEnv;
use crate::storage::{Hooks, Log, LogDir, LogDirOptions, LogHandle};

pub(crate) const NODE_ID: i32 = 1;

/// A directory that outlives the nodes that run in it.
pub(crate) struct Disk {
    env: Env,
    path: PathBuf,
    /// Removed at the end; `None` on a simulated disk.
    _dir: Option<TempDir>,
}

/// A running metadata log.
pub(crate) struct Node {
    pub(crate) raft: Raft,
    pub(crate) log: LogHandle,
    driver: JoinHandle<()>,
    cancel: CancellationToken,
    dir: LogDir,
}

impl Disk {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { env: Env::real(), path: dir.path().to_owned(), _dir: Some(dir) }
    }

    /// A directory of a simulated world.
    pub(crate) fn simulated(world: &SimEnv) -> Self {
        Self { env: world.env(), path: PathBuf::from("/data"), _dir: None }
    }

    /// Where the metadata log is.
    pub(crate) fn log_dir(&self) -> PathBuf {
        self.path.join(metadata_partition().to_string())
    }

    /// The open directory and the metadata log in it.
    pub(crate) fn open(&self) -> (LogDir, Log, FlushSignal) {
        let flushed = FlushSignal::default();
        let (durable, offline) = (flushed.clone(), flushed.clone());
        let hooks = Hooks {
            durable: Some(Arc::new(move |_, _| durable.wake())),
            offline: Some(Arc::new(move |_, _| offline.wake())),
        };
        let options = LogDirOptions { node_id: NODE_ID, hooks, ..LogDirOptions::default() };
        let dir = LogDir::open(&self.env, &self.path, options).unwrap();
        let config = metadata_log_config(0);
        let log = match dir.unrecovered().unwrap().pop() {
            Some(found) => found.recover(METADATA_TOPIC_ID, config).unwrap().log,
            None => dir.create_log(&metadata_partition(), METADATA_TOPIC_ID, config).unwrap(),
        };
        (dir, log, flushed)
    }

    pub(crate) fn start(&self) -> (Node, CommittedStream) {
        self.run(self.open())
    }

    /// Starts on what was opened.
    pub(crate) fn run(
        &self,
        (dir, log, flushed): (LogDir, Log, FlushSignal),
    ) -> (Node, CommittedStream) {
        let handle = log.handle();
        let (raft, committed, driver) = single::new(SingleOptions {
            node_id: NODE_ID,
            env: self.env.clone(),
            log,
            dir: self.log_dir(),
            flushed,
        });
        let cancel = CancellationToken::new();
        let driver = tokio::spawn(driver.run(cancel.clone()));
        (Node { raft, log: handle, driver, cancel, dir }, committed)
    }
}

impl Node {
    /// Closes everything properly.
    pub(crate) async fn stop(self) {
        self.cancel.cancel();
        self.driver.await.unwrap();
        let _none_is_written = self.raft.snapshot_turn.acquire().await.unwrap();
        self.dir.close(-1).unwrap();
    }

    /// Leaves the files as they are.
    pub(crate) async fn crash(self) {
        self.driver.abort();
        let _ = self.driver.await;
        // A process that is gone writes no snapshot either.
        let _none_is_written = self.raft.snapshot_turn.acquire().await.unwrap();
    }
}
