//! PURE. A member's request on its way into records: what the member says of itself, what the group
//! is to assign anew, and the member's next step.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::group_records::GroupRecord;
use duramen_protocol::ids::TopicId;
use duramen_protocol::text::Text;

use super::assignor::{self, Assignment, MemberSpec};
use super::member::{Member, Position};
use super::reconcile::Goal;
use super::subscription::{self, Matches};
use super::topic_regex::TopicRegex;
use super::{AssignorKind, ConsumerGroup, Refusal, records};
use crate::coordinator::command::Turn;
use crate::metadata::MetadataImage;

/// How long the topics that a regular expression matched stand at least (Kafka's time).
const MATCH_AGAIN: Duration = Duration::from_secs(10);

/// Different regular expressions of a group: the topics that each matched are kept.
const REGEXES_MAX: usize = 100;

/// Who sends a heartbeat, or joins.
pub(super) struct Sender {
    /// The member as it was; without anything when it is new.
    pub(super) member: Member,
    pub(super) is_new: bool,
    /// The member whose place a static member takes.
    pub(super) replaces: Option<Text>,
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

impl Sender {
    /// Who takes the place of a member under this id.
    pub(super) fn in_place_of(left: &Member, id: Text) -> Self {
        let position = Position { epoch: 0, previous_epoch: 0, ..left.position.clone() };
        let member = Member { id, about: left.about.clone(), position };
        Self { member, is_new: false, replaces: Some(left.id.clone()) }
    }
}

impl ConsumerGroup {
    /// Takes a member a step on. What it now says of itself is in `member`, and what it may still be
    /// reading, if it says so, in `owned`.
    pub(super) fn advance(
        &mut self,
        turn: &mut Turn<'_>,
        image: &MetadataImage,
        sender: &Sender,
        member: Member,
        owned: Option<&Assignment>,
    ) -> Result<Member, Refusal> {
        let mut draft = Draft::new(self, image, sender, member);
        draft.introduce(sender);
        let matched = draft.subscribe(turn, sender)?;
        let hash = draft.raise_epoch(sender, self.seen);
        let kept = hash == self.metadata_hash;
        let (target_epoch, target) = draft.target(turn);
        draft.reconcile(&Goal { epoch: target_epoch, target: &target, owned }, sender);
        let (member, records) = (draft.member, draft.records);
        turn.out.records.extend(records);
        if kept {
            self.seen = Some(image.offset());
        }
        if let Some(regex) = matched {
            self.matched.insert(regex, (turn.now.at, image.offset()));
        }
        Ok(member)
    }

    /// Whether a regular expression should be matched again.
    fn is_old(&self, regex: &Text, now: Duration, image: &MetadataImage) -> bool {
        let matched = self.matched.get(regex);
        matched.is_none_or(|(at, offset)| *offset != image.offset() && now >= *at + MATCH_AGAIN)
    }
}

impl<'a> Draft<'a> {
    fn new(
        group: &'a ConsumerGroup,
        image: &'a MetadataImage,
        sender: &Sender,
        member: Member,
    ) -> Self {
        Self {
            group,
            image,
            member,
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
