//! What every kind of replay shares: reading with the filter, progress, and being told to stop.

use std::sync::Arc;

use duramen_client::ClientError;
use duramen_client::Text;
use duramen_client::cluster::Cluster;
use duramen_client::consumer::ConsumerRecord;
use duramen_client::replay::{Pace, Replay, ReplayRange};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::job::Source;
use super::record;
use crate::cli::exit::{Exit, Failure};
use crate::cli::fields::HeaderFields;
use crate::cli::filter::Filter;
use crate::cli::moved::tell_moved;
use crate::cli::progress::Progress;

/// Records between two looks at the progress.
const SHOW_EVERY: u32 = 256;

/// See the top of the file.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) cluster: Cluster,
    pub(super) source: Text,
    pub(super) pace: Pace,
    pub(super) provenance: bool,
    pub(super) progress: Progress,
    /// Records and bytes written.
    pub(super) written: (u64, u64),
    filter: Arc<Filter>,
    stops: Stops,
    unshown: u32,
}

/// The signals that ask this process to stop.
#[derive(Debug)]
pub(super) struct Stops {
    interrupt: Signal,
    terminate: Signal,
}

impl Stops {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for the next one. Cancel safe.
    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => (),
            _ = self.terminate.recv() => (),
        }
    }
}

impl Work {
    pub(super) fn new(
        cluster: &Cluster,
        source: &str,
        pace: Pace,
        filter: Filter,
        provenance: bool,
    ) -> Result<Self, Failure> {
        Ok(Self {
            cluster: cluster.clone(),
            source: Text::from(source),
            pace,
            provenance,
            progress: Progress::none(),
            written: (0, 0),
            filter: Arc::new(filter),
            unshown: 0,
            stops: Stops::listen().map_err(|error| Failure::io("signals", &error))?,
        })
    }

    /// Reads what is left of the sources, in their order.
    pub(super) fn replay(&self, sources: &[Source], pace: Pace) -> Result<Replay, ClientError> {
        let ranges = sources.iter().map(|source| {
            ReplayRange::new(self.source.clone(), source.partition, source.position, source.to)
        });
        let builder = Replay::builder(&self.cluster).ranges(ranges).pace(pace);
        if self.filter.is_empty() {
            return builder.start();
        }
        let filter = Arc::clone(&self.filter);
        builder.filter(move |record| wanted(&filter, record)).start()
    }

    /// The next record; an error, too, when somebody says stop.
    pub(super) async fn next_or_stop(
        &mut self,
        replay: &mut Replay,
    ) -> Result<Option<ConsumerRecord>, Failure> {
        tokio::select! {
            biased;
            () = self.stops.next() => Err(Failure::new(Exit::Failed, "stopped")),
            record = next(replay) => record,
        }
    }

    /// Waits for somebody to say stop. Cancel safe.
    pub(super) async fn stopped(&mut self) {
        self.stops.next().await;
    }

    /// Shows how far the replay has been read, if enough records have come since.
    pub(super) fn show_progress(&mut self, replay: &Replay) {
        self.unshown += 1;
        if self.unshown >= SHOW_EVERY {
            self.unshown = 0;
            self.show_progress_now(replay);
        }
    }

    /// Shows how far the replay has been read.
    pub(super) fn show_progress_now(&self, replay: &Replay) {
        if self.progress.is_shown() {
            let passed = replay.positions().map(|(range, at)| at - range.from).sum::<i64>();
            self.progress.set(u64::try_from(passed).unwrap_or(0), self.written.0);
        }
    }
}

/// The next record; jumps on the way are told. Cancel safe.
pub(super) async fn next(replay: &mut Replay) -> Result<Option<ConsumerRecord>, Failure> {
    let record = replay.next().await;
    while let Some(moved) = replay.take_moved() {
        tell_moved(&moved);
    }
    Ok(record.transpose()?)
}

fn wanted(filter: &Filter, record: &ConsumerRecord) -> bool {
    let headers: Vec<HeaderFields<'_>> = match filter.needs_headers() {
        true => record::own_headers(record).map(record::header_fields).collect(),
        false => Vec::new(),
    };
    filter.lets_through(&record::fields(record, &headers))
}
