//! Where reading begins in partitions that were assigned: what the group has committed, or else where
//! the options say.

use std::collections::{BTreeMap, BTreeSet};

use duramen_protocol::error::ErrorCode;
use duramen_protocol::ids::{LATEST, TopicId};
use duramen_protocol::text::Text;

use super::positions::Position;
use super::{GroupOptions, TopicPartition};
use crate::admin::offsets::{OffsetQuestion, list_offsets};
use crate::cluster::{Cluster, Topics};
use crate::consumer::{Isolation, Start};
use crate::coordinator::Coordinator;
use crate::error::ClientError;

/// Asks once for the positions of partitions that came with assignment `given`; `by` is the member that
/// asks, in a group of KIP-848.
///
/// # Errors
/// When an offset can't be had, or there is none and none is to be made up.
pub(super) async fn stands(
    coordinator: &Coordinator,
    options: &GroupOptions,
    by: Option<(&Text, i32)>,
    partitions: Vec<TopicPartition>,
    given: u64,
) -> Result<Vec<(TopicPartition, Position)>, ClientError> {
    let isolation = options.consumer.isolation;
    let ids = topic_ids(coordinator.cluster(), &partitions).await?;
    let place = |at: &TopicPartition, next, leader_epoch| {
        let topic_id = ids.get(&at.topic).copied().unwrap_or_default();
        Position { next, leader_epoch, given, end: None, topic_id }
    };
    // Offsets of a transaction that may still be aborted are no place to begin.
    let mut committed = coordinator.fetch_committed(by, Some(&partitions), true).await?;
    let mut found = Vec::with_capacity(partitions.len());
    let mut open = Vec::new();
    for partition in partitions {
        match committed.remove(&partition).transpose()? {
            Some(known) => {
                let stands = place(&partition, known.offset, known.leader_epoch);
                found.push((partition, stands));
            }
            None => open.push(partition),
        }
    }
    let begun = begin(coordinator, options, open).await?;
    found.extend(begun.into_iter().map(|(partition, next)| {
        let stands = place(&partition, next, -1);
        (partition, stands)
    }));
    if options.stop_at_end {
        let places = found.iter().map(|(partition, _)| partition.clone()).collect();
        let ends = offsets_at(coordinator.cluster(), isolation, places, LATEST).await?;
        for ((_, position), (_, end)) in found.iter_mut().zip(ends) {
            position.end = Some(end);
        }
    }
    Ok(found)
}

/// Where to begin without a commit.
async fn begin(
    coordinator: &Coordinator,
    options: &GroupOptions,
    partitions: Vec<TopicPartition>,
) -> Result<Vec<(TopicPartition, i64)>, ClientError> {
    let Some(first) = partitions.first() else { return Ok(Vec::new()) };
    let Some(start) = options.start else {
        let words = format!("nothing is committed of {first}, and no start is set");
        return Err(coordinator.refused(ErrorCode::OffsetOutOfRange, Some(words.into())));
    };
    let isolation = options.consumer.isolation;
    match start.asked() {
        Ok(timestamp) => offsets_at(coordinator.cluster(), isolation, partitions, timestamp).await,
        Err(offset) => Ok(partitions.into_iter().map(|partition| (partition, offset)).collect()),
    }
}

/// The offset of a place in a partition.
pub(super) async fn offset_of(
    cluster: &Cluster,
    isolation: Isolation,
    at: &TopicPartition,
    to: Start,
) -> Result<i64, ClientError> {
    let timestamp = match to.asked() {
        Ok(timestamp) => timestamp,
        Err(offset) => return Ok(offset),
    };
    let found = offsets_at(cluster, isolation, vec![at.clone()], timestamp).await?;
    found.first().map(|(_, offset)| *offset).ok_or(ClientError::Incomplete("ListOffsets"))
}

/// The ids of the topics, as far as the brokers tell them.
async fn topic_ids(
    cluster: &Cluster,
    partitions: &[TopicPartition],
) -> Result<BTreeMap<Text, TopicId>, ClientError> {
    let names: BTreeSet<&Text> = partitions.iter().map(|at| &at.topic).collect();
    let view = cluster.view();
    let unknown = names.iter().filter(|name| view.topic(name).is_none());
    let unknown: Vec<Text> = unknown.map(|name| (*name).clone()).collect();
    if !unknown.is_empty() {
        cluster.fetch_metadata(Topics::Named(&unknown)).await?;
    }
    let view = cluster.view();
    let id = |name: &Text| Some((name.clone(), view.topic(name)?.id));
    Ok(names.into_iter().filter_map(id).collect())
}

/// Offsets at a time or edge; the end where no record is that late.
async fn offsets_at(
    cluster: &Cluster,
    isolation: Isolation,
    partitions: Vec<TopicPartition>,
    timestamp: i64,
) -> Result<Vec<(TopicPartition, i64)>, ClientError> {
    let ask = |timestamp: i64| {
        let questions = partitions
            .iter()
            .map(|at| OffsetQuestion::at(at.topic.clone(), at.partition, timestamp));
        list_offsets(cluster, isolation, questions.collect())
    };
    let mut offsets = Vec::with_capacity(partitions.len());
    for answer in ask(timestamp).await? {
        offsets.push(answer.offset?);
    }
    if offsets.iter().any(Option::is_none) {
        for (offset, end) in offsets.iter_mut().zip(ask(LATEST).await?) {
            *offset = offset.or(end.offset?);
        }
    }
    Ok(partitions
        .into_iter()
        .zip(offsets)
        .map(|(partition, offset)| (partition, offset.unwrap_or(0)))
        .collect())
}
