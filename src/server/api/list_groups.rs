//! ListGroups (key 16): the groups that this broker looks after.

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::{ListGroupsRequest, ListGroupsResponse};

use crate::coordinator::command::Command;
use crate::server::context::RequestContext;
use crate::server::reply::Reply;

/// Serves a request.
pub(crate) fn handle(
    context: &RequestContext,
    request: ListGroupsRequest,
) -> Reply<ListGroupsResponse> {
    let asked = context.services.groups.ask_all::<ListGroupsResponse>(&Command::List(request));
    Reply::overlapping(async move {
        let mut answer = ListGroupsResponse::default();
        for asked in asked {
            match asked.await {
                Ok(shard) => answer.groups.extend(shard.groups),
                // Another broker looks after these now.
                Err(ErrorCode::NotCoordinator) => {}
                Err(code) => {
                    let error_code = code.code();
                    return ListGroupsResponse { error_code, ..ListGroupsResponse::default() };
                }
            }
        }
        answer
    })
}
