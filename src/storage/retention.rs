//! Which segments of one log may go: by log start offset, by size, by time.
//!
//! PURE. Ages come from the batch headers' largest timestamp, never from a derived index: a time
//! index that came back as zeros has deleted whole topics elsewhere. Nothing at or above the high
//! watermark is ever offered, so the log start can't pass it.

/// What retention needs to know of one segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentFacts {
    /// First offset the segment may hold; names its files.
    pub base_offset: i64,
    /// Bytes in its `.log` file.
    pub size_bytes: u64,
    /// Largest max timestamp of its batch headers, in ms since 1970; `None` when no batch has one.
    pub max_timestamp_ms: Option<i64>,
    /// When the file was last written, in ms since 1970: the age of a segment without timestamps.
    pub modified_ms: i64,
}

impl SegmentFacts {
    fn newest_ms(&self) -> i64 {
        self.max_timestamp_ms.filter(|&timestamp| timestamp >= 0).unwrap_or(self.modified_ms)
    }
}

/// What the topic allows (`cleanup.policy`, `retention.ms`, `retention.bytes`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RetentionPolicy {
    /// Whether `cleanup.policy` holds `delete`; without it only the log start offset deletes.
    pub delete: bool,
    /// Keep at least this long, in ms; `None` is for ever.
    pub retention_ms: Option<i64>,
    /// Keep at least this many bytes; `None` is no limit.
    pub retention_bytes: Option<u64>,
}

/// The offsets of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogOffsets {
    /// First offset that readers may see.
    pub log_start: i64,
    /// First offset not yet written.
    pub log_end: i64,
    /// First offset not yet replicated.
    pub high_watermark: i64,
}

/// Why a segment goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeleteReason {
    /// All of it lies below the log start offset (`DeleteRecords`, or an earlier deletion).
    LogStart,
    /// What stays is still at least `retention.bytes`.
    Size,
    /// Its newest record is older than `retention.ms`.
    Time,
}

/// A segment to delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expired {
    /// Names the segment.
    pub base_offset: i64,
    /// Why it goes.
    pub reason: DeleteReason,
}

/// What to do, in this order: roll if asked to, raise the log start offset, delete the segments.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RetentionPlan {
    /// Segments to delete, oldest first, without gaps.
    pub expired: Vec<Expired>,
    /// Roll first: the active segment is among them, and a log always has one.
    pub roll: bool,
    /// The log start offset after the deletion, when it must rise.
    pub new_log_start: Option<i64>,
    /// Base offset of a segment that time can't delete because it holds a timestamp ahead of `now`.
    pub held_by_future_timestamp: Option<i64>,
}

/// Plans the deletion for `segments` (oldest first, the active one last) as of `now_ms`
/// (ms since 1970), with Kafka's rules: each reason takes from the old end as long as it holds.
pub fn plan(
    segments: &[SegmentFacts],
    offsets: LogOffsets,
    policy: RetentionPolicy,
    now_ms: i64,
) -> RetentionPlan {
    let mut sweep = Sweep { segments, offsets, plan: RetentionPlan::default() };
    sweep.take(DeleteReason::LogStart, |_, next| {
        next.is_some_and(|next| next.base_offset <= offsets.log_start)
    });
    if policy.delete {
        sweep.by_size(policy.retention_bytes);
        sweep.by_time(policy.retention_ms, now_ms);
    }
    sweep.finish()
}

struct Sweep<'a> {
    /// What is not yet taken.
    segments: &'a [SegmentFacts],
    offsets: LogOffsets,
    plan: RetentionPlan,
}

impl Sweep<'_> {
    fn take(
        &mut self,
        reason: DeleteReason,
        mut gone: impl FnMut(&SegmentFacts, Option<&SegmentFacts>) -> bool,
    ) {
        while let Some((segment, rest)) = self.segments.split_first() {
            let next = rest.first();
            let end = next.map_or(self.offsets.log_end, |next| next.base_offset);
            let empty_active = next.is_none() && segment.size_bytes == 0;
            if empty_active || end > self.offsets.high_watermark || !gone(segment, next) {
                break;
            }
            self.plan.expired.push(Expired { base_offset: segment.base_offset, reason });
            self.segments = rest;
        }
    }

    fn by_size(&mut self, retention_bytes: Option<u64>) {
        let Some(retention_bytes) = retention_bytes else { return };
        let size: u64 = self.segments.iter().map(|segment| segment.size_bytes).sum();
        let Some(mut excess) = size.checked_sub(retention_bytes) else { return };
        self.take(DeleteReason::Size, |segment, _| {
            let left = excess.checked_sub(segment.size_bytes);
            excess = left.unwrap_or(excess);
            left.is_some()
        });
    }

    fn by_time(&mut self, retention_ms: Option<i64>, now_ms: i64) {
        let Some(retention_ms) = retention_ms else { return };
        let mut held = None;
        self.take(DeleteReason::Time, |segment, _| {
            let newest = segment.newest_ms();
            if newest > now_ms {
                held = Some(segment.base_offset);
            }
            now_ms.saturating_sub(newest) > retention_ms
        });
        self.plan.held_by_future_timestamp = held;
    }

    fn finish(mut self) -> RetentionPlan {
        if !self.plan.expired.is_empty() {
            let oldest_kept = self.segments.first();
            let start = oldest_kept.map_or(self.offsets.log_end, |segment| segment.base_offset);
            self.plan.roll = oldest_kept.is_none();
            self.plan.new_log_start = (start > self.offsets.log_start).then_some(start);
        }
        self.plan
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;
    const NOW: i64 = 20_000 * DAY;

    /// Segments of 100 bytes and 10 offsets, `days` old; the last one is active.
    fn log(days: &[i64]) -> Vec<SegmentFacts> {
        (0_i64..)
            .zip(days)
            .map(|(index, days)| SegmentFacts {
                base_offset: index * 10,
                size_bytes: 100,
                max_timestamp_ms: Some(NOW - days * DAY),
                modified_ms: NOW,
            })
            .collect()
    }

    fn offsets(log_start: i64, high_watermark: i64) -> LogOffsets {
        LogOffsets { log_start, log_end: 30, high_watermark }
    }

    fn by_time(days: i64) -> RetentionPolicy {
        RetentionPolicy { delete: true, retention_ms: Some(days * DAY), retention_bytes: None }
    }

    fn by_size(bytes: u64) -> RetentionPolicy {
        RetentionPolicy { delete: true, retention_ms: None, retention_bytes: Some(bytes) }
    }

    fn bases(plan: &RetentionPlan) -> Vec<i64> {
        plan.expired.iter().map(|expired| expired.base_offset).collect()
    }

    #[test]
    fn old_segments_go_and_the_start_follows() {
        let plan = plan(&log(&[9, 8, 1]), offsets(0, 30), by_time(7), NOW);
        assert_eq!(bases(&plan), [0, 10]);
        assert_eq!(plan.new_log_start, Some(20));
        assert!(!plan.roll);
        assert!(plan.expired.iter().all(|expired| expired.reason == DeleteReason::Time));
    }

    #[test]
    fn exactly_the_retention_time_is_kept() {
        let mut segments = log(&[7, 1, 1]);
        assert_eq!(bases(&plan(&segments, offsets(0, 30), by_time(7), NOW)), Vec::<i64>::new());
        segments[0].max_timestamp_ms = Some(NOW - 7 * DAY - 1);
        assert_eq!(bases(&plan(&segments, offsets(0, 30), by_time(7), NOW)), [0]);
    }

    #[test]
    fn a_young_segment_protects_what_comes_after_it() {
        assert_eq!(bases(&plan(&log(&[9, 1, 9]), offsets(0, 30), by_time(7), NOW)), [0]);
    }

    #[test]
    fn nothing_at_or_above_the_high_watermark_goes() {
        assert_eq!(bases(&plan(&log(&[9, 9, 9]), offsets(0, 15), by_time(7), NOW)), [0]);
        assert_eq!(
            bases(&plan(&log(&[9, 9, 9]), offsets(0, 9), by_time(7), NOW)),
            Vec::<i64>::new()
        );
    }

    #[test]
    fn the_active_segment_is_rolled_before_it_goes() {
        let plan = plan(&log(&[9, 9, 9]), offsets(0, 30), by_time(7), NOW);
        assert_eq!(bases(&plan), [0, 10, 20]);
        assert!(plan.roll);
        assert_eq!(plan.new_log_start, Some(30));
    }

    #[test]
    fn an_empty_active_segment_stays() {
        let mut segments = log(&[9, 9, 9]);
        segments[2].size_bytes = 0;
        let plan = plan(&segments, LogOffsets { log_end: 20, ..offsets(0, 20) }, by_time(7), NOW);
        assert_eq!(bases(&plan), [0, 10]);
        assert!(!plan.roll);
    }

    #[test]
    fn size_keeps_at_least_what_was_asked_for() {
        let segments = log(&[1, 1, 1]);
        assert_eq!(bases(&plan(&segments, offsets(0, 30), by_size(301), NOW)), Vec::<i64>::new());
        assert_eq!(bases(&plan(&segments, offsets(0, 30), by_size(201), NOW)), Vec::<i64>::new());
        assert_eq!(bases(&plan(&segments, offsets(0, 30), by_size(200), NOW)), [0]);
        assert_eq!(bases(&plan(&segments, offsets(0, 30), by_size(1), NOW)), [0, 10]);
        let all = plan(&segments, offsets(0, 30), by_size(0), NOW);
        assert_eq!((bases(&all), all.roll), (vec![0, 10, 20], true));
    }

    #[test]
    fn the_log_start_deletes_whatever_the_policy_is() {
        let keep = RetentionPolicy::default();
        let plan = plan(&log(&[1, 1, 1]), offsets(20, 30), keep, NOW);
        assert_eq!(bases(&plan), [0, 10]);
        assert_eq!(plan.new_log_start, None, "it is already there");
        assert!(plan.expired.iter().all(|expired| expired.reason == DeleteReason::LogStart));
    }

    #[test]
    fn without_delete_in_the_policy_nothing_expires() {
        let policy =
            RetentionPolicy { delete: false, retention_ms: Some(1), retention_bytes: Some(1) };
        assert_eq!(plan(&log(&[9, 9, 9]), offsets(0, 30), policy, NOW), RetentionPlan::default());
    }

    #[test]
    fn one_pass_combines_the_reasons_in_order() {
        let policy = RetentionPolicy { retention_bytes: Some(101), ..by_time(7) };
        let plan = plan(&log(&[1, 9, 9]), offsets(10, 30), policy, NOW);
        let reasons: Vec<_> = plan.expired.iter().map(|expired| expired.reason).collect();
        assert_eq!(reasons, [DeleteReason::LogStart, DeleteReason::Time, DeleteReason::Time]);
    }

    #[test]
    fn a_timestamp_of_the_future_holds_the_log_and_is_told() {
        let mut segments = log(&[9, 9, 9]);
        segments[1].max_timestamp_ms = Some(NOW + DAY);
        let plan = plan(&segments, offsets(0, 30), by_time(7), NOW);
        assert_eq!(bases(&plan), [0]);
        assert_eq!(plan.held_by_future_timestamp, Some(10));
    }

    #[test]
    fn a_segment_without_timestamps_ages_by_its_file() {
        let mut segments = log(&[9, 9, 9]);
        segments[0].max_timestamp_ms = None;
        segments[1].max_timestamp_ms = Some(-1);
        assert_eq!(
            bases(&plan(&segments, offsets(0, 30), by_time(7), NOW)),
            Vec::<i64>::new(),
            "just written"
        );
        segments[0].modified_ms = NOW - 8 * DAY;
        assert_eq!(bases(&plan(&segments, offsets(0, 30), by_time(7), NOW)), [0]);
    }

    #[test]
    fn extreme_clocks_and_settings_do_not_wrap() {
        let mut segments = log(&[0, 0, 0]);
        segments[0].max_timestamp_ms = Some(i64::MAX);
        assert_eq!(
            bases(&plan(&segments, offsets(0, 30), by_time(0), i64::MIN)),
            Vec::<i64>::new()
        );
        segments[0].max_timestamp_ms = Some(0);
        let never = RetentionPolicy { retention_ms: Some(i64::MAX), ..by_time(0) };
        assert_eq!(bases(&plan(&segments, offsets(0, 30), never, i64::MAX)), Vec::<i64>::new());
        assert_eq!(plan(&[], offsets(0, 0), by_time(0), NOW), RetentionPlan::default());
    }
}
