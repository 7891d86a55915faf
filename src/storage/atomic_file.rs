//! Small files that are replaced as a whole: after a crash there is the old content or the new.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};

use super::error::naming;
use crate::env::{Disk, OpenMode};

/// Ends the name of a file that is being written; whoever finds one may delete it.
pub(super) const TEMPORARY: &str = ".tmp";

/// Ends the name of a file of the oldest part of a log, which is going to be removed: so is all that
/// is older.
pub(super) const DELETED: &str = ".deleted";

/// Replaces `path` with `bytes`: temporary file, sync, rename, sync of the directory.
pub(super) fn write(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = with_suffix(path, TEMPORARY);
    let file = disk.open(&temporary, OpenMode::Truncate)?;
    file.write_at(&[IoSlice::new(bytes)], 0)?;
    file.sync_data()?;
    drop(file);
    disk.rename(&temporary, path)?;
    disk.sync_dir(path.parent().unwrap_or(Path::new(".")))
}

/// Reads a small file; `None` when there is none. An error names it.
pub(super) fn read(disk: &dyn Disk, path: &Path) -> io::Result<Option<Vec<u8>>> {
    /// No file of ours that is read as a whole comes near this.
    const LIMIT: usize = 1 << 28;
    match disk.read(path, LIMIT) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(naming(path)(error)),
    }
}

/// Syncs a file that need not exist: an index file is made when it has entries.
pub(super) fn sync_if_there(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    match disk.open(path, OpenMode::Write) {
        Ok(file) => file.sync_data(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Removes a file; no error when there is none.
pub(super) fn remove(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    match disk.remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Ends the name of a file with `suffix` too. `None` when there is no such file.
pub(super) fn rename_aside(
    disk: &dyn Disk,
    path: &Path,
    suffix: &str,
) -> io::Result<Option<PathBuf>> {
    let aside = with_suffix(path, suffix);
    match disk.rename(path, &aside) {
        Ok(()) => Ok(Some(aside)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
