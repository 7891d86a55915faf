//! PURE. All that one shard knows: its groups, and the offsets they committed. `decide` says what
//! comes of a command, `on_time` of the clock; what is kept changes by `replay` alone. `members.rs`
//! has what members ask.

mod members;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::group_records::{GroupMetadataKey, GroupRecord};
use duramen_protocol::messages::consumer_group_describe;
use duramen_protocol::messages::delete_groups::DeletableGroupResult;
use duramen_protocol::messages::describe_groups::DescribedGroup;
use duramen_protocol::messages::{ListGroupsRequest, ListGroupsResponse, OffsetDeleteRequest};
use duramen_protocol::text::Text;

use super::command::{Command, Decision, Limits, Now, ReplyTo, Survey, TopicExists, Turn};
use super::group::classic::{ClassicGroup, State};
use super::group::consumer::{self, ConsumerGroup};
use super::group::{Group, Label};
use super::offsets::{Aging, Offsets};
use crate::metadata::MetadataImage;

/// First version of DescribeGroups in which a group that is not there is an error.
const DESCRIBE_ABSENT_VERSION: i16 = 6;

/// The groups of one shard.
#[derive(Debug)]
pub(crate) struct Groups {
    limits: Limits,
    groups: BTreeMap<Text, Group>,
    offsets: Offsets,
    alarms: Alarms,
    /// When offsets are next looked through for those that have expired.
    expiry_at: Duration,
    /// The cluster.
    image: Arc<MetadataImage>,
    /// The group that comes to be with the records of the last decision.
    incoming: Option<Group>,
}

/// Which group wants to be woken when.
#[derive(Debug, Default)]
struct Alarms {
    by_time: BTreeSet<(Duration, Text)>,
    of_group: BTreeMap<Text, Duration>,
}

impl Alarms {
    fn set(&mut self, group: &Text, at: Option<Duration>) {
        if self.of_group.get(group).copied() == at {
            return;
        }
        if let Some(before) = self.of_group.remove(group) {
            self.by_time.remove(&(before, group.clone()));
        }
        if let Some(at) = at {
            self.of_group.insert(group.clone(), at);
            self.by_time.insert((at, group.clone()));
        }
    }

    fn first(&self) -> Option<Duration> {
        self.by_time.first().map(|(at, _)| *at)
    }
}

impl Groups {
    /// No groups yet.
    pub(crate) fn new(limits: Limits, now: Now) -> Self {
        let expiry_at = now.at + limits.expiry_interval;
        Self {
            limits,
            groups: BTreeMap::new(),
            offsets: Offsets::default(),
            alarms: Alarms::default(),
            expiry_at,
            image: Arc::default(),
            incoming: None,
        }
    }

    /// Becomes what a record says.
    pub(crate) fn replay(&mut self, record: GroupRecord) {
        match record {
            GroupRecord::OffsetCommit(key, value) => {
                let group = key.group.clone();
                let commits = value.is_some();
                self.offsets.replay(key, value);
                if commits {
                    self.classic_or_new(&group);
                } else {
                    self.drop_if_nothing(&group);
                }
            }
            GroupRecord::GroupMetadata(key, Some(value)) => {
                let id = key.group;
                match self.take_incoming(&id) {
                    Some(group @ Group::Classic(_)) => {
                        self.groups.insert(id.clone(), group);
                    }
                    _ if matches!(self.groups.get(&id), Some(Group::Consumer(_))) => {
                        self.groups.remove(&id);
                    }
                    _ => {}
                }
                if let Some(group) = self.classic_or_new(&id) {
                    group.replay(value);
                    let wake_at = group.wake_at();
                    self.alarms.set(&id, wake_at);
                }
            }
            GroupRecord::GroupMetadata(key, None) => {
                if matches!(self.groups.get(&key.group), Some(Group::Classic(_))) {
                    self.remove(&key.group);
                }
            }
            GroupRecord::ConsumerGroupMetadata(key, None) => {
                if matches!(self.groups.get(&key.group_id), Some(Group::Consumer(_))) {
                    self.remove(&key.group_id);
                }
            }
            record => self.replay_consumer(record),
        }
    }

    /// A record of a KIP-848 group; one that deletes says nothing to a group that is not there.
    fn replay_consumer(&mut self, record: GroupRecord) {
        let Some(id) = consumer::group_of(&record).cloned() else { return };
        if !record.is_tombstone() && !matches!(self.groups.get(&id), Some(Group::Consumer(_))) {
            let group = match self.take_incoming(&id) {
                Some(Group::Consumer(group)) => group,
                _ => ConsumerGroup::new(id.clone()),
            };
            self.alarms.set(&id, group.wake_at());
            self.groups.insert(id.clone(), Group::Consumer(group));
        }
        if let Some(group) = self.groups.get_mut(&id).and_then(Group::consumer) {
            group.replay(record);
        }
    }

    /// What the last decision knows of a group beside its records.
    fn take_incoming(&mut self, id: &Text) -> Option<Group> {
        self.incoming.take_if(|group| group.id() == id)
    }

    /// Forgets a group; what is left of it are its offsets.
    fn remove(&mut self, id: &Text) {
        self.groups.remove(id);
        self.alarms.set(id, None);
        if self.offsets.has(id) {
            self.classic_or_new(id);
        }
    }

    /// The cluster has changed.
    pub(crate) fn see(&mut self, image: Arc<MetadataImage>) {
        self.image = image;
    }

    /// The log was read to its end.
    pub(crate) fn loaded(&mut self, now: Now) {
        self.expiry_at = now.at + self.limits.expiry_interval;
        for (id, group) in &mut self.groups {
            match group {
                Group::Classic(group) => group.loaded(now),
                Group::Consumer(group) => group.loaded(now, &self.limits, &self.image),
            }
            self.alarms.set(id, group.wake_at());
        }
    }

    /// When it wants to be woken.
    pub(crate) fn wake_at(&self) -> Duration {
        self.alarms.first().map_or(self.expiry_at, |at| at.min(self.expiry_at))
    }

    /// How many groups there are, by type and state.
    fn census(&self) -> BTreeMap<Label, usize> {
        let mut census = BTreeMap::new();
        for group in self.groups.values() {
            *census.entry(group.label()).or_default() += 1;
        }
        census
    }

    /// How many groups there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.groups.len()
    }

    /// A classic group.
    #[cfg(test)]
    pub(crate) fn classic(&self, id: &str) -> Option<&ClassicGroup> {
        match self.groups.get(id)? {
            Group::Classic(group) => Some(group),
            Group::Consumer(_) => None,
        }
    }

    /// A committed offset.
    #[cfg(test)]
    pub(crate) fn committed(
        &self,
        group: &str,
        topic: &str,
        partition: i32,
    ) -> Option<&super::offsets::Committed> {
        self.offsets.get(group, topic, partition)
    }

    /// Decides what comes of a command.
    pub(crate) fn decide(&mut self, now: Now, to: ReplyTo, command: Command) -> Decision {
        let limits = self.limits;
        let mut turn = Turn::new(now, &limits);
        self.incoming = None;
        match command {
            Command::Join(join) => self.join(&mut turn, to, &join),
            Command::Sync(request) => self.sync(&mut turn, to, &request),
            Command::Heartbeat(request) => self.heartbeat(&mut turn, to, &request),
            Command::ConsumerBeat(beat) => self.consumer_beat(&mut turn, to, &beat),
            Command::Leave(request) => self.leave(&mut turn, to, &request),
            Command::Commit(commit) => self.commit(&mut turn, to, &commit),
            Command::FetchOffsets { group, wanted, member } => {
                match self.may_fetch(&group, member) {
                    Ok(()) => turn.reply(to, self.offsets.fetch(&group, wanted.as_ref())),
                    Err(error) => turn.refuse(to, error),
                }
            }
            Command::DeleteOffsets(request) => self.delete_offsets(&mut turn, to, &request),
            Command::Describe { group, version } => {
                turn.reply(to, self.describe(group, version));
            }
            Command::DescribeConsumers { group } => {
                turn.reply(to, self.describe_consumers(group));
            }
            Command::List(request) => turn.reply(to, self.list(&request)),
            Command::Survey => {
                turn.reply(to, Survey { groups: self.census(), offsets: self.offsets.all() });
            }
            Command::Delete { group } => self.delete(&mut turn, to, group),
        }
        self.incoming = turn.becomes;
        turn.out
    }

    /// Nobody waits for this answer any more.
    pub(crate) fn abandoned(&mut self, now: Now, group: &Text, to: ReplyTo) -> Decision {
        self.with(now, group, |group, turn| group.abandoned(turn, to))
    }

    /// Does what is due of one group, or of the offsets; again until nothing more is.
    pub(crate) fn on_time(&mut self, now: Now) -> Decision {
        if self.expiry_at <= now.at {
            self.expiry_at = now.at + self.limits.expiry_interval;
            return self.expire(now);
        }
        let due = self.alarms.by_time.first().filter(|(at, _)| *at <= now.at);
        match due.map(|(_, group)| group.clone()) {
            Some(group) => self.wake(now, &group),
            None => Decision::default(),
        }
    }

    /// Forgets the offsets of topics that are not there any more.
    pub(crate) fn forget_topics(&mut self, now: Now, exists: TopicExists<'_>) -> Decision {
        let mut turn = Turn::new(now, &self.limits);
        self.offsets.forget_topics(&mut turn, exists);
        turn.out
    }

    fn wake(&mut self, now: Now, id: &Text) -> Decision {
        let limits = self.limits;
        let mut turn = Turn::new(now, &limits);
        match self.groups.get_mut(id) {
            Some(Group::Classic(group)) => group.on_time(&mut turn),
            Some(Group::Consumer(group)) => group.on_time(&mut turn, &self.image),
            None => {}
        }
        self.settle(id);
        self.incoming = turn.becomes;
        turn.out
    }

    fn with(
        &mut self,
        now: Now,
        id: &Text,
        work: impl FnOnce(&mut ClassicGroup, &mut Turn<'_>),
    ) -> Decision {
        let limits = self.limits;
        let mut turn = Turn::new(now, &limits);
        self.incoming = None;
        if let Some(group) = self.groups.get_mut(id).and_then(Group::classic) {
            work(group, &mut turn);
            self.settle(id);
        }
        turn.out
    }

    /// After a group has been worked on: sets its alarm, or forgets it when nothing is left of it.
    fn settle(&mut self, id: &Text) {
        let wake_at = self.groups.get(id).and_then(Group::wake_at);
        self.alarms.set(id, wake_at);
        self.drop_if_nothing(id);
    }

    fn drop_if_nothing(&mut self, id: &Text) {
        let nothing = |group: &Group| group.is_vacant() && !group.is_recorded();
        if self.groups.get(id).is_some_and(nothing) && !self.offsets.has(id) {
            self.groups.remove(id);
            self.alarms.set(id, None);
        }
    }

    fn classic_or_new(&mut self, id: &Text) -> Option<&mut ClassicGroup> {
        let group = self.groups.entry(id.clone());
        group.or_insert_with(|| Group::Classic(ClassicGroup::new(id.clone()))).classic()
    }

    fn describe_consumers(&mut self, id: Text) -> consumer_group_describe::DescribedGroup {
        let message = match self.groups.get_mut(&id) {
            Some(Group::Consumer(group)) => return group.describe(&self.limits, &self.image),
            Some(Group::Classic(_)) => format!("Group {id} is not a consumer group."),
            None => format!("Group {id} not found."),
        };
        consumer_group_describe::DescribedGroup {
            error_code: ErrorCode::GroupIdNotFound.code(),
            error_message: Some(message.into()),
            group_id: id,
            ..consumer_group_describe::DescribedGroup::default()
        }
    }

    fn delete_offsets(&mut self, turn: &mut Turn<'_>, to: ReplyTo, request: &OffsetDeleteRequest) {
        match self.groups.get_mut(&request.group_id) {
            None => turn.refuse(to, ErrorCode::GroupIdNotFound),
            Some(Group::Classic(group)) if !group.is_of_consumers() => {
                turn.refuse(to, ErrorCode::NonEmptyGroup);
            }
            Some(Group::Consumer(group)) => {
                let answer = self.offsets.delete(turn, request, |topic| group.may_forget(topic));
                turn.reply(to, answer);
            }
            Some(Group::Classic(group)) => {
                let answer = self.offsets.delete(turn, request, |topic| group.may_forget(topic));
                turn.reply(to, answer);
            }
        }
        turn.out.apart = turn.out.records.len();
    }

    fn describe(&self, id: Text, version: i16) -> DescribedGroup {
        match self.groups.get(&id) {
            Some(Group::Classic(group)) => group.describe(),
            other if version >= DESCRIBE_ABSENT_VERSION => DescribedGroup {
                error_code: ErrorCode::GroupIdNotFound.code(),
                error_message: Some(match other {
                    Some(_) => format!("Group {id} is not a classic group.").into(),
                    None => format!("Group {id} not found.").into(),
                }),
                group_state: DEAD.into(),
                group_id: id,
                ..DescribedGroup::default()
            },
            _ => DescribedGroup {
                group_state: DEAD.into(),
                group_id: id,
                ..DescribedGroup::default()
            },
        }
    }

    fn list(&self, request: &ListGroupsRequest) -> ListGroupsResponse {
        let asked = |filter: &[Text], value: &str| {
            filter.is_empty() || filter.iter().any(|word| word.eq_ignore_ascii_case(value))
        };
        let groups = self.groups.values().map(Group::list).filter(|it| {
            asked(&request.states_filter, &it.group_state)
                && asked(&request.types_filter, &it.group_type)
        });
        ListGroupsResponse { groups: groups.collect(), ..ListGroupsResponse::default() }
    }

    fn delete(&mut self, turn: &mut Turn<'_>, to: ReplyTo, id: Text) {
        let group = self.groups.get(&id);
        let allowed = group.map_or(Err(ErrorCode::GroupIdNotFound), Group::may_delete);
        if allowed.is_ok() {
            self.offsets.forget_group(turn, &id);
            // The group goes last: as long as it has offsets it can be deleted again.
            turn.out.apart = turn.out.records.len();
            self.bury(turn, &id);
        }
        let error_code = allowed.err().unwrap_or(ErrorCode::None).code();
        turn.reply(to, DeletableGroupResult { group_id: id, error_code });
    }

    /// Writes that a group, which has no members, is no more.
    fn bury(&self, turn: &mut Turn<'_>, id: &Text) {
        match self.groups.get(id) {
            Some(Group::Consumer(group)) => group.bury(turn),
            _ => turn.record(group_tombstone(id)),
        }
    }

    /// Forgets what has expired, and groups of which nothing is left: so many at a time.
    fn expire(&mut self, now: Now) -> Decision {
        let mut turn = Turn::new(now, &self.limits);
        for (id, group) in &self.groups {
            let aging = match group {
                Group::Classic(group) if group.state() == State::Empty => {
                    group.empty_since_ms().map_or(Aging::EachFromCommit, Aging::Since)
                }
                Group::Consumer(group) if group.is_empty() => Aging::Since(group.empty_since_ms()),
                _ => Aging::No,
            };
            let none_left = self.offsets.expire(&mut turn, id, aging);
            if none_left && group.is_vacant() && group.is_recorded() {
                self.bury(&mut turn, id);
            }
            if turn.out.records.len() >= EXPIRED_AT_ONCE {
                // The rest soon, when others have had their turn; what is done is not met again.
                self.expiry_at = now.at + EXPIRY_PAUSE;
                break;
            }
        }
        turn.out
    }
}

/// Records after which the search for expired offsets lets others have their turn.
const EXPIRED_AT_ONCE: usize = 10_000;

/// How long it then pauses.
const EXPIRY_PAUSE: Duration = Duration::from_secs(1);

/// Kafka's name for the state of a group that is not there.
const DEAD: &str = "Dead";

fn group_tombstone(group: &Text) -> GroupRecord {
    GroupRecord::GroupMetadata(GroupMetadataKey { group: group.clone() }, None)
}
