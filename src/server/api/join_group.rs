//! JoinGroup (key 11): answered when the next generation begins.

use duramen_protocol::messages::{JoinGroupRequest, JoinGroupResponse};

use crate::coordinator::command::{Command, Join};
use crate::coordinator::refused_join;
use crate::server::context::RequestContext;
use crate::server::groups;
use crate::server::reply::Reply;

/// Serves a request.
pub(crate) fn handle(
    context: &RequestContext,
    request: JoinGroupRequest,
) -> Reply<JoinGroupResponse> {
    let (group, member) = (request.group_id.clone(), request.member_id.clone());
    let join = Join {
        version: context.api_version,
        client_id: context.client_id.clone(),
        client_host: groups::client_host(context),
        unique: context.services.env.random.uuid(),
        request,
    };
    let asked = context.services.groups.ask(&group, Command::Join(Box::new(join)));
    let stop = context.peer.stop.clone();
    Reply::overlapping(async move {
        groups::until_stopped(stop, asked).await.unwrap_or_else(|code| refused_join(member, code))
    })
}
