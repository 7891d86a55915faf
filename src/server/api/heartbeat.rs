//! Heartbeat (key 12): a member lives.

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::{HeartbeatRequest, HeartbeatResponse};

use crate::coordinator::command::Command;
use crate::server::context::RequestContext;
use crate::server::reply::Reply;

/// Serves a request.
pub(crate) fn handle(
    context: &RequestContext,
    request: HeartbeatRequest,
) -> Reply<HeartbeatResponse> {
    let group = request.group_id.clone();
    let asked = context.services.groups.ask(&group, Command::Heartbeat(request));
    Reply::overlapping(async move {
        asked.await.unwrap_or_else(|code: ErrorCode| {
            // Nobody is taken for dead while groups are loaded: there is no cause for alarm.
            let code = match code {
                ErrorCode::CoordinatorLoadInProgress => ErrorCode::None,
                code => code,
            };
            HeartbeatResponse { error_code: code.code(), ..HeartbeatResponse::default() }
        })
    })
}
