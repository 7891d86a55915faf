//! OffsetCommit (key 8): answered when the offsets are committed as the topic they are kept in says.

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::offset_commit::{
    OffsetCommitRequestTopic, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use duramen_protocol::messages::{OffsetCommitRequest, OffsetCommitResponse};

use crate::coordinator::command::{Command, Commit};
use crate::metadata::MetadataImage;
use crate::server::context::RequestContext;
use crate::server::reply::Reply;

/// First version that names topics by id.
const TOPIC_ID_VERSION: i16 = 10;

/// Serves a request.
pub(crate) fn handle(
    context: &RequestContext,
    mut request: OffsetCommitRequest,
) -> Reply<OffsetCommitResponse> {
    let by_id = context.api_version >= TOPIC_ID_VERSION;
    let image = context.services.image();
    // What is refused already: places in the answer are those of the request.
    let mut outcomes = Vec::with_capacity(request.topics.len());
    request.topics.retain_mut(|topic| {
        outcomes.push(resolve(&image, topic, by_id));
        !topic.partitions.is_empty()
    });
    let group = request.group_id.clone();
    let commit = Commit { request, version: context.api_version };
    let asked = context.services.groups.ask(&group, Command::Commit(commit));
    Reply::overlapping(async move {
        let asked: Result<OffsetCommitResponse, ErrorCode> = asked.await;
        let mut answered = asked.map_err(of_commit).map(|answer| {
            answer.topics.into_iter().flat_map(|topic| topic.partitions).map(|it| it.error_code)
        });
        let passed = outcomes.iter_mut().flat_map(|topic| &mut topic.partitions);
        for partition in passed.filter(|partition| partition.error_code == 0) {
            partition.error_code = match &mut answered {
                Ok(codes) => codes.next().unwrap_or(ErrorCode::UnknownServerError.code()),
                Err(code) => code.code(),
            };
        }
        OffsetCommitResponse { topics: outcomes, ..OffsetCommitResponse::default() }
    })
}

/// Gives a topic both its name and its id, and leaves it those partitions that there are. What is
/// answered of the others, and of these so far.
fn resolve(
    image: &MetadataImage,
    topic: &mut OffsetCommitRequestTopic,
    by_id: bool,
) -> OffsetCommitResponseTopic {
    let (found, unknown) = match by_id {
        true => (image.topics().by_id(topic.topic_id), ErrorCode::UnknownTopicId),
        false => (image.topics().by_name(&topic.name), ErrorCode::UnknownTopicOrPartition),
    };
    if let Some(found) = found {
        topic.name = found.name().clone();
        topic.topic_id = found.id();
    }
    let outcome = |partition_index| match found.map(|it| it.partition(partition_index)) {
        None => unknown,
        Some(None) => ErrorCode::UnknownTopicOrPartition,
        Some(Some(_)) => ErrorCode::None,
    };
    let partitions = topic.partitions.iter().map(|partition| OffsetCommitResponsePartition {
        partition_index: partition.partition_index,
        error_code: outcome(partition.partition_index).code(),
    });
    let answer = OffsetCommitResponseTopic {
        name: topic.name.clone(),
        topic_id: topic.topic_id,
        partitions: partitions.collect(),
    };
    topic.partitions.retain(|partition| outcome(partition.partition_index).is_none());
    answer
}

/// What a client understands of an error here.
fn of_commit(code: ErrorCode) -> ErrorCode {
    match code {
        ErrorCode::RecordListTooLarge => ErrorCode::InvalidCommitOffsetSize,
        code => code,
    }
}
