//! Where reading begins in partitions that were assigned: what the group has committed, or else where
//! the options say.

use duramen_protocol::error::ErrorCode;
use duramen_protocol::ids::{EARLIEST, LATEST};
use duramen_protocol::text::Text;

use super::positions::Position;
use super::{GroupOptions, TopicPartition};
use crate::admin::offsets::{OffsetQuestion, list_offsets};
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
    // Offsets of a transaction that may still be aborted are no place to begin.
    let mut committed = coordinator.fetch_committed(by, Some(&partitions), true).await?;
    let mut found = Vec::with_capacity(partitions.len());
    let mut open = Vec::new();
    for partition in partitions {
        match committed.remove(&partition).transpose()? {
            Some(known) => {
                let (next, leader_epoch) = (known.offset, known.leader_epoch);
                found.push((partition, Position { next, leader_epoch, given, end: None }));
            }
            None => open.push(partition),
        }
    }
    let begun = begin(coordinator, options, open).await?;
    found.extend(begun.into_iter().map(|(partition, next)| {
        (partition, Position { next, leader_epoch: -1, given, end: None })
    }));
    if options.stop_at_end {
        let places = found.iter().map(|(partition, _)| partition.clone()).collect();
        let ends = offsets_at(coordinator, isolation, places, LATEST).await?;
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
    let timestamp = match options.start {
        Some(Start::Earliest) => EARLIEST,
        Some(Start::Latest) => LATEST,
        Some(Start::Time(at)) => at.max(0),
        Some(Start::Offset(offset)) => {
            return Ok(partitions.into_iter().map(|partition| (partition, offset)).collect());
        }
        None => {
            let words = format!("nothing is committed of {first}, and no start is set");
            return Err(coordinator.refused(ErrorCode::OffsetOutOfRange, Some(words.into())));
        }
    };
    offsets_at(coordinator, options.consumer.isolation, partitions, timestamp).await
}

/// Offsets at a time or edge; the end where no record is that late.
async fn offsets_at(
    coordinator: &Coordinator,
    isolation: Isolation,
    partitions: Vec<TopicPartition>,
    timestamp: i64,
) -> Result<Vec<(TopicPartition, i64)>, ClientError> {
    let ask = |timestamp: i64| {
        let questions = partitions.iter().map(|at| OffsetQuestion {
            topic: at.topic.clone(),
            partition: at.partition,
            timestamp,
        });
        list_offsets(coordinator.cluster(), isolation, questions.collect())
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
