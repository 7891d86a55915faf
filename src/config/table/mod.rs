//! THE table of settings. Everything about a setting (checks, `DescribeConfigs`, documentation,
//! the error for a mistyped name) comes from its row here.

mod broker;
mod groups;
mod kafka_names;
mod topic;

use duramen_client::properties::nearest_name;

use super::setting::{Level, Setting};

/// A group of settings for the documentation.
#[derive(Debug, Clone, Copy)]
pub struct Part {
    /// Heading.
    pub title: &'static str,
    /// The settings.
    pub rows: &'static [Setting],
}

/// All settings, in the order of the documentation.
pub const PARTS: &[Part] = &[
    Part { title: "Topics: one topic", rows: topic::ROWS },
    Part { title: "Node and listeners", rows: broker::NODE },
    Part { title: "Connections and requests", rows: broker::NETWORK },
    Part { title: "Topics: all of them", rows: broker::TOPICS },
    Part { title: "Data directories", rows: broker::LOG },
    Part { title: "Compaction", rows: broker::CLEANER },
    Part { title: "Metadata log", rows: broker::METADATA },
    Part { title: "Groups: one group", rows: groups::ONE_GROUP },
    Part { title: "Groups: all of them", rows: groups::GROUPS },
    Part { title: "Defaults of the topic settings", rows: broker::TOPIC_DEFAULTS },
];

/// All settings of a level, in the order of the documentation.
pub fn settings(level: Level) -> impl Iterator<Item = &'static Setting> {
    PARTS.iter().flat_map(|part| part.rows).filter(move |setting| setting.level == level)
}

/// The row of a setting.
pub fn find(level: Level, name: &str) -> Option<&'static Setting> {
    settings(level).find(|setting| setting.name == name)
}

/// Whether `name` is a broker setting of Kafka 4.3 that has no effect here.
pub fn is_kafka_without_effect(name: &str) -> bool {
    kafka_names::WITHOUT_EFFECT.binary_search(&name).is_ok()
        || kafka_names::WITHOUT_EFFECT_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Whether `name` is a setting of Kafka's groups that has no effect here.
pub fn is_kafka_group_without_effect(name: &str) -> bool {
    kafka_names::GROUPS_WITHOUT_EFFECT.contains(&name)
}

/// What may have been meant by an unknown name: the other level's name for the same thing
/// (`retention.ms` for a broker), or a known name that is few letters away.
pub fn nearest(level: Level, name: &str) -> Option<&'static str> {
    let other = match level {
        Level::Topic | Level::Group => Level::Broker,
        Level::Broker => Level::Topic,
    };
    let mistyped_counterpart = || counterpart(level, few_letters_away(other, name)?);
    counterpart(level, name).or_else(|| few_letters_away(level, name)).or_else(mistyped_counterpart)
}

/// What the setting that the other level calls `name` is called at `level`.
fn counterpart(level: Level, name: &str) -> Option<&'static str> {
    match level {
        Level::Broker => {
            let own = find(Level::Topic, name).or_else(|| find(Level::Group, name))?;
            own.from.first().map(|synonym| synonym.name)
        }
        Level::Topic | Level::Group => settings(level)
            .find(|own| own.from.iter().any(|synonym| synonym.name == name))
            .map(|own| own.name),
    }
}

fn few_letters_away(level: Level, name: &str) -> Option<&'static str> {
    let known = settings(level).filter(|setting| !setting.internal);
    nearest_name(name, known.map(|setting| setting.name))
}

#[cfg(test)]
mod tests;
