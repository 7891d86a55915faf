//! `duramen bench groups`: how fast members join, heartbeat and commit. Each member has a connection of
//! its own, as every client's has, and says no more than the classic protocol asks of it.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use duramen_client::cluster::{Cluster, Topics};
use duramen_client::{ClientError, Connection};
use duramen_protocol::consumer_protocol::{ConsumerProtocolSubscription, PROTOCOL_TYPE};
use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::find_coordinator::FindCoordinatorRequest;
use duramen_protocol::messages::join_group::JoinGroupRequestProtocol;
use duramen_protocol::messages::leave_group::MemberIdentity;
use duramen_protocol::messages::offset_commit::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use duramen_protocol::messages::sync_group::SyncGroupRequestAssignment;
use duramen_protocol::messages::{
    HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest, OffsetCommitRequest, SyncGroupRequest,
};
use duramen_protocol::text::Text;
use serde_json::{Value, json};
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::report::{latency_table, merged};
use super::tally::Latencies;
use super::topic::TopicArgs;
use crate::cli::connect::ClusterArgs;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::{self, Format, Table};

/// The newest version of OffsetCommit that names topics by name.
const COMMIT: i16 = 9;
/// How long a member has to join again, and may be silent.
const TIMEOUT_MS: i32 = 45_000;
/// How long a request may take: a rebalance, and then some.
const PATIENCE: Duration = Duration::from_secs(120);

/// Measure groups: joining, heartbeats, commits
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  duramen bench groups                               one group of a thousand members
  duramen bench groups --groups 1000 --members 1     a thousand groups of one member
  duramen bench groups --heartbeats 100 --commits 100 --format json | jq .commit_ms.p99

All members start at once and wait for each other between the three parts: join until the group is
stable, heartbeats, commits of one partition; each part as fast as the broker answers. Then they
leave. Names of groups begin with --prefix; one that is new keeps the members of a run that was
killed out.")]
pub(super) struct GroupsArgs {
    #[command(flatten)]
    topic: TopicArgs,
    /// Groups
    #[arg(long, value_name = "N", default_value_t = 1)]
    groups: usize,
    /// Members of each group
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    members: usize,
    /// Heartbeats of each member
    #[arg(long, value_name = "N", default_value_t = 20)]
    heartbeats: usize,
    /// Commits of each member
    #[arg(long, value_name = "N", default_value_t = 20)]
    commits: usize,
    /// What the groups' names begin with
    #[arg(long, value_name = "NAME", default_value = "bench")]
    prefix: String,
    /// How figures are shown
    #[arg(long, default_value = "table")]
    format: Format,
}

/// Members come together here between the parts, and the bench with them.
struct Parts {
    barrier: Barrier,
    topic: Text,
    heartbeats: usize,
    commits: usize,
}

/// The parts, in the order in which they are measured.
const PARTS: [&str; 3] = ["join", "heartbeat", "commit"];

type Measured = Result<[Latencies; 3], ClientError>;

pub(super) async fn run(cluster: &ClusterArgs, args: GroupsArgs) -> Result<(), Failure> {
    let cluster = cluster.cluster()?;
    let partitions = args.topic.ready(&cluster).await?;
    let count = args.groups.saturating_mul(args.members);
    if count == 0 {
        return Err(Failure::usage("--groups and --members must be at least 1"));
    }
    let parts = Arc::new(Parts {
        barrier: Barrier::new(count + 1),
        topic: Text::from(&args.topic.topic),
        heartbeats: args.heartbeats,
        commits: args.commits,
    });
    let mut members = JoinSet::new();
    for group in 0..args.groups {
        let group = Text::from(format!("{}-{group}", args.prefix));
        let leader = coordinator(&cluster, &group).await?;
        for number in 0..args.members {
            let connection = cluster.dedicated(leader).await?;
            let partition = i32::try_from(number % partitions.max(1)).unwrap_or(0);
            let member =
                Member { connection, group: group.clone(), id: Text::EMPTY, generation: -1 };
            members.spawn(member.run(Arc::clone(&parts), partition));
        }
    }
    let mut ended = Vec::new();
    let took = timed(&parts.barrier, &mut members, &mut ended).await?;
    let mut all = [latencies()?, latencies()?, latencies()?];
    while let Some(measured) = members.join_next().await {
        ended.push(measured.map_err(|error| Failure::new(Exit::Failed, error))??);
    }
    for measured in ended {
        for (all, one) in all.iter_mut().zip(&measured) {
            all.0.add(&one.0).map_err(|error| Failure::new(Exit::Failed, error))?;
        }
    }
    print(&args, &took, &all)
}

/// How long each part took, from when all were ready for it. A member that fails ends the wait.
async fn timed(
    barrier: &Barrier,
    members: &mut JoinSet<Measured>,
    ended: &mut Vec<[Latencies; 3]>,
) -> Result<[Duration; 3], Failure> {
    let mut took = [Duration::ZERO; 3];
    wait(barrier, members, ended).await?;
    for part in &mut took {
        let began = Instant::now();
        wait(barrier, members, ended).await?;
        *part = began.elapsed();
    }
    Ok(took)
}

/// Waits for all members; those that have `ended` by then were behind the last wait already.
async fn wait(
    barrier: &Barrier,
    members: &mut JoinSet<Measured>,
    ended: &mut Vec<[Latencies; 3]>,
) -> Result<(), Failure> {
    let all_here = barrier.wait();
    tokio::pin!(all_here);
    loop {
        tokio::select! {
            biased;
            _ = &mut all_here => return Ok(()),
            Some(member) = members.join_next() => match member {
                Ok(Ok(measured)) => ended.push(measured),
                Ok(Err(error)) => return Err(error.into()),
                Err(error) => return Err(Failure::new(Exit::Failed, error)),
            },
        }
    }
}

fn latencies() -> Result<Latencies, Failure> {
    Latencies::new().map_err(|error| Failure::new(Exit::Failed, error))
}

fn print(args: &GroupsArgs, took: &[Duration; 3], all: &[Latencies; 3]) -> Result<(), Failure> {
    let mut table = Table::new(&["part", "requests", "seconds", "requests/s"]);
    let mut json = json!({"bench": "groups", "groups": args.groups, "members": args.members});
    for ((name, took), latencies) in PARTS.iter().zip(took).zip(all) {
        let (count, seconds) = (latencies.0.len(), took.as_secs_f64().max(1e-9));
        let rate = count as f64 / seconds;
        table.row(vec![
            (*name).to_owned(),
            count.to_string(),
            format!("{seconds:.2}"),
            format!("{rate:.0}"),
        ]);
        let part: serde_json::Map<String, Value> = [
            (format!("{name}_s"), json!(seconds)),
            (format!("{name}s_per_s"), json!(rate)),
            (format!("{name}_ms"), latencies.json()),
        ]
        .into_iter()
        .collect();
        json = merged([json, Value::Object(part)]);
    }
    let rows: Vec<_> = PARTS.iter().copied().zip(all).collect();
    output::print(args.format, &json, &[table, latency_table(&rows)])
}

/// The broker that looks after a group.
async fn coordinator(cluster: &Cluster, group: &Text) -> Result<i32, ClientError> {
    cluster.refresh(Topics::None).await?;
    cluster
        .retrying("find the coordinator", || async {
            let connection = cluster.any().await?;
            let request = FindCoordinatorRequest {
                coordinator_keys: vec![group.clone()],
                ..FindCoordinatorRequest::default()
            };
            let answer = connection.call(&request).await?;
            let found = answer.coordinators.first();
            let found = found.ok_or(ClientError::Incomplete("FindCoordinator"))?;
            refused(group, found.error_code)?;
            Ok(found.node_id)
        })
        .await
}

fn refused(group: &Text, code: i16) -> Result<(), ClientError> {
    match ErrorCode::from_code(code) {
        ErrorCode::None => Ok(()),
        code => Err(ClientError::refused(format!("group {group}"), code, None)),
    }
}

/// A member that does as the protocol says, and nothing else.
struct Member {
    connection: Connection,
    group: Text,
    id: Text,
    generation: i32,
}

impl Member {
    async fn run(mut self, parts: Arc<Parts>, partition: i32) -> Measured {
        let new = || Latencies::new().map_err(|_| ClientError::Incomplete("histogram"));
        let mut measured = [new()?, new()?, new()?];
        let [joins, heartbeats, commits] = &mut measured;
        parts.barrier.wait().await;
        let began = Instant::now();
        self.enter().await?;
        joins.add(began.elapsed(), 1);
        // Whoever came late called all others again: it is stable when nobody is called any more.
        self.settle().await?;
        parts.barrier.wait().await;
        for _ in 0..parts.heartbeats {
            let began = Instant::now();
            refused(&self.group, self.heartbeat().await?)?;
            heartbeats.add(began.elapsed(), 1);
        }
        parts.barrier.wait().await;
        for offset in 0..parts.commits {
            let began = Instant::now();
            self.commit(&parts.topic, partition, offset).await?;
            commits.add(began.elapsed(), 1);
        }
        parts.barrier.wait().await;
        self.leave().await?;
        Ok(measured)
    }

    /// Joins and syncs until it has its part.
    async fn enter(&mut self) -> Result<(), ClientError> {
        loop {
            let subscription = ConsumerProtocolSubscription::default();
            let metadata = subscription
                .to_bytes(0)
                .map_err(|_| ClientError::Incomplete("ConsumerProtocolSubscription"))?;
            let request = JoinGroupRequest {
                group_id: self.group.clone(),
                session_timeout_ms: TIMEOUT_MS,
                rebalance_timeout_ms: TIMEOUT_MS,
                member_id: self.id.clone(),
                protocol_type: PROTOCOL_TYPE.into(),
                protocols: vec![JoinGroupRequestProtocol { name: "range".into(), metadata }],
                ..JoinGroupRequest::default()
            };
            let version = self.connection.version_of::<JoinGroupRequest>(i16::MAX)?;
            let joined = self.connection.call_version(version, &request, PATIENCE).await?;
            self.id = joined.member_id.clone();
            if self.again(joined.error_code).await? {
                continue;
            }
            self.generation = joined.generation_id;
            // What is assigned does not matter here, only that it is.
            let assign = |id: &Text| SyncGroupRequestAssignment {
                member_id: id.clone(),
                assignment: vec![0; 40].into(),
            };
            let request = SyncGroupRequest {
                group_id: self.group.clone(),
                generation_id: self.generation,
                member_id: self.id.clone(),
                protocol_type: joined.protocol_type.clone(),
                protocol_name: joined.protocol_name.clone(),
                assignments: joined
                    .members
                    .iter()
                    .map(|member| assign(&member.member_id))
                    .collect(),
                ..SyncGroupRequest::default()
            };
            let version = self.connection.version_of::<SyncGroupRequest>(i16::MAX)?;
            let synced = self.connection.call_version(version, &request, PATIENCE).await?;
            if !self.again(synced.error_code).await? {
                return Ok(());
            }
        }
    }

    /// Whether a code says to join again; it waits where that makes sense.
    async fn again(&mut self, code: i16) -> Result<bool, ClientError> {
        match ErrorCode::from_code(code) {
            ErrorCode::None => return Ok(false),
            ErrorCode::MemberIdRequired | ErrorCode::RebalanceInProgress => {}
            ErrorCode::UnknownMemberId => self.id = Text::EMPTY,
            ErrorCode::IllegalGeneration => {}
            ErrorCode::CoordinatorLoadInProgress | ErrorCode::CoordinatorNotAvailable => {
                sleep(Duration::from_millis(50)).await;
            }
            _ => refused(&self.group, code)?,
        }
        Ok(true)
    }

    /// Follows rebalances until there was none for a second.
    async fn settle(&mut self) -> Result<(), ClientError> {
        let mut quiet = 0;
        while quiet < 4 {
            sleep(Duration::from_millis(250)).await;
            let code = self.heartbeat().await?;
            quiet += 1;
            if self.again(code).await? {
                self.enter().await?;
                quiet = 0;
            }
        }
        Ok(())
    }

    async fn heartbeat(&self) -> Result<i16, ClientError> {
        let request = HeartbeatRequest {
            group_id: self.group.clone(),
            generation_id: self.generation,
            member_id: self.id.clone(),
            ..HeartbeatRequest::default()
        };
        Ok(self.connection.call(&request).await?.error_code)
    }

    /// Leaves, so that whoever looks at the group next finds it empty.
    async fn leave(&self) -> Result<(), ClientError> {
        let member = MemberIdentity { member_id: self.id.clone(), ..MemberIdentity::default() };
        let request = LeaveGroupRequest {
            group_id: self.group.clone(),
            members: vec![member],
            ..LeaveGroupRequest::default()
        };
        refused(&self.group, self.connection.call(&request).await?.error_code)
    }

    async fn commit(&self, topic: &Text, partition: i32, offset: usize) -> Result<(), ClientError> {
        let partition = OffsetCommitRequestPartition {
            partition_index: partition,
            committed_offset: i64::try_from(offset).unwrap_or(i64::MAX),
            ..OffsetCommitRequestPartition::default()
        };
        let topic = OffsetCommitRequestTopic {
            name: topic.clone(),
            partitions: vec![partition],
            ..OffsetCommitRequestTopic::default()
        };
        let request = OffsetCommitRequest {
            group_id: self.group.clone(),
            generation_id_or_member_epoch: self.generation,
            member_id: self.id.clone(),
            topics: vec![topic],
            ..OffsetCommitRequest::default()
        };
        let version = self.connection.version_of::<OffsetCommitRequest>(COMMIT)?;
        let answer = self.connection.call_version(version, &request, PATIENCE).await?;
        let first = answer.topics.first().and_then(|topic| topic.partitions.first());
        let first = first.ok_or(ClientError::Incomplete("OffsetCommit"))?;
        refused(&self.group, first.error_code)
    }
}
