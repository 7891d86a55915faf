//! PURE. Watches a connection for idleness and for frames that never end, without reading a clock
//! on the hot path: it is told now and then how much has moved since it last looked.

use std::time::Duration;

use super::connection::Ended;

/// Bytes per second that a frame must at least bring once its deadline has passed.
const SLOW_LINK_BYTES_PER_SECOND: u64 = 16 * 1024;

/// What was seen at the last tick, and for how long nothing has changed.
#[derive(Debug)]
pub(super) struct Vigil {
    idle: Duration,
    frame_deadline: Duration,
    moved: u64,
    frames: u64,
    idle_for: Duration,
    frame_age: Duration,
}

impl Vigil {
    pub(super) fn new(idle: Duration, frame_deadline: Duration) -> Self {
        Self {
            idle,
            frame_deadline,
            moved: 0,
            frames: 0,
            idle_for: Duration::ZERO,
            frame_age: Duration::ZERO,
        }
    }

    /// Time between two ticks: a deadline is noticed at most this much late.
    pub(super) fn period(&self) -> Duration {
        (self.idle.min(self.frame_deadline) / 4).max(Duration::from_millis(5))
    }

    /// Looks at the connection: `moved` and `frames` are totals, `frame_bytes` the bytes of an
    /// unfinished frame that are here.
    pub(super) fn tick(
        &mut self,
        moved: u64,
        frames: u64,
        frame_bytes: usize,
    ) -> Result<(), Ended> {
        self.idle_for =
            if moved == self.moved { self.idle_for + self.period() } else { Duration::ZERO };
        let same_frame = frame_bytes > 0 && frames == self.frames;
        self.frame_age = if same_frame { self.frame_age + self.period() } else { Duration::ZERO };
        self.moved = moved;
        self.frames = frames;
        let allowance = Duration::from_secs(frame_bytes as u64 / SLOW_LINK_BYTES_PER_SECOND);
        if self.frame_age >= self.frame_deadline + allowance {
            return Err(Ended::Stalled);
        }
        if self.idle_for >= self.idle {
            return Err(Ended::Idle);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vigil() -> Vigil {
        Vigil::new(Duration::from_secs(600), Duration::from_secs(20))
    }

    /// Ticks until the vigil ends the connection; the time that took.
    fn ends_after(
        vigil: &mut Vigil,
        mut state: impl FnMut(u64) -> (u64, u64, usize),
    ) -> (Ended, Duration) {
        for tick in 1..100_000 {
            let (moved, frames, frame_bytes) = state(tick);
            if let Err(ended) = vigil.tick(moved, frames, frame_bytes) {
                return (ended, vigil.period() * u32::try_from(tick).unwrap());
            }
        }
        panic!("never ended");
    }

    #[test]
    fn a_silent_connection_ends_after_the_idle_time() {
        let (ended, after) = ends_after(&mut vigil(), |_| (0, 0, 0));
        assert!(matches!(ended, Ended::Idle));
        assert_eq!(after, Duration::from_secs(600));
    }

    #[test]
    fn a_byte_a_second_does_not_keep_a_half_frame_alive() {
        let (ended, after) = ends_after(&mut vigil(), |tick| (tick * 5, 0, tick as usize * 5));
        assert!(matches!(ended, Ended::Stalled));
        assert!(after <= Duration::from_secs(30), "{after:?}");
    }

    #[test]
    fn a_large_frame_over_a_slow_link_gets_its_time_and_frames_that_end_reset_it() {
        let mut slow = vigil();
        for tick in 1..20_u64 {
            let bytes = tick * 5 * 64 * 1024;
            assert!(slow.tick(bytes, 0, bytes as usize).is_ok());
        }
        let mut busy = vigil();
        for tick in 1..1000 {
            assert!(busy.tick(tick, tick, 100).is_ok());
        }
    }
}
