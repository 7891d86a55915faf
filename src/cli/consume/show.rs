//! The loop of `consume`: fetches in, shown records out, nothing allocated per record.

use std::ops::ControlFlow;

use duramen_client::consumer::{BatchView, Consumer, Event, Fetched, RecordView};
use tokio::time::Instant;

use super::render::Render;
use crate::cli::exit::{Exit, Failure};
use crate::cli::fields::{HeaderFields, RecordFields};
use crate::cli::filter::Filter;
use crate::cli::moved::tell_moved;
use crate::cli::output::{self, Output};
use crate::cli::progress::{Progress, summary};

/// See the top of the file.
pub(super) struct Show {
    render: Render,
    filter: Filter,
    needs_headers: bool,
    /// Records below are not shown.
    skip_below: i64,
    left: Option<u64>,
    stats: bool,
    out: Output,
    /// Where compressed batches are unpacked.
    scratch: Vec<u8>,
    shown: u64,
    bytes: u64,
}

/// What a person is told while records are shown, and at the end.
pub(super) struct Tally {
    started: Instant,
    progress: Progress,
}

impl Tally {
    pub(super) fn begin() -> Self {
        let progress = Progress::bytes(None, !output::stdout_is_terminal());
        Self { started: Instant::now(), progress }
    }

    pub(super) fn tell(&self, show: &Show) {
        self.progress.set(show.bytes, show.shown);
    }

    pub(super) fn end(self, show: &Show) {
        self.progress.finish();
        if show.stats {
            output::note(&summary(show.shown, show.bytes, self.started.elapsed()));
        }
    }
}

/// Why showing a fetch stopped before its end.
enum Stop {
    /// The number asked for was reached.
    Enough,
    /// Stdout does not take more.
    Output(Failure),
}

impl Show {
    pub(super) fn new(
        render: Render,
        filter: Filter,
        skip_below: i64,
        left: Option<u64>,
        stats: bool,
    ) -> Result<Self, Failure> {
        Ok(Self {
            needs_headers: render.needs_headers() || filter.needs_headers(),
            render,
            filter,
            skip_below,
            left,
            stats,
            out: Output::stdout()?,
            scratch: Vec::new(),
            shown: 0,
            bytes: 0,
        })
    }

    /// Whether as many records were shown as were asked for.
    pub(super) fn has_enough(&self) -> bool {
        self.left == Some(0)
    }

    /// Writes all that is shown so far.
    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        self.out.flush()
    }

    /// Shows records until there are no more, or enough.
    pub(super) async fn run(mut self, mut consumer: Consumer) -> Result<(), Failure> {
        let tally = Tally::begin();
        let done = loop {
            if self.has_enough() {
                break Ok(());
            }
            // Only when nothing has come yet is what was gathered given out early.
            let event = match consumer.try_next() {
                Some(event) => Some(event),
                None => {
                    self.out.flush()?;
                    consumer.next().await
                }
            };
            match event {
                None => break Ok(()),
                Some(Ok(Event::Moved(moved))) => tell_moved(&moved),
                Some(Ok(Event::Records(fetched))) => {
                    if let Err(failure) = self.show(&fetched) {
                        break Err(failure);
                    }
                    tally.tell(&self);
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => break Err(error.into()),
            }
        };
        let flushed = self.out.flush();
        tally.end(&self);
        done.and(flushed)
    }

    /// Shows what was fetched; the offset up to which that is done.
    pub(super) fn show(&mut self, fetched: &Fetched) -> Result<i64, Failure> {
        self.bytes += u64::try_from(fetched.bytes()).unwrap_or(0);
        let mut next = 0;
        let mut scratch = std::mem::take(&mut self.scratch);
        let visited = fetched.visit(&mut scratch, |batch, record| {
            next = record.offset + 1;
            if record.offset < self.skip_below {
                return ControlFlow::Continue(());
            }
            self.one(fetched, batch, record)
        });
        self.scratch = scratch;
        match visited {
            Ok(ControlFlow::Continue(())) => Ok(fetched.next_offset()),
            Ok(ControlFlow::Break(Stop::Enough)) => Ok(next),
            Ok(ControlFlow::Break(Stop::Output(failure))) => Err(failure),
            Err(error) => Err(unreadable(fetched, next, &error.to_string())),
        }
    }

    fn one(
        &mut self,
        fetched: &Fetched,
        batch: &BatchView<'_>,
        record: &RecordView<'_>,
    ) -> ControlFlow<Stop> {
        let headers: Vec<HeaderFields<'_>> = match self.needs_headers {
            // An empty list allocates nothing.
            true => record
                .headers
                .clone()
                .map(|header| HeaderFields { key: header.key, value: header.value })
                .collect(),
            false => Vec::new(),
        };
        let fields = RecordFields {
            topic: &fetched.topic,
            partition: fetched.partition,
            offset: record.offset,
            timestamp: record.timestamp,
            attributes: batch.attributes().0,
            leader_epoch: batch.partition_leader_epoch(),
            producer_id: batch.producer_id(),
            producer_epoch: batch.producer_epoch(),
            log_start: fetched.log_start_offset,
            last_stable: fetched.last_stable_offset,
            high_watermark: fetched.high_watermark,
            key: record.key,
            value: record.value,
            headers: &headers,
        };
        if !self.filter.lets_through(&fields) {
            return ControlFlow::Continue(());
        }
        self.shown += 1;
        self.render.write(self.out.buffer(), &fields, self.shown);
        if let Err(failure) = self.out.spill() {
            return ControlFlow::Break(Stop::Output(failure));
        }
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(1);
            if *left == 0 {
                return ControlFlow::Break(Stop::Enough);
            }
        }
        ControlFlow::Continue(())
    }
}

/// The batch that holds `next` can't be read: which it is, and how to get past it.
fn unreadable(fetched: &Fetched, next: i64, error: &str) -> Failure {
    let (topic, partition) = (&fetched.topic, fetched.partition);
    let batch = fetched.batches().find(|batch| batch.last_offset() >= next);
    let (first, after) = batch.map_or((next, next + 1), |it| (it.base_offset(), it.next_offset()));
    Failure::new(
        Exit::Failed,
        format!(
            "partition {topic}-{partition}: the batch at offset {first} can't be read: {error}; \
             go on behind it with --partitions {partition} --offset {after}"
        ),
    )
}
