//! Add partitions to topics (KIP-195). Pure. Errors, their order and their words are Kafka's
//! (`ReplicationControlManager`).

use duramen_protocol::error::ErrorCode;
use duramen_protocol::metadata::MetadataRecord;
use duramen_protocol::text::Text;

use super::names::Names;
use super::replicas::{assigned_partition, check_total, invalid_assignment, placed};
use super::{Dice, Outcome, View};
use crate::controller::command::{CreatePartitions, MorePartitions, Refusal};
use crate::metadata::record;

/// Decides which partitions to add.
pub fn create(
    view: View<'_>,
    command: &CreatePartitions,
    dice: Dice<'_>,
) -> (Vec<MetadataRecord>, Vec<(Text, Outcome<()>)>) {
    let mut records = Vec::new();
    let mut results = Vec::new();
    let too_many = check_total(command.topics.iter().map(|topic| additional(view, topic)));
    let mut names = Names::of(command.topics.iter().map(|topic| &topic.topic));
    for topic in &command.topics {
        let Some(repeated) = names.first_sight(&topic.topic) else { continue };
        let result = if repeated {
            Err(Refusal::new(ErrorCode::InvalidRequest, "Duplicate topic name."))
        } else {
            too_many.clone().and_then(|()| add_partitions(view, topic, dice))
        };
        results.push((topic.topic.clone(), result.map(|added| records.extend(added))));
    }
    if command.validate_only {
        records.clear();
    }
    (records, results)
}

fn additional(view: View<'_>, topic: &MorePartitions) -> usize {
    let present =
        view.image.topics().by_name(&topic.topic).map_or(0, |found| found.partition_count());
    usize::try_from(topic.count.saturating_sub(present)).unwrap_or(0)
}

fn add_partitions(
    view: View<'_>,
    topic: &MorePartitions,
    dice: Dice<'_>,
) -> Outcome<Vec<MetadataRecord>> {
    let name = &topic.topic;
    let found = view
        .image
        .topics()
        .by_name(name)
        .ok_or_else(|| Refusal::plain(ErrorCode::UnknownTopicOrPartition))?;
    let present = found.partition_count();
    if topic.count == present {
        return Err(Refusal::new(
            ErrorCode::InvalidPartitions,
            format!("Topic already has {present} partition(s)."),
        ));
    }
    if topic.count < present {
        return Err(Refusal::new(
            ErrorCode::InvalidPartitions,
            format!(
                "The topic {name} currently has {present} partition(s); {} would not be an \
                 increase.",
                topic.count
            ),
        ));
    }
    let additional = additional(view, topic);
    let replication_factor = found.replication_factor();
    let partitions = match &topic.assignments {
        None => placed(view, additional, replication_factor, dice)?,
        Some(assignments) if assignments.len() != additional => {
            return Err(invalid_assignment(format!(
                "Attempted to add {additional} additional partition(s), but only {} \
                 assignment(s) were specified.",
                assignments.len()
            )));
        }
        Some(assignments) => (present..)
            .zip(assignments)
            .map(|(at, replicas)| assigned_partition(view, at, replicas, Some(replication_factor)))
            .collect::<Outcome<_>>()?,
    };
    Ok((present..)
        .zip(&partitions)
        .map(|(at, has)| record::partition(found.id(), at, has))
        .collect())
}
