//! A model of one group whose members speak either protocol: clients that join, follow what they are
//! told, commit, leave, fall silent and come back, perhaps with the other protocol, so that the group
//! goes over and back all the time; a topic that grows; a log that fails; a broker that dies. At all
//! times what members in their epoch hold is disjoint, and what was committed is there. When all is
//! quiet, the group is stable, of the kind that its members are, and every partition has its owner.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use duramen_protocol::consumer_protocol::ConsumerProtocolSubscription;
use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::consumer_group_heartbeat::TopicPartitions;
use duramen_protocol::messages::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, JoinGroupResponse,
    SyncGroupResponse,
};
use duramen_protocol::text::Text;

use super::consumer::ID;
use super::consumer_model::cluster;
use super::world::{
    GROUP, TOPIC, World, assign_blob, beat, join_consumer, read_blob, syncing, with_seeds,
};
use crate::coordinator::command::ReplyTo;
use crate::env::Random;

/// Longer than any session, and than a member may take to join or to give up partitions.
const QUIET: u32 = 60;

/// What a client is about.
#[derive(Debug, Clone, PartialEq)]
enum Doing {
    /// It is to join, or join again.
    Nothing,
    Joining(ReplyTo),
    Syncing(ReplyTo),
    Reading,
}

#[derive(Debug)]
struct Client {
    /// The member id, empty when a classic client has none.
    id: Text,
    instance: Option<String>,
    /// It speaks the protocol of KIP-848.
    new: bool,
    doing: Doing,
    /// The member epoch or the generation; 0 for none.
    epoch: i32,
    holds: BTreeSet<i32>,
    /// What a KIP-848 client was told to have.
    told: BTreeSet<i32>,
    silent: bool,
}

struct Model {
    world: World,
    random: Random,
    clients: Vec<Client>,
    /// The classic clients keep what they have while they join (KIP-429).
    cooperative: bool,
    partitions: i32,
    metadata: i64,
    made: u32,
    committed: BTreeMap<i32, i64>,
    next_offset: i64,
    /// Whether clients that start speak the new protocol: none, some, or all of them.
    fashion: usize,
    /// How often the group was seen to have become one of the other kind.
    turns: usize,
    was_new: bool,
}

impl Client {
    /// It has lost its place, and what it had.
    fn forget(&mut self) {
        if !self.new {
            self.id = Text::EMPTY;
        }
        self.epoch = 0;
        self.holds.clear();
        self.told.clear();
        self.doing = Doing::Nothing;
    }

    /// It is to join again: an eager one gives up all that it has.
    fn rejoin(&mut self, cooperative: bool) {
        self.doing = Doing::Nothing;
        if !cooperative {
            self.holds.clear();
        }
    }
}

impl Model {
    fn new(seed: u64) -> Self {
        let client = |index: usize| Client {
            id: Text::EMPTY,
            instance: (index % 3 == 2).then(|| format!("instance-{index}")),
            new: false,
            doing: Doing::Nothing,
            epoch: 0,
            holds: BTreeSet::new(),
            told: BTreeSet::new(),
            silent: false,
        };
        let mut model = Self {
            world: World::new(),
            random: Random::from_seed(seed),
            clients: (0..4).map(client).collect(),
            cooperative: seed.is_multiple_of(2),
            partitions: 4,
            metadata: 0,
            made: 0,
            committed: BTreeMap::new(),
            next_offset: 1,
            fashion: 1,
            turns: 0,
            was_new: false,
        };
        model.publish();
        model
    }

    fn publish(&mut self) {
        self.metadata += 1;
        let topics = BTreeMap::from([(TOPIC.to_owned(), (ID, self.partitions))]);
        self.world.image = cluster(self.metadata, &topics);
        self.world.groups.see(self.world.image.clone());
    }

    fn below(&self, end: usize) -> usize {
        usize::try_from(self.random.below(end as u64)).unwrap()
    }

    fn step(&mut self) {
        let index = self.below(self.clients.len());
        match self.below(100) {
            0..2 => self.crash(),
            2..5 => self.world.fails = Some(ErrorCode::NotCoordinator),
            5 => {
                self.partitions = (self.partitions + 1).min(9);
                self.publish();
            }
            6..9 => self.clients[index].silent = true,
            9..16 => self.come_back(index),
            16..22 => self.leave(index),
            22 => self.fashion = self.below(3),
            23..40 => {
                let ms = self.random.below(4_000);
                self.world.pass_ms(ms);
            }
            _ => self.act(index),
        }
        self.check();
    }

    /// All that a KIP-848 group is, also without members, is in the log.
    fn crash(&mut self) {
        let consumers = |world: &mut World| {
            let group = world.described_consumers();
            (group.error_code == 0).then_some(group)
        };
        let before = consumers(&mut self.world);
        self.world.crash();
        assert_eq!(consumers(&mut self.world), before);
        for client in &mut self.clients {
            // Whoever waited hears nothing, and asks anew.
            if client.doing != Doing::Reading {
                client.doing = Doing::Nothing;
            }
        }
    }

    /// A client that was silent was only paused; or it starts anew, perhaps with the other protocol.
    fn come_back(&mut self, index: usize) {
        let anew = self.below(2) == 0;
        if std::mem::take(&mut self.clients[index].silent) && anew {
            self.start(index);
        }
    }

    fn start(&mut self, index: usize) {
        let new = self.fashion > self.below(2);
        self.made += 1;
        let id = Text::from(format!("client-{index}-{}", self.made));
        let client = &mut self.clients[index];
        client.new = new;
        client.forget();
        client.id = if new { id } else { Text::EMPTY };
        client.silent = false;
    }

    fn leave(&mut self, index: usize) {
        let client = &self.clients[index];
        if client.silent || client.epoch == 0 {
            return;
        }
        let id = client.id.clone();
        let left = match client.new {
            true => {
                let epoch = if client.instance.is_some() && self.below(2) == 0 { -2 } else { -1 };
                let request =
                    ConsumerGroupHeartbeatRequest { member_epoch: epoch, ..self.request(index) };
                self.beat(request).is_some_and(|answer| answer.error_code == 0)
            }
            false => self.world.leave(&id) == ErrorCode::None,
        };
        if left {
            self.start(index);
        }
    }

    fn act(&mut self, index: usize) {
        if self.clients[index].silent {
            return;
        }
        if self.below(3) == 0 {
            self.commit(index);
        }
        match (self.clients[index].new, self.clients[index].doing.clone()) {
            (true, _) => self.act_new(index),
            (false, Doing::Nothing) => self.join(index),
            (false, Doing::Joining(to)) => self.joined(index, to),
            (false, Doing::Syncing(to)) => self.synced(index, to),
            (false, Doing::Reading) => self.heartbeat(index),
        }
    }

    fn request(&self, index: usize) -> ConsumerGroupHeartbeatRequest {
        let client = &self.clients[index];
        ConsumerGroupHeartbeatRequest {
            group_id: GROUP.into(),
            member_id: client.id.clone(),
            member_epoch: client.epoch,
            instance_id: client.instance.as_deref().map(Text::from),
            rebalance_timeout_ms: 30_000,
            subscribed_topic_names: Some(vec![TOPIC.into()]),
            ..ConsumerGroupHeartbeatRequest::default()
        }
    }

    /// `None`: the log did not take the records.
    fn beat(
        &mut self,
        request: ConsumerGroupHeartbeatRequest,
    ) -> Option<ConsumerGroupHeartbeatResponse> {
        self.world.ask(beat(request, 1)).ok()
    }

    fn act_new(&mut self, index: usize) {
        let (lost, slow) = (self.below(8) == 0, self.below(4) == 0);
        let client = &mut self.clients[index];
        if client.epoch == 0 {
            client.holds.clear();
        } else if !slow {
            client.holds.clone_from(&client.told);
        }
        let owned =
            TopicPartitions { topic_id: ID, partitions: client.holds.iter().copied().collect() };
        let owned = if client.holds.is_empty() { Vec::new() } else { vec![owned] };
        let request =
            ConsumerGroupHeartbeatRequest { topic_partitions: Some(owned), ..self.request(index) };
        let Some(answer) = self.beat(request) else { return };
        let client = &mut self.clients[index];
        match ErrorCode::from_code(answer.error_code) {
            ErrorCode::None if lost => {}
            ErrorCode::None => {
                client.epoch = answer.member_epoch;
                if let Some(assignment) = answer.assignment {
                    let topics = assignment.topic_partitions.into_iter();
                    client.told = topics.flat_map(|topic| topic.partitions).collect();
                }
            }
            ErrorCode::FencedMemberEpoch
            | ErrorCode::UnknownMemberId
            | ErrorCode::GroupIdNotFound
            | ErrorCode::FencedInstanceId
            | ErrorCode::UnreleasedInstanceId => client.forget(),
            other => panic!("{other:?}: {:?}", answer.error_message),
        }
    }

    fn join(&mut self, index: usize) {
        let client = &self.clients[index];
        let version = [2, 5, 9][index % 3];
        let owned: Vec<i32> = client.holds.iter().copied().collect();
        let join = join_consumer(&client.id, client.instance.as_deref(), version, &owned);
        self.clients[index].doing = Doing::Joining(self.world.send(join));
    }

    fn joined(&mut self, index: usize, to: ReplyTo) {
        let Some(answer) = self.world.poll::<JoinGroupResponse>(to) else { return };
        let cooperative = self.cooperative;
        let client = &mut self.clients[index];
        client.doing = Doing::Nothing;
        let Ok(answer) = answer else { return };
        match ErrorCode::from_code(answer.error_code) {
            ErrorCode::None => {}
            ErrorCode::MemberIdRequired => {
                client.id = answer.member_id;
                return;
            }
            ErrorCode::UnknownMemberId | ErrorCode::FencedInstanceId => return client.forget(),
            ErrorCode::RebalanceInProgress => return client.rejoin(cooperative),
            ErrorCode::CoordinatorNotAvailable => return,
            code => panic!("{code} to a JoinGroup"),
        }
        client.id = answer.member_id.clone();
        client.epoch = answer.generation_id;
        let leads = answer.leader == answer.member_id && !answer.skip_assignment;
        let assignments = if leads { self.assign(&answer) } else { Vec::new() };
        let syncing = syncing(&answer.member_id, answer.generation_id, &assignments);
        self.clients[index].doing = Doing::Syncing(self.world.send(syncing));
    }

    /// As a cooperative assignor does it: what somebody owns moves only once it was given up. Eager
    /// members own nothing while they join.
    fn assign(&self, answer: &JoinGroupResponse) -> Vec<(Text, Bytes)> {
        let mut owners: BTreeMap<i32, usize> = BTreeMap::new();
        for (at, member) in answer.members.iter().enumerate() {
            let subscription = ConsumerProtocolSubscription::from_bytes(&member.metadata).unwrap();
            for partition in subscription.owned_partitions.iter().flat_map(|it| &it.partitions) {
                owners.entry(*partition).or_insert(at);
            }
        }
        let members = i32::try_from(answer.members.len()).unwrap();
        let quota = usize::try_from((self.partitions + members - 1) / members).unwrap();
        let mut assigned = vec![Vec::new(); answer.members.len()];
        for (partition, owner) in owners.iter().filter(|(it, _)| **it < self.partitions) {
            if assigned[*owner].len() < quota {
                assigned[*owner].push(*partition);
            }
        }
        for partition in (0..self.partitions).filter(|it| !owners.contains_key(it)) {
            let least = assigned.iter_mut().min_by_key(|own| own.len()).unwrap();
            least.push(partition);
        }
        let ids = answer.members.iter().map(|member| member.member_id.clone());
        ids.zip(assigned.iter().map(|own| assign_blob(own))).collect()
    }

    fn synced(&mut self, index: usize, to: ReplyTo) {
        let Some(answer) = self.world.poll::<SyncGroupResponse>(to) else { return };
        let cooperative = self.cooperative;
        let client = &mut self.clients[index];
        match answer {
            Ok(answer) => {
                let told: BTreeSet<i32> = match answer.assignment.is_empty() {
                    true => BTreeSet::new(),
                    false => read_blob(&answer.assignment).into_iter().collect(),
                };
                let gives_up = !client.holds.is_subset(&told);
                client.holds = told;
                client.doing = Doing::Reading;
                if gives_up {
                    client.rejoin(cooperative);
                }
            }
            Err(code) => self.told(index, code),
        }
    }

    fn heartbeat(&mut self, index: usize) {
        let client = &self.clients[index];
        let (id, epoch) = (client.id.clone(), client.epoch);
        let code = self.world.heartbeat(&id, epoch);
        self.told(index, code);
    }

    /// What a classic client makes of an error.
    fn told(&mut self, index: usize, code: ErrorCode) {
        let cooperative = self.cooperative;
        let client = &mut self.clients[index];
        match code {
            ErrorCode::None => {}
            ErrorCode::UnknownMemberId | ErrorCode::FencedInstanceId => client.forget(),
            ErrorCode::IllegalGeneration => {
                client.holds.clear();
                client.epoch = 0;
                client.rejoin(cooperative);
            }
            ErrorCode::RebalanceInProgress => client.rejoin(cooperative),
            ErrorCode::NotCoordinator => {
                if client.doing != Doing::Reading {
                    client.rejoin(cooperative);
                }
            }
            code => panic!("{code} to a classic member"),
        }
    }

    /// A member commits what it holds; what that does to it, it hears from its next heartbeat.
    fn commit(&mut self, index: usize) {
        let client = &self.clients[index];
        let Some(partition) = client.holds.first().copied() else { return };
        let (id, epoch, offset) = (client.id.clone(), client.epoch, self.next_offset);
        self.next_offset += 1;
        if self.world.commit(&id, epoch, partition, offset) == ErrorCode::None {
            self.committed.insert(partition, offset);
            assert!(self.current().contains_key(&id), "a commit of somebody who is no member");
        }
    }

    /// The members, and their epochs.
    fn current(&mut self) -> BTreeMap<Text, i32> {
        if let Some(group) = self.world.groups.classic(GROUP) {
            let generation = group.generation();
            let members = group.describe().members.into_iter();
            return members.map(|member| (member.member_id, generation)).collect();
        }
        let members = self.world.described_consumers().members.into_iter();
        members.map(|member| (member.member_id, member.member_epoch)).collect()
    }

    fn check(&mut self) {
        let members = self.current();
        let is_new = self.world.groups.classic(GROUP).is_none();
        self.turns += usize::from(!members.is_empty() && is_new != self.was_new);
        self.was_new = if members.is_empty() { self.was_new } else { is_new };
        let mut owners: BTreeMap<i32, Text> = BTreeMap::new();
        for client in &self.clients {
            // A classic member of another generation is told so before it may do anything.
            let stands = match client.new {
                true => is_new && members.contains_key(&client.id),
                false => members.get(&client.id) == Some(&client.epoch),
            };
            for partition in client.holds.iter().filter(|_| stands) {
                let other = owners.insert(*partition, client.id.clone());
                assert_eq!(other, None, "{partition} is held by {} too", client.id);
            }
        }
        for partition in 0..self.partitions {
            let kept = self.world.groups.committed(GROUP, TOPIC, partition);
            let model = self.committed.get(&partition).copied();
            assert_eq!(kept.map(|it| it.offset), model, "partition {partition}");
        }
    }

    /// No more faults: every client goes on, and time passes.
    fn quiet(&mut self) {
        self.world.fails = None;
        self.clients.iter_mut().for_each(|client| client.silent = false);
        for _ in 0..QUIET {
            self.world.pass(Duration::from_secs(2));
            for _ in 0..4 {
                (0..self.clients.len()).for_each(|index| self.act(index));
            }
            self.check();
        }
        let mut held: Vec<i32> = Vec::new();
        for client in &self.clients {
            assert!(client.new || client.doing == Doing::Reading, "{:?}", client.doing);
            held.extend(&client.holds);
        }
        held.sort_unstable();
        let all: Vec<i32> = (0..self.partitions).collect();
        assert_eq!(held, all, "each partition has one owner: {:?}", self.clients);
        assert_eq!(self.current().len(), self.clients.len());
        let any_new = self.clients.iter().any(|client| client.new);
        // What was written says it all.
        match self.world.groups.classic(GROUP).map(|group| (group.describe(), group.generation())) {
            Some(group) => {
                assert_eq!((&*group.0.group_state, any_new), ("Stable", false));
                self.world.crash();
                let after = self.world.groups.classic(GROUP).unwrap();
                assert_eq!((after.describe(), after.generation()), group);
            }
            None => {
                let group = self.world.described_consumers();
                assert_eq!((&*group.group_state, any_new), ("Stable", true));
                self.world.crash();
                assert_eq!(self.world.described_consumers(), group);
            }
        }
    }
}

/// Runs a model; how often the group changed sides.
fn run(seed: u64) -> usize {
    let mut model = Model::new(seed);
    for _ in 0..4 {
        for _ in 0..400 {
            model.step();
        }
        model.quiet();
    }
    model.turns
}

#[test]
fn a_group_of_both_protocols_has_one_owner_a_partition_and_loses_no_offset() {
    let turned = with_seeds(12, run);
    let (runs, turns) = (turned.len(), turned.iter().sum::<usize>());
    assert!(runs == 1 || turns > 4 * runs, "the group hardly changed sides: {turns} times");
}
