//! Groups of both protocols described: first as consumer groups (KIP-848), then, what is none, as classic ones.

use std::collections::BTreeMap;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::consumer_group_describe::{
    self, ConsumerGroupDescribeRequest, DescribedGroup as ConsumerGroup,
};
use duramen_protocol::messages::describe_groups::{
    self, DescribeGroupsRequest, DescribedGroup as ClassicGroup,
};
use duramen_protocol::text::Text;

use super::{GroupDescription, GroupKind, GroupMember, at_coordinators};
use crate::admin::spread::in_order;
use crate::admin::{Admin, Outcome, outcomes};
use crate::connection::Connection;
use crate::consumer::TopicPartition;
use crate::consumer::group::read_assignment;
use crate::coordinator::find::refused;
use crate::error::ClientError;

/// What DescribeGroups says of a group that is not there (before version 6).
const DEAD: &str = "Dead";
/// What ConsumerGroupDescribe says of the protocol that a member speaks (KIP-1099).
const CLASSIC_MEMBER: i8 = 0;
const CONSUMER_MEMBER: i8 = 1;

/// Answers by group.
type Told = BTreeMap<Text, Result<GroupDescription, ClientError>>;

impl Admin {
    /// Describes groups of both protocols.
    ///
    /// # Errors
    /// When no broker answers; each group has an outcome of its own.
    pub async fn describe_groups(
        &self,
        groups: &[Text],
    ) -> Result<Vec<Outcome<Text, GroupDescription>>, ClientError> {
        let described = at_coordinators(&self.cluster, groups, ask).await?;
        let view = self.cluster.view();
        let of = |described: Result<(GroupDescription, i32), ClientError>| {
            described.map(|(group, node)| GroupDescription {
                coordinator: view.brokers.get(&node).cloned(),
                ..group
            })
        };
        Ok(outcomes(groups, described.into_iter().map(of).collect()))
    }
}

async fn ask(
    connection: Connection,
    asked: Vec<(Text, i32)>,
) -> Result<Vec<Result<(GroupDescription, i32), ClientError>>, ClientError> {
    let (groups, nodes): (Vec<Text>, Vec<i32>) = asked.into_iter().unzip();
    let mut told = Told::new();
    let knows_both = connection.version_of::<ConsumerGroupDescribeRequest>(i16::MAX).is_ok();
    if knows_both {
        told = as_consumer(&connection, groups.clone()).await?;
    }
    let others = not_told(&groups, &told);
    if !others.is_empty() {
        told.extend(as_classic(&connection, others).await?);
    }
    // One may have changed its protocol between the two questions.
    let others = not_told(&groups, &told);
    if knows_both && !others.is_empty() {
        told.extend(as_consumer(&connection, others).await?);
    }
    let described = in_order(groups, &told, "DescribeGroups").into_iter().zip(nodes);
    Ok(described.map(|(group, node)| Ok((group?, node))).collect())
}

/// The groups of which nothing was told so far.
fn not_told(groups: &[Text], told: &Told) -> Vec<Text> {
    let others = groups.iter().filter(|group| told.get(*group).is_none_or(is_another_kind));
    others.cloned().collect()
}

/// The broker has no such group of the kind that was asked for, or does not know of any.
fn is_another_kind(told: &Result<GroupDescription, ClientError>) -> bool {
    let code = told.as_ref().err().and_then(ClientError::code);
    matches!(code, Some(ErrorCode::GroupIdNotFound | ErrorCode::UnsupportedVersion))
}

async fn as_consumer(connection: &Connection, group_ids: Vec<Text>) -> Result<Told, ClientError> {
    let request =
        ConsumerGroupDescribeRequest { group_ids, ..ConsumerGroupDescribeRequest::default() };
    let answer = connection.call(&request).await?;
    let described = |group: ConsumerGroup| match ErrorCode::from_code(group.error_code) {
        ErrorCode::None => Ok(consumer_group(group)),
        code => Err(refused(&group.group_id, code, group.error_message)),
    };
    Ok(answer.groups.into_iter().map(|group| (group.group_id.clone(), described(group))).collect())
}

fn consumer_group(group: ConsumerGroup) -> GroupDescription {
    let member = |member: consumer_group_describe::Member| GroupMember {
        member_id: member.member_id,
        instance_id: member.instance_id,
        protocol: match member.member_type {
            CLASSIC_MEMBER => Some(GroupKind::Classic),
            CONSUMER_MEMBER => Some(GroupKind::Consumer),
            _ => None,
        },
        client_id: member.client_id,
        host: member.client_host,
        assignment: Some(
            member
                .assignment
                .topic_partitions
                .into_iter()
                .flat_map(|topic| {
                    let name = topic.topic_name;
                    let partitions = topic.partitions.into_iter();
                    partitions.map(move |partition| TopicPartition::new(name.clone(), partition))
                })
                .collect(),
        ),
    };
    GroupDescription {
        group: group.group_id,
        kind: GroupKind::Consumer,
        state: group.group_state,
        assignor: group.assignor_name,
        epoch: Some(group.group_epoch),
        coordinator: None,
        members: group.members.into_iter().map(member).collect(),
    }
}

async fn as_classic(connection: &Connection, groups: Vec<Text>) -> Result<Told, ClientError> {
    let request = DescribeGroupsRequest { groups, ..DescribeGroupsRequest::default() };
    let answer = connection.call(&request).await?;
    let described = |group: ClassicGroup| match ErrorCode::from_code(group.error_code) {
        ErrorCode::None if group.group_state.as_str() == DEAD => {
            Err(refused(&group.group_id, ErrorCode::GroupIdNotFound, None))
        }
        ErrorCode::None => Ok(classic_group(group)),
        code => Err(refused(&group.group_id, code, group.error_message)),
    };
    Ok(answer.groups.into_iter().map(|group| (group.group_id.clone(), described(group))).collect())
}

fn classic_group(group: ClassicGroup) -> GroupDescription {
    let consumers = matches!(group.protocol_type.as_str(), "consumer" | "");
    let member = |member: describe_groups::DescribedGroupMember| GroupMember {
        // What other protocols write there is not ours to read.
        assignment: consumers
            .then(|| read_assignment(&member.member_assignment).ok())
            .flatten()
            .map(|share| share.into_iter().collect()),
        member_id: member.member_id,
        instance_id: member.group_instance_id,
        protocol: Some(GroupKind::Classic),
        client_id: member.client_id,
        host: member.client_host,
    };
    GroupDescription {
        group: group.group_id,
        kind: GroupKind::Classic,
        state: group.group_state,
        assignor: group.protocol_data,
        epoch: None,
        coordinator: None,
        members: group.members.into_iter().map(member).collect(),
    }
}
