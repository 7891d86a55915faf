//! Holds producer snapshots against the log that they stand for.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::super::atomic_file;
use super::super::producer_snapshot::{self, SnapshotError};
use super::super::producer_state::{ProducerEntry, ProducerStates};
use super::super::segment::file_name;
use super::finding::{Finding, Severity};
use crate::env::Disk;

/// The snapshots of one partition.
#[derive(Debug, Default)]
pub(super) struct Snapshots {
    sound: BTreeMap<i64, ProducerStates>,
    /// Those that can't be believed.
    pub(super) damaged: Vec<i64>,
}

impl Snapshots {
    /// Reads the snapshots at `offsets`, in order; tells of those that do not decode.
    pub(super) fn read(
        disk: &dyn Disk,
        dir: &Path,
        offsets: &[i64],
        mut tell: impl FnMut(Finding),
    ) -> io::Result<Self> {
        let mut snapshots = Self::default();
        for offset in offsets.iter().copied() {
            let path = dir.join(file_name(offset, "snapshot"));
            match decode(disk, &path, offset)? {
                Some(Ok(states)) => _ = snapshots.sound.insert(offset, states),
                Some(Err(error)) => {
                    tell(Finding::new(&path, Severity::Derived, error));
                    snapshots.damaged.push(offset);
                }
                None => {}
            }
        }
        Ok(snapshots)
    }

    /// Where to begin to follow the producers of a log whose first segment is at `base`.
    pub(super) fn begin(&self, base: i64) -> ProducerStates {
        self.sound.get(&base).cloned().unwrap_or_else(|| ProducerStates::starting_at(base))
    }

    /// The snapshot at `offset` against the producers that the log tells of from `from` on.
    pub(super) fn check(
        &mut self,
        dir: &Path,
        offset: i64,
        from: i64,
        told: &ProducerStates,
    ) -> Option<Finding> {
        let snapshot = self.sound.remove(&offset)?;
        let wrong = snapshot.iter().find(|(id, entry)| {
            let last = last_of(entry);
            // What a transaction's marker did is not told here.
            let is_told =
                entry.coordinator_epoch < 0 && last.is_some_and(|(_, offset)| offset >= from);
            is_told
                && told
                    .get(*id)
                    .is_none_or(|told| told.epoch != entry.epoch || last_of(told) != last)
        });
        let (id, _) = wrong?;
        self.damaged.push(offset);
        let path = dir.join(file_name(offset, "snapshot"));
        let reason = format!("it says something else of producer {id} than the log does");
        Some(Finding::new(&path, Severity::Derived, reason))
    }

    /// The lowest offset up to `to` at which there is a sound snapshot that was not checked yet.
    pub(super) fn next(&self, to: i64) -> Option<i64> {
        self.sound.range(..=to).next().map(|(offset, _)| *offset)
    }
}

fn last_of(entry: &ProducerEntry) -> Option<(i32, i64)> {
    entry.batches.back().map(|batch| (batch.last_sequence, batch.last_offset))
}

/// The producers in a snapshot; `None` when the file went away.
pub(super) fn decode(
    disk: &dyn Disk,
    path: &Path,
    offset: i64,
) -> io::Result<Option<Result<ProducerStates, SnapshotError>>> {
    let bytes = atomic_file::read(disk, path)?;
    Ok(bytes.map(|bytes| producer_snapshot::decode(&bytes, offset, 0, i64::MAX)))
}
