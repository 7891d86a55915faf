//! Snapshot files: the whole state at one offset, so that the log before it can go.
//!
//! `<end offset, 20 digits>-<epoch, 10 digits>.checkpoint` holds record batches, as the log does: a
//! first with the header, then the metadata records, a last with the footer, which counts them and
//! carries a CRC-32 over all. It is written under `….checkpoint.part`, synced and then renamed; a
//! file that fails any check counts as absent, and an older one is taken.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use duramen_protocol::metadata::{
    Framed, MetadataRecord, SNAPSHOT_VERSION, SnapshotFooter, SnapshotHeader,
};
use duramen_protocol::records::BatchView;
use duramen_protocol::records::stamp::{stamp_base_offset, stamp_leader_epoch};

use super::batch::{encode_values, values};
use super::error::SnapshotError;
use crate::env::{Disk, OpenMode};

const SUFFIX: &str = ".checkpoint";
const PART_SUFFIX: &str = ".checkpoint.part";

/// Bytes of values that go into one batch of a snapshot.
const BATCH_BYTES: usize = if cfg!(test) { 256 } else { 1024 * 1024 };

/// The largest snapshot that is read.
const SNAPSHOT_MAX_BYTES: usize = 4 * 1024 * 1024 * 1024 - 1;

/// Which state a snapshot holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SnapshotId {
    /// The first offset that is not in the snapshot.
    pub end_offset: i64,
    /// The quorum epoch of the last metadata record in it.
    pub epoch: i32,
}

impl SnapshotId {
    /// The name of its file.
    #[must_use]
    pub fn file_name(self) -> String {
        format!("{:020}-{:010}{SUFFIX}", self.end_offset, self.epoch)
    }

    fn from_file_name(name: &str) -> Option<Self> {
        let (end_offset, epoch) = name.strip_suffix(SUFFIX)?.split_once('-')?;
        if end_offset.len() != 20 || epoch.len() != 10 {
            return None;
        }
        Some(Self { end_offset: end_offset.parse().ok()?, epoch: epoch.parse().ok()? })
    }
}

/// A whole state at one offset.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// Which state it is.
    pub id: SnapshotId,
    /// The wall clock time (ms) of the last metadata record in it.
    pub timestamp: i64,
    /// Metadata records that give the state when they are replayed on nothing.
    pub records: Vec<MetadataRecord>,
}

/// The snapshots in the metadata log's directory.
#[derive(Debug, Clone)]
pub struct SnapshotStore {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
}

impl SnapshotStore {
    /// The snapshots in `dir`, which exists.
    #[must_use]
    pub fn new(disk: Arc<dyn Disk>, dir: PathBuf) -> Self {
        Self { disk, dir }
    }

    /// Where they are.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The snapshots there are, the newest first; they were not opened yet.
    ///
    /// # Errors
    ///
    /// As the operating system says.
    pub fn list(&self) -> io::Result<Vec<SnapshotId>> {
        let entries = self.disk.list(&self.dir)?;
        let mut ids: Vec<_> =
            entries.iter().filter_map(|entry| SnapshotId::from_file_name(&entry.name)).collect();
        ids.sort_unstable_by(|a, b| b.cmp(a));
        Ok(ids)
    }

    /// Reads a snapshot.
    ///
    /// # Errors
    ///
    /// See [`SnapshotError`].
    pub fn read(&self, id: SnapshotId) -> Result<Snapshot, SnapshotError> {
        let bytes = self.disk.read(&self.dir.join(id.file_name()), SNAPSHOT_MAX_BYTES)?;
        decode(id, &bytes)
    }

    /// Writes a snapshot; when this returns it is on disk under its name.
    ///
    /// # Errors
    ///
    /// See [`SnapshotError`]; there is no such snapshot then.
    pub fn write(&self, snapshot: &Snapshot) -> Result<(), SnapshotError> {
        let name = snapshot.id.file_name();
        let part = self.dir.join(name.replace(SUFFIX, PART_SUFFIX));
        let file = self.disk.open(&part, OpenMode::Truncate)?;
        let mut position = 0;
        for batch in encode(snapshot)? {
            file.write_at(&[IoSlice::new(&batch)], position)?;
            position += u64::try_from(batch.len()).unwrap_or(u64::MAX);
        }
        file.sync_data()?;
        drop(file);
        self.disk.rename(&part, &self.dir.join(name))?;
        self.disk.sync_dir(&self.dir)?;
        Ok(())
    }

    /// Removes what the newest two snapshots make superfluous, and what an interrupted write left.
    /// Gives back the older of the two: the log below it may go. The newest alone is not trusted
    /// with everything, for a disk may damage any file.
    ///
    /// # Errors
    ///
    /// As the operating system says.
    pub fn retire(&self) -> io::Result<Option<SnapshotId>> {
        let kept = self.list()?.get(1).copied();
        for entry in self.disk.list(&self.dir)? {
            let id = SnapshotId::from_file_name(&entry.name);
            let is_old = id.is_some_and(|id| kept.is_some_and(|kept| id < kept));
            if is_old || entry.name.ends_with(PART_SUFFIX) {
                self.disk.remove_file(&self.dir.join(&entry.name))?;
            }
        }
        Ok(kept)
    }
}

/// The batches of a snapshot file.
fn encode(snapshot: &Snapshot) -> Result<Vec<Bytes>, SnapshotError> {
    let header = Framed::Header(SnapshotHeader {
        version: SNAPSHOT_VERSION,
        last_contained_offset: snapshot.id.end_offset - 1,
        last_contained_epoch: snapshot.id.epoch,
        last_contained_timestamp: snapshot.timestamp,
    });
    let mut file = FileBuilder::new(snapshot);
    file.push_batch(vec![header.encode()])?;
    let mut checksum = crc32fast::Hasher::new();
    let mut pending = Vec::new();
    let mut pending_bytes = 0;
    for record in &snapshot.records {
        let value = record.to_value();
        checksum.update(&value);
        pending_bytes += value.len();
        pending.push(value);
        if pending_bytes >= BATCH_BYTES {
            file.push_batch(std::mem::take(&mut pending))?;
            pending_bytes = 0;
        }
    }
    if !pending.is_empty() {
        file.push_batch(pending)?;
    }
    let footer = Framed::Footer(SnapshotFooter {
        record_count: u64::try_from(snapshot.records.len()).unwrap_or(u64::MAX),
        records_crc32: checksum.finalize(),
    });
    file.push_batch(vec![footer.encode()])?;
    Ok(file.batches)
}

struct FileBuilder {
    batches: Vec<Bytes>,
    next_index: i64,
    timestamp: i64,
    epoch: i32,
}

impl FileBuilder {
    fn new(snapshot: &Snapshot) -> Self {
        Self {
            batches: Vec::new(),
            next_index: 0,
            timestamp: snapshot.timestamp,
            epoch: snapshot.id.epoch,
        }
    }

    fn push_batch(&mut self, values: Vec<Bytes>) -> Result<(), SnapshotError> {
        let count = i64::try_from(values.len()).unwrap_or(i64::MAX);
        let batch = encode_values(values, self.timestamp).map_err(damaged)?;
        let mut batch = Vec::from(batch);
        stamp_base_offset(&mut batch, self.next_index).map_err(damaged)?;
        stamp_leader_epoch(&mut batch, self.epoch).map_err(damaged)?;
        self.next_index += count;
        self.batches.push(batch.into());
        Ok(())
    }
}

fn damaged(error: impl ToString) -> SnapshotError {
    SnapshotError::Damaged(error.to_string())
}

fn decode(id: SnapshotId, bytes: &[u8]) -> Result<Snapshot, SnapshotError> {
    let mut header = None;
    let mut footer = None;
    let mut records = Vec::new();
    let mut checksum = crc32fast::Hasher::new();
    let mut scratch = Vec::new();
    for batch in BatchView::iter(bytes) {
        let batch = batch.map_err(damaged)?;
        for value in values(&batch, &mut scratch).map_err(SnapshotError::Damaged)? {
            match Framed::decode(value)? {
                _ if footer.is_some() => return Err(damaged("something follows the footer")),
                Framed::Header(found) if header.is_none() => header = Some(found),
                Framed::Header(_) => return Err(damaged("two headers")),
                _ if header.is_none() => return Err(damaged("it does not begin with a header")),
                Framed::Footer(found) => footer = Some(found),
                Framed::Record(record) => {
                    checksum.update(value);
                    records.push(record);
                }
            }
        }
    }
    let (Some(header), Some(footer)) = (header, footer) else {
        return Err(damaged("it was cut short"));
    };
    if footer.record_count != u64::try_from(records.len()).unwrap_or(u64::MAX)
        || footer.records_crc32 != checksum.finalize()
    {
        return Err(damaged("count or checksum of its metadata records is wrong"));
    }
    if header.last_contained_offset != id.end_offset - 1 || header.last_contained_epoch != id.epoch
    {
        return Err(damaged("it is not the one that its name says"));
    }
    Ok(Snapshot { id, timestamp: header.last_contained_timestamp, records })
}
