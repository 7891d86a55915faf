//! DeleteGroups (key 42): deletes groups that have no members, with their offsets.

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::delete_groups::DeletableGroupResult;
use duramen_protocol::messages::{DeleteGroupsRequest, DeleteGroupsResponse};
use duramen_protocol::text::Text;

use crate::coordinator::Asked;
use crate::coordinator::command::Command;
use crate::server::context::RequestContext;
use crate::server::reply::Reply;

/// Serves a request.
pub(crate) fn handle(
    context: &RequestContext,
    request: DeleteGroupsRequest,
) -> Reply<DeleteGroupsResponse> {
    let ask = |group: Text| {
        let command = Command::Delete { group: group.clone() };
        let asked: Asked<DeletableGroupResult> = context.services.groups.ask(&group, command);
        (group, asked)
    };
    let asked: Vec<_> = request.groups_names.into_iter().map(ask).collect();
    Reply::overlapping(async move {
        let mut results = Vec::with_capacity(asked.len());
        for (group_id, asked) in asked {
            results.push(asked.await.unwrap_or_else(|code: ErrorCode| DeletableGroupResult {
                group_id,
                error_code: code.code(),
            }));
        }
        DeleteGroupsResponse { results, ..DeleteGroupsResponse::default() }
    })
}
