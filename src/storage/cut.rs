//! How a log loses its newest part: a replica that holds what its leader does not.
//!
//! Nothing that was handed out ever changes: a file that somebody still sees through a map is not
//! cut but copied up to the cut, and the copy takes its place.

use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::atomic_file;
use super::error::{ReadError, StorageError};
use super::file_cache::SegmentFile;
use super::log::Log;
use super::producer_state::ProducerStates;
use super::recovery_files::{Files, remove_ending};
use super::recovery_walk::{Gathered, WalkPlan, walk};
use super::segment::{LOOK_AROUND, Segment, file_name};
use super::walk::{Step, Walk};
use crate::env::{Disk, DiskFile, OpenMode, Patience};

impl Log {
    /// Cuts the log so that it ends at `offset`, or before, where that would split a batch; a log
    /// that begins later becomes empty and begins at `offset`. Everything in it is durable
    /// afterwards as far as it was before. Slices that were read stay as they are. Returns the log
    /// end offset.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn truncate_to(&mut self, offset: i64) -> Result<i64, StorageError> {
        self.check()?;
        if offset >= self.log_end_offset() {
            return Ok(self.log_end_offset());
        }
        let first_base = self.segments.front().map_or(0, |first| first.base);
        if offset < first_base {
            self.truncate_fully(offset)?;
            return Ok(offset);
        }
        let offset = self.whole_batches_below(offset)?;
        self.take_swap_back()?;
        self.state.begin_cut(offset);
        // The recovery point must not lie above the log's end, or that would look like damage.
        self.home.checkpoints.write(&self.home)?;
        let cut = self.cut_at(offset);
        cut.map_err(|error| self.home.fail("cut", &self.state.dir, &error))?;
        Ok(self.log_end_offset())
    }

    /// Empties the log; it begins and ends at `offset` then.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn truncate_fully(&mut self, offset: i64) -> Result<(), StorageError> {
        self.check()?;
        self.take_swap_back()?;
        let first_base = self.segments.front().map_or(0, |first| first.base);
        self.state.begin_cut(first_base.min(offset));
        self.home.checkpoints.write(&self.home)?;
        let cut = self.restart_at(offset);
        cut.map_err(|error| self.home.fail("empty", &self.state.dir, &error))
    }

    /// The end of the last batch that ends at or below `offset`.
    fn whole_batches_below(&self, offset: i64) -> Result<i64, StorageError> {
        let Some(segment) = self.segments.get(self.segment_at(offset)) else { return Ok(offset) };
        match self.reader().find(segment, offset, Patience::Wait) {
            Ok(found) => Ok(found.map_or(offset, |found| found.header.base_offset.min(offset))),
            Err(ReadError::Damaged { first, .. }) => Ok(first.min(offset)),
            Err(ReadError::OutOfRange { .. } | ReadError::NotInMemory | ReadError::Changed) => {
                Ok(offset)
            }
            Err(ReadError::Storage(error)) => Err(error),
        }
    }

    fn cut_at(&mut self, offset: i64) -> io::Result<()> {
        let home = Arc::clone(&self.home);
        let disk = &*home.env.disk;
        self.remove_segments_after(disk, self.segment_at(offset))?;
        let Some(mut segment) = self.segments.pop_back() else { return Ok(()) };
        let file = home.files.file(&segment.file)?;
        let position = position_of(&segment, &*file, offset)?;
        let file = shorten(disk, &segment, file, position, &self.state.dir)?;
        let path = segment.file.path().to_owned();
        segment.file = SegmentFile::active(path, Arc::clone(&file));
        segment.holes.retain(|(_, to)| *to <= position);
        segment.forget_reserve();

        // Nothing to learn of producers here: they are read again below.
        let producers = ProducerStates::starting_at(i64::MAX);
        let mut gathered = Gathered::new(std::mem::take(&mut self.epochs), producers, segment.base);
        let plan = WalkPlan {
            known: &[],
            check_from: i64::MAX,
            durable: i64::MIN,
            keep_index_below: offset,
            end: i64::MAX,
            dense: false,
            has_history: false,
            index_interval: u64::from(self.config.index_interval_bytes),
            now_ms: segment.modified_ms,
        };
        walk(disk, &file, &mut segment, position, &plan, &mut gathered)?;
        let base = segment.base;
        self.segments.push_back(segment);
        let end = gathered.next;
        self.epochs = gathered.epochs;
        if self.epochs.truncate_from_end(end) {
            self.save_epochs(i64::MAX);
        }
        self.forget_after(end);
        self.state.end_cut(end, self.state.durable().min(end), (base, file));
        self.publish_size();
        self.reload_producers(disk, end)
    }

    fn restart_at(&mut self, offset: i64) -> io::Result<()> {
        let home = Arc::clone(&self.home);
        let disk = &*home.env.disk;
        self.remove_snapshots(disk, i64::MIN)?;
        // A start would take what is made here for older than these.
        remove_ending(disk, &self.state.dir, &[atomic_file::DELETED])?;
        while let Some(segment) = self.segments.pop_back() {
            remove_segment(disk, &self.state.dir, segment.base)?;
        }
        disk.sync_dir(&self.state.dir)?;
        let now_ms = home.env.clock.wall_ms();
        let (mut segment, file) = Segment::create(disk, &self.state.dir, offset, now_ms)?;
        segment.jitter_ms = self.draw_jitter();
        self.segments.push_back(segment);
        if self.epochs.clear() {
            self.save_epochs(i64::MAX);
        }
        self.producers = ProducerStates::starting_at(offset);
        self.forget_after(offset);
        self.state.log_start.store(offset, Ordering::Release);
        self.state.high_watermark.store(offset, Ordering::Release);
        self.state.end_cut(offset, offset, (offset, file));
        self.publish_size();
        Ok(())
    }

    /// Removes the segments behind the one at `index`, the newest first: what is left has no gap.
    fn remove_segments_after(&mut self, disk: &dyn Disk, index: usize) -> io::Result<()> {
        while self.segments.len() > index + 1 {
            if let Some(segment) = self.segments.pop_back() {
                remove_segment(disk, &self.state.dir, segment.base)?;
            }
        }
        disk.sync_dir(&self.state.dir)
    }

    fn forget_after(&mut self, end: i64) {
        self.hot.clear();
        self.flush_asked_at = self.flush_asked_at.min(end);
        self.damage.retain(|damage| damage.next <= end);
    }

    fn remove_snapshots(&self, disk: &dyn Disk, above: i64) -> io::Result<Files> {
        let mut files = Files::list(disk, &self.state.dir)?;
        for offset in files.snapshots.clone() {
            if offset > above {
                files.remove_snapshot(disk, &self.state.dir, offset)?;
            }
        }
        Ok(files)
    }

    /// Makes the producers again as of `end`: the newest snapshot below, and the batches from there.
    fn reload_producers(&mut self, disk: &dyn Disk, end: i64) -> io::Result<()> {
        let files = self.remove_snapshots(disk, end)?;
        let now_ms = self.home.env.clock.wall_ms();
        let limits = (now_ms, self.config.producer_expiration_ms);
        let first_base = self.segments.front().map_or(end, |first| first.base);
        let mut producers = ProducerStates::starting_at(first_base);
        for offset in files.snapshots.iter().rev() {
            if let Some(states) = files.read_snapshot(disk, &self.state.dir, *offset, limits)? {
                producers = states;
                break;
            }
        }
        let next = producers.end_offset();
        let mut gathered = Gathered::new(std::mem::take(&mut self.epochs), producers, next);
        for segment in self.segments.iter().skip(self.segment_at(gathered.next)) {
            let file = self.home.files.file(&segment.file)?;
            let mut walk = Walk::new(&*file, 0, segment.len, LOOK_AROUND).over(&segment.holes);
            while let Step::Batch(found) = walk.step()? {
                gathered.take(&found.header, now_ms);
            }
        }
        self.epochs = gathered.epochs;
        self.producers = gathered.producers;
        self.producers.advance_to(end);
        Ok(())
    }
}

/// Where in the file the batches below `offset` end.
fn position_of(segment: &Segment, file: &dyn DiskFile, offset: i64) -> io::Result<u64> {
    let mut walk = Walk::new(file, 0, segment.len, LOOK_AROUND).over(&segment.holes);
    loop {
        let before = walk.position();
        match walk.step()? {
            Step::Batch(found) if found.header.last_offset() < offset => {}
            Step::Batch(found) => return Ok(found.position),
            Step::End | Step::Broken(_) => return Ok(before),
        }
    }
}

/// The file of `segment`, ending at `position`, on the disk.
fn shorten(
    disk: &dyn Disk,
    segment: &Segment,
    file: Arc<dyn DiskFile>,
    position: u64,
    dir: &Path,
) -> io::Result<Arc<dyn DiskFile>> {
    if segment.file.release_map() {
        file.set_len(position)?;
        file.sync_data()?;
        return Ok(file);
    }
    let path = segment.file.path();
    let temporary = dir.join(file_name(segment.base, "log") + atomic_file::TEMPORARY);
    let copy = disk.open(&temporary, OpenMode::Truncate)?;
    let mut buffer = vec![0; 256 << 10];
    let mut at = 0;
    while at < position {
        let want = usize::try_from(position - at).unwrap_or(usize::MAX).min(buffer.len());
        let Some(room) = buffer.get_mut(..want) else { break };
        let read = file.read_at(room, at)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        copy.write_at(&[IoSlice::new(buffer.get(..read).unwrap_or_default())], at)?;
        at += read as u64;
    }
    copy.sync_data()?;
    disk.rename(&temporary, path)?;
    disk.sync_dir(dir)?;
    Ok(copy)
}

fn remove_segment(disk: &dyn Disk, dir: &Path, base: i64) -> io::Result<()> {
    Segment::file_names(dir, base).iter().try_for_each(|path| atomic_file::remove(disk, path))
}
