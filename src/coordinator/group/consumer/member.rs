//! PURE. A member of a consumer group, and its records.

use std::collections::BTreeSet;
use std::time::Duration;

use duramen_protocol::group_records::{
    AssignedTopicPartitions, ConsumerGroupCurrentMemberAssignmentKey,
    ConsumerGroupCurrentMemberAssignmentValue, ConsumerGroupMemberMetadataKey,
    ConsumerGroupMemberMetadataValue, ConsumerGroupTargetAssignmentMemberKey,
    ConsumerGroupTargetAssignmentMemberValue, GroupRecord, TopicPartitions,
};
use duramen_protocol::text::Text;

use super::assign::Partitions;

/// The epoch with which a member joins.
pub(super) const JOINS: i32 = 0;
/// The epoch with which a member leaves.
pub(super) const LEAVES: i32 = -1;
/// The epoch with which a static member leaves that will be back.
pub(super) const LEAVES_FOR_NOW: i32 = -2;

/// How far a member is on its way to its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Progress {
    /// It has what it is to have.
    #[default]
    Stable,
    /// It must give up partitions, and say so, before it moves on.
    Unrevoked,
    /// It waits for partitions that others have not given up.
    Unreleased,
}

impl Progress {
    fn code(self) -> i8 {
        match self {
            Self::Stable => 0,
            Self::Unrevoked => 1,
            Self::Unreleased => 2,
        }
    }
}

/// A member.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Member {
    /// What it said of itself.
    pub(super) said: ConsumerGroupMemberMetadataValue,
    /// Its epoch.
    pub(super) epoch: i32,
    /// The epoch before: its answer may have been lost.
    pub(super) previous_epoch: i32,
    pub(super) progress: Progress,
    /// What it may read.
    pub(super) assigned: Partitions,
    /// What it has to give up.
    pub(super) revoking: Partitions,
}

impl Member {
    pub(super) fn instance_id(&self) -> Option<&Text> {
        self.said.instance_id.as_ref()
    }

    /// Whether it is a static member that has left and will be back.
    pub(super) fn is_away(&self) -> bool {
        self.epoch == LEAVES_FOR_NOW
    }

    pub(super) fn rebalance_timeout(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.said.rebalance_timeout_ms).unwrap_or(0))
    }

    /// Becomes what it says of itself.
    pub(super) fn describe_as(&mut self, value: &ConsumerGroupMemberMetadataValue) {
        self.said = value.clone();
    }

    /// Becomes what a record of its assignment says.
    pub(super) fn stand_at(&mut self, value: Option<&ConsumerGroupCurrentMemberAssignmentValue>) {
        let nothing = ConsumerGroupCurrentMemberAssignmentValue::default();
        let value = value.unwrap_or(&nothing);
        self.epoch = value.member_epoch;
        self.previous_epoch = value.previous_member_epoch;
        self.progress = match value.state {
            1 => Progress::Unrevoked,
            2 => Progress::Unreleased,
            _ => Progress::Stable,
        };
        self.assigned = read(&value.assigned_partitions);
        self.revoking = read(&value.partitions_pending_revocation);
    }

    /// The record of what it says of itself.
    pub(super) fn metadata_record(&self, group: &Text, id: &Text) -> GroupRecord {
        GroupRecord::ConsumerGroupMemberMetadata(metadata_key(group, id), Some(self.said.clone()))
    }

    /// The record of what it has.
    pub(super) fn assignment_record(&self, group: &Text, id: &Text) -> GroupRecord {
        let value = ConsumerGroupCurrentMemberAssignmentValue {
            member_epoch: self.epoch,
            previous_member_epoch: self.previous_epoch,
            state: self.progress.code(),
            assigned_partitions: written(&self.assigned),
            partitions_pending_revocation: written(&self.revoking),
        };
        GroupRecord::ConsumerGroupCurrentMemberAssignment(current_key(group, id), Some(value))
    }
}

/// The record of what a member is to have.
pub(super) fn target_record(group: &Text, id: &Text, partitions: &Partitions) -> GroupRecord {
    let topic_partitions = partitions.iter().map(|(topic_id, indexes)| TopicPartitions {
        topic_id: *topic_id,
        partitions: indexes.iter().copied().collect(),
    });
    let value =
        ConsumerGroupTargetAssignmentMemberValue { topic_partitions: topic_partitions.collect() };
    GroupRecord::ConsumerGroupTargetAssignmentMember(target_key(group, id), Some(value))
}

/// What deletes a member.
pub(super) fn tombstones(group: &Text, id: &Text) -> [GroupRecord; 3] {
    [
        GroupRecord::ConsumerGroupCurrentMemberAssignment(current_key(group, id), None),
        GroupRecord::ConsumerGroupTargetAssignmentMember(target_key(group, id), None),
        GroupRecord::ConsumerGroupMemberMetadata(metadata_key(group, id), None),
    ]
}

fn metadata_key(group: &Text, id: &Text) -> ConsumerGroupMemberMetadataKey {
    ConsumerGroupMemberMetadataKey { group_id: group.clone(), member_id: id.clone() }
}

fn current_key(group: &Text, id: &Text) -> ConsumerGroupCurrentMemberAssignmentKey {
    ConsumerGroupCurrentMemberAssignmentKey { group_id: group.clone(), member_id: id.clone() }
}

fn target_key(group: &Text, id: &Text) -> ConsumerGroupTargetAssignmentMemberKey {
    ConsumerGroupTargetAssignmentMemberKey { group_id: group.clone(), member_id: id.clone() }
}

fn read(topics: &[AssignedTopicPartitions]) -> Partitions {
    topics.iter().map(|it| (it.topic_id, it.partitions.iter().copied().collect())).collect()
}

fn written(partitions: &Partitions) -> Vec<AssignedTopicPartitions> {
    let topic = |(topic_id, indexes): (&_, &BTreeSet<i32>)| AssignedTopicPartitions {
        topic_id: *topic_id,
        partitions: indexes.iter().copied().collect(),
        assignment_epochs: None,
    };
    partitions.iter().map(topic).collect()
}
