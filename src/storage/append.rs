//! Appending: check, stamp, make room, write, then let it be seen.

use std::io::IoSlice;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use duramen_protocol::records::batch::{BatchError, BatchHeader, BatchView, TimestampType};

use super::error::{AppendError, StorageError};
use super::log::Log;
use super::log_config::Durability;
use super::producer_state::{BatchFacts, NO_PRODUCER_ID, Origin, StoredBatch, Verdict};
use super::segment::{BatchNote, Segment};
use super::validate::ValidatedBatch;

/// What comes with a batch.
#[derive(Debug, Clone, Copy)]
pub struct AppendInfo {
    /// Epoch of the leader that appends; of a copy the epoch that its fetch was sent with.
    pub leader_epoch: i32,
    /// Wall time in ms since 1970.
    pub now_ms: i64,
    /// Who appends.
    pub origin: Origin,
}

/// Where a batch went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Offset of the first record.
    pub first_offset: i64,
    /// Offset of the last record.
    pub last_offset: i64,
    /// The timestamp that the broker gave to all records, in ms since 1970; -1 when they kept theirs.
    pub log_append_time: i64,
    /// Largest timestamp of the batch, in ms since 1970, or -1.
    pub max_timestamp: i64,
    /// Log start offset.
    pub log_start_offset: i64,
    /// The batch had been written before: these are the offsets of that time, nothing was written.
    pub duplicate: bool,
    /// The append counts only once [`Log::durable_offset`] has passed `last_offset`.
    pub await_durable: bool,
}

impl Log {
    /// Appends one batch that [`super::validate`] has accepted. Nothing is copied: the payload goes
    /// to the file behind a stamped header. The time of a `LogAppendTime` topic is in the header
    /// already, for its checksum was made outside the log's lock.
    ///
    /// # Errors
    /// [`AppendError`]; nothing has been written then. [`StorageError::NoSpace`] passes by itself.
    pub fn append(
        &mut self,
        batch: &ValidatedBatch,
        info: AppendInfo,
    ) -> Result<Appended, AppendError> {
        self.check()?;
        let facts = BatchFacts::of(&batch.header, self.log_end_offset());
        if facts.last_offset < facts.first_offset || facts.last_offset == i64::MAX {
            return Err(AppendError::Offsets);
        }
        let is_control = batch.header.is_control();
        if facts.producer_id != NO_PRODUCER_ID && !is_control {
            match self.producers.check(&facts, info.origin)? {
                Verdict::New => {}
                Verdict::Duplicate(stored) => return Ok(self.duplicate(&stored)),
            }
        }
        let header = BatchHeader {
            base_offset: facts.first_offset,
            partition_leader_epoch: info.leader_epoch,
            ..batch.header
        };
        let header = header.to_bytes();
        let size = batch.size();
        self.make_room(size, &facts, info.now_ms)?;
        self.note_epoch(info.leader_epoch, facts.first_offset);
        let parts = [IoSlice::new(&header), IoSlice::new(&batch.payload)];
        self.write(&parts, size, info.now_ms)?;
        self.publish(size, is_control, &facts, info.now_ms);
        let await_durable = self.ask_for_flush(info.now_ms);
        Ok(Appended {
            first_offset: facts.first_offset,
            last_offset: facts.last_offset,
            log_append_time: batch.log_append_time_ms.unwrap_or(-1),
            max_timestamp: facts.max_timestamp,
            log_start_offset: self.log_start_offset(),
            duplicate: false,
            await_durable,
        })
    }

    /// Appends all whole batches that a leader has sent: offsets, epochs and timestamps stay as they
    /// are.
    ///
    /// # Errors
    /// [`AppendError`]; what came before the batch that was refused has been written.
    pub fn append_copies(
        &mut self,
        records: &Bytes,
        info: AppendInfo,
    ) -> Result<Appended, AppendError> {
        self.check()?;
        let mut appended = Appended {
            first_offset: self.log_end_offset(),
            last_offset: self.log_end_offset() - 1,
            log_append_time: -1,
            max_timestamp: -1,
            log_start_offset: self.log_start_offset(),
            duplicate: false,
            await_durable: false,
        };
        for batch in BatchView::iter(records) {
            let batch = match batch {
                Ok(batch) => batch,
                // The answer was cut at its size bound.
                Err(BatchError::Truncated { .. }) => break,
                Err(error) => return Err(error.into()),
            };
            if batch.partition_leader_epoch() > info.leader_epoch {
                // Written by a leader that this fetch knew nothing of (KAFKA-18723).
                break;
            }
            let facts = BatchFacts::of(&batch.header(), batch.base_offset());
            self.append_copy(&batch, &facts, info.now_ms)?;
            appended.last_offset = facts.last_offset;
            appended.max_timestamp = appended.max_timestamp.max(facts.max_timestamp);
        }
        if appended.last_offset >= appended.first_offset {
            appended.await_durable = self.ask_for_flush(info.now_ms);
        }
        Ok(appended)
    }

    fn append_copy(
        &mut self,
        batch: &BatchView<'_>,
        facts: &BatchFacts,
        now_ms: i64,
    ) -> Result<(), AppendError> {
        batch.check_crc()?;
        let log_end = self.log_end_offset();
        if facts.first_offset < log_end {
            return Err(AppendError::NotNext { found: facts.first_offset, log_end });
        }
        if facts.last_offset < facts.first_offset || facts.last_offset == i64::MAX {
            return Err(AppendError::Offsets);
        }
        self.make_room(batch.size(), facts, now_ms)?;
        self.note_epoch(batch.partition_leader_epoch(), facts.first_offset);
        self.write(&[IoSlice::new(batch.bytes())], batch.size(), now_ms)?;
        self.publish(batch.size(), batch.is_control(), facts, now_ms);
        Ok(())
    }

    fn duplicate(&mut self, stored: &StoredBatch) -> Appended {
        // The first time may be waiting still.
        let asked = self.flush_asked_at > stored.last_offset;
        let must_last = self.config.durability == Durability::Disk;
        if must_last && !asked {
            self.request_flush();
        }
        let log_append = self.config.timestamp_type == TimestampType::LogAppendTime;
        Appended {
            first_offset: stored.first_offset(),
            last_offset: stored.last_offset,
            log_append_time: if log_append { stored.timestamp } else { -1 },
            max_timestamp: stored.timestamp,
            log_start_offset: self.log_start_offset(),
            duplicate: true,
            await_durable: must_last || asked,
        }
    }

    fn write(
        &mut self,
        parts: &[IoSlice<'_>],
        size: usize,
        now_ms: i64,
    ) -> Result<(), StorageError> {
        let mut limit = u64::from(self.config.segment_bytes);
        let Some(active) = self.segments.back_mut() else { return Err(StorageError::Closed) };
        if !self.config.may_use_reserve {
            let (env, path, space) = (&self.home.env, &self.home.path, &self.home.space);
            let wanted = size as u64;
            let must_reserve = active.must_reserve(wanted);
            let room =
                if must_reserve { space.room_for(env, path, wanted) } else { Some(u64::MAX) };
            let Some(room) = room.filter(|_| space.may_grow(env, path)) else {
                return Err(StorageError::NoSpace { path: path.clone() });
            };
            // What is reserved ahead leaves the low mark alone.
            limit = limit.min(active.len.saturating_add(room));
        }
        if let Err(error) = active.write(&self.home.files, parts, limit) {
            return Err(self.home.judge("write to", active.file.path(), &error));
        }
        active.modified_ms = now_ms;
        let written = self.home.note_written(size as u64);
        self.hot.note(self.log_end_offset(), written, self.home.hot_bytes);
        self.bytes_since_snapshot += size as u64;
        Ok(())
    }

    /// Makes a written batch part of the log.
    fn publish(&mut self, size: usize, is_control: bool, facts: &BatchFacts, now_ms: i64) {
        let note = BatchNote {
            size: size as u64,
            last_offset: facts.last_offset,
            max_timestamp: facts.max_timestamp,
        };
        if let Some(active) = self.segments.back_mut() {
            active.sound.add(active.len, active.len + note.size);
            active.publish(&note, u64::from(self.config.index_interval_bytes));
            // Entries that can't be written stay in memory; closing the segment tries again.
            let written = active.write_indexes_if_due(&*self.home.env.disk);
            if let Err(error) = written {
                self.home.judge("write the index of", active.file.path(), &error);
            }
        }
        self.note_producer(is_control, facts, now_ms);
        self.state.size_bytes.fetch_add(note.size, Ordering::Relaxed);
        self.state.unsynced_batches.fetch_add(1, Ordering::Relaxed);
        self.state.log_end.store(facts.last_offset + 1, Ordering::Release);
        self.snapshot_if_due();
    }

    /// Whether the append must wait for the disk; asks the flusher if so.
    fn ask_for_flush(&mut self, now_ms: i64) -> bool {
        let unasked = self.log_end_offset().saturating_sub(self.flush_asked_at);
        let many = u64::try_from(unasked).unwrap_or(0) >= self.config.flush_messages;
        if self.config.durability == Durability::Disk || many {
            self.request_flush();
            return true;
        }
        let since = &self.state.unflushed_since_ms;
        if since.load(Ordering::Relaxed) == i64::MAX {
            since.store(now_ms, Ordering::Relaxed);
        }
        false
    }

    /// Rolls if the batch does not fit, or the time has come.
    fn make_room(
        &mut self,
        size: usize,
        facts: &BatchFacts,
        now_ms: i64,
    ) -> Result<(), AppendError> {
        let limit = self.config.segment_bytes;
        if size > limit as usize {
            return Err(AppendError::LargerThanSegment { size, limit });
        }
        if self.active().is_none_or(|active| self.must_roll(active, size, facts, now_ms)) {
            // Where a leader's log has a gap, the copy's is within a segment too.
            let (end, last) = (self.log_end_offset(), facts.last_offset);
            let near = last - end <= i64::from(i32::MAX);
            self.roll(if near { end } else { facts.first_offset }, now_ms)?;
        }
        Ok(())
    }

    fn must_roll(&self, active: &Segment, size: usize, facts: &BatchFacts, now_ms: i64) -> bool {
        if facts.last_offset - active.base > i64::from(i32::MAX) {
            return true;
        }
        let config = &self.config;
        let max_age = config.segment_ms_max().saturating_sub(active.jitter_ms);
        active.len > 0
            && (active.len + size as u64 > u64::from(config.segment_bytes)
                || active.age_ms(now_ms, facts.max_timestamp) > max_age
                || active.offsets.is_full(config.segment_index_bytes)
                || active.times.is_full(config.segment_index_bytes))
    }
}
