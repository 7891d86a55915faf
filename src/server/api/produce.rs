//! Produce (key 0): appends one record batch a partition, and answers as `acks` asks: at once (1),
//! when every in-sync replica has it for good (all), never (0).

use std::time::Duration;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::ids::NO_TIMESTAMP;
use duramen_protocol::messages::produce::{
    BatchIndexAndErrorMessage, PartitionProduceData, PartitionProduceResponse, ProduceRequest,
    ProduceResponse, TopicProduceData, TopicProduceResponse,
};

use crate::metadata::image::topics::is_internal;
use crate::replication::{Acks, Append, AppendFailure, Commit, TopicKey};
use crate::server::context::RequestContext;
use crate::server::metrics::Waiting;
use crate::server::reply::Reply;

/// First version that names topics by id (KIP-516).
const TOPIC_ID_VERSION: i16 = 13;

/// A partition of the answer that stands once its batch is committed.
struct Pending {
    topic: usize,
    partition: usize,
    commit: Commit,
}

/// What is the same for all partitions of one request.
struct Producing<'a> {
    context: &'a RequestContext,
    acks: Acks,
    now_ms: i64,
    pending: Vec<Pending>,
}

/// Serves a produce request.
pub(crate) fn handle(context: &RequestContext, request: ProduceRequest) -> Reply<ProduceResponse> {
    let Some(acks) = Acks::from_wire(request.acks) else {
        return Reply::Now(refuse_all(request, ErrorCode::InvalidRequiredAcks));
    };
    let now_ms = context.services.env.clock.wall_ms();
    let mut producing = Producing { context, acks, now_ms, pending: Vec::new() };
    let mut response = ProduceResponse::default();
    response.responses.reserve_exact(request.topic_data.len());
    for (at, topic) in request.topic_data.into_iter().enumerate() {
        response.responses.push(producing.topic(at, topic));
    }
    let pending = producing.pending;
    if acks == Acks::None {
        return match first_error(&response) {
            // The only way to make a producer notice that asked for no answers (as Kafka does).
            Some(error) => Reply::Close(format!("produce with acks=0 failed: {}", error.name())),
            None => Reply::Silent,
        };
    }
    if pending.is_empty() {
        return Reply::Now(response);
    }
    let timeout = Duration::from_millis(u64::try_from(request.timeout_ms).unwrap_or(0));
    let waiting = Waiting::begin(&context.services, |metrics| &metrics.produce_wait);
    Reply::overlapping(async move {
        let _waiting = waiting;
        when_committed(response, pending, timeout).await
    })
}

impl Producing<'_> {
    fn topic(&mut self, at: usize, data: TopicProduceData) -> TopicProduceResponse {
        let key = match self.context.api_version >= TOPIC_ID_VERSION {
            true => TopicKey::Id(data.topic_id),
            false => TopicKey::Name(data.name.clone()),
        };
        let mut partition_responses = Vec::with_capacity(data.partition_data.len());
        for (partition_at, partition) in data.partition_data.into_iter().enumerate() {
            let index = partition.index;
            let answer = match self.partition(&key, partition) {
                Ok((answer, commit)) => {
                    let place = |commit| Pending { topic: at, partition: partition_at, commit };
                    self.pending.extend(commit.map(place));
                    answer
                }
                Err(failure) => refusal(index, failure),
            };
            partition_responses.push(answer);
        }
        TopicProduceResponse { name: data.name, topic_id: data.topic_id, partition_responses }
    }

    fn partition(
        &self,
        key: &TopicKey,
        data: PartitionProduceData,
    ) -> Result<(PartitionProduceResponse, Option<Commit>), AppendFailure> {
        let services = &self.context.services;
        let partition = services.replicas.find(key, data.index)?;
        if is_internal(&partition.name().topic) {
            return Err(ErrorCode::InvalidTopicException.into());
        }
        let records = data.records.unwrap_or_default();
        let append = Append {
            records,
            acks: self.acks,
            now_ms: self.now_ms,
            version: self.context.api_version,
        };
        let outcome = partition.append(&append)?;
        let metrics = &services.metrics;
        metrics.produced_bytes.inc_by(outcome.bytes);
        metrics.produced_batches.inc();
        metrics.produced_records.inc_by(outcome.records);
        let answer = PartitionProduceResponse {
            index: data.index,
            base_offset: outcome.first_offset,
            log_append_time_ms: outcome.log_append_time_ms,
            log_start_offset: outcome.log_start_offset,
            ..PartitionProduceResponse::default()
        };
        Ok((answer, outcome.commit))
    }
}

/// Waits until every pending batch is committed, or the request's time is over.
async fn when_committed(
    mut response: ProduceResponse,
    pending: Vec<Pending>,
    timeout: Duration,
) -> ProduceResponse {
    let deadline = tokio::time::Instant::now() + timeout;
    for Pending { topic, partition, commit } in pending {
        let outcome = match tokio::time::timeout_at(deadline, commit).await {
            Ok(Ok(outcome)) => outcome,
            // The partition is gone, and its waiters with it.
            Ok(Err(_)) => Err(ErrorCode::NotLeaderOrFollower),
            Err(_) => Err(ErrorCode::RequestTimedOut),
        };
        let answer = response
            .responses
            .get_mut(topic)
            .and_then(|topic| topic.partition_responses.get_mut(partition));
        if let (Err(error), Some(answer)) = (outcome, answer) {
            *answer = refusal(answer.index, AppendFailure::from(error));
        }
    }
    response
}

fn refusal(index: i32, failure: AppendFailure) -> PartitionProduceResponse {
    PartitionProduceResponse {
        index,
        error_code: failure.code.code(),
        base_offset: -1,
        log_append_time_ms: NO_TIMESTAMP,
        log_start_offset: failure.log_start_offset,
        record_errors: failure.records.into_iter().map(record_error).collect(),
        error_message: failure.message.map(Into::into),
        ..PartitionProduceResponse::default()
    }
}

fn record_error((batch_index, message): (i32, String)) -> BatchIndexAndErrorMessage {
    BatchIndexAndErrorMessage { batch_index, batch_index_error_message: Some(message.into()) }
}

fn refuse_all(request: ProduceRequest, error: ErrorCode) -> ProduceResponse {
    let topic = |data: TopicProduceData| TopicProduceResponse {
        name: data.name,
        topic_id: data.topic_id,
        partition_responses: data
            .partition_data
            .iter()
            .map(|partition| refusal(partition.index, AppendFailure::from(error)))
            .collect(),
    };
    let responses = request.topic_data.into_iter().map(topic).collect();
    ProduceResponse { responses, ..ProduceResponse::default() }
}

fn first_error(response: &ProduceResponse) -> Option<ErrorCode> {
    let partitions = response.responses.iter().flat_map(|topic| &topic.partition_responses);
    let codes = partitions.map(|partition| partition.error_code);
    codes.filter(|&code| code != ErrorCode::None.code()).map(ErrorCode::from_code).next()
}
