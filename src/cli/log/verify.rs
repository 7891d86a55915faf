//! `duramen log verify`: is a data directory as it should be?

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use serde_json::{Value, json};

use crate::cli::exit::{Exit, Failure};
use crate::cli::output::{Format, Output};
use crate::cli::progress::Progress;
use crate::env::Env;
use crate::raft::SnapshotError;
use crate::raft::log::metadata_partition;
use crate::raft::snapshot::SnapshotStore;
use crate::storage::OpenError;
use crate::storage::offline::{self, FileKind, Finding, Severity, Summary, Watch, kind_of};

/// Check a data directory: checksums, offsets, epochs, indexes, snapshots, checkpoints
///
/// Reads only, and so may run while a broker does. Exits with 0 when nothing is wrong, with 1 when something
/// is. A torn tail after a crash is not damage: the next start cuts it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  duramen log verify duramen-data
  duramen log verify duramen-data --format json
  duramen log verify duramen-data --repair           write indexes, snapshots and epochs again")]
pub(super) struct VerifyArgs {
    /// The data directory
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Write again what can be derived from the log and is wrong; needs the broker to be stopped
    #[arg(long)]
    repair: bool,
    /// List at most so many findings
    #[arg(long, value_name = "N", default_value_t = 1000)]
    most: usize,
    /// How to show it; json is one object a line
    #[arg(long, env = "DURAMEN_FORMAT", default_value = "table")]
    format: Format,
}

/// What was found, the worst kept.
struct Report {
    progress: Option<Progress>,
    format: Format,
    out: Output,
    most: usize,
    listed: usize,
    first: Option<Finding>,
    rebuilt: Vec<PathBuf>,
    failed: Option<Failure>,
}

impl Watch for Report {
    fn found(&mut self, finding: Finding) {
        if self.listed < self.most {
            self.listed += 1;
            self.list(&finding);
        }
        let is_fault = finding.severity > Severity::Note;
        let worse = self.first.as_ref().is_none_or(|first| first.severity < finding.severity);
        if is_fault && worse {
            self.first = Some(finding);
        }
    }

    fn progress(&mut self, done: u64, total: u64) {
        let progress = self.progress.get_or_insert_with(|| Progress::bytes(Some(total), true));
        progress.set_bytes(done);
    }

    fn rebuilt(&mut self, path: &Path) {
        self.rebuilt.push(path.to_owned());
    }
}

impl Report {
    fn list(&mut self, finding: &Finding) {
        let severity = finding.severity.word();
        let line = match self.format {
            Format::Json => as_json(finding).to_string(),
            Format::Table => format!("{severity:<8} {finding}"),
            Format::Text => format!("{severity}\t{finding}"),
        };
        self.line(&line);
    }

    fn line(&mut self, line: &str) {
        self.out.buffer().extend_from_slice(line.as_bytes());
        self.out.buffer().push(b'\n');
        if let Err(failure) = self.out.spill() {
            self.failed.get_or_insert(failure);
        }
    }
}

pub(super) fn run(args: &VerifyArgs) -> Result<(), Failure> {
    let env = Env::real();
    let mut report = Report {
        progress: None,
        format: args.format,
        out: Output::stdout()?,
        most: args.most,
        listed: 0,
        first: None,
        rebuilt: Vec::new(),
        failed: None,
    };
    let checked = if args.repair {
        offline::repair(&*env.disk, &args.dir, &mut report).map_err(|error| match error {
            OpenError::InUse { .. } => Failure::new(
                Exit::Failed,
                format!("{} is in use by a broker: stop it before --repair", args.dir.display()),
            ),
            error => Failure::new(Exit::Failed, error),
        })
    } else {
        offline::verify(&*env.disk, &args.dir, &mut report)
            .map_err(|error| Failure::io(args.dir.display(), &error))
    };
    if let Some(progress) = report.progress.take() {
        progress.finish();
    }
    let mut summary = checked?;
    metadata_snapshots(&env, &args.dir, &mut report, &mut summary);
    finish(args, report, &summary)
}

/// The snapshots of the metadata, which storage takes for files of others.
fn metadata_snapshots(env: &Env, dir: &Path, report: &mut Report, summary: &mut Summary) {
    let dir = dir.join(metadata_partition().to_string());
    let store = SnapshotStore::new(Arc::clone(&env.disk), dir.clone());
    // No metadata log lies here.
    let Ok(ids) = store.list() else { return };
    for id in ids {
        if let Err(error) = store.read(id) {
            let (severity, count) = match error {
                SnapshotError::Io(_) => (Severity::Unreadable, &mut summary.unreadable),
                _ => (Severity::Damage, &mut summary.damage),
            };
            *count += 1;
            let (path, reason) = (dir.join(id.file_name()), error.to_string());
            report.found(Finding { path, position: None, offsets: None, severity, reason });
        }
    }
}

fn finish(args: &VerifyArgs, mut report: Report, summary: &Summary) -> Result<(), Failure> {
    for path in std::mem::take(&mut report.rebuilt) {
        let path = path.display().to_string();
        let line = match args.format {
            Format::Json => json!({ "type": "rebuilt", "file": path }).to_string(),
            Format::Table => format!("rebuilt  {path}"),
            Format::Text => format!("rebuilt\t{path}"),
        };
        report.line(&line);
    }
    let found = summary.unreadable + summary.damage + summary.derived + summary.notes;
    let unlisted = found.saturating_sub(report.listed as u64);
    report.line(&match args.format {
        Format::Json => summary_json(summary, unlisted).to_string(),
        Format::Table | Format::Text => summary_line(summary, unlisted),
    });
    report.out.flush()?;
    if let Some(failure) = report.failed {
        return Err(failure);
    }
    let wrong = summary.unreadable + summary.damage + if args.repair { 0 } else { summary.derived };
    match report.first.filter(|_| wrong > 0) {
        None => Ok(()),
        Some(first) => {
            let way_out = way_out(&args.dir, &first);
            let count =
                if wrong == 1 { "1 fault".to_owned() } else { format!("{wrong} faults, first") };
            Err(Failure::new(Exit::Failed, format!("{count}: {first}; {way_out}")))
        }
    }
}

/// What to do about a fault in the data directory `dir`.
fn way_out(dir: &Path, fault: &Finding) -> &'static str {
    const COPY: &str =
        "no broker of this build starts with it: use the one that wrote it, or put a copy back";
    let in_metadata = fault.path.starts_with(dir.join(metadata_partition().to_string()));
    match (fault.severity, kind_of(&fault.path)) {
        (Severity::Note | Severity::Derived, _) => {
            "stop the broker and use --repair, or start it: it does the same"
        }
        (Severity::Unreadable, _) => {
            "this is no damage that was found: check the disk (dmesg tells more) and the rights to the file"
        }
        (Severity::Damage, _) if fault.path == dir => "name what the broker has as log.dirs",
        (Severity::Damage, FileKind::MetaProperties) => COPY,
        (Severity::Damage, _) if in_metadata => COPY,
        (Severity::Damage, FileKind::Segment(_)) => {
            "stop the broker and put a copy of the file back, or read on behind it: duramen consume --skip-damage"
        }
        (Severity::Damage, _) => "the next start goes on without the file, and writes it again",
    }
}

fn summary_line(summary: &Summary, unlisted: u64) -> String {
    let Summary { partitions, segments, batches, records, bytes, .. } = *summary;
    let how = if summary.was_clean { "closed properly" } else { "in use, or not closed properly" };
    let mut more = String::new();
    if unlisted > 0 {
        more.push_str(&format!(", {unlisted} of them not listed"));
    }
    if summary.unreadable > 0 {
        more.push_str(&format!("; {} could not be read", summary.unreadable));
    }
    format!(
        "{partitions} partitions, {segments} segments, {batches} batches, {records} records, {bytes} bytes; {how}; \
         {} damaged, {} to be rebuilt, {} notes{more}",
        summary.damage, summary.derived, summary.notes
    )
}

fn summary_json(summary: &Summary, unlisted: u64) -> Value {
    json!({
        "type": "summary",
        "clean": summary.was_clean,
        "partitions": summary.partitions,
        "segments": summary.segments,
        "batches": summary.batches,
        "records": summary.records,
        "bytes": summary.bytes,
        "unreadable": summary.unreadable,
        "damage": summary.damage,
        "derived": summary.derived,
        "notes": summary.notes,
        "unlisted": unlisted,
    })
}

fn as_json(finding: &Finding) -> Value {
    json!({
        "type": "finding",
        "severity": finding.severity.word(),
        "file": finding.path.display().to_string(),
        "position": finding.position,
        "first_offset": finding.offsets.map(|(first, _)| first),
        "next_offset": finding.offsets.map(|(_, next)| next),
        "reason": finding.reason,
    })
}
