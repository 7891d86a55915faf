//! When each record is due, pure: an open loop, in which nothing that happens to one record moves another.

use std::time::Duration;

/// Records at a fixed rate, evenly spread from time zero on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timetable {
    per_second: u64,
}

const SECOND_NS: u128 = 1_000_000_000;

impl Timetable {
    /// `per_second` is at least 1.
    pub(super) fn new(per_second: u64) -> Self {
        Self { per_second: per_second.max(1) }
    }

    /// When record `n` is due, counted from 0.
    pub(super) fn due(self, n: u64) -> Duration {
        let ns = u128::from(n) * SECOND_NS / u128::from(self.per_second);
        Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX))
    }

    /// How many records are due by `elapsed`; the first one is at once.
    pub(super) fn count_by(self, elapsed: Duration) -> u64 {
        let count = elapsed.as_nanos() * u128::from(self.per_second) / SECOND_NS;
        u64::try_from(count).unwrap_or(u64::MAX).saturating_add(1)
    }
}

/// Reads a rate as `20000`, `20k`, `1m` or `20k/s`, records per second.
///
/// # Errors
/// When it is none, or zero.
pub(super) fn rate(text: &str) -> Result<u64, String> {
    let lower = text.trim().to_ascii_lowercase();
    let digits = lower.strip_suffix("/s").unwrap_or(&lower);
    let (number, unit) = match (digits.strip_suffix('k'), digits.strip_suffix('m')) {
        (Some(number), _) => (number, 1_000),
        (_, Some(number)) => (number, 1_000_000),
        _ => (digits, 1),
    };
    let rate = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    rate.filter(|rate| *rate > 0)
        .ok_or_else(|| "write records per second as 20000, 20k or 1m".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn due_times_are_even_and_do_not_drift() {
        let table = Timetable::new(3);
        assert_eq!(table.due(0), Duration::ZERO);
        assert_eq!(table.due(3), Duration::from_secs(1));
        assert_eq!(table.due(3_000_000_000), Duration::from_secs(1_000_000_000));
        assert_eq!(table.count_by(Duration::ZERO), 1);
        assert_eq!(table.count_by(Duration::from_millis(999)), 3);
        assert_eq!(table.count_by(Duration::from_secs(1)), 4);
        let fast = Timetable::new(50_000);
        for n in [0, 1, 49_999, 1_234_567] {
            assert_eq!(fast.count_by(fast.due(n)), n + 1, "due means counted");
        }
    }

    #[test]
    fn rates_as_people_write_them() {
        for (text, want) in [("1", 1), ("20k", 20_000), ("1M/s", 1_000_000), ("500/s", 500)] {
            assert_eq!(rate(text), Ok(want), "{text}");
        }
        assert!(rate("0").is_err() && rate("fast").is_err() && rate("").is_err());
    }
}
