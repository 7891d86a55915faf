//! A model of KIP-848 groups: clients that join, follow their assignments, leave, fall silent and
//! come back; topics that grow, come and go; a broker that dies. At all times what clients hold is
//! disjoint, as far as the coordinator has not fenced them. When all is quiet, every member is
//! stable and every partition has its owner.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::consumer_group_describe::DescribedGroup;
use duramen_protocol::messages::consumer_group_heartbeat::TopicPartitions;
use duramen_protocol::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};
use duramen_protocol::text::Text;
use uuid::Uuid;

use super::world::{GROUP, World, beat, with_seeds};
use crate::env::Random;
use crate::metadata::{ConfigResource, MetadataImage, PartitionImage, Provenance, Replay, record};

/// Longer than a session, and than a member may take to give up partitions.
const QUIET: Duration = Duration::from_secs(200);

/// A cluster with these topics, each with so many partitions.
pub(super) fn cluster(offset: i64, topics: &BTreeMap<String, (Uuid, i32)>) -> Arc<MetadataImage> {
    let mut replay = Replay::new(&Arc::default());
    for (name, (id, count)) in topics {
        replay.apply(&record::topic(name, *id)).unwrap();
        for index in 0..*count {
            replay.apply(&record::partition(*id, index, &partition())).unwrap();
        }
    }
    let delta = replay.finish(Provenance { offset, epoch: 1, timestamp: 0 });
    Arc::clone(delta.after())
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

type Holds = BTreeSet<(Uuid, i32)>;

#[derive(Debug)]
struct Client {
    id: Text,
    instance: Option<String>,
    epoch: i32,
    holds: Holds,
    /// It has been told to have this.
    told: Holds,
    silent: bool,
}

struct Model {
    world: World,
    random: Random,
    clients: Vec<Client>,
    topics: BTreeMap<String, (Uuid, i32)>,
    metadata: i64,
    made: u32,
}

fn set(topics: &[TopicPartitions]) -> Holds {
    let partitions = |it: &TopicPartitions| {
        let id = it.topic_id;
        it.partitions.clone().into_iter().map(move |index| (id, index))
    };
    topics.iter().flat_map(partitions).collect()
}

fn wire(holds: &Holds) -> Vec<TopicPartitions> {
    let mut topics: BTreeMap<Uuid, Vec<i32>> = BTreeMap::new();
    for (topic, index) in holds {
        topics.entry(*topic).or_default().push(*index);
    }
    let topic = |(topic_id, partitions)| TopicPartitions { topic_id, partitions };
    topics.into_iter().map(topic).collect()
}

impl Model {
    fn new(seed: u64) -> Self {
        let client = |index: usize| Client {
            id: format!("client-{index}").into(),
            instance: (index % 3 == 2).then(|| format!("instance-{index}")),
            epoch: 0,
            holds: Holds::new(),
            told: Holds::new(),
            silent: true,
        };
        let mut model = Self {
            world: World::new(),
            random: Random::from_seed(seed),
            clients: (0..5).map(client).collect(),
            topics: BTreeMap::from([("orders".to_owned(), (Uuid::from_u128(100), 4))]),
            metadata: 0,
            made: 100,
        };
        model.publish();
        model
    }

    fn publish(&mut self) {
        self.metadata += 1;
        self.world.image = cluster(self.metadata, &self.topics);
        self.world.groups.see(Arc::clone(&self.world.image));
    }

    fn below(&self, end: usize) -> usize {
        usize::try_from(self.random.below(end as u64)).unwrap()
    }

    fn step(&mut self) {
        let index = self.below(self.clients.len());
        match self.below(100) {
            0..2 => self.world.crash(),
            2..4 => self.world.fails = Some(ErrorCode::NotCoordinator),
            4..8 => self.change_topics(),
            8..12 => self.clients[index].silent = true,
            12..22 => self.clients[index].silent = false,
            22..26 => self.leave(index, -1),
            26..30 => self.leave(index, -2),
            30..45 => {
                let ms = self.random.below(9_000);
                self.pass(Duration::from_millis(ms));
            }
            _ => self.act(index),
        }
        self.check();
    }

    /// Time passes; who is fenced holds nothing any more by the protocol's view.
    fn pass(&mut self, time: Duration) {
        self.world.pass(time);
        let members = self.members();
        for client in self.clients.iter_mut().filter(|client| !members.contains(&client.id)) {
            client.holds.clear();
            client.told.clear();
        }
    }

    fn members(&mut self) -> BTreeSet<Text> {
        self.described().members.into_iter().map(|member| member.member_id).collect()
    }

    fn described(&mut self) -> DescribedGroup {
        self.world.described_consumers()
    }

    fn change_topics(&mut self) {
        self.made += 1;
        let name = ["orders", "order-lines", "payments"][self.below(3)].to_owned();
        match self.topics.get_mut(&name) {
            Some(_) if self.made.is_multiple_of(3) && name != "orders" => {
                self.topics.remove(&name);
            }
            Some((_, count)) => *count = (*count + 1).min(9),
            None => {
                self.topics.insert(name, (Uuid::from_u128(self.made.into()), 3));
            }
        }
        self.publish();
    }

    fn forget(&mut self, index: usize) {
        let client = &mut self.clients[index];
        client.epoch = 0;
        client.holds.clear();
        client.told.clear();
    }

    fn leave(&mut self, index: usize, epoch: i32) {
        let client = &self.clients[index];
        if client.silent || client.epoch == 0 || (epoch == -2 && client.instance.is_none()) {
            return;
        }
        let request = ConsumerGroupHeartbeatRequest {
            member_id: client.id.clone(),
            member_epoch: epoch,
            instance_id: client.instance.as_deref().map(Text::from),
            ..self.request()
        };
        let left = self.send(request);
        if left.is_some_and(|left| left.error_code == 0) {
            self.forget(index);
            self.clients[index].silent = true;
            if epoch == -2 {
                // It comes back under another id.
                self.made += 1;
                self.clients[index].id = format!("client-{index}-{}", self.made).into();
            }
        }
    }

    fn request(&self) -> ConsumerGroupHeartbeatRequest {
        ConsumerGroupHeartbeatRequest { group_id: GROUP.into(), ..Default::default() }
    }

    /// `None`: the answer was lost, or the log did not take the records.
    fn send(
        &mut self,
        request: ConsumerGroupHeartbeatRequest,
    ) -> Option<ConsumerGroupHeartbeatResponse> {
        self.world.ask(beat(request, 1)).ok()
    }

    /// A client does what a client does next: it gives up what it was not told to have any more,
    /// takes what it was told, and says so.
    fn act(&mut self, index: usize) {
        if self.clients[index].silent {
            return;
        }
        let lost = self.random.below(8) == 0;
        let slow = self.random.below(4) == 0;
        let request = self.next_request(index, slow);
        let Some(answer) = self.send(request) else { return };
        if lost && answer.error_code == 0 {
            return;
        }
        match ErrorCode::from_code(answer.error_code) {
            ErrorCode::None => {
                let client = &mut self.clients[index];
                client.epoch = answer.member_epoch;
                if let Some(assignment) = answer.assignment {
                    client.told = set(&assignment.topic_partitions);
                }
            }
            ErrorCode::FencedMemberEpoch
            | ErrorCode::UnknownMemberId
            | ErrorCode::GroupIdNotFound
            | ErrorCode::FencedInstanceId
            | ErrorCode::UnreleasedInstanceId => self.forget(index),
            other => panic!("{other:?}: {:?}", answer.error_message),
        }
    }

    fn next_request(&mut self, index: usize, slow: bool) -> ConsumerGroupHeartbeatRequest {
        let base = self.request();
        let client = &mut self.clients[index];
        if client.epoch == 0 {
            client.holds.clear();
        } else if !slow {
            client.holds.clone_from(&client.told);
        }
        // One of them reads what its expression says.
        let by_regex = index == 1;
        ConsumerGroupHeartbeatRequest {
            member_id: client.id.clone(),
            member_epoch: client.epoch,
            instance_id: client.instance.as_deref().map(Text::from),
            rebalance_timeout_ms: 30_000,
            subscribed_topic_names: Some(match by_regex {
                true => Vec::new(),
                false => vec!["orders".into(), "payments".into()],
            }),
            subscribed_topic_regex: by_regex.then(|| "order.*".into()),
            topic_partitions: Some(wire(&client.holds)),
            ..base
        }
    }

    /// No two members hold a partition.
    fn check(&mut self) {
        let members = self.members();
        let mut owners: BTreeMap<(Uuid, i32), Text> = BTreeMap::new();
        for client in self.clients.iter().filter(|client| members.contains(&client.id)) {
            for partition in &client.holds {
                let other = owners.insert(*partition, client.id.clone());
                assert_eq!(other, None, "{partition:?} is held by {} too", client.id);
            }
        }
        let mut given: BTreeMap<(Uuid, i32), Text> = BTreeMap::new();
        for member in self.described().members {
            for topic in member.assignment.topic_partitions {
                for index in topic.partitions {
                    let other = given.insert((topic.topic_id, index), member.member_id.clone());
                    assert_eq!(other, None, "{index} was given to {} too", member.member_id);
                }
            }
        }
    }

    /// A heartbeat whose answer comes.
    fn beat(&mut self, index: usize, slow: bool) {
        let request = self.next_request(index, slow);
        let answer = self.send(request).unwrap();
        if answer.error_code != 0 {
            self.forget(index);
            return;
        }
        self.clients[index].epoch = answer.member_epoch;
        if let Some(assignment) = answer.assignment {
            self.clients[index].told = set(&assignment.topic_partitions);
        }
        self.check();
    }

    /// Everyone comes, and hears and says all that there is.
    fn settle(&mut self) {
        self.world.fails = None;
        self.clients.iter_mut().for_each(|client| client.silent = false);
        for _ in 0..60 {
            (0..self.clients.len()).for_each(|index| self.beat(index, false));
            self.pass(Duration::from_secs(5));
        }
        let group = self.described();
        assert_eq!(&*group.group_state, "Stable", "{group:?}");
        assert_eq!(group.members.len(), self.clients.len());
        let held: Holds = self.clients.iter().flat_map(|client| client.holds.clone()).collect();
        let all = self.topics.values();
        let all: Holds =
            all.flat_map(|(id, count)| (0..*count).map(|index| (*id, index))).collect();
        assert_eq!(held, all);
        // What was written says it all.
        self.world.crash();
        assert_eq!(self.described(), group);
    }
}

/// The rebalance timeout that clients ask for, and ten seconds, which the group has as its session.
const STABLE_WITHIN: Duration = Duration::from_secs(30 + 10);

impl Model {
    /// A group of which all clients are members, whose session is ten seconds.
    fn stable(seed: u64) -> Self {
        let mut model = Self::new(seed);
        let mut replay = Replay::new(&model.world.image);
        let session = record::config(
            &ConfigResource::group(GROUP),
            "consumer.session.timeout.ms",
            Some("10000"),
        );
        replay.apply(&session).unwrap();
        let at = Provenance { offset: 2, epoch: 1, timestamp: 0 };
        model.world.image = Arc::clone(replay.finish(at).after());
        model.world.groups.see(Arc::clone(&model.world.image));
        model.clients.iter_mut().for_each(|client| client.silent = false);
        model.settles("a new group", None);
        model
    }

    fn is_settled(&mut self) -> bool {
        let group = self.described();
        let live: Vec<&Client> = self.clients.iter().filter(|client| !client.silent).collect();
        let held: Holds = live.iter().flat_map(|client| client.holds.clone()).collect();
        &*group.group_state == "Stable" && group.members.len() == live.len() && held.len() == 4
    }

    /// Lets everyone go on, once a second, until the group has settled, which must be in time; one may
    /// hold on to what it should give up.
    fn settles(&mut self, what: &str, holds_on: Option<usize>) {
        let began = self.world.now.at;
        while !self.is_settled() {
            for index in 0..self.clients.len() {
                if self.clients[index].silent {
                    continue;
                }
                self.beat(index, holds_on == Some(index));
            }
            let took = self.world.now.at - began;
            assert!(took <= STABLE_WITHIN, "{what}: not stable after {took:?}");
            self.pass(Duration::from_secs(1));
        }
    }
}

#[test]
fn after_a_kill_a_pause_and_half_joins_a_group_is_stable_again_in_time() {
    for seed in 0..2 {
        let mut model = Model::stable(seed);
        let victim = usize::try_from(seed).unwrap();
        model.clients[victim].silent = true;
        model.settles("killed", None);
        // It was only paused, and goes on as if nothing had been.
        model.clients[victim].silent = false;
        model.settles("paused", None);
        (0..model.clients.len()).for_each(|index| model.clients[index].silent = index % 2 == 0);
        model.settles("more than half are killed", None);
        model.clients.iter_mut().for_each(|client| client.silent = false);
        model.settles("all are back, and one holds on to what it had", Some(1));
        let mut taken = 0;
        for number in 0..10_000 {
            let join = ConsumerGroupHeartbeatRequest {
                member_id: format!("half-{number}").as_str().into(),
                rebalance_timeout_ms: 30_000,
                subscribed_topic_names: Some(vec!["orders".into()]),
                topic_partitions: Some(Vec::new()),
                ..model.request()
            };
            taken += usize::from(model.send(join).unwrap().error_code == 0);
        }
        assert_eq!(taken, 100 - model.clients.len(), "the group is full");
        model.settles("ten thousand half joins", None);
    }
}

#[test]
fn partitions_have_one_owner_and_all_have_one_when_it_is_quiet() {
    with_seeds(40, |seed| {
        let mut model = Model::new(seed);
        for _ in 0..400 {
            model.step();
        }
        model.settle();
        // Nobody is heard of any more.
        model.pass(QUIET);
        assert_eq!(&*model.described().group_state, "Empty");
    });
}
