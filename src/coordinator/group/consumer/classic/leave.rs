//! PURE. LeaveGroup, by which operators also take out members that speak the protocol of KIP-848.

use std::collections::BTreeSet;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::leave_group::{
    LeaveGroupRequest, LeaveGroupResponse, MemberIdentity, MemberResponse,
};
use duramen_protocol::text::Text;

use super::super::ConsumerGroup;
use crate::coordinator::command::Turn;
use crate::metadata::MetadataImage;

impl ConsumerGroup {
    /// Members leave; each has its own outcome.
    pub(crate) fn leave_classic(
        &mut self,
        turn: &mut Turn<'_>,
        request: &LeaveGroupRequest,
        image: &MetadataImage,
    ) -> LeaveGroupResponse {
        let mut out = BTreeSet::new();
        let mut leave = |member: &MemberIdentity| {
            let found = self.leaving(member).map(|id| out.insert(id));
            MemberResponse {
                member_id: member.member_id.clone(),
                group_instance_id: member.group_instance_id.clone(),
                error_code: found.err().unwrap_or(ErrorCode::None).code(),
            }
        };
        let members = request.members.iter().map(&mut leave).collect();
        if !out.is_empty() {
            self.dismiss(turn, &out, image);
        }
        LeaveGroupResponse { members, ..LeaveGroupResponse::default() }
    }

    fn leaving(&self, member: &MemberIdentity) -> Result<Text, ErrorCode> {
        match &member.group_instance_id {
            // An operator knows a static member by its name only.
            Some(instance) if member.member_id.is_empty() => {
                self.statics.get(instance).cloned().ok_or(ErrorCode::UnknownMemberId)
            }
            instance => {
                let found = self.leaver(&member.member_id, instance.as_ref());
                found.map(|member| member.id.clone()).map_err(|refusal| refusal.code)
            }
        }
    }
}
