//! DeleteTopics (key 20).

use duramen_protocol::messages::delete_topics::{
    DeletableTopicResult, DeleteTopicsRequest, DeleteTopicsResponse,
};

use crate::controller::command::{
    Command, DeleteTopics, DeletedTopic, Refusal, Reply as ControlReply, TopicRef,
};
use crate::server::context::RequestContext;
use crate::server::control::{self, mismatched, outcome};
use crate::server::reply::Reply;

/// First version that names topics by id or name, one by one.
const BY_ID_VERSION: i16 = 6;

/// Serves a request.
pub(crate) fn handle(
    context: &RequestContext,
    request: DeleteTopicsRequest,
) -> Reply<DeleteTopicsResponse> {
    let context = context.clone();
    Reply::exclusive(async move {
        let timeout_ms = request.timeout_ms;
        let topics = topics(&context, request);
        let command = Command::DeleteTopics(DeleteTopics { topics: topics.clone() });
        let results = match control::submit(&context, command, timeout_ms).await {
            Ok(ControlReply::DeleteTopics(results)) => results,
            Ok(_) => refuse(topics, &mismatched()),
            Err(refusal) => refuse(topics, &refusal),
        };
        let responses = results.into_iter().map(answer).collect();
        DeleteTopicsResponse { responses, ..DeleteTopicsResponse::default() }
    })
}

fn topics(context: &RequestContext, request: DeleteTopicsRequest) -> Vec<TopicRef> {
    if context.api_version < BY_ID_VERSION {
        return request.topic_names.into_iter().map(TopicRef::name).collect();
    }
    request
        .topics
        .into_iter()
        .map(|topic| TopicRef { name: topic.name, id: topic.topic_id })
        .collect()
}

fn refuse(topics: Vec<TopicRef>, refusal: &Refusal) -> Vec<DeletedTopic> {
    let refused = |topic: TopicRef| DeletedTopic {
        name: topic.name,
        id: topic.id,
        result: Err(refusal.clone()),
    };
    topics.into_iter().map(refused).collect()
}

fn answer(deleted: DeletedTopic) -> DeletableTopicResult {
    let (error_code, error_message) = outcome(&deleted.result);
    DeletableTopicResult { name: deleted.name, topic_id: deleted.id, error_code, error_message }
}
