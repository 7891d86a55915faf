//! What is asked of the leaders of partitions, wherever they are just now.

use std::collections::BTreeMap;
use std::future::Future;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::text::Text;

use super::spread::{Batches, Open, call_each};
use crate::cluster::{Cluster, ClusterView, Topics};
use crate::connection::Connection;
use crate::consumer::TopicPartition;
use crate::error::ClientError;

/// Something about one partition.
pub(super) trait Placed: Clone + Send + 'static {
    /// The partition.
    fn place(&self) -> TopicPartition;
}

impl Placed for TopicPartition {
    fn place(&self) -> TopicPartition {
        self.clone()
    }
}

/// A question on its way, and the leader epoch of its partition that was known when it was sent.
pub(super) type Asked<Q> = (Q, i32);

/// Answers by partition.
pub(super) type Told<T> = BTreeMap<TopicPartition, Result<T, ClientError>>;

/// Asks the leaders; what concerns a leader that has moved is asked again, within the operation's time.
/// The answers stand in the order of the questions; no partition stands twice in one request, since
/// Kafka refuses that.
///
/// # Errors
/// When no broker answers.
pub(super) async fn at_leaders<Q, T, F>(
    cluster: &Cluster,
    questions: &[Q],
    ask: impl Fn(Connection, Vec<Asked<Q>>) -> F + Clone + Send + 'static,
) -> Result<Vec<Result<T, ClientError>>, ClientError>
where
    Q: Placed,
    T: Send + 'static,
    F: Future<Output = Result<Vec<Result<T, ClientError>>, ClientError>> + Send,
{
    let mut open = Open::moving(cluster, questions.len());
    loop {
        let left = open.left(cluster).await;
        if left.is_empty() {
            return Ok(open.done());
        }
        let places: Vec<(usize, &Q, TopicPartition)> = left
            .into_iter()
            .filter_map(|at| questions.get(at).map(|question| (at, question, question.place())))
            .collect();
        let refused = learn(cluster, places.iter().map(|(.., place)| place), open.anew()).await?;
        let view = cluster.view();
        let mut rounds: BTreeMap<TopicPartition, u32> = BTreeMap::new();
        let mut batches = Batches::new();
        for (at, question, place) in places {
            match leader_of(&view, &refused, &place) {
                Ok((leader, epoch)) => {
                    let round = rounds.entry(place).or_default();
                    let batch: &mut Vec<_> = batches.entry((*round, Some(leader))).or_default();
                    batch.push((at, (question.clone(), epoch)));
                    *round += 1;
                }
                Err(error) => open.put(at, Err(error)),
            }
        }
        call_each(cluster, batches, &mut open, ask.clone()).await?;
    }
}

/// Makes sure that the partitions are known, or all are asked about `anew`. Why a topic is not known.
async fn learn(
    cluster: &Cluster,
    places: impl Iterator<Item = &TopicPartition>,
    anew: bool,
) -> Result<BTreeMap<Text, ErrorCode>, ClientError> {
    let view = cluster.view();
    let known = |at: &TopicPartition| view.topic(&at.topic)?.partition(at.partition);
    let mut names: Vec<Text> =
        places.filter(|at| anew || known(at).is_none()).map(|at| at.topic.clone()).collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        return Ok(BTreeMap::new());
    }
    let names = &names;
    let answer = cluster
        .retrying("metadata", || async move { cluster.fetch_metadata(Topics::Named(names)).await })
        .await?;
    let refused = answer.topics.into_iter().filter(|topic| topic.error_code != 0);
    Ok(refused
        .filter_map(|topic| Some((topic.name?, ErrorCode::from_code(topic.error_code))))
        .collect())
}

fn leader_of(
    view: &ClusterView,
    refused: &BTreeMap<Text, ErrorCode>,
    at: &TopicPartition,
) -> Result<(i32, i32), ClientError> {
    let TopicPartition { topic, partition } = at;
    let Some(known) = view.topic(topic) else {
        let code = refused.get(topic).copied().unwrap_or(ErrorCode::UnknownTopicOrPartition);
        return Err(ClientError::refused(format!("topic {topic}"), code, None));
    };
    let Some(found) = known.partition(*partition) else {
        let count = known.partitions.len();
        return Err(ClientError::NoPartition {
            topic: topic.clone(),
            partition: *partition,
            count,
        });
    };
    match found.leader {
        Some(leader) => Ok((leader, found.leader_epoch)),
        None => Err(refused_at(at, ErrorCode::LeaderNotAvailable, None)),
    }
}

/// A refusal about one partition.
pub(super) fn refused_at(
    at: &TopicPartition,
    code: ErrorCode,
    message: Option<&Text>,
) -> ClientError {
    ClientError::refused(format!("partition {at}"), code, message.cloned())
}

/// What belongs to each topic, as most requests want it.
pub(super) fn by_topic<T>(
    parts: impl IntoIterator<Item = (TopicPartition, T)>,
) -> BTreeMap<Text, Vec<(i32, T)>> {
    let mut topics: BTreeMap<Text, Vec<(i32, T)>> = BTreeMap::new();
    for (at, part) in parts {
        topics.entry(at.topic).or_default().push((at.partition, part));
    }
    topics
}
