//! PURE. JoinGroup: who may enter, and what entering sets off.

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::join_group::{JoinGroupRequestProtocol, JoinGroupResponse};
use duramen_protocol::text::Text;

use super::member::Member;
use super::{ClassicGroup, NEW_MEMBER_TIMEOUT, State};
use crate::coordinator::command::{Join, ReplyTo, Turn};
use crate::coordinator::group::millis;

/// First version in which a new member has to come back with the id that it was given (KIP-394).
pub(crate) const ID_REQUIRED_VERSION: i16 = 4;

/// First version in which a leader may be told not to assign (KIP-814).
const SKIP_VERSION: i16 = 9;

impl ClassicGroup {
    /// A member joins; it is answered when its generation begins.
    pub(crate) fn join(&mut self, turn: &mut Turn<'_>, to: ReplyTo, join: &Join) {
        if let Err(error) = self.try_join(turn, to, join) {
            refuse(turn, to, join.request.member_id.clone(), error);
        }
    }

    fn try_join(&mut self, turn: &mut Turn<'_>, to: ReplyTo, join: &Join) -> Result<(), ErrorCode> {
        let request = &join.request;
        let id = &request.member_id;
        if !self.has_room(id, turn.limits.members_max) {
            self.pending.remove(id);
            return Err(ErrorCode::GroupMaxSizeReached);
        }
        if !self.speaks(&request.protocol_type, &request.protocols) {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        match (&request.group_instance_id, id.is_empty()) {
            (Some(instance), true) => {
                let id = fresh_id(instance, join);
                match self.statics.get(instance).cloned() {
                    Some(old) => self.replace_static(turn, to, join, &old, id),
                    None => self.add(turn, to, join, id),
                }
            }
            (None, true) if join.version >= ID_REQUIRED_VERSION => {
                let id = fresh_id(&join.client_id, join);
                self.promise(turn, &id, request.session_timeout_ms);
                refuse(turn, to, id, ErrorCode::MemberIdRequired);
            }
            (None, true) => self.add(turn, to, join, fresh_id(&join.client_id, join)),
            (None, false) if self.pending.contains_key(id) => {
                self.add(turn, to, join, id.clone());
            }
            (instance, false) => {
                self.check_member(id, instance.as_ref())?;
                self.rejoin(turn, to, join)?;
            }
        }
        Ok(())
    }

    /// Whether a member fits in (`group.max.size`): while a group gathers, those count that are here.
    fn has_room(&self, id: &str, most: usize) -> bool {
        let member = self.members.get(id);
        match self.state {
            State::Empty => true,
            State::PreparingRebalance => {
                member.is_some_and(|member| member.join.is_some()) || self.joining < most
            }
            State::CompletingRebalance | State::Stable => {
                member.is_some() || self.members.len() < most
            }
        }
    }

    /// Whether there is an assignor that this member and all others speak.
    fn speaks(&self, kind: &str, protocols: &[JoinGroupRequestProtocol]) -> bool {
        if self.members.is_empty() {
            return !kind.is_empty() && !protocols.is_empty();
        }
        let everyone = |name: &Text| self.spoken.get(name) == Some(&self.members.len());
        self.protocol_type.as_deref() == Some(kind)
            && protocols.iter().any(|protocol| everyone(&protocol.name))
    }

    /// Remembers an id that is given, for as long as a session: half a join must cost little, and
    /// many of them no more than many places.
    fn promise(&mut self, turn: &Turn<'_>, id: &Text, session_timeout_ms: i32) {
        if self.pending.len() >= turn.limits.pending_max {
            let oldest = self.pending.iter().min_by_key(|(_, until)| **until);
            if let Some(oldest) = oldest.map(|(id, _)| id.clone()) {
                self.pending.remove(&oldest);
            }
        }
        let until = turn.now.at + millis(session_timeout_ms);
        self.pending.insert(id.clone(), until);
        self.wake_by(until);
    }

    fn add(&mut self, turn: &mut Turn<'_>, to: ReplyTo, join: &Join, id: Text) {
        let mut member = Member::new(id, join);
        member.join = Some(to);
        member.deadline = turn.now.at + NEW_MEMBER_TIMEOUT;
        if self.members.is_empty() {
            self.protocol_type = Some(join.request.protocol_type.clone());
        }
        if let Some(gathering) = &mut self.gathering {
            gathering.grew = true;
        }
        self.insert(member);
        self.rebalance_or_complete(turn);
    }

    /// A member that is known joins again: because it was told to, because something changed, or
    /// because it missed the answer.
    fn rejoin(&mut self, turn: &mut Turn<'_>, to: ReplyTo, join: &Join) -> Result<(), ErrorCode> {
        let id = &join.request.member_id;
        let same = self.members.get(id).is_some_and(|it| it.matches(&join.request.protocols));
        let answer_again = match self.state {
            State::Empty => return Err(ErrorCode::UnknownMemberId),
            State::PreparingRebalance => false,
            State::CompletingRebalance => same,
            State::Stable => same && !self.is_leader(id),
        };
        if answer_again {
            self.heard(id, turn.now);
            turn.reply(to, self.generation_for(id, self.is_leader(id)));
            return Ok(());
        }
        self.update(turn, to, join, &id.clone());
        self.rebalance_or_complete(turn);
        Ok(())
    }

    /// Takes what a request says of a member that is known, and lets the request wait.
    fn update(&mut self, turn: &mut Turn<'_>, to: ReplyTo, join: &Join, id: &Text) {
        let Some(mut member) = self.members.get(id).cloned() else { return };
        let leader = self.leader.clone();
        self.remove(id);
        if let Some(missed) = member.join.replace(to) {
            turn.refuse(missed, ErrorCode::RebalanceInProgress);
        }
        member.update(join);
        self.insert(member);
        self.leader = leader;
    }

    /// A static member comes back under a new id, and the old one is fenced (KIP-345). When the
    /// generation fits it still, there is no rebalance.
    fn replace_static(
        &mut self,
        turn: &mut Turn<'_>,
        to: ReplyTo,
        join: &Join,
        old: &Text,
        id: Text,
    ) {
        let was_leader = self.leader.clone();
        let Some(mut member) = self.remove(old) else { return };
        let waiting = [member.join.take(), member.sync.take()];
        waiting.into_iter().flatten().for_each(|to| turn.refuse(to, ErrorCode::FencedInstanceId));
        self.leader =
            was_leader.clone().map(|leader| if leader == *old { id.clone() } else { leader });
        member.id = id.clone();
        member.update(join);
        member.deadline = turn.now.at + member.session_timeout;
        member.join = Some(to);
        self.insert(member);
        let keeps = self.state == State::Stable && self.chosen_protocol() == self.protocol;
        if !keeps {
            self.rebalance_or_complete(turn);
            return;
        }
        self.take_join(&id);
        turn.record(self.record(|member| member.assignment.clone()));
        let skip = join.version >= SKIP_VERSION && self.is_leader(&id);
        let mut answer = self.generation_for(&id, skip);
        answer.skip_assignment = skip;
        if join.version < SKIP_VERSION {
            // Whoever does not know of skipping must not take itself for the leader, and assign.
            answer.leader = was_leader.unwrap_or_default();
        }
        turn.reply(to, answer);
    }

    /// Takes the JoinGroup of a member that waits.
    pub(super) fn take_join(&mut self, id: &str) -> Option<ReplyTo> {
        let to = self.members.get_mut(id)?.join.take();
        self.joining -= usize::from(to.is_some());
        to
    }

    /// The generation as a member is told of it; the leader hears of all members.
    pub(super) fn generation_for(&self, id: &str, with_members: bool) -> JoinGroupResponse {
        let protocol = self.protocol.clone().unwrap_or_default();
        let all = || self.members.values().map(|member| member.for_leader(&protocol)).collect();
        JoinGroupResponse {
            generation_id: self.generation,
            protocol_type: self.protocol_type.clone(),
            leader: self.leader.clone().unwrap_or_default(),
            member_id: id.into(),
            members: if with_members { all() } else { Vec::new() },
            protocol_name: Some(protocol),
            ..JoinGroupResponse::default()
        }
    }

    /// Nobody waits for the answer to a JoinGroup any more. A member that has not been in a
    /// generation yet is gone with its connection.
    pub(crate) fn abandoned(&mut self, turn: &mut Turn<'_>, to: ReplyTo) {
        let waiting =
            |member: &&Member| member.is_new && member.is_dynamic() && member.join == Some(to);
        let Some(id) = self.members.values().find(waiting).map(|member| member.id.clone()) else {
            return;
        };
        self.remove(&id);
        self.rebalance_or_complete(turn);
    }
}

/// An id that nobody has.
pub(crate) fn fresh_id(prefix: &str, join: &Join) -> Text {
    format!("{prefix}-{}", join.unique).into()
}

/// Answers a JoinGroup with an error and a member id.
fn refuse(turn: &mut Turn<'_>, to: ReplyTo, member_id: Text, error: ErrorCode) {
    turn.reply(to, refused_join(member_id, error));
}

/// The answer to a JoinGroup that is refused.
pub(crate) fn refused_join(member_id: Text, error: ErrorCode) -> JoinGroupResponse {
    JoinGroupResponse { error_code: error.code(), member_id, ..JoinGroupResponse::default() }
}
