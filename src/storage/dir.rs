//! A log directory: opened by one process at a time, closed with a marker that says so.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

use duramen_protocol::ids::{TopicId, TopicPartition, topic_id_to_base64};

use crate::env::{DirEntry, Disk, Env};

use super::atomic_file;
use super::background::Job;
use super::checkpoints::Checkpoints;
use super::error::{OpenError, StorageError, naming};
use super::home::{Home, Hooks, Limits};
use super::log::{Log, LogHandle};
use super::log_config::LogConfig;
use super::meta_properties::{self, FORMAT, MetaError, MetaProperties};
use super::space::SpaceMarks;
use super::{background, flusher};

/// Made last at a clean shutdown, removed first at the next start.
pub(super) const CLEAN_SHUTDOWN_FILE: &str = ".kafka_cleanshutdown";
pub(super) const LOCK_FILE: &str = ".lock";

/// What stands in the mark before the broker's epoch.
const CLEAN_PREFIX: &str = "{\"version\":0,\"brokerEpoch\":";

/// The broker epoch in a mark of a clean shutdown; `None` for one that is damaged, and so proves
/// nothing.
pub(super) fn decode_clean_shutdown(bytes: &[u8]) -> Option<i64> {
    std::str::from_utf8(bytes).ok()?.strip_prefix(CLEAN_PREFIX)?.strip_suffix('}')?.parse().ok()
}

/// How a directory is opened.
#[derive(Debug, Clone)]
pub struct LogDirOptions {
    /// `node.id`: a directory keeps to one.
    pub node_id: i32,
    /// The cluster that the directory must belong to; `None` takes what it says, or makes a new id.
    pub cluster_id: Option<String>,
    /// Who is told what happens on the directory's threads.
    pub hooks: Hooks,
    /// Run the flushers and the background work on threads of their own. Without them someone must
    /// call [`LogDir::run_once`], as a simulation does.
    pub threads: bool,
    /// How many logs are synced at the same time.
    pub flush_threads: usize,
    /// How many closed segments are kept open and mapped.
    pub max_open_segments: usize,
    /// How many of the bytes last appended to the directory count as being in memory.
    pub hot_bytes: u64,
    /// The part of the disk that only logs with [`LogConfig::may_use_reserve`] may use.
    pub space: SpaceMarks,
}

impl Default for LogDirOptions {
    fn default() -> Self {
        Self {
            node_id: 1,
            cluster_id: None,
            hooks: Hooks::default(),
            threads: true,
            flush_threads: 4,
            max_open_segments: 4096,
            hot_bytes: 256 << 20,
            space: SpaceMarks::default(),
        }
    }
}

/// An open log directory. Dropping it without [`LogDir::close`] is like a crash, only without one.
#[derive(Debug)]
pub struct LogDir {
    pub(super) home: Arc<Home>,
    meta: MetaProperties,
    was_clean: bool,
    threads: Vec<JoinHandle<()>>,
}

impl LogDir {
    /// Opens `path`, making it if it is not there. The mark of a clean shutdown is taken away at
    /// once: a crash from here on counts as one.
    ///
    /// # Errors
    /// [`OpenError`], each with the way out.
    pub fn open(env: &Env, path: &Path, options: LogDirOptions) -> Result<Self, OpenError> {
        let disk = &*env.disk;
        let unusable = |error: io::Error| OpenError::of_system(path, &error);
        create_dir(disk, path).map_err(unusable)?;
        let lock = disk.lock(&path.join(LOCK_FILE)).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => OpenError::InUse { path: path.to_owned() },
            _ => unusable(error),
        })?;
        let meta = load_meta(env, path, &options)?;
        let marker = path.join(CLEAN_SHUTDOWN_FILE);
        let mark = atomic_file::read(disk, &marker).map_err(unusable)?;
        let was_clean = mark.as_deref().and_then(decode_clean_shutdown).is_some();
        if mark.is_some() {
            disk.remove_file(&marker).map_err(unusable)?;
        }
        // The names of logs, too, that the last process made and did not sync.
        disk.sync_dir(path).map_err(unusable)?;
        // A third of the handles that the process may have, at most, and one a segment.
        let handles = usize::try_from(disk.max_open_files() / 3).unwrap_or(usize::MAX);
        let limits = Limits {
            open_segments: options.max_open_segments.min(handles),
            hot_bytes: options.hot_bytes,
            space: options.space,
        };
        let checkpoints = Checkpoints::load(disk, path).map_err(unusable)?;
        let owned = (path.to_owned(), lock);
        let hooks = options.hooks.clone();
        let home = Arc::new(Home::new(env.clone(), owned, hooks, checkpoints, limits));
        if let Ok(space) = env.disk.space(&home.path) {
            home.space.observe(&home.path, space, 0);
        }
        let threads = spawn_threads(&home, &options).map_err(unusable)?;
        Ok(Self { home, meta, was_clean, threads })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.home.path
    }

    /// Whose directory this is.
    pub fn meta(&self) -> &MetaProperties {
        &self.meta
    }

    /// Whether the last process closed the directory properly.
    pub fn was_clean(&self) -> bool {
        self.was_clean
    }

    /// Whether the directory failed and is not used any more before a restart.
    pub fn is_offline(&self) -> bool {
        self.home.is_offline()
    }

    /// Why the directory is offline.
    pub fn failure(&self) -> Option<Arc<str>> {
        self.home.failure()
    }

    /// Makes the log of a partition that has none.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn create_log(
        &self,
        topic_partition: &TopicPartition,
        topic_id: TopicId,
        config: LogConfig,
    ) -> Result<Log, StorageError> {
        self.home.check()?;
        self.home.checkpoints.forget(&self.home, std::slice::from_ref(topic_partition))?;
        Log::create(&self.home, topic_partition.clone(), topic_id, config)
    }

    /// Whether `log` lies in this directory.
    pub fn holds(&self, log: &Log) -> bool {
        Arc::ptr_eq(&self.home, &log.home)
    }

    /// Deletes logs: their names are gone when this returns, their files soon after. Slices that
    /// were read from them stay valid.
    ///
    /// # Errors
    /// [`StorageError`]: the first; what can be deleted is.
    pub fn delete_logs(&self, logs: Vec<Log>) -> Result<(), StorageError> {
        if logs.is_empty() {
            return Ok(());
        }
        let names: Vec<_> = logs.iter().map(|log| log.topic_partition().clone()).collect();
        let (mut gone, mut failed) = (Vec::new(), Ok(()));
        for log in logs {
            match log.delete() {
                Ok(renamed) => gone.push(renamed),
                Err(error) => failed = failed.and(Err(error)),
            }
        }
        self.home.name_made();
        self.sync_names()?;
        gone.into_iter().for_each(|tree| self.home.jobs.push(Job::RemoveTree(tree)));
        self.home.checkpoints.forget(&self.home, &names)?;
        failed
    }

    /// The logs that are open.
    pub fn logs(&self) -> Vec<LogHandle> {
        let logs = self.home.logs();
        let open = logs.values().filter(|state| !state.closed.load(Ordering::Acquire));
        open.map(|state| LogHandle::new(&self.home, state)).collect()
    }

    /// Writes the checkpoint files, each only if it would change: recovery points, log start
    /// offsets, high watermarks. Call it every few seconds.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn checkpoint(&self) -> Result<(), StorageError> {
        self.home.checkpoints.write(&self.home)
    }

    /// Makes the directories of new logs last, as the first sync of one does too.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn sync_names(&self) -> Result<(), StorageError> {
        let synced = self.home.sync_names();
        synced.map_err(|error| self.home.fail("sync", &self.home.path, &error))
    }

    /// How many logs are in the directory.
    pub fn log_count(&self) -> usize {
        self.home.logs().len()
    }

    /// Asks for a sync of the logs whose `flush.ms` has run out. Call it every now and then.
    pub fn flush_due(&self, now_ms: i64) {
        for log in self.home.logs().values() {
            let since = log.unflushed_since_ms.load(Ordering::Relaxed);
            let due = since.saturating_add(log.flush_ms.load(Ordering::Relaxed));
            if since != i64::MAX && due <= now_ms {
                self.home.flush_queue.request(log);
            }
        }
    }

    /// Does the work that waits for the directory's threads, on this one. Returns how much it was.
    pub fn run_once(&self) -> usize {
        flusher::run_once(&self.home) + background::run_once(&self.home)
    }

    /// Closes the directory. If all its logs were closed before and it did not fail, the next start
    /// trusts it without a scan. `broker_epoch` is -1 where there is none (KIP-966).
    ///
    /// # Errors
    /// [`StorageError`]; the next start recovers then.
    pub fn close(mut self, broker_epoch: i64) -> Result<(), StorageError> {
        self.stop_threads();
        self.run_once();
        self.home.check()?;
        self.checkpoint()?;
        let open = !self.logs().is_empty();
        if open || !self.home.checkpoints.all_loaded(self.was_clean) {
            tracing::warn!(dir = %self.home.path.display(), "closed with logs open: the next start will recover");
            return Ok(());
        }
        let disk = &*self.home.env.disk;
        let path = self.home.path.join(CLEAN_SHUTDOWN_FILE);
        let text = format!("{CLEAN_PREFIX}{broker_epoch}}}");
        let written = atomic_file::write(disk, &path, text.as_bytes());
        written.map_err(|error| self.home.judge("write", &path, &error))
    }

    fn stop_threads(&mut self) {
        self.home.flush_queue.stop();
        self.home.jobs.stop();
        let this = std::thread::current().id();
        // One of them may have held the directory last, in what it was told to call. It ends by itself.
        for thread in self.threads.drain(..).filter(|thread| thread.thread().id() != this) {
            // A thread that panicked has already said so.
            let _ = thread.join();
        }
    }
}

impl Drop for LogDir {
    fn drop(&mut self) {
        self.stop_threads();
    }
}

/// Makes a directory and those above it, and their names last.
fn create_dir(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    let mut missing = Vec::new();
    for dir in path.ancestors().filter(|dir| !dir.as_os_str().is_empty()) {
        if disk.exists(dir)? {
            break;
        }
        missing.push(dir);
    }
    disk.create_dir_all(path)?;
    for dir in missing {
        let above = dir.parent().filter(|dir| !dir.as_os_str().is_empty());
        disk.sync_dir(above.unwrap_or(Path::new(".")))?;
    }
    Ok(())
}

fn spawn_threads(home: &Arc<Home>, options: &LogDirOptions) -> io::Result<Vec<JoinHandle<()>>> {
    if !options.threads {
        return Ok(Vec::new());
    }
    let spawn = |name: &str, run: fn(&Home)| {
        let home = Arc::clone(home);
        std::thread::Builder::new().name(name.to_owned()).spawn(move || run(&home))
    };
    let flushers = (0..options.flush_threads.max(1)).map(|_| spawn("log-flusher", flusher::run));
    flushers.chain([spawn("log-background", background::run)]).collect()
}

/// What `meta.properties` of a directory says; `None` where there is none and no log either.
pub(super) fn read_meta(disk: &dyn Disk, path: &Path) -> Result<Option<MetaProperties>, OpenError> {
    let file = path.join(meta_properties::FILE_NAME);
    let unusable = |error: io::Error| OpenError::of_system(path, &error);
    let damaged = |reason: &str| OpenError::BadMetaProperties {
        path: file.clone(),
        reason: reason.to_owned(),
    };
    let Some(bytes) = atomic_file::read(disk, &file).map_err(unusable)? else {
        let listed = disk.list(path).map_err(unusable)?;
        if listed.iter().any(|entry| partition_of(entry).is_some()) {
            return Err(damaged("it is missing, but there are logs"));
        }
        return Ok(None);
    };
    MetaProperties::decode(&bytes).map(Some).map_err(|error| match error {
        MetaError::Damaged(reason) => damaged(reason),
        MetaError::Kafka => OpenError::Kafka { path: path.to_owned() },
        MetaError::Newer(found) => {
            OpenError::NewerFormat { path: path.to_owned(), found, supported: FORMAT }
        }
    })
}

fn load_meta(env: &Env, path: &Path, options: &LogDirOptions) -> Result<MetaProperties, OpenError> {
    let disk = &*env.disk;
    let Some(meta) = read_meta(disk, path)? else {
        let file = path.join(meta_properties::FILE_NAME);
        return make_meta(disk, &file, env, options)
            .map_err(|error| OpenError::of_system(path, &naming(&file)(error)));
    };
    let other = |field, found: &str, expected: &str| OpenError::OtherOwner {
        path: path.to_owned(),
        field,
        found: found.to_owned(),
        expected: expected.to_owned(),
    };
    match &options.cluster_id {
        Some(id) if *id != meta.cluster_id => Err(other("cluster.id", &meta.cluster_id, id)),
        _ if meta.node_id != options.node_id => {
            Err(other("node.id", &meta.node_id.to_string(), &options.node_id.to_string()))
        }
        _ => Ok(meta),
    }
}

fn make_meta(
    disk: &dyn Disk,
    file: &Path,
    env: &Env,
    options: &LogDirOptions,
) -> io::Result<MetaProperties> {
    let new_id = || topic_id_to_base64(&env.random.uuid());
    let meta = MetaProperties {
        cluster_id: options.cluster_id.clone().unwrap_or_else(new_id),
        node_id: options.node_id,
        directory_id: new_id(),
        format: FORMAT,
    };
    atomic_file::write(disk, file, meta.encode().as_bytes())?;
    Ok(meta)
}

/// The partition that a directory is named for: `orders-0`.
pub(super) fn partition_of(entry: &DirEntry) -> Option<TopicPartition> {
    let (topic, partition) = entry.name.rsplit_once('-')?;
    let plain = !topic.is_empty() && partition.bytes().all(|byte| byte.is_ascii_digit());
    let partition = partition.parse().ok().filter(|_| plain && entry.is_dir)?;
    Some(TopicPartition::new(topic, partition))
}

/// The directory of a partition.
pub(super) fn partition_dir(home: &Path, topic_partition: &TopicPartition) -> PathBuf {
    home.join(topic_partition.to_string())
}
