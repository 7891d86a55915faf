//! What `DescribeConfigs` and `CreateTopics` tell of settings: value, source and synonyms (KIP-133,
//! KIP-226).

use duramen_protocol::text::Text;

use super::setting::{Kind, Level, Setting};
use super::settings::{Given, Settings, Source, Texts, chain_of};
use super::table;

/// One setting of a topic, group or broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigEntry {
    /// Its name.
    pub name: &'static str,
    /// The value that holds; `None` when there is none.
    pub value: Option<Text>,
    /// Where the value comes from.
    pub source: Source,
    /// Whether it can't change while the broker runs.
    pub read_only: bool,
    /// Whether the value is a secret. None is, so far.
    pub sensitive: bool,
    /// Its type.
    pub kind: Kind,
    /// What it does.
    pub documentation: &'static str,
    /// Every place that gives it a value, the one that holds first.
    pub synonyms: Vec<ConfigSynonym>,
}

/// One place that gives a setting a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigSynonym {
    /// The setting there, perhaps in another unit (`log.retention.hours` for `retention.ms`).
    pub name: &'static str,
    /// Its value there.
    pub value: Text,
    /// Which layer.
    pub source: Source,
}

impl From<Given> for ConfigSynonym {
    fn from(given: Given) -> Self {
        Self { name: given.name, value: given.value, source: given.source }
    }
}

impl ConfigEntry {
    fn of(
        row: &'static Setting,
        value: Option<Text>,
        read_only: bool,
        synonyms: Vec<ConfigSynonym>,
    ) -> Self {
        Self {
            name: row.name,
            value,
            source: synonyms.first().map_or(Source::Default, |synonym| synonym.source),
            read_only,
            sensitive: false,
            kind: row.kind,
            documentation: documentation(row),
            synonyms,
        }
    }
}

impl Settings {
    /// All settings of a topic whose own are `own`, by name.
    pub fn describe_topic(&self, own: &Texts) -> Vec<ConfigEntry> {
        self.describe_own(Level::Topic, Source::Topic, own)
    }

    /// All settings of a group whose own are `own`, by name.
    pub fn describe_group(&self, own: &Texts) -> Vec<ConfigEntry> {
        self.describe_own(Level::Group, Source::Group, own)
    }

    fn describe_own(&self, level: Level, source: Source, own: &Texts) -> Vec<ConfigEntry> {
        let entry = |row: &'static Setting| {
            let given = self.given(row.from).into_iter().map(ConfigSynonym::from);
            let set = own.get(row.name).cloned();
            let set = set.map(|value| ConfigSynonym { name: row.name, value, source });
            let value = self.own_value(row, own).ok().flatten();
            let value = value.map(|value| value.canonical().into());
            ConfigEntry::of(row, value, false, set.into_iter().chain(given).collect())
        };
        by_name(rows(level).map(entry))
    }

    /// All settings of this broker, by name.
    pub fn describe_broker(&self) -> Vec<ConfigEntry> {
        let entry = |row: &'static Setting| {
            let given = self.given(&chain_of(row.name)).into_iter();
            // The finer units outweigh this one, but the value shown is this setting's own.
            let own = given.skip_while(|given| given.name != row.name).map(ConfigSynonym::from);
            let value = self.broker_value(row).ok().flatten();
            let value = value.map(|value| value.canonical().into());
            ConfigEntry::of(row, value, is_read_only(row), own.collect())
        };
        by_name(rows(Level::Broker).map(entry))
    }

    /// The settings that were given at run time to all brokers, by name.
    pub fn describe_cluster(&self) -> Vec<ConfigEntry> {
        let entry = |row: &'static Setting| {
            let value = self.all_brokers().get(row.name)?.clone();
            let source = Source::DynamicDefault;
            let synonym = ConfigSynonym { name: row.name, value: value.clone(), source };
            Some(ConfigEntry::of(row, Some(value), is_read_only(row), vec![synonym]))
        };
        by_name(rows(Level::Broker).filter_map(entry))
    }
}

fn rows(level: Level) -> impl Iterator<Item = &'static Setting> {
    table::settings(level).filter(|row| !row.internal)
}

fn is_read_only(row: &Setting) -> bool {
    row.mode == super::setting::Mode::ReadOnly
}

fn by_name(entries: impl Iterator<Item = ConfigEntry>) -> Vec<ConfigEntry> {
    let mut entries: Vec<_> = entries.collect();
    entries.sort_by_key(|entry| entry.name);
    entries
}

/// What a setting does; the default of a topic setting does what that does.
pub(super) fn documentation(row: &'static Setting) -> &'static str {
    let of_topic = || {
        table::settings(Level::Topic)
            .find(|topic| topic.from.iter().any(|synonym| synonym.name == row.name))
            .map_or("", |topic| topic.doc)
    };
    if row.doc.is_empty() { of_topic() } else { row.doc }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RawConfig;

    fn settings(lines: &[&str]) -> Settings {
        let mut raw = RawConfig::new();
        for line in lines {
            raw.add_assignment(line).unwrap();
        }
        raw.settings()
    }

    fn texts(pairs: &[(&str, &str)]) -> Texts {
        pairs.iter().map(|(name, value)| (Text::from(*name), Text::from(*value))).collect()
    }

    fn entry(entries: Vec<ConfigEntry>, name: &str) -> ConfigEntry {
        entries.into_iter().find(|entry| entry.name == name).unwrap()
    }

    fn places(entry: &ConfigEntry) -> Vec<(&str, &str, i8)> {
        entry.synonyms.iter().map(|s| (s.name, s.value.as_str(), s.source.code())).collect()
    }

    #[test]
    fn all_of_kafkas_topic_settings_and_ours_are_told() {
        let entries = Settings::default().describe_topic(&Texts::new());
        assert_eq!(entries.len(), 33 + 2);
        assert!(entries.is_sorted_by_key(|entry| entry.name));
        assert!(entries.iter().all(|entry| !entry.documentation.is_empty() && !entry.read_only));
        assert!(entries.iter().all(|entry| entry.source == Source::Default));
        assert!(!entries.iter().any(|entry| entry.name == "internal.segment.bytes"));
    }

    #[test]
    fn a_topics_own_setting_comes_first() {
        let settings = settings(&["log.segment.bytes=2000000"]);
        let own = texts(&[("segment.bytes", " 3000000 ")]);
        let found = entry(settings.describe_topic(&own), "segment.bytes");
        assert_eq!(found.value.as_deref(), Some("3000000"));
        assert_eq!((found.source, found.kind.code()), (Source::Topic, 3));
        assert_eq!(
            places(&found),
            [
                ("segment.bytes", " 3000000 ", 1),
                ("log.segment.bytes", "2000000", 4),
                ("log.segment.bytes", "1073741824", 5),
            ]
        );
    }

    #[test]
    fn synonyms_of_other_units_are_converted_and_named() {
        let found = entry(
            settings(&["log.retention.hours=2"]).describe_topic(&Texts::new()),
            "retention.ms",
        );
        assert_eq!(found.value.as_deref(), Some("7200000"));
        assert_eq!(found.source, Source::Static);
        assert_eq!(
            places(&found),
            [("log.retention.hours", "2", 4), ("log.retention.hours", "168", 5)]
        );
        let finer = settings(&["log.retention.hours=2", "log.retention.minutes=3"]);
        let found = entry(finer.describe_topic(&Texts::new()), "retention.ms");
        assert_eq!(found.value.as_deref(), Some("180000"));
        assert_eq!(found.synonyms[0].name, "log.retention.minutes");
    }

    #[test]
    fn run_time_settings_outweigh_typed_ones_and_this_broker_all_brokers() {
        let settings = settings(&["message.max.bytes=10"]).with_dynamic(
            texts(&[("message.max.bytes", "20")]),
            texts(&[("message.max.bytes", "30")]),
        );
        let topic = entry(settings.describe_topic(&Texts::new()), "max.message.bytes");
        assert_eq!((topic.value.as_deref(), topic.source), (Some("30"), Source::DynamicBroker));
        let broker = entry(settings.describe_broker(), "message.max.bytes");
        assert_eq!(broker.value.as_deref(), Some("30"));
        assert!(!broker.read_only);
        let expected = [
            ("message.max.bytes", "30", 2),
            ("message.max.bytes", "20", 3),
            ("message.max.bytes", "10", 4),
            ("message.max.bytes", "1048588", 5),
        ];
        assert_eq!(places(&broker), expected);
        let cluster = settings.describe_cluster();
        assert_eq!(cluster.len(), 1);
        assert_eq!(places(&cluster[0]), [("message.max.bytes", "20", 3)]);
    }

    #[test]
    fn a_groups_own_setting_comes_before_the_brokers() {
        let settings = settings(&["group.consumer.session.timeout.ms=50000"]);
        let own = texts(&[("consumer.session.timeout.ms", "55000")]);
        let entries = settings.describe_group(&own);
        let names: Vec<_> = entries.iter().map(|entry| entry.name).collect();
        assert_eq!(names, ["consumer.heartbeat.interval.ms", "consumer.session.timeout.ms"]);
        assert!(entries.iter().all(|entry| !entry.documentation.is_empty() && !entry.read_only));
        let found = entry(entries, "consumer.session.timeout.ms");
        assert_eq!((found.value.as_deref(), found.source), (Some("55000"), Source::Group));
        let expected = [
            ("consumer.session.timeout.ms", "55000", 8),
            ("group.consumer.session.timeout.ms", "50000", 4),
            ("group.consumer.session.timeout.ms", "45000", 5),
        ];
        assert_eq!(places(&found), expected);
        let found = entry(settings.describe_group(&Texts::new()), "consumer.session.timeout.ms");
        assert_eq!((found.value.as_deref(), found.source), (Some("50000"), Source::Static));
    }

    #[test]
    fn a_broker_setting_shows_its_own_value() {
        let entries = settings(&["log.retention.minutes=3"]).describe_broker();
        let ms = entry(entries.clone(), "log.retention.ms");
        assert_eq!((ms.value, ms.source, ms.synonyms.len()), (None, Source::Default, 0));
        let minutes = entry(entries.clone(), "log.retention.minutes");
        assert_eq!((minutes.value.as_deref(), minutes.source), (Some("3"), Source::Static));
        assert!(minutes.read_only);
        let dirs = entry(entries, "log.dirs");
        assert_eq!((dirs.value, dirs.kind.code()), (None, 7));
    }

    #[test]
    fn every_broker_setting_is_explained() {
        for entry in Settings::default().describe_broker() {
            assert!(!entry.documentation.is_empty(), "{}", entry.name);
        }
    }
}
