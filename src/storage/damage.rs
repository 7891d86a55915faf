//! What is known to be damaged in a log: kept in a file of its own, so that a later start knows it
//! too and readers are told instead of led past it.

use std::path::Path;

use super::atomic_file;
use super::checkpoint::{CheckpointError, decode_sealed, encode_sealed, natural};
use crate::env::Disk;

/// Name of the file in a partition directory.
pub(super) const FILE_NAME: &str = "damage-checkpoint";

/// Offsets that were on the disk once and can't be read any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Damage {
    /// First offset lost.
    pub first: i64,
    /// First offset after it that is there.
    pub next: i64,
    /// Base offset of the segment: names its file.
    pub segment: i64,
    /// Where the damage begins in the file, in bytes.
    pub from: u64,
    /// Where it ends; as `from` when the bytes are missing.
    pub to: u64,
}

/// The offset behind the hole of the segment at `segment` that ends at `position`, if one does.
pub(super) fn after_hole(damage: &[Damage], segment: i64, position: u64) -> Option<i64> {
    let mut holes = damage.iter().filter(|lost| lost.segment == segment && lost.from < lost.to);
    holes.find(|hole| hole.to == position).map(|hole| hole.next)
}

/// What the file says; nothing when there is none.
pub(super) fn load(disk: &dyn Disk, dir: &Path) -> std::io::Result<Vec<Damage>> {
    let Some(bytes) = atomic_file::read(disk, &dir.join(FILE_NAME))? else { return Ok(Vec::new()) };
    // Without it readers see a gap, or find the damage again.
    Ok(decode(&bytes).unwrap_or_else(|error| {
        tracing::warn!(dir = %dir.display(), %error, "the list of damage is damaged itself");
        Vec::new()
    }))
}

/// Reads the file's text.
pub(super) fn decode(bytes: &[u8]) -> Result<Vec<Damage>, CheckpointError> {
    decode_sealed(bytes, |line| {
        let mut fields = line.split_ascii_whitespace();
        let mut offset = || natural::<i64>(fields.next()?);
        let (first, next, segment) = (offset()?, offset()?, offset()?);
        let mut position = || natural::<u64>(fields.next()?);
        let (from, to) = (position()?, position()?);
        Some(Damage { first, next, segment, from, to })
    })
}

/// Writes the file.
pub(super) fn save(disk: &dyn Disk, dir: &Path, damage: &[Damage]) -> std::io::Result<()> {
    let line = |d: &Damage| format!("{} {} {} {} {}", d.first, d.next, d.segment, d.from, d.to);
    atomic_file::write(disk, &dir.join(FILE_NAME), &encode_sealed(damage.iter().map(line)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::Env;

    #[test]
    fn reads_back_as_written() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Env::real().disk;
        assert_eq!(load(&*disk, dir.path()).unwrap(), []);
        let damage = [
            Damage { first: 10, next: 20, segment: 0, from: 100, to: 222 },
            Damage { first: 30, next: 31, segment: 25, from: 0, to: 0 },
        ];
        save(&*disk, dir.path(), &damage).unwrap();
        assert_eq!(load(&*disk, dir.path()).unwrap(), damage);
    }
}
