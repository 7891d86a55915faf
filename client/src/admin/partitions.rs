//! DescribeTopicPartitions: topics with their partitions in pages, and which replicas may lead (KIP-966).

use duramen_protocol::error::ErrorCode;
use duramen_protocol::ids::TopicId;
use duramen_protocol::messages::describe_topic_partitions::{
    Cursor, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse,
    DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic, TopicRequest,
};
use duramen_protocol::text::Text;

use super::{Admin, Outcome, check};
use crate::cluster::Partition;
use crate::error::ClientError;

/// Partitions of a page, where all are asked for; what brokers give at most by default.
const PAGE: u32 = 2_000;

/// Some of the partitions that were asked for.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PartitionsPage {
    /// The topics, by name; the first and the last may go on in the pages beside this one.
    pub topics: Vec<Outcome<Text, TopicDescription>>,
    /// Where the next page begins; `None` when this is the last.
    pub next: Option<PageStart>,
}

/// Where a page begins.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PageStart {
    /// The topic's name.
    pub topic: Text,
    /// The partition's number.
    pub partition: i32,
}

impl PageStart {
    /// A page that begins with this partition.
    pub fn new(topic: impl Into<Text>, partition: i32) -> Self {
        Self { topic: topic.into(), partition }
    }
}

/// A topic with partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopicDescription {
    /// Its name.
    pub name: Text,
    /// Its id.
    pub id: TopicId,
    /// Whether it is one of the broker's own.
    pub internal: bool,
    /// Its partitions by number, as far as the page goes.
    pub partitions: Vec<PartitionDescription>,
}

/// A partition, and who may lead it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartitionDescription {
    /// Leader and replicas.
    pub partition: Partition,
    /// What is wrong with it, as that it has no leader.
    pub error: Option<ErrorCode>,
    /// Brokers outside the in-sync replicas that may lead without loss.
    pub eligible: Vec<i32>,
    /// Brokers that were the last that might.
    pub last_eligible: Vec<i32>,
}

impl Admin {
    /// One page of the partitions of topics, or of all when none are named: `limit` of them at most (the
    /// broker may give less), from the beginning or where the page before ended.
    ///
    /// # Errors
    /// When no broker answers, or it is older than Kafka 3.8; each topic has its own outcome.
    pub async fn describe_partitions_page(
        &self,
        topics: &[Text],
        limit: u32,
        from: Option<&PageStart>,
    ) -> Result<PartitionsPage, ClientError> {
        let cursor = |start: &PageStart| Cursor {
            topic_name: start.topic.clone(),
            partition_index: start.partition,
        };
        let request = &DescribeTopicPartitionsRequest {
            topics: topics.iter().map(|name| TopicRequest { name: name.clone() }).collect(),
            response_partition_limit: i32::try_from(limit).unwrap_or(i32::MAX),
            cursor: from.map(cursor),
        };
        let answer = self
            .cluster
            .retrying("describe partitions", || async move {
                Ok(self.cluster.any().await?.call(request).await?)
            })
            .await?;
        Ok(page(answer))
    }

    /// All partitions of topics, or of all topics when none are named, page by page.
    ///
    /// # Errors
    /// As [`Admin::describe_partitions_page`].
    pub async fn describe_partitions(
        &self,
        topics: &[Text],
    ) -> Result<Vec<Outcome<Text, TopicDescription>>, ClientError> {
        let mut all: Vec<Outcome<Text, TopicDescription>> = Vec::new();
        let mut from = None;
        loop {
            let page = self.describe_partitions_page(topics, PAGE, from.as_ref()).await?;
            for topic in page.topics {
                match (all.last_mut(), topic) {
                    (
                        Some(Outcome { about, result: Ok(begun) }),
                        Outcome { about: name, result: Ok(more) },
                    ) if *about == name => {
                        begun.partitions.extend(more.partitions);
                    }
                    (_, topic) => all.push(topic),
                }
            }
            match page.next {
                // A broker that does not move on would be asked for ever.
                Some(next) if from.as_ref() != Some(&next) => from = Some(next),
                Some(_) => return Err(ClientError::Incomplete("DescribeTopicPartitions")),
                None => return Ok(all),
            }
        }
    }
}

fn page(answer: DescribeTopicPartitionsResponse) -> PartitionsPage {
    let next =
        |cursor: Cursor| PageStart { topic: cursor.topic_name, partition: cursor.partition_index };
    PartitionsPage {
        topics: answer.topics.into_iter().map(topic).collect(),
        next: answer.next_cursor.map(next),
    }
}

fn topic(told: DescribeTopicPartitionsResponseTopic) -> Outcome<Text, TopicDescription> {
    let name = told.name.unwrap_or_default();
    let result =
        check(&format!("topic {name}"), told.error_code, None).map(|()| TopicDescription {
            name: name.clone(),
            id: told.topic_id,
            internal: told.is_internal,
            partitions: told.partitions.into_iter().map(partition).collect(),
        });
    Outcome { about: name, result }
}

fn partition(told: DescribeTopicPartitionsResponsePartition) -> PartitionDescription {
    PartitionDescription {
        partition: Partition {
            id: told.partition_index,
            leader: Some(told.leader_id).filter(|id| *id >= 0),
            leader_epoch: told.leader_epoch,
            replicas: told.replica_nodes,
            in_sync: told.isr_nodes,
            offline: told.offline_replicas,
        },
        error: Some(ErrorCode::from_code(told.error_code)).filter(|code| !code.is_none()),
        eligible: told.eligible_leader_replicas.unwrap_or_default(),
        last_eligible: told.last_known_elr.unwrap_or_default(),
    }
}
