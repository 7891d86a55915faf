//! PURE. ConsumerGroupHeartbeat of a member that joins or stays.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::group_records::GroupRecord;
use duramen_protocol::ids::TopicId;
use duramen_protocol::messages::ConsumerGroupHeartbeatResponse;
use duramen_protocol::messages::consumer_group_heartbeat::{
    Assignment as ShownAssignment, TopicPartitions,
};
use duramen_protocol::text::Text;

use super::assignor::{self, Assignment, MemberSpec};
use super::checks::JOIN;
use super::member::{Member, MemberState, Position};
use super::reconcile::Goal;
use super::subscription::{self, Matches};
use super::topic_regex::TopicRegex;
use super::{AssignorKind, ConsumerGroup, Refusal, records};
use crate::coordinator::command::{ConsumerBeat, Turn};
use crate::metadata::MetadataImage;

/// How long the topics that a regular expression matched stand at least (Kafka's time).
const MATCH_AGAIN: Duration = Duration::from_secs(10);

/// Different regular expressions of a group: the topics that each matched are kept.
const REGEXES_MAX: usize = 100;

/// Who sends a heartbeat.
struct Sender {
    /// The member as it was; without anything when it is new.
    member: Member,
    is_new: bool,
    /// The member whose place a static member takes.
    replaces: Option<Text>,
}

/// The group as it will be when the heartbeat's records are replayed.
struct Draft<'a> {
    group: &'a ConsumerGroup,
    image: &'a MetadataImage,
    member: Member,
    replaces: Option<Text>,
    matches: Cow<'a, Matches>,
    epoch: i32,
    records: Vec<GroupRecord>,
}

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
        let mut draft = Draft::new(self, image, &sender);
        draft.member.hear(beat);
        draft.introduce(&sender);
        let matched = draft.subscribe(turn, &sender)?;
        let hash = draft.raise_epoch(&sender, self.seen);
        let kept = hash == self.metadata_hash;
        let (target_epoch, target) = draft.target(turn);
        let goal = Goal { epoch: target_epoch, target: &target, owned: owned.as_ref() };
        draft.reconcile(&goal, &sender);
        let (member, records) = (draft.member, draft.records);
        turn.out.records.extend(records);
        if kept {
            self.seen = Some(image.offset());
        }
        if let Some(regex) = matched {
            self.matched.insert(regex, (turn.now.at, image.offset()));
        }
        let times = turn.limits.consumer.times_of(&self.id, image);
        self.keep_time(turn, times.session_timeout(), &member);
        Ok(answer(times.heartbeat.ms, beat, &sender.member, &member))
    }

    /// Whether a regular expression should be matched again.
    fn is_old(&self, regex: &Text, now: Duration, image: &MetadataImage) -> bool {
        let matched = self.matched.get(regex);
        matched.is_none_or(|(at, offset)| *offset != image.offset() && now >= *at + MATCH_AGAIN)
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

    /// A static member takes the place that it left for a while under another member id.
    fn replacing(&self, current: &Text, id: Text) -> Result<Sender, Refusal> {
        let left = self.members.get(current).ok_or_else(|| self.unknown(current))?;
        if left.position.epoch != super::checks::LEAVE_FOR_A_WHILE {
            let message = format!(
                "Static member {id} cannot join: its instance id is used by member {current}."
            );
            return Err(Refusal::new(ErrorCode::UnreleasedInstanceId, message));
        }
        let position = Position { epoch: 0, previous_epoch: 0, ..left.position.clone() };
        let member = Member { id, about: left.about.clone(), position };
        Ok(Sender { member, is_new: false, replaces: Some(current.clone()) })
    }

    /// The member was heard of, and may have partitions to give up.
    fn keep_time(&mut self, turn: &Turn<'_>, session: Duration, member: &Member) {
        let now = turn.now.at;
        self.timers.heard(&member.id, now + session);
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

impl<'a> Draft<'a> {
    fn new(group: &'a ConsumerGroup, image: &'a MetadataImage, sender: &Sender) -> Self {
        Self {
            group,
            image,
            member: sender.member.clone(),
            replaces: sender.replaces.clone(),
            matches: Cow::Borrowed(&group.regexes),
            epoch: group.epoch,
            records: Vec::new(),
        }
    }

    /// The members, in the order of their ids.
    fn members(&self) -> BTreeMap<&Text, &Member> {
        let mut members: BTreeMap<&Text, &Member> = self.group.members.iter().collect();
        if let Some(replaced) = &self.replaces {
            members.remove(replaced);
        }
        members.insert(&self.member.id, &self.member);
        members
    }

    fn old_target(&self, member: &Text) -> Option<&'a Assignment> {
        let known_as = match &self.replaces {
            Some(replaced) if *member == self.member.id => replaced,
            _ => member,
        };
        self.group.targets.get(known_as)
    }

    /// What the member says of itself, when it is news.
    fn introduce(&mut self, sender: &Sender) {
        let (group, id) = (&self.group.id, &self.member.id);
        if let Some(replaced) = &self.replaces {
            self.records.extend(super::leave::gone(group, replaced));
        }
        let said = self.member.about != sender.member.about;
        if said || sender.is_new || self.replaces.is_some() {
            self.records.push(records::member(group, id, Some(&self.member)));
        }
        if let Some(target) = self.replaces.as_ref().and_then(|_| self.old_target(id)) {
            self.records.push(records::target(group, id, Some(target)));
        }
    }

    /// Matches the member's regular expression when nobody had it before, or that was long ago: one a
    /// heartbeat, so that each costs as little as the next. Forgets what nobody has any more. Returns
    /// the expression that still matches what is known of it.
    fn subscribe(&mut self, turn: &Turn<'_>, sender: &Sender) -> Result<Option<Text>, Refusal> {
        let (before, after) = (sender.member.regex(), self.member.regex().cloned());
        let mut matched = None;
        if let Some(regex) = &after
            && self.group.is_old(regex, turn.now.at, self.image)
        {
            let known = self.group.regexes.get(regex);
            if known.is_none() && self.group.regexes.len() >= REGEXES_MAX {
                let message = format!(
                    "The group has {REGEXES_MAX} different regular expressions: use one of them."
                );
                return Err(Refusal::new(ErrorCode::InvalidRegularExpression, message));
            }
            let found = subscription::matching(&TopicRegex::compile(regex)?, self.image);
            if known == Some(&found) {
                matched = Some(regex.clone());
            } else {
                // What changed is looked at once more: its records may not be written.
                let kept = Some((&found, self.image.offset(), turn.now.wall_ms));
                self.records.push(records::regex(&self.group.id, regex, kept));
                self.matches.to_mut().insert(regex.clone(), found);
            }
        }
        if let Some(before) = before.filter(|before| Some(*before) != after.as_ref())
            && self.members().values().all(|member| member.regex() != Some(before))
        {
            self.records.push(records::regex(&self.group.id, before, None));
            self.matches.to_mut().remove(before);
        }
        Ok(matched)
    }

    /// Raises the group's epoch when there has to be a new assignment. `seen` is the metadata that
    /// nothing has to be looked up in again. Returns the hash of the topics.
    fn raise_epoch(&mut self, sender: &Sender, seen: Option<i64>) -> i64 {
        let group = self.group;
        let subscribed = sender.is_new || !self.member.subscribes_as(&sender.member);
        let matched = matches!(self.matches, Cow::Owned(_));
        if !subscribed && !matched && seen == Some(self.image.offset()) {
            return group.metadata_hash;
        }
        let members = self.members();
        let hash = subscription::hash(members.values().copied(), &self.matches, self.image);
        if subscribed || matched || hash != group.metadata_hash {
            self.epoch += 1;
            self.records.push(records::group(&group.id, self.epoch, hash));
        }
        hash
    }

    /// The target of the member, and its epoch; makes a new assignment when the group's is old.
    fn target(&mut self, turn: &Turn<'_>) -> (i32, Assignment) {
        let id = self.member.id.clone();
        if self.epoch <= self.group.target_epoch {
            let target = self.old_target(&id).cloned().unwrap_or_default();
            return (self.group.target_epoch, target);
        }
        let mut assigned = self.assign(turn);
        for (member, target) in &assigned {
            let copied = self.replaces.is_some() && *member == id;
            if copied || self.old_target(member) != Some(target) {
                self.records.push(records::target(&self.group.id, member, Some(target)));
            }
        }
        let made = Some((self.epoch, turn.now.wall_ms));
        self.records.push(records::target_epoch(&self.group.id, made));
        (self.epoch, assigned.remove(&id).unwrap_or_default())
    }

    fn assign(&self, turn: &Turn<'_>) -> BTreeMap<Text, Assignment> {
        let nothing = Assignment::new();
        let members = self.members();
        let spec = |member: &'_ Member| subscription::topics(member, &self.matches, self.image);
        let specs: Vec<MemberSpec<'_>> = members
            .values()
            .map(|member| MemberSpec {
                member_id: &member.id,
                instance_id: member.about.instance_id.as_ref(),
                topics: spec(member),
                owned: self.old_target(&member.id).unwrap_or(&nothing),
            })
            .collect();
        let topics = specs.iter().flat_map(|spec| &spec.topics);
        let count =
            |topic: &TopicId| Some((*topic, self.image.topics().by_id(*topic)?.partition_count()));
        let partitions: BTreeMap<TopicId, i32> = topics.filter_map(count).collect();
        let kind = preferred(members.values().copied(), turn);
        assignor::assign(kind, &specs, &partitions)
    }

    /// Takes the member's next step.
    fn reconcile(&mut self, goal: &Goal<'_>, sender: &Sender) {
        let owners = &self.group.owners;
        let mine = |owner: &Text| *owner == self.member.id || self.replaces.as_ref() == Some(owner);
        let is_free = |topic, index| owners.get(&(topic, index)).is_none_or(mine);
        let next = goal.next(&sender.member.position, is_free);
        if next != sender.member.position || sender.is_new || self.replaces.is_some() {
            self.records.push(records::position(&self.group.id, &self.member.id, Some(&next)));
            self.member.position = next;
        }
    }
}

/// The assignor that most members want, of those that are served; the first of them otherwise.
pub(super) fn preferred<'a>(
    members: impl Iterator<Item = &'a Member>,
    turn: &Turn<'_>,
) -> AssignorKind {
    preferred_of(members, &turn.limits.consumer.assignors)
}

/// As [`preferred`], of these assignors.
pub(super) fn preferred_of<'a>(
    members: impl Iterator<Item = &'a Member>,
    served: &[Option<AssignorKind>],
) -> AssignorKind {
    let mut votes: BTreeMap<AssignorKind, usize> = BTreeMap::new();
    for name in members.filter_map(|member| member.about.server_assignor.as_ref()) {
        if let Some(kind) = AssignorKind::from_name(name) {
            *votes.entry(kind).or_default() += 1;
        }
    }
    let served = served.iter().flatten().copied();
    let first = served.clone().next().unwrap_or(AssignorKind::Uniform);
    let most = served.filter(|kind| votes.contains_key(kind)).rev();
    most.max_by_key(|kind| votes.get(kind).copied()).unwrap_or(first)
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
