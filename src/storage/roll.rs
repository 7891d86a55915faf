//! Starting a new segment, and what closing the old one entails.

use std::io;
use std::sync::Arc;

use super::atomic_file;
use super::background::Job;
use super::error::StorageError;
use super::log::Log;
use super::producer_snapshot;
use super::producer_state::{BatchFacts, NO_PRODUCER_ID};
use super::segment::{Segment, is_full};

/// Producers are written to a snapshot each time so many bytes were appended, and at each roll:
/// recovery need not look further back for them.
const SNAPSHOT_EVERY: u64 = 64 << 20;

impl Log {
    /// Starts a new active segment at `base`.
    pub(super) fn roll(&mut self, base: i64, now_ms: i64) -> Result<(), StorageError> {
        let home = Arc::clone(&self.home);
        let disk = &*home.env.disk;
        let dir = &self.state.dir;
        // An empty segment does not stay: its name would say that offsets begin there.
        let replaced = self.active().filter(|active| active.len == 0).map(|active| active.base);
        let made = if replaced == Some(base) {
            return Ok(());
        } else {
            Segment::create(disk, dir, base, now_ms)
        };
        let (mut segment, file) =
            made.map_err(|error| home.judge("make a segment in", dir, &error))?;
        segment.jitter_ms = self.draw_jitter();
        if let Some(empty) = replaced {
            self.state.before_files_go();
            let removed = Segment::file_names(dir, empty)
                .iter()
                .try_for_each(|path| atomic_file::remove(disk, path));
            removed.map_err(|error| home.judge("remove an empty segment in", dir, &error))?;
            self.segments.pop_back();
        } else {
            self.close_active()?;
        }
        // All changes of names come before, so that its first sync covers them.
        self.state.add_active(base, file);
        self.segments.push_back(segment);
        self.snapshot();
        Ok(())
    }

    pub(super) fn draw_jitter(&self) -> i64 {
        let bound = u64::try_from(self.config.segment_jitter_ms).unwrap_or(0);
        i64::try_from(self.home.env.random.below(bound)).unwrap_or(0)
    }

    /// Completes the files of the segment that will no longer be the active one.
    fn close_active(&mut self) -> Result<(), StorageError> {
        let Some(active) = self.segments.back_mut() else { return Ok(()) };
        let disk = &*self.home.env.disk;
        let completed = active.complete_indexes(disk).and_then(|()| active.trim(&self.home.files));
        match completed {
            Ok(()) => active.seal(&self.home.files),
            // The index entries stay in memory, and the space reserved.
            Err(error) if is_full(&error) => {}
            Err(error) => return Err(self.home.judge("close", active.file.path(), &error)),
        }
        let base = active.base;
        let indexes = [&active.offsets.file, &active.times.file].map(|file| file.path().to_owned());
        self.state.unfinished(base);
        let log = Arc::clone(&self.state);
        self.home.jobs.push(Job::FinishSegment { log, base, indexes: indexes.into() });
        Ok(())
    }

    /// Notes what a batch in the log means for its producer.
    pub(super) fn note_producer(&mut self, is_control: bool, facts: &BatchFacts, now_ms: i64) {
        if facts.producer_id == NO_PRODUCER_ID || is_control {
            self.producers.advance_to(facts.last_offset + 1);
        } else {
            self.producers.apply(facts, now_ms);
        }
    }

    pub(super) fn snapshot_if_due(&mut self) {
        if self.bytes_since_snapshot >= SNAPSHOT_EVERY {
            self.snapshot();
        }
    }

    /// Has the producers written as of the log end offset.
    fn snapshot(&mut self) {
        self.bytes_since_snapshot = 0;
        let offset = self.log_end_offset();
        self.home.jobs.push(Job::Snapshot {
            log: Arc::clone(&self.state),
            path: self.snapshot_path(offset),
            generation: self.state.generation(),
            bytes: producer_snapshot::encode(&self.producers),
        });
    }

    /// Writes the producers as of the log end offset, at once.
    pub(super) fn snapshot_now(&mut self) -> io::Result<()> {
        self.bytes_since_snapshot = 0;
        let path = self.snapshot_path(self.log_end_offset());
        atomic_file::write(&*self.home.env.disk, &path, &producer_snapshot::encode(&self.producers))
    }
}
