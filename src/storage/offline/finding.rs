//! What a check of a directory says.

use std::fmt;
use std::path::{Path, PathBuf};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing is wrong with the data: a tail that recovery would cut, a file that nobody owns.
    Note,
    /// A file that can be made again from the log.
    Derived,
    /// Data, or what tells whose data it is.
    Damage,
    /// The disk does not give it, or the user has no right to it: what stands there is not known.
    Unreadable,
}

impl Severity {
    /// One word for programs.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Derived => "derived",
            Self::Damage => "damage",
            Self::Unreadable => "unreadable",
        }
    }
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The file.
    pub path: PathBuf,
    /// Where in it, in bytes.
    pub position: Option<u64>,
    /// Offsets that are concerned: the first one, and the first one behind.
    pub offsets: Option<(i64, i64)>,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong.
    pub reason: String,
}

impl Finding {
    pub(super) fn new(path: &Path, severity: Severity, reason: impl fmt::Display) -> Self {
        let (path, reason) = (path.to_owned(), reason.to_string());
        Self { path, position: None, offsets: None, severity, reason }
    }

    pub(super) fn at(mut self, position: u64) -> Self {
        self.position = Some(position);
        self
    }

    pub(super) fn offsets(mut self, first: i64, next: i64) -> Self {
        self.offsets = Some((first, next));
        self
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some(position) = self.position {
            write!(f, " at byte {position}")?;
        }
        write!(f, ": {}", self.reason)?;
        match self.offsets {
            Some((first, next)) if next > first + 1 => {
                write!(f, " (offsets {first} to {})", next - 1)
            }
            Some((first, _)) => write!(f, " (offset {first})"),
            None => Ok(()),
        }
    }
}

/// What was looked at, and how many findings there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// The directory was closed properly.
    pub was_clean: bool,
    /// Partitions.
    pub partitions: u64,
    /// Segments.
    pub segments: u64,
    /// Batches that are sound.
    pub batches: u64,
    /// Records in them, as their headers count.
    pub records: u64,
    /// Bytes of segments that were read.
    pub bytes: u64,
    /// Findings of [`Severity::Unreadable`].
    pub unreadable: u64,
    /// Findings of [`Severity::Damage`].
    pub damage: u64,
    /// Findings of [`Severity::Derived`].
    pub derived: u64,
    /// Findings of [`Severity::Note`].
    pub notes: u64,
}

/// Who is told what a check meets.
pub trait Watch {
    /// Something was found.
    fn found(&mut self, finding: Finding);
    /// So many bytes of segments have been read, of so many there are.
    fn progress(&mut self, done: u64, total: u64);
    /// A file was written again.
    fn rebuilt(&mut self, path: &Path);
}
