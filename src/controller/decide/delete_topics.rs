//! Delete topics, by name or by id. Pure. Errors and their words are Kafka's (`ControllerApis`).

use std::collections::BTreeSet;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::ids::TopicId;
use duramen_protocol::metadata::MetadataRecord;
use duramen_protocol::text::Text;

use super::{Outcome, View};
use crate::controller::command::{DeleteTopics, DeletedTopic, Refusal, TopicRef};
use crate::metadata::{TopicImage, record};

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
