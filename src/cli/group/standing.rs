//! A group's offsets beside the ends of its partitions.

use std::collections::{BTreeMap, BTreeSet};

use duramen_client::Admin;
use duramen_client::admin::offsets::OffsetQuestion;
use duramen_client::admin::{CommittedOffset, GroupDescription, GroupMember, Outcome};
use duramen_client::cluster::Topics;
use duramen_client::consumer::{Isolation, TopicPartition};
use duramen_protocol::ids::{EARLIEST, LATEST};
use duramen_protocol::text::Text;

use crate::cli::exit::Failure;

/// How a group stands in one partition.
#[derive(Debug, Clone)]
pub(super) struct Standing {
    pub(super) at: TopicPartition,
    /// The next offset to read, if the group has committed one.
    pub(super) committed: Option<i64>,
    /// First and next offset of the partition; `None` when it does not exist (any more).
    pub(super) edges: Option<(i64, i64)>,
    /// The member that reads it.
    pub(super) member: Option<GroupMember>,
}

impl Standing {
    /// Records that are not read yet; those that were deleted meanwhile do not count. `None` when the
    /// group has committed nothing, or there is no such partition.
    pub(super) fn lag(&self) -> Option<i64> {
        let ((start, end), committed) = (self.edges?, self.committed?);
        Some((end - committed.max(start)).max(0))
    }
}

/// How each group stands in every partition that it has committed, or that a member reads.
pub(super) async fn standings(
    admin: &Admin,
    groups: &[(Text, Option<GroupDescription>)],
) -> Result<Vec<Vec<Standing>>, Failure> {
    let names: Vec<Text> = groups.iter().map(|(group, _)| group.clone()).collect();
    let mut known = Vec::with_capacity(groups.len());
    for (Outcome { result, .. }, (_, description)) in
        admin.committed_offsets(&names).await?.into_iter().zip(groups)
    {
        known.push((offsets(result?), readers(description.as_ref())));
    }
    let all: BTreeSet<TopicPartition> = known
        .iter()
        .flat_map(|(committed, readers)| committed.keys().chain(readers.keys()).cloned())
        .collect();
    let edges = edges(admin, all.into_iter().collect()).await?;
    Ok(known.into_iter().map(|(committed, readers)| beside(&edges, &committed, readers)).collect())
}

/// Who reads which partition.
fn readers(description: Option<&GroupDescription>) -> BTreeMap<TopicPartition, GroupMember> {
    let members = description.iter().flat_map(|group| &group.members);
    members
        .flat_map(|member| {
            let share = member.assignment.iter().flatten();
            share.map(move |at| (at.clone(), member.clone()))
        })
        .collect()
}

fn beside(
    edges: &BTreeMap<TopicPartition, (i64, i64)>,
    committed: &BTreeMap<TopicPartition, i64>,
    mut readers: BTreeMap<TopicPartition, GroupMember>,
) -> Vec<Standing> {
    let all: BTreeSet<TopicPartition> = committed.keys().chain(readers.keys()).cloned().collect();
    all.into_iter()
        .map(|at| Standing {
            committed: committed.get(&at).copied(),
            edges: edges.get(&at).copied(),
            member: readers.remove(&at),
            at,
        })
        .collect()
}

fn offsets(committed: BTreeMap<TopicPartition, CommittedOffset>) -> BTreeMap<TopicPartition, i64> {
    committed.into_iter().map(|(at, committed)| (at, committed.offset)).collect()
}

/// What a group has committed; nothing when there is no such group.
pub(super) async fn committed(
    admin: &Admin,
    group: &Text,
) -> Result<BTreeMap<TopicPartition, i64>, Failure> {
    let outcomes = admin.committed_offsets(std::slice::from_ref(group)).await?;
    match outcomes.into_iter().next() {
        Some(Outcome { result, .. }) => Ok(offsets(result?)),
        None => Ok(BTreeMap::new()),
    }
}

/// First and next offsets of the partitions that exist.
pub(super) async fn edges(
    admin: &Admin,
    partitions: Vec<TopicPartition>,
) -> Result<BTreeMap<TopicPartition, (i64, i64)>, Failure> {
    let partitions = those_that_exist(admin, partitions).await?;
    let questions = partitions
        .iter()
        .flat_map(|at| [EARLIEST, LATEST].map(|timestamp| question(at, timestamp)))
        .collect();
    let answers = admin.list_offsets(Isolation::ReadUncommitted, questions).await?;
    let mut answers = answers.into_iter().map(|answer| answer.offset);
    let mut edges = BTreeMap::new();
    for at in partitions {
        let mut next = || answers.next().unwrap_or(Ok(None));
        let (start, end) = (next()?.unwrap_or(0), next()?.unwrap_or(0));
        edges.insert(at, (start, end));
    }
    Ok(edges)
}

/// A question for the offset of a partition at a time.
pub(super) fn question(at: &TopicPartition, timestamp: i64) -> OffsetQuestion {
    OffsetQuestion::new(at.topic.clone(), at.partition, timestamp)
}

async fn those_that_exist(
    admin: &Admin,
    mut partitions: Vec<TopicPartition>,
) -> Result<Vec<TopicPartition>, Failure> {
    let topics: BTreeSet<Text> = partitions.iter().map(|at| at.topic.clone()).collect();
    let topics: Vec<Text> = topics.into_iter().collect();
    if !topics.is_empty() {
        // A topic that is gone leaves the view.
        admin.cluster().fetch_metadata(Topics::Named(&topics)).await?;
    }
    let view = admin.cluster().view();
    partitions.retain(|at| {
        let topic = view.topic(&at.topic);
        topic.is_some_and(|topic| topic.partition(at.partition).is_some())
    });
    Ok(partitions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lag_counts_what_is_there_and_not_read() {
        let lag = |committed, edges| {
            let at = TopicPartition::new("t", 0);
            Standing { at, committed, edges, member: None }.lag()
        };
        assert_eq!(lag(Some(5), Some((0, 12))), Some(7));
        assert_eq!(lag(Some(5), Some((10, 12))), Some(2), "five were deleted unread");
        assert_eq!(lag(Some(20), Some((0, 12))), Some(0), "committed beyond the end");
        assert_eq!(lag(None, Some((0, 12))), None);
        assert_eq!(lag(Some(5), None), None);
    }
}
