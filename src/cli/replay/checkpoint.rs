//! The checkpoint file: replaced as a whole, on the disk before anybody relies on it, and locked for as
//! long as a replay works on it. The lock goes with the process, however that ends.

use std::cell::RefCell;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::job::Job;
use crate::cli::exit::{Exit, Failure};

/// No checkpoint is larger; another file may be.
const MOST_BYTES: u64 = 256 * 1024 * 1024;

/// See the top of the file.
#[derive(Debug)]
pub(super) struct CheckpointFile {
    path: PathBuf,
    /// The file that lies at the path, locked.
    held: RefCell<Option<File>>,
}

impl CheckpointFile {
    pub(super) fn at(path: PathBuf) -> Self {
        Self { path, held: RefCell::new(None) }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The job in it, which nobody else works on from now on; `None` when there is no such file.
    ///
    /// # Errors
    /// When it can't be read, is no checkpoint, or another process works on it.
    #[expect(clippy::disallowed_methods, reason = "the user's own file, not the broker's")]
    pub(super) fn read(&self) -> Result<Option<Job>, Failure> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Failure::io(self.path.display(), &error)),
        };
        if !self.lock(&file).map_err(|error| Failure::io(self.path.display(), &error))? {
            let words = format!("another replay is at work on {}", self.path.display());
            return Err(Failure::new(Exit::Failed, format!("{words}; wait for it, or stop it")));
        }
        let mut text = Vec::new();
        (&file)
            .take(MOST_BYTES)
            .read_to_end(&mut text)
            .map_err(|error| Failure::io(self.path.display(), &error))?;
        match Job::from_json(&text) {
            Some(job) => {
                self.held.replace(Some(file));
                Ok(Some(job))
            }
            None => Err(Failure::new(
                Exit::Input,
                format!(
                    "{} is no checkpoint of a replay; name another with --checkpoint, or remove it",
                    self.path.display()
                ),
            )),
        }
    }

    /// Locks a file that was opened at the path; false when it is locked, or was just replaced.
    fn lock(&self, file: &File) -> io::Result<bool> {
        // A file system without locks has none to be kept.
        if flock(file, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK) {
            return Ok(false);
        }
        let (there, ours) = (fs::metadata(&self.path)?, file.metadata()?);
        Ok((there.dev(), there.ino()) == (ours.dev(), ours.ino()))
    }

    /// Puts the job in the place of what was there. When this returns it is on the disk.
    ///
    /// # Errors
    /// When it can't be written; what was there before is still there.
    pub(super) fn write(&self, job: &Job) -> Result<(), Failure> {
        self.replace(job.to_json().to_string().as_bytes()).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Failure::new(
                Exit::NotFound,
                format!("{}: no such folder to write the checkpoint to", self.path.display()),
            ),
            _ => Failure::io(self.path.display(), &error),
        })
    }

    #[expect(clippy::disallowed_methods, reason = "the user's own file, not the broker's")]
    fn replace(&self, text: &[u8]) -> io::Result<()> {
        let mut name = self.path.clone().into_os_string();
        name.push(".new");
        let fresh = PathBuf::from(name);
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(&fresh)?;
        file.write_all(text)?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        // Locked before it is the one at the path: there is no moment for anybody else.
        let _ = flock(&file, FlockOperation::NonBlockingLockExclusive);
        fs::rename(&fresh, &self.path)?;
        self.held.replace(Some(file));
        sync_folder_of(&self.path)
    }
}

/// Makes a new name in a folder last.
#[expect(clippy::disallowed_methods, reason = "the user's own file, not the broker's")]
pub(super) fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test reads what was written")]
mod tests {
    use super::super::job::tests::sample;
    use super::*;

    #[track_caller]
    fn refused<T>(result: Result<T, Failure>) -> (Exit, String) {
        match result {
            Err(Failure::Told { exit, message }) => (exit, message),
            _ => panic!("not refused"),
        }
    }

    #[test]
    fn a_checkpoint_is_replaced_as_a_whole_by_who_holds_it() {
        let folder = tempfile::tempdir().unwrap();
        let open = || CheckpointFile::at(folder.path().join("job.json"));
        let file = open();
        assert!(file.read().unwrap().is_none());
        file.write(&sample()).unwrap();
        let (exit, message) = refused(open().read());
        assert!(exit == Exit::Failed && message.contains("another replay is at work"), "{message}");
        let done = Job { done: true, ..sample() };
        file.write(&done).unwrap();
        refused(open().read());
        drop(file);
        // Whoever reads it holds it from then on.
        let file = open();
        assert_eq!(file.read().unwrap(), Some(done));
        refused(open().read());
        let names: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(names.len(), 1, "nothing is left over: {names:?}");
    }

    #[test]
    fn what_is_no_checkpoint_is_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let file = CheckpointFile::at(folder.path().join("notes"));
        fs::write(file.path(), "{}").unwrap();
        assert_eq!(refused(file.read()).0, Exit::Input);
        assert_eq!(fs::read(file.path()).unwrap(), b"{}");
        let nowhere = CheckpointFile::at(folder.path().join("no/job.json"));
        assert_eq!(refused(nowhere.write(&sample())).0, Exit::NotFound);
    }
}
