//! What a fetch brought, checked and cut to what was asked for, pure.

use std::collections::HashSet;

use bytes::Bytes;
use duramen_protocol::messages::fetch::AbortedTransaction;
use duramen_protocol::records::control::EndTxnMarker;
use duramen_protocol::records::{BatchError, BatchView};

use super::fetched::Content;

/// What was asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) from: i64,
    pub(super) end: Option<i64>,
    pub(super) committed_only: bool,
    pub(super) check_crc: bool,
}

/// What came.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Accepted {
    pub(super) content: Content,
    /// Where to go on.
    pub(super) next: i64,
    /// Leader epoch of the last batch; `None` when no whole batch came.
    pub(super) last_epoch: Option<i32>,
}

/// Why nothing was accepted.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused {
    /// Where the first batch begins that can't be read.
    pub(super) first: i64,
    /// Where the batch behind it begins, as far as its header can be believed.
    pub(super) next: Option<i64>,
    pub(super) error: BatchError,
}

/// Checks the batches of an answer. One that is cut off at the end, or damaged behind sound ones, is
/// left for the next fetch.
///
/// # Errors
/// When the first batch is damaged or cut off.
pub(super) fn accept(
    records: &Bytes,
    aborted: &[AbortedTransaction],
    wanted: Wanted,
) -> Result<Accepted, Refused> {
    let mut filter = TransactionFilter::new(aborted, wanted.committed_only);
    let end = wanted.end.unwrap_or(i64::MAX);
    let mut accepted = Accepted { next: wanted.from, ..Accepted::default() };
    // Bytes before the first batch of interest, and behind the last.
    let (mut first, mut position) = (None, 0);
    let mut hidden = Vec::new();
    let mut rest = records.as_ref();
    while !rest.is_empty() && accepted.next < end {
        let (batch, after) = match BatchView::split(rest) {
            Ok(split) => split,
            Err(BatchError::Truncated { .. }) if position > 0 => break,
            Err(_) if accepted.last_epoch.is_some() => break,
            Err(error) => return Err(Refused { first: accepted.next, next: None, error }),
        };
        rest = after;
        let size = batch.size();
        // A fetch begins with the batch that holds the offset; what is before it was read already.
        if batch.next_offset() <= wanted.from {
            position += size;
            continue;
        }
        if wanted.check_crc
            && let Err(error) = batch.check_crc()
        {
            if accepted.last_epoch.is_some() {
                break;
            }
            let (first, next) = (batch.base_offset(), Some(batch.next_offset()));
            return Err(Refused { first, next, error });
        }
        if filter.hides(&batch) {
            hidden.push(position);
        }
        first.get_or_insert(position);
        position += size;
        accepted.next = batch.next_offset();
        accepted.last_epoch = Some(batch.partition_leader_epoch());
    }
    let first = first.unwrap_or(position);
    hidden.iter_mut().for_each(|at| *at -= first);
    accepted.content = Content {
        bytes: records.slice(first..position),
        hidden,
        from: wanted.from,
        to: accepted.next.min(end),
    };
    Ok(accepted)
}

/// Which batches a reader does not see (KIP-98): control batches never, and with read_committed not
/// those of aborted transactions.
struct TransactionFilter<'a> {
    committed_only: bool,
    /// Aborted transactions not yet begun, the next one last.
    coming: Vec<&'a AbortedTransaction>,
    /// Producers whose running transaction ends in an abort.
    aborting: HashSet<i64>,
}

impl<'a> TransactionFilter<'a> {
    fn new(aborted: &'a [AbortedTransaction], committed_only: bool) -> Self {
        let mut coming: Vec<_> = aborted.iter().collect();
        coming.sort_unstable_by_key(|transaction| std::cmp::Reverse(transaction.first_offset));
        Self { committed_only, coming, aborting: HashSet::new() }
    }

    fn hides(&mut self, batch: &BatchView<'_>) -> bool {
        if self.committed_only {
            while let Some(next) = self.coming.pop_if(|t| t.first_offset <= batch.last_offset()) {
                self.aborting.insert(next.producer_id);
            }
        }
        if batch.is_control() {
            if is_abort(batch) {
                self.aborting.remove(&batch.producer_id());
            }
            return true;
        }
        batch.is_transactional() && self.aborting.contains(&batch.producer_id())
    }
}

fn is_abort(batch: &BatchView<'_>) -> bool {
    let mut scratch = Vec::new();
    let Ok(mut records) = batch.records(&mut scratch, 1024) else { return false };
    let marker = records.next().and_then(Result::ok);
    marker.and_then(|record| EndTxnMarker::of_record(&record)).is_some_and(|end| !end.commit)
}

#[cfg(test)]
#[path = "accept_tests.rs"]
mod tests;
