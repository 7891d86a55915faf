//! CreatePartitions (key 37).

use duramen_protocol::messages::create_partitions::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreatePartitionsTopic,
    CreatePartitionsTopicResult,
};
use duramen_protocol::text::Text;

use crate::controller::command::{
    Command, CreatePartitions, MorePartitions, Refusal, Reply as ControlReply,
};
use crate::server::context::RequestContext;
use crate::server::control::{self, mismatched, outcome};
use crate::server::reply::Reply;

/// Serves a request.
pub(crate) fn handle(
    context: &RequestContext,
    request: CreatePartitionsRequest,
) -> Reply<CreatePartitionsResponse> {
    let context = context.clone();
    Reply::exclusive(async move {
        let names: Vec<Text> = request.topics.iter().map(|topic| topic.name.clone()).collect();
        let topics = request.topics.into_iter().map(more_partitions).collect();
        let command = Command::CreatePartitions(CreatePartitions {
            topics,
            validate_only: request.validate_only,
        });
        let results = match control::submit(&context, command, request.timeout_ms).await {
            Ok(ControlReply::CreatePartitions(results)) => results,
            Ok(_) => refuse(names, &mismatched()),
            Err(refusal) => refuse(names, &refusal),
        };
        let results = results.into_iter().map(|(name, result)| answer(name, &result)).collect();
        CreatePartitionsResponse { results, ..CreatePartitionsResponse::default() }
    })
}

fn more_partitions(topic: CreatePartitionsTopic) -> MorePartitions {
    let brokers = |assigned: Vec<_>| {
        let ids = |assignment: duramen_protocol::messages::create_partitions::CreatePartitionsAssignment| {
            assignment.broker_ids
        };
        assigned.into_iter().map(ids).collect()
    };
    MorePartitions {
        topic: topic.name,
        count: topic.count,
        assignments: topic.assignments.map(brokers),
    }
}

fn refuse(names: Vec<Text>, refusal: &Refusal) -> Vec<(Text, Result<(), Refusal>)> {
    names.into_iter().map(|name| (name, Err(refusal.clone()))).collect()
}

fn answer(name: Text, result: &Result<(), Refusal>) -> CreatePartitionsTopicResult {
    let (error_code, error_message) = outcome(result);
    CreatePartitionsTopicResult { name, error_code, error_message }
}
