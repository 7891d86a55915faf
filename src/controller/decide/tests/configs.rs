use duramen_protocol::error::ErrorCode;
use duramen_protocol::text::Text;

use crate::controller::command::{
    AlterConfigs, Command, ConfigChange, IncrementalAlterConfigs, Refusal, Reply,
};
use crate::controller::decide::testing::{Cluster, seen};
use crate::metadata::ConfigResource;

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

type Results = Vec<(ConfigResource, Result<(), Refusal>)>;

fn change(name: &str, operation: i8, value: Option<&str>) -> ConfigChange {
    ConfigChange { name: name.into(), operation, value: value.map(Text::from) }
}

fn incremental(
    cluster: &mut Cluster,
    resources: Vec<(ConfigResource, Vec<ConfigChange>)>,
) -> Results {
    let command = IncrementalAlterConfigs { resources, validate_only: false };
    match cluster.run(Command::IncrementalAlterConfigs(command)) {
        Reply::IncrementalAlterConfigs(results) => results,
        other => panic!("{other:?}"),
    }
}

fn replace(cluster: &mut Cluster, resource: ConfigResource, configs: &[(&str, &str)]) -> Results {
    let configs = configs.iter().map(|(name, value)| ((*name).into(), Some((*value).into())));
    let resources = vec![(resource, configs.collect())];
    match cluster.run(Command::AlterConfigs(AlterConfigs { resources, validate_only: false })) {
        Reply::AlterConfigs(results) => results,
        other => panic!("{other:?}"),
    }
}

fn topic() -> ConfigResource {
    ConfigResource::topic("t")
}

fn cluster() -> Cluster {
    Cluster::of(&[1]).with_topic("t", 1)
}

fn stored(cluster: &Cluster, resource: &ConfigResource) -> Vec<(String, String)> {
    let values = cluster.image.configs().of(resource);
    values.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn single_configs_are_set_removed_and_lists_grow_and_shrink() {
    let mut cluster = cluster();
    for (changes, expected) in [
        (
            vec![
                change("retention.ms", SET, Some("1000")),
                change("cleanup.policy", APPEND, Some("compact")),
            ],
            vec![("cleanup.policy", "delete,compact"), ("retention.ms", "1000")],
        ),
        (
            vec![change("cleanup.policy", APPEND, Some("compact"))],
            vec![("cleanup.policy", "delete,compact"), ("retention.ms", "1000")],
        ),
        (
            vec![
                change("cleanup.policy", SUBTRACT, Some("delete,other")),
                change("retention.ms", DELETE, None),
            ],
            vec![("cleanup.policy", "compact")],
        ),
    ] {
        let results = incremental(&mut cluster, vec![(topic(), changes)]);
        assert_eq!(seen(&results[0].1), (ErrorCode::None, ""));
        assert_eq!(stored(&cluster, &topic()), pairs(&expected));
    }
}

#[test]
fn replacing_removes_what_is_not_named() {
    let mut cluster = cluster();
    replace(&mut cluster, topic(), &[("retention.ms", "1"), ("segment.ms", "2")]);
    let results = replace(&mut cluster, topic(), &[("segment.ms", "3")]);
    assert_eq!(seen(&results[0].1), (ErrorCode::None, ""));
    assert_eq!(stored(&cluster, &topic()), pairs(&[("segment.ms", "3")]));
    replace(&mut cluster, topic(), &[]);
    assert!(cluster.image.configs().get(&topic()).is_none());
}

#[test]
fn every_error_of_a_change() {
    let long = "x".repeat(32_768);
    for (resource, changes, code, message) in [
        (
            ConfigResource::topic("missing"),
            vec![change("retention.ms", SET, Some("1"))],
            ErrorCode::UnknownTopicOrPartition,
            "The topic 'missing' does not exist.",
        ),
        (
            ConfigResource::topic("a/b"),
            vec![],
            ErrorCode::InvalidTopicException,
            "Topic name is invalid: 'a/b' contains one or more characters other than ASCII \
             alphanumerics, '.', '_' and '-'",
        ),
        (
            ConfigResource::topic(""),
            vec![],
            ErrorCode::InvalidRequest,
            "Default topic resources are not allowed.",
        ),
        (
            ConfigResource { kind: 8, name: "1".into() },
            vec![],
            ErrorCode::InvalidRequest,
            "Unknown resource type 8",
        ),
        (
            topic(),
            vec![change("retention.mss", SET, Some("1"))],
            ErrorCode::InvalidConfig,
            "Unknown topic config name: retention.mss; did you mean `retention.ms`?",
        ),
        (
            topic(),
            vec![change("retention.ms", SET, Some("soon"))],
            ErrorCode::InvalidConfig,
            "Invalid value soon for configuration retention.ms: Not a number of type LONG",
        ),
        (
            topic(),
            vec![change("retention.ms", APPEND, Some("1"))],
            ErrorCode::InvalidConfig,
            "Can't APPEND to key retention.ms because its type is not LIST.",
        ),
        (
            topic(),
            vec![change("nonsense", SUBTRACT, Some("1"))],
            ErrorCode::InvalidConfig,
            "Can't SUBTRACT to key nonsense because its type is not LIST.",
        ),
        (
            topic(),
            vec![change("retention.ms", SET, None), change("segment.ms", APPEND, None)],
            ErrorCode::InvalidRequest,
            "Null value not supported for : retention.ms, segment.ms",
        ),
        (
            topic(),
            vec![change("retention.ms", SET, Some("1")), change("retention.ms", DELETE, None)],
            ErrorCode::InvalidRequest,
            "Error due to duplicate config keys",
        ),
        (
            topic(),
            vec![change("retention.ms", 9, Some("1"))],
            ErrorCode::InvalidRequest,
            "Unknown operations type 9",
        ),
        (
            topic(),
            vec![change("retention.ms", SET, Some(&long))],
            ErrorCode::InvalidConfig,
            "The configuration value cannot be added because it exceeds the maximum value size of \
             32767 bytes.",
        ),
    ] {
        let mut cluster = cluster();
        let before = cluster.image.clone();
        let results = incremental(&mut cluster, vec![(resource, changes)]);
        assert_eq!(seen(&results[0].1), (code, message));
        assert_eq!(cluster.image, before);
    }
}

#[test]
fn every_error_of_a_brokers_change() {
    let name = |name: &str| ConfigResource { name: name.into(), ..ConfigResource::cluster() };
    for (resource, config, value, code, message) in [
        (
            name("7"),
            "log.retention.ms",
            "1",
            ErrorCode::BrokerIdNotRegistered,
            "No broker with id 7 found.",
        ),
        (
            name("one"),
            "log.retention.ms",
            "1",
            ErrorCode::InvalidRequest,
            "Unable to parse broker name as a base 10 number.",
        ),
        (
            name("-1"),
            "log.retention.ms",
            "1",
            ErrorCode::InvalidRequest,
            "Invalid negative broker ID.",
        ),
        (
            name("1"),
            "node.id",
            "2",
            ErrorCode::InvalidRequest,
            "Cannot update these configs dynamically: Set(node.id)",
        ),
        (
            name(""),
            "log.retention.ms",
            "soon",
            ErrorCode::InvalidRequest,
            "Invalid value soon for configuration log.retention.ms: Not a number of type LONG",
        ),
        (
            name(""),
            "log.retention.mss",
            "1",
            ErrorCode::InvalidConfig,
            "unknown setting `log.retention.mss`; did you mean `log.retention.ms`?",
        ),
    ] {
        let mut cluster = cluster();
        let changes = vec![change(config, SET, Some(value))];
        let results = incremental(&mut cluster, vec![(resource, changes)]);
        assert_eq!(seen(&results[0].1), (code, message));
    }
}

#[test]
fn a_resource_changes_as_a_whole_or_not_at_all() {
    let mut cluster = cluster().with_topic("u", 1);
    let good = change("retention.ms", SET, Some("1"));
    let results = incremental(
        &mut cluster,
        vec![
            (topic(), vec![good.clone(), change("segment.ms", SET, Some("x"))]),
            (ConfigResource::topic("u"), vec![good]),
        ],
    );
    assert_eq!(seen(&results[0].1).0, ErrorCode::InvalidConfig);
    assert_eq!(seen(&results[1].1).0, ErrorCode::None);
    assert!(stored(&cluster, &topic()).is_empty());
    assert_eq!(stored(&cluster, &ConfigResource::topic("u")), pairs(&[("retention.ms", "1")]));
}

#[test]
fn a_resource_that_comes_twice_is_refused_both_times() {
    let mut cluster = cluster();
    let set = vec![change("retention.ms", SET, Some("1"))];
    let results = incremental(&mut cluster, vec![(topic(), set.clone()), (topic(), set)]);
    assert_eq!(results.len(), 2);
    for (_, result) in &results {
        let message = "Each resource must appear at most once.";
        assert_eq!(seen(result), (ErrorCode::InvalidRequest, message));
    }
}

#[test]
fn brokers_have_configs_of_their_own_and_in_common() {
    let mut cluster = cluster();
    for resource in [ConfigResource::cluster(), ConfigResource::broker(1)] {
        let results = replace(&mut cluster, resource.clone(), &[("log.retention.ms", "5000")]);
        assert_eq!(seen(&results[0].1), (ErrorCode::None, ""));
        assert_eq!(stored(&cluster, &resource), pairs(&[("log.retention.ms", "5000")]));
    }
}

#[test]
fn validate_only_and_no_change_write_nothing() {
    let mut cluster = cluster();
    replace(&mut cluster, topic(), &[("retention.ms", "1")]);
    let before = cluster.image.clone();
    replace(&mut cluster, topic(), &[("retention.ms", "1")]);
    assert_eq!(cluster.image, before);
    let command = IncrementalAlterConfigs {
        resources: vec![(topic(), vec![change("retention.ms", SET, Some("2"))])],
        validate_only: true,
    };
    let Reply::IncrementalAlterConfigs(results) =
        cluster.run(Command::IncrementalAlterConfigs(command))
    else {
        panic!()
    };
    assert_eq!(seen(&results[0].1).0, ErrorCode::None);
    assert_eq!(cluster.image, before);
}
