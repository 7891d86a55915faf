//! PURE. ConsumerGroupHeartbeat: who asks, what changed with that, and what the member is told.

use duramen_protocol::error::ErrorCode;
use duramen_protocol::group_records::ConsumerGroupMemberMetadataValue;
use duramen_protocol::messages::consumer_group_heartbeat::{
    Assignment, ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, TopicPartitions,
};
use duramen_protocol::text::Text;

use super::assign::{Assignor, Partitions};
use super::draft::Draft;
use super::member::{JOINS, LEAVES, LEAVES_FOR_NOW, Member, Progress, target_record};
use super::reconcile::{Owned, holds_only};
use super::{ConsumerGroup, Topics, pattern};
use crate::coordinator::command::{ConsumerLimits, Turn};

/// First version in which the client makes its member id itself (KIP-1082).
const OWN_ID_VERSION: i16 = 1;

/// A heartbeat, and what its request does not say.
#[derive(Debug, Clone)]
pub(crate) struct Beat {
    /// The request.
    pub(crate) request: ConsumerGroupHeartbeatRequest,
    /// The request's version.
    pub(crate) version: i16,
    /// The client id in the request's header.
    pub(crate) client_id: Text,
    /// Where the client is, as Kafka prints it: `/127.0.0.1`.
    pub(crate) client_host: Text,
    /// Random: the id of a member that has none.
    pub(crate) unique: uuid::Uuid,
}

/// Why a heartbeat is refused, in words too.
pub(super) type Refusal = (ErrorCode, &'static str);

/// Who sends a heartbeat.
enum Sender {
    New,
    Known,
    /// A static member that is back under another id; this was its id before.
    Replaces(Text),
}

/// The answer that says no.
pub(crate) fn refused(code: ErrorCode, why: Option<&str>) -> ConsumerGroupHeartbeatResponse {
    ConsumerGroupHeartbeatResponse {
        error_code: code.code(),
        error_message: why.map(Text::from),
        ..ConsumerGroupHeartbeatResponse::default()
    }
}

/// What can be said of a heartbeat without knowing its group.
pub(crate) fn check(beat: &Beat, limits: &ConsumerLimits, bytes_max: usize) -> Result<(), Refusal> {
    let request = &beat.request;
    let empty = |text: &Option<Text>| text.as_deref() == Some("");
    let subscribes =
        request.subscribed_topic_names.is_some() || request.subscribed_topic_regex.is_some();
    let owns = request.topic_partitions.as_ref().is_some_and(|topics| !topics.is_empty());
    let wrong = if request.group_id.is_empty() {
        "GroupId can't be empty: set group.id."
    } else if request.member_id.is_empty()
        && (request.member_epoch != JOINS || beat.version >= OWN_ID_VERSION)
    {
        "MemberId can't be empty: only a member that joins with version 0 may have none."
    } else if empty(&request.instance_id) || empty(&request.rack_id) {
        "InstanceId and RackId can't be empty: leave out what is not set."
    } else if request.member_epoch < LEAVES_FOR_NOW {
        "MemberEpoch must be -2, -1, 0 or the member's epoch."
    } else if request.member_epoch == LEAVES_FOR_NOW && request.instance_id.is_none() {
        "MemberEpoch -2 is for static members: set InstanceId."
    } else if request.member_epoch == JOINS && request.rebalance_timeout_ms < 0 {
        "RebalanceTimeoutMs must be set to join."
    } else if request.member_epoch == JOINS && owns {
        "TopicPartitions must be empty to join."
    } else if request.member_epoch == JOINS && !subscribes {
        "SubscribedTopicNames or SubscribedTopicRegex must be set to join."
    } else if bytes(request) > bytes_max {
        "The subscription is too long: name fewer topics, or use a regular expression."
    } else {
        ""
    };
    if !wrong.is_empty() {
        return Err((ErrorCode::InvalidRequest, wrong));
    }
    match request.server_assignor.as_deref() {
        Some(name) if Assignor::named(name).is_none_or(|it| !limits.has(it)) => {
            Err((ErrorCode::UnsupportedAssignor, "ServerAssignor is not one of this cluster's."))
        }
        _ => Ok(()),
    }
}

/// Bytes that the member brings and the group keeps.
fn bytes(request: &ConsumerGroupHeartbeatRequest) -> usize {
    let names = request.subscribed_topic_names.iter().flatten();
    names.map(|name| name.len()).sum::<usize>() + request.member_id.len()
}

impl ConsumerGroup {
    /// Answers a heartbeat that [`check`] had nothing against.
    pub(crate) fn heartbeat(
        &mut self,
        turn: &mut Turn<'_>,
        beat: &Beat,
        topics: &dyn Topics,
    ) -> ConsumerGroupHeartbeatResponse {
        let answer = match beat.request.member_epoch {
            LEAVES | LEAVES_FOR_NOW => self.leave(turn, &beat.request, topics),
            _ => self.live(turn, beat, topics),
        };
        answer.unwrap_or_else(|(code, why)| refused(code, Some(why)))
    }

    fn live(
        &mut self,
        turn: &mut Turn<'_>,
        beat: &Beat,
        topics: &dyn Topics,
    ) -> Result<ConsumerGroupHeartbeatResponse, Refusal> {
        let request = &beat.request;
        let limits = &turn.limits.consumer;
        let id = match request.member_id.is_empty() {
            true => Text::from(beat.unique.to_string()),
            false => request.member_id.clone(),
        };
        let sender = self.sender(request, &id, limits)?;
        let before = match &sender {
            Sender::Replaces(old) => self.members.get(old),
            _ => self.members.get(&id),
        };
        let said = said(before, beat)?;
        let resubscribed = before.is_none_or(|before| {
            before.said.subscribed_topic_names != said.subscribed_topic_names
                || before.said.subscribed_topic_regex != said.subscribed_topic_regex
        });
        let mut draft = Draft::new(self, topics);
        draft.enter(&sender, &id, said, request.member_epoch == JOINS);
        let news = self.timers.seen_version != Some(topics.version());
        if news || resubscribed {
            draft.match_patterns(turn.now);
        }
        if resubscribed || (news && draft.metadata_hash() != self.metadata_hash) {
            draft.bump();
            turn.out.rebalances += 1;
        }
        draft.assign(turn.now, limits);
        let owned = request.topic_partitions.as_deref();
        let next = draft.advance(&id, owned);
        let told = self.members.get(&id);
        let tells = request.member_epoch == JOINS
            || is_full(request)
            || told
                .is_none_or(|it| it.epoch != request.member_epoch || it.assigned != next.assigned);
        let moved = told.is_none_or(|it| *it != next);
        let records = draft.records;
        turn.out.records.extend(records);
        self.timers.seen_version = Some(topics.version());
        self.timers.heard(&id, turn.now.at + limits.session_timeout);
        if next.progress == Progress::Unrevoked {
            let deadline = turn.now.at + next.rebalance_timeout();
            self.timers.revokes(&id, next.epoch, deadline, moved);
        } else {
            self.timers.revocations.remove(&id);
        }
        Ok(ConsumerGroupHeartbeatResponse {
            member_id: Some(id),
            member_epoch: next.epoch,
            heartbeat_interval_ms: limits.heartbeat_interval_ms,
            assignment: tells.then(|| assignment(&next.assigned)),
            ..ConsumerGroupHeartbeatResponse::default()
        })
    }

    fn sender(
        &self,
        request: &ConsumerGroupHeartbeatRequest,
        id: &Text,
        limits: &ConsumerLimits,
    ) -> Result<Sender, Refusal> {
        let joins = request.member_epoch == JOINS;
        let holder = request.instance_id.as_ref().and_then(|name| self.statics.get(name));
        if let Some(holder) = holder.filter(|holder| *holder != id) {
            if !joins {
                return Err((ErrorCode::FencedInstanceId, "Another member has this instance id."));
            }
            if self.members.get(holder).is_some_and(|member| !member.is_away()) {
                return Err((
                    ErrorCode::UnreleasedInstanceId,
                    "Another member still has this instance id: stop it, or wait for its session.",
                ));
            }
            return Ok(Sender::Replaces(holder.clone()));
        }
        match self.members.get(id) {
            Some(member) => {
                let owned = request.topic_partitions.as_deref();
                check_epoch(member, request.member_epoch, owned).map(|()| Sender::Known)
            }
            None if !joins => {
                Err((ErrorCode::UnknownMemberId, "The group has no such member: join again."))
            }
            None if self.members.len() >= limits.members_max => Err((
                ErrorCode::GroupMaxSizeReached,
                "The group has as many members as group.consumer.max.size allows.",
            )),
            None => Ok(Sender::New),
        }
    }

    /// What a member is to be asked before it may act in the name of the group.
    pub(super) fn check_static(
        &self,
        request: &ConsumerGroupHeartbeatRequest,
    ) -> Result<&Member, Refusal> {
        let unknown = (ErrorCode::UnknownMemberId, "The group has no such member.");
        if let Some(instance) = &request.instance_id {
            let holder = self.statics.get(instance).ok_or(unknown)?;
            if *holder != request.member_id {
                return Err((ErrorCode::FencedInstanceId, "Another member has this instance id."));
            }
        }
        self.members.get(&request.member_id).ok_or(unknown)
    }
}

impl Draft<'_> {
    /// Lets the sender of a heartbeat be a member, as it describes itself.
    fn enter(
        &mut self,
        sender: &Sender,
        id: &Text,
        said: ConsumerGroupMemberMetadataValue,
        joins: bool,
    ) {
        let group_id = self.group.id.clone();
        if let Sender::Replaces(old) = sender {
            let target = self.group.target.get(old).cloned();
            self.remove(old);
            if let Some(target) = target {
                self.put(target_record(&group_id, id, &target));
            }
        }
        let known = self.group.members.get(id);
        if known.is_none_or(|known| known.said != said) {
            let member = Member { said, ..known.cloned().unwrap_or_default() };
            self.put(member.metadata_record(&group_id, id));
        }
        // Who joins has nothing: what it had is free.
        if joins && matches!(sender, Sender::Known) {
            let anew = Member::default();
            if self.group.members.get(id).is_some_and(|it| it.epoch != JOINS) {
                self.put(anew.assignment_record(&group_id, id));
            }
        }
    }

    /// The member's next step.
    fn advance(&mut self, id: &Text, owned: Owned<'_>) -> Member {
        let member = self.group.members.get(id).cloned().unwrap_or_default();
        let next = self.group.reconciled(id, &member, owned);
        if next != member {
            // The last record of the decision: nobody looks at the draft any more.
            self.records.push(next.assignment_record(&self.group.id, id));
        }
        next
    }
}

/// Whether an epoch is the member's. The one before is too, while its answer may have been lost.
fn check_epoch(member: &Member, epoch: i32, owned: Owned<'_>) -> Result<(), Refusal> {
    let lost_answer = epoch == member.previous_epoch && holds_only(owned, &member.assigned);
    if epoch == JOINS || (epoch == member.epoch && !member.is_away()) || lost_answer {
        return Ok(());
    }
    let why = match epoch > member.epoch {
        true => "The member's epoch is greater than the coordinator's: give up all and join again.",
        false => "The member's epoch is less than the coordinator's: give up all and join again.",
    };
    Err((ErrorCode::FencedMemberEpoch, why))
}

/// What a member says of itself, with what it said before where nothing changed.
fn said(before: Option<&Member>, beat: &Beat) -> Result<ConsumerGroupMemberMetadataValue, Refusal> {
    let request = &beat.request;
    let mut said = before.map(|member| member.said.clone()).unwrap_or_default();
    said.client_id = beat.client_id.clone();
    said.client_host = beat.client_host.clone();
    if let Some(names) = &request.subscribed_topic_names {
        let mut names = names.clone();
        names.sort_unstable();
        names.dedup();
        said.subscribed_topic_names = names;
    }
    if let Some(regex) = &request.subscribed_topic_regex {
        if !regex.is_empty() && said.subscribed_topic_regex.as_ref() != Some(regex) {
            pattern::compile(regex)
                .map_err(|code| (code, "SubscribedTopicRegex is no RE2 expression, or too big."))?;
        }
        said.subscribed_topic_regex = Some(regex.clone()).filter(|regex| !regex.is_empty());
    }
    if request.rebalance_timeout_ms >= 0 {
        said.rebalance_timeout_ms = request.rebalance_timeout_ms;
    }
    for (kept, new) in [
        (&mut said.instance_id, &request.instance_id),
        (&mut said.rack_id, &request.rack_id),
        (&mut said.server_assignor, &request.server_assignor),
    ] {
        if new.is_some() {
            kept.clone_from(new);
        }
    }
    Ok(said)
}

/// Whether a request says all: its sender may not have seen the last answer.
fn is_full(request: &ConsumerGroupHeartbeatRequest) -> bool {
    let subscribes =
        request.subscribed_topic_names.is_some() || request.subscribed_topic_regex.is_some();
    request.rebalance_timeout_ms >= 0 && subscribes && request.topic_partitions.is_some()
}

fn assignment(partitions: &Partitions) -> Assignment {
    let topic_partitions = partitions.iter().map(|(topic_id, indexes)| TopicPartitions {
        topic_id: *topic_id,
        partitions: indexes.iter().copied().collect(),
    });
    Assignment { topic_partitions: topic_partitions.collect() }
}
