//! Many things asked about at once: each broker gets one request with all that concerns it, all brokers
//! at the same time, and what got no lasting answer is asked again.

use std::collections::BTreeMap;
use std::future::Future;

use duramen_protocol::error::ErrorCode;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::cluster::{Cluster, Topics};
use crate::connection::Connection;
use crate::error::ClientError;

/// Attempts after which a topic that is not there, or a broker that can't be reached, is taken for gone.
const PATIENCE: u32 = 3;

/// Answers so far, by the places of the questions.
#[derive(Debug)]
pub(super) struct Open<T> {
    answers: Vec<Option<Result<T, ClientError>>>,
    attempts: u32,
    deadline: Instant,
    /// Whether another broker may take over from one that can't be reached.
    moves: bool,
}

impl<T> Open<T> {
    /// Questions to brokers that others may take over from: leaders, coordinators.
    pub(super) fn moving(cluster: &Cluster, count: usize) -> Self {
        Self {
            answers: (0..count).map(|_| None).collect(),
            attempts: 0,
            deadline: Instant::now() + cluster.options().operation_timeout,
            moves: true,
        }
    }

    /// Questions that only the broker itself can answer, or any.
    pub(super) fn fixed(cluster: &Cluster, count: usize) -> Self {
        Self { moves: false, ..Self::moving(cluster, count) }
    }

    /// Whether this is not the first attempt, so that what is known may be old.
    pub(super) fn anew(&self) -> bool {
        self.attempts > 1
    }

    /// The places to ask about in the next attempt, which it waits for; none when all is said, or the
    /// operation's time is over.
    pub(super) async fn left(&mut self, cluster: &Cluster) -> Vec<usize> {
        let open = |answer: &Option<Result<T, ClientError>>| match answer {
            None => true,
            Some(Ok(_)) => false,
            Some(Err(error)) => self.may_pass(error),
        };
        let answers = self.answers.iter().enumerate();
        let left: Vec<usize> =
            answers.filter(|(_, answer)| open(answer)).map(|(at, _)| at).collect();
        if self.attempts > 0 && !left.is_empty() {
            let wait = cluster.backoff(self.attempts);
            if Instant::now() + wait >= self.deadline {
                return Vec::new();
            }
            sleep(wait).await;
        }
        self.attempts += 1;
        left
    }

    fn may_pass(&self, error: &ClientError) -> bool {
        let gone = match error {
            ClientError::Unreachable { .. } => !self.moves,
            error => matches!(
                error.code(),
                Some(ErrorCode::UnknownTopicOrPartition | ErrorCode::UnknownTopicId)
            ),
        };
        error.is_retriable() && !(gone && self.attempts >= PATIENCE)
    }

    pub(super) fn put(&mut self, at: usize, answer: Result<T, ClientError>) {
        if let Some(slot) = self.answers.get_mut(at) {
            *slot = Some(answer);
        }
    }

    /// The answers in the order of the questions; of one that was never answered, the last error.
    pub(super) fn done(self) -> Vec<Result<T, ClientError>> {
        let answered = |answer: Option<_>| answer.unwrap_or(Err(ClientError::Incomplete("a call")));
        self.answers.into_iter().map(answered).collect()
    }
}

/// What each broker is asked, with the places of the questions; `None` stands for any broker. A number
/// before it keeps apart what may not stand in one request.
pub(super) type Batches<A> = BTreeMap<(u32, Option<i32>), Vec<(usize, A)>>;

/// Sends each batch to its broker, once. `ask` gives the answers in the order of what it is given.
///
/// # Errors
/// Only when the runtime stops; what a broker fails with is the answer to all that it was asked.
pub(super) async fn call_each<A, T, F>(
    cluster: &Cluster,
    batches: Batches<A>,
    open: &mut Open<T>,
    ask: impl Fn(Connection, Vec<A>) -> F + Clone + Send + 'static,
) -> Result<(), ClientError>
where
    A: Send + 'static,
    T: Send + 'static,
    F: Future<Output = Result<Vec<Result<T, ClientError>>, ClientError>> + Send,
{
    let mut running = JoinSet::new();
    for ((_, node), asked) in batches {
        let (places, asked): (Vec<usize>, Vec<A>) = asked.into_iter().unzip();
        let (cluster, ask) = (cluster.clone(), ask.clone());
        running.spawn(async move {
            let answer = match connect(&cluster, node).await {
                Ok(connection) => ask(connection, asked).await,
                Err(error) => Err(error),
            };
            (places, answer)
        });
    }
    while let Some(joined) = running.join_next().await {
        let Ok((places, answer)) = joined else { return Err(ClientError::Closed) };
        match answer {
            Ok(answers) => {
                places.into_iter().zip(answers).for_each(|(at, answer)| open.put(at, answer));
            }
            Err(error) => places.into_iter().for_each(|at| open.put(at, Err(error.clone()))),
        }
    }
    Ok(())
}

async fn connect(cluster: &Cluster, node: Option<i32>) -> Result<Connection, ClientError> {
    let Some(node) = node else { return cluster.any().await };
    if !cluster.view().brokers.contains_key(&node) {
        cluster.fetch_metadata(Topics::None).await?;
    }
    cluster.broker(node).await
}

/// The answers to `asked`, in that order; `api` names what left one out.
pub(super) fn in_order<K: Ord, T: Clone>(
    asked: impl IntoIterator<Item = K>,
    told: &BTreeMap<K, Result<T, ClientError>>,
    api: &'static str,
) -> Vec<Result<T, ClientError>> {
    let of = |key| told.get(&key).cloned().unwrap_or(Err(ClientError::Incomplete(api)));
    asked.into_iter().map(of).collect()
}
