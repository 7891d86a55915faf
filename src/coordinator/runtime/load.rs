//! A shard's log read back into state, from its start to where it ended when loading began.

use std::sync::Arc;

use bytes::Bytes;
use duramen_protocol::error::ErrorCode;
use duramen_protocol::group_records::{GroupRecord, GroupRecordError};
use duramen_protocol::records::{BatchError, BatchView, RecordView};
use tokio::sync::Notify;
use tracing::{error, warn};

use crate::coordinator::groups::Groups;
use crate::env::Patience;
use crate::replication::{FetchQuery, Isolation, Partition};

/// Bytes that are read at a time.
const CHUNK_BYTES: usize = 1 << 20;

/// What a batch may unfold to, in bytes.
const UNFOLDED_MAX: usize = 100 << 20;

/// A log that is being read.
struct Loading {
    partition: Arc<Partition>,
    groups: Groups,
    offset: i64,
    end: i64,
    /// There is nothing to read before the high watermark has risen.
    waits: bool,
}

/// Reads the log of `partition` into `groups`. Reads on the blocking pool.
pub(super) async fn load(partition: &Arc<Partition>, groups: Groups) -> Result<Groups, ErrorCode> {
    let log = partition.log();
    let mut loading = Loading {
        partition: Arc::clone(partition),
        groups,
        offset: log.log_start_offset(),
        end: log.log_end_offset(),
        waits: false,
    };
    log.request_flush();
    while loading.offset < loading.end {
        let news = Arc::new(Notify::new());
        let watch = partition.watch(loading.offset, &news);
        let read = tokio::task::spawn_blocking(move || loading.read());
        loading = read.await.map_err(|_| ErrorCode::UnknownServerError)??;
        if loading.waits {
            watch.as_ref().ok_or(ErrorCode::NotLeaderOrFollower)?;
            news.notified().await;
        }
    }
    Ok(loading.groups)
}

impl Loading {
    fn read(mut self) -> Result<Self, ErrorCode> {
        let query = FetchQuery {
            offset: self.offset,
            max_bytes: CHUNK_BYTES,
            at_least_one: true,
            patience: Patience::Wait,
            isolation: Isolation::ReadUncommitted,
            current_leader_epoch: -1,
            last_fetched_epoch: -1,
        };
        let mut fetched = self.partition.fetch(&query)?;
        if let Some(cold) = fetched.cold.take() {
            cold.run().map_err(|_| ErrorCode::KafkaStorageError)?;
            fetched.keep_trusted();
        }
        if let Some(next) = fetched.damaged_up_to {
            error!(
                partition = %self.partition.name(), from = self.offset, to = next,
                "groups and offsets kept in damaged records are lost; see duramen log verify"
            );
            self.offset = next;
            return Ok(self);
        }
        let before = self.offset;
        self.replay(&fetched.records);
        self.waits = self.offset == before;
        Ok(self)
    }

    fn replay(&mut self, records: &[u8]) {
        let mut scratch = Vec::new();
        for batch in BatchView::iter(records) {
            let Ok(batch) = batch else { return };
            if !batch.is_control()
                && let Err(error) = self.replay_batch(&batch, &mut scratch)
            {
                let partition = self.partition.name();
                error!(%partition, offset = batch.base_offset(), %error, "a batch can't be read");
            }
            self.offset = self.offset.max(batch.next_offset());
        }
    }

    fn replay_batch(
        &mut self,
        batch: &BatchView<'_>,
        scratch: &mut Vec<u8>,
    ) -> Result<(), BatchError> {
        for record in batch.records(scratch, UNFOLDED_MAX)? {
            let record = record?;
            match decode(&record) {
                Ok(record) => self.groups.replay(record),
                // Groups of kinds that are not served here have records of their own.
                Err(GroupRecordError::UnknownKind { .. }) => {}
                Err(error) => {
                    let partition = self.partition.name();
                    warn!(%partition, offset = record.offset, %error, "a record is passed over");
                }
            }
        }
        Ok(())
    }
}

/// A record as it is kept. It is copied: state must not hold on to pages of the log.
fn decode(record: &RecordView<'_>) -> Result<GroupRecord, GroupRecordError> {
    let key = Bytes::copy_from_slice(record.key.unwrap_or_default());
    let value = record.value.map(Bytes::copy_from_slice);
    GroupRecord::decode(&key, value.as_ref())
}
