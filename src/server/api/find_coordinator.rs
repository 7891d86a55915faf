//! FindCoordinator (key 10): which broker looks after a group. The topic that groups are kept in is
//! made when the first one is asked for. Transactions and share groups have no coordinator yet, and
//! whoever asks is told so in words instead of being left to time out.

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::find_coordinator::{
    Coordinator, FindCoordinatorRequest, FindCoordinatorResponse,
};
use duramen_protocol::text::Text;

use crate::controller::command::CreateTopics;
use crate::controller::{Command, Reply as ControlReply};
use crate::coordinator::{OFFSETS_TOPIC, offsets_topic};
use crate::server::context::RequestContext;
use crate::server::endpoints;
use crate::server::reply::Reply;

/// First version that asks for several coordinators at once (KIP-699).
const BATCH_VERSION: i16 = 4;

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;
const SHARE: i8 = 2;

/// Why there is no coordinator.
type Missing = (ErrorCode, &'static str);

/// Serves a request.
pub(crate) fn handle(
    context: &RequestContext,
    request: FindCoordinatorRequest,
) -> Reply<FindCoordinatorResponse> {
    let keys = match context.api_version < BATCH_VERSION {
        true => vec![request.key],
        false => request.coordinator_keys,
    };
    let missing = match request.key_type {
        GROUP if keys.is_empty() || has_topic(context) => None,
        GROUP => {
            let context = context.clone();
            return Reply::exclusive(async move {
                let made = make_topic(&context).await;
                answer(&context, keys, made.err().map(|code| (code, code.message())))
            });
        }
        TRANSACTION => Some((
            ErrorCode::CoordinatorNotAvailable,
            "transactions are not available yet: produce without a transactional id",
        )),
        SHARE => Some((
            ErrorCode::CoordinatorNotAvailable,
            "share groups are not available yet: use a consumer group",
        )),
        _ => Some((ErrorCode::InvalidRequest, "there is no such type of coordinator")),
    };
    Reply::Now(answer(context, keys, missing))
}

fn has_topic(context: &RequestContext) -> bool {
    context.services.image().topics().by_name(OFFSETS_TOPIC).is_some()
}

async fn make_topic(context: &RequestContext) -> Result<(), ErrorCode> {
    let services = &context.services;
    let brokers = services.image().brokers().iter().filter(|broker| broker.is_active()).count();
    let topics = vec![offsets_topic(&services.config.groups, brokers)];
    let command = Command::CreateTopics(CreateTopics { topics, validate_only: false });
    let made = match services.controller.submit(command).await {
        Ok(ControlReply::CreateTopics(results)) => {
            results.into_iter().find_map(|(_, result)| result.err())
        }
        Ok(_) => return Err(ErrorCode::UnknownServerError),
        Err(error) => Some(error.into()),
    };
    match made {
        // Somebody else was faster: all the better.
        Some(refusal) if refusal.code != ErrorCode::TopicAlreadyExists => {
            tracing::warn!(
                topic = OFFSETS_TOPIC, error = refusal.code.name(), message = %refusal.message,
                "groups can't be served: their topic can't be made"
            );
            Err(ErrorCode::CoordinatorNotAvailable)
        }
        _ => Ok(()),
    }
}

fn answer(
    context: &RequestContext,
    keys: Vec<Text>,
    missing: Option<Missing>,
) -> FindCoordinatorResponse {
    let mut coordinators: Vec<Coordinator> = keys
        .into_iter()
        .map(|key| match missing {
            Some(missing) => none(key, missing),
            None => find(context, key),
        })
        .collect();
    if context.api_version >= BATCH_VERSION {
        return FindCoordinatorResponse { coordinators, ..FindCoordinatorResponse::default() };
    }
    let found = coordinators.pop().unwrap_or_default();
    FindCoordinatorResponse {
        error_code: found.error_code,
        error_message: found.error_message,
        node_id: found.node_id,
        host: found.host,
        port: found.port,
        ..FindCoordinatorResponse::default()
    }
}

/// The broker that leads the partition of a group.
fn find(context: &RequestContext, key: Text) -> Coordinator {
    let services = &context.services;
    let image = services.image();
    let leader = services.groups.leader_of(&key, &image).and_then(|id| image.brokers().get(id));
    let address = leader.and_then(|broker| endpoints::address(context, broker));
    match address {
        Some(broker) => Coordinator {
            key,
            node_id: broker.id,
            host: broker.host,
            port: broker.port,
            ..Coordinator::default()
        },
        None => {
            let code = ErrorCode::CoordinatorNotAvailable;
            none(key, (code, code.message()))
        }
    }
}

fn none(key: Text, (code, message): Missing) -> Coordinator {
    Coordinator {
        key,
        node_id: -1,
        port: -1,
        error_code: code.code(),
        error_message: Some(message.into()),
        ..Coordinator::default()
    }
}
