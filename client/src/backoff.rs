//! How long to wait before the next attempt, pure: exponential, with jitter (KIP-580).

use std::time::Duration;

use crate::random::Random;
use crate::setters::setters;

/// The waits between attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backoff {
    /// The first wait.
    pub first: Duration,
    /// The longest wait.
    pub max: Duration,
}

impl Default for Backoff {
    /// Kafka's `retry.backoff.ms` and `retry.backoff.max.ms`.
    fn default() -> Self {
        Self { first: Duration::from_millis(100), max: Duration::from_secs(1) }
    }
}

setters! { Backoff { first: Duration, max: Duration } }

impl Backoff {
    /// The wait after `failures` attempts have failed (at least one): doubles each time, and lies
    /// within 20 % of that so that clients that failed together do not come back together.
    pub fn wait(&self, failures: u32, random: &mut Random) -> Duration {
        let doublings = failures.saturating_sub(1).min(20);
        let base = self.first.saturating_mul(1 << doublings).min(self.max);
        let percent = 80 + u32::try_from(random.below(41)).unwrap_or(20);
        base.saturating_mul(percent) / 100
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_with_a_fifth_of_jitter() {
        let backoff = Backoff::default();
        let mut random = Random::seeded(1);
        for (failures, middle_ms) in [(1, 100), (2, 200), (4, 800), (5, 1000), (1000, 1000)] {
            for _ in 0..50 {
                let wait = backoff.wait(failures, &mut random).as_millis();
                assert!(wait >= middle_ms * 8 / 10 && wait <= middle_ms * 12 / 10, "{wait}");
            }
        }
    }
}
