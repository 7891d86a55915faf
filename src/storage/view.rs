//! A log as readers see it: borrowed while its lock is held, or copied, so that a reader that waits
//! for the disk holds up nobody who appends.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::damage::Damage;
use super::epochs::EpochHistory;
use super::error::{ReadError, StorageError};
use super::home::Home;
use super::log::Log;
use super::log_state::LogState;
use super::read::{LogRead, ReadRequest};
use super::segment::Segment;
use super::timestamps::TimestampedOffset;

/// Where a log, or the part of it that is looked at, begins and ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) log_start: i64,
    /// First offset behind the segments.
    pub(super) end: i64,
    /// All from here on was written lately.
    pub(super) hot_from: i64,
    /// Base offset of the active segment, and how much of its file to map.
    pub(super) active: i64,
    pub(super) window: u64,
    /// [`LogState::files_gone`] when this was true.
    pub(super) files_gone: u64,
}

/// What reading a log needs of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) home: &'a Home,
    pub(super) state: &'a LogState,
    pub(super) segments: &'a VecDeque<Segment>,
    pub(super) epochs: &'a EpochHistory,
    pub(super) damage: &'a [Damage],
    pub(super) bounds: Bounds,
}

/// Some segments of a log as they were at one moment, to be read without the log's lock. When files
/// of the log have gone since, reads fail with [`ReadError::Changed`].
#[derive(Debug)]
pub struct LogView {
    home: Arc<Home>,
    state: Arc<LogState>,
    segments: VecDeque<Segment>,
    epochs: EpochHistory,
    damage: Vec<Damage>,
    bounds: Bounds,
}

impl Log {
    pub(super) fn reader(&self) -> Reader<'_> {
        let bounds = Bounds {
            log_start: self.log_start_offset(),
            end: self.log_end_offset(),
            hot_from: self.hot_from(),
            active: self.active().map_or(i64::MAX, |active| active.base),
            window: u64::from(self.config.segment_bytes),
            files_gone: self.state.files_gone(),
        };
        Reader {
            home: &self.home,
            state: &self.state,
            segments: &self.segments,
            epochs: &self.epochs,
            damage: &self.damage,
            bounds,
        }
    }

    /// A copy of what reading needs: of `count` segments at most, from the one with `offset` on.
    ///
    /// # Errors
    /// [`StorageError`] when the log can't be read any more.
    pub fn view(&self, offset: i64, count: usize) -> Result<LogView, StorageError> {
        self.check()?;
        let first = self.segment_at(offset);
        let segments: VecDeque<_> =
            self.segments.iter().skip(first).take(count.max(1)).cloned().collect();
        let end = self.segment_end(first + segments.len().saturating_sub(1));
        Ok(LogView {
            home: Arc::clone(&self.home),
            state: Arc::clone(&self.state),
            segments,
            epochs: self.epochs.clone(),
            damage: self.damage.clone(),
            bounds: Bounds { end, ..self.reader().bounds },
        })
    }

    /// Reads from one segment. The bytes stay valid however the log changes afterwards.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn read(&self, request: &ReadRequest) -> Result<LogRead, ReadError> {
        self.reader().read(request)
    }

    /// The first record whose timestamp is at least `timestamp` (ms since 1970).
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn offset_for_timestamp(
        &self,
        timestamp: i64,
    ) -> Result<Option<TimestampedOffset>, ReadError> {
        self.reader().offset_for_timestamp(timestamp)
    }

    /// The record with the largest timestamp, the first of them if there are several (KIP-734).
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn max_timestamp_offset(&self) -> Result<Option<TimestampedOffset>, ReadError> {
        self.reader().max_timestamp_offset()
    }
}

impl LogView {
    fn reader(&self) -> Reader<'_> {
        Reader {
            home: &self.home,
            state: &self.state,
            segments: &self.segments,
            epochs: &self.epochs,
            damage: &self.damage,
            bounds: self.bounds,
        }
    }

    /// What was found holds only if no file has gone or been cut under the reader.
    fn unless_outdated<T>(&self, found: Result<T, ReadError>) -> Result<T, ReadError> {
        if self.reader().is_outdated() { Err(ReadError::Changed) } else { found }
    }

    /// First offset behind what is in view.
    pub fn end_offset(&self) -> i64 {
        self.bounds.end
    }

    /// The leader-epoch history.
    pub fn epochs(&self) -> &EpochHistory {
        &self.epochs
    }

    /// As [`Log::read`]; `None` when no batch in view ends at or after the offset.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn read(&self, request: &ReadRequest) -> Result<Option<LogRead>, ReadError> {
        self.unless_outdated(self.reader().read_if_any(request))
    }

    /// As [`Log::offset_for_timestamp`].
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn offset_for_timestamp(
        &self,
        timestamp: i64,
    ) -> Result<Option<TimestampedOffset>, ReadError> {
        self.unless_outdated(self.reader().offset_for_timestamp(timestamp))
    }

    /// As [`Log::max_timestamp_offset`].
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn max_timestamp_offset(&self) -> Result<Option<TimestampedOffset>, ReadError> {
        self.unless_outdated(self.reader().max_timestamp_offset())
    }
}

impl Reader<'_> {
    pub(super) fn check(&self) -> Result<(), StorageError> {
        self.home.check()?;
        if self.state.closed.load(Ordering::Acquire) {
            return Err(StorageError::Closed);
        }
        Ok(())
    }

    pub(super) fn is_hot(&self, offset: i64) -> bool {
        offset >= self.bounds.hot_from
    }

    /// Whether files may have gone since: what is missing then is no fault of the disk.
    pub(super) fn is_outdated(&self) -> bool {
        self.state.files_gone() != self.bounds.files_gone
    }

    /// The place in `segments` of the one that may hold `offset`.
    pub(super) fn segment_at(&self, offset: i64) -> usize {
        self.segments.partition_point(|segment| segment.base <= offset).saturating_sub(1)
    }

    /// The first offset after the segment at `index`.
    pub(super) fn segment_end(&self, index: usize) -> i64 {
        self.segments.get(index + 1).map_or(self.bounds.end, |next| next.base)
    }
}
