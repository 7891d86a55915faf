//! Writes again what a partition's batches tell: indexes, producer snapshots, leader epochs. The
//! batches themselves are never touched.

use std::io;
use std::path::{Path, PathBuf};

use super::super::atomic_file;
use super::super::epochs::EpochHistory;
use super::super::file_cache::SegmentFile;
use super::super::log::EPOCHS_FILE;
use super::super::log_config::LogConfig;
use super::super::producer_snapshot;
use super::super::producer_state::ProducerStates;
use super::super::recovery_walk::Gathered;
use super::super::segment::{BatchNote, Segment, file_name};
use super::partition::PartitionFiles;
use super::producers::decode;
use super::scan::{Event, SegmentSource};
use crate::env::Disk;

/// Makes the derived files of a partition again, those that were sound too: it was gone through
/// anyway. Returns what was written or, a snapshot that could not be trusted, removed.
pub(super) fn partition(
    disk: &dyn Disk,
    files: &PartitionFiles,
    was_clean: bool,
) -> io::Result<Vec<PathBuf>> {
    let dir = &files.dir;
    let base = files.segments.first().copied().unwrap_or(0);
    let (mut rebuilt, mut producers) = (Vec::new(), ProducerStates::starting_at(base));
    let first = decode(disk, &dir.join(file_name(base, "snapshot")), base)?;
    let mut is_told = base == 0;
    if let Some(Ok(states)) = first {
        (producers, is_told) = (states, true);
    }
    let epochs = EpochHistory::new();
    let mut gathered = Gathered::new(epochs, producers, base);
    for (index, base) in files.segments.iter().enumerate() {
        let end = files.segments.get(index + 1).copied();
        segment(disk, dir, *base, end, &mut gathered)?;
        for extension in ["index", "timeindex"] {
            rebuilt.push(dir.join(file_name(*base, extension)));
        }
        let at = end.or(was_clean.then_some(gathered.next)).filter(|at| *at > 0);
        if let Some(at) = at {
            write_snapshot(disk, dir, at, &gathered.producers, is_told, &mut rebuilt)?;
        }
    }
    let path = dir.join(EPOCHS_FILE);
    if !gathered.epochs.is_empty() {
        atomic_file::write(disk, &path, &gathered.epochs.encode())?;
        rebuilt.push(path);
    }
    disk.sync_dir(dir)?;
    Ok(rebuilt)
}

/// A snapshot that the log does not tell from its beginning is only removed when it is damaged:
/// recovery then takes an older one.
fn write_snapshot(
    disk: &dyn Disk,
    dir: &Path,
    at: i64,
    producers: &ProducerStates,
    is_told: bool,
    rebuilt: &mut Vec<PathBuf>,
) -> io::Result<()> {
    let path = dir.join(file_name(at, "snapshot"));
    let found = decode(disk, &path, at)?;
    if is_told {
        atomic_file::write(disk, &path, &producer_snapshot::encode(producers))?;
    } else if matches!(found, Some(Err(_))) {
        atomic_file::remove(disk, &path)?;
    } else {
        return Ok(());
    }
    rebuilt.push(path);
    Ok(())
}

fn segment(
    disk: &dyn Disk,
    dir: &Path,
    base: i64,
    end: Option<i64>,
    gathered: &mut Gathered,
) -> io::Result<()> {
    let path = dir.join(file_name(base, "log"));
    let source = SegmentSource::open(disk, &path)?;
    let interval = u64::from(LogConfig::default().index_interval_bytes);
    let mut segment = Segment::new(dir, base, SegmentFile::closed(path), 0);
    let mut scan = source.scan(end.unwrap_or(i64::MAX), None);
    while let Some(event) = scan.step()? {
        let Event::Batch { position, header } = event else { continue };
        segment.len = position;
        let note = BatchNote {
            size: header.size() as u64,
            last_offset: header.last_offset(),
            max_timestamp: header.max_timestamp,
        };
        segment.publish(&note, interval);
        gathered.take(&header, 0);
    }
    segment.discard_indexes_on_disk(disk)?;
    segment.complete_indexes(disk)?;
    segment.sync_indexes(disk)
}
