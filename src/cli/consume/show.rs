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
    shown: u64,
    bytes: u64,
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
            shown: 0,
            bytes: 0,
        })
    }

    /// Shows records until there are no more, or enough.
    pub(super) async fn run(mut self, mut consumer: Consumer) -> Result<(), Failure> {
        let started = Instant::now();
        let progress = Progress::bytes(None, !output::stdout_is_terminal());
        let mut scratch = Vec::new();
        let done = loop {
            if self.left == Some(0) {
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
                    if let Err(failure) = self.show(&fetched, &mut scratch) {
                        break Err(failure);
                    }
                    progress.set(self.bytes, self.shown);
                }
                Some(Err(error)) => break Err(error.into()),
            }
        };
        progress.finish();
        let flushed = self.out.flush();
        if self.stats {
            output::note(&summary(self.shown, self.bytes, started.elapsed()));
        }
        done.and(flushed)
    }

    fn show(&mut self, fetched: &Fetched, scratch: &mut Vec<u8>) -> Result<(), Failure> {
        self.bytes += u64::try_from(fetched.bytes()).unwrap_or(0);
        let mut next = 0;
        let visited = fetched.visit(scratch, |batch, record| {
            next = record.offset + 1;
            if record.offset < self.skip_below {
                return ControlFlow::Continue(());
            }
            self.one(fetched, batch, record)
        });
        match visited {
            Ok(ControlFlow::Continue(()) | ControlFlow::Break(Stop::Enough)) => Ok(()),
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
