//! From what storage says to Kafka's error codes: the one place where the two meet.

use duramen_protocol::error::ErrorCode;

use super::Offset;
use crate::storage::producer_state::ProducerError;
use crate::storage::validate::Refusal;
use crate::storage::{AppendError, ReadError, StorageError};

/// Why a batch was not appended.
#[derive(Debug, Clone)]
pub(crate) struct AppendFailure {
    /// Kafka's code.
    pub(crate) code: ErrorCode,
    /// One line for a person.
    pub(crate) message: Option<String>,
    /// Places in the batch of records that are refused, and why.
    pub(crate) records: Vec<(i32, String)>,
    /// First offset that still exists, -1 when not known.
    pub(crate) log_start_offset: Offset,
}

impl From<ErrorCode> for AppendFailure {
    fn from(code: ErrorCode) -> Self {
        Self { code, message: None, records: Vec::new(), log_start_offset: -1 }
    }
}

impl AppendFailure {
    /// A transaction that nobody coordinates could never end, and would hide everything behind it
    /// from whoever reads committed records only.
    pub(crate) fn no_transactions() -> Self {
        let message = "transactions are not available yet: produce without a transactional id";
        Self { message: Some(message.to_owned()), ..Self::from(ErrorCode::InvalidTxnState) }
    }

    /// The batch is not as a leader demands it; the log starts at `log_start_offset`.
    pub(crate) fn refused(refusal: &Refusal, log_start_offset: Offset) -> Self {
        let records = refusal.records().iter().map(|record| (record.index, record.message.clone()));
        Self {
            code: refusal.code(),
            message: Some(refusal.to_string()),
            records: records.collect(),
            log_start_offset,
        }
    }

    /// The log did not take the batch; it starts at `log_start_offset`.
    pub(crate) fn failed(error: &AppendError, log_start_offset: Offset) -> Self {
        let message = Some(error.to_string());
        Self { code: of_append(error), message, records: Vec::new(), log_start_offset }
    }
}

/// The code for a batch that the log did not take.
pub(crate) fn of_append(error: &AppendError) -> ErrorCode {
    match error {
        AppendError::Storage(error) => of_storage(error),
        AppendError::Producer(error) => of_producer(error),
        AppendError::Batch(_) => ErrorCode::CorruptMessage,
        AppendError::LargerThanSegment { .. } => ErrorCode::RecordListTooLarge,
        AppendError::NotNext { .. } | AppendError::Offsets => ErrorCode::InvalidRecord,
    }
}

fn of_producer(error: &ProducerError) -> ErrorCode {
    match error {
        ProducerError::InvalidEpoch { .. } => ErrorCode::InvalidProducerEpoch,
        ProducerError::OutOfOrderSequence { .. } => ErrorCode::OutOfOrderSequenceNumber,
        ProducerError::TransactionOpen { .. } => ErrorCode::InvalidTxnState,
        ProducerError::CoordinatorFenced { .. } => ErrorCode::TransactionCoordinatorFenced,
    }
}

/// The code for a log that can't be written or is gone.
pub(crate) fn of_storage(error: &StorageError) -> ErrorCode {
    match error {
        StorageError::Offline { .. }
        | StorageError::NoSpace { .. }
        | StorageError::Exists { .. } => ErrorCode::KafkaStorageError,
        StorageError::Closed => ErrorCode::NotLeaderOrFollower,
    }
}

/// The code for a read that gave nothing.
pub(crate) fn of_read(error: &ReadError) -> ErrorCode {
    match error {
        ReadError::OutOfRange { .. } => ErrorCode::OffsetOutOfRange,
        ReadError::Damaged { .. } => ErrorCode::CorruptMessage,
        // A client asks again.
        ReadError::NotInMemory | ReadError::Changed => ErrorCode::OffsetNotAvailable,
        ReadError::Storage(error) => of_storage(error),
    }
}
