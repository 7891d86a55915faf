//! How a log loses its oldest part: by order (`DeleteRecords`), by age and by size.

use std::sync::atomic::Ordering;

use super::atomic_file;
use super::background::Job;
use super::error::StorageError;
use super::log::Log;
use super::retention::{self, DeleteReason, LogOffsets, RetentionPlan, SegmentFacts};
use super::segment::{Segment, file_name};

/// What retention took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RetentionOutcome {
    /// Segments deleted.
    pub segments: usize,
    /// Their bytes.
    pub bytes: u64,
}

impl Log {
    /// Raises the log start offset to `offset`, at most to the log end: what lies below can't be
    /// read any more, and whole segments below it are deleted. Lasts from the next
    /// [`super::LogDir::checkpoint`] on. Returns the log start offset.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn advance_log_start(&mut self, offset: i64) -> Result<i64, StorageError> {
        self.check()?;
        let offset = offset.min(self.log_end_offset());
        if offset > self.log_start_offset() {
            self.state.log_start.store(offset, Ordering::Release);
            self.state.high_watermark.fetch_max(offset, Ordering::AcqRel);
            if self.epochs.truncate_from_start(offset) {
                self.save_epochs(i64::MAX);
            }
            self.producers.on_log_start(offset);
            self.damage.retain(|damage| damage.next > offset);
            let below = |log: &Self| log.segments.get(1).is_some_and(|next| next.base <= offset);
            let mut gone = Vec::new();
            while below(self) {
                gone.extend(self.segments.pop_front());
            }
            self.delete_segments(&gone)?;
        }
        Ok(self.log_start_offset())
    }

    /// Deletes the segments that `retention.ms`, `retention.bytes` or the log start offset let go,
    /// none at or above `high_watermark`. Age is never taken from a time index alone: where only
    /// that says that a segment is old, its batches are looked at in the background, and the next
    /// call decides.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn apply_retention(
        &mut self,
        now_ms: i64,
        high_watermark: i64,
    ) -> Result<RetentionOutcome, StorageError> {
        self.check()?;
        let high_watermark = high_watermark.min(self.log_end_offset());
        self.take_findings();
        self.inspect_suspects();
        let plan = self.plan_retention(now_ms, high_watermark);
        if plan.roll {
            self.roll(self.log_end_offset(), now_ms)?;
        }
        let count = plan.expired.len().min(self.segments.len().saturating_sub(1));
        let gone: Vec<_> = self.segments.drain(..count).collect();
        if let Some(start) = plan.new_log_start {
            self.advance_log_start(start)?;
        }
        self.delete_segments(&gone)?;
        Ok(RetentionOutcome {
            segments: gone.len(),
            bytes: gone.iter().map(|segment| segment.len).sum(),
        })
    }

    fn plan_retention(&self, now_ms: i64, high_watermark: i64) -> RetentionPlan {
        let facts = |segment: &Segment| SegmentFacts {
            base_offset: segment.base,
            size_bytes: segment.len,
            max_timestamp_ms: segment.latest.map(|latest| latest.timestamp),
            modified_ms: segment.modified_ms,
        };
        let mut facts: Vec<_> = self.segments.iter().map(facts).collect();
        let offsets = LogOffsets {
            log_start: self.log_start_offset(),
            log_end: self.log_end_offset(),
            high_watermark,
        };
        let policy = self.config.retention_policy();
        loop {
            let plan = retention::plan(&facts, offsets, policy, now_ms);
            let by_time = plan.expired.iter().filter(|gone| gone.reason == DeleteReason::Time);
            let doubted = by_time.map(|gone| gone.base_offset).chain(plan.held_by_future_timestamp);
            let mut unproven = false;
            for base in doubted {
                let Some(segment) = self.segments.iter().find(|segment| segment.base == base)
                else {
                    continue;
                };
                if segment.latest_is_proven {
                    continue;
                }
                self.inspect(segment, false);
                for facts in facts.iter_mut().filter(|facts| facts.base_offset == base) {
                    // Not old enough to go, and not from the future: wait for the proof.
                    unproven |= facts.max_timestamp_ms != Some(now_ms);
                    facts.max_timestamp_ms = Some(now_ms);
                }
            }
            if !unproven {
                return plan;
            }
        }
    }

    /// Takes the files of segments that are no longer part of the log out of sight, and has them
    /// removed. They get another name first, so that a new segment may have theirs at once, and so
    /// that a crash that brings some of them back does not look like damage.
    pub(super) fn delete_segments(&mut self, gone: &[Segment]) -> Result<(), StorageError> {
        if gone.is_empty() {
            return Ok(());
        }
        self.take_swap_back()?;
        let first = self.segments.front().map_or(i64::MAX, |segment| segment.base);
        self.state.forget_below(first);
        self.state.before_files_go();
        self.publish_size();
        let (disk, dir) = (&*self.home.env.disk, &self.state.dir);
        let mut paths = Vec::new();
        for segment in gone {
            let snapshot = dir.join(file_name(segment.base, "snapshot"));
            for path in Segment::file_names(dir, segment.base).into_iter().chain([snapshot]) {
                match atomic_file::rename_aside(disk, &path, atomic_file::DELETED) {
                    Ok(Some(deleted)) => paths.push(deleted),
                    Ok(None) => {}
                    Err(error) => return Err(self.home.judge("delete", &path, &error)),
                }
            }
        }
        let unsynced = Some(dir.clone());
        self.home.jobs.push(Job::RemoveFiles { paths, unsynced });
        Ok(())
    }
}
