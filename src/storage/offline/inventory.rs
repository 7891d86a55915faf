//! Which file is which, by its name.

use std::path::Path;

use super::super::atomic_file::{DELETED, TEMPORARY};
use super::super::checkpoints::{CLEANED, HIGH_WATERMARK, LOG_START, RECOVERY_POINT};
use super::super::compaction::{self, REPLACED, SWAP};
use super::super::dir::{CLEAN_SHUTDOWN_FILE, LOCK_FILE};
use super::super::log::EPOCHS_FILE;
use super::super::segment::base_of;
use super::super::{damage, meta_properties, partition_metadata};

/// The kinds of files in a data directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A segment with its first offset.
    Segment(i64),
    /// The offset index of a segment.
    OffsetIndex(i64),
    /// The time index of a segment.
    TimeIndex(i64),
    /// The producers up to an offset.
    ProducerSnapshot(i64),
    /// The leader epochs of a partition.
    Epochs,
    /// What is known to be damaged in a partition.
    Damage,
    /// Which incarnation of its topic a partition belongs to.
    PartitionMetadata,
    /// One of the four offset checkpoints.
    Offsets,
    /// Whose directory it is.
    MetaProperties,
    /// The mark of a clean shutdown.
    CleanShutdown,
    /// The lock.
    Lock,
    /// A snapshot of the metadata.
    MetadataSnapshot,
    /// What a crash left half written or half removed; the next start removes it.
    Leftover,
    /// A part of a compacted segment that a crash kept from its place; the next start puts it there.
    HalfSwapped,
    /// Nothing of ours.
    Stray,
}

/// The kind of a file.
pub fn kind_of(path: &Path) -> FileKind {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if let Some(base) = base_of(name, "log") {
        return FileKind::Segment(base);
    }
    if let Some(base) = base_of(name, "index") {
        return FileKind::OffsetIndex(base);
    }
    if let Some(base) = base_of(name, "timeindex") {
        return FileKind::TimeIndex(base);
    }
    if let Some(offset) = base_of(name, "snapshot") {
        return FileKind::ProducerSnapshot(offset);
    }
    match name {
        EPOCHS_FILE => FileKind::Epochs,
        damage::FILE_NAME => FileKind::Damage,
        partition_metadata::FILE_NAME => FileKind::PartitionMetadata,
        RECOVERY_POINT | LOG_START | HIGH_WATERMARK | CLEANED => FileKind::Offsets,
        meta_properties::FILE_NAME => FileKind::MetaProperties,
        CLEAN_SHUTDOWN_FILE => FileKind::CleanShutdown,
        LOCK_FILE => FileKind::Lock,
        _ if name.ends_with(SWAP) => FileKind::HalfSwapped,
        _ if [TEMPORARY, DELETED, compaction::CLEANED, REPLACED, ".checkpoint.part"]
            .iter()
            .any(|suffix| name.ends_with(suffix)) =>
        {
            FileKind::Leftover
        }
        _ if name.ends_with(".checkpoint") => FileKind::MetadataSnapshot,
        _ => FileKind::Stray,
    }
}
