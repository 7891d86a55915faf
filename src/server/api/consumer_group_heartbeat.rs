//! ConsumerGroupHeartbeat (key 68): a member of a consumer group joins, lives or leaves (KIP-848).

use duramen_protocol::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};

use crate::coordinator::command::Command;
use crate::coordinator::{Beat, refused_heartbeat};
use crate::server::context::RequestContext;
use crate::server::groups;
use crate::server::reply::Reply;

/// Serves a request.
pub(crate) fn handle(
    context: &RequestContext,
    request: ConsumerGroupHeartbeatRequest,
) -> Reply<ConsumerGroupHeartbeatResponse> {
    let group = request.group_id.clone();
    let beat = Beat {
        version: context.api_version,
        client_id: context.client_id.clone(),
        client_host: groups::client_host(context),
        unique: context.services.env.random.uuid(),
        request,
    };
    let asked = context.services.groups.ask(&group, Command::Beat(Box::new(beat)));
    Reply::overlapping(
        async move { asked.await.unwrap_or_else(|code| refused_heartbeat(code, None)) },
    )
}
