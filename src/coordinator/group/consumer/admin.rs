//! PURE. What is told about a group, and who may commit and fetch its offsets.

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::consumer_group_describe::{
    Assignment as ShownAssignment, DescribedGroup, Member as ShownMember, TopicPartitions,
};
use duramen_protocol::messages::list_groups::ListedGroup;
use duramen_protocol::messages::offset_commit::OffsetCommitRequest;

use super::assignor::Assignment;
use super::draft::preferred_of;
use super::member::Member;
use super::{ConsumerGroup, State, records, subscription};
use crate::coordinator::command::{Limits, Turn};
use crate::metadata::MetadataImage;

/// A member by the protocol that it speaks (KIP-1099).
const CLASSIC_MEMBER: i8 = 0;
const CONSUMER_MEMBER: i8 = 1;

/// First version of OffsetCommit that knows member epochs.
const COMMIT_EPOCH_VERSION: i16 = 9;

impl ConsumerGroup {
    /// As ConsumerGroupDescribe shows it.
    pub(crate) fn describe(&self, limits: &Limits, image: &MetadataImage) -> DescribedGroup {
        let assignor = preferred_of(self.members.values(), &limits.consumer.assignors);
        DescribedGroup {
            group_id: self.id.clone(),
            group_state: self.state().name().into(),
            group_epoch: self.epoch,
            assignment_epoch: self.target_epoch,
            assignor_name: assignor.name().into(),
            members: self.members.values().map(|it| self.describe_member(it, image)).collect(),
            ..DescribedGroup::default()
        }
    }

    fn describe_member(&self, member: &Member, image: &MetadataImage) -> ShownMember {
        let about = member.about.clone();
        let nothing = Assignment::new();
        let target = self.targets.get(&member.id).unwrap_or(&nothing);
        ShownMember {
            member_id: member.id.clone(),
            instance_id: about.instance_id,
            rack_id: about.rack_id,
            member_epoch: member.position.epoch,
            client_id: about.client_id,
            client_host: about.client_host,
            subscribed_topic_names: about.subscribed_topic_names,
            subscribed_topic_regex: about.subscribed_topic_regex.filter(|it| !it.is_empty()),
            assignment: show(&member.position.assignment(), image),
            target_assignment: show(target, image),
            member_type: if member.is_classic() { CLASSIC_MEMBER } else { CONSUMER_MEMBER },
        }
    }

    /// As ListGroups shows it.
    pub(crate) fn list(&self) -> ListedGroup {
        ListedGroup {
            group_id: self.id.clone(),
            protocol_type: duramen_protocol::consumer_protocol::PROTOCOL_TYPE.into(),
            group_state: self.state().name().into(),
            group_type: "consumer".into(),
        }
    }

    /// Whether these offsets may be committed: by a member in its epoch, or in an older one since
    /// which it has had all of the partitions (KIP-1251); by anyone when there are no members.
    pub(crate) fn may_commit(
        &self,
        version: i16,
        request: &OffsetCommitRequest,
    ) -> Result<(), ErrorCode> {
        let epoch = request.generation_id_or_member_epoch;
        if epoch < 0 && self.is_empty() {
            return Ok(());
        }
        let member = self.members.get(&request.member_id).ok_or(ErrorCode::UnknownMemberId)?;
        if version < COMMIT_EPOCH_VERSION && !member.is_classic() {
            return Err(ErrorCode::UnsupportedVersion);
        }
        let since = |topic, index| {
            let given = member.position.assigned.get(&topic).and_then(|it| it.get(&index));
            given.is_some_and(|given| *given <= epoch)
        };
        let mut partitions = request.topics.iter().flat_map(|topic| {
            topic.partitions.iter().map(|partition| (topic.topic_id, partition.partition_index))
        });
        let current = epoch == member.position.epoch;
        let older = epoch >= 0 && epoch < member.position.epoch;
        let fits = current || (older && partitions.all(|(topic, index)| since(topic, index)));
        fits.then_some(()).ok_or(wrong_epoch(member))
    }

    /// Whether a member of this epoch may be told offsets; who gives none always may.
    pub(crate) fn may_fetch(&self, member: Option<&str>, epoch: i32) -> Result<(), ErrorCode> {
        let Some(id) = member.filter(|id| epoch >= 0 || !id.is_empty()) else { return Ok(()) };
        let member = self.members.get(id).ok_or(ErrorCode::UnknownMemberId)?;
        (epoch == member.position.epoch).then_some(()).ok_or(wrong_epoch(member))
    }

    /// Whether the group may be deleted.
    pub(crate) fn may_delete(&self) -> Result<(), ErrorCode> {
        match self.state() {
            State::Empty => Ok(()),
            _ => Err(ErrorCode::NonEmptyGroup),
        }
    }

    /// Whether the offsets of a topic may be forgotten: not while someone may read it.
    pub(crate) fn may_forget(&self, topic: &str) -> Result<(), ErrorCode> {
        let reads = |member: &Member| {
            subscription::names(member, &self.regexes).any(|name| &**name == topic)
        };
        match self.members.values().any(reads) {
            true => Err(ErrorCode::GroupSubscribedToTopic),
            false => Ok(()),
        }
    }

    /// Writes that the group, which has no members, is no more.
    pub(crate) fn bury(&self, turn: &mut Turn<'_>) {
        for regex in self.regexes.keys() {
            turn.record(records::regex(&self.id, regex, None));
        }
        turn.record(records::target_epoch(&self.id, None));
        turn.record(records::no_group(&self.id));
    }
}

/// What a member that is not in this epoch is told.
fn wrong_epoch(member: &Member) -> ErrorCode {
    if member.is_classic() { ErrorCode::IllegalGeneration } else { ErrorCode::StaleMemberEpoch }
}

/// Topics that are gone have no name to be shown with.
fn show(assignment: &Assignment, image: &MetadataImage) -> ShownAssignment {
    let topics = assignment.iter().filter_map(|(topic_id, partitions)| {
        Some(TopicPartitions {
            topic_id: *topic_id,
            topic_name: image.topics().by_id(*topic_id)?.name().clone(),
            partitions: partitions.iter().copied().collect(),
        })
    });
    ShownAssignment { topic_partitions: topics.collect() }
}
