//! A whole group coordinator: clients of both protocols that do what clients do, also in one group, strangers
//! that do anything, time that passes, a log that fails and is compacted, a broker that dies.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use duramen::coordinator::rehearsal::{Rehearsal, Request, Response, Token};
use duramen::metadata::{
    ConfigResource, MetadataImage, PartitionImage, Provenance, Replay, record,
};
use duramen_protocol::consumer_protocol::{ConsumerProtocolAssignment, TopicPartition};
use duramen_protocol::error::ErrorCode;
use duramen_protocol::group_records::GroupRecord;
use duramen_protocol::messages::consumer_group_describe::DescribedGroup as DescribedConsumers;
use duramen_protocol::messages::consumer_group_heartbeat::TopicPartitions;
use duramen_protocol::messages::describe_groups::DescribedGroup;
use duramen_protocol::messages::join_group::JoinGroupRequestProtocol;
use duramen_protocol::messages::leave_group::MemberIdentity;
use duramen_protocol::messages::offset_commit::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use duramen_protocol::messages::offset_delete::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use duramen_protocol::messages::sync_group::SyncGroupRequestAssignment;
use duramen_protocol::messages::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, HeartbeatRequest,
    JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, ListGroupsRequest, OffsetCommitRequest,
    OffsetDeleteRequest, SyncGroupRequest,
};
use duramen_protocol::text::Text;
use uuid::Uuid;

/// Steps of one play: what comes behind them is not looked at.
const STEPS_MAX: usize = 250;

const GROUPS: [&str; 3] = ["one", "two", "three"];
const TOPICS: [&str; 3] = ["orders", "order-lines", "bills"];
const CLIENTS: usize = 6;
/// The topic that classic clients read.
const TOPIC: &str = "orders";
/// How long offsets of a group without members are kept, as the shard has it.
const RETENTION_MS: i64 = 3_600_000;
const WAITS_MS: [u64; 8] = [1, 60, 700, 3_001, 10_001, 45_001, 601_000, 3_700_000];

/// Bytes as decisions: the first six say who plays; then one picks what happens, those behind it how.
pub fn coordinator(data: &[u8]) {
    let mut script = Script(data);
    let mut play = Play::new(&mut script);
    for _ in 0..STEPS_MAX {
        let Some(step) = script.next() else { break };
        play.step(step, &mut script);
        play.check();
    }
    play.crash(false);
    play.crash(true);
}

struct Script<'a>(&'a [u8]);

impl Script<'_> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::from(self.next().unwrap_or(0)) % end
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}

type Holds = BTreeSet<(Uuid, i32)>;

#[derive(Debug, Clone, PartialEq)]
enum Doing {
    Nothing,
    Joining(Token),
    /// In this generation, of this life of the group.
    Syncing(Token, i32, u32),
    /// In this generation. Before it joins again it gives up what it holds.
    Reading(i32, Holds),
}

/// A client that does what its protocol asks of it.
#[derive(Debug)]
struct Client {
    group: usize,
    modern: bool,
    id: Text,
    instance: Option<Text>,
    version: i16,
    /// As a member of a classic group.
    doing: Doing,
    /// As a member of a KIP-848 group: its epoch, what it reads, and what it was told to read.
    epoch: i32,
    holds: Holds,
    told: Holds,
}

impl Client {
    fn new(number: u64, choice: u8) -> Self {
        let pick = usize::from(choice);
        let modern = pick % 2 == 0;
        Self {
            group: [0, 0, 0, 1, 1, 2][pick / 2 % 6],
            modern,
            id: if modern { Text::from(format!("client-{number}")) } else { Text::EMPTY },
            instance: (pick / 12 % 4 == 3)
                .then(|| Text::from(format!("instance-{}", pick / 48 % 2))),
            version: if modern { 1 } else { [9, 5, 2][pick / 48 % 3] },
            doing: Doing::Nothing,
            epoch: 0,
            holds: Holds::new(),
            told: Holds::new(),
        }
    }

    fn group(&self) -> Text {
        GROUPS[self.group].into()
    }

    /// It is a member no more.
    fn forget(&mut self) {
        self.doing = Doing::Nothing;
        self.epoch = 0;
        self.holds.clear();
        self.told.clear();
        if !self.modern {
            self.id = Text::EMPTY;
        }
    }
}

/// An offset that was committed.
#[derive(Debug, Clone, Copy)]
struct Kept {
    offset: i64,
    at_ms: i64,
    /// Its topic is gone, or someone asked to delete it: it may be there or not.
    may_go: bool,
}

struct Play {
    shard: Rehearsal,
    clients: Vec<Client>,
    topics: BTreeMap<&'static str, (Uuid, i32)>,
    sessions: BTreeSet<usize>,
    made: u64,
    committed: BTreeMap<(usize, Text, i32), Kept>,
    /// Who was told to read a partition of a classic group: by group, generation, partition.
    owners: BTreeMap<(usize, i32, i32), Text>,
    /// How often it was seen that a group is no classic one.
    lives: [u32; GROUPS.len()],
}

impl Play {
    fn new(script: &mut Script<'_>) -> Self {
        let mut play = Self {
            shard: Rehearsal::hasty(),
            clients: Vec::new(),
            topics: BTreeMap::from([("orders", (Uuid::from_u128(1), 3))]),
            sessions: BTreeSet::new(),
            made: 100,
            committed: BTreeMap::new(),
            owners: BTreeMap::new(),
            lives: [0; GROUPS.len()],
        };
        for _ in 0..CLIENTS {
            play.made += 1;
            play.clients.push(Client::new(play.made, script.next().unwrap_or(0)));
        }
        play.publish();
        play
    }

    fn publish(&mut self) {
        self.made += 1;
        let mut replay = Replay::new(&Arc::new(MetadataImage::default()));
        for (name, (id, count)) in &self.topics {
            replay.apply(&record::topic(name, *id)).unwrap();
            for index in 0..*count {
                replay.apply(&record::partition(*id, index, &partition())).unwrap();
            }
        }
        for group in &self.sessions {
            let resource = ConfigResource::group(GROUPS[*group]);
            let session = record::config(&resource, "consumer.session.timeout.ms", Some("6000"));
            replay.apply(&session).unwrap();
        }
        let offset = i64::try_from(self.made).unwrap();
        let delta = replay.finish(Provenance { offset, epoch: 1, timestamp: 0 });
        self.shard.see(Arc::clone(delta.after()));
    }

    fn step(&mut self, step: u8, script: &mut Script<'_>) {
        let client = usize::from(step) / 32 % CLIENTS;
        match step % 32 {
            0..13 => self.act(client, script),
            13..16 => self.commit_as(client, script),
            16 => self.commit_alone(script),
            17..20 => self.shard.pass(Duration::from_millis(script.pick(&WAITS_MS))),
            20 => self.leave(client, script),
            21 => {
                self.made += 1;
                self.clients[client] = Client::new(self.made, script.next().unwrap_or(0));
            }
            22 => self.shard.fail_next_append(),
            23 => self.change_topics(script),
            24 => self.crash(false),
            25 => self.crash(true),
            26 => self.delete_group(script),
            27 => self.delete_offsets(script),
            28 => self.abandon(client),
            29 => {
                let group = script.below(GROUPS.len());
                if !self.sessions.remove(&group) {
                    self.sessions.insert(group);
                }
                self.publish();
            }
            _ => self.stranger(script),
        }
    }

    /// Asks what is answered at once.
    fn ask(&mut self, version: i16, request: Request) -> Result<Response, ErrorCode> {
        self.made += 1;
        let token = self.shard.ask_for(version, self.made, request);
        self.shard.answer(token).expect("an answer at once")
    }

    fn act(&mut self, index: usize, script: &mut Script<'_>) {
        let mood = script.next().unwrap_or(0);
        if self.clients[index].modern {
            self.act_modern(index, mood);
            return;
        }
        match self.clients[index].doing.clone() {
            Doing::Nothing => self.join(index),
            Doing::Joining(token) => {
                if let Some(answer) = self.shard.answer(token) {
                    self.joined(index, answer);
                }
            }
            Doing::Syncing(token, generation, life) => {
                if let Some(answer) = self.shard.answer(token) {
                    self.synced(index, generation, life, answer);
                }
            }
            Doing::Reading(generation, _) => {
                let client = &self.clients[index];
                let request = HeartbeatRequest {
                    group_id: client.group(),
                    generation_id: generation,
                    member_id: client.id.clone(),
                    group_instance_id: client.instance.clone(),
                };
                let answer = self.ask(4, Request::Heartbeat(request));
                let Ok(Response::Heartbeat(answer)) = answer else { return };
                self.heard(index, ErrorCode::from_code(answer.error_code));
            }
        }
    }

    fn heard(&mut self, index: usize, code: ErrorCode) {
        match code {
            ErrorCode::None | ErrorCode::NotCoordinator => {}
            ErrorCode::UnknownMemberId | ErrorCode::FencedInstanceId => {
                self.clients[index].forget();
            }
            _ => self.clients[index].doing = Doing::Nothing,
        }
    }

    fn join(&mut self, index: usize) {
        self.made += 1;
        let client = &mut self.clients[index];
        let request = JoinGroupRequest {
            group_id: client.group(),
            session_timeout_ms: 10_000,
            rebalance_timeout_ms: 30_000,
            member_id: client.id.clone(),
            group_instance_id: client.instance.clone(),
            protocol_type: "consumer".into(),
            protocols: vec![JoinGroupRequestProtocol {
                name: "range".into(),
                metadata: Bytes::from_static(b"\0\0\0\0\0\x01\0\x06orders\xff\xff\xff\xff"),
            }],
            ..JoinGroupRequest::default()
        };
        let token = self.shard.ask_for(client.version, self.made, Request::Join(request));
        client.doing = Doing::Joining(token);
    }

    fn joined(&mut self, index: usize, answer: Result<Response, ErrorCode>) {
        let client = &mut self.clients[index];
        client.doing = Doing::Nothing;
        let Ok(Response::Join(answer)) = answer else { return };
        match ErrorCode::from_code(answer.error_code) {
            ErrorCode::None => {
                client.id = answer.member_id.clone();
                self.sync(index, &answer);
            }
            ErrorCode::MemberIdRequired => client.id = answer.member_id,
            ErrorCode::UnknownMemberId | ErrorCode::FencedInstanceId => client.forget(),
            _ => {}
        }
    }

    fn sync(&mut self, index: usize, joined: &JoinGroupResponse) {
        let client = &mut self.clients[index];
        let count = self.topics.get(TOPIC).map_or(0, |(_, count)| *count);
        let mut shares: BTreeMap<&Text, Vec<i32>> = BTreeMap::new();
        if joined.leader == joined.member_id && !joined.skip_assignment {
            let members = joined.members.iter().map(|it| &it.member_id).cycle();
            for (partition, owner) in (0..count).zip(members) {
                shares.entry(owner).or_default().push(partition);
            }
        }
        let assignment = |(member_id, share): (&Text, Vec<i32>)| SyncGroupRequestAssignment {
            member_id: member_id.clone(),
            assignment: assignment(share),
        };
        let request = SyncGroupRequest {
            group_id: client.group(),
            generation_id: joined.generation_id,
            member_id: joined.member_id.clone(),
            group_instance_id: client.instance.clone(),
            assignments: shares.into_iter().map(assignment).collect(),
            ..SyncGroupRequest::default()
        };
        self.made += 1;
        let token = self.shard.ask_for(5, self.made, Request::Sync(request));
        client.doing = Doing::Syncing(token, joined.generation_id, self.lives[client.group]);
    }

    fn synced(
        &mut self,
        index: usize,
        generation: i32,
        life: u32,
        answer: Result<Response, ErrorCode>,
    ) {
        let code = match answer {
            Ok(Response::Sync(answer)) if answer.error_code == 0 => {
                let client = &mut self.clients[index];
                let share = assigned(&answer.assignment);
                let id = self.topics.get(TOPIC).map_or(Uuid::nil(), |(id, _)| *id);
                let holds = share.iter().map(|partition| (id, *partition)).collect();
                client.doing = Doing::Reading(generation, holds);
                let name = client.instance.clone().unwrap_or_else(|| client.id.clone());
                // An answer of a group that was there before says nothing of this one.
                for partition in share.into_iter().filter(|_| life == self.lives[client.group]) {
                    let at = (client.group, generation, partition);
                    let other = self.owners.insert(at, name.clone());
                    assert!(other.is_none_or(|it| it == name), "two own {at:?}");
                }
                return;
            }
            Ok(Response::Sync(answer)) => ErrorCode::from_code(answer.error_code),
            Ok(_) => return,
            Err(code) => code,
        };
        self.clients[index].doing = Doing::Nothing;
        self.heard(index, code);
    }

    /// A heartbeat of KIP-848: the client gives up what it was not told to have any more, takes what it
    /// was told, and says so; or it is slow, or the answer is lost.
    fn act_modern(&mut self, index: usize, mood: u8) {
        let client = &mut self.clients[index];
        if client.epoch == 0 {
            client.holds.clear();
        } else if mood % 4 != 1 {
            client.holds.clone_from(&client.told);
        }
        let by_regex = index % 3 == 1;
        let says_all = mood % 8 < 5 || client.epoch == 0;
        let request = ConsumerGroupHeartbeatRequest {
            group_id: client.group(),
            member_id: client.id.clone(),
            member_epoch: client.epoch,
            instance_id: client.instance.clone(),
            rebalance_timeout_ms: if says_all { 30_000 + i32::from(mood) } else { -1 },
            subscribed_topic_names: says_all.then(|| match by_regex {
                true => Vec::new(),
                false => vec!["orders".into(), "bills".into()],
            }),
            subscribed_topic_regex: (says_all && by_regex).then(|| match mood / 8 % 3 {
                0 => "order.*".into(),
                1 => ".*s".into(),
                _ => "(".into(),
            }),
            topic_partitions: Some(wire(&client.holds)),
            ..ConsumerGroupHeartbeatRequest::default()
        };
        let lost = mood >= 224;
        let answer = self.ask(1, Request::ConsumerBeat(request));
        let Ok(Response::ConsumerBeat(answer)) = answer else { return };
        let client = &mut self.clients[index];
        match ErrorCode::from_code(answer.error_code) {
            ErrorCode::None if lost => {}
            ErrorCode::None => took(client, answer),
            ErrorCode::InvalidRegularExpression => {}
            _ => client.forget(),
        }
    }

    fn leave(&mut self, index: usize, script: &mut Script<'_>) {
        let for_good = script.below(2) == 0;
        let client = &self.clients[index];
        if client.modern {
            let away = !for_good && client.instance.is_some();
            let request = ConsumerGroupHeartbeatRequest {
                group_id: client.group(),
                member_id: client.id.clone(),
                member_epoch: if away { -2 } else { -1 },
                instance_id: client.instance.clone(),
                ..ConsumerGroupHeartbeatRequest::default()
            };
            let left = self.ask(1, Request::ConsumerBeat(request));
            if let Ok(Response::ConsumerBeat(answer)) = left
                && answer.error_code == 0
            {
                self.clients[index].forget();
            }
            return;
        }
        let members =
            vec![MemberIdentity { member_id: client.id.clone(), ..MemberIdentity::default() }];
        let request =
            LeaveGroupRequest { group_id: client.group(), members, ..LeaveGroupRequest::default() };
        if self.ask(5, Request::Leave(request)).is_ok() {
            self.clients[index].forget();
        }
    }

    fn commit_as(&mut self, index: usize, script: &mut Script<'_>) {
        let client = &self.clients[index];
        let epoch = match &client.doing {
            _ if client.modern => client.epoch,
            Doing::Reading(generation, _) => *generation,
            _ => -1,
        };
        let (group, id) = (client.group, client.id.clone());
        self.commit(group, id, epoch, script);
    }

    /// As a tool that is no member.
    fn commit_alone(&mut self, script: &mut Script<'_>) {
        let group = script.below(GROUPS.len());
        self.commit(group, Text::EMPTY, -1, script);
    }

    /// Commits an offset that nobody has committed before, of a topic that is there.
    fn commit(&mut self, group: usize, member: Text, epoch: i32, script: &mut Script<'_>) {
        let topic = script.below(self.topics.len());
        let Some((name, (id, count))) = self.topics.iter().nth(topic) else { return };
        let (name, id) = (Text::from(*name), *id);
        let index = i32::from(script.next().unwrap_or(0)) % count;
        self.made += 1;
        let offset = i64::try_from(self.made).unwrap();
        let partition = OffsetCommitRequestPartition {
            partition_index: index,
            committed_offset: offset,
            ..OffsetCommitRequestPartition::default()
        };
        let request = OffsetCommitRequest {
            group_id: GROUPS[group].into(),
            generation_id_or_member_epoch: epoch,
            member_id: member,
            topics: vec![OffsetCommitRequestTopic {
                name: name.clone(),
                topic_id: id,
                partitions: vec![partition],
            }],
            ..OffsetCommitRequest::default()
        };
        let Ok(Response::Commit(answer)) = self.ask(9, Request::Commit(request)) else { return };
        if answer.topics[0].partitions[0].error_code == 0 {
            let kept = Kept { offset, at_ms: self.shard.wall_ms(), may_go: false };
            self.committed.insert((group, name, index), kept);
        }
    }

    fn change_topics(&mut self, script: &mut Script<'_>) {
        let name = script.pick(&TOPICS);
        self.made += 1;
        let (last, grows) = (self.topics.len() == 1, script.below(3) > 0);
        match self.topics.get_mut(name) {
            Some((_, count)) if grows => *count = (*count + 1).min(6),
            Some(_) if !last => {
                self.topics.remove(name);
                for ((_, topic, _), kept) in &mut self.committed {
                    kept.may_go |= *topic == name;
                }
            }
            Some(_) => {}
            None => {
                self.topics.insert(name, (Uuid::from_u128(self.made.into()), 2));
            }
        }
        self.publish();
    }

    fn delete_group(&mut self, script: &mut Script<'_>) {
        let group = script.below(GROUPS.len());
        let deleted = self.ask(2, Request::Delete(GROUPS[group].into()));
        if let Ok(Response::Delete(answer)) = deleted
            && answer.error_code == 0
        {
            self.committed.retain(|(of, ..), _| *of != group);
            self.owners.retain(|(of, ..), _| *of != group);
        }
    }

    fn delete_offsets(&mut self, script: &mut Script<'_>) {
        let group = script.below(GROUPS.len());
        let (name, index) = (script.pick(&TOPICS), i32::from(script.next().unwrap_or(0) % 6));
        let partition = OffsetDeleteRequestPartition { partition_index: index };
        let topics =
            vec![OffsetDeleteRequestTopic { name: name.into(), partitions: vec![partition] }];
        let request = OffsetDeleteRequest { group_id: GROUPS[group].into(), topics };
        let Ok(Response::DeleteOffsets(answer)) = self.ask(0, Request::DeleteOffsets(request))
        else {
            return;
        };
        if answer.topics.iter().all(|it| it.partitions.iter().all(|it| it.error_code == 0)) {
            self.committed.remove(&(group, name.into(), index));
        }
    }

    /// The client's connection ends.
    fn abandon(&mut self, index: usize) {
        let client = &mut self.clients[index];
        if let Doing::Joining(token) | Doing::Syncing(token, ..) = client.doing {
            client.doing = Doing::Nothing;
            let group = client.group();
            self.shard.abandon(&group, token);
        }
    }

    /// Someone sends what no client does.
    fn stranger(&mut self, script: &mut Script<'_>) {
        let group = Text::from(script.pick(&["one", "two", "three", "", "fourth"]));
        let id = Text::from(format!("stranger-{}", script.below(4)));
        let number = script.pick(&[-3, -2, -1, 0, 1, 2, 7, i32::MIN, i32::MAX]);
        self.made += 1;
        let request = match script.below(5) {
            0 => Request::Join(JoinGroupRequest {
                group_id: group,
                session_timeout_ms: script.pick(&[10_000, 50, number]),
                rebalance_timeout_ms: number,
                member_id: script.pick(&[&Text::EMPTY, &id]).clone(),
                protocol_type: Text::from(script.pick(&["consumer", "connect", ""])),
                protocols: vec![JoinGroupRequestProtocol {
                    name: Text::from(script.pick(&["range", "sticky"])),
                    metadata: Bytes::copy_from_slice(script.0.get(..8).unwrap_or_default()),
                }],
                ..JoinGroupRequest::default()
            }),
            1 => Request::Sync(SyncGroupRequest {
                group_id: group,
                generation_id: number,
                member_id: id,
                ..SyncGroupRequest::default()
            }),
            2 => Request::Heartbeat(HeartbeatRequest {
                group_id: group,
                generation_id: number,
                member_id: id,
                ..HeartbeatRequest::default()
            }),
            3 => Request::Leave(LeaveGroupRequest {
                group_id: group,
                members: vec![MemberIdentity { member_id: id, ..MemberIdentity::default() }],
                ..LeaveGroupRequest::default()
            }),
            _ => Request::ConsumerBeat(ConsumerGroupHeartbeatRequest {
                group_id: group,
                member_id: id,
                member_epoch: number,
                instance_id: script.pick(&[None, Some("instance-0")]).map(Text::from),
                rebalance_timeout_ms: script.pick(&[-1, 5_000, number]),
                subscribed_topic_names: Some(vec![Text::from(script.pick(&TOPICS))]),
                subscribed_topic_regex: script
                    .pick(&[None, Some("b.*"), Some("a{2,1}")])
                    .map(Text::from),
                topic_partitions: Some(Vec::new()),
                ..ConsumerGroupHeartbeatRequest::default()
            }),
        };
        let token = self.shard.ask_for(script.pick(&[1, 3, 5, 9]), self.made, request);
        // It does not care for the answer.
        let _ = self.shard.answer(token);
    }

    fn described(&mut self, group: usize) -> DescribedConsumers {
        match self.ask(1, Request::DescribeConsumers(GROUPS[group].into())) {
            Ok(Response::DescribeConsumers(described)) => described,
            other => panic!("{other:?}"),
        }
    }

    fn described_classic(&mut self, group: usize) -> DescribedGroup {
        match self.ask(6, Request::Describe(GROUPS[group].into())) {
            Ok(Response::Describe(described)) => described,
            other => panic!("{other:?}"),
        }
    }

    /// Whether a group has members, and whether it is there as a classic one.
    fn listed(&mut self) -> BTreeMap<Text, (bool, bool)> {
        let Ok(Response::List(listed)) = self.ask(5, Request::List(ListGroupsRequest::default()))
        else {
            panic!("no list");
        };
        let group = |group: duramen_protocol::messages::list_groups::ListedGroup| {
            let classic = &*group.group_type == "classic";
            (group.group_id, (&*group.group_state != "Empty", classic))
        };
        listed.groups.into_iter().map(group).collect()
    }

    fn check(&mut self) {
        let listed = self.listed();
        for (group, name) in GROUPS.into_iter().enumerate() {
            let (lives, classic) = listed.get(name).copied().unwrap_or_default();
            if !classic {
                // The next classic group of this name may begin with its first generation.
                self.owners.retain(|(of, ..), _| *of != group);
                self.lives[group] += 1;
            }
            self.check_offsets(group, lives);
            self.check_owners(group);
        }
    }

    /// What was committed is there, and nothing else; only without members it may have expired.
    fn check_offsets(&mut self, group: usize, lives: bool) {
        let Ok(Response::Offsets(found)) = self.ask(9, Request::Offsets(GROUPS[group].into()))
        else {
            panic!("no offsets");
        };
        let mut offsets = BTreeMap::new();
        for topic in found.topics {
            for partition in topic.partitions {
                let at = (topic.name.clone(), partition.partition_index);
                offsets.insert(at, partition.committed_offset);
            }
        }
        let now = self.shard.wall_ms();
        self.committed.retain(|(of, topic, index), kept| {
            if *of != group {
                return true;
            }
            let found = offsets.remove(&(topic.clone(), *index));
            if let Some(found) = found {
                assert_eq!(found, kept.offset, "{group} {topic} {index}");
                return true;
            }
            let expired = !lives && now - kept.at_ms >= RETENTION_MS;
            assert!(kept.may_go || expired, "{group} {topic} {index}: {kept:?} is lost");
            false
        });
        assert!(offsets.is_empty(), "{group}: {offsets:?} were never committed");
    }

    /// No two members have a partition: by what the group says, and by what clients read.
    fn check_owners(&mut self, group: usize) {
        let described = self.described(group);
        let mut given = Holds::new();
        let mut members = BTreeMap::new();
        for member in described.members {
            for topic in member.assignment.topic_partitions {
                for index in topic.partitions {
                    assert!(
                        given.insert((topic.topic_id, index)),
                        "{group}: {index} is given twice"
                    );
                }
            }
            members.insert(member.member_id, member.member_epoch);
        }
        let mut held = Holds::new();
        for client in &mut self.clients {
            if client.group != group {
                continue;
            }
            if !client.modern {
                // Whoever is in another epoch is told so before it may do anything.
                if let Doing::Reading(epoch, holds) = &client.doing
                    && members.get(&client.id) == Some(epoch)
                {
                    for partition in holds {
                        assert!(held.insert(*partition), "{group}: two clients read {partition:?}");
                    }
                }
                continue;
            }
            if !members.contains_key(&client.id) {
                // By the protocol's view it was fenced, and holds nothing any more.
                client.holds.clear();
                client.told.clear();
                continue;
            }
            for partition in &client.holds {
                assert!(held.insert(*partition), "{group}: two clients read {partition:?}");
            }
        }
    }

    /// The broker dies and reads its log again, as it was written or as compaction left it. What it had
    /// answered is the same: offsets, KIP-848 groups, and classic groups that were at rest.
    fn crash(&mut self, compact: bool) {
        let groups = 0..GROUPS.len();
        let consumers: Vec<_> = groups.clone().map(|group| self.described(group)).collect();
        let classic: Vec<_> = groups.clone().map(|group| self.described_classic(group)).collect();
        if compact {
            self.shard.crash_to(compacted(self.shard.log()));
        } else {
            self.shard.crash();
        }
        for client in &mut self.clients {
            // Whoever waited hears nothing, and asks anew.
            if !matches!(client.doing, Doing::Reading(..)) {
                client.doing = Doing::Nothing;
            }
        }
        for group in groups {
            let after = self.described(group);
            // What is said of a group that is not there differs: a classic one may be gone that had but
            // promised a place.
            if after.error_code == 0 || consumers[group].error_code == 0 {
                assert_eq!(after, consumers[group], "compacted: {compact}");
            }
            if &*classic[group].group_state == "Stable" {
                assert_eq!(self.described_classic(group), classic[group], "compacted: {compact}");
            }
        }
        self.check();
    }
}

/// What a leader assigns, and a coordinator.
fn assignment(partitions: Vec<i32>) -> Bytes {
    let topic = TopicPartition { topic: TOPIC.into(), partitions };
    let assignment =
        ConsumerProtocolAssignment { assigned_partitions: vec![topic], ..Default::default() };
    assignment.to_bytes(0).unwrap()
}

fn assigned(assignment: &Bytes) -> Vec<i32> {
    if assignment.is_empty() {
        return Vec::new();
    }
    let assignment = ConsumerProtocolAssignment::from_bytes(assignment).unwrap();
    assignment.assigned_partitions.into_iter().flat_map(|topic| topic.partitions).collect()
}

fn took(client: &mut Client, answer: ConsumerGroupHeartbeatResponse) {
    client.epoch = answer.member_epoch;
    let Some(assignment) = answer.assignment else { return };
    client.told.clear();
    for topic in assignment.topic_partitions {
        client.told.extend(topic.partitions.into_iter().map(|index| (topic.topic_id, index)));
    }
}

fn wire(holds: &Holds) -> Vec<TopicPartitions> {
    let mut topics: BTreeMap<Uuid, Vec<i32>> = BTreeMap::new();
    for (topic, index) in holds {
        topics.entry(*topic).or_default().push(*index);
    }
    let topic = |(topic_id, partitions)| TopicPartitions { topic_id, partitions };
    topics.into_iter().map(topic).collect()
}

/// The newest record of each key, in the order of the log; what was deleted is gone.
fn compacted(log: &[GroupRecord]) -> Vec<GroupRecord> {
    let mut newest = BTreeMap::new();
    for (at, record) in log.iter().enumerate() {
        newest.insert(record.encode().unwrap().0, at);
    }
    let mut kept: Vec<usize> = newest.into_values().collect();
    kept.sort_unstable();
    let records = kept.into_iter().map(|at| &log[at]);
    records.filter(|record| !record.is_tombstone()).cloned().collect()
}

fn partition() -> PartitionImage {
    PartitionImage {
        replicas: vec![1],
        isr: vec![1],
        removing_replicas: Vec::new(),
        adding_replicas: Vec::new(),
        leader: 1,
        recovering: false,
        leader_epoch: 0,
        partition_epoch: 0,
        directories: vec![Uuid::from_u128(1)],
        eligible_leader_replicas: Vec::new(),
        last_known_elr: Vec::new(),
    }
}
