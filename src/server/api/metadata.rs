//! Metadata (key 3): the brokers, and who leads each partition of the topics asked for. A topic that
//! does not exist is made when the client and `auto.create.topics.enable` both allow it.

use std::collections::{HashMap, HashSet};

use duramen_protocol::error::ErrorCode;
use duramen_protocol::ids::{NO_AUTHORIZED_OPERATIONS, NO_NODE, TopicId};
use duramen_protocol::messages::metadata::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponseBroker,
    MetadataResponsePartition, MetadataResponseTopic,
};
use duramen_protocol::text::Text;

use crate::controller::command::{CreateTopics, NewTopic};
use crate::controller::decide::names::check_topic_name;
use crate::controller::{Command, Reply as ControlReply};
use crate::metadata::{MetadataImage, PartitionImage, TopicImage};
use crate::server::context::RequestContext;
use crate::server::endpoints;
use crate::server::operations;
use crate::server::reply::Reply;

/// First version that may ask by topic id; 10 and 11 have the field and no meaning for it.
const TOPIC_ID_VERSION: i16 = 12;

/// Topics that could not be made, and why.
type Refused = HashMap<Text, ErrorCode>;

/// Serves a request.
pub(crate) fn handle(
    context: &RequestContext,
    request: MetadataRequest,
) -> Reply<MetadataResponse> {
    let missing = topics_to_create(context, &request);
    if missing.is_empty() {
        return Reply::Now(answer(context, &request, &Refused::new()));
    }
    let context = context.clone();
    Reply::exclusive(async move {
        let refused = create(&context, missing).await;
        answer(&context, &request, &refused)
    })
}

/// Names asked for that do not exist and may be made.
fn topics_to_create(context: &RequestContext, request: &MetadataRequest) -> Vec<Text> {
    let services = &context.services;
    if !request.allow_auto_topic_creation || !services.config.topics.auto_create {
        return Vec::new();
    }
    let image = services.image();
    let asked = request.topics.iter().flatten().filter_map(|topic| topic.name.clone());
    let mut missing: Vec<Text> =
        asked.filter(|name| image.topics().by_name(name).is_none()).collect();
    missing.sort_unstable();
    missing.dedup();
    missing
}

/// Makes the topics; what could not be made comes back with its error.
async fn create(context: &RequestContext, names: Vec<Text>) -> Refused {
    let refuse = |code| names.iter().map(|name| (name.clone(), code)).collect();
    let topics = names.iter().cloned().map(NewTopic::with_defaults).collect();
    let command = Command::CreateTopics(CreateTopics { topics, validate_only: false });
    match context.services.controller.submit(command).await {
        Ok(ControlReply::CreateTopics(results)) => {
            let refused =
                results.into_iter().filter_map(|(name, result)| Some((name, result.err()?.code)));
            // Somebody else was faster: all the better.
            refused.filter(|(_, code)| *code != ErrorCode::TopicAlreadyExists).collect()
        }
        Ok(_) => refuse(ErrorCode::UnknownServerError),
        Err(error) => refuse(error.code),
    }
}

fn answer(
    context: &RequestContext,
    request: &MetadataRequest,
    refused: &Refused,
) -> MetadataResponse {
    let image = context.services.image();
    let mut response = MetadataResponse {
        cluster_id: Some(image.cluster_id().clone()),
        controller_id: context.services.node_id(),
        ..MetadataResponse::default()
    };
    for broker in endpoints::active_brokers(context) {
        response.brokers.push(MetadataResponseBroker {
            node_id: broker.id,
            host: broker.host,
            port: broker.port,
            rack: broker.rack,
        });
    }
    let topic =
        |topic: &TopicImage| describe(topic, &image, request.include_topic_authorized_operations);
    response.topics = match wanted(context, request) {
        None => image.topics().iter().map(|image| topic(image)).collect(),
        Some(asked) => each_once(asked)
            .map(|asked| match find(context, &image, asked) {
                Ok(found) => topic(found),
                Err(error) => missing(asked, error, refused),
            })
            .collect(),
    };
    if request.include_cluster_authorized_operations {
        response.cluster_authorized_operations = operations::CLUSTER;
    }
    response
}

/// The topics asked for; `None` for all of them.
fn wanted<'a>(
    context: &RequestContext,
    request: &'a MetadataRequest,
) -> Option<&'a [MetadataRequestTopic]> {
    // Version 0 has no null: there an empty array asks for all.
    let topics = request.topics.as_deref()?;
    (context.api_version > 0 || !topics.is_empty()).then_some(topics)
}

/// Each topic once, however often it is named: the answer for one has all its partitions.
fn each_once(asked: &[MetadataRequestTopic]) -> impl Iterator<Item = &MetadataRequestTopic> {
    let mut seen = HashSet::new();
    asked.iter().filter(move |topic| seen.insert((&topic.name, topic.topic_id)))
}

fn find<'a>(
    context: &RequestContext,
    image: &'a MetadataImage,
    asked: &MetadataRequestTopic,
) -> Result<&'a TopicImage, ErrorCode> {
    if context.api_version < TOPIC_ID_VERSION && (asked.name.is_none() || !asked.topic_id.is_nil())
    {
        return Err(ErrorCode::InvalidRequest);
    }
    let topics = image.topics();
    let found = match &asked.name {
        Some(name) => topics.by_name(name).ok_or_else(|| match check_topic_name(name) {
            Ok(()) => ErrorCode::UnknownTopicOrPartition,
            Err(_) => ErrorCode::InvalidTopicException,
        }),
        None => topics.by_id(asked.topic_id).ok_or(ErrorCode::UnknownTopicId),
    };
    found.map(|topic| &**topic)
}

fn missing(
    asked: &MetadataRequestTopic,
    error: ErrorCode,
    refused: &Refused,
) -> MetadataResponseTopic {
    let refusal = asked.name.as_ref().and_then(|name| refused.get(name));
    MetadataResponseTopic {
        error_code: refusal.unwrap_or(&error).code(),
        name: asked.name.clone(),
        topic_id: if asked.name.is_some() { TopicId::nil() } else { asked.topic_id },
        topic_authorized_operations: NO_AUTHORIZED_OPERATIONS,
        ..MetadataResponseTopic::default()
    }
}

fn describe(topic: &TopicImage, image: &MetadataImage, operations: bool) -> MetadataResponseTopic {
    MetadataResponseTopic {
        name: Some(topic.name().clone()),
        topic_id: topic.id(),
        is_internal: topic.is_internal(),
        partitions: topic
            .partitions()
            .map(|(index, partition)| describe_partition(index, partition, image))
            .collect(),
        topic_authorized_operations: if operations {
            operations::TOPIC
        } else {
            NO_AUTHORIZED_OPERATIONS
        },
        ..MetadataResponseTopic::default()
    }
}

fn describe_partition(
    index: i32,
    partition: &PartitionImage,
    image: &MetadataImage,
) -> MetadataResponsePartition {
    let offline = |id: &&i32| !image.brokers().is_active(**id);
    let leader = partition.leader().filter(|id| image.brokers().is_active(*id));
    let error = if leader.is_some() { ErrorCode::None } else { ErrorCode::LeaderNotAvailable };
    MetadataResponsePartition {
        error_code: error.code(),
        partition_index: index,
        leader_id: leader.unwrap_or(NO_NODE),
        leader_epoch: partition.leader_epoch,
        replica_nodes: partition.replicas.clone(),
        isr_nodes: partition.isr.clone(),
        offline_replicas: partition.replicas.iter().filter(offline).copied().collect(),
    }
}
