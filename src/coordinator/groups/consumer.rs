//! PURE. The groups of KIP-848 among those of a shard, and how a group that nobody is in changes its
//! protocol.

use std::sync::Arc;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::group_records::{GroupMetadataKey, GroupRecord};
use duramen_protocol::messages::consumer_group_describe::DescribedGroup;
use duramen_protocol::text::Text;

use super::{DEAD, Groups, group_tombstone};
use crate::coordinator::command::{ReplyTo, Turn};
use crate::coordinator::group::Group;
use crate::coordinator::group::consumer::{
    Beat, ConsumerGroup, Topics, check_heartbeat, refused_heartbeat,
};

/// The epoch with which a member joins.
const JOINS: i32 = 0;

impl Groups {
    /// The topics of the cluster from now on.
    pub(crate) fn see(&mut self, topics: Arc<dyn Topics>) {
        self.topics = topics;
    }

    /// A group of KIP-848.
    pub(super) fn consumer(&mut self, id: &str) -> Option<&mut ConsumerGroup> {
        match self.groups.get_mut(id) {
            Some(Group::Consumer(group)) => Some(group),
            _ => None,
        }
    }

    pub(super) fn beat(&mut self, turn: &mut Turn<'_>, to: ReplyTo, beat: &Beat) {
        let id = &beat.request.group_id;
        let bytes_max = turn.limits.member_bytes_max;
        let checked = check_heartbeat(beat, &turn.limits.consumer, bytes_max);
        let checked = checked.and_then(|()| self.of_consumers(turn, id, beat.request.member_epoch));
        if let Err((code, why)) = checked {
            turn.reply(to, refused_heartbeat(code, Some(why)));
            return;
        }
        let topics = Arc::clone(&self.topics);
        if let Some(group) = self.consumer(id) {
            let answer = group.heartbeat(turn, beat, topics.as_ref());
            turn.reply(to, answer);
        }
        self.settle(id);
    }

    /// Sees to it that there is a group of KIP-848: one without members changes its protocol.
    fn of_consumers(
        &mut self,
        turn: &mut Turn<'_>,
        id: &Text,
        epoch: i32,
    ) -> Result<(), (ErrorCode, &'static str)> {
        let recorded = match self.groups.get(id) {
            Some(Group::Consumer(_)) => return Ok(()),
            Some(Group::Classic(group)) if epoch == JOINS && group.is_vacant() => {
                group.is_recorded()
            }
            Some(Group::Classic(_)) => {
                let why = "The group's members speak the classic protocol: stop them first.";
                return Err((ErrorCode::GroupIdNotFound, why));
            }
            None if epoch != JOINS => {
                return Err((ErrorCode::GroupIdNotFound, "There is no such group: join again."));
            }
            None if self.groups.len() >= turn.limits.groups_max => {
                let why = "This coordinator has as many groups as it may.";
                return Err((ErrorCode::CoordinatorNotAvailable, why));
            }
            None => false,
        };
        if recorded {
            turn.record(group_tombstone(id));
        }
        self.groups.insert(id.clone(), Group::Consumer(ConsumerGroup::new(id.clone())));
        Ok(())
    }

    /// Lets a group of KIP-848 that nobody is in become a classic one.
    pub(super) fn of_classic(&mut self, turn: &mut Turn<'_>, id: &Text) {
        let Some(group) = self.consumer(id).filter(|group| group.is_empty()) else { return };
        if group.is_recorded() {
            turn.out.records.extend(group.tombstones());
        }
        self.groups.remove(id);
        self.classic_or_new(id);
    }

    pub(super) fn describe_consumer(&self, id: Text, turn: &Turn<'_>) -> DescribedGroup {
        match self.groups.get(&id) {
            Some(Group::Consumer(group)) => {
                group.describe(self.topics.as_ref(), &turn.limits.consumer)
            }
            other => {
                let why = match other {
                    None => format!("Group {id} not found."),
                    Some(_) => format!("Group {id} is not a consumer group."),
                };
                DescribedGroup {
                    error_code: ErrorCode::GroupIdNotFound.code(),
                    error_message: Some(why.into()),
                    group_id: id,
                    group_state: DEAD.into(),
                    ..DescribedGroup::default()
                }
            }
        }
    }

    /// Becomes what a record of KIP-848 says.
    pub(super) fn replay_consumer(&mut self, record: &GroupRecord) {
        let Some(id) = group_of(record) else { return };
        match self.groups.get_mut(id) {
            Some(Group::Consumer(group)) => {
                if matches!(record, GroupRecord::ConsumerGroupMetadata(_, None)) {
                    self.forget(&id.clone());
                } else {
                    group.replay(record);
                }
            }
            // What deletes parts of a group that is not there deletes nothing.
            _ if record.is_tombstone() => {}
            Some(Group::Classic(group)) if group.is_recorded() => {}
            _ => {
                let mut group = ConsumerGroup::new(id.clone());
                group.replay(record);
                self.groups.insert(id.clone(), Group::Consumer(group));
            }
        }
    }

    /// A group is gone; its offsets may not be.
    pub(super) fn forget(&mut self, id: &Text) {
        self.groups.remove(id);
        self.alarms.set(id, None);
        if self.offsets.has(id) {
            self.classic_or_new(id);
        }
    }

    /// A classic group has a record: one of KIP-848 that nobody is in gives way.
    pub(super) fn make_way(&mut self, key: &GroupMetadataKey) {
        if self.consumer(&key.group).is_some_and(|group| group.is_empty()) {
            self.groups.remove(&key.group);
        }
    }
}

fn group_of(record: &GroupRecord) -> Option<&Text> {
    match record {
        GroupRecord::ConsumerGroupMetadata(key, _) => Some(&key.group_id),
        GroupRecord::ConsumerGroupPartitionMetadata(key, _) => Some(&key.group_id),
        GroupRecord::ConsumerGroupMemberMetadata(key, _) => Some(&key.group_id),
        GroupRecord::ConsumerGroupTargetAssignmentMetadata(key, _) => Some(&key.group_id),
        GroupRecord::ConsumerGroupTargetAssignmentMember(key, _) => Some(&key.group_id),
        GroupRecord::ConsumerGroupCurrentMemberAssignment(key, _) => Some(&key.group_id),
        GroupRecord::ConsumerGroupRegularExpression(key, _) => Some(&key.group_id),
        GroupRecord::OffsetCommit(..) | GroupRecord::GroupMetadata(..) => None,
    }
}
