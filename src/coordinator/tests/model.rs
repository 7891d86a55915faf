//! A model of classic groups: clients that join, read, commit, leave, fall silent and come back; a
//! log that fails now and then; a broker that dies. At all times a partition has one owner a
//! generation, a commit of an old generation is refused, and what was committed is there. When all
//! is quiet, the group is stable and every partition has its owner.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::{JoinGroupResponse, SyncGroupResponse};
use duramen_protocol::text::Text;

use super::world::{GROUP, TOPIC, World, joining, syncing, with_seeds};
use crate::coordinator::command::ReplyTo;
use crate::env::Random;

const PARTITIONS: i32 = 7;

/// What a client is about.
#[derive(Debug, Clone, PartialEq)]
enum Doing {
    Nothing,
    Joining(ReplyTo),
    Syncing(ReplyTo, i32),
    Reading(i32, Vec<i32>),
}

#[derive(Debug)]
struct Client {
    /// The member id, empty when it has none.
    id: Text,
    instance: Option<String>,
    version: i16,
    doing: Doing,
    /// It does nothing any more, until it comes back as a new member.
    silent: bool,
}

struct Model {
    world: World,
    random: Random,
    clients: Vec<Client>,
    /// Who was given a partition, by generation.
    owners: BTreeMap<(i32, i32), Text>,
    committed: BTreeMap<i32, i64>,
    next_offset: i64,
    /// Commits that were answered with success.
    commits: u32,
}

impl Model {
    fn new(seed: u64) -> Self {
        let client = |index: usize| Client {
            id: Text::EMPTY,
            // Every third one is a static member.
            instance: (index % 3 == 2).then(|| format!("instance-{index}")),
            version: [2, 5, 9][index % 3],
            doing: Doing::Nothing,
            silent: false,
        };
        Self {
            world: World::new(),
            random: Random::from_seed(seed),
            clients: (0..5).map(client).collect(),
            owners: BTreeMap::new(),
            committed: BTreeMap::new(),
            next_offset: 1,
            commits: 0,
        }
    }

    fn chance(&self, one_in: u64) -> bool {
        self.random.below(one_in) == 0
    }

    fn step(&mut self) {
        let index = usize::try_from(self.random.below(self.clients.len() as u64)).unwrap();
        match self.random.below(100) {
            0..2 => self.crash(),
            2..5 => self.world.fails = Some(ErrorCode::NotCoordinator),
            5..10 => self.clients[index].silent = true,
            10..20 => self.come_back(index),
            20..25 => self.leave(index),
            25..30 => self.zombie_commit(index),
            30..50 => {
                let ms = self.random.below(4_000);
                self.world.pass_ms(ms);
            }
            _ => self.act(index),
        }
        self.check();
    }

    fn crash(&mut self) {
        self.world.crash();
        for client in &mut self.clients {
            // Whoever waited hears nothing, and asks anew.
            if !matches!(client.doing, Doing::Reading(..)) {
                client.doing = Doing::Nothing;
            }
        }
    }

    /// A client that was silent starts anew, and knows its instance id alone; or it was only
    /// paused, and goes on as if nothing had happened.
    fn come_back(&mut self, index: usize) {
        let anew = self.chance(2);
        let client = &mut self.clients[index];
        if std::mem::take(&mut client.silent) && anew {
            client.id = Text::EMPTY;
            client.doing = Doing::Nothing;
        }
    }

    fn leave(&mut self, index: usize) {
        if self.clients[index].silent || self.clients[index].id.is_empty() {
            return;
        }
        let id = std::mem::take(&mut self.clients[index].id);
        self.world.leave(&id);
        self.clients[index].doing = Doing::Nothing;
    }

    /// Someone of an old generation commits.
    fn zombie_commit(&mut self, index: usize) {
        let current = self.generation();
        let id = self.clients[index].id.clone();
        if id.is_empty() || current < 2 {
            return;
        }
        let code = self.world.commit(&id, current - 1, 0, 0);
        assert_ne!(code, ErrorCode::None, "a commit of generation {} of {current}", current - 1);
    }

    fn generation(&mut self) -> i32 {
        self.world.groups.classic(GROUP).map_or(0, |group| group.generation())
    }

    /// A client does what a client does next.
    fn act(&mut self, index: usize) {
        if self.clients[index].silent {
            return;
        }
        match self.clients[index].doing.clone() {
            Doing::Nothing => self.join(index),
            Doing::Joining(to) => {
                if let Some(answer) = self.world.poll::<JoinGroupResponse>(to) {
                    self.joined(index, answer);
                }
            }
            Doing::Syncing(to, generation) => {
                if let Some(answer) = self.world.poll::<SyncGroupResponse>(to) {
                    self.synced(index, generation, answer);
                }
            }
            Doing::Reading(generation, partitions) => self.read(index, generation, &partitions),
        }
    }

    fn join(&mut self, index: usize) {
        let client = &self.clients[index];
        let join = joining(&client.id, client.instance.as_deref(), client.version);
        let to = self.world.send(join);
        self.clients[index].doing = Doing::Joining(to);
    }

    fn joined(&mut self, index: usize, answer: Result<JoinGroupResponse, ErrorCode>) {
        let client = &mut self.clients[index];
        client.doing = Doing::Nothing;
        let Ok(answer) = answer else { return };
        match ErrorCode::from_code(answer.error_code) {
            ErrorCode::None => {}
            ErrorCode::MemberIdRequired => {
                client.id = answer.member_id;
                return;
            }
            ErrorCode::UnknownMemberId | ErrorCode::FencedInstanceId => {
                client.id = Text::EMPTY;
                return;
            }
            ErrorCode::RebalanceInProgress => return,
            code => panic!("{code} to a JoinGroup"),
        }
        client.id = answer.member_id.clone();
        let leads = answer.leader == answer.member_id && !answer.skip_assignment;
        let mut assignments: BTreeMap<Text, Vec<u8>> = BTreeMap::new();
        if leads {
            let members = answer.members.len();
            for partition in 0..PARTITIONS {
                let owner = usize::try_from(partition).unwrap() % members;
                let owner = answer.members[owner].member_id.clone();
                assignments.entry(owner).or_default().push(u8::try_from(partition).unwrap());
            }
        }
        let assignments: Vec<(Text, Bytes)> =
            assignments.into_iter().map(|(id, bytes)| (id, Bytes::from(bytes))).collect();
        let to = self.world.send(syncing(&answer.member_id, answer.generation_id, &assignments));
        self.clients[index].doing = Doing::Syncing(to, answer.generation_id);
    }

    fn synced(
        &mut self,
        index: usize,
        generation: i32,
        answer: Result<SyncGroupResponse, ErrorCode>,
    ) {
        let client = &mut self.clients[index];
        client.doing = Doing::Nothing;
        match answer {
            Ok(answer) => {
                let partitions: Vec<i32> =
                    answer.assignment.iter().map(|it| (*it).into()).collect();
                for partition in &partitions {
                    let owner = client.instance.clone().map_or(client.id.clone(), Text::from);
                    let other = self.owners.insert((generation, *partition), owner.clone());
                    assert!(other.is_none_or(|it| it == owner), "two owners of {partition}");
                }
                self.clients[index].doing = Doing::Reading(generation, partitions);
            }
            Err(ErrorCode::UnknownMemberId | ErrorCode::FencedInstanceId) => {
                client.id = Text::EMPTY
            }
            Err(_) => {}
        }
    }

    fn read(&mut self, index: usize, generation: i32, partitions: &[i32]) {
        let id = self.clients[index].id.clone();
        let picked = usize::try_from(self.random.below(PARTITIONS.unsigned_abs().into()));
        let code = match partitions.get(picked.unwrap_or(0)).copied() {
            // Only a heartbeat tells of a rebalance.
            Some(partition) if self.chance(2) => {
                let offset = self.next_offset;
                self.next_offset += 1;
                let code = self.world.commit(&id, generation, partition, offset);
                if code.is_none() {
                    assert_eq!(generation, self.generation(), "a commit of another generation");
                    self.committed.insert(partition, offset);
                    self.commits += 1;
                }
                code
            }
            _ => self.world.heartbeat(&id, generation),
        };
        match code {
            ErrorCode::None | ErrorCode::NotCoordinator => {}
            ErrorCode::UnknownMemberId | ErrorCode::FencedInstanceId => {
                self.clients[index].id = Text::EMPTY;
                self.clients[index].doing = Doing::Nothing;
            }
            _ => self.clients[index].doing = Doing::Nothing,
        }
    }

    /// What was committed is there, and nothing else.
    fn check(&self) {
        for partition in 0..PARTITIONS {
            let kept = self.world.groups.committed(GROUP, TOPIC, partition);
            let model = self.committed.get(&partition).copied();
            assert_eq!(kept.map(|it| it.offset), model, "partition {partition}");
        }
    }

    /// No more faults: every client goes on, and time passes.
    fn quiet(&mut self) {
        self.world.fails = None;
        // Longer than any session or rebalance lasts.
        for _ in 0..120 {
            self.world.pass(Duration::from_secs(1));
            for _ in 0..4 {
                (0..self.clients.len()).for_each(|index| self.act(index));
            }
            self.check();
        }
        let live: Vec<&Client> = self.clients.iter().filter(|client| !client.silent).collect();
        let mut owned: Vec<i32> = Vec::new();
        for client in &live {
            let Doing::Reading(_, partitions) = &client.doing else {
                panic!("after quiet a client does {:?}", client.doing);
            };
            owned.extend(partitions);
        }
        owned.sort_unstable();
        let all: Vec<i32> = if live.is_empty() { Vec::new() } else { (0..PARTITIONS).collect() };
        assert_eq!(owned, all, "each partition has one owner");
        let state = self.world.groups.classic(GROUP).map(|group| group.state().name());
        match live.is_empty() {
            true => assert!(matches!(state, None | Some("Empty")), "{state:?}"),
            false => assert_eq!(state, Some("Stable")),
        }
    }
}

impl Model {
    /// Whether all who are not silent read what the newest generation gave them, and nothing is left over.
    fn is_settled(&mut self) -> bool {
        let current = self.generation();
        let mut owned: Vec<i32> = Vec::new();
        for client in self.clients.iter().filter(|client| !client.silent) {
            match &client.doing {
                Doing::Reading(generation, partitions) if *generation == current => {
                    owned.extend(partitions);
                }
                _ => return false,
            }
        }
        owned.sort_unstable();
        let state = self.world.groups.classic(GROUP).map(|group| group.state().name());
        owned == (0..PARTITIONS).collect::<Vec<_>>() && state == Some("Stable")
    }

    /// Lets everyone go on, once a second, until the group has settled, which must be in time.
    fn settles(&mut self, what: &str) {
        let began = self.world.now.at;
        while !self.is_settled() {
            (0..self.clients.len()).for_each(|index| self.act(index));
            let took = self.world.now.at - began;
            assert!(took <= STABLE_WITHIN, "{what}: not stable after {took:?}");
            self.world.pass(Duration::from_secs(1));
        }
    }
}

/// The rebalance timeout that members ask for in `joining`, and ten seconds, which is their session.
const STABLE_WITHIN: Duration = Duration::from_secs(30 + 10);

#[test]
fn after_a_kill_a_pause_and_ten_thousand_half_joins_a_group_is_stable_again_in_time() {
    for seed in 0..2 {
        let mut model = Model::new(seed);
        model.settles("a new group");
        let victim = usize::try_from(seed).unwrap();
        model.clients[victim].silent = true;
        model.settles("killed");
        // It was only paused, and goes on as if nothing had been.
        model.clients[victim].silent = false;
        model.settles("paused");
        (0..model.clients.len()).for_each(|index| model.clients[index].silent = index % 2 == 0);
        model.settles("more than half are killed");
        model.clients.iter_mut().for_each(|client| client.silent = false);
        model.settles("all are back");
        for _ in 0..10_000 {
            model.world.send(joining("", None, 9));
        }
        model.settles("ids are given to ten thousand");
        for number in 0..200 {
            let to = model.world.send(joining("", None, 2));
            if number % 2 == 0 {
                let decision = model.world.groups.abandoned(model.world.now, &GROUP.into(), to);
                model.world.carry_out(decision);
            }
        }
        model.settles("two hundred join and never come back");
    }
}

/// Runs a model; the generations and commits that came of it.
fn run(seed: u64) -> (i32, u32) {
    let mut model = Model::new(seed);
    for _ in 0..4 {
        for _ in 0..400 {
            model.step();
        }
        model.quiet();
    }
    (model.generation(), model.commits)
}

#[test]
fn whatever_happens_a_partition_has_one_owner_and_no_offset_is_lost() {
    for (generations, commits) in with_seeds(20, run) {
        assert!(generations >= 4 && commits >= 400, "little happened: {generations}, {commits}");
    }
}
