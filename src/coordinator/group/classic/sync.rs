//! PURE. SyncGroup: the leader brings the assignments, everyone gets theirs.

use std::collections::BTreeMap;

use bytes::Bytes;
use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::sync_group::{SyncGroupRequest, SyncGroupResponse};
use duramen_protocol::text::Text;

use super::{ClassicGroup, State};
use crate::coordinator::command::{ReplyTo, Turn};

impl ClassicGroup {
    /// A member asks for its assignment; it is answered once the leader's are kept.
    pub(crate) fn sync(&mut self, turn: &mut Turn<'_>, to: ReplyTo, request: &SyncGroupRequest) {
        if let Err(error) = self.try_sync(turn, to, request) {
            turn.refuse(to, error);
        }
    }

    fn try_sync(
        &mut self,
        turn: &mut Turn<'_>,
        to: ReplyTo,
        request: &SyncGroupRequest,
    ) -> Result<(), ErrorCode> {
        let id = &request.member_id;
        self.check_member(id, request.group_instance_id.as_ref())?;
        if request.generation_id != self.generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        let differs = |own: &Option<Text>, told: &Option<Text>| told.is_some() && own != told;
        let speaks_another = differs(&self.protocol_type, &request.protocol_type)
            || differs(&self.protocol, &request.protocol_name);
        match self.state {
            State::Empty => return Err(ErrorCode::UnknownMemberId),
            // First: in a group that was one of KIP-848 each was told of an assignor of its own.
            State::PreparingRebalance => return Err(ErrorCode::RebalanceInProgress),
            _ if speaks_another => return Err(ErrorCode::InconsistentGroupProtocol),
            State::CompletingRebalance => self.await_assignment(turn, to, request),
            State::Stable => {
                self.heard(id, turn.now);
                if let Some(member) = self.members.get_mut(id) {
                    member.synced = true;
                    let assignment = member.assignment.clone();
                    turn.reply(to, self.assignment(assignment));
                }
            }
        }
        Ok(())
    }

    fn await_assignment(&mut self, turn: &mut Turn<'_>, to: ReplyTo, request: &SyncGroupRequest) {
        let id = &request.member_id;
        if let Some(member) = self.members.get_mut(id) {
            member.synced = true;
            if let Some(missed) = member.sync.replace(to) {
                turn.refuse(missed, ErrorCode::RebalanceInProgress);
            }
        }
        if !self.is_leader(id) {
            return;
        }
        let assigned: BTreeMap<&Text, &Bytes> = request
            .assignments
            .iter()
            .map(|assignment| (&assignment.member_id, &assignment.assignment))
            .collect();
        // The buffer of a request must not live as long as a generation.
        let of = |id: &Text| {
            assigned.get(id).map(|bytes| Bytes::copy_from_slice(bytes)).unwrap_or_default()
        };
        self.since_ms = turn.now.wall_ms;
        turn.record(self.record(|member| of(&member.id)));
        let waiting: Vec<(Text, ReplyTo)> = self
            .members
            .values_mut()
            .filter_map(|member| Some((member.id.clone(), member.sync.take()?)))
            .collect();
        for (id, to) in waiting {
            turn.reply(to, self.assignment(of(&id)));
            self.heard(&id, turn.now);
        }
    }

    fn assignment(&self, assignment: Bytes) -> SyncGroupResponse {
        SyncGroupResponse {
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol.clone(),
            assignment,
            ..SyncGroupResponse::default()
        }
    }
}
