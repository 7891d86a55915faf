//! The four offset checkpoints of a directory: where recovery begins, where logs start, up to where
//! they were replicated, and up to where they were compacted.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError};

use duramen_protocol::ids::TopicPartition;

use crate::env::Disk;

use super::atomic_file;
use super::checkpoint::{decode_offsets, encode_offsets};
use super::error::StorageError;
use super::home::Home;

pub(super) const RECOVERY_POINT: &str = "recovery-point-offset-checkpoint";
pub(super) const LOG_START: &str = "log-start-offset-checkpoint";
pub(super) const HIGH_WATERMARK: &str = "replication-offset-checkpoint";
pub(super) const CLEANED: &str = "cleaner-offset-checkpoint";

/// The checkpointed offsets of one log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Checkpointed {
    pub(super) recovery_point: i64,
    pub(super) log_start: i64,
    pub(super) high_watermark: i64,
    pub(super) cleaned: i64,
}

/// What the checkpoint files say.
#[derive(Debug)]
pub(super) struct Checkpoints(Mutex<State>);

#[derive(Debug)]
struct State {
    known: BTreeMap<TopicPartition, Checkpointed>,
    /// Logs found on the disk that nobody has loaded: their entries must stay.
    unloaded: usize,
    written: [Vec<u8>; 4],
}

impl Checkpoints {
    /// Reads the files of `dir`. One that does not decode counts as missing: recovery then begins
    /// earlier than it must.
    pub(super) fn load(disk: &dyn Disk, dir: &Path) -> io::Result<Self> {
        let mut state = State { known: BTreeMap::new(), unloaded: 0, written: Default::default() };
        let files = [RECOVERY_POINT, LOG_START, HIGH_WATERMARK, CLEANED];
        for ((which, name), written) in files.iter().enumerate().zip(&mut state.written) {
            let Some(bytes) = atomic_file::read(disk, &dir.join(name))? else { continue };
            match decode_offsets(&bytes) {
                Ok(entries) => {
                    for entry in entries {
                        let key = TopicPartition::new(entry.topic, entry.partition);
                        let known = state.known.entry(key).or_default();
                        *match which {
                            0 => &mut known.recovery_point,
                            1 => &mut known.log_start,
                            2 => &mut known.high_watermark,
                            _ => &mut known.cleaned,
                        } = entry.offset;
                    }
                    *written = bytes;
                }
                Err(error) => {
                    tracing::warn!(dir = %dir.display(), file = name, %error, "checkpoint ignored");
                }
            }
        }
        Ok(Self(Mutex::new(state)))
    }

    /// What was checkpointed for a log; zeros when nothing was.
    pub(super) fn of(&self, topic_partition: &TopicPartition) -> Checkpointed {
        self.lock().known.get(topic_partition).copied().unwrap_or_default()
    }

    /// Notes how many logs were found on the disk.
    pub(super) fn found(&self, count: usize) {
        self.lock().unloaded += count;
    }

    /// Notes that one of them was loaded or deleted.
    pub(super) fn loaded(&self) {
        let mut state = self.lock();
        state.unloaded = state.unloaded.saturating_sub(1);
    }

    /// Whether a mark of a clean shutdown would tell the truth about every log on the disk.
    pub(super) fn all_loaded(&self, was_clean: bool) -> bool {
        was_clean || self.lock().unloaded == 0
    }

    /// Forgets logs, on the disk too: one of the same name that is made later must not inherit
    /// the offsets.
    pub(super) fn forget(&self, home: &Home, logs: &[TopicPartition]) -> Result<(), StorageError> {
        let mut state = self.lock();
        let known = logs.iter().filter(|log| state.known.remove(log).is_some()).count();
        drop(state);
        if known > 0 { self.write(home) } else { Ok(()) }
    }

    /// Writes the files that would change.
    pub(super) fn write(&self, home: &Home) -> Result<(), StorageError> {
        home.check()?;
        let mut state = self.lock();
        for (key, log) in home.logs().iter() {
            // The recovery point is read last: it may only lag behind the truth.
            let high_watermark = log.high_watermark.load(Ordering::Acquire);
            let log_start = log.log_start.load(Ordering::Acquire);
            let cleaned = log.cleaned.load(Ordering::Acquire);
            let recovery_point = log.recovery_point();
            let offsets = Checkpointed { recovery_point, log_start, high_watermark, cleaned };
            state.known.insert(key.clone(), offsets);
        }
        let encode = |offset: fn(&Checkpointed) -> i64| {
            let entries = state.known.iter().filter(|(_, at)| offset(at) > 0);
            encode_offsets(entries.map(|(key, at)| (&*key.topic, key.partition, offset(at))))
        };
        let contents = [
            (RECOVERY_POINT, encode(|at| at.recovery_point)),
            (LOG_START, encode(|at| at.log_start)),
            (HIGH_WATERMARK, encode(|at| at.high_watermark)),
            (CLEANED, encode(|at| at.cleaned)),
        ];
        for ((name, bytes), written) in contents.into_iter().zip(&mut state.written) {
            if *written == bytes {
                continue;
            }
            let path = home.path.join(name);
            let result = atomic_file::write(&*home.env.disk, &path, &bytes);
            result.map_err(|error| home.judge("write", &path, &error))?;
            *written = bytes;
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
