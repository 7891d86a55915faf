//! Reading: find the batch, hand out a slice of the map.

use std::io;

use bytes::Bytes;
use duramen_protocol::records::BatchView;

use crate::env::{Patience, Populate};

use super::chain::{Chain, Witness};
use super::damage::{Damage, after_hole};
use super::epochs::EpochHistory;
use super::error::{ReadError, StorageError};
use super::segment::Segment;
use super::view::Reader;
use super::walk::{Found, Step, Walk};

/// What is read at once to find the bounds of damage.
const CLOSE_WINDOW: usize = 64 << 10;

/// What a reader wants.
#[derive(Debug, Clone, Copy)]
pub struct ReadRequest {
    /// First offset wanted. The answer begins with the batch that holds it.
    pub offset: i64,
    /// Most bytes to return.
    pub max_bytes: usize,
    /// Return the first batch whole even when it is larger than `max_bytes`.
    pub min_one: bool,
    /// Return nothing at or above this offset.
    pub up_to: i64,
    /// Whether to wait for the disk, or to fail with [`ReadError::NotInMemory`].
    pub patience: Patience,
}

/// What a reader gets: whole batches, but for the last one, which may be cut at the size bound.
#[derive(Debug, Clone, Default)]
pub struct LogRead {
    /// The bytes as they are in the file. Empty when nothing is there yet.
    pub bytes: Bytes,
    /// Base offset of the first batch, or the offset asked for.
    pub first_batch_offset: i64,
    /// First offset after the segment that they come from: no sound batch reaches it.
    pub segment_end: i64,
    /// The bytes were written lately, so they are in memory and as they were written.
    pub hot: bool,
    /// The bytes were brought from the disk. Brings them again, should they have been pushed out before
    /// they are touched or sent; run it where blocking is allowed.
    pub populate: Option<Populate>,
}

impl Reader<'_> {
    /// See [`Log::read`](super::log::Log::read).
    pub(super) fn read(&self, request: &ReadRequest) -> Result<LogRead, ReadError> {
        let nothing = LogRead { first_batch_offset: request.offset, hot: true, ..<_>::default() };
        Ok(self.read_if_any(request)?.unwrap_or(nothing))
    }

    /// The same; `None` when no batch ends at or after the offset.
    pub(super) fn read_if_any(&self, request: &ReadRequest) -> Result<Option<LogRead>, ReadError> {
        self.check()?;
        let (offset, patience) = (request.offset, request.patience);
        let (log_start, log_end) = (self.bounds.log_start, self.bounds.end);
        if offset < log_start || offset > log_end {
            return Err(ReadError::OutOfRange { offset, log_start, log_end });
        }
        let limit = request.up_to.min(log_end);
        if offset >= limit {
            return Ok(None);
        }
        // A segment may end before the offset where compaction took records: the next one then.
        for (index, segment) in self.segments.iter().enumerate().skip(self.segment_at(offset)) {
            if segment.base >= limit {
                break;
            }
            let found = match self.find(segment, offset, patience)? {
                // Segments leave no gap between them: what is not there is lost.
                None if offset < self.segment_end(index) => match patience {
                    Patience::Now => return Err(ReadError::NotInMemory),
                    Patience::Wait => self.look_closely(segment, offset)?,
                },
                found => found,
            };
            if let Some(found) = found {
                let end = self.end_position(index, segment, limit, patience)?;
                return self.take(segment, &found, end, request).map(Some);
            }
        }
        Ok(None)
    }

    /// Where in `segment` the batches below `limit` end.
    fn end_position(
        &self,
        index: usize,
        segment: &Segment,
        limit: i64,
        patience: Patience,
    ) -> Result<u64, ReadError> {
        if limit >= self.segment_end(index) {
            return Ok(segment.len);
        }
        Ok(self.find(segment, limit, patience)?.map_or(segment.len, |found| found.position))
    }

    fn take(
        &self,
        segment: &Segment,
        first: &Found,
        end: u64,
        request: &ReadRequest,
    ) -> Result<LogRead, ReadError> {
        let start = first.position;
        // Nothing of a damaged stretch leaves.
        let holes = segment.holes.iter().map(|(from, _)| *from).filter(|from| *from > start);
        let end = holes.fold(end, u64::min);
        let bound = start.saturating_add(request.max_bytes as u64);
        let end = match end.min(bound) {
            _ if end < first.end() => start,
            at if at >= first.end() => at,
            _ if request.min_one => first.end(),
            _ => start,
        };
        let hot = self.is_hot(first.header.base_offset);
        let unreadable = |error: io::Error| self.unreadable(segment, &error);
        let files = &self.home.files;
        let is_active = segment.base == self.bounds.active;
        let window = if is_active { self.bounds.window } else { segment.len };
        let slice = || segment.slice(files, start, end, window).map_err(unreadable);
        let answer = |bytes, populate| LogRead {
            bytes,
            first_batch_offset: first.header.base_offset,
            segment_end: self.segment_end(self.segment_at(segment.base)),
            hot,
            populate,
        };
        if hot || start == end {
            return Ok(answer(slice()?, None));
        }
        let in_memory = segment.is_in_memory(files, start, end).map_err(unreadable)?;
        if in_memory && segment.sound.covers(start, end) {
            return Ok(answer(slice()?, None));
        }
        if !in_memory {
            segment.sound.pushed_out(start);
        }
        if request.patience == Patience::Now {
            return Err(ReadError::NotInMemory);
        }
        let populate = segment.populate(files, start, end, window).map_err(unreadable)?;
        populate.run().map_err(unreadable)?;
        let mut bytes = slice()?;
        // Of a file that is being cut nothing may be touched.
        if self.is_outdated() {
            return Err(ReadError::Changed);
        }
        bytes.truncate(sound_prefix(&bytes));
        if bytes.is_empty() {
            return Err(self.damage_of(segment, first));
        }
        segment.sound.checked(start, start + bytes.len() as u64);
        let populate = Some(populate).filter(|_| !in_memory);
        Ok(answer(bytes, populate))
    }

    /// The checksum of `found` does not hold.
    fn damage_of(&self, segment: &Segment, found: &Found) -> ReadError {
        let (first, next) = (found.header.base_offset, found.header.next_offset());
        let closer = self.look_closely(segment, first);
        closer.err().unwrap_or(ReadError::Damaged { first, next })
    }

    /// The first batch of `segment` that ends at or after `offset`.
    pub(super) fn find(
        &self,
        segment: &Segment,
        offset: i64,
        patience: Patience,
    ) -> Result<Option<Found>, ReadError> {
        // What was written lately comes from memory; what comes from the disk is looked at closer.
        let hot = self.is_hot(offset);
        let end = self.segment_end(self.segment_at(segment.base));
        let care = Some((self.epochs, end)).filter(|_| !hot);
        let patience = if hot { Patience::Wait } else { patience };
        let found = match self.find_near(segment, offset, patience, care) {
            // Also of damage the bounds are found where waiting is allowed.
            Err(error)
                if patience == Patience::Now
                    && matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::InvalidData
                    ) =>
            {
                return Err(ReadError::NotInMemory);
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                self.look_closely(segment, offset)?
            }
            other => other.map_err(|error| self.unreadable(segment, &error))?,
        };
        let next = found.map_or(i64::MAX, |found| found.header.base_offset);
        let lost = |damage: &&Damage| damage.first <= offset && offset < damage.next.min(next);
        match self.damage.iter().find(lost) {
            Some(Damage { first, next, .. }) => {
                Err(ReadError::Damaged { first: *first, next: *next })
            }
            None => Ok(found),
        }
    }

    /// The same as far as the segment itself tells. What is looked at with `care` may have to come from the
    /// disk, which brings along what is not known to be sound then.
    fn find_near(
        &self,
        segment: &Segment,
        offset: i64,
        patience: Patience,
        care: Option<(&EpochHistory, i64)>,
    ) -> io::Result<Option<Found>> {
        let find = |patience| {
            segment.find((&*self.home.env.disk, &self.home.files), patience, offset, care)
        };
        if care.is_none() || patience == Patience::Now {
            return find(patience);
        }
        match find(Patience::Now) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let found = find(Patience::Wait)?;
                segment.sound.pushed_out(found.map_or(segment.len, |found| found.position));
                Ok(found)
            }
            found => found,
        }
    }

    /// What stands at `offset` of a segment with damage that nobody knew of: a sound batch that
    /// ends at or after it, nothing, or the damage itself. Walks the segment; what is damaged is
    /// taken over when the log is next maintained.
    fn look_closely(&self, segment: &Segment, offset: i64) -> Result<Option<Found>, ReadError> {
        let unreadable = |error: io::Error| self.unreadable(segment, &error);
        let end = self.segment_end(self.segment_at(segment.base));
        let file = self.home.files.file(&segment.file).map_err(unreadable)?;
        // All of it may come from the disk now.
        segment.sound.clear();
        let mut walk = Walk::new(&*file, 0, segment.len, CLOSE_WINDOW).over(&segment.holes);
        let mut chain = Chain { next: segment.base, epoch: -1, end };
        loop {
            let step = walk.step().map_err(unreadable)?;
            // A known hole before it was passed over.
            let from =
                if let Step::Batch(found) = &step { found.position } else { walk.position() };
            chain.next = chain.next.max(after_hole(self.damage, segment.base, from).unwrap_or(0));
            match step {
                Step::End => return self.end_of(segment, chain.next, end),
                Step::Batch(found) => {
                    let epoch = self.epochs.epoch_for_offset(found.header.base_offset);
                    let check = found.header.last_offset() >= offset;
                    let witness = Witness { epoch, complete: true, check, ..Witness::default() };
                    let fault = chain.fault(&mut walk, &found, witness);
                    if fault.map_err(unreadable)?.is_none() {
                        chain.pass(&found.header);
                        if found.header.last_offset() >= offset {
                            return Ok(Some(found));
                        }
                        continue;
                    }
                }
                Step::Broken(_) => {}
            }
            let first = chain.next;
            walk.seek(from);
            let told = |at| self.epochs.epoch_for_offset(at);
            let found = chain.resync(&mut walk, true, told).map_err(unreadable)?;
            let next = found.map_or(end, |found| found.header.base_offset);
            let to = found.map_or(segment.len, |found| found.position);
            if self.is_outdated() {
                return Err(ReadError::Changed);
            }
            let damage = Damage { first, next, segment: segment.base, from, to };
            self.state.add_damage(damage, self.bounds.files_gone);
            if next > offset {
                return Err(ReadError::Damaged { first, next });
            }
            chain.next = next;
            walk.seek(to);
        }
    }

    /// The end of a segment whose last batch ends before `next`: batches up to `end` are missing, unless
    /// that is known.
    fn end_of(&self, segment: &Segment, next: i64, end: i64) -> Result<Option<Found>, ReadError> {
        let known = self.damage.iter().any(|known| known.first <= next && end <= known.next);
        if next >= end || known {
            return Ok(None);
        }
        if self.is_outdated() {
            return Err(ReadError::Changed);
        }
        let (first, at) = (next, segment.len);
        let damage = Damage { first, next: end, segment: segment.base, from: at, to: at };
        self.state.add_damage(damage, self.bounds.files_gone);
        Err(ReadError::Damaged { first, next: end })
    }

    /// The damage behind `offset`, for who reads on past it without wanting that offset itself.
    pub(super) fn found_damaged(&self, segment: &Segment, offset: i64) -> ReadError {
        match self.look_closely(segment, offset.saturating_add(1)) {
            Err(error) => error,
            Ok(_) => ReadError::Damaged { first: offset, next: offset.saturating_add(1) },
        }
    }

    pub(super) fn unreadable(&self, segment: &Segment, error: &io::Error) -> ReadError {
        if self.is_outdated() {
            return ReadError::Changed;
        }
        let error: StorageError = self.home.judge("read", segment.file.path(), error);
        error.into()
    }
}

/// How many of `bytes` are whole batches whose checksums hold. Touches all of them.
fn sound_prefix(bytes: &[u8]) -> usize {
    let (mut sound, mut rest) = (0, bytes);
    while let Ok((batch, behind)) = BatchView::split(rest)
        && batch.crc_is_valid()
    {
        sound += batch.size();
        rest = behind;
    }
    sound
}
