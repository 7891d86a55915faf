//! Checks a whole data directory, and makes again what can be derived.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use duramen_protocol::ids::TopicPartition;

use super::super::checkpoint::OffsetEntry;
use super::super::checkpoints::{Checkpointed, HIGH_WATERMARK, LOG_START, RECOVERY_POINT};
use super::super::dir::{CLEAN_SHUTDOWN_FILE, LOCK_FILE, partition_of};
use super::super::error::OpenError;
use super::super::lifecycle::DELETED;
use super::super::meta_properties;
use super::finding::{Finding, Severity, Summary, Watch};
use super::inventory::{FileKind, kind_of};
use super::partition::{self, PartitionFiles};
use super::rebuild;
use super::small_files::{SmallFile, read_small};
use crate::env::Disk;

/// Name of the metadata log's directory.
pub(super) const METADATA_DIR: &str = "__cluster_metadata-0";

/// A check on its way through a directory.
pub(super) struct Look<'a> {
    pub(super) disk: &'a dyn Disk,
    pub(super) summary: Summary,
    watch: &'a mut dyn Watch,
    /// Bytes of segments before the current one, and of all.
    done: u64,
    total: u64,
}

impl Look<'_> {
    pub(super) fn tell(&mut self, finding: Finding) {
        *match finding.severity {
            Severity::Unreadable => &mut self.summary.unreadable,
            Severity::Damage => &mut self.summary.damage,
            Severity::Derived => &mut self.summary.derived,
            Severity::Note => &mut self.summary.notes,
        } += 1;
        self.watch.found(finding);
    }

    /// The disk did not give a file, which the error names, in `dir`.
    pub(super) fn unreadable(&mut self, dir: &Path, error: &io::Error) {
        self.tell(Finding::new(dir, Severity::Unreadable, error));
    }

    /// A broker that runs removes old segments.
    pub(super) fn went_away(&mut self, path: &Path) -> io::Result<()> {
        self.tell(Finding::new(path, Severity::Note, "it went away meanwhile"));
        Ok(())
    }

    pub(super) fn read_to(&mut self, position: u64) {
        self.watch.progress(self.done + position, self.total);
    }

    pub(super) fn segment_done(&mut self, len: u64) {
        self.done += len;
        self.summary.bytes += len;
        self.watch.progress(self.done, self.total);
    }

    /// Where a tail ends: at the end of the file, however many sound batches lie in it.
    pub(super) fn active_end(&self, path: &Path, known: u64) -> u64 {
        let open = self.disk.open(path, crate::env::OpenMode::Read);
        open.and_then(|file| file.len()).unwrap_or(known).max(known)
    }

    pub(super) fn is_metadata(&self, dir: &Path) -> bool {
        dir.file_name().is_some_and(|name| name == METADATA_DIR)
    }
}

/// Checks the data directory `dir`, reading only.
///
/// # Errors
/// As the operating system says, where that leaves nothing to check.
pub fn verify(disk: &dyn Disk, dir: &Path, watch: &mut dyn Watch) -> io::Result<Summary> {
    run(disk, dir, watch, false)
}

/// Checks the data directory `dir` and makes again, partition by partition, what can be derived
/// and is wrong: indexes, producer snapshots, leader epochs. Nothing else is written.
///
/// # Errors
/// [`OpenError::InUse`] while a broker runs on it, and what the operating system says.
pub fn repair(disk: &dyn Disk, dir: &Path, watch: &mut dyn Watch) -> Result<Summary, OpenError> {
    let unusable = |error: io::Error| OpenError::of_system(dir, &error);
    if !disk.exists(dir).map_err(unusable)? {
        return Err(unusable(io::ErrorKind::NotFound.into()));
    }
    let _lock = disk.lock(&dir.join(LOCK_FILE)).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => OpenError::InUse { path: dir.to_owned() },
        _ => unusable(error),
    })?;
    run(disk, dir, watch, true).map_err(unusable)
}

fn run(disk: &dyn Disk, dir: &Path, watch: &mut dyn Watch, repair: bool) -> io::Result<Summary> {
    let mut look = Look { disk, summary: Summary::default(), watch, done: 0, total: 0 };
    let entries = disk.list(dir)?;
    look.summary.was_clean = is_clean(&mut look, dir);
    let checkpoints = top_files(&mut look, dir, &entries)?;
    let mut partitions = Vec::new();
    for entry in &entries {
        let path = dir.join(&entry.name);
        if let Some(name) = partition_of(entry) {
            let files = PartitionFiles::list(&look, &path)?;
            look.total += files.bytes;
            partitions.push((name, files));
        } else if entry.is_dir {
            let reason = match entry.name.ends_with(DELETED) {
                true => "a deleted partition; the next start removes it",
                false => "not a directory of ours",
            };
            look.tell(Finding::new(&path, Severity::Note, reason));
        }
    }
    for (name, files) in partitions {
        let at = checkpoints.get(&name).copied().unwrap_or_default();
        let is_wrong = partition::check(&mut look, &files, at).unwrap_or_else(|error| {
            look.unreadable(&files.dir, &error);
            false
        });
        if is_wrong && repair {
            let rebuilt = rebuild::partition(disk, &files, look.summary.was_clean)?;
            rebuilt.iter().for_each(|path| look.watch.rebuilt(path));
        }
    }
    Ok(look.summary)
}

/// A mark that can't be read counts as none, as for the broker.
fn is_clean(look: &mut Look<'_>, dir: &Path) -> bool {
    let path = dir.join(CLEAN_SHUTDOWN_FILE);
    match read_small(look.disk, &path) {
        Ok(Ok(_)) => true,
        Ok(Err(reason)) => {
            let reason = format!("{reason}; the next start recovers as after a crash");
            look.tell(Finding::new(&path, Severity::Derived, reason));
            false
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => {
            look.unreadable(dir, &error);
            false
        }
    }
}

type Checkpoints = BTreeMap<TopicPartition, Checkpointed>;

/// The files of the directory itself.
fn top_files(
    look: &mut Look<'_>,
    dir: &Path,
    entries: &[crate::env::DirEntry],
) -> io::Result<Checkpoints> {
    let mut checkpoints = Checkpoints::new();
    let mut has_meta = false;
    for entry in entries.iter().filter(|entry| !entry.is_dir) {
        let path = dir.join(&entry.name);
        let kind = kind_of(&path);
        match kind {
            FileKind::Offsets | FileKind::MetaProperties => {}
            FileKind::Lock | FileKind::CleanShutdown => continue,
            FileKind::Leftover => {
                look.tell(Finding::new(&path, Severity::Note, "left by a crash"));
                continue;
            }
            _ => {
                look.tell(Finding::new(&path, Severity::Note, "not a file of a data directory"));
                continue;
            }
        }
        has_meta |= kind == FileKind::MetaProperties;
        match read_small(look.disk, &path) {
            Ok(Ok(Some(SmallFile::Offsets(offsets)))) => {
                take(&mut checkpoints, &entry.name, offsets);
            }
            Ok(Ok(_)) => {}
            Ok(Err(reason)) => look.tell(Finding::new(&path, Severity::Damage, reason)),
            Err(error) => look.unreadable(dir, &error),
        }
    }
    let has_logs = entries.iter().any(|entry| partition_of(entry).is_some());
    if !has_meta && has_logs {
        let path = dir.join(meta_properties::FILE_NAME);
        look.tell(Finding::new(&path, Severity::Damage, "it is missing, but there are logs"));
    } else if !has_meta {
        look.tell(Finding::new(
            dir,
            Severity::Damage,
            "not a data directory: it has no meta.properties",
        ));
    }
    for name in checkpoints.keys() {
        let named = name.to_string();
        if !entries.iter().any(|entry| entry.is_dir && entry.name == named) {
            let reason = format!("it names {name}, which has no directory");
            look.tell(Finding::new(&dir.join(RECOVERY_POINT), Severity::Note, reason));
        }
    }
    Ok(checkpoints)
}

fn take(checkpoints: &mut Checkpoints, file: &str, offsets: Vec<OffsetEntry>) {
    for entry in offsets {
        let key = TopicPartition::new(entry.topic, entry.partition);
        let at = checkpoints.entry(key).or_default();
        match file {
            RECOVERY_POINT => at.recovery_point = entry.offset,
            LOG_START => at.log_start = entry.offset,
            HIGH_WATERMARK => at.high_watermark = entry.offset,
            _ => {}
        }
    }
}
