//! DescribeProducers (key 61): who writes to a partition (KIP-664).

use std::collections::BTreeSet;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::describe_producers::{
    DescribeProducersRequest, DescribeProducersResponse, PartitionResponse, ProducerState,
    TopicResponse,
};

use crate::controller::decide::names::check_topic_name;
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
        let named = check_topic_name(&topic.name);
        // Each once, however often it is named: an answer holds every producer of a partition.
        let indexes: BTreeSet<i32> = topic.partition_indexes.into_iter().collect();
        let describe = |index| match &named {
            Ok(()) => describe(context, &key, index),
            Err(reason) => refused(index, ErrorCode::InvalidTopicException, reason),
        };
        let partitions = indexes.into_iter().map(describe).collect();
        response.topics.push(TopicResponse { name: topic.name, partitions });
    }
    Reply::Now(response)
}

fn describe(context: &RequestContext, key: &TopicKey, index: i32) -> PartitionResponse {
    let partition = context.services.replicas.find(key, index);
    match partition.and_then(|partition| partition.producers(producer)) {
        Ok(active_producers) => {
            PartitionResponse { partition_index: index, active_producers, ..Default::default() }
        }
        Err(error) => refused(index, error, error.message()),
    }
}

fn refused(index: i32, error: ErrorCode, message: &str) -> PartitionResponse {
    PartitionResponse {
        partition_index: index,
        error_code: error.code(),
        error_message: Some(message.into()),
        ..PartitionResponse::default()
    }
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
