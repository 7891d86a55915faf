//! OffsetDelete (key 47): forgets committed offsets of a group (KIP-496).

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::offset_delete::{
    OffsetDeleteRequestTopic, OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use duramen_protocol::messages::{OffsetDeleteRequest, OffsetDeleteResponse};

use crate::coordinator::command::Command;
use crate::server::context::RequestContext;
use crate::server::reply::Reply;

/// Serves a request.
pub(crate) fn handle(
    context: &RequestContext,
    mut request: OffsetDeleteRequest,
) -> Reply<OffsetDeleteResponse> {
    let image = context.services.image();
    let mut unknown = Vec::new();
    request.topics.retain(|topic| {
        let known = image.topics().by_name(&topic.name).is_some();
        if !known {
            unknown.push(refused(topic));
        }
        known
    });
    let group = request.group_id.clone();
    let asked = context.services.groups.ask(&group, Command::DeleteOffsets(request));
    Reply::overlapping(async move {
        match asked.await {
            Ok(mut answer) => {
                let answer: &mut OffsetDeleteResponse = &mut answer;
                answer.topics.append(&mut unknown);
                std::mem::take(answer)
            }
            Err(code) => {
                let error_code = code.code();
                OffsetDeleteResponse { error_code, ..OffsetDeleteResponse::default() }
            }
        }
    })
}

fn refused(topic: &OffsetDeleteRequestTopic) -> OffsetDeleteResponseTopic {
    let partitions = topic.partitions.iter().map(|partition| OffsetDeleteResponsePartition {
        partition_index: partition.partition_index,
        error_code: ErrorCode::UnknownTopicOrPartition.code(),
    });
    OffsetDeleteResponseTopic { name: topic.name.clone(), partitions: partitions.collect() }
}
