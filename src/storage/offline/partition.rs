//! Checks one partition: its segments and all that is derived from them, in one pass over the log.

use std::io;
use std::path::{Path, PathBuf};

use duramen_protocol::records::batch::BatchHeader;

use super::super::checkpoints::Checkpointed;
use super::super::damage::Damage;
use super::super::epochs::EpochHistory;
use super::super::error::naming;
use super::super::log::EPOCHS_FILE;
use super::super::recovery_walk::Gathered;
use super::super::segment::file_name;
use super::super::walk::Fault;
use super::directory::Look;
use super::directory::METADATA_DIR;
use super::finding::{Finding, Severity};
use super::indexes::IndexCheck;
use super::inventory::{FileKind, kind_of};
use super::producers::Snapshots;
use super::scan::{Event, SegmentSource, Stretch};
use super::small_files::{SmallFile, read_small};

/// A partition directory as it is listed.
#[derive(Debug)]
pub(super) struct PartitionFiles {
    pub(super) dir: PathBuf,
    /// Base offsets of the segments, in order.
    pub(super) segments: Vec<i64>,
    pub(super) bytes: u64,
    snapshots: Vec<i64>,
    others: Vec<PathBuf>,
}

impl PartitionFiles {
    pub(super) fn list(look: &Look<'_>, dir: &Path) -> io::Result<Self> {
        let (dir, mut others) = (dir.to_owned(), Vec::new());
        let (mut segments, mut snapshots, mut bytes) = (Vec::new(), Vec::new(), 0);
        for entry in look.disk.list(&dir)? {
            let path = dir.join(&entry.name);
            match kind_of(&path) {
                FileKind::Segment(base) => {
                    segments.push(base);
                    bytes += entry.len;
                }
                FileKind::ProducerSnapshot(offset) => snapshots.push(offset),
                _ => others.push(path),
            }
        }
        segments.sort_unstable();
        snapshots.sort_unstable();
        Ok(Self { dir, segments, bytes, snapshots, others })
    }

    fn segment(&self, base: i64) -> PathBuf {
        self.dir.join(file_name(base, "log"))
    }
}

/// The check of one partition on its way through the log.
struct Check<'a, 'w> {
    look: &'a mut Look<'w>,
    files: &'a PartitionFiles,
    at: Checkpointed,
    known: Vec<Damage>,
    epochs: Option<EpochHistory>,
    epochs_fault: Option<String>,
    epochs_lag: Option<String>,
    snapshots: Snapshots,
    gathered: Gathered,
    /// All that producers did from this offset on is known.
    told_from: i64,
    has_holes: bool,
}

/// Checks a partition. Returns whether something that is derived must be made again.
pub(super) fn check(
    look: &mut Look<'_>,
    files: &PartitionFiles,
    at: Checkpointed,
) -> io::Result<bool> {
    look.summary.partitions += 1;
    let before = look.summary.derived;
    let (known, epochs) = small_files(look, files)?;
    let dir = &files.dir;
    let disk = look.disk;
    let snapshots = Snapshots::read(disk, dir, &files.snapshots, |finding| look.tell(finding))?;
    let base = files.segments.first().copied().unwrap_or(at.log_start);
    let gathered = Gathered::new(EpochHistory::new(), snapshots.begin(base), base);
    let (epochs_fault, has_holes) = (None, false);
    let mut check = Check {
        look,
        files,
        at,
        known,
        epochs,
        epochs_fault,
        epochs_lag: None,
        snapshots,
        gathered,
        told_from: base,
        has_holes,
    };
    for (index, base) in files.segments.iter().enumerate() {
        let end = files.segments.get(index + 1).copied();
        check.segment(*base, end)?;
    }
    check.finish();
    Ok(look.summary.derived > before)
}

/// The files beside the log.
fn small_files(
    look: &mut Look<'_>,
    files: &PartitionFiles,
) -> io::Result<(Vec<Damage>, Option<EpochHistory>)> {
    let (mut damage, mut epochs, mut has_id) = (Vec::new(), None, false);
    for path in &files.others {
        let severity = match kind_of(path) {
            FileKind::OffsetIndex(base) | FileKind::TimeIndex(base) => {
                if files.segments.binary_search(&base).is_err() {
                    look.tell(Finding::new(path, Severity::Note, "an index without its log"));
                }
                continue;
            }
            FileKind::Leftover => {
                look.tell(Finding::new(
                    path,
                    Severity::Note,
                    "left by a crash; the next start removes it",
                ));
                continue;
            }
            FileKind::HalfSwapped => {
                let reason = "a compacted segment that the next start puts in its place";
                look.tell(Finding::new(path, Severity::Note, reason));
                continue;
            }
            FileKind::Stray => {
                look.tell(Finding::new(path, Severity::Note, "not a file of a partition"));
                continue;
            }
            FileKind::Epochs => Severity::Derived,
            _ => Severity::Damage,
        };
        let read = match read_small(look.disk, path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            other => other?,
        };
        match read {
            Ok(Some(SmallFile::Damage(list))) => damage = list,
            Ok(Some(SmallFile::Epochs(history))) => epochs = Some(history),
            Ok(Some(SmallFile::Topic(_))) => has_id = true,
            Ok(_) => {}
            Err(reason) => {
                has_id |= kind_of(path) == FileKind::PartitionMetadata;
                look.tell(Finding::new(path, severity, reason));
            }
        }
    }
    if !has_id && !look.is_metadata(&files.dir) {
        let path = files.dir.join(super::super::partition_metadata::FILE_NAME);
        look.tell(Finding::new(&path, Severity::Damage, "it is missing"));
    }
    Ok((damage, epochs))
}

impl Check<'_, '_> {
    fn segment(&mut self, base: i64, end: Option<i64>) -> io::Result<()> {
        let path = self.files.segment(base);
        self.gap_before(base);
        let disk = self.look.disk;
        // The indexes first: of a log that grows, they are then the older ones.
        let len = match SegmentSource::open(disk, &path) {
            Ok(source) => source.len,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return self.look.went_away(&path);
            }
            Err(error) => return Err(naming(&path)(error)),
        };
        let mut indexes = IndexCheck::open(disk, &self.files.dir, base, len)?;
        let source = SegmentSource::open(disk, &path).map_err(naming(&path))?;
        self.look.summary.segments += 1;
        let epochs = self.epochs.clone();
        let scan = source.scan(end.unwrap_or(i64::MAX), epochs.as_ref());
        // Which other logs are compacted is told by the metadata alone.
        let mut scan = scan.dense(self.files.dir.ends_with(METADATA_DIR));
        let mut holes = false;
        loop {
            match scan.step() {
                Ok(None) => break,
                Ok(Some(Event::Batch { position, header })) => {
                    indexes.batch(position, &header);
                    self.batch(&header, end.is_none());
                    self.look.read_to(position + header.size() as u64);
                }
                Ok(Some(Event::Broken(stretch))) => {
                    indexes.skip(stretch.to, stretch.next);
                    holes = true;
                    self.broken(&path, &stretch, base, end);
                }
                Err(error) => {
                    self.look.unreadable(&self.files.dir, &naming(&path)(error));
                    // What stands in the rest of it is not known, and so is not missing.
                    self.has_holes = true;
                    self.skip_to(end.unwrap_or(self.at.recovery_point));
                    return Ok(());
                }
            }
        }
        self.look.segment_done(source.len);
        self.has_holes |= holes;
        let is_closed = end.is_some() || self.look.summary.was_clean;
        for finding in indexes.finish(is_closed, holes) {
            self.look.tell(finding);
        }
        Ok(())
    }

    /// Offsets that are in no segment.
    fn gap_before(&mut self, base: i64) {
        let first = self.gathered.next;
        let known = self.known.iter().any(|known| known.first <= first && known.next >= base);
        if first < base && self.files.segments.first().is_none_or(|first| *first != base) {
            // What compaction takes leaves no gap between segments, but while they are swapped.
            let mut others = self.files.others.iter();
            let swapping = others.any(|path| kind_of(path) == FileKind::HalfSwapped);
            let (severity, reason) = match known {
                true => (Severity::Damage, "offsets are missing before it (known)"),
                false if swapping => {
                    (Severity::Note, "offsets before it are in a file to be swapped in")
                }
                false => (Severity::Damage, "offsets are missing before it"),
            };
            let path = self.files.segment(base);
            self.look.tell(Finding::new(&path, severity, reason).offsets(first, base));
            self.skip_to(base);
        }
        self.gathered.next = self.gathered.next.max(base);
    }

    fn skip_to(&mut self, next: i64) {
        self.told_from = self.told_from.max(next);
        self.gathered.next = self.gathered.next.max(next);
    }

    fn batch(&mut self, header: &BatchHeader, in_active: bool) {
        if header.base_offset > self.gathered.next {
            // Compaction leaves gaps, and so does damage that was told already.
            self.told_from = self.told_from.max(header.base_offset);
        }
        self.check_snapshots(header.base_offset);
        let epoch = header.partition_leader_epoch;
        let told =
            self.epochs.as_ref().and_then(|epochs| epochs.epoch_for_offset(header.base_offset));
        // The history of a log that was not closed properly may lag behind its end.
        let may_lag = in_active && !self.look.summary.was_clean;
        // It forgets what lies below the log's start.
        let is_told = header.base_offset >= self.at.log_start;
        if is_told && epoch >= 0 && self.epochs.is_some() && told != Some(epoch) {
            let base = header.base_offset;
            let fault = if may_lag { &mut self.epochs_lag } else { &mut self.epochs_fault };
            fault.get_or_insert_with(|| {
                format!(
                    "the batch at offset {base} is of epoch {epoch}; it says {}",
                    told.map_or_else(
                        || "nothing of that offset".to_owned(),
                        |told| told.to_string()
                    )
                )
            });
        }
        self.gathered.take(header, 0);
        self.look.summary.batches += 1;
        self.look.summary.records += u64::try_from(header.record_count).unwrap_or(0);
    }

    /// The snapshots up to `offset`, which the log has now told of.
    fn check_snapshots(&mut self, offset: i64) {
        while let Some(at) = self.snapshots.next(offset) {
            let told = &self.gathered.producers;
            let found = self.snapshots.check(&self.files.dir, at, self.told_from, told);
            if let Some(finding) = found {
                self.look.tell(finding);
            }
        }
    }

    fn broken(&mut self, path: &Path, stretch: &Stretch, base: i64, end: Option<i64>) {
        let Stretch { from, to, first, next, fault, is_torn } = *stretch;
        let is_tail = end.is_none() && !self.look.summary.was_clean;
        if is_tail && is_torn && first >= self.at.recovery_point {
            let bytes = self.look.active_end(path, to).saturating_sub(from);
            let what = match fault {
                Fault::Zeros => format!("{bytes} bytes of reserved space"),
                _ => format!("{bytes} bytes that are no whole batch ({fault})"),
            };
            let reason = format!("{what} behind offset {first}; would be cut by recovery");
            self.look.tell(Finding::new(path, Severity::Note, reason).at(from));
            return;
        }
        let next = next.or(end).unwrap_or(self.at.recovery_point.max(first));
        let known = self.known.iter().any(|known| known.segment == base && known.from == from);
        let reason =
            if known { format!("{fault}; known and kept from readers") } else { fault.to_string() };
        let mut finding = Finding::new(path, Severity::Damage, reason).at(from);
        if next > first {
            finding = finding.offsets(first, next);
        }
        self.look.tell(finding);
        self.skip_to(next);
    }

    /// What only the whole log tells.
    fn finish(mut self) {
        let end = self.gathered.next;
        self.check_snapshots(end);
        let dir = self.files.dir.clone();
        let was_clean = self.look.summary.was_clean;
        self.epochs_end(end);
        self.stray_snapshots(end);
        let Checkpointed { recovery_point, log_start, .. } = self.at;
        let last = self.files.segments.last().map_or(dir, |base| self.files.segment(*base));
        let short = recovery_point > end || log_start > end;
        if short {
            let told = recovery_point.max(log_start);
            let reason = "the log ends before the offsets that the checkpoints name";
            self.look.tell(Finding::new(&last, Severity::Damage, reason).offsets(end, told));
        } else if was_clean && recovery_point > 0 && recovery_point < end && !self.has_holes {
            let reason = format!(
                "the log goes on to offset {end}, but was closed at {recovery_point}: \
                 recovery-point-offset-checkpoint or this file is wrong"
            );
            self.look.tell(Finding::new(&last, Severity::Damage, reason));
        }
    }

    fn epochs_end(&mut self, end: i64) {
        let path = self.files.dir.join(EPOCHS_FILE);
        let has_data = !self.gathered.epochs.is_empty();
        let was_clean = self.look.summary.was_clean;
        let fault = match (&self.epochs, self.epochs_fault.take()) {
            (_, Some(fault)) => Some(fault),
            (Some(epochs), None) if was_clean => {
                epochs.latest().filter(|latest| latest.start_offset > end).map(|latest| {
                    format!(
                        "epoch {} begins at {}, behind the log",
                        latest.epoch, latest.start_offset
                    )
                })
            }
            (None, None) if has_data && was_clean => {
                let told = self.files.others.contains(&path);
                (!told).then(|| "it is missing".to_owned())
            }
            _ => None,
        };
        if let Some(fault) = fault {
            self.look.tell(Finding::new(&path, Severity::Derived, fault));
        } else if let Some(lag) = self.epochs_lag.take() {
            let base = self.files.segments.last().copied().unwrap_or_default();
            let log = self.files.dir.join(file_name(base, "log"));
            let reason = format!("{lag} ({EPOCHS_FILE}); the next start believes the batch");
            self.look.tell(Finding::new(&log, Severity::Note, reason));
        }
    }

    fn stray_snapshots(&mut self, end: i64) {
        for offset in self.files.snapshots.iter().filter(|offset| **offset > end) {
            let path = self.files.dir.join(file_name(*offset, "snapshot"));
            let reason = "it lies behind the end of the log; the next start removes it";
            self.look.tell(Finding::new(&path, Severity::Note, reason));
        }
    }
}
