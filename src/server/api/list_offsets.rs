//! ListOffsets (key 2): the first, the last, the newest offset of a partition, or the first one at
//! or after a time, exact to the record.

use std::collections::HashSet;
use std::sync::Arc;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::ids::{self, NO_EPOCH, READ_COMMITTED};
use duramen_protocol::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse,
    ListOffsetsTopicResponse,
};
use duramen_protocol::text::Text;

use crate::replication::{Isolation, OffsetFound, Partition, TopicKey};
use crate::server::blocking;
use crate::server::context::RequestContext;
use crate::server::reply::Reply;

/// A partition as a request names it.
type Name = (Text, i32);

/// First version that answers the leader epoch (KIP-320).
const LEADER_EPOCH_VERSION: i16 = 4;

/// Serves a request. A lookup by time reads the log, so it runs where blocking is allowed.
pub(crate) fn handle(
    context: &RequestContext,
    request: ListOffsetsRequest,
) -> Reply<ListOffsetsResponse> {
    let partitions = request.topics.iter().flat_map(|topic| &topic.partitions);
    if partitions.clone().all(|partition| !reads_the_log(partition.timestamp)) {
        return Reply::Now(answer(context, request));
    }
    let context = context.clone();
    Reply::exclusive(async move {
        let refused = ListOffsetsResponse::default();
        blocking::run(move || answer(&context, request)).await.unwrap_or(refused)
    })
}

fn reads_the_log(timestamp: i64) -> bool {
    timestamp >= 0 || timestamp == ids::MAX_TIMESTAMP
}

fn answer(context: &RequestContext, request: ListOffsetsRequest) -> ListOffsetsResponse {
    let isolation = match request.isolation_level {
        READ_COMMITTED => Isolation::ReadCommitted,
        _ => Isolation::ReadUncommitted,
    };
    let mut response = ListOffsetsResponse::default();
    let repeated = repeated(&request);
    for topic in request.topics {
        let key = TopicKey::Name(topic.name.clone());
        let answers = topic.partitions.iter().map(|wanted| {
            let index = wanted.partition_index;
            let found = check(wanted, context.api_version).and_then(|()| {
                // Two times for one partition: nobody knows which is meant.
                if repeated.contains(&(topic.name.clone(), index)) {
                    return Err(ErrorCode::InvalidRequest);
                }
                let partition = context.services.replicas.find(&key, index)?;
                look_up(&partition, wanted, isolation)
            });
            partition_response(wanted.partition_index, context.api_version, found)
        });
        let partitions = answers.collect();
        response.topics.push(ListOffsetsTopicResponse { name: topic.name, partitions });
    }
    response
}

/// Partitions that come more than once.
fn repeated(request: &ListOffsetsRequest) -> HashSet<Name> {
    let mut seen = HashSet::new();
    let partitions = request.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|partition| (topic.name.clone(), partition.partition_index))
    });
    partitions.filter(|name| !seen.insert(name.clone())).collect()
}

/// Refuses a special timestamp that the version of the request does not know.
fn check(wanted: &ListOffsetsPartition, version: i16) -> Result<(), ErrorCode> {
    let since = match wanted.timestamp {
        ids::EARLIEST | ids::LATEST | 0.. => 1,
        ids::MAX_TIMESTAMP => 7,
        ids::EARLIEST_LOCAL => 8,
        ids::LATEST_TIERED => 9,
        ids::EARLIEST_PENDING_UPLOAD => 11,
        _ => return Err(ErrorCode::UnsupportedVersion),
    };
    if version < since { Err(ErrorCode::UnsupportedVersion) } else { Ok(()) }
}

fn look_up(
    partition: &Arc<Partition>,
    wanted: &ListOffsetsPartition,
    isolation: Isolation,
) -> Result<OffsetFound, ErrorCode> {
    partition.check_leader_epoch(wanted.current_leader_epoch)?;
    match wanted.timestamp {
        ids::LATEST => partition.latest_offset(isolation),
        // Nothing is in tiered storage: the local log is the whole log.
        ids::EARLIEST | ids::EARLIEST_LOCAL => partition.earliest_offset(),
        ids::LATEST_TIERED => Ok(OffsetFound::NONE),
        ids::EARLIEST_PENDING_UPLOAD => Ok(OffsetFound::NONE),
        ids::MAX_TIMESTAMP => partition.offset_of_max_timestamp(isolation),
        timestamp => partition.offset_for_timestamp(timestamp, isolation),
    }
}

fn partition_response(
    index: i32,
    version: i16,
    found: Result<OffsetFound, ErrorCode>,
) -> ListOffsetsPartitionResponse {
    let (error, found) = match found {
        Ok(found) => (ErrorCode::None, found),
        Err(error) => (error, OffsetFound::NONE),
    };
    ListOffsetsPartitionResponse {
        partition_index: index,
        error_code: error.code(),
        timestamp: found.timestamp,
        offset: found.offset,
        leader_epoch: if version >= LEADER_EPOCH_VERSION { found.leader_epoch } else { NO_EPOCH },
    }
}
