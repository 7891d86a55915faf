//! Small random numbers (SplitMix64) for tests; the seed is printed by whoever uses them.

use std::time::SystemTime;

/// A sequence of random numbers.
#[derive(Debug, Clone)]
pub struct Chance {
    /// What it began with.
    pub seed: u64,
    state: u64,
}

impl Chance {
    /// A sequence that differs at each run.
    pub fn new() -> Self {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self::of(now.as_nanos() as u64)
    }

    /// The sequence of a seed.
    pub fn of(seed: u64) -> Self {
        Self { seed, state: seed }
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}
