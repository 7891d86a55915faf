//! DescribeConfigs.

use duramen_protocol::error::ErrorCode;
use duramen_protocol::ids::{
    RESOURCE_BROKER, RESOURCE_BROKER_LOGGER, RESOURCE_CLIENT_METRICS, RESOURCE_GROUP,
    RESOURCE_TOPIC,
};
use duramen_protocol::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult,
    DescribeConfigsResult,
};
use duramen_protocol::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};

use crate::support::client::{error, versions};
use crate::support::{Client, Node};

// Where a value comes from (Kafka's ConfigEntry.ConfigSource).
const TOPIC_CONFIG: i8 = 1;
const DYNAMIC_BROKER_CONFIG: i8 = 2;
const DYNAMIC_DEFAULT_BROKER_CONFIG: i8 = 3;
const STATIC_BROKER_CONFIG: i8 = 4;
const DEFAULT_CONFIG: i8 = 5;

fn asks(kind: i8, name: &str, keys: Option<&[&str]>) -> DescribeConfigsResource {
    DescribeConfigsResource {
        resource_type: kind,
        resource_name: name.into(),
        configuration_keys: keys.map(|keys| keys.iter().map(|key| (*key).into()).collect()),
        ..Default::default()
    }
}

fn request(resources: Vec<DescribeConfigsResource>) -> DescribeConfigsRequest {
    DescribeConfigsRequest { resources, include_synonyms: true, ..Default::default() }
}

async fn describe(
    client: &Client,
    kind: i8,
    name: &str,
    keys: Option<&[&str]>,
) -> DescribeConfigsResult {
    let mut results = client.ask(&request(vec![asks(kind, name, keys)])).await.results;
    assert_eq!(results.len(), 1);
    let result = results.remove(0);
    assert_eq!((result.resource_type, result.resource_name.as_str()), (kind, name));
    result
}

/// One setting of a resource that can be described.
async fn setting(
    client: &Client,
    kind: i8,
    name: &str,
    key: &str,
) -> DescribeConfigsResourceResult {
    let mut result = describe(client, kind, name, Some(&[key])).await;
    assert_eq!(error(result.error_code), ErrorCode::None, "{:?}", result.error_message);
    assert_eq!(result.configs.len(), 1, "{key} of {kind} {name:?}");
    result.configs.remove(0)
}

/// Takes a setting away.
async fn unset(client: &Client, kind: i8, name: &str, key: &str) {
    let config = AlterableConfig { name: key.into(), config_operation: 1, ..Default::default() };
    let resource = AlterConfigsResource {
        resource_type: kind,
        resource_name: name.into(),
        configs: vec![config],
        ..Default::default()
    };
    let request =
        IncrementalAlterConfigsRequest { resources: vec![resource], ..Default::default() };
    let response = client.ask(&request).await.responses.remove(0);
    assert_eq!(error(response.error_code), ErrorCode::None, "{:?}", response.error_message);
}

fn synonyms(config: &DescribeConfigsResourceResult) -> Vec<(&str, Option<&str>, i8)> {
    let entry = config.synonyms.iter();
    entry.map(|s| (s.name.as_str(), s.value.as_deref(), s.source)).collect()
}

#[tokio::test]
async fn every_version_shows_a_value_and_its_source() {
    let (_node, client) = Node::client().await;
    client.create("orders", 1).await;
    client.configure(RESOURCE_TOPIC, "orders", &[("max.message.bytes", "500")]).await;
    for version in versions::<DescribeConfigsRequest>() {
        let keys = Some(&["max.message.bytes", "retention.ms"][..]);
        let request = DescribeConfigsRequest {
            include_documentation: version >= 3,
            ..request(vec![asks(RESOURCE_TOPIC, "orders", keys)])
        };
        let result = client.call(version, &request).await.results.remove(0);
        assert_eq!(error(result.error_code), ErrorCode::None, "version {version}");
        let mut configs = result.configs;
        configs.sort_by(|a, b| a.name.cmp(&b.name));
        let shown = |at: usize| {
            let config: &DescribeConfigsResourceResult = &configs[at];
            (config.name.as_str(), config.value.as_deref().unwrap(), config.config_source)
        };
        assert_eq!(shown(0), ("max.message.bytes", "500", TOPIC_CONFIG), "version {version}");
        assert_eq!(shown(1), ("retention.ms", "604800000", DEFAULT_CONFIG), "version {version}");
        assert_eq!(configs.len(), 2, "version {version}");
        for config in &configs {
            assert!(!config.read_only && !config.is_sensitive, "{config:?}");
            let documented = config.documentation.as_ref().is_some_and(|text| !text.is_empty());
            assert_eq!(documented, version >= 3, "version {version}: {config:?}");
            assert!(version < 3 || config.config_type != 0, "{config:?}");
        }
    }
}

#[tokio::test]
async fn a_topic_shows_each_setting_once_and_what_it_falls_back_to() {
    let node = Node::with(&["log.retention.ms=5000"]).await;
    let client = node.connect().await;
    client.create("orders", 1).await;
    let all = describe(&client, RESOURCE_TOPIC, "orders", None).await.configs;
    let mut names: Vec<_> = all.iter().map(|config| config.name.as_str()).collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
    for name in ["cleanup.policy", "durability", "min.insync.replicas", "segment.bytes"] {
        assert!(names.contains(&name), "{name} is missing from {names:?}");
    }

    let given = setting(&client, RESOURCE_TOPIC, "orders", "retention.ms").await;
    assert_eq!((given.value.as_deref(), given.config_source), (Some("5000"), STATIC_BROKER_CONFIG));
    assert_eq!(synonyms(&given)[0], ("log.retention.ms", Some("5000"), STATIC_BROKER_CONFIG));

    // The nearest to the topic comes first, and what it hides behind it.
    client.configure(RESOURCE_BROKER, "", &[("log.retention.ms", "6000")]).await;
    client.configure(RESOURCE_BROKER, "1", &[("log.retention.ms", "7000")]).await;
    client.configure(RESOURCE_TOPIC, "orders", &[("retention.ms", "8000")]).await;
    let own = setting(&client, RESOURCE_TOPIC, "orders", "retention.ms").await;
    assert_eq!((own.value.as_deref(), own.config_source), (Some("8000"), TOPIC_CONFIG));
    let expected = [
        ("retention.ms", Some("8000"), TOPIC_CONFIG),
        ("log.retention.ms", Some("7000"), DYNAMIC_BROKER_CONFIG),
        ("log.retention.ms", Some("6000"), DYNAMIC_DEFAULT_BROKER_CONFIG),
        ("log.retention.ms", Some("5000"), STATIC_BROKER_CONFIG),
    ];
    assert_eq!(synonyms(&own)[..4], expected);

    for (kind, name, value) in [
        (RESOURCE_TOPIC, "orders", "7000"),
        (RESOURCE_BROKER, "1", "6000"),
        (RESOURCE_BROKER, "", "5000"),
    ] {
        let key = if kind == RESOURCE_TOPIC { "retention.ms" } else { "log.retention.ms" };
        unset(&client, kind, name, key).await;
        let now = setting(&client, RESOURCE_TOPIC, "orders", "retention.ms").await;
        assert_eq!(now.value.as_deref(), Some(value));
    }
}

#[tokio::test]
async fn synonyms_and_documentation_come_when_asked_for() {
    let (_node, client) = Node::client().await;
    client.create("orders", 1).await;
    let keys = Some(&["retention.ms"][..]);
    let plain = DescribeConfigsRequest {
        include_synonyms: false,
        ..request(vec![asks(RESOURCE_TOPIC, "orders", keys)])
    };
    let config = client.ask(&plain).await.results.remove(0).configs.remove(0);
    assert_eq!((config.synonyms, config.documentation), (vec![], None));
    let full = DescribeConfigsRequest { include_documentation: true, ..plain };
    let config = client.ask(&full).await.results.remove(0).configs.remove(0);
    assert!(!config.documentation.unwrap().is_empty());
}

#[tokio::test]
async fn a_broker_shows_its_own_settings_and_the_empty_name_the_defaults_of_all() {
    let (_node, client) = Node::client().await;
    let fixed = setting(&client, RESOURCE_BROKER, "1", "node.id").await;
    assert!(fixed.read_only, "{fixed:?}");
    assert_eq!(fixed.value.as_deref(), Some("1"));
    let none = describe(&client, RESOURCE_BROKER, "", None).await;
    assert_eq!((error(none.error_code), none.configs), (ErrorCode::None, vec![]));
    client.configure(RESOURCE_BROKER, "", &[("log.retention.ms", "6000")]).await;
    let one = setting(&client, RESOURCE_BROKER, "", "log.retention.ms").await;
    assert_eq!(
        (one.value.as_deref(), one.config_source),
        (Some("6000"), DYNAMIC_DEFAULT_BROKER_CONFIG)
    );
}

#[tokio::test]
async fn what_is_not_there_is_told() {
    let (_node, client) = Node::client().await;
    client.create("orders", 1).await;
    for (kind, name, expected) in [
        (RESOURCE_TOPIC, "nowhere", ErrorCode::UnknownTopicOrPartition),
        (RESOURCE_BROKER, "2", ErrorCode::InvalidRequest),
        (RESOURCE_BROKER, "one", ErrorCode::InvalidRequest),
        (99, "orders", ErrorCode::InvalidRequest),
        (RESOURCE_BROKER_LOGGER, "1", ErrorCode::None),
        (RESOURCE_CLIENT_METRICS, "m", ErrorCode::None),
        (RESOURCE_GROUP, "", ErrorCode::InvalidRequest),
    ] {
        let result = describe(&client, kind, name, None).await;
        assert_eq!(error(result.error_code), expected, "{kind} {name}");
        assert!(result.configs.is_empty(), "{kind} {name}");
    }
    // An unknown setting is left out, as in Kafka, and a resource asked for twice comes once.
    let result = describe(&client, RESOURCE_TOPIC, "orders", Some(&["no.such.thing"])).await;
    assert_eq!((error(result.error_code), result.configs), (ErrorCode::None, vec![]));
    let twice = request(vec![asks(RESOURCE_TOPIC, "orders", None); 2]);
    assert_eq!(client.ask(&twice).await.results.len(), 1);
}
