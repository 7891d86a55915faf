//! The three doors to the world: time, the disk, randomness. Nothing above this floor asks the
//! operating system for any of them itself, so that a simulation can stand in for all three.

pub mod clock;
pub mod disk;
pub mod map;
pub mod process;
pub mod random;
mod real;
pub mod sim;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

pub use clock::Clock;
pub use disk::{DirEntry, Disk, DiskFile, DiskLock, OpenMode, Patience, Space};
pub use map::{Map, MapWatch, Populate};
pub use process::{
    ProcessFigures, listens_on_loopback_only, lock_holder, max_maps, process_figures,
};
pub use random::Random;
pub use real::raise_open_file_limit;

/// The three doors together. Cloning is cheap and all clones lead to the same world.
#[derive(Debug, Clone)]
pub struct Env {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Files.
    pub disk: Arc<dyn Disk>,
    /// Randomness.
    pub random: Random,
}

impl Env {
    /// The machine this process runs on.
    pub fn real() -> Self {
        Self {
            clock: Arc::new(real::RealClock::new()),
            disk: Arc::new(real::RealDisk::default()),
            random: Random::from_os(),
        }
    }

    /// This machine, and a new folder among its temporary files that is removed with the last clone.
    /// Nothing written through it is ever synced: it is not meant to outlive the process.
    ///
    /// # Errors
    /// When the folder can't be made.
    pub fn temporary() -> io::Result<(Self, PathBuf)> {
        let random = Random::from_os();
        let (disk, path) = real::RealDisk::passing(&format!("duramen-{}", random.uuid().simple()))?;
        Ok((Self { disk: Arc::new(disk), random, ..Self::real() }, path))
    }
}
