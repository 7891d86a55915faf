//! What the data directories tell, while a broker runs in them or not: their state, their room, the
//! limits that what lies in them asks for, and how fast their disk is.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::judge::limits::{self, Use};
use super::judge::{Finding, directory, disk};
use crate::cli::scrape::Samples;
use crate::env::{Env, OpenMode, max_maps, process_figures, raise_open_file_limit};
use crate::storage::{Holder, LogDirOptions, SpaceMarks, Survey, survey};

/// Where a broker keeps its data when nobody says otherwise.
const DEFAULT_DIR: &str = "duramen-data";
/// The file of the probe.
const PROBE_FILE: &str = ".duramen-doctor-probe";
/// Syncs of the probe.
const SYNCS: usize = 32;
/// Bytes of the long write, and of one piece of it.
const LONG_BYTES: usize = 16 << 20;
const PIECE_BYTES: usize = 1 << 20;
/// A disk with less room is not filled further to measure it.
const ROOM_FOR_PROBE: u64 = 64 << 20;
/// `max.connections` when HTTP does not tell it: what a broker may well meet.
const CONNECTIONS: u64 = 1000;

/// A directory that was looked at.
pub(super) type Looked = (PathBuf, io::Result<Survey>);

/// The directories to look at: those given, or those that the broker on this machine tells, or the
/// default one if it is here.
pub(super) fn directories(given: &[PathBuf], samples: Option<&Samples>) -> Vec<PathBuf> {
    if !given.is_empty() {
        return given.to_vec();
    }
    let told = samples.into_iter().flat_map(|samples| samples.all("duramen_directory_offline"));
    let told: Vec<PathBuf> = told.map(|sample| PathBuf::from(sample.label("dir"))).collect();
    let here: Vec<PathBuf> = match told.is_empty() {
        true => vec![PathBuf::from(DEFAULT_DIR)],
        false => told,
    };
    here.into_iter().filter(|path| path.is_dir()).collect()
}

/// Looks at them.
pub(super) fn surveys(dirs: &[PathBuf]) -> Vec<Looked> {
    let env = Env::real();
    dirs.iter().map(|path| (path.clone(), survey(&env, path))).collect()
}

/// Whether no process uses the directory.
pub(super) fn is_stopped((_, looked): &Looked) -> bool {
    looked.as_ref().is_ok_and(|survey| survey.holder == Holder::Nobody)
}

/// Who uses them, their format, what is damaged in them; room is told here for those of a node
/// that is stopped.
pub(super) fn state(surveys: &[Looked], cluster: Option<&str>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, looked) in surveys {
        let dir = path.display().to_string();
        match looked {
            Ok(survey) => findings.extend(state_of(&dir, survey, cluster)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => findings.push(Finding::fail(
                "directory",
                format!("there is no {dir}"),
                "give the broker's data directory with --data",
            )),
            Err(error) => {
                findings.push(directory::unusable(&dir, "read", error));
            }
        }
    }
    findings
}

fn state_of(dir: &str, survey: &Survey, cluster: Option<&str>) -> Vec<Finding> {
    let user = match &survey.holder {
        Holder::Process(pid) => directory::User::Process(*pid),
        Holder::Nobody => directory::User::Nobody { clean: survey.clean },
        Holder::Unknown(reason) => directory::User::Unknown(reason),
    };
    let mut findings = vec![directory::user(dir, &user, survey.logs, cluster.is_some())];
    let reason = survey.meta.as_ref().map_err(ToString::to_string);
    let meta = match &reason {
        Ok(meta) => Ok(meta.as_ref().map(|meta| (meta.format, meta.cluster_id.as_str()))),
        Err(reason) => Err(reason.as_str()),
    };
    findings.push(directory::format(dir, meta, cluster, survey.strange));
    for (partition, damage) in &survey.damage {
        let lost: Vec<_> = damage.iter().map(|it| (it.first, it.next)).collect();
        findings.push(directory::damage(&partition.to_string(), &lost));
    }
    // A broker that answers tells its room itself.
    if let (None, Some(space)) = (cluster, survey.space) {
        let SpaceMarks { low, high } = SpaceMarks::default().on(space);
        findings
            .push(disk::room(dir, disk::Room { free: space.free, total: space.total, low, high }));
    }
    findings
}

/// Descriptors and maps: of the broker that runs, or what this user's would get.
pub(super) fn limits(surveys: &[Looked], samples: Option<&Samples>) -> Vec<Finding> {
    let figure = |name: &str| samples.and_then(|samples| samples.sum(name)).map(|it| it as u64);
    let found = || surveys.iter().filter_map(|(_, looked)| looked.as_ref().ok());
    if samples.is_none() && found().next().is_none() {
        return Vec::new();
    }
    let logs: u64 = found().map(|survey| survey.logs as u64).sum();
    let closed: u64 =
        found().map(|survey| survey.segments.saturating_sub(survey.logs) as u64).sum();
    let kept = (LogDirOptions::default().max_open_segments * surveys.len()) as u64;
    let logs = figure("duramen_directory_logs").unwrap_or(logs);
    let segments = figure("duramen_open_segments").unwrap_or(0).max(closed.min(kept));
    // The limit counts in full only where someone has set it: the default is practically none.
    let connections = figure("duramen_connections").unwrap_or(0).max(CONNECTIONS);
    let running = found().find_map(|survey| match survey.holder {
        Holder::Process(Some(pid)) => process_figures(Some(pid)),
        _ => None,
    });
    let of_process = |pick: fn(&crate::env::ProcessFigures) -> u64| running.as_ref().map(pick);
    let mut findings = vec![limits::files(Use {
        now: figure("process_open_fds").or(of_process(|it| it.open_files)),
        need: limits::files_needed(logs, segments, connections),
        limit: figure("process_max_fds")
            .or(of_process(|it| it.max_open_files))
            .unwrap_or_else(raise_open_file_limit),
    })];
    if let Some(limit) = figure("duramen_process_maps_limit").or_else(max_maps) {
        findings.push(limits::maps(Use {
            now: figure("duramen_process_maps").or(of_process(|it| it.maps)),
            need: limits::maps_needed(logs, segments),
            limit,
        }));
    }
    findings
}

/// Measures the disk of each directory.
pub(super) fn probes(surveys: &[Looked]) -> Vec<Finding> {
    let env = Env::real();
    let mut findings = Vec::new();
    for (path, looked) in surveys {
        let Ok(survey) = looked else { continue };
        if survey.space.is_some_and(|space| space.free < ROOM_FOR_PROBE) {
            continue;
        }
        let dir = path.display().to_string();
        match probe(&env, path) {
            Ok(probe) => findings.extend([disk::sync(&dir, probe), disk::speed(&dir, probe)]),
            Err(error) => {
                findings.push(directory::unusable(&dir, "write in", &error));
            }
        }
    }
    findings
}

/// Writes and syncs a file of its own, and removes it, also when something fails.
fn probe(env: &Env, dir: &Path) -> io::Result<disk::Probe> {
    let path = dir.join(PROBE_FILE);
    let measured = measure(env, &path);
    let removed = env.disk.remove_file(&path);
    let probe = measured?;
    removed.map(|()| probe)
}

fn measure(env: &Env, path: &Path) -> io::Result<disk::Probe> {
    let now = || env.clock.now();
    let file = env.disk.open(path, OpenMode::Truncate)?;
    let small = [0x5a; 4096];
    let mut position = 0;
    let mut syncs = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        file.write_at(&[IoSlice::new(&small)], position)?;
        position += small.len() as u64;
        let began = now();
        file.sync_data()?;
        syncs.push(now().saturating_sub(began));
    }
    let piece = vec![0x5a; PIECE_BYTES];
    let began = now();
    for _ in 0..LONG_BYTES / PIECE_BYTES {
        file.write_at(&[IoSlice::new(&piece)], position)?;
        position += piece.len() as u64;
    }
    file.sync_data()?;
    let took = now().saturating_sub(began).as_secs_f64().max(1e-6);
    syncs.sort_unstable();
    Ok(disk::Probe {
        median: syncs.get(SYNCS / 2).copied().unwrap_or(Duration::ZERO),
        worst: syncs.last().copied().unwrap_or(Duration::ZERO),
        bytes_per_second: (LONG_BYTES as f64 / took) as u64,
    })
}
