//! A world without a machine: a clock moved by hand, and a disk in memory that loses power, fails
//! and fills up when told to.

mod clock;
mod disk;
mod file;
mod world;

use std::sync::Arc;

pub use clock::SimClock;
pub use disk::SimDisk;
pub use world::Fault;

use super::{Env, Random};

/// A simulated world: `disk` and `clock` are the handles to move it by.
#[derive(Debug, Clone)]
pub struct SimEnv {
    /// The disk.
    pub disk: SimDisk,
    /// The clock.
    pub clock: Arc<SimClock>,
    /// Randomness, from the seed alone.
    pub random: Random,
}

impl SimEnv {
    /// A world with an empty disk, in which `seed` decides what is random, at `wall_ms` (ms since
    /// 1970).
    pub fn new(seed: u64, wall_ms: i64) -> Self {
        let clock = Arc::new(SimClock::starting_at(wall_ms));
        Self { disk: SimDisk::new(), clock, random: Random::from_seed(seed) }
    }

    /// The doors to this world.
    pub fn env(&self) -> Env {
        let disk = Arc::new(self.disk.clone());
        Env { clock: Arc::clone(&self.clock) as _, disk, random: self.random.clone() }
    }
}

#[cfg(test)]
mod tests;
