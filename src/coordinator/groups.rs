//! PURE. All that one shard knows: its groups, and the offsets they committed. `decide` says what
//! comes of a command, `on_time` of the clock; what is kept changes by `replay` alone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::group_records::{GroupMetadataKey, GroupRecord};
use duramen_protocol::messages::delete_groups::DeletableGroupResult;
use duramen_protocol::messages::describe_groups::DescribedGroup;
use duramen_protocol::messages::{
    HeartbeatRequest, HeartbeatResponse, LeaveGroupRequest, LeaveGroupResponse, ListGroupsRequest,
    ListGroupsResponse, OffsetDeleteRequest, SyncGroupRequest,
};
use duramen_protocol::text::Text;

use super::command::{
    Command, Commit, Decision, Join, Limits, Now, ReplyTo, Survey, TopicExists, Turn,
};
use super::group::classic::{ClassicGroup, State};
use super::group::{Group, Label};
use super::offsets::{Aging, Offsets};

/// First version of DescribeGroups in which a group that is not there is an error.
const DESCRIBE_ABSENT_VERSION: i16 = 6;

/// First version of OffsetCommit in which a group that is not there is told so.
const COMMIT_ABSENT_VERSION: i16 = 9;

/// The groups of one shard.
#[derive(Debug)]
pub(crate) struct Groups {
    limits: Limits,
    groups: BTreeMap<Text, Group>,
    offsets: Offsets,
    alarms: Alarms,
    /// When offsets are next looked through for those that have expired.
    expiry_at: Duration,
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
                if let Some(group) = self.classic_or_new(&key.group) {
                    group.replay(value);
                }
            }
            GroupRecord::GroupMetadata(key, None) => {
                self.groups.remove(&key.group);
                self.alarms.set(&key.group, None);
                if self.offsets.has(&key.group) {
                    self.classic_or_new(&key.group);
                }
            }
            // The groups of KIP-848 have records of their own.
            _ => {}
        }
    }

    /// The log was read to its end.
    pub(crate) fn loaded(&mut self, now: Now) {
        self.expiry_at = now.at + self.limits.expiry_interval;
        for (id, group) in &mut self.groups {
            let Some(group) = group.classic() else { continue };
            group.loaded(now);
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
        self.groups.get(id).map(|Group::Classic(group)| group)
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
        match command {
            Command::Join(join) => self.join(&mut turn, to, &join),
            Command::Sync(request) => self.sync(&mut turn, to, &request),
            Command::Heartbeat(request) => self.heartbeat(&mut turn, to, &request),
            Command::Leave(request) => self.leave(&mut turn, to, &request),
            Command::Commit(commit) => self.commit(&mut turn, to, &commit),
            Command::FetchOffsets { group, wanted } => {
                turn.reply(to, self.offsets.fetch(&group, wanted.as_ref()));
            }
            Command::DeleteOffsets(request) => self.delete_offsets(&mut turn, to, &request),
            Command::Describe { group, version } => {
                turn.reply(to, self.describe(group, version));
            }
            Command::List(request) => turn.reply(to, self.list(&request)),
            Command::Survey => {
                turn.reply(to, Survey { groups: self.census(), offsets: self.offsets.all() });
            }
            Command::Delete { group } => self.delete(&mut turn, to, group),
        }
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
            Some(group) => self.with(now, &group, ClassicGroup::on_time),
            None => Decision::default(),
        }
    }

    /// Forgets the offsets of topics that are not there any more.
    pub(crate) fn forget_topics(&mut self, now: Now, exists: TopicExists<'_>) -> Decision {
        let mut turn = Turn::new(now, &self.limits);
        self.offsets.forget_topics(&mut turn, exists);
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
        if let Some(group) = self.groups.get_mut(id).and_then(Group::classic) {
            work(group, &mut turn);
            self.settle(id);
        }
        turn.out
    }

    /// After a group has been worked on: sets its alarm, or forgets it when nothing is left of it.
    fn settle(&mut self, id: &Text) {
        let wake_at = self.groups.get_mut(id).and_then(Group::classic).and_then(|it| it.wake_at());
        self.alarms.set(id, wake_at);
        self.drop_if_nothing(id);
    }

    fn drop_if_nothing(&mut self, id: &Text) {
        let group = self.groups.get_mut(id).and_then(Group::classic);
        let nothing = |group: &mut ClassicGroup| group.is_vacant() && !group.is_recorded();
        if group.is_some_and(nothing) && !self.offsets.has(id) {
            self.groups.remove(id);
            self.alarms.set(id, None);
        }
    }

    fn classic_or_new(&mut self, id: &Text) -> Option<&mut ClassicGroup> {
        let group = self.groups.entry(id.clone());
        group.or_insert_with(|| Group::Classic(ClassicGroup::new(id.clone()))).classic()
    }

    fn join(&mut self, turn: &mut Turn<'_>, to: ReplyTo, join: &Join) {
        let request = &join.request;
        let id = &request.group_id;
        let known = self.groups.contains_key(id);
        let session = request.session_timeout_ms;
        let limits = turn.limits;
        let refused = if id.is_empty() {
            Some(ErrorCode::InvalidGroupId)
        } else if session < limits.session_timeout_min_ms || session > limits.session_timeout_max_ms
        {
            Some(ErrorCode::InvalidSessionTimeout)
        } else if !known && !request.member_id.is_empty() {
            Some(ErrorCode::UnknownMemberId)
        } else if !known && self.groups.len() >= limits.groups_max {
            Some(ErrorCode::CoordinatorNotAvailable)
        } else if join.bytes() > limits.member_bytes_max {
            Some(ErrorCode::InvalidRequest)
        } else {
            None
        };
        match (refused, self.classic_or_new_unless(refused.is_some(), id)) {
            (None, Some(group)) => group.join(turn, to, join),
            (refused, _) => {
                let code = refused.unwrap_or(ErrorCode::InconsistentGroupProtocol);
                let member_id = request.member_id.clone();
                turn.reply(to, super::group::classic::refused_join(member_id, code));
            }
        }
        self.settle(id);
    }

    fn classic_or_new_unless(&mut self, refused: bool, id: &Text) -> Option<&mut ClassicGroup> {
        if refused { None } else { self.classic_or_new(id) }
    }

    fn sync(&mut self, turn: &mut Turn<'_>, to: ReplyTo, request: &SyncGroupRequest) {
        match self.member_group(&request.group_id) {
            Ok(group) => group.sync(turn, to, request),
            Err(error) => turn.refuse(to, error),
        }
        self.settle(&request.group_id);
    }

    fn heartbeat(&mut self, turn: &mut Turn<'_>, to: ReplyTo, request: &HeartbeatRequest) {
        let outcome = self.member_group(&request.group_id);
        let outcome = outcome.and_then(|group| group.heartbeat(turn, request));
        let error_code = outcome.err().unwrap_or(ErrorCode::None).code();
        turn.reply(to, HeartbeatResponse { error_code, ..HeartbeatResponse::default() });
        self.settle(&request.group_id);
    }

    fn leave(&mut self, turn: &mut Turn<'_>, to: ReplyTo, request: &LeaveGroupRequest) {
        let answer = match self.member_group(&request.group_id) {
            Ok(group) => group.leave(turn, request),
            Err(ErrorCode::UnknownMemberId) => ClassicGroup::new(Text::EMPTY).leave(turn, request),
            Err(error) => {
                LeaveGroupResponse { error_code: error.code(), ..LeaveGroupResponse::default() }
            }
        };
        turn.reply(to, answer);
        self.settle(&request.group_id);
    }

    /// The group of a member: without it, nobody is a member.
    fn member_group(&mut self, id: &Text) -> Result<&mut ClassicGroup, ErrorCode> {
        if id.is_empty() {
            return Err(ErrorCode::InvalidGroupId);
        }
        let group = self.groups.get_mut(id).and_then(Group::classic);
        group.ok_or(ErrorCode::UnknownMemberId)
    }

    fn commit(&mut self, turn: &mut Turn<'_>, to: ReplyTo, commit: &Commit) {
        let request = &commit.request;
        let allowed = match self.groups.get_mut(&request.group_id) {
            Some(group) => match group.classic() {
                Some(group) => group.may_commit(turn, request),
                None => Err(ErrorCode::UnknownMemberId),
            },
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

    fn delete_offsets(&mut self, turn: &mut Turn<'_>, to: ReplyTo, request: &OffsetDeleteRequest) {
        let group = self.groups.get_mut(&request.group_id).and_then(Group::classic);
        match group {
            None => turn.refuse(to, ErrorCode::GroupIdNotFound),
            Some(group) if !group.is_of_consumers() => turn.refuse(to, ErrorCode::NonEmptyGroup),
            Some(group) => {
                let answer = self.offsets.delete(turn, request, |topic| group.may_forget(topic));
                turn.reply(to, answer);
            }
        }
    }

    fn describe(&self, id: Text, version: i16) -> DescribedGroup {
        match self.groups.get(&id) {
            Some(Group::Classic(group)) => group.describe(),
            None if version >= DESCRIBE_ABSENT_VERSION => DescribedGroup {
                error_code: ErrorCode::GroupIdNotFound.code(),
                error_message: Some(format!("Group {id} not found.").into()),
                group_state: DEAD.into(),
                group_id: id,
                ..DescribedGroup::default()
            },
            None => DescribedGroup {
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
        let groups = self.groups.values().map(|Group::Classic(group)| group.list()).filter(|it| {
            asked(&request.states_filter, &it.group_state)
                && asked(&request.types_filter, &it.group_type)
        });
        ListGroupsResponse { groups: groups.collect(), ..ListGroupsResponse::default() }
    }

    fn delete(&mut self, turn: &mut Turn<'_>, to: ReplyTo, id: Text) {
        let group = self.groups.get_mut(&id).and_then(Group::classic);
        let allowed = group.map_or(Err(ErrorCode::GroupIdNotFound), |group| group.may_delete());
        if allowed.is_ok() {
            self.offsets.forget_group(turn, &id);
            turn.record(group_tombstone(&id));
        }
        let error_code = allowed.err().unwrap_or(ErrorCode::None).code();
        turn.reply(to, DeletableGroupResult { group_id: id, error_code });
    }

    /// Forgets what has expired, and groups of which nothing is left: so many at a time.
    fn expire(&mut self, now: Now) -> Decision {
        let mut turn = Turn::new(now, &self.limits);
        for (id, Group::Classic(group)) in &self.groups {
            let aging = match group.state() {
                State::Empty => group.empty_since_ms().map_or(Aging::EachFromCommit, Aging::Since),
                _ => Aging::No,
            };
            let none_left = self.offsets.expire(&mut turn, id, aging);
            if none_left && group.is_vacant() && group.is_recorded() {
                turn.record(group_tombstone(id));
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
