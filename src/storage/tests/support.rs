//! What the tests of this folder share: batches made by hand, and a directory to put them in.

use std::path::Path;

use bytes::Bytes;
use duramen_protocol::ids::TopicPartition;
use duramen_protocol::records::batch::{Attributes, BatchHeader};
use uuid::Uuid;

use crate::env::{Env, Patience};
use crate::storage::producer_state::Origin;
use crate::storage::validate::ValidatedBatch;
use crate::storage::{
    AppendError, AppendInfo, Appended, Log, LogConfig, LogDir, LogDirOptions, ReadRequest,
};

pub(in crate::storage) const TOPIC_ID: Uuid = Uuid::from_u128(7);

/// The header of a batch of `count` records without a producer.
pub(in crate::storage) fn header(count: i32, timestamp: i64) -> BatchHeader {
    BatchHeader {
        base_offset: 0,
        batch_length: 0,
        partition_leader_epoch: -1,
        crc: 0,
        attributes: Attributes(0),
        last_offset_delta: count - 1,
        base_timestamp: timestamp,
        max_timestamp: timestamp,
        producer_id: -1,
        producer_epoch: -1,
        base_sequence: -1,
        record_count: count,
    }
}

/// A batch as a client sends it. Its payload is not made of records: storage does not look.
pub(in crate::storage) fn batch_of(header: BatchHeader, payload: &[u8]) -> Bytes {
    let header = header.sealed(payload).unwrap();
    Bytes::from([&header.to_bytes()[..], payload].concat())
}

pub(in crate::storage) fn batch(count: i32, timestamp: i64, payload: &[u8]) -> Bytes {
    batch_of(header(count, timestamp), payload)
}

/// Appends a batch that needs no check.
pub(in crate::storage) fn append(
    log: &mut Log,
    batch: &Bytes,
    info: AppendInfo,
) -> Result<Appended, AppendError> {
    log.append(&ValidatedBatch::own(batch).unwrap(), info)
}

pub(in crate::storage) fn tp() -> TopicPartition {
    TopicPartition::new("orders", 0)
}

pub(in crate::storage) fn options() -> LogDirOptions {
    LogDirOptions { threads: false, ..LogDirOptions::default() }
}

pub(in crate::storage) fn open(env: &Env, path: &Path) -> LogDir {
    LogDir::open(env, path, options()).unwrap()
}

/// Rolls and index entries come at once.
pub(in crate::storage) fn small() -> LogConfig {
    LogConfig { segment_bytes: 1000, index_interval_bytes: 100, ..LogConfig::default() }
}

pub(in crate::storage) fn info(now_ms: i64) -> AppendInfo {
    AppendInfo { leader_epoch: 3, now_ms, origin: Origin::Client }
}

/// Everything from `offset` on, by as many reads as it takes.
pub(in crate::storage) fn read_all(log: &Log, offset: i64) -> Vec<u8> {
    let mut all = Vec::new();
    let mut next = offset;
    loop {
        let request = ReadRequest {
            offset: next,
            max_bytes: 300,
            min_one: true,
            up_to: i64::MAX,
            patience: Patience::Wait,
        };
        let read = log.read(&request).unwrap();
        let Ok(header) = BatchHeader::parse(&read.bytes) else { return all };
        let whole = whole_batches(&read.bytes);
        assert!(whole.0 > 0, "a read gives at least one batch: {header:?}");
        all.extend_from_slice(&read.bytes[..whole.0]);
        next = whole.1;
    }
}

/// How many bytes of `bytes` are whole batches, and the offset after them.
pub(in crate::storage) fn whole_batches(bytes: &[u8]) -> (usize, i64) {
    let (mut taken, mut next) = (0, -1);
    for batch in duramen_protocol::records::batch::BatchView::iter(bytes).flatten() {
        assert!(batch.crc_is_valid());
        taken += batch.size();
        next = batch.next_offset();
    }
    (taken, next)
}
