//! DescribeLogDirs: where a broker keeps its logs, how large they are, and how much room is left.

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::describe_log_dirs::DescribeLogDirsRequest;
use duramen_protocol::text::Text;

use super::{Admin, Resource, check};
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
}

impl Admin {
    /// The log directories of a broker, as it tells itself.
    ///
    /// # Errors
    /// When the broker does not answer, or refuses.
    pub async fn describe_log_dirs(&self, broker: i32) -> Result<Vec<LogDir>, ClientError> {
        let request = &DescribeLogDirsRequest { topics: None };
        let what = &format!("log directories of broker {broker}");
        let answer = self
            .cluster
            .retrying(what, || async move {
                let connection = self.place_of(&Resource::Broker(broker)).await?;
                let answer = connection.call(request).await?;
                check(what, answer.error_code, None)?;
                Ok(answer)
            })
            .await?;
        let natural = |bytes: i64| u64::try_from(bytes).ok();
        let told = answer.results.into_iter().map(|dir| {
            let replicas = dir.topics.into_iter().flat_map(|topic| {
                let name = topic.name;
                topic.partitions.into_iter().map(move |partition| ReplicaSize {
                    topic: name.clone(),
                    partition: partition.partition_index,
                    bytes: natural(partition.partition_size).unwrap_or(0),
                })
            });
            LogDir {
                path: dir.log_dir,
                error: Some(ErrorCode::from_code(dir.error_code)).filter(|code| !code.is_none()),
                space: natural(dir.usable_bytes).zip(natural(dir.total_bytes)),
                replicas: replicas.collect(),
            }
        });
        Ok(told.collect())
    }
}
