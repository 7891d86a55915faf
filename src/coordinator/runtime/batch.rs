//! Records on their way into the log: many decisions become one batch.

use bytes::Bytes;
use duramen_protocol::error::ErrorCode;
use duramen_protocol::group_records::GroupRecord;
use duramen_protocol::records::{BatchBuilder, BatchOptions};

use crate::coordinator::command::{Decision, Outcome, ReplyTo};

/// A batch in the making.
#[derive(Debug)]
pub(super) struct Batch {
    builder: BatchBuilder,
    bytes_max: usize,
    /// What becomes state when the batch is in the log.
    records: Vec<GroupRecord>,
    replies: Vec<(ReplyTo, Outcome)>,
}

/// A finished batch, and what comes of it.
#[derive(Debug)]
pub(super) struct Built {
    /// The bytes; `None` without records.
    pub(super) bytes: Option<Bytes>,
    /// What becomes state when the batch is in the log.
    pub(super) records: Vec<GroupRecord>,
    /// Who is answered when it is committed.
    pub(super) replies: Vec<(ReplyTo, Outcome)>,
}

/// A decision that was not taken into a batch.
#[derive(Debug)]
pub(super) enum NotTaken {
    /// The batch is full: the decision begins the next one.
    Full(Decision),
    /// No batch can hold it.
    Never(Decision, ErrorCode),
}

impl Batch {
    /// An empty batch of at most so many bytes.
    pub(super) fn new(bytes_max: usize) -> Self {
        let builder = BatchBuilder::new(bytes_max);
        Self { builder, bytes_max, records: Vec::new(), replies: Vec::new() }
    }

    /// Whether there is nothing in it.
    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty() && self.replies.is_empty()
    }

    /// Takes a decision, as a whole or not at all.
    pub(super) fn take(&mut self, decision: Decision, wall_ms: i64) -> Result<(), NotTaken> {
        let mut encoded = Vec::with_capacity(decision.records.len());
        let mut size = 0;
        for record in &decision.records {
            let Ok((key, value)) = record.encode() else {
                return Err(NotTaken::Never(decision, ErrorCode::InvalidRequest));
            };
            size += RECORD_OVERHEAD + key.len() + value.as_ref().map_or(0, Bytes::len);
            encoded.push((key, value));
        }
        if size > 0 && self.builder.size() + size > self.bytes_max {
            return Err(match self.records.is_empty() {
                true => NotTaken::Never(decision, ErrorCode::RecordListTooLarge),
                false => NotTaken::Full(decision),
            });
        }
        for (key, value) in encoded {
            // The sum above is an upper bound, so that there is room.
            let _ = self.builder.append(wall_ms, Some(&key), value.as_deref(), &[]);
        }
        self.records.extend(decision.records);
        self.replies.extend(decision.replies);
        Ok(())
    }

    /// Finishes the batch.
    pub(super) fn build(self) -> Result<Built, (ErrorCode, Vec<(ReplyTo, Outcome)>)> {
        let Self { builder, records, replies, .. } = self;
        if records.is_empty() {
            return Ok(Built { bytes: None, records, replies });
        }
        match builder.build(&BatchOptions::default()) {
            Ok(bytes) => Ok(Built { bytes: Some(bytes), records, replies }),
            Err(_) => Err((ErrorCode::UnknownServerError, replies)),
        }
    }
}

/// What a record takes beside key and value, at most: lengths, deltas, attributes, header count.
const RECORD_OVERHEAD: usize = 32;
