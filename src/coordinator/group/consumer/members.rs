//! PURE. How members go: they leave, fall silent, or keep what they should have given up.

use std::time::Duration;

use duramen_protocol::messages::consumer_group_heartbeat::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse,
};
use duramen_protocol::text::Text;

use super::assign::Partitions;
use super::draft::Draft;
use super::heartbeat::Refusal;
use super::member::{LEAVES, Member, Progress};
use super::{ConsumerGroup, Topics};
use crate::coordinator::command::Turn;

impl ConsumerGroup {
    pub(super) fn leave(
        &mut self,
        turn: &mut Turn<'_>,
        request: &ConsumerGroupHeartbeatRequest,
        topics: &dyn Topics,
    ) -> Result<ConsumerGroupHeartbeatResponse, Refusal> {
        let member = self.check_static(request)?;
        let id = &request.member_id;
        if request.member_epoch == LEAVES {
            self.remove(turn, std::slice::from_ref(id), topics);
        } else {
            let away = Member {
                epoch: request.member_epoch,
                previous_epoch: member.epoch,
                progress: Progress::Stable,
                revoking: Partitions::new(),
                ..member.clone()
            };
            turn.record(away.assignment_record(&self.id, id));
            self.timers.heard(id, turn.now.at + turn.limits.consumer.session_timeout);
        }
        Ok(ConsumerGroupHeartbeatResponse {
            member_id: Some(id.clone()),
            member_epoch: request.member_epoch,
            ..ConsumerGroupHeartbeatResponse::default()
        })
    }

    /// Takes members out; those who are left share what they had from their next heartbeats on.
    fn remove(&self, turn: &mut Turn<'_>, ids: &[Text], topics: &dyn Topics) {
        let mut draft = Draft::new(self, topics);
        for id in ids.iter().filter(|id| self.members.contains_key(*id)) {
            draft.remove(id);
        }
        if draft.records.is_empty() {
            return;
        }
        draft.match_patterns(turn.now);
        draft.bump();
        if draft.group.is_empty() {
            draft.assign(turn.now, &turn.limits.consumer);
        }
        turn.out.rebalances += 1;
        turn.out.records.extend(draft.records);
    }

    /// Takes out who was silent for too long, or has not given up partitions in time.
    pub(crate) fn on_time(&mut self, turn: &mut Turn<'_>, topics: &dyn Topics) {
        let now = turn.now.at;
        let silent = self.timers.sessions.iter().filter(|(_, at)| **at <= now);
        let mut out: Vec<Text> = silent.map(|(id, _)| id.clone()).collect();
        let late = self.timers.revocations.iter().filter(|(id, (epoch, at))| {
            let keeps = |it: &Member| it.progress == Progress::Unrevoked && it.epoch == *epoch;
            *at <= now && self.members.get(*id).is_some_and(keeps)
        });
        out.extend(late.map(|(id, _)| id.clone()));
        self.remove(turn, &out, topics);
        self.timers.revocations.retain(|_, (_, at)| *at > now);
        // When the log does not take this, it is tried again.
        for id in out {
            match self.members.contains_key(&id) {
                true => drop(self.timers.sessions.insert(id, now + AGAIN)),
                false => self.timers.forget(&id),
            }
        }
        let sessions = self.timers.sessions.values();
        let revocations = self.timers.revocations.values().map(|(_, at)| at);
        self.timers.wake_at = sessions.chain(revocations).min().copied();
    }
}

/// How long until what the log did not take is tried again.
const AGAIN: Duration = Duration::from_secs(1);
