//! The table's own order and truth.

use super::*;
use crate::config::setting::Valid;
use crate::config::value::parse;

/// What Kafka itself says of its settings.
struct KafkaRow {
    level: Level,
    name: &'static str,
    columns: [&'static str; 5],
    internal: bool,
}

fn kafka_rows() -> impl Iterator<Item = KafkaRow> {
    let lines = include_str!("kafka-4.3.1.tsv").lines().skip(1);
    lines.map(|line| {
        let columns: Vec<&str> = line.split('\t').collect();
        KafkaRow {
            level: match columns[0] {
                "topic" => Level::Topic,
                "group" => Level::Group,
                _ => Level::Broker,
            },
            name: columns[1],
            columns: [columns[2], columns[3], columns[4], columns[5], columns[6]],
            internal: columns[7] == "internal",
        }
    })
}

/// Our row in the words of Kafka's: type, default, valid values, importance, when it can change.
fn in_kafkas_words(row: &Setting) -> [String; 5] {
    let valid = match row.valid {
        Valid::Any | Valid::Distinct => String::new(),
        Valid::AtLeast(min) => format!("[{min},...]"),
        Valid::Between(min, max) => format!("[{min},...,{max}]"),
        Valid::Ratio => "[0,...,1]".to_owned(),
        Valid::GzipLevel => "[1,...,9] or -1".to_owned(),
        Valid::OneOf(words) | Valid::ListOf(words) => format!("[{}]", words.join(", ")),
        Valid::OneOfAnyCase(words) => {
            format!("(case insensitive) [{}]", words.join(", ").to_ascii_uppercase())
        }
        Valid::ThrottledReplicas => {
            "[partitionId]:[brokerId],[partitionId]:[brokerId],...".to_owned()
        }
    };
    [
        row.kind.name().to_owned(),
        row.default.unwrap_or("<null>").to_owned(),
        valid,
        row.importance.word().to_ascii_uppercase(),
        row.mode.word().to_owned(),
    ]
}

#[test]
fn the_table_says_what_kafka_says() {
    // Where we differ, and why: what to listen on and where to write must be safe to try out;
    // memory has a bound; listeners and start-up do not change while we run; assignors are no classes.
    let ours = [
        "controller.listener.names",
        "group.consumer.assignors",
        "internal.segment.bytes",
        "listener.security.protocol.map",
        "listeners",
        "log.dir",
        "node.id",
        "num.recovery.threads.per.data.dir",
        "process.roles",
        "queued.max.request.bytes",
    ];
    for kafka in kafka_rows() {
        if let Some(row) = find(kafka.level, kafka.name) {
            if !ours.contains(&kafka.name) {
                assert_eq!(in_kafkas_words(row), kafka.columns, "{}", kafka.name);
            }
        } else {
            let without_effect = match kafka.level {
                Level::Topic => false,
                Level::Group => is_kafka_group_without_effect(kafka.name),
                Level::Broker => is_kafka_without_effect(kafka.name),
            };
            assert!(without_effect, "{} is missing", kafka.name);
        }
    }
}

#[test]
fn every_name_without_effect_is_kafkas() {
    for name in kafka_names::WITHOUT_EFFECT.iter().chain(kafka_names::GROUPS_WITHOUT_EFFECT) {
        assert!(kafka_rows().any(|kafka| kafka.name == *name), "{name}");
    }
    assert!(kafka_rows().filter(|kafka| kafka.internal).count() > 5, "the column is read");
}

#[test]
fn every_default_is_a_value_its_setting_takes() {
    for setting in PARTS.iter().flat_map(|part| part.rows) {
        if let Some(default) = setting.default {
            let value = parse(setting, default);
            assert_eq!(
                value.map(|value| value.canonical()),
                Ok(default.to_owned()),
                "{}",
                setting.name
            );
        }
    }
}

#[test]
fn every_name_stands_once() {
    for level in [Level::Topic, Level::Group, Level::Broker] {
        let mut names: Vec<_> = settings(level).map(|setting| setting.name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
    assert!(kafka_names::WITHOUT_EFFECT.is_sorted());
    for name in kafka_names::WITHOUT_EFFECT {
        assert!(find(Level::Broker, name).is_none(), "{name} has an effect");
    }
    for name in kafka_names::GROUPS_WITHOUT_EFFECT {
        assert!(find(Level::Group, name).is_none(), "{name} has an effect");
    }
}

#[test]
fn a_setting_of_a_topic_or_group_and_its_synonyms_agree() {
    for topic in settings(Level::Topic).chain(settings(Level::Group)) {
        for (index, synonym) in topic.from.iter().enumerate() {
            let broker = find(Level::Broker, synonym.name)
                .unwrap_or_else(|| panic!("{} has no row", synonym.name));
            if index == 0 {
                assert_eq!(broker.kind, topic.kind, "{}", topic.name);
            }
            if synonym.factor == 1 && topic.from.len() == 1 {
                assert_eq!(broker.default, topic.default, "{}", topic.name);
                assert_eq!(broker.valid, topic.valid, "{}", topic.name);
            }
        }
    }
}

#[test]
fn a_mistyped_name_finds_its_neighbour() {
    let near = |name| nearest(Level::Broker, name);
    assert_eq!(near("log.retension.ms"), Some("log.retention.ms"));
    assert_eq!(near("num.partitons"), Some("num.partitions"));
    assert_eq!(near("log.segments.byte"), Some("log.segment.bytes"));
    assert_eq!(nearest(Level::Topic, "retention_ms"), Some("retention.ms"));
    assert_eq!(nearest(Level::Topic, "clean.policy"), Some("cleanup.policy"));
    assert_eq!(near("something.else.entirely"), None);
    assert_eq!(near("x"), None);
}

#[test]
fn kafkas_other_names_are_known() {
    assert!(is_kafka_without_effect("log.dir.failure.timeout.ms"));
    assert!(is_kafka_without_effect("listener.name.external.ssl.keystore.location"));
    assert!(!is_kafka_without_effect("log.retention.ms"));
    assert!(!is_kafka_without_effect("zookeeper.connect"));
}
