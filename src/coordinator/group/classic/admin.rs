//! PURE. What is told about a group, and who may commit its offsets.

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::describe_groups::DescribedGroup;
use duramen_protocol::messages::list_groups::ListedGroup;
use duramen_protocol::messages::offset_commit::OffsetCommitRequest;

use super::{ClassicGroup, State};
use crate::coordinator::command::Turn;

impl ClassicGroup {
    /// As DescribeGroups shows it. Only a stable group has something to say of assignors.
    pub(crate) fn describe(&self) -> DescribedGroup {
        let protocol = self.protocol.as_deref().filter(|_| self.state == State::Stable);
        DescribedGroup {
            group_id: self.id.clone(),
            group_state: self.state.name().into(),
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            protocol_data: protocol.unwrap_or_default().into(),
            members: self.members.values().map(|member| member.describe(protocol)).collect(),
            ..DescribedGroup::default()
        }
    }

    /// As ListGroups shows it.
    pub(crate) fn list(&self) -> ListedGroup {
        ListedGroup {
            group_id: self.id.clone(),
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            group_state: self.state.name().into(),
            group_type: "classic".into(),
        }
    }

    /// Whether these offsets may be committed: by a member of this generation, or by anyone when
    /// there are no members. A commit counts as a heartbeat.
    pub(crate) fn may_commit(
        &mut self,
        turn: &Turn<'_>,
        request: &OffsetCommitRequest,
    ) -> Result<(), ErrorCode> {
        let generation = request.generation_id_or_member_epoch;
        if generation < 0 && self.state == State::Empty {
            return Ok(());
        }
        let instance = request.group_instance_id.as_ref();
        if generation < 0 && request.member_id.is_empty() && instance.is_none() {
            return Err(ErrorCode::UnknownMemberId);
        }
        self.check_member(&request.member_id, instance)?;
        if generation != self.generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        if self.state == State::CompletingRebalance {
            return Err(ErrorCode::RebalanceInProgress);
        }
        self.heard(&request.member_id, turn.now);
        Ok(())
    }

    /// Whether the group may be deleted.
    pub(crate) fn may_delete(&self) -> Result<(), ErrorCode> {
        match self.state {
            State::Empty => Ok(()),
            _ => Err(ErrorCode::NonEmptyGroup),
        }
    }

    /// Whether the offsets of a topic may be forgotten: not while someone may read it.
    pub(crate) fn may_forget(&self, topic: &str) -> Result<(), ErrorCode> {
        match self.topics() {
            _ if self.state == State::Empty => Ok(()),
            Some(topics) if !topics.contains(topic) => Ok(()),
            _ => Err(ErrorCode::GroupSubscribedToTopic),
        }
    }

    /// Whether its members are consumers, whose subscriptions can be read.
    pub(crate) fn is_of_consumers(&self) -> bool {
        self.state == State::Empty
            || self.protocol_type.as_deref()
                == Some(duramen_protocol::consumer_protocol::PROTOCOL_TYPE)
    }
}
