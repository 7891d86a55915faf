//! CreateTopics (key 19).

use duramen_protocol::messages::create_topics::{
    CreatableTopic, CreatableTopicConfigs, CreatableTopicResult, CreateTopicsRequest,
    CreateTopicsResponse,
};
use duramen_protocol::text::Text;

use crate::config::describe::ConfigEntry;
use crate::controller::command::{
    Command, CreateTopics, CreatedTopic, NewTopic, Refusal, Reply as ControlReply,
};
use crate::server::context::RequestContext;
use crate::server::control::{self, mismatched, outcome};
use crate::server::reply::Reply;

/// Serves a request.
pub(crate) fn handle(
    context: &RequestContext,
    request: CreateTopicsRequest,
) -> Reply<CreateTopicsResponse> {
    let context = context.clone();
    Reply::exclusive(async move {
        let names: Vec<Text> = request.topics.iter().map(|topic| topic.name.clone()).collect();
        let topics = request.topics.into_iter().map(new_topic).collect();
        let command =
            Command::CreateTopics(CreateTopics { topics, validate_only: request.validate_only });
        let results = match control::submit(&context, command, request.timeout_ms).await {
            Ok(ControlReply::CreateTopics(results)) => results,
            Ok(_) => refuse(names, &mismatched()),
            Err(refusal) => refuse(names, &refusal),
        };
        let topics =
            results.into_iter().map(|(name, result)| answer(&context, name, result)).collect();
        CreateTopicsResponse { topics, ..CreateTopicsResponse::default() }
    })
}

fn new_topic(topic: CreatableTopic) -> NewTopic {
    NewTopic {
        name: topic.name,
        partitions: topic.num_partitions,
        replication_factor: topic.replication_factor,
        assignments: topic
            .assignments
            .into_iter()
            .map(|assignment| (assignment.partition_index, assignment.broker_ids))
            .collect(),
        configs: topic.configs.into_iter().map(|config| (config.name, config.value)).collect(),
    }
}

fn refuse(names: Vec<Text>, refusal: &Refusal) -> Vec<(Text, Result<CreatedTopic, Refusal>)> {
    names.into_iter().map(|name| (name, Err(refusal.clone()))).collect()
}

fn answer(
    context: &RequestContext,
    name: Text,
    result: Result<CreatedTopic, Refusal>,
) -> CreatableTopicResult {
    let (error_code, error_message) = outcome(&result);
    let mut answer = CreatableTopicResult { name, error_code, error_message, ..Default::default() };
    if let Ok(created) = result {
        answer.topic_id = created.id;
        answer.num_partitions = created.partitions;
        answer.replication_factor = created.replication_factor;
        let described = context.services.settings().describe_topic(&created.configs);
        answer.configs = Some(described.iter().map(config).collect());
    }
    answer
}

fn config(entry: &ConfigEntry) -> CreatableTopicConfigs {
    CreatableTopicConfigs {
        name: Text::from(entry.name),
        value: entry.value.clone(),
        read_only: entry.read_only,
        config_source: entry.source.code(),
        is_sensitive: entry.sensitive,
    }
}
