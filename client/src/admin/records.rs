//! DeleteRecords: moves the log start offset of partitions forward, each at its leader (KIP-204).

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::delete_records::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use duramen_protocol::text::Text;

use super::leaders::{Asked, Placed, Told, at_leaders, by_topic};
use super::spread::in_order;
use super::{Admin, Outcome, outcomes, timeout_ms};
use crate::connection::Connection;
use crate::consumer::TopicPartition;
use crate::error::ClientError;

/// A partition, and the offset before which its records go.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordsBefore {
    /// The topic's name.
    pub topic: Text,
    /// The partition's number.
    pub partition: i32,
    /// The first offset to keep; -1 is the high watermark, so that everything goes.
    pub offset: i64,
}

impl RecordsBefore {
    /// The records of a partition before an offset; -1 is the high watermark.
    pub fn new(topic: impl Into<Text>, partition: i32, offset: i64) -> Self {
        Self { topic: topic.into(), partition, offset }
    }
}

impl Placed for RecordsBefore {
    fn place(&self) -> TopicPartition {
        TopicPartition::new(self.topic.clone(), self.partition)
    }
}

/// A partition after records were deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeletedRecords {
    /// The log start offset now.
    pub log_start_offset: i64,
}

impl Admin {
    /// Deletes the records before the offsets given.
    ///
    /// # Errors
    /// When no broker answers; each partition has its own outcome.
    pub async fn delete_records(
        &self,
        before: &[RecordsBefore],
    ) -> Result<Vec<Outcome<RecordsBefore, DeletedRecords>>, ClientError> {
        let timeout_ms = timeout_ms(&self.cluster);
        let ask = move |connection, asked| ask(connection, asked, timeout_ms);
        Ok(outcomes(before, at_leaders(&self.cluster, before, ask).await?))
    }
}

async fn ask(
    connection: Connection,
    asked: Vec<Asked<RecordsBefore>>,
    timeout_ms: i32,
) -> Result<Vec<Result<DeletedRecords, ClientError>>, ClientError> {
    let parts = asked.iter().map(|(records, _)| (records.place(), records.offset));
    let topics = by_topic(parts).into_iter().map(|(name, partitions)| DeleteRecordsTopic {
        name,
        partitions: partitions
            .into_iter()
            .map(|(partition_index, offset)| DeleteRecordsPartition { partition_index, offset })
            .collect(),
    });
    let request = DeleteRecordsRequest { topics: topics.collect(), timeout_ms };
    let mut told = Told::new();
    for topic in connection.call(&request).await?.topics {
        for partition in topic.partitions {
            let at = TopicPartition::new(topic.name.clone(), partition.partition_index);
            let deleted = match ErrorCode::from_code(partition.error_code) {
                ErrorCode::None => Ok(DeletedRecords { log_start_offset: partition.low_watermark }),
                code => Err(ClientError::refused(format!("records of {at}"), code, None)),
            };
            told.insert(at, deleted);
        }
    }
    Ok(in_order(asked.iter().map(|(records, _)| records.place()), &told, "DeleteRecords"))
}
