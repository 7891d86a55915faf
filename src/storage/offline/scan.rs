//! Goes through a segment batch by batch, and on behind what is damaged.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use duramen_protocol::records::batch::BatchHeader;

use super::super::chain::{Chain, Witness};
use super::super::epochs::EpochHistory;
use super::super::recovery_walk::looks_torn;
use super::super::segment::base_of;
use super::super::walk::{Fault, Step, Walk};
use crate::env::{Disk, DiskFile, OpenMode};

/// What is read at once.
const WINDOW: usize = 256 << 10;

/// A segment file, open for reading.
#[derive(Debug)]
pub struct SegmentSource {
    /// The file.
    pub path: PathBuf,
    /// Its first offset, by its name; 0 for another name.
    pub base: i64,
    /// Bytes when it was opened: what comes later is not looked at.
    pub len: u64,
    file: Arc<dyn DiskFile>,
}

impl SegmentSource {
    /// Opens a file.
    ///
    /// # Errors
    /// As the operating system says.
    pub fn open(disk: &dyn Disk, path: &Path) -> io::Result<Self> {
        let file = disk.open(path, OpenMode::Read)?;
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let base = base_of(name, "log").unwrap_or(0);
        Ok(Self { path: path.to_owned(), base, len: file.len()?, file })
    }

    /// Goes through its batches, whose offsets lie below `end`; `epochs` tells their terms, if it
    /// is known.
    pub fn scan<'a>(&'a self, end: i64, epochs: Option<&'a EpochHistory>) -> SegmentScan<'a> {
        let walk = Walk::new(&*self.file, 0, self.len, WINDOW);
        let chain = Chain { next: self.base, epoch: -1, end };
        SegmentScan { walk, chain, file: &*self.file, epochs, dense: false, len: self.len }
    }

    /// The bytes of a whole batch that a scan has found.
    ///
    /// # Errors
    /// As the operating system says.
    pub fn read(&self, position: u64, header: &BatchHeader) -> io::Result<Vec<u8>> {
        let left = usize::try_from(self.len.saturating_sub(position)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; header.size().min(left)];
        let read = self.file.read_at(&mut bytes, position)?;
        bytes.truncate(read);
        Ok(bytes)
    }
}

/// See [`SegmentSource::scan`].
pub struct SegmentScan<'a> {
    walk: Walk<'a>,
    chain: Chain,
    file: &'a dyn DiskFile,
    epochs: Option<&'a EpochHistory>,
    dense: bool,
    len: u64,
}

impl std::fmt::Debug for SegmentScan<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SegmentScan").field("chain", &self.chain).finish_non_exhaustive()
    }
}

/// What a scan meets.
#[derive(Debug, Clone, Copy)]
pub enum Event {
    /// A sound batch: its checksum holds, and it continues those before.
    Batch {
        /// Where it begins.
        position: u64,
        /// Its header.
        header: BatchHeader,
    },
    /// Bytes that are no sound batch.
    Broken(Stretch),
}

/// Bytes between sound batches, or behind the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// Where it begins.
    pub from: u64,
    /// Where it ends: at a sound batch, or at the end of the file.
    pub to: u64,
    /// First offset that should be here.
    pub first: i64,
    /// First offset of the sound batch behind; `None` when there is none.
    pub next: Option<i64>,
    /// What is wrong at its beginning.
    pub fault: Fault,
    /// It looks as if it had never been written whole, or no sound batch stands behind it.
    pub is_torn: bool,
}

impl SegmentScan<'_> {
    /// Whether no record was ever taken out of the log, so that a gap before the last batch is a fault.
    #[must_use]
    pub fn dense(mut self, dense: bool) -> Self {
        self.dense = dense;
        self
    }

    /// The offset after the last sound batch.
    pub fn next_offset(&self) -> i64 {
        self.chain.next
    }

    /// What comes next; `None` at the end.
    ///
    /// # Errors
    /// As the operating system says.
    pub fn step(&mut self) -> io::Result<Option<Event>> {
        let from = self.walk.position();
        let fault = match self.walk.step()? {
            Step::End => return Ok(None),
            Step::Broken(fault) => fault,
            Step::Batch(found) => {
                let known =
                    self.epochs.and_then(|known| known.epoch_for_offset(found.header.base_offset));
                let witness =
                    Witness { epoch: known, check: true, dense: self.dense, complete: false };
                match self.chain.fault(&mut self.walk, &found, witness)? {
                    Some(fault) => fault,
                    None => {
                        self.chain.pass(&found.header);
                        let (position, header) = (found.position, found.header);
                        return Ok(Some(Event::Batch { position, header }));
                    }
                }
            }
        };
        let first = self.chain.next;
        self.walk.seek(from);
        let told = |at| self.epochs.and_then(|known| known.epoch_for_offset(at));
        let found = self.chain.resync(&mut self.walk, true, told)?;
        let to = found.map_or(self.len, |found| found.position);
        self.walk.seek(to);
        let next = found.map(|found| found.header.base_offset);
        let is_torn = next.is_none() || looks_torn(self.file, from, to)?;
        Ok(Some(Event::Broken(Stretch { from, to, first, next, fault, is_torn })))
    }
}
