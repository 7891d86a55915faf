//! Topics: made, listed, grown, deleted.

use std::sync::Arc;

use duramen_protocol::ids::{TopicId, topic_id_to_base64};
use duramen_protocol::messages::create_partitions::{
    CreatePartitionsAssignment, CreatePartitionsRequest, CreatePartitionsTopic,
};
use duramen_protocol::messages::create_topics::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreatableTopicResult,
    CreateTopicsRequest,
};
use duramen_protocol::messages::delete_topics::{
    DeletableTopicResult, DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse,
};
use duramen_protocol::messages::metadata::MetadataResponse;
use duramen_protocol::text::Text;

use super::{Admin, Outcome, check, timeout_ms, told_of};
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

setters! { NewTopic {
    partitions: impl Into<Option<i32>>,
    replication_factor: impl Into<Option<i16>>,
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

/// Partitions to add to a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewPartitions {
    /// How many partitions it shall have in all.
    pub count: i32,
    /// The replicas of each new partition by broker id, the preferred leader first; none leaves it to the
    /// cluster.
    pub assignments: Vec<Vec<i32>>,
}

impl NewPartitions {
    /// Partitions up to this number in all, on brokers that the cluster chooses.
    #[must_use]
    pub fn up_to(count: i32) -> Self {
        Self { count, assignments: Vec::new() }
    }

    /// The replicas of the new partitions, one list each, by broker id.
    #[must_use]
    pub fn on(self, assignments: Vec<Vec<i32>>) -> Self {
        Self { assignments, ..self }
    }
}

impl From<i32> for NewPartitions {
    fn from(count: i32) -> Self {
        Self::up_to(count)
    }
}

impl NewTopic {
    /// A topic with the broker's default numbers and configs.
    #[must_use]
    pub fn new(name: impl Into<Text>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// The replicas of each partition by broker id, the preferred leader first; instead of the numbers.
    #[must_use]
    pub fn on(self, assignments: Vec<Vec<i32>>) -> Self {
        Self { assignments, ..self }
    }

    /// A config that differs from the broker's, by Kafka's name.
    #[must_use]
    pub fn config(mut self, name: impl Into<Text>, value: impl Into<Text>) -> Self {
        self.configs.push((name.into(), value.into()));
        self
    }
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
        let told = |topic: CreatableTopicResult| {
            let what = format!("topic {}", topic.name);
            let made = check(&what, topic.error_code, topic.error_message.as_ref());
            let made = made.map(|()| CreatedTopic {
                id: topic.topic_id,
                partitions: topic.num_partitions,
                replication_factor: topic.replication_factor,
            });
            (topic.name, made)
        };
        let names: Vec<Text> = topics.iter().map(|topic| topic.name.clone()).collect();
        Ok(told_of(&names, answer.topics.into_iter().map(told), "CreateTopics"))
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
        let deleted = self.delete(build).await?.into_iter().filter_map(|topic| {
            let name = topic.name?;
            let what = format!("topic {name}");
            Some((name, check(&what, topic.error_code, topic.error_message.as_ref())))
        });
        Ok(told_of(names, deleted, "DeleteTopics"))
    }

    /// Deletes topics by their ids: one that was made anew meanwhile with the same name stays.
    ///
    /// # Errors
    /// When no broker answers, or it is older than Kafka 2.8; each topic has its own outcome.
    pub async fn delete_topics_by_id(
        &self,
        ids: &[TopicId],
    ) -> Result<Vec<Outcome<TopicId, ()>>, ClientError> {
        let build = |_| DeleteTopicsRequest {
            topics: ids.iter().map(|id| DeleteTopicState { name: None, topic_id: *id }).collect(),
            topic_names: Vec::new(),
            timeout_ms: timeout_ms(&self.cluster),
        };
        let deleted = self.delete(build).await?.into_iter().map(|topic| {
            let what = format!("topic id {}", topic_id_to_base64(&topic.topic_id));
            let result = check(&what, topic.error_code, topic.error_message.as_ref());
            (topic.topic_id, result)
        });
        Ok(told_of(ids, deleted, "DeleteTopics"))
    }

    async fn delete(
        &self,
        build: impl Fn(i16) -> DeleteTopicsRequest,
    ) -> Result<Vec<DeletableTopicResult>, ClientError> {
        let code = |answer: &DeleteTopicsResponse| answer.responses.first().map(|it| it.error_code);
        Ok(self.on_controller("delete topics", build, code).await?.responses)
    }

    /// Raises the number of partitions of topics to the numbers given; `validate_only` only asks whether
    /// that could be done. A number alone is [`NewPartitions::up_to`] it.
    ///
    /// # Errors
    /// When no broker answers; each topic has its own outcome.
    pub async fn create_partitions<P: Into<NewPartitions> + Clone>(
        &self,
        wanted: &[(Text, P)],
        validate_only: bool,
    ) -> Result<Vec<Outcome<Text, ()>>, ClientError> {
        let topic = |(name, wanted): &(Text, P)| {
            let NewPartitions { count, assignments } = wanted.clone().into();
            let on = |broker_ids: Vec<i32>| CreatePartitionsAssignment { broker_ids };
            let chosen = Some(assignments).filter(|assignments| !assignments.is_empty());
            CreatePartitionsTopic {
                name: name.clone(),
                count,
                assignments: chosen.map(|chosen| chosen.into_iter().map(on).collect()),
            }
        };
        let build = |_| CreatePartitionsRequest {
            topics: wanted.iter().map(topic).collect(),
            timeout_ms: timeout_ms(&self.cluster),
            validate_only,
        };
        let answer = self
            .on_controller("add partitions", build, |answer| {
                answer.results.first().map(|topic| topic.error_code)
            })
            .await?;
        let told = answer.results.into_iter().map(|topic| {
            let what = format!("topic {}", topic.name);
            let result = check(&what, topic.error_code, topic.error_message.as_ref());
            (topic.name, result)
        });
        let names: Vec<Text> = wanted.iter().map(|(name, _)| name.clone()).collect();
        Ok(told_of(&names, told, "CreatePartitions"))
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

    /// Topics with their partitions, asked for anew; [`Admin::describe_partitions`] tells more, in pages.
    ///
    /// # Errors
    /// When no broker answers; each topic has its own outcome.
    pub async fn describe_topics(
        &self,
        names: &[Text],
    ) -> Result<Vec<Outcome<Text, Arc<Topic>>>, ClientError> {
        let answer = self.metadata(Topics::Named(names)).await?;
        let view = self.cluster.view();
        let described = answer.topics.into_iter().filter_map(|topic| {
            let name = topic.name?;
            let known = view.topic(&name).cloned().ok_or(ClientError::Incomplete("Metadata"));
            let result = check(&format!("topic {name}"), topic.error_code, None).and(known);
            Some((name, result))
        });
        Ok(told_of(names, described, "Metadata"))
    }

    /// [`Admin::describe_topics`] of topics that are known by their ids.
    ///
    /// # Errors
    /// When no broker answers, or it is older than Kafka 3.1; each topic has its own outcome.
    pub async fn describe_topics_by_id(
        &self,
        ids: &[TopicId],
    ) -> Result<Vec<Outcome<TopicId, Arc<Topic>>>, ClientError> {
        let answer = self.metadata(Topics::Ids(ids)).await?;
        let view = self.cluster.view();
        let described = answer.topics.into_iter().map(|topic| {
            let known = topic.name.and_then(|name| view.topic(&name).cloned());
            let what = format!("topic id {}", topic_id_to_base64(&topic.topic_id));
            let result = check(&what, topic.error_code, None)
                .and(known.ok_or(ClientError::Incomplete("Metadata")));
            (topic.topic_id, result)
        });
        Ok(told_of(ids, described, "Metadata"))
    }

    async fn metadata(&self, topics: Topics<'_>) -> Result<MetadataResponse, ClientError> {
        self.cluster
            .retrying(
                "describe topics",
                || async move { self.cluster.fetch_metadata(topics).await },
            )
            .await
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
