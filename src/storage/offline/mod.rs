//! Looking into a data directory without a broker: reading only, so a copy serves as well as the
//! directory of a broker that runs. [`SegmentScan`] goes through one segment, [`verify`] through
//! a whole directory, [`repair`] writes again what can be derived.

mod directory;
mod finding;
mod indexes;
mod inventory;
mod partition;
mod producers;
mod rebuild;
mod scan;
mod small_files;

pub use directory::{repair, verify};
pub use finding::{Finding, Severity, Summary, Watch};
pub use inventory::{FileKind, kind_of};
pub use scan::{Event, SegmentScan, SegmentSource, Stretch};
pub use small_files::{IndexRow, SmallFile, read_small};

#[cfg(test)]
mod tests;
