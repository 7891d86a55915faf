//! What the benches of a log share: a directory that goes away, one log in it, one batch.

use bytes::Bytes;
use duramen::config::TopicConfig;
use duramen::env::Env;
use duramen::storage::producer_state::Origin;
use duramen::storage::validate::BatchRules;
use duramen::storage::{AppendInfo, Log, LogConfig, LogDir, LogDirOptions};
use duramen_protocol::ids::TopicPartition;
use duramen_protocol::records::{BatchBuilder, BatchOptions};
use tempfile::TempDir;
use uuid::Uuid;

/// Wall time of the benches, in ms since 1970.
pub(crate) const NOW_MS: i64 = 1_700_000_000_000;

/// A batch of records of 100 bytes, as a client sends it.
pub(crate) fn batch(size: usize) -> Bytes {
    let mut builder = BatchBuilder::new(size);
    while builder.append(NOW_MS, None, Some(&[b'x'; 100]), &[]).unwrap() {}
    builder.build(&BatchOptions::default()).unwrap()
}

/// What a topic with Kafka's defaults asks of a batch.
pub(crate) fn rules() -> BatchRules {
    BatchRules::from(&TopicConfig::default())
}

/// An append by a client.
pub(crate) fn info() -> AppendInfo {
    AppendInfo { leader_epoch: 0, now_ms: NOW_MS, origin: Origin::Client }
}

/// A directory with one log in it, without threads: [`Place::sync`] is the flusher.
pub(crate) struct Place {
    // The directory goes before the folder that it lies in.
    log: Option<Log>,
    dir: LogDir,
    config: LogConfig,
    _folder: TempDir,
}

impl Place {
    /// A new directory with an empty log.
    pub(crate) fn new(config: &LogConfig) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = LogDirOptions { threads: false, ..LogDirOptions::default() };
        let dir = LogDir::open(&Env::real(), folder.path(), options).unwrap();
        Self { log: None, dir, config: config.clone(), _folder: folder }
    }

    /// The log, made anew when it has grown beyond `size_max` bytes.
    pub(crate) fn log(&mut self, size_max: u64) -> &mut Log {
        if let Some(full) = self.log.take_if(|log| log.size_bytes() > size_max) {
            self.dir.delete_logs(vec![full]).unwrap();
            self.dir.run_once();
        }
        self.log.get_or_insert_with(|| {
            let orders = TopicPartition::new("orders", 0);
            self.dir.create_log(&orders, Uuid::from_u128(7), self.config.clone()).unwrap()
        })
    }

    /// Syncs what was appended.
    #[allow(dead_code, reason = "reading needs no sync")]
    pub(crate) fn sync(&self) {
        self.dir.run_once();
    }
}
