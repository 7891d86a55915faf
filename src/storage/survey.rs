//! A log directory looked at from outside, while a broker runs in it or not: nothing is written, and
//! nothing is recovered.

use std::io;
use std::path::{Path, PathBuf};

use duramen_protocol::ids::TopicPartition;

use super::atomic_file;
use super::damage::{self, Damage};
use super::dir::{CLEAN_SHUTDOWN_FILE, LOCK_FILE, decode_clean_shutdown, partition_of, read_meta};
use super::error::OpenError;
use super::meta_properties::MetaProperties;
use crate::env::{Disk, Env, Space, lock_holder};

/// Who has the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// No process.
    Nobody,
    /// A process, by its id where the system tells.
    Process(Option<u32>),
    /// The lock can't be asked, for this reason.
    Unknown(String),
}

/// What lies in a log directory.
#[derive(Debug, Clone)]
pub struct Survey {
    /// Where it is.
    pub path: PathBuf,
    /// Who has it.
    pub holder: Holder,
    /// The last process closed it properly. Says nothing while a process has it.
    pub clean: bool,
    /// Whose it is and in which format; `None` for a new one, an error when no broker would start.
    pub meta: Result<Option<MetaProperties>, OpenError>,
    /// There is something in it beside partitions. In a new directory no broker has put that there.
    pub strange: bool,
    /// Partitions.
    pub logs: usize,
    /// Their segments.
    pub segments: usize,
    /// Bytes in the segments.
    pub bytes: u64,
    /// What is known to be damaged.
    pub damage: Vec<(TopicPartition, Vec<Damage>)>,
    /// Room on the disk, if that tells.
    pub space: Option<Space>,
}

/// Looks at the directory at `path`.
///
/// # Errors
/// It can't be read; [`io::ErrorKind::NotFound`] when it is not there.
pub fn survey(env: &Env, path: &Path) -> io::Result<Survey> {
    let disk = &*env.disk;
    let mut found = Survey {
        path: path.to_owned(),
        holder: Holder::Nobody,
        clean: false,
        meta: Ok(None),
        strange: false,
        logs: 0,
        segments: 0,
        bytes: 0,
        damage: Vec::new(),
        space: disk.space(path).ok(),
    };
    for entry in disk.list(path)? {
        let Some(partition) = partition_of(&entry) else {
            found.strange |= !entry.name.starts_with('.') && entry.name != "lost+found";
            continue;
        };
        let dir = path.join(&entry.name);
        // Deleted while we look: there is nothing to tell of it.
        let Ok(files) = disk.list(&dir) else { continue };
        let segments = files.iter().filter(|file| file.name.ends_with(".log"));
        found.logs += 1;
        found.segments += segments.clone().count();
        found.bytes += segments.map(|file| file.len).sum::<u64>();
        let damage = damage::load(disk, &dir)?;
        if !damage.is_empty() {
            found.damage.push((partition, damage));
        }
    }
    found.holder = holder(disk, path);
    let mark = atomic_file::read(disk, &path.join(CLEAN_SHUTDOWN_FILE))?;
    found.clean = mark.as_deref().and_then(decode_clean_shutdown).is_some();
    found.meta = read_meta(disk, path);
    Ok(found)
}

fn holder(disk: &dyn Disk, path: &Path) -> Holder {
    let file = path.join(LOCK_FILE);
    match disk.exists(&file) {
        Ok(true) => {}
        Ok(false) => return Holder::Nobody,
        Err(error) => return Holder::Unknown(error.to_string()),
    }
    // Taken for a moment, and let go at once.
    match disk.lock(&file) {
        Ok(_) => Holder::Nobody,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            Holder::Process(lock_holder(&file))
        }
        Err(error) => Holder::Unknown(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{FORMAT, LogDir, LogDirOptions};

    #[test]
    fn a_directory_is_told_as_it_is_and_left_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let (env, path) = (Env::real(), folder.path().join("data"));
        assert_eq!(survey(&env, &path).unwrap_err().kind(), io::ErrorKind::NotFound);
        let dir = LogDir::open(&env, &path, LogDirOptions::default()).unwrap();
        let held = survey(&env, &path).unwrap();
        assert_eq!(held.holder, Holder::Process(Some(std::process::id())));
        dir.close(-1).unwrap();
        let closed = survey(&env, &path).unwrap();
        assert_eq!((closed.holder, closed.clean, closed.logs), (Holder::Nobody, true, 0));
        assert_eq!(closed.meta.unwrap().unwrap().format, FORMAT);
        let again = LogDir::open(&env, &path, LogDirOptions::default()).unwrap();
        assert!(again.was_clean(), "a look is no crash");
    }
}
