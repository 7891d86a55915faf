//! The simulated disk keeps its promises, and no others.

use std::collections::BTreeSet;
use std::io::IoSlice;
use std::path::Path;

use super::{Fault, SimDisk};
use crate::env::{Disk, OpenMode};

fn new_disk() -> SimDisk {
    let disk = SimDisk::new();
    disk.create_dir_all(Path::new("/data")).unwrap();
    disk
}

fn write(disk: &SimDisk, name: &str, bytes: &[u8]) {
    let file = disk.open(&Path::new("/data").join(name), OpenMode::Create).unwrap();
    file.write_at(&[IoSlice::new(bytes)], 0).unwrap();
}

fn read(disk: &SimDisk, name: &str) -> Option<Vec<u8>> {
    disk.read(&Path::new("/data").join(name), 1 << 20).ok()
}

#[test]
fn what_is_synced_survives_and_what_is_not_may_be_torn_by_sectors() {
    let mut seen = BTreeSet::new();
    for seed in 0..200 {
        let disk = new_disk();
        write(&disk, "a", &[1; 2000]);
        disk.open(Path::new("/data/a"), OpenMode::Write).unwrap().sync_data().unwrap();
        disk.sync_dir(Path::new("/data")).unwrap();
        write(&disk, "a", &[2; 2000]);
        disk.power_loss(seed);
        let bytes = read(&disk, "a").unwrap();
        assert_eq!(bytes.len(), 2000);
        for sector in bytes.chunks(512) {
            assert!(sector.iter().all(|byte| *byte == sector[0]), "a sector is never torn");
        }
        seen.insert(bytes.chunks(512).map(|sector| sector[0]).collect::<Vec<_>>());
    }
    assert_eq!(seen.len(), 16, "all ways to tear four sectors");
}

#[test]
fn names_last_once_their_directory_is_synced() {
    let (mut kept, mut lost) = (0, 0);
    for seed in 0..50 {
        let disk = new_disk();
        write(&disk, "synced", b"x");
        disk.sync_dir(Path::new("/data")).unwrap();
        write(&disk, "unsynced", b"x");
        disk.power_loss(seed);
        assert!(read(&disk, "synced").is_some());
        if read(&disk, "unsynced").is_some() { kept += 1 } else { lost += 1 }
    }
    assert!(kept > 0 && lost > 0);
}

#[test]
fn unsynced_names_of_one_directory_last_in_any_order() {
    let mut seen = BTreeSet::new();
    for seed in 0..2000 {
        let disk = new_disk();
        let path = |name: &str| Path::new("/data").join(name);
        let sync = |name: &str| disk.open(&path(name), OpenMode::Write).unwrap().sync_data();
        for name in ["old", "gone"] {
            write(&disk, name, name.as_bytes());
            sync(name).unwrap();
        }
        disk.sync_dir(Path::new("/data")).unwrap();
        disk.remove_file(&path("gone")).unwrap();
        write(&disk, "new", b"new");
        sync("new").unwrap();
        disk.rename(&path("new"), &path("old")).unwrap();
        disk.power_loss(seed);
        let old = read(&disk, "old").unwrap();
        seen.insert((old, read(&disk, "new").is_some(), read(&disk, "gone").is_some()));
    }
    // a rename is whole: the new name with the new bytes, whether or not the file's first name lasted
    let names = [(&b"old"[..], false), (b"old", true), (b"new", false)];
    let all = names.iter().flat_map(|(old, new)| [(*old, *new, false), (*old, *new, true)]);
    assert_eq!(seen, all.map(|(old, new, gone)| (old.to_vec(), new, gone)).collect());
}

#[test]
fn a_failed_sync_is_not_made_good_by_a_second_one() {
    let disk = new_disk();
    write(&disk, "a", &[7; 100]);
    disk.sync_dir(Path::new("/data")).unwrap();
    let file = disk.open(Path::new("/data/a"), OpenMode::Write).unwrap();
    disk.fail_nth(0, Fault::Io);
    assert!(file.sync_data().is_err());
    file.sync_data().unwrap();
    assert_eq!(read(&disk, "a").unwrap(), [7; 100]);
    let lost = (0..10).any(|seed| {
        let fork = disk.fork();
        fork.power_loss(seed);
        read(&fork, "a").unwrap() != [7; 100]
    });
    assert!(lost);
}

#[test]
fn a_full_disk_takes_what_was_reserved_and_no_more() {
    let disk = new_disk();
    disk.set_capacity(Some(1000));
    let file = disk.open(Path::new("/data/a"), OpenMode::Create).unwrap();
    file.reserve(600).unwrap();
    write(&disk, "b", &[1; 400]);
    file.write_at(&[IoSlice::new(&[2; 600])], 0).unwrap();
    let error = file.write_at(&[IoSlice::new(&[3; 10])], 600).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    disk.remove_file(Path::new("/data/b")).unwrap();
    file.write_at(&[IoSlice::new(&[3; 10])], 600).unwrap();
}

#[test]
fn a_kill_frees_locks_and_closes_files() {
    let disk = new_disk();
    let lock = disk.lock(Path::new("/data/.lock")).unwrap();
    assert!(disk.lock(Path::new("/data/.lock")).is_err());
    let file = disk.open(Path::new("/data/a"), OpenMode::Create).unwrap();
    disk.kill();
    assert!(file.len().is_err());
    let again = disk.lock(Path::new("/data/.lock")).unwrap();
    drop(lock);
    assert!(disk.lock(Path::new("/data/.lock")).is_err(), "a dead process frees nothing");
    drop(again);
}
