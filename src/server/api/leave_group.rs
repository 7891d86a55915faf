//! LeaveGroup (key 13): up to version 2 one member leaves, from 3 on several.

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::leave_group::MemberIdentity;
use duramen_protocol::messages::{LeaveGroupRequest, LeaveGroupResponse};

use crate::coordinator::command::Command;
use crate::server::context::RequestContext;
use crate::server::reply::Reply;

/// First version in which several members can leave (KIP-345).
const BATCH_VERSION: i16 = 3;

/// Serves a request.
pub(crate) fn handle(
    context: &RequestContext,
    mut request: LeaveGroupRequest,
) -> Reply<LeaveGroupResponse> {
    let one = context.api_version < BATCH_VERSION;
    if one {
        let member_id = std::mem::take(&mut request.member_id);
        request.members = vec![MemberIdentity { member_id, ..MemberIdentity::default() }];
    }
    let group = request.group_id.clone();
    let asked = context.services.groups.ask(&group, Command::Leave(request));
    Reply::overlapping(async move {
        let mut answer = asked.await.unwrap_or_else(|code: ErrorCode| LeaveGroupResponse {
            error_code: code.code(),
            ..LeaveGroupResponse::default()
        });
        if one && let Some(member) = answer.members.pop() {
            answer.error_code = member.error_code;
        }
        answer
    })
}
