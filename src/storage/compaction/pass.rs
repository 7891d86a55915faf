//! One pass over one log.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use duramen_protocol::records::control::ControlType;
use duramen_protocol::records::{BatchError, BatchView};

use super::super::atomic_file;
use super::super::background::Job;
use super::super::home::Home;
use super::super::log::Log;
use super::super::log_state::LogState;
use super::super::segment::Segment;
use super::super::validate::UNFOLDED_MAX;
use super::super::walk::{Step, Walk};
use super::batches::Batches;
use super::key_map::{ENTRY_BYTES, KeyMap};
use super::output::{self, Output};
use super::plan::{self, CleanOffsets, CleanPlan, ClosedSegment};
use super::rules::{LastBatches, Place, Rules, Verdict};
use super::swap::mark;
use super::transactions::{Aborted, Underway};
use super::{CleanError, CleanLimits, CompactionPolicy, Pause, SharedLog};

/// The smallest map, in keys: memory for it comes only as it is used.
const KEYS_LEAST: u64 = 1024;

/// Positions in a segment are of 31 bits.
const SEGMENT_BYTES_MAX: u64 = i32::MAX.unsigned_abs() as u64;

/// What a pass did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CleanOutcome {
    /// Everything below this offset is clean now.
    pub cleaned_to: i64,
    /// There is more to clean: the map was full.
    pub is_partial: bool,
    /// Bytes of the segments that were read to be written anew, and of what was written.
    pub bytes_before: u64,
    /// See there.
    pub bytes_after: u64,
}

/// A log as it was when the pass began.
struct Task {
    home: Arc<Home>,
    state: Arc<LogState>,
    /// Closed ones that may be cleaned, oldest first.
    segments: Vec<Segment>,
    /// Those behind, where transactions may have ended.
    later: Vec<Segment>,
    plan: CleanPlan,
    policy: CompactionPolicy,
    last_batches: LastBatches,
    segment_bytes: u64,
    index_interval: u64,
    /// How often it had been cut.
    generation: u64,
}

impl Log {
    /// What of the log may be cleaned as of `now_ms` (ms since 1970); `None` when it is not
    /// compacted, or can't be.
    pub fn clean_plan(&mut self, now_ms: i64) -> Option<CleanPlan> {
        if !self.config.compact || self.state.uncleanable.load(Ordering::Relaxed) {
            return None;
        }
        let policy = self.config.compaction;
        if policy.max_lag_ms < i64::MAX {
            self.learn_first_timestamps();
        }
        let closed = self.segments.len().saturating_sub(1);
        let facts = |segment: &Segment| ClosedSegment {
            base: segment.base,
            size: segment.len,
            first_ms: segment.first_timestamp,
            newest_ms: segment.latest.map_or(segment.modified_ms, |latest| latest.timestamp),
        };
        let closed: Vec<_> = self.segments.iter().take(closed).map(facts).collect();
        let at = CleanOffsets {
            log_start: self.log_start_offset(),
            cleaned: self.state.cleaned.load(Ordering::Acquire),
            active: self.active().map_or(0, |active| active.base),
            // What a crash would make recovery look at again is left as it is.
            stable: self.last_stable_offset().min(self.state.recovery_point()),
        };
        Some(plan::plan(&closed, at, &policy, now_ms))
    }

    /// Reads when the first batch of each segment was written, where that is not known.
    fn learn_first_timestamps(&mut self) {
        let home = Arc::clone(&self.home);
        for segment in self.segments.iter_mut().filter(|segment| segment.first_timestamp.is_none())
        {
            let Ok(file) = home.files.file(&segment.file) else { continue };
            let first = Walk::new(&*file, 0, segment.len, 0).step();
            if let Ok(Step::Batch(found)) = first {
                segment.first_timestamp = Some(found.header.max_timestamp);
            }
        }
    }

    fn start_cleaning(&mut self, now_ms: i64) -> Option<Task> {
        let plan = self.clean_plan(now_ms).filter(|plan| plan.dirty_bytes > 0)?;
        let (segments, later) =
            self.segments.iter().cloned().partition(|segment| segment.base < plan.end);
        let last = |entry: &super::super::producer_state::ProducerEntry| {
            (entry.epoch, entry.last_batch().map(|batch| batch.last_offset))
        };
        Some(Task {
            home: Arc::clone(&self.home),
            state: Arc::clone(&self.state),
            segments,
            later,
            plan,
            policy: self.config.compaction,
            last_batches: self.producers.iter().map(|(id, entry)| (id, last(entry))).collect(),
            segment_bytes: u64::from(self.config.segment_bytes),
            index_interval: u64::from(self.config.index_interval_bytes),
            generation: self.state.generation(),
        })
    }
}

/// Cleans a log as of `now_ms` (ms since 1970), whether it is worth it or not. Blocks; others use
/// the log meanwhile.
///
/// # Errors
/// [`CleanError`]: what was swapped in until then stays.
pub fn clean(
    log: &impl SharedLog,
    limits: &CleanLimits,
    pause: Pause<'_>,
    now_ms: i64,
) -> Result<CleanOutcome, CleanError> {
    let start = |log: &mut Log| log.check().map(|()| log.start_cleaning(now_ms));
    let task = log.with_log(start).transpose()?.flatten();
    let Some(task) = task else { return Ok(CleanOutcome::default()) };
    let home = Arc::clone(&task.home);
    home.cleaning.begin();
    let pass = Pass { pace: Pace::new(&home, limits, pause), task: &task, limits, now_ms };
    let result = pass.run(log);
    home.cleaning.end(home.env.clock.wall_ms(), result.is_ok());
    match &result {
        Err(CleanError::Uncleanable { .. }) => {
            task.state.uncleanable.store(true, Ordering::Relaxed);
            home.cleaning.errors.inc();
        }
        Err(CleanError::Storage(_)) => _ = home.cleaning.errors.inc(),
        _ => {}
    }
    result
}

struct Pass<'a> {
    task: &'a Task,
    limits: &'a CleanLimits,
    pace: Pace<'a>,
    now_ms: i64,
}

impl Pass<'_> {
    fn run(mut self, log: &impl SharedLog) -> Result<CleanOutcome, CleanError> {
        let task = self.task;
        let aborted = self.survey()?;
        let (map, end) = self.map_keys(&aborted)?;
        // On the disk, too, recovery begins behind all that is written anew.
        task.home.checkpoints.write(&task.home)?;
        let mut cleaned = task.segments.iter().take_while(|segment| segment.base < end);
        let rules = Rules {
            map: &map,
            aborted: &aborted,
            last_batches: &task.last_batches,
            end,
            now_ms: self.now_ms,
            delete_retention_ms: task.policy.delete_retention_ms,
            keeps_tombstones: cleaned.any(|segment| !segment.holes.is_empty()),
            unfolded_max: UNFOLDED_MAX,
        };
        let mut outcome = CleanOutcome {
            cleaned_to: end,
            is_partial: end < task.plan.end,
            ..CleanOutcome::default()
        };
        let mut underway = Underway::default();
        for group in self.groups(end) {
            let group = task.segments.get(group).unwrap_or_default();
            let before: u64 = group.iter().map(|segment| segment.len).sum();
            let written = self.write_group(group, &rules, &mut underway);
            let after = match written {
                Ok(Some(new)) => {
                    let after = new.len;
                    self.swap(log, group, new)?;
                    after
                }
                Ok(None) => before,
                Err(error) => {
                    self.forget_output(group);
                    return Err(error);
                }
            };
            outcome.bytes_before += before;
            outcome.bytes_after += after;
        }
        log.with_log(|log| log.set_cleaned(end, task.generation)).unwrap_or(Ok(()))?;
        task.home.checkpoints.write(&task.home)?;
        Ok(outcome)
    }

    /// The dirty segments.
    fn dirty(&self) -> impl Iterator<Item = &Segment> {
        let segments = &self.task.segments;
        let first = segments.partition_point(|segment| segment.base <= self.task.plan.first_dirty);
        segments.iter().skip(first.saturating_sub(1))
    }

    /// Which transactions of the dirty part were aborted: also those that ended behind it.
    fn survey(&self) -> Result<Aborted, CleanError> {
        let mut aborted = Aborted::default();
        for segment in self.dirty().chain(&self.task.later) {
            let is_later = segment.base >= self.task.plan.end;
            if is_later && aborted.all_ended() {
                break;
            }
            let failed = |error| self.unreadable(segment, error);
            let file = self.task.home.files.file(&segment.file).map_err(failed)?;
            let window = self.limits.io_bytes as usize;
            let mut walk = Walk::new(&*file, 0, segment.len, window).over(&segment.holes);
            while let Step::Batch(found) = walk.step().map_err(failed)? {
                if !found.header.is_control() {
                    if !is_later {
                        aborted.data(&found.header);
                    }
                    continue;
                }
                let mut bytes = vec![0; found.header.size()];
                file.read_at(&mut bytes, found.position).map_err(failed)?;
                if let Some(kind) = kind_of_marker(&bytes) {
                    aborted.marker(&found.header, kind);
                }
            }
            self.pace.check()?;
        }
        Ok(aborted)
    }

    /// Where each key of the dirty part was written last, and up to which offset that was read.
    fn map_keys(&mut self, aborted: &Aborted) -> Result<(KeyMap, i64), CleanError> {
        let plan = self.task.plan;
        let slots = self.limits.map_bytes / ENTRY_BYTES as u64;
        // There are no more keys than offsets; a small table stays in the processor's caches.
        let offsets = u64::try_from(plan.end - plan.first_dirty).unwrap_or(0);
        let needed = (offsets as f64 / self.limits.load_factor) as u64 + 2;
        let slots = slots.min(needed.min(plan.dirty_bytes).max(KEYS_LEAST));
        let keys = (slots as f64 * self.limits.load_factor) as usize;
        let random = &self.task.home.env.random;
        let secret = random.uuid().as_u128() ^ u128::from(random.u64()) << 64;
        let mut map = KeyMap::new(secret, keys, slots as usize);
        let mut end = None;
        let mut scratch = Vec::new();
        let home = Arc::clone(&self.task.home);
        for segment in
            self.task.segments.iter().skip(self.task.segments.len() - self.dirty().count())
        {
            let file = home.files.file(&segment.file).map_err(|e| self.unreadable(segment, e))?;
            let from = (segment.holes.as_slice(), segment.len);
            let mut batches = Batches::new(&*file, from, self.limits.io_bytes as usize);
            while let Some(batch) = batches.next().map_err(|e| self.unreadable(segment, e))? {
                self.read(&batch)?;
                let is_clean = batch.last_offset() < plan.first_dirty;
                if is_clean || batch.is_control() || aborted.holds(&batch.header()) {
                    continue;
                }
                let count = usize::try_from(batch.record_count()).unwrap_or(0);
                if map.room() < count {
                    match end {
                        Some(end) => return Ok((map, end)),
                        // Each pass gets further, by one batch at least.
                        None => {
                            // A header may claim any number: not more than there is room for.
                            let records = batch.records(&mut scratch, UNFOLDED_MAX);
                            records.map_err(|error| uncleanable(segment, &error))?;
                            map = KeyMap::new(secret, count, 0);
                        }
                    }
                }
                note_keys(&mut map, &batch, plan.first_dirty, &mut scratch)
                    .map_err(|error| uncleanable(segment, &error))?;
                end = Some(batch.next_offset());
            }
        }
        Ok((map, plan.end))
    }

    /// The segments to write anew, those together that make one.
    fn groups(&self, end: i64) -> Vec<std::ops::Range<usize>> {
        let cleaned = self.task.segments.iter().take_while(|segment| segment.base < end);
        let facts: Vec<_> =
            cleaned.map(|segment| (segment.base, segment.len, !segment.holes.is_empty())).collect();
        let next = self.task.segments.get(facts.len()).map_or(self.task.plan.end, |next| next.base);
        plan::groups(&facts, next, self.task.segment_bytes)
    }

    /// Writes what stays of a group of segments. `None` when that is all of it, in one segment.
    fn write_group(
        &mut self,
        group: &[Segment],
        rules: &Rules<'_>,
        underway: &mut Underway,
    ) -> Result<Option<Segment>, CleanError> {
        let task = self.task;
        let (Some(first), Some(last)) = (group.first(), group.iter().rposition(|s| s.len > 0))
        else {
            return Ok(None);
        };
        if !first.holes.is_empty() {
            self.pass_by(first, underway)?;
            return Ok(None);
        }
        let (home, dir) = (&task.home, task.state.dir.as_path());
        let disk = &*home.env.disk;
        if !home.space.may_grow(&home.env, &home.path) {
            return Err(super::StorageError::NoSpace { path: home.path.clone() }.into());
        }
        let failed = |error: io::Error| CleanError::from(home.judge("clean", dir, &error));
        let io_bytes = self.limits.io_bytes as usize;
        let to = (task.index_interval, first.created_ms);
        let mut output = Output::create(disk, (dir, first.base), io_bytes, to).map_err(failed)?;
        let mut left: u64 = group.iter().map(|segment| segment.len).sum();
        let limit = left.max(task.segment_bytes).min(SEGMENT_BYTES_MAX);
        let mut changed = group.len() > 1;
        let mut scratch = Vec::new();
        for (index, segment) in group.iter().enumerate() {
            let file = home.files.file(&segment.file).map_err(|e| self.unreadable(segment, e))?;
            let from = (segment.holes.as_slice(), segment.len);
            let mut batches = Batches::new(&*file, from, io_bytes);
            loop {
                // What the segment ends with stays, so that between two segments nothing is missing.
                let is_last = batches.next_is_last().map_err(|e| self.unreadable(segment, e))?;
                let batch = batches.next().map_err(|e| self.unreadable(segment, e))?;
                let Some(batch) = batch else { break };
                self.read(&batch)?;
                left -= batch.size() as u64;
                let taken = output.len() + left;
                let must_stay = batch.next_offset() == rules.end || (index == last && is_last);
                let place = Place { must_stay, room: limit.saturating_sub(taken) };
                let verdict = rules
                    .judge(&batch, place, underway, &mut scratch)
                    .map_err(|error| uncleanable(segment, &error))?;
                let bytes = match &verdict {
                    Verdict::Nothing => {
                        changed = true;
                        continue;
                    }
                    Verdict::Instead(bytes) if taken + bytes.len() as u64 <= SEGMENT_BYTES_MAX => {
                        changed = true;
                        bytes
                    }
                    // Packed anew it has become larger.
                    Verdict::Instead(_) | Verdict::Whole => batch.bytes(),
                };
                let (batch, _) = BatchView::split(bytes).map_err(|e| uncleanable(segment, &e))?;
                output.push(&batch).map_err(failed)?;
                self.pace.spend(batch.size(), &home.cleaning.written_bytes)?;
            }
        }
        if !changed {
            output::remove(disk, dir, first.base).map_err(failed)?;
            return Ok(None);
        }
        let mut segment = output.finish(disk, dir).map_err(failed)?;
        segment.modified_ms = group.last().map_or(first.modified_ms, |last| last.modified_ms);
        Ok(Some(segment))
    }

    /// Notes the transactions of a segment that is left as it is.
    fn pass_by(&self, segment: &Segment, underway: &mut Underway) -> Result<(), CleanError> {
        let failed = |error| self.unreadable(segment, error);
        let file = self.task.home.files.file(&segment.file).map_err(failed)?;
        let window = self.limits.io_bytes as usize;
        let mut walk = Walk::new(&*file, 0, segment.len, window).over(&segment.holes);
        while let Step::Batch(found) = walk.step().map_err(failed)? {
            if found.header.is_control() {
                underway.marker_is_alone(&found.header);
            } else {
                underway.data(&found.header);
            }
        }
        Ok(())
    }

    /// Puts a new segment in the place of a group, and has the old files removed. Both steps are made
    /// to last without the log's lock.
    fn swap(
        &self,
        log: &impl SharedLog,
        group: &[Segment],
        new: Segment,
    ) -> Result<(), CleanError> {
        let (home, base) = (&self.task.home, new.base);
        let to = (base, self.task.generation);
        let intended = log.with_log(|log| log.intend_swap(group, to));
        intended.unwrap_or(Err(CleanError::Changed)).inspect_err(|_| {
            if !home.is_offline() {
                self.forget_output(group);
            }
        })?;
        self.sync_names()?;
        let gone =
            log.with_log(|log| log.swap_in(group, new)).unwrap_or(Err(CleanError::Changed))?;
        self.sync_names()?;
        let (disk, dir) = (&*home.env.disk, &self.task.state.dir);
        let removed = atomic_file::remove(disk, &mark(dir, base));
        removed.map_err(|error| home.judge("remove the mark of a swap in", dir, &error))?;
        home.jobs.push(Job::RemoveFiles { paths: gone, unsynced: None });
        Ok(())
    }

    fn sync_names(&self) -> Result<(), CleanError> {
        let (home, dir) = (&self.task.home, self.task.state.dir.as_path());
        home.env.disk.sync_dir(dir).map_err(|error| match error.kind() {
            // Deleted meanwhile, and the files with it.
            io::ErrorKind::NotFound => CleanError::Changed,
            _ => home.fail("sync", dir, &error).into(),
        })
    }

    fn read(&mut self, batch: &BatchView<'_>) -> Result<(), CleanError> {
        self.pace.spend(batch.size(), &self.task.home.cleaning.read_bytes)
    }

    /// Takes away what was written of a segment that will not be used. What can't be removed is when
    /// the log is next written anew, or at the next start.
    fn forget_output(&self, group: &[Segment]) {
        if let Some(first) = group.first() {
            let _ = output::remove(&*self.task.home.env.disk, &self.task.state.dir, first.base);
        }
    }

    fn unreadable(&self, segment: &Segment, error: io::Error) -> CleanError {
        match error.kind() {
            io::ErrorKind::NotFound => CleanError::Changed,
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
                CleanError::Uncleanable { segment: segment.base, reason: error.to_string() }
            }
            _ => self.task.home.judge("read", segment.file.path(), &error).into(),
        }
    }
}

fn uncleanable(segment: &Segment, error: &BatchError) -> CleanError {
    CleanError::Uncleanable { segment: segment.base, reason: error.to_string() }
}

fn kind_of_marker(bytes: &[u8]) -> Option<ControlType> {
    let (batch, _) = BatchView::split(bytes).ok()?;
    let mut scratch = Vec::new();
    let record = batch.records(&mut scratch, UNFOLDED_MAX).ok()?.next()?.ok()?;
    ControlType::of_key(record.key?)
}

fn note_keys(
    map: &mut KeyMap,
    batch: &BatchView<'_>,
    from: i64,
    scratch: &mut Vec<u8>,
) -> Result<(), BatchError> {
    for record in batch.records(scratch, UNFOLDED_MAX)? {
        let record = record?;
        if let Some(key) = record.key.filter(|_| record.offset >= from) {
            map.put(key, record.offset);
        }
    }
    Ok(())
}

/// Keeps a pass to its bytes a second, and stops it when asked to.
struct Pace<'a> {
    home: &'a Home,
    pause: Pause<'a>,
    rate: f64,
    every: u64,
    began: Duration,
    spent: u64,
    unchecked: u64,
}

impl<'a> Pace<'a> {
    fn new(home: &'a Home, limits: &CleanLimits, pause: Pause<'a>) -> Self {
        let (rate, every) = (limits.bytes_per_second, u64::from(limits.io_bytes));
        Self { home, pause, rate, every, began: home.env.clock.now(), spent: 0, unchecked: 0 }
    }

    fn check(&self) -> Result<(), CleanError> {
        if (self.pause)(Duration::ZERO) { Ok(()) } else { Err(CleanError::Stopped) }
    }

    /// Bytes were read or written.
    fn spend(
        &mut self,
        bytes: usize,
        counter: &prometheus_client::metrics::counter::Counter,
    ) -> Result<(), CleanError> {
        counter.inc_by(bytes as u64);
        self.unchecked += bytes as u64;
        if self.unchecked < self.every {
            return Ok(());
        }
        self.spent += std::mem::take(&mut self.unchecked);
        let due =
            Duration::try_from_secs_f64(self.spent as f64 / self.rate).unwrap_or(Duration::MAX);
        let taken = self.home.env.clock.now().saturating_sub(self.began);
        if (self.pause)(due.saturating_sub(taken)) { Ok(()) } else { Err(CleanError::Stopped) }
    }
}
