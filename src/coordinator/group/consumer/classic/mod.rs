//! PURE. Members of a KIP-848 group that speak the classic protocol. The member's epoch is its
//! generation. It is told to join again whenever it has a step to take, and takes it by joining:
//! with what it then still has the coordinator sees what it gave up.
//!
//! | file | what lives there |
//! |---|---|
//! | this one | Heartbeat, SyncGroup |
//! | `join.rs` | JoinGroup |
//! | `leave.rs` | LeaveGroup |
//! | `migrate.rs` | a group taken apart into such members, and put together from some |

mod join;
mod leave;
mod migrate;

use bytes::Bytes;
use duramen_protocol::consumer_protocol::PROTOCOL_TYPE;
use duramen_protocol::error::ErrorCode;
use duramen_protocol::ids::TopicId;
use duramen_protocol::messages::heartbeat::HeartbeatRequest;
use duramen_protocol::messages::sync_group::{SyncGroupRequest, SyncGroupResponse};
use duramen_protocol::text::Text;

use super::member::{Member, MemberState};
use super::{ConsumerGroup, records, subscription};
use crate::coordinator::command::Turn;
use crate::coordinator::group::migration::to_assignment;
use crate::metadata::MetadataImage;

impl ConsumerGroup {
    /// A classic member lives; an error tells it what to do, above all to join again.
    pub(crate) fn heartbeat_classic(
        &mut self,
        turn: &mut Turn<'_>,
        request: &HeartbeatRequest,
        image: &MetadataImage,
    ) -> Result<(), ErrorCode> {
        let id = &request.member_id;
        let instance = request.group_instance_id.as_ref();
        let member = self.classic_member(id, instance, request.generation_id)?;
        let session =
            turn.now.at + member.session_timeout(self.session_timeout(turn.limits, image));
        let rejoins = match member.position.state {
            _ if member.position.epoch < self.epoch => true,
            MemberState::Unrevoked => true,
            MemberState::Unreleased => !self.awaits_others(member),
            MemberState::Stable => false,
        };
        self.timers.heard(id, session);
        if rejoins || self.has_outgrown(turn, image) {
            return Err(self.call(turn, id));
        }
        Ok(())
    }

    /// A classic member asks for its assignment.
    pub(crate) fn sync_classic(
        &mut self,
        turn: &Turn<'_>,
        request: &SyncGroupRequest,
        image: &MetadataImage,
    ) -> Result<SyncGroupResponse, ErrorCode> {
        let id = &request.member_id;
        let instance = request.group_instance_id.as_ref();
        let member = self.classic_member(id, instance, request.generation_id)?;
        // Whoever has partitions to give up does so first, and joins again then.
        let unrevoked = member.position.state == MemberState::Unrevoked;
        if self.epoch > member.position.epoch && !unrevoked {
            return Err(self.call(turn, id));
        }
        let protocol = member.protocols().first();
        let differs = |told: &Option<Text>, own: Option<&str>| {
            told.as_deref().is_some_and(|told| own != Some(told))
        };
        if differs(&request.protocol_type, Some(PROTOCOL_TYPE))
            || differs(&request.protocol_name, protocol.map(|protocol| &*protocol.name))
        {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        let subscription = protocol.map_or(Bytes::new(), |protocol| protocol.metadata.clone());
        let assignment = to_assignment(&member.position.assignment(), &subscription, image);
        let session =
            turn.now.at + member.session_timeout(self.session_timeout(turn.limits, image));
        self.timers.syncs.remove(id);
        self.timers.heard(id, session);
        Ok(SyncGroupResponse {
            protocol_type: request.protocol_type.clone(),
            protocol_name: request.protocol_name.clone(),
            assignment,
            ..SyncGroupResponse::default()
        })
    }

    /// The checks that all requests of a classic member have in common.
    fn classic_member(
        &self,
        id: &Text,
        instance: Option<&Text>,
        generation: i32,
    ) -> Result<&Member, ErrorCode> {
        let member = self.leaver(id, instance).map_err(|refusal| refusal.code)?;
        if !member.is_classic() {
            return Err(ErrorCode::UnknownMemberId);
        }
        match generation == member.position.epoch {
            true => Ok(member),
            false => Err(ErrorCode::IllegalGeneration),
        }
    }

    /// Whether a partition that a member is to have is still in the hands of another.
    fn awaits_others(&self, member: &Member) -> bool {
        let taken = |topic: TopicId, index: i32| {
            self.owners.get(&(topic, index)).is_some_and(|owner| *owner != member.id)
        };
        let targets = self.targets.get(&member.id).into_iter().flatten();
        targets.into_iter().any(|(topic, all)| all.iter().any(|index| taken(*topic, *index)))
    }

    /// Whether the topics have changed under the group, whose epoch then rises: where only classic
    /// members are left to send heartbeats, nobody else finds out.
    fn has_outgrown(&mut self, turn: &mut Turn<'_>, image: &MetadataImage) -> bool {
        if self.seen == Some(image.offset()) {
            return false;
        }
        let hash = subscription::hash(self.members.values(), &self.regexes, image);
        if hash == self.metadata_hash {
            self.seen = Some(image.offset());
            return false;
        }
        turn.record(records::group(&self.id, self.epoch + 1, hash));
        true
    }

    /// Tells a member to join again; it has so long.
    fn call(&mut self, turn: &Turn<'_>, id: &Text) -> ErrorCode {
        if let Some(member) = self.members.get(id) {
            let until = turn.now.at + member.rebalance_timeout();
            let until = *self.timers.joins.entry(id.clone()).or_insert(until);
            self.timers.wake_by(until);
        }
        ErrorCode::RebalanceInProgress
    }
}
