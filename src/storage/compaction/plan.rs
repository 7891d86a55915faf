//! What of one log may be cleaned, and how much it needs it: Kafka's rules (KIP-58, KIP-354).
//!
//! PURE.

use super::CompactionPolicy;

/// What is known of one closed segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::storage) struct ClosedSegment {
    /// First offset; names its files.
    pub(in crate::storage) base: i64,
    /// Bytes in its `.log` file.
    pub(in crate::storage) size: u64,
    /// Timestamp of its first batch, in ms since 1970, if it has one.
    pub(in crate::storage) first_ms: Option<i64>,
    /// Largest timestamp, or when it was last written, in ms since 1970.
    pub(in crate::storage) newest_ms: i64,
}

/// Where a log stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::storage) struct CleanOffsets {
    /// First offset that readers may see.
    pub(in crate::storage) log_start: i64,
    /// Everything below was cleaned before, as the checkpoint says.
    pub(in crate::storage) cleaned: i64,
    /// Base offset of the active segment.
    pub(in crate::storage) active: i64,
    /// Nothing from here on may be touched: not stable, or not yet on the disk for good.
    pub(in crate::storage) stable: i64,
}

/// What to clean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CleanPlan {
    /// First offset that was not cleaned before.
    pub first_dirty: i64,
    /// First offset that may not be cleaned: the begin of a segment.
    pub end: i64,
    /// Bytes to clean.
    pub dirty_bytes: u64,
    /// Their share of all that would be read, 0 to 1.
    pub dirty_ratio: f64,
    /// A record has waited for `max.compaction.lag.ms`.
    pub overdue: bool,
}

impl CleanPlan {
    /// Whether the log is worth it.
    pub fn is_due(&self, policy: &CompactionPolicy) -> bool {
        self.dirty_bytes > 0 && (self.overdue || self.dirty_ratio > policy.min_dirty_ratio)
    }
}

/// First offset that was not cleaned: as checkpointed, unless the log says that this can't be.
fn first_dirty(at: CleanOffsets) -> i64 {
    if at.cleaned > at.active { at.log_start } else { at.cleaned.max(at.log_start) }
}

/// The plan for a log of `closed` segments, oldest first, as of `now_ms` (ms since 1970).
pub(in crate::storage) fn plan(
    closed: &[ClosedSegment],
    at: CleanOffsets,
    policy: &CompactionPolicy,
    now_ms: i64,
) -> CleanPlan {
    let first_dirty = first_dirty(at);
    let ends = closed.iter().skip(1).map(|next| next.base).chain([at.active]);
    let spans: Vec<(&ClosedSegment, i64)> = closed.iter().zip(ends).collect();
    let is_dirty = |end: i64| end > first_dirty;
    let too_young = now_ms.saturating_sub(policy.min_lag_ms);
    let held = |segment: &ClosedSegment, end: i64| {
        end > at.stable || (policy.min_lag_ms > 0 && segment.newest_ms > too_young && is_dirty(end))
    };
    let until = spans.iter().position(|(segment, end)| held(segment, *end)).unwrap_or(spans.len());
    let (cleanable, _) = spans.split_at(until);
    let end = cleanable.last().map_or(first_dirty, |(_, end)| *end).max(first_dirty);
    let size = |dirty: bool| -> u64 {
        let of = cleanable.iter().filter(|(_, end)| is_dirty(*end) == dirty);
        of.map(|(segment, _)| segment.size).sum()
    };
    let (clean_bytes, dirty_bytes) = (size(false), size(true));
    let all = clean_bytes + dirty_bytes;
    let oldest = spans.iter().filter(|(_, end)| is_dirty(*end));
    let oldest = oldest.filter_map(|(segment, _)| segment.first_ms).filter(|ms| *ms > 0).min();
    let overdue = oldest.is_some_and(|ms| ms < now_ms.saturating_sub(policy.max_lag_ms));
    CleanPlan {
        first_dirty,
        end,
        dirty_bytes,
        dirty_ratio: if all == 0 { 0.0 } else { dirty_bytes as f64 / all as f64 },
        overdue,
    }
}

/// Runs of neighbours that are cleaned into one segment each: places in `segments` of first offset,
/// bytes and whether the segment must stay alone; `end` is the offset after the last one.
pub(super) fn groups(
    segments: &[(i64, u64, bool)],
    end: i64,
    segment_bytes: u64,
) -> Vec<std::ops::Range<usize>> {
    let mut groups: Vec<std::ops::Range<usize>> = Vec::new();
    let (mut base, mut bytes, mut open) = (0, 0, false);
    for (index, &(first, size, alone)) in segments.iter().enumerate() {
        let next = segments.get(index + 1).map_or(end, |next| next.0);
        let fits = open
            && !alone
            && bytes + size <= segment_bytes
            && next - 1 - base <= i64::from(i32::MAX);
        match groups.last_mut().filter(|_| fits) {
            Some(group) => group.end = index + 1,
            None => {
                groups.push(index..index + 1);
                (base, bytes) = (first, 0);
            }
        }
        bytes += size;
        open = !alone;
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_000_000;

    /// Segments of ten offsets and 100 bytes each, written at 100 ms, 200 ms …
    fn closed(count: i64) -> Vec<ClosedSegment> {
        let segment = |n: i64| ClosedSegment {
            base: n * 10,
            size: 100,
            first_ms: Some(100 + n * 100),
            newest_ms: 190 + n * 100,
        };
        (0..count).map(segment).collect()
    }

    fn at(cleaned: i64, stable: i64) -> CleanOffsets {
        CleanOffsets { log_start: 0, cleaned, active: 100, stable }
    }

    fn policy() -> CompactionPolicy {
        CompactionPolicy::default()
    }

    fn span(plan: &CleanPlan) -> (i64, i64, u64) {
        (plan.first_dirty, plan.end, plan.dirty_bytes)
    }

    #[test]
    fn whole_closed_segments_below_what_is_stable_are_cleaned() {
        let plan_of = |at| plan(&closed(10), at, &policy(), NOW);
        assert_eq!(span(&plan_of(at(0, 500))), (0, 100, 1000));
        assert_eq!(span(&plan_of(at(0, 100))), (0, 100, 1000));
        assert_eq!(span(&plan_of(at(0, 99))), (0, 90, 900));
        assert_eq!(span(&plan_of(at(0, 9))), (0, 0, 0));
        let half = plan_of(at(50, 100));
        assert_eq!(span(&half), (50, 100, 500));
        assert!((half.dirty_ratio - 0.5).abs() < 1e-9 && !half.is_due(&policy()));
        let more = plan_of(at(40, 100));
        assert!((more.dirty_ratio - 0.6).abs() < 1e-9 && more.is_due(&policy()));
        // cleaned up to the middle of a segment: it is dirty
        assert_eq!(span(&plan_of(at(55, 100))), (55, 100, 500));
        assert!(!plan(&[], at(0, 0), &policy(), NOW).is_due(&policy()));
    }

    #[test]
    fn a_checkpoint_that_cant_be_is_not_believed() {
        assert_eq!(plan(&closed(10), at(101, 100), &policy(), NOW).first_dirty, 0);
        let started = CleanOffsets { log_start: 35, ..at(20, 100) };
        assert_eq!(plan(&closed(10), started, &policy(), NOW).first_dirty, 35);
    }

    #[test]
    fn young_records_wait_and_old_ones_do_not() {
        let young = CompactionPolicy { min_lag_ms: 600, ..policy() };
        // the one written last at 490 is old enough at 1090, the next is not
        assert_eq!(span(&plan(&closed(10), at(0, 100), &young, 1150)), (0, 40, 400));
        let late = CompactionPolicy { max_lag_ms: 5000, min_dirty_ratio: 0.9, ..policy() };
        let plan_at = |now| plan(&closed(10), at(90, 100), &late, now);
        assert!(!plan_at(6000).overdue && plan_at(6001).overdue);
        assert!(plan_at(6001).is_due(&late));
        // nothing to clean: overdue or not
        let none = plan(&closed(10), at(90, 50), &late, NOW);
        assert!(none.overdue && !none.is_due(&late));
    }

    #[test]
    fn neighbours_are_grouped_as_far_as_they_fit() {
        let sized = |sizes: &[u64]| -> Vec<(i64, u64, bool)> {
            (0..).zip(sizes).map(|(n, size)| (n * 10, *size, false)).collect()
        };
        assert_eq!(groups(&sized(&[40, 40, 40, 200, 10]), 50, 100), [0..2, 2..3, 3..4, 4..5]);
        assert_eq!(groups(&sized(&[0, 0, 100, 1]), 40, 100), [0..3, 3..4]);
        assert!(groups(&[], 0, 100).is_empty());
        let wide = [(0, 1, false), (10, 1, false), (1 << 31, 1, false)];
        assert_eq!(groups(&wide, 1 << 32, 100), [0..2, 2..3]);
        let holed = [(0, 1, false), (10, 1, true), (20, 1, false), (30, 1, false)];
        assert_eq!(groups(&holed, 40, 100), [0..1, 1..2, 2..4]);
    }
}
