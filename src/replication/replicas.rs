//! The table of partitions on this broker, kept as the metadata says.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use duramen_protocol::error::ErrorCode;
use duramen_protocol::ids::{TopicId, TopicPartition};
use duramen_protocol::text::Text;
use tracing::{error, info, warn};

use super::partition::Partition;
use super::topic_key::TopicKey;
use crate::config::TopicConfig;
use crate::metadata::MetadataDelta;
use crate::storage::validate::BatchRules;
use crate::storage::{DirFigures, Log, LogConfig, LogDir, StorageError, UnrecoveredLog};

/// The partitions, by topic.
#[derive(Debug, Default)]
struct Table {
    by_id: HashMap<TopicId, Hosted>,
    by_name: HashMap<Text, TopicId>,
}

/// The partitions of one topic that are on this broker.
#[derive(Debug)]
struct Hosted {
    partitions: BTreeMap<i32, Arc<Partition>>,
}

/// A log directory as others see it.
#[derive(Debug)]
pub(crate) struct Directory {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// It failed, and is not used before a restart.
    pub(crate) offline: bool,
    /// The partitions in it.
    pub(crate) partitions: Vec<Arc<Partition>>,
}

/// The partitions of this broker.
#[derive(Debug)]
pub(crate) struct Replicas {
    node_id: i32,
    /// `producer.id.expiration.ms`.
    producer_expiration_ms: i64,
    /// Empty once closed.
    dirs: RwLock<Vec<LogDir>>,
    table: RwLock<Table>,
    /// Logs that were found at start and that no metadata has asked for yet.
    found: Mutex<HashMap<TopicPartition, UnrecoveredLog>>,
}

/// The settings of a topic by its name, as of the image that is being applied.
pub(crate) type ConfigOf<'a> = &'a (dyn Fn(&str) -> TopicConfig + Sync);

impl Replicas {
    /// No partitions yet; `found` are the logs that lie in `dirs`.
    pub(crate) fn new(
        node_id: i32,
        producer_expiration_ms: i64,
        dirs: Vec<LogDir>,
        found: Vec<UnrecoveredLog>,
    ) -> Self {
        let found = found.into_iter().map(|log| (log.topic_partition().clone(), log)).collect();
        Self {
            node_id,
            producer_expiration_ms,
            dirs: RwLock::new(dirs),
            table: RwLock::default(),
            found: Mutex::new(found),
        }
    }

    /// A partition as a request names it.
    pub(crate) fn find(&self, topic: &TopicKey, index: i32) -> Result<Arc<Partition>, ErrorCode> {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        let hosted = match topic {
            TopicKey::Id(id) => table.by_id.get(id).ok_or(ErrorCode::UnknownTopicId)?,
            TopicKey::Name(name) => {
                let id = table.by_name.get(name.as_str());
                id.and_then(|id| table.by_id.get(id)).ok_or(ErrorCode::UnknownTopicOrPartition)?
            }
        };
        hosted.partitions.get(&index).cloned().ok_or(ErrorCode::UnknownTopicOrPartition)
    }

    /// Makes this broker what `delta` says: logs opened or made, deleted, reconfigured. Blocks on
    /// the disk. What fails is logged and stays missing; the rest is done.
    pub(crate) fn apply(&self, delta: &MetadataDelta, config_of: ConfigOf<'_>) {
        let (mut wanted, mut unwanted) = (Vec::new(), Vec::new());
        for change in delta.partitions() {
            let name = TopicPartition::new(change.topic.name().clone(), change.index);
            match change.after.filter(|partition| partition.has_replica(self.node_id)) {
                None => unwanted.extend(self.remove(&name, change.topic.id())),
                Some(after) if change.before.is_none_or(|it| !it.has_replica(self.node_id)) => {
                    wanted.push((name, change.topic.id(), after.leader_epoch));
                }
                Some(after) => self.follow_term(&name, change.topic.id(), after.leader_epoch),
            }
        }
        self.delete(unwanted);
        self.open_all(wanted, config_of);
    }

    /// A partition that is here already goes on in a newer term of its leader.
    fn follow_term(&self, name: &TopicPartition, id: TopicId, leader_epoch: i32) {
        let Ok(partition) = self.find(&TopicKey::Id(id), name.partition) else { return };
        if let Err(error) = partition.begin_term(leader_epoch) {
            error!(partition = %name, error = error.name(), "cannot lead a partition in a new term");
        }
    }

    /// Gives every log the settings that `image` and the broker's own settings now make for it.
    pub(crate) fn reconfigure(&self, topics: impl Iterator<Item = Text>, config_of: ConfigOf<'_>) {
        for topic in topics {
            for partition in self.of_topic(&topic) {
                let config = config_of(&topic);
                partition.set_config(self.log_config(&config), BatchRules::from(&config));
            }
        }
    }

    /// Opens partitions, several at once: recovery reads the unflushed tail of each.
    fn open_all(&self, wanted: Vec<(TopicPartition, TopicId, i32)>, config_of: ConfigOf<'_>) {
        // Asking the system how many there may be opens files of its own.
        let threads = match wanted.len() {
            few @ 0..=1 => few,
            many => std::thread::available_parallelism().map_or(1, usize::from).min(many),
        };
        let queue = Mutex::new(wanted.into_iter());
        let work = || {
            while let Some((name, id, epoch)) = lock(&queue).next() {
                let config = config_of(&name.topic);
                match self.open(&name, id, self.log_config(&config)) {
                    Ok(log) => self.lead(log, epoch, BatchRules::from(&config)),
                    Err(error) => error!(partition = %name, %error, "cannot open a partition"),
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(work);
            }
            work();
        });
    }

    /// The log of a partition: the one found at start, or a new one.
    fn open(
        &self,
        name: &TopicPartition,
        id: TopicId,
        config: LogConfig,
    ) -> Result<Log, StorageError> {
        let found = lock(&self.found).remove(name);
        match found {
            // A directory that lost its partition.metadata is taken for what its name says.
            Some(found) if found.topic_id().is_none_or(|found| found == id) => {
                Ok(found.recover(id, config)?.log)
            }
            Some(found) => {
                set_aside(found)?;
                self.create(name, id, config)
            }
            None => self.create(name, id, config),
        }
    }

    /// A new log in the directory with the fewest among those that work.
    fn create(
        &self,
        name: &TopicPartition,
        id: TopicId,
        config: LogConfig,
    ) -> Result<Log, StorageError> {
        let dirs = self.dirs();
        let working = dirs.iter().filter(|dir| !dir.is_offline());
        let roomiest = working.min_by_key(|dir| dir.log_count()).or(dirs.first());
        roomiest.ok_or(StorageError::Closed)?.create_log(name, id, config)
    }

    fn log_config(&self, config: &TopicConfig) -> LogConfig {
        LogConfig::of(config, self.producer_expiration_ms)
    }

    fn dirs(&self) -> RwLockReadGuard<'_, Vec<LogDir>> {
        self.dirs.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn lead(&self, log: Log, leader_epoch: i32, rules: BatchRules) {
        let name = log.topic_partition().clone();
        match Partition::lead(log, leader_epoch, rules) {
            Ok(partition) => self.insert(Arc::new(partition)),
            Err(error) => error!(partition = %name, %error, "cannot lead a partition"),
        }
    }

    fn insert(&self, partition: Arc<Partition>) {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        let (name, id) = (partition.name().clone(), partition.topic_id());
        table.by_name.insert(name.topic.clone(), id);
        let hosted = table.by_id.entry(id);
        let hosted = hosted.or_insert_with(|| Hosted { partitions: BTreeMap::new() });
        hosted.partitions.insert(name.partition, partition);
    }

    /// Takes a partition out of the table. Returns its log.
    fn remove(&self, name: &TopicPartition, id: TopicId) -> Option<Log> {
        let removed = {
            let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
            let hosted = table.by_id.get_mut(&id)?;
            let removed = hosted.partitions.remove(&name.partition);
            if hosted.partitions.is_empty() {
                table.by_id.remove(&id);
                if table.by_name.get(name.topic.as_str()) == Some(&id) {
                    table.by_name.remove(name.topic.as_str());
                }
            }
            removed
        };
        removed?.take_log()
    }

    fn delete(&self, mut logs: Vec<Log>) {
        for dir in self.dirs().iter() {
            let (here, others) = logs.into_iter().partition(|log| dir.holds(log));
            logs = others;
            if let Err(error) = dir.delete_logs(here) {
                error!(dir = %dir.path().display(), %error, "cannot delete logs");
            }
        }
    }

    /// Sets aside the logs that were found at start and that no metadata has asked for: their topics
    /// were deleted while this broker was down, or the metadata is not what it was.
    pub(crate) fn set_strays_aside(&self) {
        let found: Vec<_> = lock(&self.found).drain().collect();
        for (name, log) in found {
            if let Err(error) = set_aside(log) {
                error!(partition = %name, %error, "cannot set a log aside that no topic owns");
            }
        }
    }

    /// More of a log is on the disk: called on the thread of its directory's flusher.
    pub(crate) fn on_durable(&self, name: &TopicPartition) {
        if let Ok(partition) = self.find(&TopicKey::Name(name.topic.clone()), name.partition) {
            partition.on_durable();
        }
    }

    /// A directory failed: whoever waits for its disk waits in vain.
    pub(crate) fn on_offline(&self, path: &Path) {
        for dir in self.directories().into_iter().filter(|dir| dir.path == path) {
            dir.partitions.iter().for_each(|partition| partition.on_offline());
        }
    }

    /// The chores of every log, and the checkpoints of every directory. Blocks on the disk.
    pub(crate) fn maintain(&self, now_ms: i64) {
        for partition in self.all() {
            match partition.maintain(now_ms) {
                Ok(outcome) if outcome.segments > 0 => info!(
                    partition = %partition.name(), segments = outcome.segments, bytes = outcome.bytes,
                    "retention let segments go"
                ),
                Ok(_) => {}
                Err(error) => {
                    warn!(partition = %partition.name(), error = error.name(), "cannot maintain a log");
                }
            }
        }
    }

    /// Writes the checkpoints of every directory. Blocks on the disk.
    pub(crate) fn checkpoint(&self) {
        for dir in self.dirs().iter().filter(|dir| !dir.is_offline()) {
            if let Err(error) = dir.checkpoint() {
                warn!(dir = %dir.path().display(), %error, "cannot write checkpoints");
            }
        }
    }

    /// Has the logs synced whose `flush.ms` ran out.
    pub(crate) fn flush_due(&self, now_ms: i64) {
        self.dirs().iter().for_each(|dir| dir.flush_due(now_ms));
    }

    /// Why a log directory is offline, in one line that names it; `None` when those that are `asked`
    /// about all work.
    pub(crate) fn failure(&self, asked: impl Fn(&Path) -> bool) -> Option<String> {
        let dirs = self.dirs();
        let mut asked = dirs.iter().filter(|dir| asked(dir.path()));
        let failed = asked.find_map(|dir| dir.failure().map(|why| (dir.path().to_owned(), why)));
        failed.map(|(path, reason)| StorageError::Offline { path, reason }.to_string())
    }

    /// The log directories and what is in them.
    pub(crate) fn directories(&self) -> Vec<Directory> {
        let partitions = self.all();
        let in_dir = |dir: &LogDir| {
            let here: HashSet<TopicPartition> =
                dir.logs().iter().map(|log| log.topic_partition().clone()).collect();
            partitions.iter().filter(|partition| here.contains(partition.name())).cloned().collect()
        };
        self.dirs()
            .iter()
            .map(|dir| Directory {
                path: dir.path().to_owned(),
                offline: dir.is_offline(),
                partitions: in_dir(dir),
            })
            .collect()
    }

    /// What the log directories tell of themselves. Asks their disks.
    pub(crate) fn figures(&self) -> Vec<DirFigures> {
        self.dirs().iter().map(LogDir::figures).collect()
    }

    /// Every partition on this broker.
    pub(crate) fn all(&self) -> Vec<Arc<Partition>> {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        table.by_id.values().flat_map(|hosted| hosted.partitions.values().cloned()).collect()
    }

    fn of_topic(&self, name: &str) -> Vec<Arc<Partition>> {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        let hosted = table.by_name.get(name).and_then(|id| table.by_id.get(id));
        hosted.map(|hosted| hosted.partitions.values().cloned().collect()).unwrap_or_default()
    }

    /// Closes every log and then every directory, so that the next start trusts them.
    pub(crate) fn close(&self) {
        for partition in self.all() {
            let closed = partition.take_log().map_or(Ok(()), Log::close);
            if let Err(error) = closed {
                warn!(partition = %partition.name(), %error, "cannot close a log; the next start recovers it");
            }
        }
        let dirs = std::mem::take(&mut *self.dirs.write().unwrap_or_else(PoisonError::into_inner));
        for dir in dirs {
            let path = dir.path().to_owned();
            if let Err(error) = dir.close(-1) {
                warn!(dir = %path.display(), %error, "cannot close a log directory; the next start recovers it");
            }
        }
    }
}

fn set_aside(log: UnrecoveredLog) -> Result<(), StorageError> {
    let partition = log.topic_partition().clone();
    let aside = log.set_aside()?;
    warn!(
        %partition, kept = %aside.display(),
        "no topic owns this log: it is set aside; remove it when its records are not needed"
    );
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
