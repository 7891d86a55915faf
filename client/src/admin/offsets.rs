//! ListOffsets: the offset at a time, and the ends of partitions, each asked of its leader.

use std::collections::BTreeMap;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopic,
};
use duramen_protocol::text::Text;
use tokio::time::Instant;

use super::timeout_ms;
use crate::cluster::{Cluster, ClusterView, Topics};
use crate::consumer::Isolation;
use crate::error::ClientError;

/// One question: `timestamp` is a time in milliseconds since 1970, or one of the special numbers of
/// [`duramen_protocol::ids`] (`EARLIEST`, `LATEST`, `MAX_TIMESTAMP`, …).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OffsetQuestion {
    /// The topic's name.
    pub topic: Text,
    /// The partition's number.
    pub partition: i32,
    /// The time or special number.
    pub timestamp: i64,
}

impl OffsetQuestion {
    /// The offset of a partition at a time or special number.
    #[must_use]
    pub fn new(topic: impl Into<Text>, partition: i32, timestamp: i64) -> Self {
        Self { topic: topic.into(), partition, timestamp }
    }
}

/// The answer to one question.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct OffsetAnswer {
    /// What was asked.
    pub question: OffsetQuestion,
    /// The offset; `None` when no record is at or after the time.
    pub offset: Result<Option<i64>, ClientError>,
    /// The timestamp of the record found, or -1.
    pub timestamp: i64,
    /// The leader epoch of the record found, or -1.
    pub leader_epoch: i32,
}

/// Asks the leaders; questions whose leader has moved are asked again, within the operation's time. The
/// answers stand in the order of the questions.
///
/// # Errors
/// When no broker answers, or a topic does not exist.
pub async fn list_offsets(
    cluster: &Cluster,
    isolation: Isolation,
    questions: Vec<OffsetQuestion>,
) -> Result<Vec<OffsetAnswer>, ClientError> {
    let deadline = Instant::now() + cluster.options().operation_timeout;
    let mut answers: Vec<Option<OffsetAnswer>> = vec![None; questions.len()];
    let mut failures = 0;
    loop {
        let open = |answer: &Option<OffsetAnswer>| {
            answer.as_ref().is_none_or(|a| a.offset.as_ref().is_err_and(ClientError::is_retriable))
        };
        let left: Vec<usize> =
            answers.iter().enumerate().filter(|(_, a)| open(a)).map(|(at, _)| at).collect();
        if left.is_empty() || failures > 0 && Instant::now() >= deadline {
            return collect(answers);
        }
        let wait = match failures {
            0 => std::time::Duration::ZERO,
            failures => cluster.backoff(failures),
        };
        tokio::time::sleep(wait).await;
        learn_leaders(cluster, &questions, &left, failures > 0).await?;
        ask_leaders(cluster, isolation, &questions, &left, &mut answers).await;
        failures += 1;
    }
}

fn collect(answers: Vec<Option<OffsetAnswer>>) -> Result<Vec<OffsetAnswer>, ClientError> {
    answers.into_iter().map(|answer| answer.ok_or(ClientError::Incomplete("ListOffsets"))).collect()
}

/// Whether a partition is known; a topic may have grown since it was asked about.
fn knows(view: &ClusterView, question: &OffsetQuestion) -> bool {
    view.topic(&question.topic).is_some_and(|topic| topic.partition(question.partition).is_some())
}

/// Makes sure that the partitions are known; asks anew when an attempt has failed.
async fn learn_leaders(
    cluster: &Cluster,
    questions: &[OffsetQuestion],
    left: &[usize],
    anew: bool,
) -> Result<(), ClientError> {
    let view = cluster.view();
    let mut names: Vec<Text> = left
        .iter()
        .filter_map(|at| questions.get(*at))
        .filter(|question| anew || !knows(&view, question))
        .map(|question| question.topic.clone())
        .collect();
    names.sort_unstable();
    names.dedup();
    if !names.is_empty() {
        cluster.refresh(Topics::Named(&names)).await?;
    }
    Ok(())
}

/// A question with its place among all, and the leader epoch known when it was asked.
type Asked = (usize, OffsetQuestion, i32);

async fn ask_leaders(
    cluster: &Cluster,
    isolation: Isolation,
    questions: &[OffsetQuestion],
    left: &[usize],
    answers: &mut [Option<OffsetAnswer>],
) {
    let view = cluster.view();
    // A partition may stand once in a request (Kafka refuses more), so what is asked of it besides goes
    // with a further one.
    let mut rounds: BTreeMap<(Text, i32), u32> = BTreeMap::new();
    let mut by_leader: BTreeMap<(u32, i32), Vec<Asked>> = BTreeMap::new();
    for at in left {
        let Some(question) = questions.get(*at).cloned() else { continue };
        let topic = view.topic(&question.topic);
        let partition = topic.and_then(|topic| topic.partition(question.partition));
        match partition.map(|partition| (partition.leader, partition.leader_epoch)) {
            Some((Some(leader), epoch)) => {
                let place = (question.topic.clone(), question.partition);
                let round = rounds.entry(place).or_default();
                by_leader.entry((*round, leader)).or_default().push((*at, question, epoch));
                *round += 1;
            }
            Some((None, _)) => {
                put(answers, *at, failed(question, ErrorCode::LeaderNotAvailable));
            }
            None => {
                let count = topic.map_or(0, |topic| topic.partitions.len());
                let error = ClientError::NoPartition {
                    topic: question.topic.clone(),
                    partition: question.partition,
                    count,
                };
                put(answers, *at, answered(question, Err(error)));
            }
        }
    }
    for ((_, leader), asked) in by_leader {
        match ask_leader(cluster, isolation, leader, &asked).await {
            Ok(response) => take(&response, asked, answers),
            Err(error) => {
                for (at, question, _) in asked {
                    put(answers, at, answered(question, Err(error.clone())));
                }
            }
        }
    }
}

async fn ask_leader(
    cluster: &Cluster,
    isolation: Isolation,
    leader: i32,
    asked: &[(usize, OffsetQuestion, i32)],
) -> Result<ListOffsetsResponse, ClientError> {
    let mut topics: BTreeMap<&Text, Vec<ListOffsetsPartition>> = BTreeMap::new();
    for (_, question, epoch) in asked {
        topics.entry(&question.topic).or_default().push(ListOffsetsPartition {
            partition_index: question.partition,
            current_leader_epoch: *epoch,
            timestamp: question.timestamp,
        });
    }
    let topics = topics
        .into_iter()
        .map(|(name, partitions)| ListOffsetsTopic { name: name.clone(), partitions });
    let connection = cluster.broker(leader).await?;
    let version = connection.version_of::<ListOffsetsRequest>(i16::MAX)?;
    let request = ListOffsetsRequest {
        replica_id: -1,
        // Version 1 has no such field, and no transactions either.
        isolation_level: if version >= 2 { isolation.code() } else { 0 },
        topics: topics.collect(),
        timeout_ms: timeout_ms(cluster),
    };
    let timeout = cluster.options().connection.request_timeout;
    Ok(connection.call_version(version, &request, timeout).await?)
}

fn take(
    response: &ListOffsetsResponse,
    asked: Vec<(usize, OffsetQuestion, i32)>,
    answers: &mut [Option<OffsetAnswer>],
) {
    let told: BTreeMap<_, _> = response
        .topics
        .iter()
        .flat_map(|topic| topic.partitions.iter().map(move |told| (&topic.name, told)))
        .map(|(name, told)| ((name.as_str(), told.partition_index), told))
        .collect();
    for (at, question, _) in asked {
        let asked = (question.topic.as_str(), question.partition);
        let Some(partition) = told.get(&asked).copied() else {
            put(answers, at, failed(question, ErrorCode::UnknownServerError));
            continue;
        };
        let answer = match ErrorCode::from_code(partition.error_code) {
            ErrorCode::None => OffsetAnswer {
                question,
                offset: Ok(Some(partition.offset).filter(|offset| *offset >= 0)),
                timestamp: partition.timestamp,
                leader_epoch: partition.leader_epoch,
            },
            code => failed(question, code),
        };
        put(answers, at, answer);
    }
}

fn put(answers: &mut [Option<OffsetAnswer>], at: usize, answer: OffsetAnswer) {
    if let Some(slot) = answers.get_mut(at) {
        *slot = Some(answer);
    }
}

fn failed(question: OffsetQuestion, code: ErrorCode) -> OffsetAnswer {
    let what = format!("partition {}-{}", question.topic, question.partition);
    answered(question, Err(ClientError::refused(what, code, None)))
}

fn answered(question: OffsetQuestion, offset: Result<Option<i64>, ClientError>) -> OffsetAnswer {
    OffsetAnswer { question, offset, timestamp: -1, leader_epoch: -1 }
}
