//! OffsetForLeaderEpoch: where a leader epoch ended in a partition's log (KIP-320), each asked of its leader.

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::offset_for_leader_epoch::{
    OffsetForLeaderEpochRequest, OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use duramen_protocol::text::Text;

use super::leaders::{Asked, Placed, Told, at_leaders, by_topic, refused_at};
use super::spread::in_order;
use super::{Admin, Outcome, outcomes};
use crate::connection::Connection;
use crate::consumer::TopicPartition;
use crate::error::ClientError;

/// A leader epoch of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EpochQuestion {
    /// The topic's name.
    pub topic: Text,
    /// The partition's number.
    pub partition: i32,
    /// The epoch whose end is asked for.
    pub epoch: i32,
}

impl EpochQuestion {
    /// Asks where an epoch of a partition ended.
    pub fn new(topic: impl Into<Text>, partition: i32, epoch: i32) -> Self {
        Self { topic: topic.into(), partition, epoch }
    }
}

impl Placed for EpochQuestion {
    fn place(&self) -> TopicPartition {
        TopicPartition::new(self.topic.clone(), self.partition)
    }
}

/// Where an epoch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct EpochEnd {
    /// The largest epoch with records that is not above the one asked for.
    pub epoch: i32,
    /// The offset behind its last record; the log's end when it is the newest.
    pub end_offset: i64,
}

impl Admin {
    /// Where leader epochs ended; `None` where the log has none so old, or does not know one so new.
    ///
    /// # Errors
    /// When no broker answers; each question has its own outcome.
    pub async fn end_of_epochs(
        &self,
        questions: &[EpochQuestion],
    ) -> Result<Vec<Outcome<EpochQuestion, Option<EpochEnd>>>, ClientError> {
        Ok(outcomes(questions, at_leaders(&self.cluster, questions, ask).await?))
    }
}

async fn ask(
    connection: Connection,
    asked: Vec<Asked<EpochQuestion>>,
) -> Result<Vec<Result<Option<EpochEnd>, ClientError>>, ClientError> {
    let parts = asked.iter().map(|(question, now)| (question.place(), (question.epoch, *now)));
    let topics = by_topic(parts).into_iter().map(|(topic, partitions)| OffsetForLeaderTopic {
        topic,
        partitions: partitions
            .into_iter()
            .map(|(partition, (leader_epoch, current_leader_epoch))| OffsetForLeaderPartition {
                partition,
                current_leader_epoch,
                leader_epoch,
            })
            .collect(),
    });
    let request = OffsetForLeaderEpochRequest { replica_id: -1, topics: topics.collect() };
    let mut told = Told::new();
    for topic in connection.call(&request).await?.topics {
        for partition in topic.partitions {
            let at = TopicPartition::new(topic.topic.clone(), partition.partition);
            let end = match ErrorCode::from_code(partition.error_code) {
                ErrorCode::None => {
                    let (epoch, end_offset) = (partition.leader_epoch, partition.end_offset);
                    Ok((end_offset >= 0).then_some(EpochEnd { epoch, end_offset }))
                }
                code => Err(refused_at(&at, code, None)),
            };
            told.insert(at, end);
        }
    }
    let places = asked.iter().map(|(question, _)| question.place());
    Ok(in_order(places, &told, "OffsetForLeaderEpoch"))
}
