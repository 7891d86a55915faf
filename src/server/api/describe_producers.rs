//! DescribeProducers (key 61): who writes to a partition (KIP-664).

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::describe_producers::{
    DescribeProducersRequest, DescribeProducersResponse, PartitionResponse, ProducerState,
    TopicResponse,
};

use crate::replication::TopicKey;
use crate::server::context::RequestContext;
use crate::server::reply::Reply;

/// Serves a request.
pub(crate) fn handle(
    context: &RequestContext,
    request: DescribeProducersRequest,
) -> Reply<DescribeProducersResponse> {
    let mut response = DescribeProducersResponse::default();
    for topic in request.topics {
        let key = TopicKey::Name(topic.name.clone());
        let partitions = topic.partition_indexes.iter().map(|&index| describe(context, &key, index));
        let partitions = partitions.collect();
        response.topics.push(TopicResponse { name: topic.name, partitions });
    }
    Reply::Now(response)
}

fn describe(context: &RequestContext, key: &TopicKey, index: i32) -> PartitionResponse {
    let mut response = PartitionResponse { partition_index: index, ..PartitionResponse::default() };
    match context.services.replicas.find(key, index) {
        Ok(partition) => {
            response.active_producers = partition.producers(|producer_id, entry| ProducerState {
                producer_id,
                producer_epoch: i32::from(entry.epoch),
                last_sequence: entry.last_sequence(),
                last_timestamp: entry.last_timestamp,
                coordinator_epoch: entry.coordinator_epoch,
                current_txn_start_offset: entry.current_txn_first_offset.unwrap_or(-1),
                ..ProducerState::default()
            });
        }
        Err(error) => {
            response.error_code = error.code();
            response.error_message = (error != ErrorCode::None).then(|| error.message().into());
        }
    }
    response
}
