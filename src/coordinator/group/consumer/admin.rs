//! PURE. What is told about a group, who may commit its offsets, and what deletes it.

use duramen_protocol::error::ErrorCode;
use duramen_protocol::group_records::{
    ConsumerGroupMetadataKey, ConsumerGroupRegularExpressionKey,
    ConsumerGroupTargetAssignmentMetadataKey, GroupRecord,
};
use duramen_protocol::messages::consumer_group_describe as described;
use duramen_protocol::messages::list_groups::ListedGroup;
use duramen_protocol::text::Text;

use super::assign::Partitions;
use super::member::{Member, tombstones};
use super::{ConsumerGroup, Topics};
use crate::coordinator::command::ConsumerLimits;

/// The type of a member that speaks this protocol (KIP-1099).
const CONSUMER_MEMBER: i8 = 1;

/// First version of OffsetCommit and OffsetFetch that knows member epochs.
const EPOCH_VERSION: i16 = 9;

impl ConsumerGroup {
    /// As ConsumerGroupDescribe shows it.
    pub(crate) fn describe(
        &self,
        topics: &dyn Topics,
        limits: &ConsumerLimits,
    ) -> described::DescribedGroup {
        let assignor = self.assignor().unwrap_or(limits.assignor());
        let members = self.members.iter();
        described::DescribedGroup {
            group_id: self.id.clone(),
            group_state: self.state().into(),
            group_epoch: self.epoch,
            assignment_epoch: self.target_epoch,
            assignor_name: assignor.name().into(),
            members: members.map(|(id, it)| self.describe_member(topics, id, it)).collect(),
            ..described::DescribedGroup::default()
        }
    }

    fn describe_member(
        &self,
        topics: &dyn Topics,
        id: &Text,
        member: &Member,
    ) -> described::Member {
        let said = &member.said;
        let nothing = Partitions::new();
        described::Member {
            member_id: id.clone(),
            instance_id: said.instance_id.clone(),
            rack_id: said.rack_id.clone(),
            member_epoch: member.epoch,
            client_id: said.client_id.clone(),
            client_host: said.client_host.clone(),
            subscribed_topic_names: said.subscribed_topic_names.clone(),
            subscribed_topic_regex: said.subscribed_topic_regex.clone(),
            assignment: named(topics, &member.assigned),
            target_assignment: named(topics, self.target.get(id).unwrap_or(&nothing)),
            member_type: CONSUMER_MEMBER,
        }
    }

    /// As ListGroups shows it.
    pub(crate) fn list(&self) -> ListedGroup {
        ListedGroup {
            group_id: self.id.clone(),
            protocol_type: duramen_protocol::consumer_protocol::PROTOCOL_TYPE.into(),
            group_state: self.state().into(),
            group_type: "consumer".into(),
        }
    }

    /// Whether offsets may be committed: by a member in its epoch, or by anyone when there are no
    /// members.
    pub(crate) fn may_commit(
        &self,
        member: &str,
        epoch: i32,
        version: i16,
    ) -> Result<(), ErrorCode> {
        if epoch < 0 && self.members.is_empty() {
            return Ok(());
        }
        let member = self.members.get(member).ok_or(ErrorCode::UnknownMemberId)?;
        if version < EPOCH_VERSION {
            return Err(ErrorCode::UnsupportedVersion);
        }
        (member.epoch == epoch).then_some(()).ok_or(ErrorCode::StaleMemberEpoch)
    }

    /// Whether offsets may be read: by a member in its epoch, or by who does not say it is one.
    pub(crate) fn may_fetch(&self, member: Option<&str>, epoch: i32) -> Result<(), ErrorCode> {
        match member.filter(|member| !member.is_empty() || epoch >= 0) {
            None => Ok(()),
            Some(member) => {
                let member = self.members.get(member).ok_or(ErrorCode::UnknownMemberId)?;
                (member.epoch == epoch).then_some(()).ok_or(ErrorCode::StaleMemberEpoch)
            }
        }
    }

    /// Whether the offsets of a topic may be forgotten: not while someone reads it.
    pub(crate) fn may_forget(&self, topic: &str) -> Result<(), ErrorCode> {
        let mut members = self.members.values();
        let read = members.any(|it| self.subscribed_by(it).iter().any(|name| *name == topic));
        if read { Err(ErrorCode::GroupSubscribedToTopic) } else { Ok(()) }
    }

    /// What deletes the group, with all that is left of it.
    pub(crate) fn tombstones(&self) -> Vec<GroupRecord> {
        let group_id = || self.id.clone();
        let mut records: Vec<GroupRecord> =
            self.members.keys().flat_map(|id| tombstones(&self.id, id)).collect();
        records.extend(self.patterns.keys().map(|pattern| {
            let regular_expression = pattern.clone();
            let key =
                ConsumerGroupRegularExpressionKey { group_id: group_id(), regular_expression };
            GroupRecord::ConsumerGroupRegularExpression(key, None)
        }));
        records.push(GroupRecord::ConsumerGroupTargetAssignmentMetadata(
            ConsumerGroupTargetAssignmentMetadataKey { group_id: group_id() },
            None,
        ));
        records.push(GroupRecord::ConsumerGroupMetadata(
            ConsumerGroupMetadataKey { group_id: group_id() },
            None,
        ));
        records
    }
}

fn named(topics: &dyn Topics, partitions: &Partitions) -> described::Assignment {
    let topic_partitions = partitions.iter().map(|(id, indexes)| described::TopicPartitions {
        topic_id: *id,
        // A topic that has just gone has no name any more.
        topic_name: topics.name_of(*id).unwrap_or_default(),
        partitions: indexes.iter().copied().collect(),
    });
    described::Assignment { topic_partitions: topic_partitions.collect() }
}
