//! Consumer groups (KIP-848): each rule by itself, and a model in which anything happens in any order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::group_records::GroupRecord;
use duramen_protocol::ids::TopicId;
use duramen_protocol::messages::consumer_group_describe::DescribedGroup;
use duramen_protocol::messages::consumer_group_heartbeat::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, TopicPartitions,
};
use duramen_protocol::text::Text;
use proptest::prelude::*;

use super::world::{GROUP, World};
use crate::coordinator::command::Command;
use crate::coordinator::group::consumer::{Beat, TopicFacts, Topics};

const NONE: i16 = 0;

#[derive(Debug, Clone, Default)]
struct Cluster {
    version: i64,
    topics: BTreeMap<Text, i32>,
}

fn id_of(name: &str) -> TopicId {
    TopicId::from_u128(name.bytes().fold(7, |id, byte| id * 256 + u128::from(byte)))
}

impl Topics for Cluster {
    fn version(&self) -> i64 {
        self.version
    }

    fn by_name(&self, name: &str) -> Option<TopicFacts> {
        self.topics.get(name).map(|count| TopicFacts { id: id_of(name), partitions: *count })
    }

    fn name_of(&self, id: TopicId) -> Option<Text> {
        self.topics.keys().find(|name| id_of(name) == id).cloned()
    }

    fn names(&self) -> Vec<Text> {
        self.topics.keys().cloned().collect()
    }
}

type Owned = BTreeSet<(TopicId, i32)>;

/// A client: it does as it is told, and only then says so.
#[derive(Debug, Clone, Default)]
struct Client {
    id: Text,
    instance: Option<Text>,
    epoch: i32,
    owned: Owned,
    names: Vec<Text>,
    regex: Option<Text>,
}

impl Client {
    fn new(id: &str, names: &[&str]) -> Self {
        let names = names.iter().map(|name| Text::from(*name)).collect();
        Self { id: id.into(), names, ..Self::default() }
    }

    fn request(&self) -> ConsumerGroupHeartbeatRequest {
        let mut owned: BTreeMap<TopicId, Vec<i32>> = BTreeMap::new();
        for (topic, index) in &self.owned {
            owned.entry(*topic).or_default().push(*index);
        }
        let topics = owned.into_iter();
        let topics =
            topics.map(|(topic_id, partitions)| TopicPartitions { topic_id, partitions }).collect();
        ConsumerGroupHeartbeatRequest {
            group_id: GROUP.into(),
            member_id: self.id.clone(),
            member_epoch: self.epoch,
            instance_id: self.instance.clone(),
            rebalance_timeout_ms: 30_000,
            subscribed_topic_names: Some(self.names.clone()),
            subscribed_topic_regex: self.regex.clone(),
            topic_partitions: Some(topics),
            ..ConsumerGroupHeartbeatRequest::default()
        }
    }

    fn beat(&mut self, world: &mut World) -> i16 {
        let answer = beat(world, self.request());
        self.take(&answer)
    }

    fn take(&mut self, answer: &ConsumerGroupHeartbeatResponse) -> i16 {
        let code = ErrorCode::from_code(answer.error_code);
        if matches!(code, ErrorCode::FencedMemberEpoch | ErrorCode::UnknownMemberId) {
            self.epoch = 0;
            self.owned.clear();
        }
        if code == ErrorCode::None {
            self.epoch = answer.member_epoch;
            if let Some(assignment) = &answer.assignment {
                let topics = assignment.topic_partitions.iter();
                self.owned = topics
                    .flat_map(|it| it.partitions.iter().map(|index| (it.topic_id, *index)))
                    .collect();
            }
        }
        answer.error_code
    }
}

fn beat(
    world: &mut World,
    request: ConsumerGroupHeartbeatRequest,
) -> ConsumerGroupHeartbeatResponse {
    let beat = Beat {
        request,
        version: 1,
        client_id: "client".into(),
        client_host: "/127.0.0.1".into(),
        unique: uuid::Uuid::from_u128(1),
    };
    world.ask(Command::Beat(Box::new(beat))).unwrap()
}

fn with_topics(topics: &[(&str, i32)]) -> (World, Cluster) {
    let mut world = World::new();
    let topics = topics.iter().map(|(name, count)| (Text::from(*name), *count)).collect();
    let cluster = Cluster { version: 1, topics };
    world.groups.see(Arc::new(cluster.clone()));
    (world, cluster)
}

fn describe(world: &mut World) -> DescribedGroup {
    world.ask(Command::DescribeConsumer { group: GROUP.into() }).unwrap()
}

#[test]
fn two_members_share_and_nobody_has_what_another_has() {
    let (mut world, _) = with_topics(&[("orders", 4)]);
    let (mut one, mut two) = (Client::new("one", &["orders"]), Client::new("two", &["orders"]));
    assert_eq!(one.beat(&mut world), NONE);
    assert_eq!((one.epoch, one.owned.len()), (1, 4));
    assert_eq!(two.beat(&mut world), NONE);
    assert_eq!((two.epoch, two.owned.len()), (2, 0), "all is still the other's");
    assert_eq!(describe(&mut world).group_state, "Reconciling");
    assert_eq!(one.beat(&mut world), NONE);
    assert_eq!((one.epoch, one.owned.len()), (1, 2), "two are to be given up");
    assert_eq!(two.beat(&mut world), NONE);
    assert_eq!(two.owned.len(), 0, "they are not given up yet");
    assert_eq!(one.beat(&mut world), NONE);
    assert_eq!(one.epoch, 2);
    assert_eq!(two.beat(&mut world), NONE);
    assert_eq!((one.owned.len(), two.owned.len()), (2, 2));
    assert!(one.owned.is_disjoint(&two.owned));
    let described = describe(&mut world);
    assert_eq!((described.group_state.as_str(), described.group_epoch), ("Stable", 2));
    assert_eq!(described.assignor_name, "uniform");
}

#[test]
fn who_gives_up_nothing_is_fenced_after_the_rebalance_timeout() {
    let (mut world, _) = with_topics(&[("orders", 2)]);
    let (mut one, mut two) = (Client::new("one", &["orders"]), Client::new("two", &["orders"]));
    one.beat(&mut world);
    two.beat(&mut world);
    let holds = one.request();
    for _ in 0..5 {
        let mut request = holds.clone();
        request.member_epoch = 1;
        request.topic_partitions = one.request().topic_partitions;
        beat(&mut world, request);
        two.beat(&mut world);
        world.pass_ms(7_000);
    }
    assert_eq!(one.beat(&mut world), ErrorCode::UnknownMemberId.code());
    two.beat(&mut world);
    assert_eq!(two.owned.len(), 2);
}

#[test]
fn epochs_are_checked() {
    let (mut world, _) = with_topics(&[("orders", 2)]);
    let mut one = Client::new("one", &["orders"]);
    one.beat(&mut world);
    let ask = |world: &mut World, member: &str, epoch: i32| {
        let client = Client { id: member.into(), epoch, ..Client::default() };
        ErrorCode::from_code(beat(world, client.request()).error_code)
    };
    assert_eq!(ask(&mut world, "one", 5), ErrorCode::FencedMemberEpoch);
    assert_eq!(ask(&mut world, "nobody", 1), ErrorCode::UnknownMemberId);
    assert_eq!(ask(&mut world, "one", -3), ErrorCode::InvalidRequest);
    assert_eq!(world.commit("one", 1, 0, 10), ErrorCode::None);
    assert_eq!(world.commit("one", 0, 0, 10), ErrorCode::StaleMemberEpoch);
    assert_eq!(world.commit("nobody", 1, 0, 10), ErrorCode::UnknownMemberId);
    assert_eq!(world.heartbeat("one", 1), ErrorCode::UnknownMemberId, "it is no classic group");
    let mut wrong = Client::new("two", &["orders"]).request();
    wrong.server_assignor = Some("magic".into());
    assert_eq!(beat(&mut world, wrong).error_code, ErrorCode::UnsupportedAssignor.code());
    let mut wrong = Client::new("two", &[]).request();
    wrong.subscribed_topic_regex = Some("(".into());
    assert_eq!(beat(&mut world, wrong).error_code, ErrorCode::InvalidRegularExpression.code());
    world.limits.consumer.members_max = 1;
    world.crash();
    let refused = beat(&mut world, Client::new("two", &["orders"]).request());
    assert_eq!(refused.error_code, ErrorCode::GroupMaxSizeReached.code());
}

#[test]
fn a_static_member_comes_back_to_what_it_had() {
    let (mut world, _) = with_topics(&[("orders", 4)]);
    let named = |id: &str| Client { instance: Some("box".into()), ..Client::new(id, &["orders"]) };
    let (mut one, mut two) = (named("one"), Client::new("two", &["orders"]));
    for _ in 0..3 {
        one.beat(&mut world);
        two.beat(&mut world);
    }
    let (had, epoch) = (one.owned.clone(), describe(&mut world).group_epoch);
    let mut back = named("back");
    assert_eq!(back.beat(&mut world), ErrorCode::UnreleasedInstanceId.code());
    let mut leaving = one.request();
    leaving.member_epoch = -2;
    assert_eq!(beat(&mut world, leaving).error_code, NONE);
    two.beat(&mut world);
    assert!(two.owned.is_disjoint(&had));
    assert_eq!(back.beat(&mut world), NONE);
    assert_eq!((back.owned.clone(), describe(&mut world).group_epoch), (had, epoch));
    assert_eq!(one.beat(&mut world), ErrorCode::FencedInstanceId.code());
}

#[test]
fn topics_that_come_grow_and_go_are_followed_also_by_expression() {
    let (mut world, mut cluster) = with_topics(&[("orders-a", 2)]);
    let mut one = Client { regex: Some("orders-.*".into()), ..Client::new("one", &[]) };
    one.beat(&mut world);
    assert_eq!(one.owned.len(), 2);
    cluster.version += 1;
    cluster.topics.insert("orders-b".into(), 3);
    cluster.topics.insert("my-orders-c".into(), 3);
    world.groups.see(Arc::new(cluster.clone()));
    one.beat(&mut world);
    assert_eq!(one.owned.len(), 5);
    cluster.version += 1;
    cluster.topics.remove("orders-a");
    world.groups.see(Arc::new(cluster));
    one.beat(&mut world);
    one.beat(&mut world);
    assert_eq!(one.owned.len(), 3);
    assert_eq!(describe(&mut world).group_epoch, 3);
}

#[test]
fn a_group_that_nobody_is_in_changes_its_protocol_and_keeps_its_offsets() {
    let (mut world, _) = with_topics(&[("orders", 2)]);
    let (member, generation) = world.alone();
    assert_eq!(world.commit(&member, generation, 0, 7), ErrorCode::None);
    let mut one = Client::new("one", &["orders"]);
    assert_eq!(one.beat(&mut world), ErrorCode::GroupIdNotFound.code());
    world.leave(&member);
    world.pass_ms(10);
    assert_eq!(one.beat(&mut world), NONE);
    assert!(world.groups.classic(GROUP).is_none());
    world.crash();
    assert_eq!(describe(&mut world).group_epoch, 1);
    assert_eq!(world.groups.committed(GROUP, "orders", 0).unwrap().offset, 7);
    one.epoch = -1;
    one.beat(&mut world);
    let (member, _) = world.alone();
    world.crash();
    assert!(world.groups.classic(GROUP).is_some());
    assert_eq!(world.heartbeat(&member, 1), ErrorCode::None);
    assert_eq!(world.groups.committed(GROUP, "orders", 0).unwrap().offset, 7);
}

#[derive(Debug, Clone)]
enum Step {
    Beat(usize),
    /// The answer is lost.
    Lost(usize),
    Leave(usize),
    Silence(u64),
    Grow(usize),
    Crash,
    Subscribe(usize, u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0usize..5).prop_map(Step::Beat),
        2 => (0usize..5).prop_map(Step::Lost),
        1 => (0usize..5).prop_map(Step::Leave),
        2 => (1u64..30_000).prop_map(Step::Silence),
        1 => (0usize..2).prop_map(Step::Grow),
        1 => Just(Step::Crash),
        2 => (0usize..5, 1u8..4).prop_map(|(who, topics)| Step::Subscribe(who, topics)),
    ]
}

const TOPICS: [&str; 2] = ["orders", "payments"];

fn subscribe(client: &mut Client, topics: u8) {
    let named = TOPICS.iter().enumerate().filter(|(bit, _)| topics & (1 << bit) != 0);
    client.names = named.map(|(_, name)| Text::from(*name)).collect();
}

/// No partition is in the hands of two, as the coordinator's records have it.
fn check_owners(world: &mut World) {
    let described = describe(world);
    let mut seen = BTreeSet::new();
    for member in &described.members {
        for topic in &member.assignment.topic_partitions {
            for index in &topic.partitions {
                assert!(seen.insert((topic.topic_id, *index)), "{described:?}");
            }
        }
    }
}

fn run(world: &mut World, cluster: &mut Cluster, clients: &mut [Client], step: Step) {
    match step {
        Step::Beat(who) => drop(clients[who].beat(world)),
        Step::Lost(who) => {
            let request = clients[who].request();
            beat(world, request);
        }
        Step::Leave(who) => {
            let mut request = clients[who].request();
            request.member_epoch = -1;
            beat(world, request);
            clients[who].epoch = 0;
            clients[who].owned.clear();
        }
        Step::Silence(ms) => world.pass_ms(ms),
        Step::Grow(which) => {
            cluster.version += 1;
            *cluster.topics.entry(TOPICS[which].into()).or_default() += 2;
            world.groups.see(Arc::new(cluster.clone()));
        }
        Step::Crash => {
            world.crash();
            world.groups.see(Arc::new(cluster.clone()));
        }
        Step::Subscribe(who, topics) => subscribe(&mut clients[who], topics),
    }
}

proptest! {
    #[test]
    fn after_quiet_each_partition_has_one_owner(steps in proptest::collection::vec(step(), 1..80)) {
        let (mut world, mut cluster) = with_topics(&[("orders", 3)]);
        let mut clients: Vec<Client> = (0u8..5)
            .map(|index| {
                let mut client = Client::new(&format!("member-{index}"), &[]);
                subscribe(&mut client, index % 3 + 1);
                client
            })
            .collect();
        for step in steps {
            run(&mut world, &mut cluster, &mut clients, step);
            check_owners(&mut world);
        }
        for _ in 0..12 {
            for client in &mut clients {
                client.beat(&mut world);
                check_owners(&mut world);
            }
            world.pass_ms(3_000);
        }
        let before = describe(&mut world);
        prop_assert_eq!(before.group_state.as_str(), "Stable");
        let all: usize = clients.iter().map(|client| client.owned.len()).sum();
        let once: Owned = clients.iter().flat_map(|client| client.owned.iter().copied()).collect();
        let there: i32 = cluster.topics.values().sum();
        prop_assert_eq!((all, once.len()), (there as usize, there as usize));
        world.crash();
        world.groups.see(Arc::new(cluster));
        prop_assert_eq!(describe(&mut world), before);
    }
}

#[test]
fn a_deleted_group_leaves_nothing() {
    let (mut world, _) = with_topics(&[("orders", 2)]);
    let mut one = Client { regex: Some("o.*".into()), ..Client::new("one", &[]) };
    one.beat(&mut world);
    one.epoch = -1;
    one.beat(&mut world);
    let deleted: duramen_protocol::messages::delete_groups::DeletableGroupResult =
        world.ask(Command::Delete { group: GROUP.into() }).unwrap();
    assert_eq!((deleted.error_code, world.groups.len()), (NONE, 0));
    let mut last: BTreeMap<Vec<u8>, bool> = BTreeMap::new();
    for record in &world.log {
        let (key, _) = GroupRecord::encode(record).unwrap();
        last.insert(key.to_vec(), record.is_tombstone());
    }
    assert!(last.values().all(|gone| *gone), "{last:?}");
}
