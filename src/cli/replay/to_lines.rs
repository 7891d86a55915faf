//! `replay --to-file F` and to stdout: JSON lines that `produce --format json` reads back without loss.
//!
//! The checkpoint of a file says how long it was when everything up to the noted positions was in it and
//! on the disk. Going on, what is behind that length is cut off and written again.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

use duramen_client::consumer::ConsumerRecord;
use duramen_client::replay::Replay;
use tokio::time::{Interval, MissedTickBehavior};

use super::End;
use super::checkpoint::{CheckpointFile, sync_folder_of};
use super::job::{Job, Target};
use super::record::{self, Provenance};
use super::work::{self, Work};
use crate::cli::exit::{Exit, Failure};
use crate::cli::fields::HeaderFields;
use crate::cli::output::Output;
use crate::cli::record_json::{JsonBinary, write_record};

/// How often the file is brought to the disk, and the checkpoint with it.
const CHECKPOINT_EVERY: Duration = Duration::from_millis(500);

/// Opens the file of a job that begins: a new one, or an empty one.
pub(super) fn create(path: &Path) -> Result<Output, Failure> {
    let fault = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => {
            Failure::new(Exit::NotFound, format!("{}: no such folder", path.display()))
        }
        _ => Failure::io(path.display(), &error),
    };
    let file =
        OpenOptions::new().write(true).create(true).truncate(false).open(path).map_err(fault)?;
    let meta = file.metadata().map_err(fault)?;
    if meta.is_file() && meta.len() > 0 {
        let words = format!(
            "{} is there already and not empty; name another file, or remove it",
            path.display()
        );
        return Err(Failure::usage(words));
    }
    sync_folder_of(path).map_err(fault)?;
    Ok(Output::to(file, path.display().to_string()))
}

/// Opens the file of a job that goes on, and cuts off what the checkpoint does not know of.
pub(super) fn reopen(path: &Path, length: u64) -> Result<Output, Failure> {
    let fault = |error: io::Error| Failure::io(path.display(), &error);
    let mut file: File = OpenOptions::new().write(true).open(path).map_err(fault)?;
    let there = file.metadata().map_err(fault)?.len();
    if there < length {
        let words = format!(
            "{} has {there} bytes, the checkpoint says {length}; is it another file?",
            path.display()
        );
        return Err(Failure::new(Exit::Input, words));
    }
    file.set_len(length).map_err(fault)?;
    file.seek(SeekFrom::End(0)).map_err(fault)?;
    Ok(Output::to(file, path.display().to_string()))
}

/// What happens next.
enum Step {
    Record(Option<ConsumerRecord>),
    NothingYet,
    Save,
    Stop,
}

/// See the top of the file.
pub(super) struct ToLines<'a> {
    pub(super) work: &'a mut Work,
    pub(super) job: &'a mut Job,
    /// None for stdout.
    pub(super) checkpoint: Option<&'a CheckpointFile>,
    pub(super) out: Output,
}

impl ToLines<'_> {
    /// Replays what is left of the job.
    pub(super) async fn run(mut self) -> Result<End, Failure> {
        let mut replay = self.work.replay(&self.job.sources, self.work.pace)?;
        let mut lines = Lines { provenance: self.work.provenance.then(Provenance::default) };
        let ended = self.drive(&mut replay, &mut lines).await;
        // Everything that was handed out is in the output, however it ended.
        self.save(&replay, matches!(ended, Ok(End::Done)))?;
        ended
    }

    async fn drive(&mut self, replay: &mut Replay, lines: &mut Lines) -> Result<End, Failure> {
        let mut ticks = tokio::time::interval(CHECKPOINT_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // Only when nothing is due yet is what was gathered given out early.
            let step = match self.step(replay, &mut ticks, true).await? {
                Step::NothingYet => {
                    self.out.flush()?;
                    self.step(replay, &mut ticks, false).await?
                }
                step => step,
            };
            let record = match step {
                Step::Record(Some(record)) => record,
                Step::Record(None) => return Ok(End::Done),
                Step::Stop => return Ok(End::Stopped),
                Step::Save => {
                    self.save(replay, false)?;
                    continue;
                }
                Step::NothingYet => continue,
            };
            lines.write(&mut self.out, &record)?;
            self.work.written.0 += 1;
            self.work.written.1 += record::size(&record);
            self.work.show_progress(replay);
        }
    }

    /// What is next; with `only_now` without waiting for it.
    async fn step(
        &mut self,
        replay: &mut Replay,
        ticks: &mut Interval,
        only_now: bool,
    ) -> Result<Step, Failure> {
        tokio::select! {
            biased;
            () = self.work.stopped() => Ok(Step::Stop),
            _ = ticks.tick() => Ok(Step::Save),
            record = work::next(replay) => Ok(Step::Record(record?)),
            () = std::future::ready(()), if only_now => Ok(Step::NothingYet),
        }
    }

    /// Brings everything to the disk, and then says so in the checkpoint.
    fn save(&mut self, replay: &Replay, done: bool) -> Result<(), Failure> {
        self.out.flush()?;
        let Some(checkpoint) = self.checkpoint else { return Ok(()) };
        let before = self.job.clone();
        for (source, (_, position)) in self.job.sources.iter_mut().zip(replay.positions()) {
            source.position = position.clamp(source.position, source.to);
        }
        self.job.done = done;
        self.job.target = Target::File { length: self.out.sync()? };
        if *self.job == before { Ok(()) } else { checkpoint.write(self.job) }
    }
}

struct Lines {
    provenance: Option<Provenance>,
}

impl Lines {
    fn write(&mut self, out: &mut Output, record: &ConsumerRecord) -> Result<(), Failure> {
        let headers: Vec<HeaderFields<'_>> = match &mut self.provenance {
            Some(provenance) => provenance.headers(record).map(record::header_fields).collect(),
            None => record::own_headers(record).map(record::header_fields).collect(),
        };
        write_record(out.buffer(), &record::fields(record, &headers), JsonBinary::WhenNeeded);
        out.spill()
    }
}
