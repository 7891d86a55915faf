//! ListOffsets: the offset at a time, and the ends of partitions, each asked of its leader.

use duramen_protocol::error::ErrorCode;
use duramen_protocol::ids::{
    EARLIEST, EARLIEST_LOCAL, EARLIEST_PENDING_UPLOAD, LATEST, LATEST_TIERED, MAX_TIMESTAMP,
};
use duramen_protocol::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use duramen_protocol::text::Text;

use super::leaders::{Asked, Placed, Told, at_leaders, by_topic, refused_at};
use super::spread::in_order;
use super::{Admin, timeout_ms};
use crate::cluster::Cluster;
use crate::connection::Connection;
use crate::consumer::{Isolation, TopicPartition};
use crate::error::ClientError;

/// The first version that knows of isolation.
const WITH_ISOLATION: i16 = 2;

/// Which offset of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OffsetSpec {
    /// The first: the log start offset.
    Earliest,
    /// Behind the last: the high watermark, or the last stable offset for
    /// [`Isolation::ReadCommitted`].
    Latest,
    /// Of the first record at or after this time, in milliseconds since 1970.
    Time(i64),
    /// Of the record with the largest timestamp.
    MaxTimestamp,
    /// The first on the broker's own disk, where older records are in tiered storage.
    EarliestLocal,
    /// The last in tiered storage.
    LatestTiered,
    /// The first that tiered storage does not have yet.
    EarliestPendingUpload,
}

impl OffsetSpec {
    /// The number that stands for it on the wire.
    #[must_use]
    pub fn code(self) -> i64 {
        match self {
            Self::Earliest => EARLIEST,
            Self::Latest => LATEST,
            Self::Time(timestamp) => timestamp,
            Self::MaxTimestamp => MAX_TIMESTAMP,
            Self::EarliestLocal => EARLIEST_LOCAL,
            Self::LatestTiered => LATEST_TIERED,
            Self::EarliestPendingUpload => EARLIEST_PENDING_UPLOAD,
        }
    }
}

/// The first version in which a broker knows of a special number.
fn known_since(timestamp: i64) -> i16 {
    match timestamp {
        MAX_TIMESTAMP => 7,
        EARLIEST_LOCAL => 8,
        LATEST_TIERED => 9,
        EARLIEST_PENDING_UPLOAD => 11,
        _ => 0,
    }
}

/// One question: `timestamp` is a time in milliseconds since 1970, or what [`OffsetSpec::code`] gives.
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
    /// Asks for this offset of a partition.
    pub fn new(topic: impl Into<Text>, partition: i32, spec: OffsetSpec) -> Self {
        Self::at(topic.into(), partition, spec.code())
    }

    /// The same by the number on the wire.
    pub(crate) fn at(topic: Text, partition: i32, timestamp: i64) -> Self {
        Self { topic, partition, timestamp }
    }
}

impl Placed for OffsetQuestion {
    fn place(&self) -> TopicPartition {
        TopicPartition::new(self.topic.clone(), self.partition)
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
    /// The timestamp of the record found, in milliseconds since 1970, or -1.
    pub timestamp: i64,
    /// The leader epoch of the record found, or -1.
    pub leader_epoch: i32,
}

impl Admin {
    /// Offsets at times or ends of partitions; see [`list_offsets`].
    ///
    /// # Errors
    /// When no broker answers; each question has its own answer.
    pub async fn list_offsets(
        &self,
        isolation: Isolation,
        questions: Vec<OffsetQuestion>,
    ) -> Result<Vec<OffsetAnswer>, ClientError> {
        list_offsets(&self.cluster, isolation, questions).await
    }
}

/// What was found: offset, timestamp, leader epoch.
type Found = (Option<i64>, i64, i32);

/// Asks the leaders; questions whose leader has moved are asked again, within the operation's time. The
/// answers stand in the order of the questions.
///
/// # Errors
/// When no broker answers; each question has its own answer.
pub async fn list_offsets(
    cluster: &Cluster,
    isolation: Isolation,
    questions: Vec<OffsetQuestion>,
) -> Result<Vec<OffsetAnswer>, ClientError> {
    let timeout_ms = timeout_ms(cluster);
    let ask = move |connection, asked| ask(connection, asked, isolation, timeout_ms);
    let found = at_leaders(cluster, &questions, ask).await?;
    let answer = |(question, found): (OffsetQuestion, Result<Found, ClientError>)| match found {
        Ok((offset, timestamp, leader_epoch)) => {
            OffsetAnswer { question, offset: Ok(offset), timestamp, leader_epoch }
        }
        Err(error) => {
            OffsetAnswer { question, offset: Err(error), timestamp: -1, leader_epoch: -1 }
        }
    };
    Ok(questions.into_iter().zip(found).map(answer).collect())
}

async fn ask(
    connection: Connection,
    asked: Vec<Asked<OffsetQuestion>>,
    isolation: Isolation,
    timeout_ms: i32,
) -> Result<Vec<Result<Found, ClientError>>, ClientError> {
    let version = connection.version_of::<ListOffsetsRequest>(i16::MAX)?;
    let mut told = Told::new();
    let (known, unknown): (Vec<_>, Vec<_>) = asked
        .iter()
        .map(|(question, epoch)| (question.place(), (question.timestamp, *epoch)))
        .partition(|(_, (timestamp, _))| known_since(*timestamp) <= version);
    for (at, _) in unknown {
        let error = refused_at(&at, ErrorCode::UnsupportedVersion, None);
        told.insert(at, Err(error));
    }
    let partition = |(partition_index, (timestamp, current_leader_epoch))| ListOffsetsPartition {
        partition_index,
        current_leader_epoch,
        timestamp,
    };
    let topics = by_topic(known).into_iter().map(|(name, partitions)| ListOffsetsTopic {
        name,
        partitions: partitions.into_iter().map(partition).collect(),
    });
    let request = ListOffsetsRequest {
        replica_id: -1,
        // Version 1 has no such field, and no transactions either.
        isolation_level: if version >= WITH_ISOLATION { isolation.code() } else { 0 },
        topics: topics.collect(),
        timeout_ms,
    };
    if !request.topics.is_empty() {
        for topic in connection.call(&request).await?.topics {
            for partition in topic.partitions {
                let at = TopicPartition::new(topic.name.clone(), partition.partition_index);
                let found = match ErrorCode::from_code(partition.error_code) {
                    ErrorCode::None => {
                        let offset = Some(partition.offset).filter(|offset| *offset >= 0);
                        Ok((offset, partition.timestamp, partition.leader_epoch))
                    }
                    code => Err(refused_at(&at, code, None)),
                };
                told.insert(at, found);
            }
        }
    }
    Ok(in_order(asked.iter().map(|(question, _)| question.place()), &told, "ListOffsets"))
}
