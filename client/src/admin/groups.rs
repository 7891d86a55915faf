//! Groups of consumers: which there are, who is in them, how far they read, and changes from outside.

use std::collections::BTreeMap;
use std::sync::Arc;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::consumer_group_describe::{
    self, ConsumerGroupDescribeRequest, DescribedGroup as ConsumerGroup,
};
use duramen_protocol::messages::delete_groups::DeleteGroupsRequest;
use duramen_protocol::messages::describe_groups::{
    self, DescribeGroupsRequest, DescribedGroup as ClassicGroup,
};
use duramen_protocol::messages::leave_group::{LeaveGroupRequest, MemberIdentity};
use duramen_protocol::messages::list_groups::ListGroupsRequest;
use duramen_protocol::messages::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use duramen_protocol::text::Text;
use tokio::task::JoinSet;

use super::{Admin, Outcome, check};
use crate::cluster::{Broker, Cluster, Topics};
use crate::consumer::TopicPartition;
use crate::consumer::group::read_assignment;
use crate::coordinator::offsets::{Committer, PerPartition, TopicIds};
use crate::coordinator::{Coordinator, How};
use crate::error::ClientError;

pub use crate::coordinator::offsets::CommittedOffset;

/// Groups asked about at the same time.
const AT_ONCE: usize = 32;
/// What DescribeGroups says of a group that is not there (before version 6).
const DEAD: &str = "Dead";

/// A group in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListedGroup {
    /// Its id.
    pub group: Text,
    /// `Classic`, `Consumer`, …; empty when the broker is too old to say.
    pub kind: Text,
    /// `Stable`, `Empty`, …; empty when the broker is too old to say.
    pub state: Text,
    /// What its members call themselves: `consumer`, `connect`; empty for offsets without members.
    pub protocol_type: Text,
}

/// Which protocol a group speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum GroupKind {
    /// The members share the partitions out (JoinGroup).
    Classic,
    /// The coordinator does (KIP-848).
    Consumer,
}

/// A group and its members.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupDescription {
    /// Its id.
    pub group: Text,
    /// Which protocol it speaks.
    pub kind: GroupKind,
    /// `Stable`, `Empty`, `PreparingRebalance`, …
    pub state: Text,
    /// How partitions are shared out: the assignor's name.
    pub assignor: Text,
    /// The group's epoch; `None` of a classic group, whose generation is not told.
    pub epoch: Option<i32>,
    /// The broker that looks after it.
    pub coordinator: Option<Broker>,
    /// Its members.
    pub members: Vec<GroupMember>,
}

impl GroupDescription {
    /// Whether it has members, so that nobody else may change its offsets.
    #[must_use]
    pub fn is_live(&self) -> bool {
        !self.members.is_empty()
    }
}

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupMember {
    /// Its id.
    pub member_id: Text,
    /// Its instance id, if it is static.
    pub instance_id: Option<Text>,
    /// What its client calls itself.
    pub client_id: Text,
    /// Where it connects from.
    pub host: Text,
    /// What it reads; `None` when the group's protocol is not a consumer's.
    pub assignment: Option<Vec<TopicPartition>>,
}

/// How to name a member that is to be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemberName {
    /// By its id.
    Id(Text),
    /// By its instance id.
    Instance(Text),
}

/// Does the same for several groups, some at a time; the outcomes stand in the order of the groups.
async fn for_each<T, F>(
    groups: &[Text],
    work: impl Fn(Text) -> F,
) -> Result<Vec<Outcome<Text, T>>, ClientError>
where
    T: Send + 'static,
    F: Future<Output = Result<T, ClientError>> + Send + 'static,
{
    let mut waiting = groups.iter().cloned().enumerate();
    let (mut running, mut done) = (JoinSet::new(), BTreeMap::new());
    loop {
        while running.len() < AT_ONCE
            && let Some((at, group)) = waiting.next()
        {
            let result = work(group.clone());
            running.spawn(async move { (at, group, result.await) });
        }
        match running.join_next().await {
            Some(Ok((at, about, result))) => {
                done.insert(at, Outcome { about, result });
            }
            Some(Err(_)) => return Err(ClientError::Closed),
            None => return Ok(done.into_values().collect()),
        }
    }
}

impl Admin {
    /// Lists groups, asking each broker; empty filters let all through. States and types are Kafka's
    /// words.
    ///
    /// # Errors
    /// When a broker does not answer, or is too old for a filter.
    pub async fn list_groups(
        &self,
        states: &[Text],
        types: &[Text],
    ) -> Result<Vec<ListedGroup>, ClientError> {
        self.cluster.retrying("list groups", || self.list_groups_once(states, types)).await
    }

    async fn list_groups_once(
        &self,
        states: &[Text],
        types: &[Text],
    ) -> Result<Vec<ListedGroup>, ClientError> {
        self.cluster.fetch_metadata(Topics::None).await?;
        let mut all = BTreeMap::new();
        for id in self.cluster.view().brokers.keys() {
            let request =
                ListGroupsRequest { states_filter: states.to_vec(), types_filter: types.to_vec() };
            let answer = self.cluster.broker(*id).await?.call(&request).await?;
            check("list groups", answer.error_code, None)?;
            all.extend(answer.groups.into_iter().map(|group| {
                let listed = ListedGroup {
                    group: group.group_id,
                    kind: group.group_type,
                    state: group.group_state,
                    protocol_type: group.protocol_type,
                };
                (listed.group.clone(), listed)
            }));
        }
        Ok(all.into_values().collect())
    }

    /// Describes groups of both protocols.
    ///
    /// # Errors
    /// Only when the runtime stops; each group has an outcome of its own.
    pub async fn describe_groups(
        &self,
        groups: &[Text],
    ) -> Result<Vec<Outcome<Text, GroupDescription>>, ClientError> {
        for_each(groups, |group| {
            let cluster = self.cluster.clone();
            async move { describe(&cluster, &group).await }
        })
        .await
    }

    /// The offsets that groups have committed. A group that does not exist has none.
    ///
    /// # Errors
    /// As [`Admin::describe_groups`].
    pub async fn committed_offsets(
        &self,
        groups: &[Text],
    ) -> Result<Vec<Outcome<Text, BTreeMap<TopicPartition, CommittedOffset>>>, ClientError> {
        for_each(groups, |group| {
            let cluster = self.cluster.clone();
            async move {
                let coordinator = Coordinator::new(&cluster, &group);
                let fetched = cluster
                    .retrying("committed offsets", || {
                        coordinator.fetch_committed(None, None, false)
                    })
                    .await?;
                fetched.into_iter().map(|(at, offset)| Ok((at, offset?))).collect()
            }
        })
        .await
    }

    /// Sets the offsets of a group that has no members; it is made when it does not exist.
    ///
    /// # Errors
    /// When the group has members, or its coordinator does not answer.
    pub async fn alter_offsets(
        &self,
        group: &Text,
        offsets: &[(TopicPartition, CommittedOffset)],
    ) -> Result<Vec<Outcome<TopicPartition, ()>>, ClientError> {
        let coordinator = Coordinator::new(&self.cluster, group);
        let by = Committer { generation: -1, ..Committer::default() };
        let by_name = TopicIds::new();
        let altered = self
            .cluster
            .retrying("alter offsets", || coordinator.commit(&by, offsets, &by_name))
            .await
            .map_err(|error| match error.code() {
                // What Kafka answers to a stranger's commit in a group with members.
                Some(ErrorCode::UnknownMemberId | ErrorCode::StaleMemberEpoch) => {
                    coordinator.refused(ErrorCode::NonEmptyGroup, None)
                }
                _ => error,
            })?;
        Ok(outcomes(altered))
    }

    /// Deletes the offsets of partitions that no member of the group subscribes to.
    ///
    /// # Errors
    /// When the group does not exist, or its coordinator does not answer.
    pub async fn delete_offsets(
        &self,
        group: &Text,
        partitions: &[TopicPartition],
    ) -> Result<Vec<Outcome<TopicPartition, ()>>, ClientError> {
        let coordinator = Coordinator::new(&self.cluster, group);
        let mut topics: BTreeMap<&Text, Vec<OffsetDeleteRequestPartition>> = BTreeMap::new();
        for TopicPartition { topic, partition } in partitions {
            let partition = OffsetDeleteRequestPartition { partition_index: *partition };
            topics.entry(topic).or_default().push(partition);
        }
        let topics = topics
            .into_iter()
            .map(|(name, partitions)| OffsetDeleteRequestTopic { name: name.clone(), partitions });
        let request = OffsetDeleteRequest { group_id: group.clone(), topics: topics.collect() };
        let answer = self
            .cluster
            .retrying("delete offsets", || async {
                let request = request.clone();
                let answer = coordinator.call(How::SHARED, |_| Ok(request)).await?;
                coordinator.check(answer.error_code, None)?;
                Ok(answer)
            })
            .await?;
        let mut deleted = PerPartition::new();
        for topic in answer.topics {
            for partition in topic.partitions {
                let at = TopicPartition::new(topic.name.clone(), partition.partition_index);
                let result = check(&format!("partition {at}"), partition.error_code, None);
                deleted.insert(at, result);
            }
        }
        Ok(outcomes(deleted))
    }

    /// Deletes groups without members, and all their offsets.
    ///
    /// # Errors
    /// As [`Admin::describe_groups`].
    pub async fn delete_groups(
        &self,
        groups: &[Text],
    ) -> Result<Vec<Outcome<Text, ()>>, ClientError> {
        for_each(groups, |group| {
            let cluster = self.cluster.clone();
            async move {
                let coordinator = Coordinator::new(&cluster, &group);
                let delete = || async {
                    let request = DeleteGroupsRequest { groups_names: vec![group.clone()] };
                    let answer = coordinator.call(How::SHARED, |_| Ok(request)).await?;
                    let told = answer.results.first();
                    let told = told.ok_or(ClientError::Incomplete("DeleteGroups"))?;
                    coordinator.check(told.error_code, None)
                };
                cluster.retrying("delete groups", delete).await
            }
        })
        .await
    }

    /// Removes members from a classic group, which rebalances. One that is alive joins again.
    ///
    /// # Errors
    /// When the group's coordinator does not answer.
    pub async fn remove_members(
        &self,
        group: &Text,
        members: &[MemberName],
    ) -> Result<Vec<Outcome<MemberName, ()>>, ClientError> {
        let coordinator = Coordinator::new(&self.cluster, group);
        let identity = |member: &MemberName| MemberIdentity {
            member_id: match member {
                MemberName::Id(id) => id.clone(),
                MemberName::Instance(_) => Text::EMPTY,
            },
            group_instance_id: match member {
                MemberName::Id(_) => None,
                MemberName::Instance(instance) => Some(instance.clone()),
            },
            reason: None,
        };
        let request = LeaveGroupRequest {
            group_id: group.clone(),
            members: members.iter().map(identity).collect(),
            ..LeaveGroupRequest::default()
        };
        let answer = self
            .cluster
            .retrying("remove members", || async {
                let request = request.clone();
                let answer = coordinator.call(How::SHARED, |_| Ok(request)).await?;
                coordinator.check(answer.error_code, None)?;
                Ok(answer)
            })
            .await?;
        // The answers stand in the order of the members.
        let told = answer.members.into_iter();
        Ok(members
            .iter()
            .zip(told)
            .map(|(member, told)| {
                let what = match member {
                    MemberName::Id(name) | MemberName::Instance(name) => format!("member {name}"),
                };
                Outcome { about: member.clone(), result: check(&what, told.error_code, None) }
            })
            .collect())
    }
}

fn outcomes<T>(all: PerPartition<T>) -> Vec<Outcome<TopicPartition, T>> {
    all.into_iter().map(|(about, result)| Outcome { about, result }).collect()
}

/// Asks as for a consumer group (KIP-848) first, and then as for a classic one.
async fn describe(cluster: &Cluster, group: &Text) -> Result<GroupDescription, ClientError> {
    let coordinator = Arc::new(Coordinator::new(cluster, group));
    let describe = || async {
        let consumer = describe_consumer(&coordinator).await;
        let mut described = match consumer {
            Err(error) if is_another_kind(&error) => describe_classic(&coordinator).await?,
            consumer => consumer?,
        };
        let node = coordinator.find().await?;
        described.coordinator = cluster.view().brokers.get(&node).cloned();
        Ok(described)
    };
    cluster.retrying("describe groups", describe).await
}

/// The broker has no such consumer group, or does not know of any.
fn is_another_kind(error: &ClientError) -> bool {
    match error {
        ClientError::Call(crate::error::CallError::Unsupported { .. }) => true,
        error => {
            matches!(error.code(), Some(ErrorCode::GroupIdNotFound | ErrorCode::UnsupportedVersion))
        }
    }
}

async fn describe_consumer(coordinator: &Coordinator) -> Result<GroupDescription, ClientError> {
    let request = ConsumerGroupDescribeRequest {
        group_ids: vec![coordinator.group().clone()],
        ..ConsumerGroupDescribeRequest::default()
    };
    let answer = coordinator.call(How::SHARED, |_| Ok(request)).await?;
    let group = answer.groups.into_iter().next();
    let group = group.ok_or(ClientError::Incomplete("ConsumerGroupDescribe"))?;
    coordinator.check(group.error_code, group.error_message.as_ref())?;
    Ok(consumer_group(group))
}

fn consumer_group(group: ConsumerGroup) -> GroupDescription {
    let member = |member: consumer_group_describe::Member| GroupMember {
        member_id: member.member_id,
        instance_id: member.instance_id,
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

async fn describe_classic(coordinator: &Coordinator) -> Result<GroupDescription, ClientError> {
    let request = DescribeGroupsRequest {
        groups: vec![coordinator.group().clone()],
        ..DescribeGroupsRequest::default()
    };
    let answer = coordinator.call(How::SHARED, |_| Ok(request)).await?;
    let group = answer.groups.into_iter().next();
    let group = group.ok_or(ClientError::Incomplete("DescribeGroups"))?;
    coordinator.check(group.error_code, group.error_message.as_ref())?;
    if group.group_state.as_str() == DEAD {
        return Err(coordinator.refused(ErrorCode::GroupIdNotFound, None));
    }
    Ok(classic_group(group))
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
