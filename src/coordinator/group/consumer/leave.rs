//! PURE. Members that leave, and members that are not heard of, or keep what they must give up.

use std::collections::BTreeSet;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::group_records::GroupRecord;
use duramen_protocol::messages::ConsumerGroupHeartbeatResponse;
use duramen_protocol::text::Text;

use super::checks::LEAVE_FOR_A_WHILE;
use super::member::{Member, MemberState, Position};
use super::{ConsumerGroup, Refusal, records, subscription};
use crate::coordinator::command::{ConsumerBeat, Turn};
use crate::metadata::MetadataImage;

/// The records by which a member is no more.
pub(super) fn gone(group: &Text, id: &Text) -> [GroupRecord; 3] {
    [
        records::position(group, id, None),
        records::target(group, id, None),
        records::member(group, id, None),
    ]
}

impl ConsumerGroup {
    pub(super) fn leave(
        &mut self,
        turn: &mut Turn<'_>,
        beat: &ConsumerBeat,
        image: &MetadataImage,
    ) -> Result<ConsumerGroupHeartbeatResponse, Refusal> {
        let request = &beat.request;
        let id = self.leaver(&request.member_id, request.instance_id.as_ref())?.id.clone();
        match self.members.get(&id) {
            Some(member) if request.member_epoch == LEAVE_FOR_A_WHILE => {
                let away = away(member);
                turn.record(records::position(&self.id, &id, Some(&away)));
                self.timers.revocations.remove(&id);
            }
            _ => self.dismiss(turn, &BTreeSet::from([id.clone()]), image),
        }
        Ok(ConsumerGroupHeartbeatResponse {
            member_id: Some(id),
            member_epoch: request.member_epoch,
            ..ConsumerGroupHeartbeatResponse::default()
        })
    }

    /// The member of this id, which must be that of the name where one is given.
    pub(super) fn leaver(&self, id: &Text, instance: Option<&Text>) -> Result<&Member, Refusal> {
        if let Some(instance) = instance {
            let current = self.statics.get(instance).ok_or_else(|| {
                let message = format!("Instance id {instance} is unknown.");
                Refusal::new(ErrorCode::UnknownMemberId, message)
            })?;
            if current != id {
                let message = format!(
                    "Static member {id} with instance id {instance} was fenced by member {current}."
                );
                return Err(Refusal::new(ErrorCode::FencedInstanceId, message));
            }
        }
        self.members.get(id).ok_or_else(|| self.unknown(id))
    }

    /// Takes members out: what they had is free, and the group's epoch rises. When only classic
    /// members are left, the group becomes a classic one.
    pub(super) fn dismiss(&self, turn: &mut Turn<'_>, ids: &BTreeSet<Text>, image: &MetadataImage) {
        if self.downgrade(turn, ids, None, image) {
            return;
        }
        let left: Vec<&Member> =
            self.members.values().filter(|member| !ids.contains(&member.id)).collect();
        for id in ids {
            turn.out.records.extend(gone(&self.id, id));
        }
        let used: BTreeSet<&Text> = left.iter().filter_map(|member| member.regex()).collect();
        for regex in self.regexes.keys().filter(|regex| !used.contains(regex)) {
            turn.record(records::regex(&self.id, regex, None));
        }
        if left.is_empty() {
            // From now on the group's offsets age: nothing else in its records says when that began.
            let emptied = Some((self.target_epoch, turn.now.wall_ms));
            turn.record(records::target_epoch(&self.id, emptied));
        }
        let hash = subscription::hash(left.into_iter(), &self.regexes, image);
        turn.record(records::group(&self.id, self.epoch + 1, hash));
    }

    /// Does what is due: a member that was not heard of, or still has what it had to give up, is no
    /// member any more.
    pub(crate) fn on_time(&mut self, turn: &mut Turn<'_>, image: &MetadataImage) {
        let now = turn.now.at;
        let silent = self.timers.sessions.iter().filter(|(_, until)| **until <= now);
        let silent = silent.map(|(id, _)| id.clone());
        let holds_on = |id: &Text, epoch: i32| {
            self.members.get(id).is_some_and(|member| {
                let position = &member.position;
                position.state == MemberState::Unrevoked && position.epoch == epoch
            })
        };
        let late = self.timers.revocations.iter().filter(|(_, (until, _))| *until <= now);
        let late = late.filter(|(id, (_, epoch))| holds_on(id, *epoch)).map(|(id, _)| id.clone());
        let slow = self.timers.joins.iter().chain(&self.timers.syncs);
        let slow = slow.filter(|(_, until)| **until <= now).map(|(id, _)| id.clone());
        let mut out: BTreeSet<Text> = silent.chain(late).chain(slow).collect();
        self.timers.expire(now);
        // A member may never have come to be, when its records were not written.
        out.retain(|id| self.members.contains_key(id));
        if !out.is_empty() {
            // Should the records not be written, it is tried again.
            let session = self.session_timeout(turn.limits, image);
            for id in &out {
                let own = self.members.get(id).map_or(session, |it| it.session_timeout(session));
                self.timers.heard(id, now + own);
            }
            self.dismiss(turn, &out, image);
        }
    }
}

/// A static member that will be back keeps what it may read, and has nothing to give up.
fn away(member: &Member) -> Position {
    Position {
        epoch: LEAVE_FOR_A_WHILE,
        previous_epoch: member.position.epoch,
        revoking: Default::default(),
        state: MemberState::Stable,
        ..member.position.clone()
    }
}
