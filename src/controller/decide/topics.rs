//! Create topics, delete topics, add partitions: who may exist, with which replicas. Pure.
//! Errors, their order and their words are Kafka's (`ReplicationControlManager`, `ControllerApis`).

use std::collections::{BTreeMap, BTreeSet};

use duramen_protocol::error::ErrorCode;
use duramen_protocol::ids::{NO_NODE, TopicId, topic_id_to_base64};
use duramen_protocol::metadata::MetadataRecord;
use duramen_protocol::text::Text;

use super::names::check_topic_name;
use super::{Dice, View};
use crate::controller::command::{
    CreatePartitions, CreateTopics, CreatedTopic, DeleteTopics, DeletedTopic, MorePartitions,
    NewTopic, Refusal, TopicRef,
};
use crate::controller::placement::{Candidate, place};
use crate::metadata::image::topics::unified_name;
use crate::metadata::{ConfigResource, PartitionImage, TopicImage, record};
use crate::raft::METADATA_TOPIC;

/// Partitions that one request may create, as in Kafka.
const PARTITIONS_PER_REQUEST_MAX: usize = 10_000;

type Outcome<T> = Result<T, Refusal>;

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

/// Which names of a request come more than once; the request's order is kept.
struct Names<'a> {
    repeated: BTreeSet<&'a Text>,
    answered: BTreeSet<&'a Text>,
}

impl<'a> Names<'a> {
    fn of(names: impl Iterator<Item = &'a Text>) -> Self {
        let mut seen = BTreeSet::new();
        let repeated = names.filter(|name| !seen.insert(*name)).collect();
        Self { repeated, answered: BTreeSet::new() }
    }

    /// Whether the name comes more than once; `None` when it was answered already.
    fn first_sight(&mut self, name: &'a Text) -> Option<bool> {
        self.answered.insert(name).then(|| self.repeated.contains(name))
    }
}

fn new_partitions(view: View<'_>, topic: &NewTopic) -> usize {
    match (topic.assignments.len(), topic.partitions) {
        (0, -1) => usize::try_from(view.settings.num_partitions).unwrap_or(0),
        (0, count) => usize::try_from(count).unwrap_or(0),
        (assigned, _) => assigned,
    }
}

fn check_total(partitions: impl Iterator<Item = usize>) -> Outcome<()> {
    if partitions.fold(0, usize::saturating_add) > PARTITIONS_PER_REQUEST_MAX {
        return Err(Refusal::new(
            ErrorCode::PolicyViolation,
            "Excessively large number of partitions per request.",
        ));
    }
    Ok(())
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

/// New partitions whose replicas the controller chooses.
fn placed(
    view: View<'_>,
    count: usize,
    replication_factor: usize,
    dice: Dice<'_>,
) -> Outcome<Vec<PartitionImage>> {
    let candidates: Vec<_> = view
        .image
        .brokers()
        .iter()
        .map(|broker| Candidate {
            id: broker.id,
            rack: broker.rack.clone(),
            active: broker.is_active(),
        })
        .collect();
    let placed = place(&candidates, count, replication_factor, dice()).map_err(|error| {
        Refusal::new(
            ErrorCode::InvalidReplicationFactor,
            format!("Unable to replicate the partition {replication_factor} time(s): {error}"),
        )
    })?;
    Ok(placed.into_iter().map(|replicas| new_partition(view, replicas)).collect())
}

/// A partition that nobody wrote to yet. Its leader is the first replica that is active; the
/// caller has seen to it that there is one.
fn new_partition(view: View<'_>, replicas: Vec<i32>) -> PartitionImage {
    let isr: Vec<_> =
        replicas.iter().copied().filter(|&id| view.image.brokers().is_active(id)).collect();
    PartitionImage {
        leader: isr.first().copied().unwrap_or(NO_NODE),
        isr,
        replicas,
        removing_replicas: Vec::new(),
        adding_replicas: Vec::new(),
        recovering: false,
        leader_epoch: 0,
        partition_epoch: 0,
        directories: Vec::new(),
        eligible_leader_replicas: Vec::new(),
        last_known_elr: Vec::new(),
    }
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

fn invalid_assignment(message: String) -> Refusal {
    Refusal::new(ErrorCode::InvalidReplicaAssignment, message)
}

/// A new partition with the replicas that the client wants.
fn assigned_partition(
    view: View<'_>,
    index: i32,
    replicas: &[i32],
    replication_factor: Option<usize>,
) -> Outcome<PartitionImage> {
    let refuse =
        |what: String| Err(invalid_assignment(format!("The manual partition assignment {what}")));
    if replicas.is_empty() {
        return refuse("includes an empty replica list.".to_owned());
    }
    let mut seen = BTreeSet::new();
    for &id in replicas {
        if view.image.brokers().get(id).is_none() {
            return refuse(format!("includes broker {id}, but no such broker is registered."));
        }
        if !seen.insert(id) {
            return refuse(format!("includes the broker {id} more than once."));
        }
    }
    if let Some(expected) = replication_factor.filter(|&expected| expected != replicas.len()) {
        return refuse(format!(
            "includes a partition with {} replica(s), but this is not consistent with previous \
             partitions, which have {expected} replica(s).",
            replicas.len()
        ));
    }
    let partition = new_partition(view, replicas.to_vec());
    if partition.isr.is_empty() {
        return Err(invalid_assignment(format!(
            "All brokers specified in the manual partition assignment for partition {index} are \
             fenced or in controlled shutdown."
        )));
    }
    Ok(partition)
}

/// Decides which topics to delete.
pub fn delete(view: View<'_>, command: &DeleteTopics) -> (Vec<MetadataRecord>, Vec<DeletedTopic>) {
    let mut records = Vec::new();
    let mut results = Vec::new();
    let repeated = repeated_topics(view, &command.topics);
    let mut answered = BTreeSet::new();
    for topic in &command.topics {
        if !answered.insert((&topic.name, topic.id)) {
            continue;
        }
        let found = find_deletable(view, topic, &repeated);
        results.push(DeletedTopic {
            name: found.as_ref().ok().map(|found| found.name().clone()).or(topic.name.clone()),
            id: found.as_ref().map_or(topic.id, |found| found.id()),
            result: found.map(|found| records.push(record::remove_topic(found.id()))),
        });
    }
    (records, results)
}

/// What a request names more than once, by whatever way of naming.
struct Repeated<'a> {
    references: BTreeSet<(&'a Option<Text>, TopicId)>,
    topics: BTreeSet<TopicId>,
}

fn repeated_topics<'a>(view: View<'_>, topics: &'a [TopicRef]) -> Repeated<'a> {
    let mut seen = BTreeSet::new();
    let references: BTreeSet<_> = topics
        .iter()
        .map(|topic| (&topic.name, topic.id))
        .filter(|reference| !seen.insert(*reference))
        .collect();
    let mut seen = BTreeSet::new();
    let topics = topics
        .iter()
        .filter_map(|topic| match &topic.name {
            Some(name) => view.image.topics().by_name(name).map(|found| found.id()),
            None => Some(topic.id),
        })
        .filter(|id| !seen.insert(*id))
        .collect();
    Repeated { references, topics }
}

fn find_deletable<'v>(
    view: View<'v>,
    topic: &TopicRef,
    repeated: &Repeated<'_>,
) -> Outcome<&'v TopicImage> {
    let invalid = |message: &str| Err(Refusal::new(ErrorCode::InvalidRequest, message));
    if !view.settings.delete_topic_enable {
        return Err(Refusal::plain(ErrorCode::TopicDeletionDisabled));
    }
    let found = match (&topic.name, topic.id.is_nil()) {
        (None, true) => return invalid("Neither topic name nor id were specified."),
        (Some(_), false) => return invalid("You may not specify both topic name and topic id."),
        _ if repeated.references.contains(&(&topic.name, topic.id)) => {
            let by = if topic.name.is_some() { "name" } else { "id" };
            return invalid(&format!("Duplicate topic {by}."));
        }
        (Some(name), true) => view
            .image
            .topics()
            .by_name(name)
            .ok_or_else(|| Refusal::plain(ErrorCode::UnknownTopicOrPartition))?,
        (None, false) => view
            .image
            .topics()
            .by_id(topic.id)
            .ok_or_else(|| Refusal::plain(ErrorCode::UnknownTopicId))?,
    };
    if repeated.topics.contains(&found.id()) {
        return invalid("The provided topic name maps to an ID that was already supplied.");
    }
    Ok(found)
}

/// Decides which partitions to add.
pub fn create_partitions(
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
