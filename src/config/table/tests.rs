//! The table's own order and truth.

use super::*;
use crate::config::value::parse;

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
    for level in [Level::Topic, Level::Broker] {
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
}

#[test]
fn a_topic_setting_and_its_synonyms_agree() {
    for topic in settings(Level::Topic) {
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
fn distances() {
    assert_eq!(distance("", ""), 0);
    assert_eq!(distance("abc", "abc"), 0);
    assert_eq!(distance("", "abc"), 3);
    assert_eq!(distance("abc", "acb"), 1, "a swap");
    assert_eq!(distance("abc", "axc"), 1);
    assert_eq!(distance("kitten", "sitting"), 3);
}

#[test]
fn kafkas_other_names_are_known() {
    assert!(is_kafka_without_effect("log.cleaner.threads"));
    assert!(is_kafka_without_effect("listener.name.external.ssl.keystore.location"));
    assert!(!is_kafka_without_effect("log.retention.ms"));
    assert!(!is_kafka_without_effect("zookeeper.connect"));
}
