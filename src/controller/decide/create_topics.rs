//! Create topics: which names, with which partitions and configs. Pure. Errors, their order and their
//! words are Kafka's (`ControllerApis`, `ReplicationControlManager`).

use std::collections::BTreeMap;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::ids::{TopicId, topic_id_to_base64};
use duramen_protocol::metadata::MetadataRecord;
use duramen_protocol::text::Text;

use super::names::{Names, check_topic_name};
use super::replicas::{assigned_partition, check_total, invalid_assignment, placed};
use super::{Dice, Outcome, View};
use crate::controller::command::{CreateTopics, CreatedTopic, NewTopic, Refusal};
use crate::metadata::image::topics::unified_name;
use crate::metadata::{ConfigResource, PartitionImage, record};
use crate::raft::METADATA_TOPIC;

/// Decides which topics to create.
pub fn create(
    view: View<'_>,
    command: &CreateTopics,
    dice: Dice<'_>,
) -> (Vec<MetadataRecord>, Vec<(Text, Outcome<CreatedTopic>)>) {
    let mut records = Vec::new();
    let mut results = Vec::new();
    let too_many = check_total(command.topics.iter().map(|topic| new_partitions(view, topic)));
    let mut names = Names::of(command.topics.iter().map(|topic| &topic.name));
    let mut unified = BTreeMap::new();
    for topic in &command.topics {
        let Some(repeated) = names.first_sight(&topic.name) else { continue };
        let result = too_many
            .clone()
            .and_then(|()| check_name(view, topic, repeated, &unified))
            .and_then(|()| create_one(view, topic, dice));
        let result = result.map(|(created, created_records)| {
            if topic.name.contains(['.', '_']) {
                unified.insert(unified_name(&topic.name), topic.name.clone());
            }
            records.extend(created_records);
            created
        });
        results.push((topic.name.clone(), result));
    }
    if command.validate_only {
        records.clear();
    }
    (records, results)
}

fn new_partitions(view: View<'_>, topic: &NewTopic) -> usize {
    match (topic.assignments.len(), topic.partitions) {
        (0, -1) => usize::try_from(view.settings.num_partitions).unwrap_or(0),
        (0, count) => usize::try_from(count).unwrap_or(0),
        (assigned, _) => assigned,
    }
}

fn check_name(
    view: View<'_>,
    topic: &NewTopic,
    repeated: bool,
    unified: &BTreeMap<Text, Text>,
) -> Outcome<()> {
    let name = &topic.name;
    if repeated {
        return Err(Refusal::new(ErrorCode::InvalidRequest, "Duplicate topic name."));
    }
    if name == METADATA_TOPIC {
        return Err(Refusal::new(
            ErrorCode::InvalidRequest,
            format!("Creation of internal topic {METADATA_TOPIC} is prohibited."),
        ));
    }
    if view.image.topics().by_name(name).is_some() {
        return Err(Refusal::new(
            ErrorCode::TopicAlreadyExists,
            format!("Topic '{name}' already exists."),
        ));
    }
    check_topic_name(name)
        .map_err(|message| Refusal::new(ErrorCode::InvalidTopicException, message))?;
    let colliding =
        view.image.topics().colliding(name).or_else(|| unified.get(&unified_name(name)));
    if let Some(other) = colliding {
        return Err(Refusal::new(
            ErrorCode::InvalidTopicException,
            format!("Topic '{name}' collides with existing topic: {other}"),
        ));
    }
    Ok(())
}

fn create_one(
    view: View<'_>,
    topic: &NewTopic,
    dice: Dice<'_>,
) -> Outcome<(CreatedTopic, Vec<MetadataRecord>)> {
    let configs = creation_configs(view, topic)?;
    let partitions = if topic.assignments.is_empty() {
        placed_partitions(view, topic, dice)?
    } else {
        assigned_partitions(view, topic)?
    };
    let id = new_topic_id(view, dice);
    // Configs stand before partitions, so that whoever opens a partition knows them.
    let mut records = vec![record::topic(&topic.name, id)];
    let resource = ConfigResource::topic(&topic.name);
    records
        .extend(configs.iter().map(|(name, value)| record::config(&resource, name, Some(value))));
    records.extend((0..).zip(&partitions).map(|(at, has)| record::partition(id, at, has)));
    let replicas = partitions.first().map_or(0, |partition| partition.replicas.len());
    let created = CreatedTopic {
        id,
        partitions: i32::try_from(partitions.len()).unwrap_or(i32::MAX),
        replication_factor: i16::try_from(replicas).unwrap_or(i16::MAX),
        configs,
    };
    Ok((created, records))
}

fn creation_configs(view: View<'_>, topic: &NewTopic) -> Outcome<BTreeMap<Text, Text>> {
    let mut configs = BTreeMap::new();
    let mut nulls = Vec::new();
    for (name, value) in &topic.configs {
        match value {
            Some(value) => {
                configs.insert(name.clone(), value.clone());
            }
            None => nulls.push(name.as_str()),
        }
    }
    if !nulls.is_empty() {
        return Err(Refusal::new(
            ErrorCode::InvalidConfig,
            format!("Null value not supported for topic configs: {}", nulls.join(",")),
        ));
    }
    if !configs.is_empty() {
        super::config_rules::check(view, &ConfigResource::topic(&topic.name), &configs)?;
    }
    Ok(configs)
}

/// An id that no topic ever had, as far as chance goes. Kafka avoids a leading `-` too, which
/// command lines take for an option.
fn new_topic_id(view: View<'_>, dice: Dice<'_>) -> TopicId {
    loop {
        let bits = (u128::from(dice()) << 64) | u128::from(dice());
        let id = uuid::Builder::from_u128(bits)
            .with_version(uuid::Version::Random)
            .with_variant(uuid::Variant::RFC4122)
            .into_uuid();
        if view.image.topics().by_id(id).is_none() && !topic_id_to_base64(&id).starts_with('-') {
            return id;
        }
    }
}

fn placed_partitions(
    view: View<'_>,
    topic: &NewTopic,
    dice: Dice<'_>,
) -> Outcome<Vec<PartitionImage>> {
    if topic.replication_factor < -1 || topic.replication_factor == 0 {
        return Err(Refusal::new(
            ErrorCode::InvalidReplicationFactor,
            "Replication factor must be larger than 0, or -1 to use the default value.",
        ));
    }
    if topic.partitions < -1 || topic.partitions == 0 {
        return Err(Refusal::new(
            ErrorCode::InvalidPartitions,
            "Number of partitions was set to an invalid non-positive value.",
        ));
    }
    let replication_factor = match topic.replication_factor {
        -1 => view.settings.default_replication_factor,
        factor => factor,
    };
    let replication_factor = usize::try_from(replication_factor).unwrap_or(1);
    placed(view, new_partitions(view, topic), replication_factor, dice)
}

fn assigned_partitions(view: View<'_>, topic: &NewTopic) -> Outcome<Vec<PartitionImage>> {
    let invalid_request = |what: &str| {
        let message =
            format!("A manual partition assignment was specified, but {what} was not set to -1.");
        Err(Refusal::new(ErrorCode::InvalidRequest, message))
    };
    if topic.replication_factor != -1 {
        return invalid_request("replication factor");
    }
    if topic.partitions != -1 {
        return invalid_request("numPartitions");
    }
    let mut by_index = BTreeMap::new();
    let mut replication_factor = None;
    for (index, replicas) in &topic.assignments {
        if by_index.contains_key(index) {
            return Err(invalid_assignment(format!(
                "Found multiple manual partition assignments for partition {index}"
            )));
        }
        let partition = assigned_partition(view, *index, replicas, replication_factor)?;
        by_index.insert(*index, partition);
        replication_factor = Some(replicas.len());
    }
    if !by_index.keys().copied().eq((0..).take(by_index.len())) {
        return Err(invalid_assignment(
            "partitions should be a consecutive 0-based integer sequence".to_owned(),
        ));
    }
    Ok(by_index.into_values().collect())
}
