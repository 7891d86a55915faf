//! DescribeLogDirs: where brokers keep their logs, how large they are, and how much room is left.

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::describe_log_dirs::{
    DescribeLogDirsRequest, DescribeLogDirsResult,
};
use duramen_protocol::text::Text;

use super::spread::{Batches, Open, call_each};
use super::{Admin, Outcome, check, outcomes};
use crate::connection::Connection;
use crate::error::ClientError;

/// A log directory of a broker.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogDir {
    /// Where it is, on the broker's machine.
    pub path: Text,
    /// What is wrong with it; `None` while it works.
    pub error: Option<ErrorCode>,
    /// Bytes free and in all on its disk, when the broker is new enough to say.
    pub space: Option<(u64, u64)>,
    /// Whether no new replicas are placed in it (KIP-1066).
    pub cordoned: bool,
    /// What is in it.
    pub replicas: Vec<ReplicaSize>,
}

/// One replica in a log directory.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReplicaSize {
    /// The topic's name.
    pub topic: Text,
    /// The partition's number.
    pub partition: i32,
    /// Bytes of its segments.
    pub bytes: u64,
    /// How many offsets it is behind the high watermark; of one that is being moved here, behind the
    /// replica that it will take over from.
    pub lag: u64,
    /// Whether it is being moved into this directory.
    pub moving_here: bool,
}

impl Admin {
    /// The log directories of brokers, each as it tells itself.
    ///
    /// # Errors
    /// Only when the runtime stops; each broker has its own outcome.
    pub async fn describe_log_dirs(
        &self,
        brokers: &[i32],
    ) -> Result<Vec<Outcome<i32, Vec<LogDir>>>, ClientError> {
        let mut open = Open::fixed(&self.cluster, brokers.len());
        loop {
            let left = open.left(&self.cluster).await;
            if left.is_empty() {
                return Ok(outcomes(brokers, open.done()));
            }
            let mut batches = Batches::new();
            for (round, at) in (0..).zip(left) {
                let Some(broker) = brokers.get(at).copied() else { continue };
                batches.insert((round, Some(broker)), vec![(at, broker)]);
            }
            call_each(&self.cluster, batches, &mut open, ask).await?;
        }
    }
}

/// Asks one broker; `asked` holds it alone.
async fn ask(
    connection: Connection,
    asked: Vec<i32>,
) -> Result<Vec<Result<Vec<LogDir>, ClientError>>, ClientError> {
    let answer = connection.call(&DescribeLogDirsRequest { topics: None }).await?;
    let told = |broker| {
        let what = format!("log directories of broker {broker}");
        check(&what, answer.error_code, None)?;
        Ok(answer.results.iter().map(log_dir).collect())
    };
    Ok(asked.into_iter().map(told).collect())
}

fn log_dir(dir: &DescribeLogDirsResult) -> LogDir {
    let natural = |number: i64| u64::try_from(number).ok();
    let replicas = dir.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|partition| ReplicaSize {
            topic: topic.name.clone(),
            partition: partition.partition_index,
            bytes: natural(partition.partition_size).unwrap_or(0),
            lag: natural(partition.offset_lag).unwrap_or(0),
            moving_here: partition.is_future_key,
        })
    });
    LogDir {
        path: dir.log_dir.clone(),
        error: Some(ErrorCode::from_code(dir.error_code)).filter(|code| !code.is_none()),
        space: natural(dir.usable_bytes).zip(natural(dir.total_bytes)),
        cordoned: dir.is_cordoned,
        replicas: replicas.collect(),
    }
}
