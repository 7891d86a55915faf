//! Files and pipes, read in large blocks by a thread of their own, so that a slow pipe holds up nothing.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use tokio::sync::mpsc;

use crate::cli::exit::Failure;

/// Bytes asked of the system at once.
const BLOCK_BYTES: usize = 256 * 1024;
/// Blocks read ahead.
const BLOCKS_AHEAD: usize = 4;

/// A piece of the input.
#[derive(Debug)]
pub(super) enum Piece {
    /// Some bytes of a file, by its index.
    Block(usize, Vec<u8>),
    /// A file has ended.
    End(usize),
}

/// The files to read, opened.
#[derive(Debug)]
pub(super) struct Sources {
    /// What each is called in messages.
    pub(super) names: Vec<String>,
    files: Vec<Source>,
}

#[derive(Debug)]
enum Source {
    Stdin,
    File(File),
}

impl Sources {
    /// Opens every file before anything is sent; `-`, or no file at all, is stdin.
    ///
    /// # Errors
    /// When one can't be opened.
    pub(super) fn open(paths: &[PathBuf]) -> Result<Self, Failure> {
        let stdin = [PathBuf::from("-")];
        let paths = if paths.is_empty() { &stdin[..] } else { paths };
        let (mut names, mut files) = (Vec::new(), Vec::new());
        for path in paths {
            if path.as_os_str() == "-" {
                names.push("stdin".to_owned());
                files.push(Source::Stdin);
            } else {
                let file = open(path).map_err(|error| Failure::io(path.display(), &error))?;
                names.push(path.display().to_string());
                files.push(Source::File(file));
            }
        }
        Ok(Self { names, files })
    }

    /// Bytes of all files, when every one is an ordinary file.
    pub(super) fn total_bytes(&self) -> Option<u64> {
        self.files
            .iter()
            .map(|source| match source {
                Source::File(file) => {
                    file.metadata().ok().filter(std::fs::Metadata::is_file).map(|m| m.len())
                }
                Source::Stdin => None,
            })
            .sum()
    }

    /// True when a person types the input.
    pub(super) fn is_typed(&self) -> bool {
        use std::io::IsTerminal;
        matches!(self.files.as_slice(), [Source::Stdin]) && io::stdin().is_terminal()
    }

    /// Starts to read; the files' names are given back.
    pub(super) fn read(self) -> (Vec<String>, mpsc::Receiver<io::Result<Piece>>) {
        let (sender, receiver) = mpsc::channel(BLOCKS_AHEAD);
        let Self { names, files } = self;
        std::thread::spawn(move || {
            for (index, source) in files.into_iter().enumerate() {
                let read = match source {
                    Source::Stdin => pump(io::stdin(), index, &sender),
                    Source::File(file) => pump(file, index, &sender),
                };
                if read.is_err() {
                    return;
                }
            }
        });
        (names, receiver)
    }
}

/// Nobody wants more, or the input failed.
struct Stopped;

fn pump(
    mut from: impl Read,
    index: usize,
    to: &mpsc::Sender<io::Result<Piece>>,
) -> Result<(), Stopped> {
    loop {
        let mut block = vec![0; BLOCK_BYTES];
        let read = match from.read(&mut block) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                let _ = to.blocking_send(Err(error));
                return Err(Stopped);
            }
            Ok(read) => read,
        };
        block.truncate(read);
        let piece = if read == 0 { Piece::End(index) } else { Piece::Block(index, block) };
        to.blocking_send(Ok(piece)).map_err(|_| Stopped)?;
        if read == 0 {
            return Ok(());
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a file that a person named on the command line")]
fn open(path: &Path) -> io::Result<File> {
    File::open(path)
}
