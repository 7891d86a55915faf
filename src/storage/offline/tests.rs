//! Checks on a directory of a simulated disk: what is found, and what a repair leaves.

use std::io::IoSlice;
use std::path::{Path, PathBuf};

use super::*;
use crate::env::sim::SimDisk;
use crate::env::{Env, OpenMode};
use crate::storage::LogDir;
use crate::storage::tests::support::{TOPIC_ID, append, batch, info, open, small, tp};

#[derive(Default)]
struct Found {
    findings: Vec<Finding>,
    rebuilt: Vec<PathBuf>,
}

impl Watch for Found {
    fn found(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    fn progress(&mut self, done: u64, total: u64) {
        assert!(done <= total);
    }

    fn rebuilt(&mut self, path: &Path) {
        self.rebuilt.push(path.to_owned());
    }
}

/// A directory of one partition with several segments, closed properly or left as by a crash.
fn directory(env: &Env, closed: bool) -> Option<LogDir> {
    let dir = open(env, Path::new("/data"));
    let mut log = dir.create_log(&tp(), TOPIC_ID, small()).unwrap();
    for n in 0..30 {
        append(&mut log, &batch(2, 1000 + n, &[5; 100]), info(1000 + n)).unwrap();
    }
    dir.run_once();
    if !closed {
        std::mem::forget(log);
        return Some(dir);
    }
    log.close().unwrap();
    dir.close(-1).unwrap();
    None
}

fn sim() -> Env {
    Env { disk: std::sync::Arc::new(SimDisk::new()), ..Env::real() }
}

fn flip(env: &Env, path: &str, position: u64) {
    let file = env.disk.open(Path::new(path), OpenMode::Write).unwrap();
    let mut byte = [0];
    file.read_at(&mut byte, position).unwrap();
    file.write_at(&[IoSlice::new(&[byte[0] ^ 4])], position).unwrap();
}

fn check(env: &Env) -> (Summary, Vec<Finding>) {
    let mut found = Found::default();
    let summary = verify(&*env.disk, Path::new("/data"), &mut found).unwrap();
    (summary, found.findings)
}

const FIRST: &str = "/data/orders-0/00000000000000000000";

#[test]
fn nothing_is_found_in_a_sound_directory() {
    let env = sim();
    directory(&env, true);
    let (summary, findings) = check(&env);
    assert_eq!(findings, []);
    assert_eq!((summary.partitions, summary.batches, summary.records), (1, 30, 60));
    assert!(summary.was_clean && summary.segments > 2);
}

#[test]
fn a_log_that_nothing_was_written_to_misses_no_index() {
    let env = sim();
    let dir = open(&env, Path::new("/data"));
    dir.create_log(&tp(), TOPIC_ID, small()).unwrap().close().unwrap();
    dir.close(-1).unwrap();
    let (summary, findings) = check(&env);
    assert_eq!(findings, []);
    assert_eq!((summary.partitions, summary.batches, summary.was_clean), (1, 0, true));
}

#[test]
fn damage_is_told_with_file_position_and_offsets() {
    let env = sim();
    directory(&env, true);
    flip(&env, &format!("{FIRST}.log"), 161 + 80);
    let (summary, findings) = check(&env);
    let [found] = &findings[..] else { panic!("{findings:?}") };
    assert_eq!(found.path, Path::new(&format!("{FIRST}.log")));
    assert_eq!((found.position, found.offsets), (Some(161), Some((2, 4))));
    assert_eq!((summary.damage, summary.batches), (1, 29));
    assert!(found.to_string().ends_with("at byte 161: the checksum is wrong (offsets 2 to 3)"));
}

#[test]
fn a_repair_makes_derived_files_again_and_nothing_else() {
    let env = sim();
    directory(&env, true);
    let log = env.disk.read(Path::new(&format!("{FIRST}.log")), 1 << 20).unwrap();
    flip(&env, &format!("{FIRST}.index"), 6);
    env.disk.remove_file(Path::new(&format!("{FIRST}.timeindex"))).unwrap();
    flip(&env, "/data/orders-0/leader-epoch-checkpoint", 4);
    let (summary, _) = check(&env);
    assert_eq!((summary.damage, summary.derived), (0, 3));
    let mut found = Found::default();
    repair(&*env.disk, Path::new("/data"), &mut found).unwrap();
    assert!(found.rebuilt.iter().any(|path| path.ends_with("leader-epoch-checkpoint")));
    assert_eq!(check(&env).1, []);
    assert_eq!(env.disk.read(Path::new(&format!("{FIRST}.log")), 1 << 20).unwrap(), log);
}

#[test]
fn a_repair_is_refused_while_the_directory_is_in_use() {
    let env = sim();
    let dir = directory(&env, false);
    let refused = repair(&*env.disk, Path::new("/data"), &mut Found::default());
    assert!(matches!(refused, Err(crate::storage::OpenError::InUse { .. })), "{refused:?}");
    drop(dir);
}

#[test]
fn a_torn_tail_of_a_directory_in_use_is_no_damage() {
    let env = sim();
    let _dir = directory(&env, false);
    let entries = env.disk.list(Path::new("/data/orders-0")).unwrap();
    let last = entries.iter().rfind(|entry| entry.name.ends_with(".log")).unwrap();
    let path = Path::new("/data/orders-0").join(&last.name);
    let file = env.disk.open(&path, OpenMode::Write).unwrap();
    file.write_at(&[IoSlice::new(&[1; 40])], last.len).unwrap();
    let (summary, findings) = check(&env);
    let [note] = &findings[..] else { panic!("{findings:?}") };
    assert_eq!((note.severity, note.position), (Severity::Note, Some(last.len)));
    assert!(note.reason.contains("would be cut by recovery"));
    assert_eq!((summary.damage, summary.derived, summary.batches), (0, 0, 30));
}

#[test]
fn what_the_disk_does_not_give_is_not_taken_for_damage_nor_for_what_must_be_made_again() {
    let disk = std::sync::Arc::new(SimDisk::new());
    let env = Env { disk: std::sync::Arc::<SimDisk>::clone(&disk), ..Env::real() };
    directory(&env, true);
    let before = disk.looks();
    assert_eq!(check(&env).1, []);
    let mut told = 0;
    for nth in 0..disk.looks() - before {
        let fork = disk.fork();
        fork.fail_nth_look(nth);
        let mut found = Found::default();
        if verify(&fork, Path::new("/data"), &mut found).is_err() {
            continue;
        }
        let Found { findings, .. } = found;
        told += findings.len();
        let other = findings.iter().find(|found| found.severity != Severity::Unreadable);
        assert_eq!(other, None, "look {nth} of {findings:?}");
    }
    assert!(told > 10);
}
