//! The offsets that groups have committed. They are asked for by topic names (OffsetFetch up to version 9),
//! since an admin of a deleted topic has no ids; a member commits by ids (OffsetCommit from version 10 on)
//! when it knows them, so that what was read of a topic is not committed of another with its name.

use std::collections::BTreeMap;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::ids::TopicId;
use duramen_protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
    OffsetCommitResponse,
};
use duramen_protocol::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
    OffsetFetchResponse,
};
use duramen_protocol::text::Text;

use super::{Coordinator, How};
use crate::consumer::TopicPartition;
use crate::error::ClientError;

/// Topic ids by name.
pub(crate) type TopicIds = BTreeMap<Text, TopicId>;

/// The newest version of both requests that names topics.
const BY_NAME: i16 = 9;
/// From this version on OffsetFetch asks about several groups, each with an error of its own.
const GROUPS_SINCE: i16 = 8;
/// From this version on OffsetFetch waits for transactions, if asked to.
const STABLE_SINCE: i16 = 7;
/// From this version on a commit bears an instance id.
const INSTANCE_SINCE: i16 = 7;

/// An offset that a group has committed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommittedOffset {
    /// The next offset to read.
    pub offset: i64,
    /// The leader epoch of the record before it, or -1.
    pub leader_epoch: i32,
    /// What the member wrote beside it.
    pub metadata: Text,
}

impl CommittedOffset {
    /// An offset alone.
    #[must_use]
    pub fn at(offset: i64) -> Self {
        Self { offset, leader_epoch: -1, metadata: Text::EMPTY }
    }
}

/// Who commits.
#[derive(Debug, Clone, Default)]
pub(crate) struct Committer {
    pub(crate) member_id: Text,
    /// The generation, or in a group of KIP-848 the member's epoch; -1 for an admin, who may only while the
    /// group has no members.
    pub(crate) generation: i32,
    pub(crate) instance: Option<Text>,
}

/// Offsets by partition, or why one could not be had or written.
pub(crate) type PerPartition<T> = BTreeMap<TopicPartition, Result<T, ClientError>>;

impl Coordinator {
    /// Commits offsets, once; by topic ids when those of all are known. The outcome of each partition.
    pub(crate) async fn commit(
        &self,
        by: &Committer,
        offsets: &[(TopicPartition, CommittedOffset)],
        ids: &TopicIds,
    ) -> Result<PerPartition<()>, ClientError> {
        let named = offsets.iter().any(|(at, _)| !ids.contains_key(&at.topic));
        let how = How { cap: if named { BY_NAME } else { i16::MAX }, ..How::SHARED };
        let request = |version| Ok(self.request(by, offsets, ids, version));
        let answer = self.call(how, request).await?;
        self.committed(offsets, ids, &answer)
    }

    fn request(
        &self,
        by: &Committer,
        offsets: &[(TopicPartition, CommittedOffset)],
        ids: &TopicIds,
        version: i16,
    ) -> OffsetCommitRequest {
        let mut topics: BTreeMap<&Text, Vec<OffsetCommitRequestPartition>> = BTreeMap::new();
        for (at, committed) in offsets {
            topics.entry(&at.topic).or_default().push(OffsetCommitRequestPartition {
                partition_index: at.partition,
                committed_offset: committed.offset,
                committed_leader_epoch: committed.leader_epoch,
                committed_metadata: Some(committed.metadata.clone()),
            });
        }
        OffsetCommitRequest {
            group_id: self.group().clone(),
            generation_id_or_member_epoch: by.generation,
            member_id: by.member_id.clone(),
            group_instance_id: by.instance.clone().filter(|_| version >= INSTANCE_SINCE),
            topics: topics
                .into_iter()
                .map(|(name, partitions)| OffsetCommitRequestTopic {
                    name: name.clone(),
                    topic_id: ids.get(name).copied().unwrap_or_default(),
                    partitions,
                })
                .collect(),
            ..OffsetCommitRequest::default()
        }
    }

    fn committed(
        &self,
        offsets: &[(TopicPartition, CommittedOffset)],
        ids: &TopicIds,
        answer: &OffsetCommitResponse,
    ) -> Result<PerPartition<()>, ClientError> {
        let mut told = PerPartition::new();
        for topic in &answer.topics {
            let by_id = || ids.iter().find(|(_, id)| **id == topic.topic_id).map(|(name, _)| name);
            let name = if topic.topic_id.is_nil() { Some(&topic.name) } else { by_id() };
            let Some(name) = name else { continue };
            for partition in &topic.partitions {
                let at = TopicPartition::new(name.clone(), partition.partition_index);
                let outcome = match ErrorCode::from_code(partition.error_code) {
                    code @ (ErrorCode::UnknownTopicOrPartition
                    | ErrorCode::UnknownTopicId
                    | ErrorCode::OffsetMetadataTooLarge
                    | ErrorCode::InvalidCommitOffsetSize
                    | ErrorCode::TopicAuthorizationFailed) => {
                        Err(ClientError::refused(format!("partition {at}"), code, None))
                    }
                    // The others are about the group, and the same for all partitions.
                    code => Ok(self.check(code.code(), None)?),
                };
                told.insert(at, outcome);
            }
        }
        match offsets.iter().all(|(at, _)| told.contains_key(at)) {
            true => Ok(told),
            false => Err(ClientError::Incomplete("OffsetCommit")),
        }
    }

    /// What the group has committed, of these partitions or of all; partitions without a commit are left
    /// out. `stable` waits for transactions that commit offsets. A member of a group of KIP-848 says who it
    /// is, and is refused when it is that no more.
    pub(crate) async fn fetch_committed(
        &self,
        by: Option<(&Text, i32)>,
        partitions: Option<&[TopicPartition]>,
        stable: bool,
    ) -> Result<PerPartition<CommittedOffset>, ClientError> {
        let topics = partitions.map(by_topic);
        let how = How { cap: BY_NAME, ..How::SHARED };
        let group = self.group();
        let answer = self
            .call(how, |version| {
                let topics = topics.clone();
                Ok(match version {
                    GROUPS_SINCE.. => of_group(group.clone(), by, topics, stable),
                    _ => OffsetFetchRequest {
                        group_id: group.clone(),
                        topics: topics.map(|topics| {
                            let topics = topics.into_iter();
                            let of = |(name, partition_indexes)| OffsetFetchRequestTopic {
                                name,
                                partition_indexes,
                            };
                            topics.map(of).collect()
                        }),
                        require_stable: stable && version >= STABLE_SINCE,
                        ..OffsetFetchRequest::default()
                    },
                })
            })
            .await?;
        self.fetched(&answer)
    }

    fn fetched(
        &self,
        answer: &OffsetFetchResponse,
    ) -> Result<PerPartition<CommittedOffset>, ClientError> {
        let mut told = Told::default();
        if let Some(group) = answer.groups.first() {
            self.check(group.error_code, None)?;
            for topic in &group.topics {
                for it in &topic.partitions {
                    let at = TopicPartition::new(topic.name.clone(), it.partition_index);
                    let stands = (it.committed_offset, it.committed_leader_epoch);
                    told.take(at, it.error_code, stands, it.metadata.as_ref());
                }
            }
            return Ok(told.0);
        }
        self.check(answer.error_code, None)?;
        for topic in &answer.topics {
            for it in &topic.partitions {
                let at = TopicPartition::new(topic.name.clone(), it.partition_index);
                let stands = (it.committed_offset, it.committed_leader_epoch);
                told.take(at, it.error_code, stands, it.metadata.as_ref());
            }
        }
        Ok(told.0)
    }
}

/// What an answer has told so far.
#[derive(Default)]
struct Told(PerPartition<CommittedOffset>);

impl Told {
    fn take(
        &mut self,
        at: TopicPartition,
        code: i16,
        (offset, leader_epoch): (i64, i32),
        metadata: Option<&Text>,
    ) {
        let metadata = metadata.cloned().unwrap_or_default();
        let told = match ErrorCode::from_code(code) {
            ErrorCode::None if offset < 0 => return,
            ErrorCode::None => Ok(CommittedOffset { offset, leader_epoch, metadata }),
            code => Err(ClientError::refused(format!("partition {at}"), code, None)),
        };
        self.0.insert(at, told);
    }
}

/// Partition numbers by topic.
type Topics = BTreeMap<Text, Vec<i32>>;

fn by_topic(partitions: &[TopicPartition]) -> Topics {
    let mut topics = Topics::new();
    for TopicPartition { topic, partition } in partitions {
        topics.entry(topic.clone()).or_default().push(*partition);
    }
    topics
}

fn of_group(
    group_id: Text,
    by: Option<(&Text, i32)>,
    topics: Option<Topics>,
    stable: bool,
) -> OffsetFetchRequest {
    let topic = |(name, partition_indexes)| OffsetFetchRequestTopics {
        name,
        partition_indexes,
        ..OffsetFetchRequestTopics::default()
    };
    let group = OffsetFetchRequestGroup {
        group_id,
        member_id: by.map(|(member, _)| member.clone()),
        member_epoch: by.map_or(-1, |(_, epoch)| epoch),
        topics: topics.map(|topics| topics.into_iter().map(topic).collect()),
    };
    OffsetFetchRequest {
        groups: vec![group],
        require_stable: stable,
        ..OffsetFetchRequest::default()
    }
}
