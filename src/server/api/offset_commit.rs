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
    // Each topic, and why it is not committed: places in the answer are those of the request.
    let mut outcomes = Vec::with_capacity(request.topics.len());
    request.topics.retain_mut(|topic| {
        let unknown = resolve(&image, topic, by_id).err();
        outcomes.push((refused(topic, unknown.unwrap_or(ErrorCode::None)), unknown.is_some()));
        unknown.is_none()
    });
    let group = request.group_id.clone();
    let commit = Commit { request, version: context.api_version };
    let asked = context.services.groups.ask(&group, Command::Commit(commit));
    Reply::overlapping(async move {
        let asked: Result<OffsetCommitResponse, ErrorCode> = asked.await;
        let mut answered = asked.map_err(of_commit).map(|answer| answer.topics.into_iter());
        let topics = outcomes.into_iter().map(|(topic, unknown)| match &mut answered {
            _ if unknown => topic,
            Ok(topics) => topics.next().unwrap_or(topic),
            Err(code) => with_error(topic, *code),
        });
        OffsetCommitResponse { topics: topics.collect(), ..OffsetCommitResponse::default() }
    })
}

/// Gives a topic both its name and its id.
fn resolve(
    image: &MetadataImage,
    topic: &mut OffsetCommitRequestTopic,
    by_id: bool,
) -> Result<(), ErrorCode> {
    let (found, unknown) = match by_id {
        true => (image.topics().by_id(topic.topic_id), ErrorCode::UnknownTopicId),
        false => (image.topics().by_name(&topic.name), ErrorCode::UnknownTopicOrPartition),
    };
    let found = found.ok_or(unknown)?;
    topic.name = found.name().clone();
    topic.topic_id = found.id();
    Ok(())
}

fn refused(topic: &OffsetCommitRequestTopic, code: ErrorCode) -> OffsetCommitResponseTopic {
    let partitions = topic.partitions.iter().map(|partition| OffsetCommitResponsePartition {
        partition_index: partition.partition_index,
        error_code: code.code(),
    });
    OffsetCommitResponseTopic {
        name: topic.name.clone(),
        topic_id: topic.topic_id,
        partitions: partitions.collect(),
    }
}

fn with_error(mut topic: OffsetCommitResponseTopic, code: ErrorCode) -> OffsetCommitResponseTopic {
    topic.partitions.iter_mut().for_each(|partition| partition.error_code = code.code());
    topic
}

/// What a client understands of an error here.
fn of_commit(code: ErrorCode) -> ErrorCode {
    match code {
        ErrorCode::RecordListTooLarge => ErrorCode::InvalidCommitOffsetSize,
        code => code,
    }
}
