//! One partition of a replay: its consumer, the record that comes next, and how far it has got.

use std::collections::VecDeque;
use std::task::{Context, Poll, ready};

use super::{Filter, ReplayRange};
use crate::consumer::{Consumer, ConsumerRecord, Moved};
use crate::error::ClientError;

/// See the top of the file.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) range: ReplayRange,
    consumer: Consumer,
    head: Option<ConsumerRecord>,
    /// Everything of the range below has been handed out, or was not wanted.
    pub(super) position: i64,
}

impl Lane {
    pub(super) fn new(range: ReplayRange, consumer: Consumer) -> Self {
        Self { position: range.from, range, consumer, head: None }
    }

    /// Brings the next wanted record to the head and tells its timestamp; `None` at the end.
    pub(super) fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        filter: &mut Option<Filter>,
        moved: &mut VecDeque<Moved>,
    ) -> Poll<Option<Result<i64, ClientError>>> {
        while self.head.is_none() {
            match ready!(self.consumer.poll_record(cx, |jump| moved.push_back(jump))) {
                Some(Ok(record)) if filter.as_mut().is_none_or(|wants| wants(&record)) => {
                    self.head = Some(record);
                }
                Some(Ok(record)) => self.position = record.offset + 1,
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => {
                    self.position = self.range.to;
                    return Poll::Ready(None);
                }
            }
        }
        Poll::Ready(self.head.as_ref().map(|record| Ok(record.timestamp)))
    }

    /// Hands the head out.
    pub(super) fn take(&mut self) -> Option<ConsumerRecord> {
        let record = self.head.take()?;
        self.position = record.offset + 1;
        Some(record)
    }
}
