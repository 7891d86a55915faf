//! Metadata records to and from record batches: each is the value of one record, framed as
//! `protocol/src/metadata.rs` says.

use bytes::Bytes;
use duramen_protocol::metadata::{Framed, MetadataRecord};
use duramen_protocol::records::builder::{BatchBuilder, BatchOptions};
use duramen_protocol::records::{BatchError, BatchView};

use super::committed::CommittedBatch;
use super::error::RaftError;

/// One batch of metadata records. `timestamp` is the wall clock time in milliseconds.
///
/// # Errors
///
/// As [`BatchBuilder::build`]: without a record, or above the format's 2 GiB.
pub fn encode<'a>(
    records: impl IntoIterator<Item = &'a MetadataRecord>,
    timestamp: i64,
) -> Result<Bytes, BatchError> {
    encode_values(records.into_iter().map(MetadataRecord::to_value), timestamp)
}

/// One batch of framed values.
pub(super) fn encode_values(
    values: impl IntoIterator<Item = Bytes>,
    timestamp: i64,
) -> Result<Bytes, BatchError> {
    let mut builder = BatchBuilder::new(usize::MAX);
    for value in values {
        builder.append(timestamp, None, Some(&value), &[])?;
    }
    builder.build(&BatchOptions::default())
}

/// The metadata records of a batch of the metadata log.
///
/// # Errors
///
/// [`RaftError::Damaged`] for a batch that is not one of metadata records, and
/// [`RaftError::Refused`] for a metadata record that this build does not understand.
pub fn decode(batch: &BatchView<'_>) -> Result<CommittedBatch, RaftError> {
    let base_offset = batch.base_offset();
    let damaged = |reason: String| RaftError::Damaged { offset: base_offset, reason };
    let mut scratch = Vec::new();
    let values = values(batch, &mut scratch).map_err(damaged)?;
    let mut records = Vec::with_capacity(values.len());
    for (offset, value) in (base_offset..).zip(values) {
        match Framed::decode(value).map_err(|source| RaftError::Refused { offset, source })? {
            Framed::Record(record) => records.push(record),
            _ => return Err(damaged("a snapshot's header or footer stands in the log".to_owned())),
        }
    }
    Ok(CommittedBatch {
        base_offset,
        last_offset: batch.last_offset(),
        epoch: batch.partition_leader_epoch(),
        timestamp: batch.max_timestamp(),
        size_bytes: batch.size(),
        records,
    })
}

/// The framed values of a batch, as they stand in it.
pub(super) fn values<'s>(
    batch: &BatchView<'s>,
    scratch: &'s mut Vec<u8>,
) -> Result<Vec<&'s [u8]>, String> {
    if !batch.crc_is_valid() {
        return Err("the checksum is wrong".to_owned());
    }
    if batch.is_control() {
        return Err("a control batch, which only a newer duramen writes here".to_owned());
    }
    let records =
        batch.records(scratch, super::PROPOSAL_MAX_BYTES).map_err(|error| error.to_string())?;
    records
        .map(|record| match record.map_err(|error| error.to_string())?.value {
            Some(value) => Ok(value),
            None => Err("a record without a value".to_owned()),
        })
        .collect()
}
