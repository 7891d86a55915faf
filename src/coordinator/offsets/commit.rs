//! PURE. OffsetCommit: one record a partition.

use duramen_protocol::error::ErrorCode;
use duramen_protocol::group_records::{GroupRecord, OffsetCommitKey, OffsetCommitValue};
use duramen_protocol::messages::offset_commit::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic, OffsetCommitResponse,
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use duramen_protocol::text::Text;

use super::Offsets;
use crate::coordinator::command::{Commit, Turn};

impl Offsets {
    /// Commits offsets that the group has allowed.
    pub(crate) fn commit(turn: &mut Turn<'_>, commit: &Commit) -> OffsetCommitResponse {
        let request = &commit.request;
        let retention = Some(request.retention_time_ms).filter(|ms| *ms >= 0);
        let expire_ms = retention.map_or(-1, |ms| turn.now.wall_ms.saturating_add(ms));
        let mut topic = |topic: &OffsetCommitRequestTopic| {
            let mut partition = |partition: &OffsetCommitRequestPartition| {
                let outcome = commit_one(turn, &request.group_id, topic, partition, expire_ms);
                OffsetCommitResponsePartition {
                    partition_index: partition.partition_index,
                    error_code: outcome.err().unwrap_or(ErrorCode::None).code(),
                }
            };
            OffsetCommitResponseTopic {
                name: topic.name.clone(),
                topic_id: topic.topic_id,
                partitions: topic.partitions.iter().map(&mut partition).collect(),
            }
        };
        let topics = request.topics.iter().map(&mut topic).collect();
        OffsetCommitResponse { topics, ..OffsetCommitResponse::default() }
    }
}

fn commit_one(
    turn: &mut Turn<'_>,
    group: &Text,
    topic: &OffsetCommitRequestTopic,
    partition: &OffsetCommitRequestPartition,
    expire_ms: i64,
) -> Result<(), ErrorCode> {
    let metadata = partition.committed_metadata.clone().unwrap_or_default();
    if metadata.len() > turn.limits.offset_metadata_max {
        return Err(ErrorCode::OffsetMetadataTooLarge);
    }
    let key = OffsetCommitKey {
        group: group.clone(),
        topic: topic.name.clone(),
        partition: partition.partition_index,
    };
    let value = OffsetCommitValue {
        offset: partition.committed_offset,
        leader_epoch: partition.committed_leader_epoch,
        metadata,
        commit_timestamp: turn.now.wall_ms,
        expire_timestamp: expire_ms,
        topic_id: topic.topic_id,
    };
    turn.record(GroupRecord::OffsetCommit(key, Some(value)));
    Ok(())
}
