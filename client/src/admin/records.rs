//! DeleteRecords: moves the log start offset of partitions forward, each at its leader (KIP-204).

use std::collections::BTreeMap;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::delete_records::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use duramen_protocol::text::Text;

use super::{Admin, Outcome, timeout_ms};
use crate::cluster::Topics;
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
    /// The records of a partition before an offset.
    #[must_use]
    pub fn new(topic: impl Into<Text>, partition: i32, offset: i64) -> Self {
        Self { topic: topic.into(), partition, offset }
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
    /// When no broker answers or a topic does not exist; each partition has its own outcome.
    pub async fn delete_records(
        &self,
        before: &[RecordsBefore],
    ) -> Result<Vec<Outcome<RecordsBefore, DeletedRecords>>, ClientError> {
        let mut outcomes = Vec::new();
        let mut left: Vec<RecordsBefore> = before.to_vec();
        let mut names: Vec<Text> = before.iter().map(|records| records.topic.clone()).collect();
        names.sort_unstable();
        names.dedup();
        // Leaders that moved meanwhile are asked for anew, a few times.
        for attempt in 1..=4 {
            self.cluster.refresh(Topics::Named(&names)).await?;
            let (done, again): (Vec<_>, Vec<_>) =
                self.delete_once(&left).await.into_iter().partition(|outcome| {
                    attempt == 4 || !outcome.result.as_ref().is_err_and(ClientError::is_retriable)
                });
            outcomes.extend(done);
            left = again.into_iter().map(|outcome| outcome.about).collect();
            if left.is_empty() {
                break;
            }
            tokio::time::sleep(self.cluster.backoff(attempt)).await;
        }
        Ok(outcomes)
    }

    async fn delete_once(
        &self,
        before: &[RecordsBefore],
    ) -> Vec<Outcome<RecordsBefore, DeletedRecords>> {
        let view = self.cluster.view();
        let mut outcomes = Vec::new();
        let mut by_leader: BTreeMap<i32, Vec<RecordsBefore>> = BTreeMap::new();
        for records in before {
            let topic = view.topic(&records.topic);
            let partition = topic.and_then(|topic| topic.partition(records.partition));
            match partition.map(|partition| partition.leader) {
                Some(Some(leader)) => by_leader.entry(leader).or_default().push(records.clone()),
                Some(None) => {
                    let error = refused(records, ErrorCode::LeaderNotAvailable);
                    outcomes.push(Outcome { about: records.clone(), result: Err(error) });
                }
                None => {
                    let error = ClientError::NoPartition {
                        topic: records.topic.clone(),
                        partition: records.partition,
                        count: topic.map_or(0, |topic| topic.partitions.len()),
                    };
                    outcomes.push(Outcome { about: records.clone(), result: Err(error) });
                }
            }
        }
        for (leader, records) in by_leader {
            outcomes.extend(self.delete_at(leader, records).await);
        }
        outcomes
    }

    async fn delete_at(
        &self,
        leader: i32,
        records: Vec<RecordsBefore>,
    ) -> Vec<Outcome<RecordsBefore, DeletedRecords>> {
        let mut topics: BTreeMap<&Text, Vec<DeleteRecordsPartition>> = BTreeMap::new();
        for RecordsBefore { topic, partition, offset } in &records {
            topics
                .entry(topic)
                .or_default()
                .push(DeleteRecordsPartition { partition_index: *partition, offset: *offset });
        }
        let request = DeleteRecordsRequest {
            topics: topics
                .into_iter()
                .map(|(name, partitions)| DeleteRecordsTopic { name: name.clone(), partitions })
                .collect(),
            timeout_ms: timeout_ms(&self.cluster),
        };
        let called = async { Ok(self.cluster.broker(leader).await?.call(&request).await?) };
        let answer: Result<_, ClientError> = called.await;
        let result_of = |records: &RecordsBefore| {
            let answer = answer.as_ref().map_err(Clone::clone)?;
            let topic = answer.topics.iter().find(|topic| topic.name == records.topic);
            let partition = topic.and_then(|topic| {
                topic.partitions.iter().find(|told| told.partition_index == records.partition)
            });
            let partition = partition.ok_or(ClientError::Incomplete("DeleteRecords"))?;
            match ErrorCode::from_code(partition.error_code) {
                ErrorCode::None => Ok(DeletedRecords { log_start_offset: partition.low_watermark }),
                code => Err(refused(records, code)),
            }
        };
        records
            .into_iter()
            .map(|records| Outcome { result: result_of(&records), about: records })
            .collect()
    }
}

fn refused(records: &RecordsBefore, code: ErrorCode) -> ClientError {
    let RecordsBefore { topic, partition, offset } = records;
    ClientError::refused(format!("records of {topic}-{partition} before {offset}"), code, None)
}
