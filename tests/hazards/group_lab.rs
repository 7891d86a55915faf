//! Groups as their hazards see them: a member that says each thing itself, and a ledger of who was told
//! to read what.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicI32, AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use duramen_protocol::consumer_protocol::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription, TopicPartition,
};
use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::create_topics::{CreatableTopic, CreateTopicsRequest};
use duramen_protocol::messages::find_coordinator::FindCoordinatorRequest;
use duramen_protocol::messages::join_group::JoinGroupRequestProtocol;
use duramen_protocol::messages::leave_group::MemberIdentity;
use duramen_protocol::messages::offset_commit::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use duramen_protocol::messages::offset_fetch::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use duramen_protocol::messages::sync_group::SyncGroupRequestAssignment;
use duramen_protocol::messages::{
    HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, OffsetCommitRequest,
    OffsetFetchRequest, SyncGroupRequest,
};
use duramen_protocol::text::Text;

use crate::support::eventually;
use crate::support::node::Node;
use crate::support::wire::Wire;

pub const GROUP: &str = "hazard";
pub const TOPIC: &str = "t";
/// How long anything may take that only has to come some time.
pub const PATIENCE: Duration = Duration::from_secs(90);
/// How long after a disturbance a group may take to be stable again whose members ask for this rebalance
/// timeout, and for a session of no more than ten seconds: the timeout, and ten seconds. To the
/// second this is held on the simulated clock (`src/coordinator/tests`); here a machine that has
/// other things to do is given a minute more.
pub const fn stable_within(rebalance_timeout: Duration) -> Duration {
    Duration::from_secs(rebalance_timeout.as_secs() + 10 + 60)
}

pub const JOIN: i16 = 9;
pub const SYNC: i16 = 5;
pub const HEARTBEAT: i16 = 4;
pub const LEAVE: i16 = 5;
/// The newest version that names topics by name.
pub const BY_NAME: i16 = 9;

/// A node with `partitions` partitions of the topic, whose coordinator answers.
pub fn node_with(settings: &[&str], partitions: i32) -> Node {
    let small = ["offsets.topic.num.partitions=3", "group.min.session.timeout.ms=100"];
    let node = Node::start(&[&small, settings].concat());
    let topic = CreatableTopic {
        name: TOPIC.into(),
        num_partitions: partitions,
        replication_factor: 1,
        ..CreatableTopic::default()
    };
    let request =
        CreateTopicsRequest { topics: vec![topic], timeout_ms: 30_000, ..Default::default() };
    let answer = Wire::connect(node.port()).unwrap().ask(7, &request).unwrap();
    assert_eq!(answer.topics[0].error_code, 0, "{answer:?}");
    await_coordinator(&node);
    node
}

/// Waits until the coordinator of [`GROUP`] has loaded.
pub fn await_coordinator(node: &Node) {
    let mut wire = Wire::connect(node.port()).unwrap();
    let request =
        FindCoordinatorRequest { coordinator_keys: vec![GROUP.into()], ..Default::default() };
    eventually("the coordinator has loaded", PATIENCE, || {
        let found = wire.ask(4, &request).unwrap().coordinators[0].error_code;
        (found == 0 && offsets(&mut wire, 1).is_ok()).then_some(())
    });
}

pub fn join_request(member: &str) -> JoinGroupRequest {
    JoinGroupRequest {
        group_id: GROUP.into(),
        session_timeout_ms: 5_000,
        rebalance_timeout_ms: 5_000,
        member_id: member.into(),
        protocol_type: "consumer".into(),
        protocols: vec![protocol("range", &subscription())],
        ..JoinGroupRequest::default()
    }
}

/// The same of a member that is not given up, however long the machine holds it up.
pub fn patient_request(member: &str) -> JoinGroupRequest {
    let (session_timeout_ms, rebalance_timeout_ms) = (300_000, 300_000);
    JoinGroupRequest { session_timeout_ms, rebalance_timeout_ms, ..join_request(member) }
}

pub fn protocol(name: &str, metadata: &[u8]) -> JoinGroupRequestProtocol {
    JoinGroupRequestProtocol { name: name.into(), metadata: Bytes::copy_from_slice(metadata) }
}

/// What a consumer that owns nothing says to the assignors.
fn subscription() -> Bytes {
    let topics = vec![TOPIC.into()];
    let subscription = ConsumerProtocolSubscription { topics, ..Default::default() };
    subscription.to_bytes(1).unwrap()
}

/// These partitions, as a leader assigns them.
pub fn assignment(partitions: Vec<i32>) -> Bytes {
    let assigned_partitions = vec![TopicPartition { topic: TOPIC.into(), partitions }];
    let assignment = ConsumerProtocolAssignment { assigned_partitions, ..Default::default() };
    assignment.to_bytes(1).unwrap()
}

/// The partitions that were assigned.
fn assigned(assignment: &Bytes) -> Vec<i32> {
    if assignment.is_empty() {
        return Vec::new();
    }
    let assignment = ConsumerProtocolAssignment::from_bytes(assignment).unwrap();
    assignment.assigned_partitions.into_iter().flat_map(|topic| topic.partitions).collect()
}

/// The committed offsets of the first `count` partitions; -1 for none.
pub fn offsets(wire: &mut Wire, count: i32) -> Result<Vec<i64>, ErrorCode> {
    let topic = OffsetFetchRequestTopics {
        name: TOPIC.into(),
        partition_indexes: (0..count).collect(),
        ..OffsetFetchRequestTopics::default()
    };
    let group = OffsetFetchRequestGroup {
        group_id: GROUP.into(),
        topics: Some(vec![topic]),
        ..OffsetFetchRequestGroup::default()
    };
    let request = OffsetFetchRequest { groups: vec![group], ..Default::default() };
    let group = wire.ask(BY_NAME, &request).unwrap().groups.remove(0);
    match error(group.error_code) {
        ErrorCode::None => {
            Ok(group.topics[0].partitions.iter().map(|it| it.committed_offset).collect())
        }
        code => Err(code),
    }
}

pub fn error(code: i16) -> ErrorCode {
    ErrorCode::from_code(code)
}

/// A member that does nothing by itself.
#[derive(Debug)]
pub struct Member {
    pub wire: Wire,
    pub id: Text,
    pub generation: i32,
    /// What it was told to read.
    pub owned: Vec<i32>,
}

impl Member {
    pub fn new(port: u16) -> io::Result<Self> {
        let wire = Wire::connect(port)?;
        Ok(Self { wire, id: Text::default(), generation: -1, owned: Vec::new() })
    }

    /// One JoinGroup, with the id that a new member is given.
    pub fn join(
        &mut self,
        request: impl Fn(&str) -> JoinGroupRequest,
    ) -> io::Result<JoinGroupResponse> {
        let mut joined = self.wire.ask(JOIN, &request(&self.id))?;
        if error(joined.error_code) == ErrorCode::MemberIdRequired {
            self.id = joined.member_id;
            joined = self.wire.ask(JOIN, &request(&self.id))?;
        }
        self.took(&joined);
        Ok(joined)
    }

    /// Remembers what a JoinGroup was answered.
    pub fn took(&mut self, joined: &JoinGroupResponse) {
        match error(joined.error_code) {
            ErrorCode::None => {
                self.id = joined.member_id.clone();
                self.generation = joined.generation_id;
            }
            ErrorCode::UnknownMemberId => self.id = Text::default(),
            _ => {}
        }
    }

    pub fn sync_request(&self, joined: &JoinGroupResponse, partitions: i32) -> SyncGroupRequest {
        let leads = joined.leader == self.id && !joined.skip_assignment;
        let count = joined.members.len();
        let share = |(at, member): (usize, &Text)| {
            let mine = |it: &i32| usize::try_from(*it).unwrap() % count == at;
            SyncGroupRequestAssignment {
                member_id: member.clone(),
                assignment: assignment((0..partitions).filter(mine).collect()),
            }
        };
        let members = joined.members.iter().map(|member| &member.member_id).enumerate();
        SyncGroupRequest {
            group_id: GROUP.into(),
            generation_id: self.generation,
            member_id: self.id.clone(),
            protocol_type: joined.protocol_type.clone(),
            protocol_name: joined.protocol_name.clone(),
            assignments: if leads { members.map(share).collect() } else { Vec::new() },
            ..SyncGroupRequest::default()
        }
    }

    /// One SyncGroup; what it is told to read goes into the ledger.
    pub fn sync(
        &mut self,
        joined: &JoinGroupResponse,
        partitions: i32,
        ledger: &Ledger,
    ) -> io::Result<ErrorCode> {
        let answer = self.wire.ask(SYNC, &self.sync_request(joined, partitions))?;
        if answer.error_code == 0 {
            self.owned = assigned(&answer.assignment);
            ledger.told(self.generation, &self.id, &self.owned);
        }
        Ok(error(answer.error_code))
    }

    /// Joins and syncs until it is told what to read.
    pub fn enter(
        &mut self,
        request: impl Fn(&str) -> JoinGroupRequest,
        partitions: i32,
        ledger: &Ledger,
    ) -> io::Result<()> {
        loop {
            let joined = self.join(&request)?;
            if joined.error_code != 0 {
                check_passing(error(joined.error_code));
                continue;
            }
            match self.sync(&joined, partitions, ledger)? {
                ErrorCode::None => return Ok(()),
                ErrorCode::UnknownMemberId => self.id = Text::default(),
                code => check_passing(code),
            }
        }
    }

    pub fn heartbeat(&mut self) -> io::Result<ErrorCode> {
        let request = HeartbeatRequest {
            group_id: GROUP.into(),
            generation_id: self.generation,
            member_id: self.id.clone(),
            ..HeartbeatRequest::default()
        };
        let code = error(self.wire.ask(HEARTBEAT, &request)?.error_code);
        if code == ErrorCode::UnknownMemberId {
            self.id = Text::default();
        }
        Ok(code)
    }

    /// Commits the next offset of each partition that it owns, until it is told otherwise.
    pub fn commit_all(&mut self, kept: &[Offset]) -> io::Result<ErrorCode> {
        for partition in self.owned.clone() {
            let code = Offset::commit_next(kept, partition, |next| self.commit(partition, next))?;
            if code != ErrorCode::None {
                return Ok(code);
            }
        }
        Ok(ErrorCode::None)
    }

    /// Leaves; it joins anew under another id.
    pub fn leave(&mut self) -> io::Result<()> {
        self.owned.clear();
        let member_id = self.id.clone();
        let members = vec![MemberIdentity { member_id, ..MemberIdentity::default() }];
        let request = LeaveGroupRequest { group_id: GROUP.into(), members, ..Default::default() };
        check_passing(error(self.wire.ask(LEAVE, &request)?.error_code));
        self.id = Text::default();
        Ok(())
    }

    /// Commits one offset as the member that it takes itself for.
    pub fn commit(&mut self, partition: i32, offset: i64) -> io::Result<ErrorCode> {
        let request = commit_request(&self.id, self.generation, partition, offset, "");
        let answer = self.wire.ask(BY_NAME, &request)?;
        Ok(error(answer.topics[0].partitions[0].error_code))
    }
}

pub fn commit_request(
    member: &str,
    generation: i32,
    partition_index: i32,
    committed_offset: i64,
    metadata: &str,
) -> OffsetCommitRequest {
    let partition = OffsetCommitRequestPartition {
        partition_index,
        committed_offset,
        committed_metadata: Some(metadata.into()),
        ..OffsetCommitRequestPartition::default()
    };
    let topic = OffsetCommitRequestTopic {
        name: TOPIC.into(),
        partitions: vec![partition],
        ..OffsetCommitRequestTopic::default()
    };
    OffsetCommitRequest {
        group_id: GROUP.into(),
        generation_id_or_member_epoch: generation,
        member_id: member.into(),
        topics: vec![topic],
        ..OffsetCommitRequest::default()
    }
}

/// Panics when a member that behaves should never see this.
pub fn check_passing(code: ErrorCode) {
    let passing = [
        ErrorCode::None,
        ErrorCode::RebalanceInProgress,
        ErrorCode::UnknownMemberId,
        ErrorCode::IllegalGeneration,
        ErrorCode::CoordinatorLoadInProgress,
        ErrorCode::CoordinatorNotAvailable,
        ErrorCode::NotCoordinator,
    ];
    assert!(passing.contains(&code), "a member was told {code:?}");
    if !matches!(code, ErrorCode::None | ErrorCode::RebalanceInProgress) {
        std::thread::sleep(Duration::from_millis(10)); // its own pace
    }
}

/// What was asked to be stored for a partition, and what of it was answered.
#[derive(Debug, Default)]
pub struct Offset {
    pub asked: AtomicI64,
    pub acked: AtomicI64,
}

impl Offset {
    /// An offset for each of so many partitions.
    pub fn of(partitions: i32) -> Vec<Self> {
        (0..partitions).map(|_| Self::default()).collect()
    }

    /// All that was answered, added up.
    pub fn acked(kept: &[Self]) -> i64 {
        kept.iter().map(|it| it.acked.load(Ordering::SeqCst)).sum()
    }

    /// Commits the next offset of a partition.
    pub fn commit_next(
        kept: &[Self],
        partition: i32,
        commit: impl FnOnce(i64) -> io::Result<ErrorCode>,
    ) -> io::Result<ErrorCode> {
        let offset = &kept[usize::try_from(partition).unwrap()];
        let next = offset.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let code = commit(next)?;
        check_passing(code);
        if code == ErrorCode::None {
            offset.acked.fetch_max(next, Ordering::SeqCst);
        }
        Ok(code)
    }

    /// Holds what the node has stored to what it had answered; returns what it has.
    pub fn survived(kept: &[Self], node: &Node) -> Vec<i64> {
        let count = i32::try_from(kept.len()).unwrap();
        let found = offsets(&mut Wire::connect(node.port()).unwrap(), count).unwrap();
        for (partition, (found, kept)) in found.iter().zip(kept).enumerate() {
            let (asked, acked) =
                (kept.asked.load(Ordering::SeqCst), kept.acked.load(Ordering::SeqCst));
            // Nothing was ever committed: -1 is as good as 0.
            let found = (*found).max(0);
            assert!(
                (acked..=asked).contains(&found),
                "partition {partition}: {found} stored, {acked} answered, {asked} asked"
            );
        }
        found
    }
}

/// All that members were told to read: in a generation each partition is one member's, for ever.
#[derive(Debug, Default)]
pub struct Ledger {
    owners: Mutex<BTreeMap<(i32, i32), Text>>,
    newest: AtomicI32,
}

impl Ledger {
    /// A member was told to read these partitions in a generation, or in an epoch.
    pub fn told(&self, generation: i32, member: &Text, partitions: &[i32]) {
        self.newest.fetch_max(generation, Ordering::SeqCst);
        let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        for partition in partitions {
            let owner = owners.entry((generation, *partition)).or_insert_with(|| member.clone());
            assert_eq!(owner, member, "two own partition {partition} in generation {generation}");
        }
    }

    /// The newest generation of which a member was told its part.
    pub fn newest(&self) -> i32 {
        self.newest.load(Ordering::SeqCst)
    }

    /// How many partitions members have been told of in a generation.
    pub fn told_in(&self, generation: i32) -> usize {
        let owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        owners.range((generation, 0)..=(generation, i32::MAX)).count()
    }
}
