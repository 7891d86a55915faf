//! DescribeProducers (key 61): who writes to a partition (KIP-664).

use duramen_protocol::messages::describe_producers::{
    DescribeProducersRequest, DescribeProducersResponse, PartitionResponse, ProducerState,
    TopicResponse,
};

use crate::replication::TopicKey;
use crate::server::context::RequestContext;
use crate::server::reply::Reply;
use crate::storage::producer_state::ProducerEntry;

/// Serves a request.
pub(crate) fn handle(
    context: &RequestContext,
    request: DescribeProducersRequest,
) -> Reply<DescribeProducersResponse> {
    let mut response = DescribeProducersResponse::default();
    for topic in request.topics {
        let key = TopicKey::Name(topic.name.clone());
        let partitions =
            topic.partition_indexes.iter().map(|&index| describe(context, &key, index));
        let partitions = partitions.collect();
        response.topics.push(TopicResponse { name: topic.name, partitions });
    }
    Reply::Now(response)
}

fn describe(context: &RequestContext, key: &TopicKey, index: i32) -> PartitionResponse {
    let mut response = PartitionResponse { partition_index: index, ..PartitionResponse::default() };
    let partition = context.services.replicas.find(key, index);
    match partition.and_then(|partition| partition.producers(producer)) {
        Ok(producers) => response.active_producers = producers,
        Err(error) => {
            response.error_code = error.code();
            response.error_message = Some(error.message().into());
        }
    }
    response
}

fn producer(producer_id: i64, entry: &ProducerEntry) -> ProducerState {
    ProducerState {
        producer_id,
        producer_epoch: i32::from(entry.epoch),
        last_sequence: entry.last_sequence(),
        last_timestamp: entry.last_timestamp,
        coordinator_epoch: entry.coordinator_epoch,
        current_txn_start_offset: entry.current_txn_first_offset.unwrap_or(-1),
    }
}
