//! Walks one segment during recovery: checks its batches, and derives from them what must be
//! derived again.

use std::io;
use std::sync::Arc;

use duramen_protocol::records::batch::BatchHeader;

use crate::env::{Disk, DiskFile};

use super::chain::{Chain, Witness};
use super::damage::{Damage, after_hole};
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
    /// The producers as of an offset, as a snapshot tells them: from there on they are what counts.
    pub(super) told: Option<ProducerStates>,
    /// The offset after the last batch.
    pub(super) next: i64,
    pub(super) last_epoch: i32,
    pub(super) scanned: u64,
    /// The batches told of an epoch that the history did not have.
    pub(super) learned_epoch: bool,
}

/// How one segment is walked.
#[derive(Debug, Clone, Copy)]
pub(super) struct WalkPlan<'a> {
    /// Damage that is known already.
    pub(super) known: &'a [Damage],
    /// Batches that end above this offset have their checksum computed.
    pub(super) check_from: i64,
    /// A fault below this offset is damage; one above is a torn tail, unless sound batches follow
    /// and it does not look torn.
    pub(super) durable: i64,
    /// Index entries below this offset are kept, if they are sound.
    pub(super) keep_index_below: i64,
    /// First offset of the next segment.
    pub(super) end: i64,
    /// No record was ever taken out of the log.
    pub(super) dense: bool,
    /// The epoch history tells of every batch there is.
    pub(super) has_history: bool,
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
    plan: &WalkPlan<'_>,
    gathered: &mut Gathered,
) -> io::Result<(Walked, Vec<Damage>)> {
    let start = segment.keep_sound_indexes(disk, &**file, len, plan.keep_index_below)?;
    let holes = segment.holes.clone();
    let window = if plan.check_from < plan.end { WINDOW } else { HEADERS_WINDOW };
    let mut walk = Walk::new(&**file, start, len, window).over(&holes);
    let mut damage = Vec::new();
    let mut expected = segment.base;
    if start > 0 {
        match sound_start(&mut walk, plan, gathered)? {
            // What stands before it is not looked at, and is there.
            Some(base) => expected = base,
            // Where the log ends before a faulty batch, only the batches before it can tell.
            None => walk.seek(segment.keep_sound_indexes(disk, &**file, len, i64::MIN)?),
        }
    }
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
        let first = gathered.next.max(expected);
        let first = first.max(after_hole(plan.known, segment.base, from).unwrap_or(0));
        let is_durable = first < plan.durable;
        let chain = Chain { next: first, epoch: gathered.last_epoch, end: plan.end };
        let found =
            chain.resync(&mut walk, is_durable, |at| gathered.epochs.epoch_for_offset(at))?;
        let found = match found {
            Some(found) if is_durable || !looks_torn(&**file, from, found.position)? => found,
            None if is_durable => return Ok((Walked::DamagedToEnd { from }, damage)),
            _ => {
                cut_with_the_tail(segment, &mut damage, plan.durable);
                return Ok((Walked::Torn(fault), damage));
            }
        };
        let (next, to) = (found.header.base_offset, found.position);
        damage.push(Damage { first, next, segment: segment.base, from, to });
        segment.holes.push((from, to));
        segment.len = to;
        expected = next;
        walk.seek(to);
    }
}

/// Holes behind the last sound batch go with the torn tail: what is appended in their place must not
/// be taken for them.
fn cut_with_the_tail(segment: &mut Segment, damage: &mut Vec<Damage>, durable: i64) {
    let is_tail = |hole: &Damage, len: u64| hole.to == len && hole.first >= durable;
    while let Some(hole) = damage.pop_if(|hole| is_tail(hole, segment.len)) {
        segment.len = hole.from;
    }
    let len = segment.len;
    segment.holes.retain(|(from, _)| *from < len);
}

/// Whether sound batches stand where `lost` was, from its first offset to its last, and of the epoch
/// of the batch behind, or that the history `told` where there is none; and of none older than those
/// before: their checksums do not speak for that. `holes` are those of the segment.
pub(super) fn is_sound_again(
    file: &dyn DiskFile,
    lost: &Damage,
    holes: &[(u64, u64)],
    told: Option<i32>,
) -> io::Result<bool> {
    let len = file.len()?;
    let mut walk = Walk::new(file, lost.to, len, HEADERS_WINDOW);
    let epoch = match walk.step()? {
        Step::Batch(behind) => Some(behind.header.partition_leader_epoch),
        Step::End => told,
        Step::Broken(_) => None,
    };
    let Some(epoch) = epoch else { return Ok(false) };
    let mut before = Walk::new(file, 0, lost.from, HEADERS_WINDOW).over(holes);
    while let Step::Batch(found) = before.step()? {
        if found.header.partition_leader_epoch > epoch {
            return Ok(false);
        }
    }
    walk.seek(lost.from);
    let mut chain = Chain { next: lost.first, epoch, end: lost.next };
    while walk.position() < lost.to {
        let Step::Batch(found) = walk.step()? else { return Ok(false) };
        let witness = Witness { check: true, ..Witness::default() };
        let other_epoch = found.header.partition_leader_epoch != epoch;
        if other_epoch || chain.fault(&mut walk, &found, witness)?.is_some() {
            return Ok(false);
        }
        chain.pass(&found.header);
    }
    Ok(walk.position() == lost.to && chain.next == lost.next)
}

/// Whether the bytes `[from, to)`, behind which a sound batch stands, were never written whole: a
/// power loss leaves sectors of zeros there, a disk that damages what it holds does not.
pub(super) fn looks_torn(file: &dyn DiskFile, from: u64, to: u64) -> io::Result<bool> {
    const SECTOR: u64 = 512;
    // A sound batch may begin with a few zeros in a sector that it shares, but not with an offset of
    // nothing else.
    const LEAST: usize = 8;
    let mut sector = [0; SECTOR as usize];
    let mut at = from - from % SECTOR;
    while at < to {
        let read = file.read_at(&mut sector, at)?;
        let (start, end) = (from.saturating_sub(at), (to - at).min(read as u64));
        let inside = usize::try_from(start).unwrap_or(0)..usize::try_from(end).unwrap_or(0);
        let inside = sector.get(inside).unwrap_or_default();
        if inside.len() >= LEAST && inside.iter().all(|byte| *byte == 0) {
            return Ok(true);
        }
        at += SECTOR;
    }
    Ok(false)
}

/// The base offset of the batch that the index led to, unless there is doubt about that.
fn sound_start(
    walk: &mut Walk<'_>,
    plan: &WalkPlan<'_>,
    gathered: &mut Gathered,
) -> io::Result<Option<i64>> {
    let start = walk.position();
    let Step::Batch(first) = walk.step()? else {
        walk.seek(start);
        return Ok(None);
    };
    let base = first.header.base_offset;
    let fault = check(walk, &first, base, plan, gathered)?;
    walk.seek(start);
    let told = gathered.epochs.epoch_for_offset(base);
    // Either may be wrong: the batches before know which.
    let agrees = !plan.has_history || told == Some(first.header.partition_leader_epoch);
    Ok((fault.is_none() && agrees).then_some(base))
}

fn check(
    walk: &mut Walk<'_>,
    found: &Found,
    expected: i64,
    plan: &WalkPlan<'_>,
    gathered: &mut Gathered,
) -> io::Result<Option<Fault>> {
    let chain = Chain { next: expected, epoch: gathered.last_epoch, end: plan.end };
    let check = found.header.last_offset() >= plan.check_from;
    let epoch = gathered.epochs.epoch_for_offset(found.header.base_offset);
    // Of what is durable the end is known: no batch behind it is needed to speak for its offsets.
    let dense = plan.dense && found.header.base_offset >= plan.durable;
    let complete = plan.has_history && !gathered.learned_epoch;
    let witness = Witness { epoch, check, dense, complete };
    let fault = chain.fault(walk, found, witness)?;
    if check {
        gathered.scanned += found.size();
    }
    Ok(fault)
}

fn take(segment: &mut Segment, found: &Found, plan: &WalkPlan<'_>, gathered: &mut Gathered) {
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
    /// Before the first batch, at offset `next`.
    pub(super) fn new(epochs: EpochHistory, producers: ProducerStates, next: i64) -> Self {
        let (last_epoch, scanned, learned_epoch) = (-1, 0, false);
        Self { epochs, producers, told: None, next, last_epoch, scanned, learned_epoch }
    }

    /// The producers are as the snapshot told them; the batches before it are remembered with them.
    pub(super) fn take_told(&mut self) {
        if let Some(told) = self.told.take() {
            let before = std::mem::replace(&mut self.producers, told);
            self.producers.remember(before);
        }
    }

    /// Notes a batch that is in the log.
    pub(super) fn take(&mut self, header: &BatchHeader, now_ms: i64) {
        self.next = self.next.max(header.next_offset());
        self.last_epoch = self.last_epoch.max(header.partition_leader_epoch);
        // Only if the history says otherwise: to assign an old epoch again would drop all later ones.
        // What lies before its first term it forgot together with the log's start.
        let epoch = header.partition_leader_epoch;
        let forgot = self
            .epochs
            .entries()
            .first()
            .is_some_and(|term| header.base_offset < term.start_offset);
        if !forgot && self.epochs.epoch_for_offset(header.base_offset) != Some(epoch) {
            self.learned_epoch |= self.epochs.assign(epoch, header.base_offset);
        }
        if self.told.as_ref().is_some_and(|told| told.end_offset() <= header.base_offset) {
            self.take_told();
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
