//! PURE. The records of a group of KIP-848, and what they say.

use std::collections::{BTreeMap, BTreeSet};

use duramen_protocol::group_records::{
    AssignedTopicPartitions, ConsumerGroupCurrentMemberAssignmentKey,
    ConsumerGroupCurrentMemberAssignmentValue, ConsumerGroupMemberMetadataKey,
    ConsumerGroupMetadataKey, ConsumerGroupMetadataValue, ConsumerGroupRegularExpressionKey,
    ConsumerGroupRegularExpressionValue, ConsumerGroupTargetAssignmentMemberKey,
    ConsumerGroupTargetAssignmentMemberValue, ConsumerGroupTargetAssignmentMetadataKey,
    ConsumerGroupTargetAssignmentMetadataValue, GroupRecord, TopicPartitions,
};
use duramen_protocol::text::Text;

use super::assignor::Assignment;
use super::member::{Given, Member, MemberState, Position};

/// The group's epoch, and the hash of its topics.
pub(super) fn group(group: &Text, epoch: i32, metadata_hash: i64) -> GroupRecord {
    let value = ConsumerGroupMetadataValue { epoch, metadata_hash };
    GroupRecord::ConsumerGroupMetadata(group_key(group), Some(value))
}

/// The group is gone.
pub(super) fn no_group(group: &Text) -> GroupRecord {
    GroupRecord::ConsumerGroupMetadata(group_key(group), None)
}

fn group_key(group: &Text) -> ConsumerGroupMetadataKey {
    ConsumerGroupMetadataKey { group_id: group.clone() }
}

/// What a member said of itself; `None` when it is gone.
pub(super) fn member(group: &Text, id: &Text, member: Option<&Member>) -> GroupRecord {
    let key = ConsumerGroupMemberMetadataKey { group_id: group.clone(), member_id: id.clone() };
    GroupRecord::ConsumerGroupMemberMetadata(key, member.map(|member| member.about.clone()))
}

/// The group's epoch that the targets are for, and when they were made; `None` when there are none.
pub(super) fn target_epoch(group: &Text, epoch: Option<(i32, i64)>) -> GroupRecord {
    let key = ConsumerGroupTargetAssignmentMetadataKey { group_id: group.clone() };
    let value =
        epoch.map(|(assignment_epoch, made_ms)| ConsumerGroupTargetAssignmentMetadataValue {
            assignment_epoch,
            assignment_timestamp: made_ms,
        });
    GroupRecord::ConsumerGroupTargetAssignmentMetadata(key, value)
}

/// What a member is to have; `None` when it is gone.
pub(super) fn target(group: &Text, id: &Text, target: Option<&Assignment>) -> GroupRecord {
    let key =
        ConsumerGroupTargetAssignmentMemberKey { group_id: group.clone(), member_id: id.clone() };
    let topic = |(topic, partitions): (&_, &BTreeSet<i32>)| TopicPartitions {
        topic_id: *topic,
        partitions: partitions.iter().copied().collect(),
    };
    let value = target.map(|target| ConsumerGroupTargetAssignmentMemberValue {
        topic_partitions: target.iter().map(topic).collect(),
    });
    GroupRecord::ConsumerGroupTargetAssignmentMember(key, value)
}

/// What a record says that a member is to have.
pub(super) fn read_target(value: &ConsumerGroupTargetAssignmentMemberValue) -> Assignment {
    let topics = value.topic_partitions.iter();
    topics.map(|topic| (topic.topic_id, topic.partitions.iter().copied().collect())).collect()
}

/// What a member has; `None` when it is gone.
pub(super) fn position(group: &Text, id: &Text, position: Option<&Position>) -> GroupRecord {
    let key =
        ConsumerGroupCurrentMemberAssignmentKey { group_id: group.clone(), member_id: id.clone() };
    let value = position.map(|position| ConsumerGroupCurrentMemberAssignmentValue {
        member_epoch: position.epoch,
        previous_member_epoch: position.previous_epoch,
        state: match position.state {
            MemberState::Stable => 0,
            MemberState::Unrevoked => 1,
            MemberState::Unreleased => 2,
        },
        assigned_partitions: write_given(&position.assigned),
        partitions_pending_revocation: write_given(&position.revoking),
    });
    GroupRecord::ConsumerGroupCurrentMemberAssignment(key, value)
}

fn write_given(given: &Given) -> Vec<AssignedTopicPartitions> {
    let topic = |(topic, partitions): (&_, &BTreeMap<i32, i32>)| AssignedTopicPartitions {
        topic_id: *topic,
        partitions: partitions.keys().copied().collect(),
        assignment_epochs: Some(partitions.values().copied().collect()),
    };
    given.iter().map(topic).collect()
}

/// What a record says that a member has.
pub(super) fn read_position(value: &ConsumerGroupCurrentMemberAssignmentValue) -> Position {
    let epoch = value.member_epoch;
    Position {
        epoch,
        previous_epoch: value.previous_member_epoch,
        state: match value.state {
            1 => MemberState::Unrevoked,
            2 => MemberState::Unreleased,
            _ => MemberState::Stable,
        },
        assigned: read_given(&value.assigned_partitions, epoch),
        revoking: read_given(&value.partitions_pending_revocation, epoch),
    }
}

/// Where no epoch is kept, a partition was given in the member's.
fn read_given(topics: &[AssignedTopicPartitions], epoch: i32) -> Given {
    let topic = |topic: &AssignedTopicPartitions| {
        let epochs = topic.assignment_epochs.iter().flatten().copied();
        let epochs = epochs.chain(std::iter::repeat(epoch));
        (topic.topic_id, topic.partitions.iter().copied().zip(epochs).collect())
    };
    topics.iter().map(topic).collect()
}

/// The topics that a regular expression matched, in the metadata of `version`; `None` when nobody
/// subscribes to it any more.
pub(super) fn regex(
    group: &Text,
    pattern: &Text,
    matched: Option<(&BTreeSet<Text>, i64, i64)>,
) -> GroupRecord {
    let key = ConsumerGroupRegularExpressionKey {
        group_id: group.clone(),
        regular_expression: pattern.clone(),
    };
    let value = matched.map(|(topics, version, timestamp)| ConsumerGroupRegularExpressionValue {
        topics: topics.iter().cloned().collect(),
        version,
        timestamp,
    });
    GroupRecord::ConsumerGroupRegularExpression(key, value)
}

/// The group that a record is about, when it is one of KIP-848.
pub(crate) fn group_of(record: &GroupRecord) -> Option<&Text> {
    Some(match record {
        GroupRecord::ConsumerGroupMetadata(key, _) => &key.group_id,
        GroupRecord::ConsumerGroupMemberMetadata(key, _) => &key.group_id,
        GroupRecord::ConsumerGroupTargetAssignmentMetadata(key, _) => &key.group_id,
        GroupRecord::ConsumerGroupTargetAssignmentMember(key, _) => &key.group_id,
        GroupRecord::ConsumerGroupCurrentMemberAssignment(key, _) => &key.group_id,
        GroupRecord::ConsumerGroupRegularExpression(key, _) => &key.group_id,
        _ => return None,
    })
}
