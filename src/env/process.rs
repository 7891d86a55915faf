//! What the operating system tells about a process: memory, processor time, descriptors, maps. Linux
//! tells it in `/proc`; elsewhere there is nothing to read, and nothing is made up.
#![expect(clippy::disallowed_methods, reason = "this is the door")]

use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A process at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ProcessFigures {
    /// Processor time used, user and system, in seconds.
    pub cpu_seconds: f64,
    /// When it started, in seconds since 1970.
    pub started_at: f64,
    /// Bytes in memory.
    pub resident_bytes: u64,
    /// Bytes in memory that no file stands behind: what the process itself needs.
    pub anonymous_bytes: u64,
    /// Threads.
    pub threads: u64,
    /// Open descriptors.
    pub open_files: u64,
    /// Open descriptors allowed.
    pub max_open_files: u64,
    /// Maps.
    pub maps: u64,
    /// Maps allowed (`vm.max_map_count`).
    pub max_maps: u64,
}

/// The figures of this process, or of another one of the same user; `None` where they can't be had.
#[must_use]
pub fn process_figures(pid: Option<u32>) -> Option<ProcessFigures> {
    let home = PathBuf::from(pid.map_or("/proc/self".to_owned(), |pid| format!("/proc/{pid}")));
    let stat = read(&home.join("stat"))?;
    // The name of the program, in parentheses, may hold anything; the fields after it are numbers.
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok());
    let second = rustix::param::clock_ticks_per_second() as f64;
    let status = read(&home.join("status"))?;
    let limits = read(&home.join("limits")).unwrap_or_default();
    let booted = number_after(&read(Path::new("/proc/stat"))?, "btime");
    Some(ProcessFigures {
        cpu_seconds: (ticks(11)? + ticks(12)?) / second,
        started_at: booted as f64 + ticks(19)? / second,
        resident_bytes: number_after(&status, "VmRSS:") * 1024,
        anonymous_bytes: number_after(&status, "RssAnon:") * 1024,
        threads: number_after(&status, "Threads:"),
        open_files: fs::read_dir(home.join("fd")).map_or(0, |names| names.count() as u64),
        max_open_files: number_after(&limits, "Max open files"),
        maps: read(&home.join("maps")).map_or(0, |maps| maps.lines().count() as u64),
        max_maps: max_maps().unwrap_or(0),
    })
}

/// `vm.max_map_count`: maps that a process may have; `None` where there is no such limit.
#[must_use]
pub fn max_maps() -> Option<u64> {
    read(Path::new("/proc/sys/vm/max_map_count"))?.trim().parse().ok()
}

/// The process that holds the lock of a file, where the system tells.
#[must_use]
pub fn lock_holder(file: &Path) -> Option<u32> {
    let meta = fs::metadata(file).ok()?;
    let inode = format!(":{}", meta.ino());
    let locks = read(Path::new("/proc/locks"))?;
    // `1: FLOCK  ADVISORY  WRITE 4711 08:01:1234 0 EOF`
    let held = locks.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let mut held = held.filter(|fields| fields.get(1) == Some(&"FLOCK"));
    let ours = held.find(|fields| fields.get(5).is_some_and(|place| place.ends_with(&inode)))?;
    ours.get(4)?.parse().ok().filter(|pid| *pid > 0)
}

/// Whether the listeners on a port of this machine are open to this machine only; `None` where there is
/// none, or the system does not tell.
#[must_use]
pub fn listens_on_loopback_only(port: u16) -> Option<bool> {
    const LISTEN: &str = "0A";
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| read(Path::new(path)));
    let mut found = None;
    for line in tables.iter().flatten().flat_map(|table| table.lines()) {
        // `0: 0100007F:2384 00000000:0000 0A …`, the address in the order of this machine's bytes
        let mut fields = line.split_whitespace().skip(1);
        let Some((address, hex)) = fields.next().and_then(|place| place.split_once(':')) else {
            continue;
        };
        if fields.nth(1) != Some(LISTEN) || u16::from_str_radix(hex, 16) != Ok(port) {
            continue;
        }
        let loopback = match address.len() {
            8 => address.ends_with("7F"),
            _ => {
                address == "00000000000000000000000001000000"
                    || address.ends_with("FFFF00000100007F")
            }
        };
        found = Some(found.unwrap_or(true) && loopback);
    }
    found
}

/// The first number after `name` at the head of a line; 0 when there is none.
fn number_after(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0)
}

fn read(path: &Path) -> Option<String> {
    // A process may have 65,530 maps of some hundred bytes each.
    const LIMIT: u64 = 32 << 20;
    let mut text = String::new();
    fs::File::open(path).ok()?.take(LIMIT).read_to_string(&mut text).ok()?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::Env;

    #[test]
    fn this_process_has_figures() {
        let figures = process_figures(None).unwrap();
        assert!(figures.resident_bytes > 1 << 20 && figures.threads >= 1, "{figures:?}");
        assert!(figures.anonymous_bytes > 0 && figures.maps > 5, "{figures:?}");
        assert!(figures.open_files >= 3 && figures.max_open_files >= figures.open_files);
        let now = Env::real().clock.wall_ms() as f64 / 1000.0;
        assert!(figures.started_at > now - 86_400.0 && figures.started_at < now + 5.0);
        assert_eq!(process_figures(Some(u32::MAX)), None);
    }

    #[test]
    fn listeners_are_told_by_where_they_are_open() {
        let bound = |address: &str| {
            let listener = std::net::TcpListener::bind((address, 0)).unwrap();
            (listener.local_addr().unwrap().port(), listener)
        };
        let (port, _held) = bound("127.0.0.1");
        assert_eq!(listens_on_loopback_only(port), Some(true));
        let (port, held) = bound("0.0.0.0");
        assert_eq!(listens_on_loopback_only(port), Some(false));
        drop(held);
        assert_eq!(listens_on_loopback_only(port), None);
    }

    #[test]
    fn the_holder_of_a_lock_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".lock");
        let lock = Env::real().disk.lock(&path).unwrap();
        assert_eq!(lock_holder(&path), Some(std::process::id()));
        drop(lock);
        assert_eq!(lock_holder(&path), None);
    }
}
