//! SyncGroup (key 14): answered when the leader's assignments are kept.

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::{SyncGroupRequest, SyncGroupResponse};

use crate::coordinator::command::Command;
use crate::server::context::RequestContext;
use crate::server::groups;
use crate::server::reply::Reply;

/// Serves a request.
pub(crate) fn handle(
    context: &RequestContext,
    request: SyncGroupRequest,
) -> Reply<SyncGroupResponse> {
    let group = request.group_id.clone();
    let asked = context.services.groups.ask(&group, Command::Sync(request));
    let stop = context.peer.stop.clone();
    Reply::overlapping(async move {
        groups::until_stopped(stop, asked).await.unwrap_or_else(|code| {
            let code = match code {
                // No client knows what to do about this one here.
                ErrorCode::RecordListTooLarge => ErrorCode::UnknownServerError,
                code => code,
            };
            SyncGroupResponse { error_code: code.code(), ..SyncGroupResponse::default() }
        })
    })
}
