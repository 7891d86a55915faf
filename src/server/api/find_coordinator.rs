//! FindCoordinator (key 10): groups and transactions have no coordinator on this broker yet, and
//! whoever asks is told so in words instead of being left to time out.

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::find_coordinator::{
    Coordinator, FindCoordinatorRequest, FindCoordinatorResponse,
};
use duramen_protocol::text::Text;

use crate::server::context::RequestContext;
use crate::server::reply::Reply;

/// First version that asks for several coordinators at once (KIP-699).
const BATCH_VERSION: i16 = 4;

/// Serves a request.
pub(crate) fn handle(
    context: &RequestContext,
    request: FindCoordinatorRequest,
) -> Reply<FindCoordinatorResponse> {
    let error_code = ErrorCode::CoordinatorNotAvailable.code();
    let message = Text::from(match request.key_type {
        1 => "transactions are not available yet: produce without a transactional id",
        2 => "share groups are not available yet: assign partitions yourself",
        _ => {
            "consumer groups are not available yet: assign partitions yourself and consume by offset"
        }
    });
    if context.api_version < BATCH_VERSION {
        return Reply::Now(FindCoordinatorResponse {
            error_code,
            error_message: Some(message),
            node_id: -1,
            port: -1,
            ..FindCoordinatorResponse::default()
        });
    }
    let answer = |key: Text| Coordinator {
        key,
        node_id: -1,
        port: -1,
        error_code,
        error_message: Some(message.clone()),
        ..Coordinator::default()
    };
    let coordinators = request.coordinator_keys.into_iter().map(answer).collect();
    Reply::Now(FindCoordinatorResponse { coordinators, ..FindCoordinatorResponse::default() })
}
