//! OffsetForLeaderEpoch (key 23): where a leadership term ended in this log, so that a consumer can
//! tell whether what it has read was truncated away (KIP-320).

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::offset_for_leader_epoch::{
    EpochEndOffset, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse,
    OffsetForLeaderPartition, OffsetForLeaderTopicResult,
};

use crate::replication::TopicKey;
use crate::server::context::RequestContext;
use crate::server::reply::Reply;

/// Serves a request.
pub(crate) fn handle(
    context: &RequestContext,
    request: OffsetForLeaderEpochRequest,
) -> Reply<OffsetForLeaderEpochResponse> {
    let mut response = OffsetForLeaderEpochResponse::default();
    for topic in request.topics {
        let key = TopicKey::Name(topic.topic.clone());
        let partitions =
            topic.partitions.iter().map(|asked| look_up(context, &key, asked)).collect();
        response.topics.push(OffsetForLeaderTopicResult { topic: topic.topic, partitions });
    }
    Reply::Now(response)
}

fn look_up(
    context: &RequestContext,
    key: &TopicKey,
    asked: &OffsetForLeaderPartition,
) -> EpochEndOffset {
    let end = context.services.replicas.find(key, asked.partition).and_then(|partition| {
        partition.check_leader_epoch(asked.current_leader_epoch)?;
        partition.end_of_epoch(asked.leader_epoch)
    });
    let mut answer = EpochEndOffset {
        partition: asked.partition,
        leader_epoch: -1,
        end_offset: -1,
        ..EpochEndOffset::default()
    };
    match end {
        Ok(end) => {
            answer.error_code = ErrorCode::None.code();
            answer.leader_epoch = end.epoch;
            answer.end_offset = end.end_offset;
        }
        Err(error) => answer.error_code = error.code(),
    }
    answer
}
