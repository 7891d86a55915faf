//! Finding records by time, exact to the record.

use std::sync::atomic::Ordering;

use duramen_protocol::records::batch::BatchView;
use duramen_protocol::records::record::RecordView;

use super::error::ReadError;
use super::segment::{LOOK_AROUND, Segment};
use super::validate::UNFOLDED_MAX;
use super::view::Reader;
use super::walk::{Found, Step, Walk};
use crate::env::{DiskFile, Patience};

/// A record found by its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimestampedOffset {
    /// Where it is.
    pub offset: i64,
    /// Its timestamp, in ms since 1970.
    pub timestamp: i64,
}

impl Reader<'_> {
    /// See [`Log::offset_for_timestamp`](super::log::Log::offset_for_timestamp).
    pub(super) fn offset_for_timestamp(
        &self,
        timestamp: i64,
    ) -> Result<Option<TimestampedOffset>, ReadError> {
        self.check()?;
        let reaches = |found: &Found| found.header.max_timestamp >= timestamp;
        for segment in self.segments.iter().skip(self.segment_at(self.bounds.log_start)) {
            if !self.may_reach(segment, timestamp)? {
                continue;
            }
            let start = self.start_for(segment, timestamp)?;
            let mut next = self.search(segment, start, reaches)?;
            while let Some(batch) = next {
                let found = self.open(segment, &batch, &|record| record.timestamp >= timestamp)?;
                if found.is_some() {
                    return Ok(found);
                }
                // A header can promise what its records do not hold; the next batch then.
                next = self.search(segment, batch.end(), reaches)?;
            }
        }
        Ok(None)
    }

    /// See [`Log::max_timestamp_offset`](super::log::Log::max_timestamp_offset).
    pub(super) fn max_timestamp_offset(&self) -> Result<Option<TimestampedOffset>, ReadError> {
        self.check()?;
        let mut claims: Vec<(i64, &Segment)> = Vec::new();
        for segment in self.segments.iter().skip(self.segment_at(self.bounds.log_start)) {
            let unknown = if segment.len > 0 && !segment.latest_is_proven { i64::MAX } else { -1 };
            claims.push((segment.latest.map_or(unknown, |latest| latest.timestamp), segment));
        }
        // The latest claim first, of equals the oldest segment; done when no later claim can win.
        claims.sort_by_key(|(timestamp, _)| std::cmp::Reverse(*timestamp));
        let mut best: Option<(&Segment, Found)> = None;
        for (claimed, segment) in claims {
            let known = best.as_ref().map_or(-1, |(_, found)| found.header.max_timestamp);
            if claimed <= known {
                break;
            }
            if let Some(found) = self.latest_batch(segment, known)? {
                best = Some((segment, found));
            }
        }
        let Some((segment, found)) = best else { return Ok(None) };
        let highest = found.header.max_timestamp;
        let at = self.open(segment, &found, &|record| record.timestamp >= highest)?;
        let at_end = TimestampedOffset { offset: found.header.last_offset(), timestamp: highest };
        Ok(Some(at.unwrap_or(at_end)))
    }

    /// The first batch of `segment` with its latest timestamp, if that is later than `known`.
    fn latest_batch(&self, segment: &Segment, known: i64) -> Result<Option<Found>, ReadError> {
        if let Some(latest) = segment.latest {
            let found = self.find(segment, latest.last_offset, Patience::Wait)?;
            let found = found.filter(|found| found.header.max_timestamp == latest.timestamp);
            if found.is_some() && latest.last_offset >= self.bounds.log_start {
                return Ok(found);
            }
        }
        // It lies below the log start, or the time index lies: the batches tell.
        let (mut highest, mut last) = (known, None);
        self.search(segment, 0, |found| {
            if found.header.max_timestamp > highest {
                highest = found.header.max_timestamp;
                last = Some(*found);
            }
            false
        })?;
        Ok(last)
    }

    /// Whether `segment` may hold a batch at least as late as `timestamp`.
    fn may_reach(&self, segment: &Segment, timestamp: i64) -> Result<bool, ReadError> {
        let Some(latest) = segment.latest else {
            return Ok(segment.len > 0 && !segment.latest_is_proven);
        };
        if latest.timestamp >= timestamp || segment.latest_is_proven {
            return Ok(latest.timestamp >= timestamp);
        }
        if segment.latest_is_checked.load(Ordering::Relaxed) {
            return Ok(false);
        }
        // The time index says no; it carries no checksum, so its last entry is held against the
        // log, once.
        let found = self.find(segment, latest.last_offset, Patience::Wait)?;
        let agrees = found.is_some_and(|found| found.header.max_timestamp == latest.timestamp);
        segment.latest_is_checked.store(agrees, Ordering::Relaxed);
        segment.index_is_suspect.fetch_or(!agrees, Ordering::Relaxed);
        Ok(!agrees)
    }

    /// A position in `segment` before which no batch reaches `timestamp`.
    fn start_for(&self, segment: &Segment, timestamp: i64) -> Result<u64, ReadError> {
        let entry = segment.hint(segment.times.below(&*self.home.env.disk, timestamp));
        let entry = entry.map_err(|error| self.unreadable(segment, &error))?;
        let Some(entry) = entry else { return Ok(0) };
        let found = self.find(segment, entry.last_offset, Patience::Wait)?;
        let agrees = |found: &Found| {
            found.header.last_offset() == entry.last_offset
                && found.header.max_timestamp == entry.timestamp
        };
        let found = found.filter(agrees);
        segment.index_is_suspect.fetch_or(found.is_none(), Ordering::Relaxed);
        Ok(found.map_or(0, |found| found.position))
    }

    /// The first batch from `start` on that ends above the log start and `is_wanted`.
    fn search(
        &self,
        segment: &Segment,
        start: u64,
        mut is_wanted: impl FnMut(&Found) -> bool,
    ) -> Result<Option<Found>, ReadError> {
        let log_start = self.bounds.log_start;
        let unreadable = |error: std::io::Error| self.unreadable(segment, &error);
        let file = self.home.files.file(&segment.file).map_err(unreadable)?;
        let mut walk = Walk::new(&*file, start, segment.len, LOOK_AROUND).over(&segment.holes);
        let mut previous = segment.base;
        loop {
            match walk.step().map_err(unreadable)? {
                Step::Batch(found) => {
                    let last = found.header.last_offset();
                    if last >= log_start && is_wanted(&found) {
                        return Ok(Some(found));
                    }
                    previous = last;
                }
                Step::End => return Ok(None),
                Step::Broken(_) => return Err(self.found_damaged(segment, previous)),
            }
        }
    }

    /// The first record of a batch that `is_wanted` and lies above the log start. A batch that can't
    /// be opened counts as one record at its end.
    fn open(
        &self,
        segment: &Segment,
        found: &Found,
        is_wanted: &dyn Fn(&RecordView<'_>) -> bool,
    ) -> Result<Option<TimestampedOffset>, ReadError> {
        let file = self.home.files.file(&segment.file);
        let bytes = file.and_then(|file| read_batch(&*file, found));
        let bytes = bytes.map_err(|error| self.unreadable(segment, &error))?;
        let mut scratch = Vec::new();
        let header = &found.header;
        let unopened =
            TimestampedOffset { offset: header.base_offset, timestamp: header.max_timestamp };
        let Ok((batch, _)) = BatchView::split(&bytes) else { return Ok(Some(unopened)) };
        let Ok(records) = batch.records(&mut scratch, UNFOLDED_MAX) else {
            return Ok(Some(unopened));
        };
        let log_start = self.bounds.log_start;
        for record in records {
            let Ok(record) = record else { return Ok(Some(unopened)) };
            if record.offset >= log_start && is_wanted(&record) {
                let (offset, timestamp) = (record.offset, record.timestamp);
                return Ok(Some(TimestampedOffset { offset, timestamp }));
            }
        }
        Ok(None)
    }
}

/// The bytes of a batch; its size has been held against the file.
fn read_batch(file: &dyn DiskFile, found: &Found) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; found.header.size()];
    let read = file.read_at(&mut bytes, found.position)?;
    bytes.truncate(read);
    Ok(bytes)
}
