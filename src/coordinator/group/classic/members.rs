//! PURE. Members that are heard of, that leave, and that are not heard of any more.

use std::time::Duration;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::heartbeat::HeartbeatRequest;
use duramen_protocol::messages::leave_group::{
    LeaveGroupRequest, LeaveGroupResponse, MemberIdentity, MemberResponse,
};
use duramen_protocol::text::Text;

use super::member::Member;
use super::{ClassicGroup, INSTANT, State};
use crate::coordinator::command::Turn;

impl ClassicGroup {
    /// A member lives. An error tells it what to do: above all, to join again.
    pub(crate) fn heartbeat(
        &mut self,
        turn: &Turn<'_>,
        request: &HeartbeatRequest,
    ) -> Result<(), ErrorCode> {
        let id = &request.member_id;
        self.check_member(id, request.group_instance_id.as_ref())?;
        if request.generation_id != self.generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        match self.state {
            State::Empty => return Err(ErrorCode::UnknownMemberId),
            State::PreparingRebalance => {
                self.heard(id, turn.now);
                return Err(ErrorCode::RebalanceInProgress);
            }
            State::CompletingRebalance | State::Stable => self.heard(id, turn.now),
        }
        Ok(())
    }

    /// Members leave; each has its own outcome.
    pub(crate) fn leave(
        &mut self,
        turn: &mut Turn<'_>,
        request: &LeaveGroupRequest,
    ) -> LeaveGroupResponse {
        let before = self.members.len();
        let mut leave_one = |group: &mut Self, member: &MemberIdentity| {
            let outcome = group.leave_one(turn, member);
            MemberResponse {
                member_id: member.member_id.clone(),
                group_instance_id: member.group_instance_id.clone(),
                error_code: outcome.err().unwrap_or(ErrorCode::None).code(),
            }
        };
        let members = request.members.iter().map(|member| leave_one(self, member)).collect();
        // An id that was never used was no member: it may have been waited for, no more.
        if self.members.len() < before || self.state == State::PreparingRebalance {
            self.rebalance_or_complete(turn);
        }
        LeaveGroupResponse { members, ..LeaveGroupResponse::default() }
    }

    fn leave_one(&mut self, turn: &mut Turn<'_>, member: &MemberIdentity) -> Result<(), ErrorCode> {
        let instance = member.group_instance_id.as_ref();
        let id = match instance {
            // An operator knows a static member by its name only.
            Some(instance) if member.member_id.is_empty() => {
                self.statics.get(instance).cloned().ok_or(ErrorCode::UnknownMemberId)?
            }
            _ => member.member_id.clone(),
        };
        if instance.is_none() && self.pending.remove(&id).is_some() {
            return Ok(());
        }
        self.check_member(&id, instance)?;
        self.dismiss(turn, &id);
        Ok(())
    }

    /// Takes a member out, and tells it so where it waits.
    fn dismiss(&mut self, turn: &mut Turn<'_>, id: &str) {
        let Some(member) = self.remove(id) else { return };
        let waiting = [member.join, member.sync];
        waiting.into_iter().flatten().for_each(|to| turn.refuse(to, ErrorCode::UnknownMemberId));
    }

    /// Ids that were given and never used: nobody waits for them any more.
    pub(super) fn expire_pending(&mut self, turn: &mut Turn<'_>) {
        let before = self.pending.len();
        self.pending.retain(|_, until| *until > turn.now.at);
        if self.pending.len() < before && self.state == State::PreparingRebalance {
            self.rebalance_or_complete(turn);
        }
    }

    /// Members that were not heard of within their session.
    pub(super) fn expire_members(&mut self, turn: &mut Turn<'_>) {
        let now = turn.now.at;
        let silent = |member: &&Member| member.deadline <= now;
        let silent: Vec<(Text, bool, Duration)> = self
            .members
            .values()
            .filter(silent)
            .map(|member| (member.id.clone(), member.is_held(), member.session_timeout))
            .collect();
        let mut lost = false;
        for (id, held, session) in silent {
            if held {
                if let Some(member) = self.members.get_mut(&id) {
                    member.deadline = now + session.max(INSTANT);
                }
                continue;
            }
            self.dismiss(turn, &id);
            lost = true;
        }
        if lost {
            self.rebalance_or_complete(turn);
        }
    }
}
