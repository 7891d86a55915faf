//! How far groups are behind: one number for `/metrics`, the command line and JSON.
//!
//! The lag of a group in a partition is counted from the first record that it has not read to the end
//! of what consumers see. Control records and what compaction has taken are not records: a group
//! that has only those before it has no lag. The time lag is the age of that first record.

use std::sync::Arc;

use duramen_protocol::records::{BatchError, BatchView};

use super::offsets::GroupOffset;
use crate::env::Patience;
use crate::replication::{FetchQuery, Isolation, Partition, Replicas, TopicKey};

/// Batches without records that are passed over at most; then the next one counts as it is.
const PASSED_MAX: usize = 64;

/// Larger batches are taken by their headers: the first record may then be a little younger, or a
/// gap be counted, but no scrape unfolds megabytes.
const UNFOLDED_BATCH_MAX: usize = 64 << 10;

/// What a batch that is small when stored may unfold to, in bytes.
const UNFOLDED_MAX: usize = 4 << 20;

/// How far a group is behind in one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lag {
    /// Where the group is.
    pub(crate) at: GroupOffset,
    /// Records that it has not read, gaps behind the first of them included.
    pub(crate) records: i64,
    /// Age of the first of them in ms; 0 when there is none.
    pub(crate) ms: i64,
}

/// The lag of each of `offsets` whose partition this broker leads. Reads the log, and may wait for
/// the disk.
pub(crate) fn lags(replicas: &Replicas, offsets: Vec<GroupOffset>, now_ms: i64) -> Vec<Lag> {
    let lag = |at: GroupOffset| {
        let key = match at.topic_id.is_nil() {
            true => TopicKey::Name(at.topic.clone()),
            false => TopicKey::Id(at.topic_id),
        };
        let partition = replicas.find(&key, at.partition).ok()?;
        let (records, ms) = of_partition(&partition, at.offset, now_ms)?;
        Some(Lag { at, records, ms })
    };
    offsets.into_iter().filter_map(lag).collect()
}

/// Records from `offset` on, and the age of the first; `None` when that can't be told now.
fn of_partition(partition: &Arc<Partition>, offset: i64, now_ms: i64) -> Option<(i64, i64)> {
    let end = partition.latest_offset(Isolation::ReadUncommitted).ok()?.offset;
    // What is gone can't be read any more, and what was cut off was read.
    let from = offset.max(partition.earliest_offset().ok()?.offset);
    match first_record(partition, from, end)? {
        Some((first, timestamp)) => Some((end - first, now_ms.saturating_sub(timestamp).max(0))),
        None => Some((0, 0)),
    }
}

/// The first record in `[from, end)`: its offset and timestamp.
fn first_record(partition: &Partition, from: i64, end: i64) -> Option<Option<(i64, i64)>> {
    let mut at = from;
    let mut scratch = Vec::new();
    for turn in 0.. {
        if at >= end {
            return Some(None);
        }
        let query = FetchQuery {
            offset: at,
            max_bytes: 1,
            at_least_one: true,
            patience: Patience::Wait,
            isolation: Isolation::ReadUncommitted,
            current_leader_epoch: -1,
            last_fetched_epoch: -1,
        };
        let mut fetched = partition.fetch(&query).ok()?;
        if let Some(cold) = fetched.cold.take() {
            cold.run().ok()?;
            fetched.keep_trusted();
        }
        if let Some(next) = fetched.damaged_up_to {
            at = next;
            continue;
        }
        let Some(Ok(batch)) = BatchView::iter(&fetched.records).next() else {
            // Nothing is left between here and the end.
            return Some(None);
        };
        match first_of(&batch, at, &mut scratch).ok()? {
            Some(found) => return Some(Some(found)),
            None if turn >= PASSED_MAX => {
                return Some(Some((batch.next_offset().min(end), batch.max_timestamp())));
            }
            None => at = batch.next_offset(),
        }
    }
    None
}

/// The first record of a batch at or after `from`.
fn first_of(
    batch: &BatchView<'_>,
    from: i64,
    scratch: &mut Vec<u8>,
) -> Result<Option<(i64, i64)>, BatchError> {
    if batch.is_control() || batch.record_count() == 0 {
        return Ok(None);
    }
    if batch.size() > UNFOLDED_BATCH_MAX {
        return Ok(Some((from.max(batch.base_offset()), batch.base_timestamp())));
    }
    for record in batch.records(scratch, UNFOLDED_MAX)? {
        let record = record?;
        if record.offset >= from {
            return Ok(Some((record.offset, record.timestamp)));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use duramen_protocol::records::control::EndTxnMarker;
    use duramen_protocol::records::{BatchBuilder, BatchOptions, Compression};

    use super::*;

    fn first(bytes: &[u8], from: i64) -> Option<(i64, i64)> {
        let batch = BatchView::iter(bytes).next().unwrap().unwrap();
        first_of(&batch, from, &mut Vec::new()).unwrap()
    }

    #[test]
    fn control_records_are_not_records() {
        let marker = EndTxnMarker { commit: true, coordinator_epoch: 1 };
        assert_eq!(first(&marker.to_batch(1_000, 7, 0).unwrap(), 0), None);
    }

    #[test]
    fn the_first_record_is_found_in_a_batch_of_any_codec() {
        for compression in [Compression::None, Compression::Zstd] {
            let mut builder = BatchBuilder::new(1 << 20);
            for n in 0..10 {
                builder.append(1_000 + n, None, Some(b"value"), &[]).unwrap();
            }
            let options = BatchOptions { compression, ..BatchOptions::default() };
            let batch = builder.build(&options).unwrap();
            assert_eq!(first(&batch, 0), Some((0, 1_000)));
            assert_eq!(first(&batch, 7), Some((7, 1_007)));
            assert_eq!(first(&batch, 10), None);
        }
    }

    #[test]
    fn a_large_batch_is_taken_by_its_header() {
        let mut builder = BatchBuilder::new(1 << 20);
        builder.append(1_000, None, Some(&[0; 1_000]), &[]).unwrap();
        builder.append(1_009, None, Some(&[0; UNFOLDED_BATCH_MAX]), &[]).unwrap();
        let batch = builder.build(&BatchOptions::default()).unwrap();
        assert_eq!(first(&batch, 1), Some((1, 1_000)));
    }
}
