//! `duramen bench groups`: how fast members join, heartbeat and commit. Each member has a connection of
//! its own, as every client's has, and says no more than the classic protocol asks of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use clap::Args;
use duramen_client::consumer::group::{BareMember, MemberStanding};
use duramen_client::{ClientError, ErrorCode, Text, TopicPartition};
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

/// How long a member has to join again, and may be silent.
const SESSION: Duration = Duration::from_secs(45);

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
    /// Members that have not joined yet.
    outside: AtomicUsize,
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
        outside: AtomicUsize::new(count),
        topic: Text::from(&args.topic.topic),
        heartbeats: args.heartbeats,
        commits: args.commits,
    });
    let mut members = JoinSet::new();
    for group in 0..args.groups {
        let group = Text::from(format!("{}-{group}", args.prefix));
        for number in 0..args.members {
            let member = BareMember::connect(&cluster, &group, SESSION).await?;
            let partition = i32::try_from(number % partitions.max(1)).unwrap_or(0);
            let at = TopicPartition::new(parts.topic.clone(), partition);
            members.spawn(run_member(member, Arc::clone(&parts), at));
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

/// What one member does, part by part.
async fn run_member(mut member: BareMember, parts: Arc<Parts>, at: TopicPartition) -> Measured {
    let new = || Latencies::new().map_err(|_| ClientError::Incomplete("histogram"));
    let mut measured = [new()?, new()?, new()?];
    let [joins, heartbeats, commits] = &mut measured;
    parts.barrier.wait().await;
    let began = Instant::now();
    member.join().await?;
    joins.add(began.elapsed(), 1);
    parts.outside.fetch_sub(1, Ordering::Relaxed);
    settle(&mut member, &parts).await?;
    parts.barrier.wait().await;
    for _ in 0..parts.heartbeats {
        let began = Instant::now();
        if member.heartbeat().await? == MemberStanding::Called {
            let what = format!("heartbeat in group {}", member.group());
            return Err(ClientError::refused(what, ErrorCode::RebalanceInProgress, None));
        }
        heartbeats.add(began.elapsed(), 1);
    }
    parts.barrier.wait().await;
    for offset in (0..).take(parts.commits) {
        let began = Instant::now();
        member.commit(&at, offset).await?;
        commits.add(began.elapsed(), 1);
    }
    parts.barrier.wait().await;
    member.leave().await?;
    Ok(measured)
}

/// Follows rebalances: whoever comes late calls all others again. The group is stable when all are in it
/// and nobody was called for a second.
async fn settle(member: &mut BareMember, parts: &Parts) -> Result<(), ClientError> {
    let mut quiet = 0;
    while quiet < 4 {
        sleep(Duration::from_millis(250)).await;
        let all_in = parts.outside.load(Ordering::Relaxed) == 0;
        match member.heartbeat().await? {
            MemberStanding::Called => {
                member.join().await?;
                quiet = 0;
            }
            _ if all_in => quiet += 1,
            _ => {}
        }
    }
    Ok(())
}
