//! When each record of a replay is due, pure: time comes in as the time since the replay's first record.

use std::time::Duration;

use crate::error::{ClientError, wrong};

/// How fast records come.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[non_exhaustive]
pub enum Pace {
    /// As fast as they can be read and taken.
    #[default]
    Max,
    /// With the gaps between their timestamps, divided by this factor: 1 is the original timing, 10 ten
    /// times as fast. Who falls behind catches up.
    Original(f64),
    /// So many records a second, evenly. Who falls behind goes on at this rate.
    Rate(f64),
}

impl Pace {
    /// Factors and rates are numbers above zero.
    pub(super) fn check(self) -> Result<(), ClientError> {
        match self {
            Self::Original(number) | Self::Rate(number)
                if !(number.is_finite() && number > 0.0) =>
            {
                Err(wrong("pace", format!("is {self:?}; it must be a number above 0")))
            }
            _ => Ok(()),
        }
    }
}

/// How far behind its schedule a rate may catch up, so that coarse timers do not lower it.
const SLACK: Duration = Duration::from_millis(20);

/// See the top of the file.
#[derive(Debug)]
pub(super) struct Pacer {
    pace: Pace,
    /// Timestamp of the first record that had one, and when it was due.
    origin: Option<(i64, Duration)>,
    /// When the record before was due.
    last: Duration,
    first: bool,
}

impl Pacer {
    pub(super) fn new(pace: Pace) -> Self {
        Self { pace, origin: None, last: Duration::ZERO, first: true }
    }

    /// When the next record is due; `now` counts from the first one, `timestamp` is the record's own in
    /// milliseconds since 1970, or -1. Never earlier than the record before it.
    pub(super) fn due(&mut self, now: Duration, timestamp: i64) -> Duration {
        let first = std::mem::take(&mut self.first);
        let due = match self.pace {
            Pace::Max => Duration::ZERO,
            Pace::Rate(_) if first => now,
            Pace::Rate(rate) => (self.last + seconds(1.0 / rate)).max(now.saturating_sub(SLACK)),
            Pace::Original(_) if timestamp < 0 => self.last,
            Pace::Original(speed) => {
                let (origin, began) = *self.origin.get_or_insert((timestamp, now));
                let after = timestamp.saturating_sub(origin).max(0);
                began + seconds(after as f64 / 1000.0 / speed)
            }
        };
        self.last = due.max(self.last);
        self.last
    }
}

/// A span of seconds; what no clock can count is a hundred years, as is a rate of nothing.
fn seconds(span: f64) -> Duration {
    const LONGEST: Duration = Duration::from_secs(100 * 365 * 86_400);
    Duration::try_from_secs_f64(span).unwrap_or(LONGEST).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn original_timing_keeps_the_gaps() {
        for (speed, want) in [(1.0, [0, 100, 100, 100, 1000]), (10.0, [0, 10, 10, 10, 100])] {
            let mut pacer = Pacer::new(Pace::Original(speed));
            let due: Vec<_> = [5_000, 5_100, 5_050, -1, 6_000]
                .map(|timestamp| pacer.due(Duration::ZERO, timestamp))
                .to_vec();
            assert_eq!(due, want.map(ms), "going back and none at all mean no wait");
        }
    }

    #[test]
    fn who_falls_behind_the_original_timing_catches_up() {
        let mut pacer = Pacer::new(Pace::Original(1.0));
        assert_eq!(pacer.due(ms(7), 1_000), ms(7), "the clock starts with the first record");
        assert_eq!(pacer.due(ms(900), 1_100), ms(107), "overdue");
        assert_eq!(pacer.due(ms(900), 2_000), ms(1007), "on time again");
    }

    #[test]
    fn a_rate_is_even_and_is_not_made_up_for() {
        let mut pacer = Pacer::new(Pace::Rate(100.0));
        let due: Vec<_> = (0..4).map(|_| pacer.due(Duration::ZERO, -1)).collect();
        assert_eq!(due, [0, 10, 20, 30].map(ms));
        assert_eq!(pacer.due(ms(5_000), -1), ms(4_980), "a stall is not followed by a flood");
        assert_eq!(pacer.due(ms(5_000), -1), ms(4_990));
        assert_eq!(pacer.due(ms(5_000), -1), ms(5_000));
        assert_eq!(pacer.due(ms(5_000), -1), ms(5_010));
    }

    #[test]
    fn nothing_waits_at_full_speed_and_nothing_overflows() {
        let mut pacer = Pacer::new(Pace::Max);
        assert_eq!([1_000, 99_000].map(|at| pacer.due(ms(3), at)), [Duration::ZERO; 2]);
        let mut pacer = Pacer::new(Pace::Original(1e-300));
        pacer.due(Duration::ZERO, 0);
        assert!(pacer.due(Duration::ZERO, i64::MAX) > ms(1_000_000));
        let mut pacer = Pacer::new(Pace::Rate(0.0));
        pacer.due(Duration::ZERO, 0);
        assert!(pacer.due(Duration::ZERO, 0) > ms(1_000_000));
    }
}
