//! PURE. What members ask: the group of either protocol answers, or becomes one of the other.

use std::sync::Arc;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::{
    ConsumerGroupHeartbeatResponse, HeartbeatRequest, HeartbeatResponse, LeaveGroupRequest,
    LeaveGroupResponse, SyncGroupRequest,
};
use duramen_protocol::text::Text;

use super::{Groups, group_tombstone};
use crate::coordinator::command::{
    Command, Commit, ConsumerBeat, Decision, Join, Now, ReplyTo, Turn,
};
use crate::coordinator::group::classic::{ClassicGroup, State, refused_join};
use crate::coordinator::group::consumer::{self, ConsumerGroup, Refusal};
use crate::coordinator::group::{Group, migration};
use crate::coordinator::offsets::Offsets;

/// First version of OffsetCommit in which a group that is not there is told so.
const COMMIT_ABSENT_VERSION: i16 = 9;

impl Groups {
    pub(super) fn join(&mut self, turn: &mut Turn<'_>, to: ReplyTo, join: &Join) {
        let id = &join.request.group_id;
        let answer = match (self.may_join(join), self.groups.get_mut(id)) {
            (Err(error), _) => Err(error),
            (Ok(()), Some(Group::Consumer(group))) if group.is_empty() => {
                // It should have given way, and the log did not take that.
                Err(ErrorCode::CoordinatorNotAvailable)
            }
            (Ok(()), Some(Group::Consumer(group))) => group.join_classic(turn, join, &self.image),
            (Ok(()), _) => {
                if let Some(group) = self.classic_or_new(id) {
                    group.join(turn, to, join);
                }
                self.settle(id);
                return;
            }
        };
        let refused = |error| refused_join(join.request.member_id.clone(), error);
        turn.reply(to, answer.unwrap_or_else(refused));
        self.settle(id);
    }

    fn may_join(&self, join: &Join) -> Result<(), ErrorCode> {
        let (request, limits) = (&join.request, &self.limits);
        let known = self.groups.contains_key(&request.group_id);
        let session = request.session_timeout_ms;
        let refused = if request.group_id.is_empty() {
            ErrorCode::InvalidGroupId
        } else if session < limits.session_timeout_min_ms || session > limits.session_timeout_max_ms
        {
            ErrorCode::InvalidSessionTimeout
        } else if !known && !request.member_id.is_empty() {
            ErrorCode::UnknownMemberId
        } else if !known && self.groups.len() >= limits.groups_max {
            ErrorCode::CoordinatorNotAvailable
        } else if join.bytes() > limits.member_bytes_max {
            ErrorCode::InvalidRequest
        } else {
            return Ok(());
        };
        Err(refused)
    }

    /// What must be in the log before a command is decided on: a KIP-848 group without members gives way
    /// to a member that speaks the classic protocol. What that member waits for comes with records
    /// of its own, much later, so that those two can't be one batch.
    pub(crate) fn give_way(&mut self, now: Now, command: &Command) -> Decision {
        self.incoming = None;
        let mut turn = Turn::new(now, &self.limits);
        if let Command::Join(join) = command
            && let Some(Group::Consumer(group)) = self.groups.get(&join.request.group_id)
            && group.is_empty()
            && self.may_join(join).is_ok()
        {
            group.bury(&mut turn);
            turn.out.whole = true;
        }
        turn.out
    }

    pub(super) fn consumer_beat(&mut self, turn: &mut Turn<'_>, to: ReplyTo, beat: &ConsumerBeat) {
        let id = beat.request.group_id.clone();
        let image = Arc::clone(&self.image);
        let answer = match self.groups.get_mut(&id) {
            Some(Group::Consumer(group)) => group.heartbeat(turn, beat, &image),
            Some(Group::Classic(group)) if group.state() != State::Empty => {
                migration::upgrade(group, turn, beat, &image)
            }
            group => {
                let recorded = group.is_some_and(|group| group.is_recorded());
                self.begin_consumer(turn, beat, recorded)
            }
        };
        turn.reply(
            to,
            answer.unwrap_or_else(|refusal| ConsumerGroupHeartbeatResponse {
                error_code: refusal.code.code(),
                error_message: Some(refusal.message.into()),
                ..ConsumerGroupHeartbeatResponse::default()
            }),
        );
        self.settle(&id);
    }

    /// A KIP-848 group that comes to be with its first member, in the place of a classic group
    /// without members when there is one.
    fn begin_consumer(
        &mut self,
        turn: &mut Turn<'_>,
        beat: &ConsumerBeat,
        recorded: bool,
    ) -> Result<ConsumerGroupHeartbeatResponse, Refusal> {
        let id = &beat.request.group_id;
        consumer::check(beat, turn.limits)?;
        if beat.request.member_epoch != consumer::JOIN {
            return Err(Refusal::not_found(format!("Group {id} not found.")));
        }
        if !self.groups.contains_key(id) && self.groups.len() >= turn.limits.groups_max {
            let message = "This coordinator has as many groups as it can.";
            return Err(Refusal::new(ErrorCode::CoordinatorNotAvailable, message));
        }
        let mut group = ConsumerGroup::new(id.clone());
        if recorded {
            turn.record(group_tombstone(id));
        }
        let answer = group.heartbeat(turn, beat, &self.image);
        match &answer {
            Ok(_) => turn.begin(Group::Consumer(group)),
            Err(_) => turn.out.records.clear(),
        }
        answer
    }

    pub(super) fn may_fetch(
        &mut self,
        id: &Text,
        member: Option<(Text, i32)>,
    ) -> Result<(), ErrorCode> {
        let Some((member, epoch)) = member else { return Ok(()) };
        match self.groups.get_mut(id) {
            Some(Group::Consumer(group)) => group.may_fetch(Some(&member), epoch),
            Some(Group::Classic(_)) => Ok(()),
            None => Err(ErrorCode::GroupIdNotFound),
        }
    }

    pub(super) fn sync(&mut self, turn: &mut Turn<'_>, to: ReplyTo, request: &SyncGroupRequest) {
        let image = Arc::clone(&self.image);
        match self.member_group(&request.group_id) {
            Ok(Group::Classic(group)) => group.sync(turn, to, request),
            Ok(Group::Consumer(group)) => match group.sync_classic(turn, request, &image) {
                Ok(answer) => turn.reply(to, answer),
                Err(error) => turn.refuse(to, error),
            },
            Err(error) => turn.refuse(to, error),
        }
        self.settle(&request.group_id);
    }

    pub(super) fn heartbeat(
        &mut self,
        turn: &mut Turn<'_>,
        to: ReplyTo,
        request: &HeartbeatRequest,
    ) {
        let image = Arc::clone(&self.image);
        let outcome = match self.member_group(&request.group_id) {
            Ok(Group::Classic(group)) => group.heartbeat(turn, request),
            Ok(Group::Consumer(group)) => group.heartbeat_classic(turn, request, &image),
            Err(error) => Err(error),
        };
        let error_code = outcome.err().unwrap_or(ErrorCode::None).code();
        turn.reply(to, HeartbeatResponse { error_code, ..HeartbeatResponse::default() });
        self.settle(&request.group_id);
    }

    pub(super) fn leave(&mut self, turn: &mut Turn<'_>, to: ReplyTo, request: &LeaveGroupRequest) {
        let image = Arc::clone(&self.image);
        let answer = match self.member_group(&request.group_id) {
            Ok(Group::Classic(group)) => group.leave(turn, request),
            Ok(Group::Consumer(group)) => group.leave_classic(turn, request, &image),
            Err(ErrorCode::UnknownMemberId) => ClassicGroup::new(Text::EMPTY).leave(turn, request),
            Err(error) => {
                LeaveGroupResponse { error_code: error.code(), ..LeaveGroupResponse::default() }
            }
        };
        turn.reply(to, answer);
        self.settle(&request.group_id);
    }

    /// The group of a member: without it, nobody is a member.
    fn member_group(&mut self, id: &Text) -> Result<&mut Group, ErrorCode> {
        if id.is_empty() {
            return Err(ErrorCode::InvalidGroupId);
        }
        self.groups.get_mut(id).ok_or(ErrorCode::UnknownMemberId)
    }

    pub(super) fn commit(&mut self, turn: &mut Turn<'_>, to: ReplyTo, commit: &Commit) {
        let request = &commit.request;
        let allowed = match self.groups.get_mut(&request.group_id) {
            Some(Group::Classic(group)) => group.may_commit(turn, request),
            Some(Group::Consumer(group)) => group.may_commit(commit.version, request),
            None if request.generation_id_or_member_epoch < 0 => {
                let room = self.groups.len() < turn.limits.groups_max;
                room.then_some(()).ok_or(ErrorCode::CoordinatorNotAvailable)
            }
            None if commit.version >= COMMIT_ABSENT_VERSION => Err(ErrorCode::GroupIdNotFound),
            None => Err(ErrorCode::IllegalGeneration),
        };
        match allowed {
            Ok(()) => {
                let answer = Offsets::commit(turn, commit);
                turn.reply(to, answer);
            }
            Err(error) => turn.refuse(to, error),
        }
        self.settle(&request.group_id);
    }
}
