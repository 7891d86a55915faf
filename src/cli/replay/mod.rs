//! `duramen replay`: a part of a topic again, into another topic, a file or stdout, without touching
//! anybody's group.
//!
//! | file | what lives there |
//! |---|---|
//! | `speed.rs`, `route.rs` | pace as it is typed; which partition a record goes to: pure |
//! | `plan.rs` | from what was asked for to a job, checked before anything is sent |
//! | `job.rs`, `checkpoint.rs` | the job and how far it is, as JSON; the file that holds it |
//! | `work.rs`, `record.rs` | what all kinds share: reading, stopping, provenance |
//! | `to_topic.rs`, `tracker.rs` | into a topic, each record once; what is settled |
//! | `to_lines.rs` | JSON lines into a file or to stdout |
//! | `dry_run.rs` | what it would do |

mod checkpoint;
mod dry_run;
mod job;
mod plan;
mod record;
mod route;
mod speed;
mod to_lines;
mod to_topic;
mod tracker;
mod work;

use std::path::PathBuf;

use clap::Args;
use duramen_client::Text;
use duramen_client::cluster::Cluster;
use duramen_client::producer::Compression;
use duramen_client::replay::Pace;
use tokio::time::Instant;

use super::connect::ClusterArgs;
use super::exit::{Exit, Failure};
use super::filter::FilterArgs;
use super::offsets;
use super::output::{self, Format, Output};
use super::partitions::PartitionList;
use super::produce::codec;
use super::progress::{Progress, summary};
use checkpoint::CheckpointFile;
use job::{Job, Target};
use plan::{Destination, Plan};
use to_lines::ToLines;
use to_topic::ToTopic;
use work::Work;

/// Replay a part of a topic into another topic, a file or stdout.
#[derive(Debug, Args)]
#[command(after_help = format!("{}\n\n{AFTER_HELP}", offsets::HELP))]
pub struct ReplayArgs {
    #[command(flatten)]
    cluster: ClusterArgs,
    /// The topic to read
    #[arg(value_name = "SRC")]
    source: String,
    /// The topic to write to; without it and --to-file, JSON lines go to stdout
    #[arg(long, value_name = "TOPIC", conflicts_with = "to_file")]
    to: Option<String>,
    /// The file to write JSON lines to, as `produce --format json` reads them
    #[arg(long, value_name = "FILE")]
    to_file: Option<PathBuf>,
    /// What to replay; it ends where the topic ends now at the latest; see below
    #[arg(short, long, default_value = "start", allow_hyphen_values = true)]
    offset: String,
    /// Only these partitions, as 0,2,5-7
    #[arg(short, long, value_name = "LIST")]
    partitions: Option<PartitionList>,
    /// With the gaps between the timestamps: 1x, 10x (ten times as fast), or max
    #[arg(long, value_name = "N", default_value = "max", value_parser = speed::speed)]
    speed: Pace,
    /// So many records a second, as 500/s (or 30/m, 1000/h)
    #[arg(long, value_name = "N/s", conflicts_with = "speed", value_parser = speed::rate)]
    rate: Option<Pace>,
    #[command(flatten)]
    filter: FilterArgs,
    /// Each record into the partition that it has in the source, instead of the one its key chooses
    #[arg(long, requires = "to")]
    keep_partitions: bool,
    /// Do not add the headers duramen.replay.source, .offset and .time
    #[arg(long)]
    no_provenance: bool,
    /// How batches are compressed: none, gzip, snappy, lz4 or zstd
    #[arg(short = 'z', long, value_name = "CODEC", default_value = "none", value_parser = codec)]
    compression: Compression,
    /// Read and count, write nothing
    #[arg(long, conflicts_with = "resume")]
    dry_run: bool,
    /// How --dry-run shows what it found
    #[arg(long, default_value = "table", requires = "dry_run")]
    format: Format,
    /// Go on where a replay with the same arguments stopped or was killed
    #[arg(long)]
    resume: bool,
    /// Where to note how far it is; unless said SRC-to-TOPIC.replay, or FILE.replay
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// No progress, and no figures at the end
    #[arg(short, long)]
    quiet: bool,
}

const AFTER_HELP: &str = "\
Examples:
  duramen replay orders -o @-1h --dry-run            how much an hour is, by partition
  duramen replay orders --to orders-test -o @-1h     the last hour, at once
  duramen replay orders --to orders-test --speed 10x -o @2026-11-22:1h
  duramen replay dead-letters --to orders --rate 50/s --filter-json '$.reason=timeout'
  duramen replay orders --to copy --keep-partitions  a copy, partition by partition
  duramen replay orders --to copy --keep-partitions --resume
                                                     the rest of it, after a crash: nothing twice
  duramen replay orders -o -100 --speed 1x           to stdout, with the original timing

A replay never reads or writes the offsets of a consumer group.";

/// How a replay ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Everything was replayed.
    Done,
    /// Somebody said stop.
    Stopped,
}

/// Replays until the range ends or somebody says stop.
pub(super) async fn run(args: ReplayArgs) -> Result<(), Failure> {
    let filter = args.filter.compile()?;
    let destination = Destination::of(&args);
    let checkpoint = destination.checkpoint(&args).map(CheckpointFile::at);
    if checkpoint.is_none() && (args.resume || args.checkpoint.is_some()) {
        let words = "what went to stdout can't be taken up again; use --to or --to-file";
        return Err(Failure::usage(words));
    }
    let cluster = args.cluster.cluster()?;
    let plan = plan::plan(&cluster, &args).await?;
    let pace = args.rate.unwrap_or(args.speed);
    let mut work = Work::new(&cluster, &args.source, pace, filter, !args.no_provenance)?;
    if args.dry_run {
        let total = plan.sources.iter().map(|s| u64::try_from(s.to - s.from).unwrap_or(0)).sum();
        work.progress = Progress::offsets(total, !args.quiet);
        return dry_run::run(&mut work, &args, &plan).await;
    }
    let found = match &checkpoint {
        Some(file) => resumable(&args, &plan, file)?,
        None => None,
    };
    if found.as_ref().is_some_and(|job| job.done) {
        if !args.quiet {
            output::note("this replay has ended already: nothing is left to do");
        }
        return Ok(());
    }
    replay(&args, &cluster, plan, work, checkpoint.as_ref().map(|file| (file, found))).await
}

/// The job to go on with, if that is asked for.
fn resumable(
    args: &ReplayArgs,
    plan: &Plan,
    file: &CheckpointFile,
) -> Result<Option<Job>, Failure> {
    let path = file.path().display();
    match (file.read()?, args.resume) {
        (Some(job), true) => {
            plan::check_resumed(&job, args, plan, file.path())?;
            Ok(Some(job))
        }
        (None, true) => {
            let words = format!(
                "{path}: no such checkpoint; begin without --resume, or name it with --checkpoint"
            );
            Err(Failure::new(Exit::NotFound, words))
        }
        (Some(job), false) if !job.done => {
            let words = format!(
                "{path} is the checkpoint of a replay that did not end; go on with --resume, or remove it \
                 to begin anew"
            );
            Err(Failure::usage(words))
        }
        (_, false) => Ok(None),
    }
}

async fn replay(
    args: &ReplayArgs,
    cluster: &Cluster,
    plan: Plan,
    mut work: Work,
    saved: Option<(&CheckpointFile, Option<Job>)>,
) -> Result<(), Failure> {
    let (checkpoint, found) = saved.map_or((None, None), |(file, found)| (Some(file), found));
    let resumed = found.is_some();
    // The file is made before the checkpoint that speaks of it.
    let destination = Destination::of(args);
    let out = match (destination, found.as_ref().map(|job| &job.target)) {
        (Destination::Topic(_), _) => None,
        (Destination::Stdout, _) => Some(Output::stdout()?),
        (Destination::File(path), Some(Target::File { length })) => {
            Some(to_lines::reopen(path, *length)?)
        }
        (Destination::File(path), _) => Some(to_lines::create(path)?),
    };
    let mut job = match found {
        Some(job) => job,
        None => plan::job_of(cluster, args, plan).await?,
    };
    if let Some(file) = checkpoint.filter(|_| !resumed) {
        file.write(&job)?;
    }
    if args.to.as_deref() == Some(&args.source) && !args.quiet {
        output::note(
            "source and target are one topic: what it has now is replayed, not what is added",
        );
    }
    let (total, passed) = job.progress();
    let shown = !args.quiet && (out.is_none() || !output::stdout_is_terminal());
    work.progress = Progress::offsets(total - passed, shown);
    let started = Instant::now();
    let ended = match (out, checkpoint) {
        (Some(out), checkpoint) => {
            ToLines { work: &mut work, job: &mut job, checkpoint, out }.run().await
        }
        (None, Some(checkpoint)) => {
            let to_topic = ToTopic {
                work: &mut work,
                job: &mut job,
                checkpoint,
                topic: Text::from(args.to.as_deref().unwrap_or_default()),
                keep_partitions: args.keep_partitions,
                compression: args.compression,
                request_timeout: args.cluster.timeout(),
            };
            to_topic.run(resumed).await
        }
        (None, None) => Err(Failure::usage("name a target with --to or --to-file")),
    };
    work.progress.finish();
    if !args.quiet && ended.is_ok() {
        let (records, bytes) = work.written;
        output::note(&summary(records, bytes, started.elapsed()));
    }
    match ended? {
        End::Done => Ok(()),
        End::Stopped => {
            let (total, passed) = job.progress();
            let goes_on = if checkpoint.is_some() { "; --resume goes on from there" } else { "" };
            let words = format!("stopped after {passed} of {total} offsets{goes_on}");
            Err(Failure::new(Exit::Failed, words))
        }
    }
}
