//! PURE. Watches a connection for idleness, for frames that never end and for answers that are never
//! taken, without reading a clock on the hot path: it is told now and then how much has moved.

use std::time::Duration;

use super::connection::Ended;

/// Bytes per second that a frame or the answers must at least move once their deadline has passed.
const SLOW_LINK_BYTES_PER_SECOND: u64 = 16 * 1024;

/// What is to be seen of a connection; all but `frame_bytes` and `answers_left` are totals.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Seen {
    pub(super) read: u64,
    pub(super) frames: u64,
    /// Bytes of an unfinished frame that are here.
    pub(super) frame_bytes: usize,
    pub(super) written: u64,
    /// How often all answers had left.
    pub(super) drained: u64,
    /// Whether answers wait for the peer to take them.
    pub(super) answers_left: bool,
}

/// What was seen at the last tick, and for how long nothing has changed.
#[derive(Debug)]
pub(super) struct Vigil {
    idle: Duration,
    frame_deadline: Duration,
    last: Seen,
    idle_for: Duration,
    frame_age: Duration,
    /// For how long answers have waited, and how much had been written when that began.
    answers_age: Duration,
    answers_from: u64,
}

impl Vigil {
    pub(super) fn new(idle: Duration, frame_deadline: Duration) -> Self {
        Self {
            idle,
            frame_deadline,
            last: Seen::default(),
            idle_for: Duration::ZERO,
            frame_age: Duration::ZERO,
            answers_age: Duration::ZERO,
            answers_from: 0,
        }
    }

    /// Time between two ticks: a deadline is noticed at most this much late.
    pub(super) fn period(&self) -> Duration {
        (self.idle.min(self.frame_deadline) / 4).max(Duration::from_millis(5))
    }

    /// Looks at the connection, one period after the last time.
    pub(super) fn tick(&mut self, seen: Seen) -> Result<(), Ended> {
        let last = std::mem::replace(&mut self.last, seen);
        let period = self.period();
        let older = |age: Duration, same: bool| if same { age + period } else { Duration::ZERO };
        let still = (seen.read, seen.written) == (last.read, last.written);
        self.idle_for = older(self.idle_for, still);
        let same_frame = seen.frame_bytes > 0 && seen.frames == last.frames;
        self.frame_age = older(self.frame_age, same_frame);
        let same_answers = seen.answers_left && last.answers_left && seen.drained == last.drained;
        self.answers_age = older(self.answers_age, same_answers);
        if !same_answers {
            self.answers_from = seen.written;
        }
        if self.frame_age >= self.frame_deadline + allowance(seen.frame_bytes as u64) {
            return Err(Ended::Stalled);
        }
        if self.idle_for >= self.idle {
            return Err(Ended::Idle);
        }
        let taken = seen.written - self.answers_from;
        if self.answers_age >= self.idle + allowance(taken) {
            return Err(Ended::NotTaken);
        }
        Ok(())
    }
}

/// The time that so many bytes need on a slow link.
fn allowance(bytes: u64) -> Duration {
    Duration::from_secs(bytes / SLOW_LINK_BYTES_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn half_frame(read: u64, frames: u64, frame_bytes: usize) -> Seen {
        Seen { read, frames, frame_bytes, ..Seen::default() }
    }

    fn vigil() -> Vigil {
        Vigil::new(Duration::from_secs(600), Duration::from_secs(20))
    }

    /// Ticks until the vigil ends the connection; the time that took.
    fn ends_after(vigil: &mut Vigil, mut state: impl FnMut(u64) -> Seen) -> (Ended, Duration) {
        for tick in 1..100_000 {
            if let Err(ended) = vigil.tick(state(tick)) {
                return (ended, vigil.period() * u32::try_from(tick).unwrap());
            }
        }
        panic!("never ended");
    }

    #[test]
    fn a_silent_connection_ends_after_the_idle_time() {
        let (ended, after) = ends_after(&mut vigil(), |_| Seen::default());
        assert!(matches!(ended, Ended::Idle));
        assert_eq!(after, Duration::from_secs(600));
    }

    #[test]
    fn a_byte_a_second_does_not_keep_a_half_frame_alive() {
        let (ended, after) =
            ends_after(&mut vigil(), |tick| half_frame(tick * 5, 0, tick as usize * 5));
        assert!(matches!(ended, Ended::Stalled));
        assert!(after <= Duration::from_secs(30), "{after:?}");
    }

    #[test]
    fn a_large_frame_over_a_slow_link_gets_its_time_and_frames_that_end_reset_it() {
        let mut slow = vigil();
        for tick in 1..20_u64 {
            let bytes = tick * 5 * 64 * 1024;
            assert!(slow.tick(half_frame(bytes, 0, bytes as usize)).is_ok());
        }
        let mut busy = vigil();
        for tick in 1..1000 {
            assert!(busy.tick(half_frame(tick, tick, 100)).is_ok());
        }
    }

    #[test]
    fn a_byte_a_second_does_not_keep_answers_alive_and_a_slow_link_does() {
        let taking = |written| Seen { written, answers_left: true, ..Seen::default() };
        let (ended, after) = ends_after(&mut vigil(), |tick| taking(tick * 5));
        assert!(matches!(ended, Ended::NotTaken));
        assert!(after <= Duration::from_secs(620), "{after:?}");
        let mut slow = vigil();
        let mut paused = vigil();
        for tick in 1..1000_u64 {
            assert!(slow.tick(taking(tick * 5 * 64 * 1024)).is_ok());
            // all answers leave in each period, and others wait at each tick
            assert!(paused.tick(Seen { drained: tick, ..taking(tick) }).is_ok());
        }
    }
}
