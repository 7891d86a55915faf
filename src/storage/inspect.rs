//! Second looks at segments, in the background: how late their timestamps really are, and new
//! indexes where the old ones contradict the log. The log takes the findings over when it is next
//! maintained.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::background::Job;
use super::damage;
use super::file_cache::SegmentFile;
use super::home::Home;
use super::log::Log;
use super::segment::{BatchNote, LOOK_AROUND, Segment};
use super::time_index::TimeEntry;
use super::walk::{Step, Walk};

/// A closed segment to look at.
#[derive(Debug)]
pub(super) struct Inspection {
    dir: PathBuf,
    file: Arc<SegmentFile>,
    base: i64,
    len: u64,
    holes: Vec<(u64, u64)>,
    /// Bytes between index entries, if the indexes must be made again.
    rebuild: Option<u64>,
    modified_ms: i64,
}

/// What was found.
#[derive(Debug)]
pub(super) struct Finding {
    base: i64,
    /// Bytes that were looked at.
    len: u64,
    latest: Option<TimeEntry>,
    /// With new indexes, if they were asked for.
    rebuilt: Option<Segment>,
}

impl Inspection {
    /// Walks the segment.
    pub(super) fn run(self, home: &Home) -> io::Result<Finding> {
        let disk = &*home.env.disk;
        let file = home.files.file(&self.file)?;
        let mut walk = Walk::new(&*file, 0, self.len, LOOK_AROUND).over(&self.holes);
        let mut segment = Segment::new(&self.dir, self.base, Arc::clone(&self.file), 0);
        loop {
            match walk.step()? {
                Step::Batch(found) => {
                    segment.len = found.position;
                    let note = BatchNote {
                        size: found.size(),
                        last_offset: found.header.last_offset(),
                        max_timestamp: found.header.max_timestamp,
                    };
                    segment.publish(&note, self.rebuild.unwrap_or(u64::MAX));
                }
                Step::End => break,
                Step::Broken(_) => {
                    // Nobody knows how late the damaged part is; no later than the file, one hopes.
                    let (timestamp, last_offset) = (self.modified_ms, i64::MAX);
                    let known = segment.latest.filter(|latest| latest.timestamp >= timestamp);
                    segment.latest = known.or(Some(TimeEntry { timestamp, last_offset }));
                    break;
                }
            }
        }
        let (len, latest) = (self.len, segment.latest);
        if self.rebuild.is_none() {
            return Ok(Finding { base: self.base, len, latest, rebuilt: None });
        }
        if self.file.is_retired() {
            // The indexes are another segment's.
            return Err(io::ErrorKind::NotFound.into());
        }
        segment.discard_indexes_on_disk(disk)?;
        segment.complete_indexes(disk)?;
        segment.sync_indexes(disk)?;
        segment.forget_index_entries();
        Ok(Finding { base: self.base, len, latest, rebuilt: Some(segment) })
    }
}

impl Log {
    /// Has a closed segment looked at, and its indexes made again if `rebuild`.
    pub(super) fn inspect(&self, segment: &Segment, rebuild: bool) {
        let inspection = Inspection {
            dir: self.state.dir.clone(),
            file: Arc::clone(&segment.file),
            base: segment.base,
            len: segment.len,
            holes: segment.holes.clone(),
            rebuild: rebuild.then_some(u64::from(self.config.index_interval_bytes)),
            modified_ms: segment.modified_ms,
        };
        self.home.jobs.push(Job::Inspect { log: Arc::clone(&self.state), inspection });
    }

    /// Has the indexes made again that were caught contradicting the log.
    pub(super) fn inspect_suspects(&self) {
        let closed = self.segments.len().saturating_sub(1);
        for segment in self.segments.iter().take(closed) {
            if segment.index_is_suspect.swap(false, Ordering::Relaxed) {
                tracing::warn!(
                    log = %self.topic_partition(), segment = segment.base,
                    "an index contradicts its log and is made again"
                );
                self.inspect(segment, true);
            }
        }
    }

    /// Takes over the damage that readers have met, so that it is told at once and kept. A full
    /// disk only means that it is found again after the next start.
    fn take_damage(&mut self) {
        let met = self.state.take_damage();
        let before = self.damage.len();
        for damage in met {
            let known = self
                .damage
                .iter()
                .any(|known| known.first <= damage.first && damage.first < known.next);
            let segment = self.segments.iter_mut().find(|segment| segment.base == damage.segment);
            let Some(segment) = segment.filter(|_| !known) else { continue };
            if damage.from < damage.to {
                segment.holes.push((damage.from, damage.to));
            }
            self.damage.push(damage);
        }
        if self.damage.len() == before {
            return;
        }
        self.damage.sort_by_key(|damage| damage.first);
        let saved = damage::save(&*self.home.env.disk, &self.state.dir, &self.damage);
        if let Err(error) = saved {
            self.home.judge("write the list of damage of", &self.state.dir, &error);
        }
    }

    /// Takes over what the background found out about closed segments, and readers about damage.
    pub(super) fn take_findings(&mut self) {
        self.take_damage();
        for finding in self.state.take_findings() {
            let known = self.segments.iter_mut().find(|segment| segment.base == finding.base);
            let Some(segment) = known else { continue };
            if finding.len != segment.len {
                // The active segment, and it has grown: it is too young to go anyway.
                continue;
            }
            segment.latest = finding.latest;
            segment.latest_is_proven = true;
            if let Some(rebuilt) = finding.rebuilt {
                (segment.offsets, segment.times) = (rebuilt.offsets, rebuilt.times);
            }
        }
    }
}
