//! Walks one segment during recovery: checks its batches, and derives from them what must be
//! derived again.

use std::io;
use std::sync::Arc;

use duramen_protocol::records::batch::BatchHeader;

use crate::env::{Disk, DiskFile};

use super::damage::Damage;
use super::epochs::EpochHistory;
use super::producer_state::{BatchFacts, NO_PRODUCER_ID, ProducerStates};
use super::segment::{BatchNote, Segment};
use super::walk::{Fault, Found, Step, Walk};

/// What is read at once: of bytes that are all looked at, and of headers alone.
const WINDOW: usize = 256 << 10;
const HEADERS_WINDOW: usize = 16 << 10;

/// What the batches of a log tell, gathered from segment to segment.
#[derive(Debug)]
pub(super) struct Gathered {
    pub(super) epochs: EpochHistory,
    pub(super) producers: ProducerStates,
    /// The offset after the last batch.
    pub(super) next: i64,
    pub(super) last_epoch: i32,
    pub(super) scanned: u64,
}

/// How one segment is walked.
#[derive(Debug, Clone, Copy)]
pub(super) struct WalkPlan {
    /// Batches that end above this offset have their checksum computed.
    pub(super) check_from: i64,
    /// A fault below this offset is damage.
    pub(super) durable: i64,
    /// Index entries below this offset are kept, if they are sound.
    pub(super) keep_index_below: i64,
    /// First offset of the next segment.
    pub(super) end: i64,
    /// Bytes of log between index entries.
    pub(super) index_interval: u64,
    pub(super) now_ms: i64,
}

/// How the walk ended.
#[derive(Debug)]
pub(super) enum Walked {
    /// At the end of the file.
    Whole,
    /// At a fault above what is durable; the segment ends before it.
    Torn(Fault),
    /// In damage that reaches to the end of the file.
    DamagedToEnd { from: u64 },
}

/// Walks `segment`, whose indexes are open, over the first `len` bytes of `file`. Batches go to the
/// segment, its indexes and `gathered`; stretches of damage to `damage`.
pub(super) fn walk(
    disk: &dyn Disk,
    file: &Arc<dyn DiskFile>,
    segment: &mut Segment,
    len: u64,
    plan: &WalkPlan,
    gathered: &mut Gathered,
) -> io::Result<(Walked, Vec<Damage>)> {
    let start = segment.keep_sound_indexes(disk, &**file, len, plan.keep_index_below)?;
    let holes = segment.holes.clone();
    let window = if plan.check_from < plan.end { WINDOW } else { HEADERS_WINDOW };
    let mut walk = Walk::new(&**file, start, len, window).over(&holes);
    let mut damage = Vec::new();
    let mut expected = if start == 0 { segment.base } else { 0 };
    loop {
        let fault = match walk.step()? {
            Step::End => return Ok((Walked::Whole, damage)),
            Step::Broken(fault) => Some(fault),
            Step::Batch(found) => match check(&mut walk, &found, expected, plan, gathered)? {
                Some(fault) => {
                    walk.seek(found.position);
                    Some(fault)
                }
                None => {
                    take(segment, &found, plan, gathered);
                    expected = found.header.next_offset();
                    None
                }
            },
        };
        let Some(fault) = fault else { continue };
        let from = walk.position();
        if gathered.next.max(expected) >= plan.durable {
            return Ok((Walked::Torn(fault), damage));
        }
        let first = gathered.next.max(expected);
        let wanted = |found: &Found| {
            found.header.base_offset >= first && found.header.last_offset() < plan.end
        };
        // Whatever stands here was refused: to find it again would be no way on.
        walk.seek(from + 1);
        let Some(found) = walk.resync(wanted)? else {
            return Ok((Walked::DamagedToEnd { from }, damage));
        };
        let (next, to) = (found.header.base_offset, found.position);
        damage.push(Damage { first, next, segment: segment.base, from, to });
        segment.holes.push((from, to));
        segment.len = to;
        expected = next;
        walk.seek(to);
    }
}

fn check(
    walk: &mut Walk<'_>,
    found: &Found,
    expected: i64,
    plan: &WalkPlan,
    gathered: &mut Gathered,
) -> io::Result<Option<Fault>> {
    let BatchHeader { base_offset, partition_leader_epoch: epoch, .. } = found.header;
    let last = found.header.last_offset();
    if base_offset < expected || last < base_offset || last >= plan.end {
        return Ok(Some(Fault::Offsets));
    }
    // The checksum does not cover the epoch. A batch that was durable is not given up for it: the
    // one before may be the one that lies.
    if epoch >= 0 && epoch < gathered.last_epoch && base_offset >= plan.durable {
        return Ok(Some(Fault::Epoch));
    }
    if last >= plan.check_from {
        gathered.scanned += found.size();
        if !walk.checksum_holds(found)? {
            return Ok(Some(Fault::Checksum));
        }
    }
    Ok(None)
}

fn take(segment: &mut Segment, found: &Found, plan: &WalkPlan, gathered: &mut Gathered) {
    let header = &found.header;
    // Known holes lie between the last batch and this one.
    segment.len = found.position;
    let note = BatchNote {
        size: found.size(),
        last_offset: header.last_offset(),
        max_timestamp: header.max_timestamp,
    };
    segment.publish(&note, plan.index_interval);
    gathered.take(header, plan.now_ms);
}

impl Gathered {
    /// Notes a batch that is in the log.
    pub(super) fn take(&mut self, header: &BatchHeader, now_ms: i64) {
        self.next = self.next.max(header.next_offset());
        if header.partition_leader_epoch >= 0 {
            self.last_epoch = header.partition_leader_epoch;
        }
        // Only if the history says otherwise: to assign an old epoch again would drop all later ones.
        let epoch = header.partition_leader_epoch;
        if self.epochs.epoch_for_offset(header.base_offset) != Some(epoch) {
            self.epochs.assign(epoch, header.base_offset);
        }
        if header.base_offset < self.producers.end_offset() {
            return;
        }
        if header.producer_id == NO_PRODUCER_ID || header.is_control() {
            self.producers.advance_to(header.next_offset());
            return;
        }
        let facts = BatchFacts {
            producer_id: header.producer_id,
            producer_epoch: header.producer_epoch,
            base_sequence: header.base_sequence,
            first_offset: header.base_offset,
            last_offset: header.last_offset(),
            max_timestamp: header.max_timestamp,
            transactional: header.is_transactional(),
        };
        self.producers.apply(&facts, now_ms);
    }
}
