//! The small files of a data directory, decoded for people.

use std::io;
use std::path::Path;

use duramen_protocol::ids::TopicId;

use super::super::atomic_file;
use super::super::checkpoint::{self, OffsetEntry};
use super::super::damage::{self, Damage};
use super::super::dir::decode_clean_shutdown;
use super::super::epochs::EpochHistory;
use super::super::meta_properties::MetaProperties;
use super::super::offset_index::OffsetIndex;
use super::super::partition_metadata;
use super::super::producer_state::ProducerStates;
use super::super::time_index::TimeIndex;
use super::inventory::{FileKind, kind_of};
use super::producers;
use crate::env::Disk;

/// The largest index that is read: Kafka's own bound is 10 MiB.
const INDEX_MAX: u64 = 256 << 20;

/// An entry of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexRow {
    /// The batch at `position` ends with `last_offset`.
    Offset {
        /// Offset of the batch's last record.
        last_offset: i64,
        /// Where it begins, in bytes.
        position: u64,
    },
    /// Timestamps reach `timestamp` (ms since 1970) with the batch that ends with `last_offset`.
    Time {
        /// Milliseconds since 1970.
        timestamp: i64,
        /// Offset of the batch's last record.
        last_offset: i64,
    },
}

/// What a small file says.
#[derive(Debug)]
pub enum SmallFile {
    /// An index.
    Index(Vec<IndexRow>),
    /// A producer snapshot.
    Producers(ProducerStates),
    /// `leader-epoch-checkpoint`.
    Epochs(EpochHistory),
    /// One of the three offset checkpoints.
    Offsets(Vec<OffsetEntry>),
    /// `damage-checkpoint`.
    Damage(Vec<Damage>),
    /// `partition.metadata`.
    Topic(TopicId),
    /// `meta.properties`.
    Meta(MetaProperties),
    /// `.kafka_cleanshutdown`: the broker epoch.
    CleanShutdown(i64),
}

/// Reads a small file. The inner error says why it can't be believed; `None` inside is a kind of
/// file that has no content, or none that is known here.
///
/// # Errors
/// As the operating system says.
pub fn read_small(disk: &dyn Disk, path: &Path) -> io::Result<Result<Option<SmallFile>, String>> {
    let kind = kind_of(path);
    match kind {
        FileKind::OffsetIndex(base) => return offset_rows(disk, path, base),
        FileKind::TimeIndex(base) => return time_rows(disk, path, base),
        FileKind::Segment(_) | FileKind::MetadataSnapshot => return Ok(Ok(None)),
        FileKind::Lock | FileKind::Leftover | FileKind::HalfSwapped | FileKind::Stray => {
            return Ok(Ok(None));
        }
        _ => {}
    }
    let bytes = atomic_file::read(disk, path)?.ok_or(io::ErrorKind::NotFound)?;
    Ok(decode(disk, path, kind, &bytes))
}

fn decode(
    disk: &dyn Disk,
    path: &Path,
    kind: FileKind,
    bytes: &[u8],
) -> Result<Option<SmallFile>, String> {
    fn text<E: ToString>(error: E) -> String {
        error.to_string()
    }
    Ok(Some(match kind {
        FileKind::ProducerSnapshot(offset) => {
            let states = producers::decode(disk, path, offset).map_err(text)?;
            SmallFile::Producers(states.ok_or("it went away")?.map_err(text)?)
        }
        FileKind::Epochs => SmallFile::Epochs(EpochHistory::decode(bytes).map_err(text)?),
        FileKind::Offsets => SmallFile::Offsets(checkpoint::decode_offsets(bytes).map_err(text)?),
        FileKind::Damage => SmallFile::Damage(damage::decode(bytes).map_err(text)?),
        FileKind::PartitionMetadata => {
            SmallFile::Topic(partition_metadata::decode(bytes).map_err(text)?)
        }
        FileKind::MetaProperties => SmallFile::Meta(MetaProperties::decode(bytes).map_err(text)?),
        FileKind::CleanShutdown => {
            SmallFile::CleanShutdown(decode_clean_shutdown(bytes).ok_or("it is damaged")?)
        }
        _ => return Ok(None),
    }))
}

type Rows = io::Result<Result<Option<SmallFile>, String>>;

fn offset_rows(disk: &dyn Disk, path: &Path, base: i64) -> Rows {
    if let Some(fault) = too_large(disk, path)? {
        return Ok(Err(fault));
    }
    let Some(index) = OffsetIndex::open(disk, path.to_owned(), base)? else {
        return Ok(Err(cut()));
    };
    let rows = index.entries(disk)?.into_iter();
    let rows = rows
        .map(|entry| IndexRow::Offset { last_offset: entry.last_offset, position: entry.position });
    Ok(Ok(Some(SmallFile::Index(rows.collect()))))
}

fn time_rows(disk: &dyn Disk, path: &Path, base: i64) -> Rows {
    if let Some(fault) = too_large(disk, path)? {
        return Ok(Err(fault));
    }
    let Some(index) = TimeIndex::open(disk, path.to_owned(), base)? else { return Ok(Err(cut())) };
    let rows = index.entries(disk)?.into_iter();
    let rows = rows
        .map(|entry| IndexRow::Time { timestamp: entry.timestamp, last_offset: entry.last_offset });
    Ok(Ok(Some(SmallFile::Index(rows.collect()))))
}

fn cut() -> String {
    "it is cut inside an entry".to_owned()
}

fn too_large(disk: &dyn Disk, path: &Path) -> io::Result<Option<String>> {
    let len = disk.open(path, crate::env::OpenMode::Read)?.len()?;
    Ok((len > INDEX_MAX).then(|| format!("{len} bytes are more than any index has")))
}
