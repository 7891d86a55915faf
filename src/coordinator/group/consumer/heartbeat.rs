//! PURE. ConsumerGroupHeartbeat of a member that joins or stays.

use std::time::Duration;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::ids::TopicId;
use duramen_protocol::messages::ConsumerGroupHeartbeatResponse;
use duramen_protocol::messages::consumer_group_heartbeat::{
    Assignment as ShownAssignment, TopicPartitions,
};
use duramen_protocol::text::Text;

use super::assignor::Assignment;
use super::checks::JOIN;
use super::draft::Sender;
use super::member::{Member, MemberState};
use super::{ConsumerGroup, Refusal};
use crate::coordinator::command::{ConsumerBeat, Turn};
use crate::metadata::MetadataImage;

impl ConsumerGroup {
    /// A member joins, or lives; an error tells it what to do.
    pub(crate) fn heartbeat(
        &mut self,
        turn: &mut Turn<'_>,
        beat: &ConsumerBeat,
        image: &MetadataImage,
    ) -> Result<ConsumerGroupHeartbeatResponse, Refusal> {
        super::checks::check(beat, turn.limits)?;
        if beat.request.member_epoch < JOIN {
            return self.leave(turn, beat, image);
        }
        let owned = beat.request.topic_partitions.as_deref().map(read_owned);
        let sender = self.sender(turn, beat, owned.as_ref())?;
        let mut member = sender.member.clone();
        member.hear(beat);
        let member = self.advance(turn, image, &sender, member, owned.as_ref())?;
        let times = turn.limits.consumer.times_of(&self.id, image);
        self.keep_time(turn, times.session_timeout(), &member);
        Ok(answer(times.heartbeat.ms, beat, &sender.member, &member))
    }

    fn sender(
        &self,
        turn: &Turn<'_>,
        beat: &ConsumerBeat,
        owned: Option<&Assignment>,
    ) -> Result<Sender, Refusal> {
        let request = &beat.request;
        let id = match request.member_id.is_empty() {
            true => Text::from(beat.unique.to_string()),
            false => request.member_id.clone(),
        };
        let known = self.members.get(&id);
        let limit = turn.limits.consumer.members_max;
        if known.is_none() && self.members.len() >= limit {
            let message =
                format!("The consumer group has reached its maximum capacity of {limit} members.");
            return Err(Refusal::new(ErrorCode::GroupMaxSizeReached, message));
        }
        let joins = request.member_epoch == JOIN;
        if let Some(instance) = &request.instance_id {
            match self.statics.get(instance) {
                Some(current) if *current != id && joins => return self.replacing(current, id),
                Some(current) if *current != id => {
                    let message = format!(
                        "Static member {id} with instance id {instance} was fenced by member {current}."
                    );
                    return Err(Refusal::new(ErrorCode::FencedInstanceId, message));
                }
                None if !joins => {
                    let message = format!("Instance id {instance} is unknown.");
                    return Err(Refusal::new(ErrorCode::UnknownMemberId, message));
                }
                _ => {}
            }
        }
        match known {
            Some(member) => {
                check_epoch(member, request.member_epoch, owned)?;
                Ok(Sender { member: member.clone(), is_new: false, replaces: None })
            }
            None if joins => Ok(Sender { member: Member::new(id), is_new: true, replaces: None }),
            None => Err(self.unknown(&id)),
        }
    }

    pub(super) fn unknown(&self, id: &str) -> Refusal {
        let message = format!("Member {id} is not a member of group {}.", self.id);
        Refusal::new(ErrorCode::UnknownMemberId, message)
    }

    /// A static member takes the place that it left for a while under another member id, or that it
    /// had when it spoke the classic protocol.
    fn replacing(&self, current: &Text, id: Text) -> Result<Sender, Refusal> {
        let left = self.members.get(current).ok_or_else(|| self.unknown(current))?;
        if !left.is_classic() && left.position.epoch != super::checks::LEAVE_FOR_A_WHILE {
            let message = format!(
                "Static member {id} cannot join: its instance id is used by member {current}."
            );
            return Err(Refusal::new(ErrorCode::UnreleasedInstanceId, message));
        }
        Ok(Sender::in_place_of(left, id))
    }

    /// The member was heard of, and may have partitions to give up.
    fn keep_time(&mut self, turn: &Turn<'_>, session: Duration, member: &Member) {
        let now = turn.now.at;
        self.timers.heard(&member.id, now + session);
        self.timers.joins.remove(&member.id);
        self.timers.syncs.remove(&member.id);
        if member.position.state == MemberState::Unrevoked {
            let until = now + member.rebalance_timeout();
            self.timers.revoking(&member.id, until, member.position.epoch);
        } else {
            self.timers.revocations.remove(&member.id);
        }
    }
}

/// A member must be in its epoch, or in the one before when it has not heard of the newer. Whoever
/// joins anew has nothing, and is told everything.
fn check_epoch(member: &Member, epoch: i32, owned: Option<&Assignment>) -> Result<(), Refusal> {
    let position = &member.position;
    let within = |owned: &Assignment| {
        owned.iter().all(|(topic, partitions)| {
            let has = position.assigned.get(topic);
            partitions.iter().all(|index| has.is_some_and(|has| has.contains_key(index)))
        })
    };
    let behind = epoch == position.previous_epoch && epoch < position.epoch;
    if epoch == JOIN || epoch == position.epoch || (behind && owned.is_some_and(within)) {
        return Ok(());
    }
    let side = if epoch > position.epoch { "greater" } else { "smaller" };
    let message = format!(
        "The consumer group member has a {side} member epoch ({epoch}) than the one known by the \
         group coordinator ({}). The member must abandon all its partitions and rejoin.",
        position.epoch
    );
    Err(Refusal::new(ErrorCode::FencedMemberEpoch, message))
}

fn read_owned(topics: &[TopicPartitions]) -> Assignment {
    let mut owned = Assignment::new();
    for topic in topics {
        owned.entry(topic.topic_id).or_default().extend(&topic.partitions);
    }
    owned
}

/// The answer: with the assignment when it changed, or the member has told all it could tell.
fn answer(
    heartbeat_interval_ms: i32,
    beat: &ConsumerBeat,
    before: &Member,
    member: &Member,
) -> ConsumerGroupHeartbeatResponse {
    let request = &beat.request;
    let subscribes =
        request.subscribed_topic_names.is_some() || request.subscribed_topic_regex.is_some();
    let tells_all =
        request.rebalance_timeout_ms != -1 && subscribes && request.topic_partitions.is_some();
    let assignment = member.position.assignment();
    let changed = before.position.assignment() != assignment;
    let shown = request.member_epoch == JOIN || tells_all || changed;
    let topic = |(topic_id, partitions): (TopicId, std::collections::BTreeSet<i32>)| {
        TopicPartitions { topic_id, partitions: partitions.into_iter().collect() }
    };
    ConsumerGroupHeartbeatResponse {
        member_id: Some(member.id.clone()),
        member_epoch: member.position.epoch,
        heartbeat_interval_ms,
        assignment: shown.then(|| ShownAssignment {
            topic_partitions: assignment.into_iter().map(topic).collect(),
        }),
        ..ConsumerGroupHeartbeatResponse::default()
    }
}
