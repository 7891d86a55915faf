//! DescribeProducers: who writes to partitions, idempotently or in transactions (KIP-664), as their leaders
//! remember.

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::describe_producers::{
    DescribeProducersRequest, ProducerState, TopicRequest,
};

use super::leaders::{Asked, Told, at_leaders, by_topic, refused_at};
use super::spread::in_order;
use super::{Admin, Outcome, outcomes};
use crate::connection::Connection;
use crate::consumer::TopicPartition;
use crate::error::ClientError;

/// A producer that a partition's leader remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ActiveProducer {
    /// Its id.
    pub id: i64,
    /// Its epoch.
    pub epoch: i32,
    /// The sequence number of its last record.
    pub last_sequence: Option<i32>,
    /// When it wrote last, in milliseconds since 1970.
    pub last_timestamp: Option<i64>,
    /// The epoch of the transaction coordinator that wrote its last marker.
    pub coordinator_epoch: Option<i32>,
    /// The first offset of its open transaction.
    pub transaction_start: Option<i64>,
}

impl Admin {
    /// The producers of partitions.
    ///
    /// # Errors
    /// When no broker answers; each partition has its own outcome.
    pub async fn describe_producers(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<Vec<Outcome<TopicPartition, Vec<ActiveProducer>>>, ClientError> {
        Ok(outcomes(partitions, at_leaders(&self.cluster, partitions, ask).await?))
    }
}

async fn ask(
    connection: Connection,
    asked: Vec<Asked<TopicPartition>>,
) -> Result<Vec<Result<Vec<ActiveProducer>, ClientError>>, ClientError> {
    let parts = asked.iter().map(|(at, _)| (at.clone(), ()));
    let topics = by_topic(parts).into_iter().map(|(name, partitions)| TopicRequest {
        name,
        partition_indexes: partitions.into_iter().map(|(partition, ())| partition).collect(),
    });
    let request = DescribeProducersRequest { topics: topics.collect() };
    let mut told = Told::new();
    for topic in connection.call(&request).await?.topics {
        for partition in topic.partitions {
            let at = TopicPartition::new(topic.name.clone(), partition.partition_index);
            let producers = match ErrorCode::from_code(partition.error_code) {
                ErrorCode::None => {
                    let active = partition.active_producers.into_iter();
                    Ok(active.map(producer).collect::<Vec<_>>())
                }
                code => Err(refused_at(&at, code, partition.error_message.as_ref())),
            };
            told.insert(at, producers);
        }
    }
    Ok(in_order(asked.into_iter().map(|(at, _)| at), &told, "DescribeProducers"))
}

fn producer(told: ProducerState) -> ActiveProducer {
    let natural = |number: i32| Some(number).filter(|number| *number >= 0);
    let long = |number: i64| Some(number).filter(|number| *number >= 0);
    ActiveProducer {
        id: told.producer_id,
        epoch: told.producer_epoch,
        last_sequence: natural(told.last_sequence),
        last_timestamp: long(told.last_timestamp),
        coordinator_epoch: natural(told.coordinator_epoch),
        transaction_start: long(told.current_txn_start_offset),
    }
}
