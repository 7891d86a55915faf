//! DeleteRecords (key 21): moves the log start offset forward (KIP-204).

use std::sync::Arc;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::delete_records::{
    DeleteRecordsPartitionResult, DeleteRecordsRequest, DeleteRecordsResponse,
    DeleteRecordsTopicResult,
};

use crate::replication::TopicKey;
use crate::server::blocking;
use crate::server::context::{RequestContext, Services};
use crate::server::reply::Reply;

/// Serves a request; files may go with the records, so it runs where blocking is allowed.
pub(crate) fn handle(
    context: &RequestContext,
    request: DeleteRecordsRequest,
) -> Reply<DeleteRecordsResponse> {
    let services = Arc::clone(&context.services);
    Reply::exclusive(async move {
        blocking::run(move || answer(&services, request)).await.unwrap_or_default()
    })
}

fn answer(services: &Services, request: DeleteRecordsRequest) -> DeleteRecordsResponse {
    let mut response = DeleteRecordsResponse::default();
    for topic in request.topics {
        let key = TopicKey::Name(topic.name.clone());
        let mut result = DeleteRecordsTopicResult { name: topic.name, ..Default::default() };
        for asked in topic.partitions {
            let outcome = services
                .replicas
                .find(&key, asked.partition_index)
                .and_then(|partition| partition.delete_records(asked.offset));
            result.partitions.push(DeleteRecordsPartitionResult {
                partition_index: asked.partition_index,
                low_watermark: outcome.unwrap_or(-1),
                error_code: outcome.err().unwrap_or(ErrorCode::None).code(),
            });
        }
        response.topics.push(result);
    }
    // The new log start offsets last from here on, not only from the next round of upkeep.
    services.replicas.checkpoint();
    response
}
