//! A circuit breaker for one broker, pure: while it does not answer, calls to it fail at once instead
//! of waiting one after the other, and one caller at a time looks whether it is back.

use std::time::Duration;

use tokio::time::Instant;

/// How a broker is dealt with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Circuit {
    /// It answered when last asked, or was never asked: connections are made as needed.
    #[default]
    Closed,
    /// It did not answer: nobody tries until the wait is over.
    Open,
    /// The wait is over and one caller tries; the others are refused until it knows.
    HalfOpen,
}

#[derive(Debug, Default)]
pub(super) struct Breaker {
    circuit: Circuit,
    failures: u32,
    /// When it may be tried again, as long as it is open.
    until: Option<Instant>,
}

impl Breaker {
    pub(super) fn circuit(&self) -> Circuit {
        self.circuit
    }

    /// When somebody may try, if not now; a probe that is under way has no such time.
    pub(super) fn until(&self) -> Option<Instant> {
        self.until
    }

    /// Whether a caller is refused now.
    pub(super) fn refuses(&self, now: Instant) -> bool {
        match self.circuit {
            Circuit::Closed => false,
            Circuit::Open => self.until.is_some_and(|until| now < until),
            Circuit::HalfOpen => true,
        }
    }

    /// Begins an attempt, unless the caller is refused.
    pub(super) fn begin(&mut self, now: Instant) -> bool {
        if self.refuses(now) {
            return false;
        }
        if self.circuit == Circuit::Open {
            self.circuit = Circuit::HalfOpen;
        }
        true
    }

    /// The attempt succeeded.
    pub(super) fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// The attempt failed; `wait` gives the time to the next one from the number of failures.
    pub(super) fn failed(&mut self, now: Instant, wait: impl FnOnce(u32) -> Duration) {
        self.failures = self.failures.saturating_add(1);
        self.circuit = Circuit::Open;
        self.until = Some(now + wait(self.failures));
    }

    /// The caller went away before it knew: the next one may try.
    pub(super) fn abandoned(&mut self) {
        if self.circuit == Circuit::HalfOpen {
            self.circuit = Circuit::Open;
            self.until = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_failure_opens_it_and_one_caller_tries_when_the_wait_is_over() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        assert!(breaker.begin(now));
        assert_eq!(breaker.circuit(), Circuit::Closed, "callers share a first attempt");
        breaker.failed(now, |failures| SECOND * failures);
        assert_eq!((breaker.circuit(), breaker.until()), (Circuit::Open, Some(now + SECOND)));
        assert!(!breaker.begin(now));
        assert!(breaker.begin(now + SECOND));
        assert!(!breaker.begin(now + SECOND * 9), "somebody is trying");
        breaker.failed(now + SECOND, |failures| SECOND * failures);
        assert_eq!(breaker.until(), Some(now + SECOND * 3), "the waits grow");
        assert!(breaker.begin(now + SECOND * 3));
        breaker.succeeded();
        assert_eq!(breaker.circuit(), Circuit::Closed);
        breaker.failed(now, |failures| SECOND * failures);
        assert_eq!(breaker.until(), Some(now + SECOND), "and begin anew");
    }

    #[test]
    fn a_caller_that_goes_away_leaves_the_door_as_it_was() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        breaker.abandoned();
        assert_eq!(breaker.circuit(), Circuit::Closed);
        breaker.failed(now, |_| SECOND);
        assert!(breaker.begin(now + SECOND));
        breaker.abandoned();
        assert!(!breaker.refuses(now + SECOND));
    }
}
