//! Topics: made, listed, grown, deleted.

use std::sync::Arc;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::ids::TopicId;
use duramen_protocol::messages::create_partitions::{
    CreatePartitionsRequest, CreatePartitionsTopic,
};
use duramen_protocol::messages::create_topics::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use duramen_protocol::messages::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
use duramen_protocol::text::Text;

use super::{Admin, Outcome, check, timeout_ms};
use crate::cluster::{Topic, Topics};
use crate::error::ClientError;
use crate::setters::setters;

/// The first version that names topics by struct instead of a list of names.
const DELETE_BY_STATE: i16 = 6;
/// The first version with the broker's defaults (KIP-464).
const CREATE_WITH_DEFAULTS: i16 = 4;

/// A topic to make.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct NewTopic {
    /// Its name.
    pub name: Text,
    /// How many partitions; `None` is the broker's default.
    pub partitions: Option<i32>,
    /// How many replicas of each; `None` is the broker's default.
    pub replication_factor: Option<i16>,
    /// The replicas of each partition by broker id, instead of the two numbers above.
    pub assignments: Vec<Vec<i32>>,
    /// Configs that differ from the broker's.
    pub configs: Vec<(Text, Text)>,
}

impl NewTopic {
    /// A topic with the broker's defaults.
    #[must_use]
    pub fn new(name: impl Into<Text>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }
}

setters! { NewTopic {
    partitions: impl Into<Option<i32>>,
    replication_factor: impl Into<Option<i16>>,
    assignments: Vec<Vec<i32>>,
    configs: Vec<(Text, Text)>,
} }

/// A topic that was made, or would be.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CreatedTopic {
    /// Its id; nil when the broker is too old to say, or only checked.
    pub id: TopicId,
    /// How many partitions; -1 when the broker does not say.
    pub partitions: i32,
    /// How many replicas of each; -1 when the broker does not say.
    pub replication_factor: i16,
}

impl Admin {
    /// Makes topics; with `validate_only` the broker only says whether it would.
    ///
    /// # Errors
    /// When no broker answers; each topic has its own outcome.
    pub async fn create_topics(
        &self,
        topics: &[NewTopic],
        validate_only: bool,
    ) -> Result<Vec<Outcome<Text, CreatedTopic>>, ClientError> {
        let build = |version: i16| CreateTopicsRequest {
            topics: topics.iter().map(|topic| creatable(topic, version)).collect(),
            timeout_ms: timeout_ms(&self.cluster),
            validate_only,
        };
        let answer = self
            .on_controller("create topics", build, |answer| {
                answer.topics.first().map(|topic| topic.error_code)
            })
            .await?;
        Ok(answer
            .topics
            .into_iter()
            .map(|topic| Outcome {
                result: check(
                    &format!("topic {}", topic.name),
                    topic.error_code,
                    topic.error_message.as_ref(),
                )
                .map(|()| CreatedTopic {
                    id: topic.topic_id,
                    partitions: topic.num_partitions,
                    replication_factor: topic.replication_factor,
                }),
                about: topic.name,
            })
            .collect())
    }

    /// Deletes topics with all their records.
    ///
    /// # Errors
    /// When no broker answers; each topic has its own outcome.
    pub async fn delete_topics(
        &self,
        names: &[Text],
    ) -> Result<Vec<Outcome<Text, ()>>, ClientError> {
        let build = |version: i16| {
            let state = |name: &Text| DeleteTopicState {
                name: Some(name.clone()),
                topic_id: TopicId::nil(),
            };
            let by_state = version >= DELETE_BY_STATE;
            DeleteTopicsRequest {
                topics: if by_state { names.iter().map(state).collect() } else { Vec::new() },
                topic_names: if by_state { Vec::new() } else { names.to_vec() },
                timeout_ms: timeout_ms(&self.cluster),
            }
        };
        let answer = self
            .on_controller("delete topics", build, |answer| {
                answer.responses.first().map(|topic| topic.error_code)
            })
            .await?;
        Ok(answer
            .responses
            .into_iter()
            .map(|topic| {
                let name = topic.name.unwrap_or_default();
                let what = format!("topic {name}");
                let result = check(&what, topic.error_code, topic.error_message.as_ref());
                Outcome { about: name, result }
            })
            .collect())
    }

    /// Raises the number of partitions of topics to the numbers given.
    ///
    /// # Errors
    /// When no broker answers; each topic has its own outcome.
    pub async fn create_partitions(
        &self,
        counts: &[(Text, i32)],
        validate_only: bool,
    ) -> Result<Vec<Outcome<Text, ()>>, ClientError> {
        let build = |_| CreatePartitionsRequest {
            topics: counts
                .iter()
                .map(|(name, count)| CreatePartitionsTopic {
                    name: name.clone(),
                    count: *count,
                    assignments: None,
                })
                .collect(),
            timeout_ms: timeout_ms(&self.cluster),
            validate_only,
        };
        let answer = self
            .on_controller("add partitions", build, |answer| {
                answer.results.first().map(|topic| topic.error_code)
            })
            .await?;
        Ok(answer
            .results
            .into_iter()
            .map(|topic| {
                let what = format!("topic {}", topic.name);
                let result = check(&what, topic.error_code, topic.error_message.as_ref());
                Outcome { about: topic.name, result }
            })
            .collect())
    }

    /// All topics, by name.
    ///
    /// # Errors
    /// When no broker answers.
    pub async fn list_topics(&self) -> Result<Vec<Arc<Topic>>, ClientError> {
        let view = self.cluster.refresh(Topics::All).await?;
        let mut topics: Vec<_> = view.topics().cloned().collect();
        topics.sort_unstable_by(|left, right| left.name.cmp(&right.name));
        Ok(topics)
    }

    /// Topics with their partitions, asked for anew.
    ///
    /// # Errors
    /// When no broker answers; each topic has its own outcome.
    pub async fn describe_topics(
        &self,
        names: &[Text],
    ) -> Result<Vec<Outcome<Text, Arc<Topic>>>, ClientError> {
        let answer = self
            .cluster
            .retrying("describe topics", || async move {
                self.cluster.fetch_metadata(Topics::Named(names)).await
            })
            .await?;
        let view = self.cluster.view();
        let code_of = |name: &Text| {
            let topic = answer.topics.iter().find(|topic| topic.name.as_ref() == Some(name));
            topic.map_or(ErrorCode::UnknownTopicOrPartition.code(), |topic| topic.error_code)
        };
        Ok(names
            .iter()
            .map(|name| {
                let topic = view.topic(name).cloned();
                let refused = check(&format!("topic {name}"), code_of(name), None);
                let result = topic.ok_or(ClientError::Incomplete("Metadata"));
                Outcome { about: name.clone(), result: refused.and(result) }
            })
            .collect())
    }
}

fn creatable(topic: &NewTopic, version: i16) -> CreatableTopic {
    // Before KIP-464 the numbers had to be given; one of each is what a broker comes with.
    let default = if version >= CREATE_WITH_DEFAULTS { -1 } else { 1 };
    let assigned = !topic.assignments.is_empty();
    let (partitions, replicas) = match assigned {
        true => (-1, -1),
        false => (
            topic.partitions.unwrap_or(default),
            topic.replication_factor.unwrap_or(if default == 1 { 1 } else { -1 }),
        ),
    };
    CreatableTopic {
        name: topic.name.clone(),
        num_partitions: partitions,
        replication_factor: replicas,
        assignments: topic
            .assignments
            .iter()
            .zip(0..)
            .map(|(brokers, index)| CreatableReplicaAssignment {
                partition_index: index,
                broker_ids: brokers.clone(),
            })
            .collect(),
        configs: topic
            .configs
            .iter()
            .map(|(name, value)| CreatableTopicConfig {
                name: name.clone(),
                value: Some(value.clone()),
            })
            .collect(),
    }
}
