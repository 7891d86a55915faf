//! What a round of commands changed, for the log: topics made, grown and deleted.

use std::collections::BTreeSet;

use duramen_protocol::text::Text;
use tracing::info;

use super::command::Reply;
use crate::metadata::MetadataImage;

/// Lines that one round may write; what is beyond is told as a number.
const LINES: usize = 10;

/// One line for each topic made, grown or deleted by the commands that had these replies, up to a few.
pub(super) fn tell<'a>(
    before: &MetadataImage,
    after: &MetadataImage,
    replies: impl Iterator<Item = &'a Reply>,
) {
    let mut told = 0;
    let names: BTreeSet<&Text> = replies.flat_map(topics_of).collect();
    for name in names {
        let (was, is) = (before.topics().by_name(name), after.topics().by_name(name));
        // A topic deleted and made again in one round is another one.
        let same = was.map(|topic| topic.id()) == is.map(|topic| topic.id());
        let partitions = is.map_or(0, |topic| topic.partition_count());
        let grown = was.is_some_and(|topic| topic.partition_count() < partitions);
        if same && !grown {
            continue;
        }
        told += 1;
        if told > LINES {
            continue;
        }
        match (was, is) {
            (Some(_), Some(_)) if same => info!(topic = %name, partitions, "topic grown"),
            (_, Some(topic)) => {
                info!(topic = %name, id = %topic.id(), partitions, "topic created");
            }
            (_, None) => info!(topic = %name, "topic deleted"),
        }
    }
    if told > LINES {
        info!(count = told - LINES, "more topics changed");
    }
}

/// The topics that a command was about.
fn topics_of(reply: &Reply) -> Vec<&Text> {
    match reply {
        Reply::CreateTopics(topics) => topics.iter().map(|(name, _)| name).collect(),
        Reply::CreatePartitions(topics) => topics.iter().map(|(name, _)| name).collect(),
        Reply::DeleteTopics(topics) => {
            topics.iter().filter_map(|topic| topic.name.as_ref()).collect()
        }
        _ => Vec::new(),
    }
}
