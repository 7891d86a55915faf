//! ConsumerGroupHeartbeat (key 68): a member joins, lives or leaves, and learns what it is to read.

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};

use crate::coordinator::command::{Command, ConsumerBeat};
use crate::server::context::RequestContext;
use crate::server::groups;
use crate::server::reply::Reply;

/// Serves a request.
pub(crate) fn handle(
    context: &RequestContext,
    request: ConsumerGroupHeartbeatRequest,
) -> Reply<ConsumerGroupHeartbeatResponse> {
    let group = request.group_id.clone();
    let beat = ConsumerBeat {
        version: context.api_version,
        client_id: context.client_id.clone(),
        client_host: groups::client_host(context),
        unique: context.services.env.random.uuid(),
        request,
    };
    let asked = context.services.groups.ask(&group, Command::ConsumerBeat(Box::new(beat)));
    Reply::overlapping(async move {
        asked.await.unwrap_or_else(|code: ErrorCode| ConsumerGroupHeartbeatResponse {
            error_code: code.code(),
            ..ConsumerGroupHeartbeatResponse::default()
        })
    })
}
