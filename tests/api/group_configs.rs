//! Configs of groups (resource type GROUP): shown, changed, kept, and what they do to KIP-848 groups.

use duramen_protocol::error::ErrorCode;
use duramen_protocol::ids::RESOURCE_GROUP;
use duramen_protocol::messages::alter_configs::{
    AlterConfigsRequest, AlterConfigsResource as ReplacedResource,
    AlterableConfig as ReplacedConfig,
};
use duramen_protocol::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult,
    DescribeConfigsResult,
};
use duramen_protocol::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use duramen_protocol::messages::list_config_resources::ListConfigResourcesRequest;
use duramen_protocol::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse,
};

use crate::support::client::error;
use crate::support::groups::{GROUP, consumer_join, coordinator, coordinator_with};
use crate::support::{Client, Node, eventually};

const SESSION: &str = "consumer.session.timeout.ms";
const HEARTBEAT: &str = "consumer.heartbeat.interval.ms";
const GROUP_CONFIG: i8 = 8;
const STATIC_BROKER_CONFIG: i8 = 4;
const DEFAULT_CONFIG: i8 = 5;
const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

type Change<'a> = (&'a str, i8, Option<&'a str>);

async fn describe(client: &Client, group: &str, keys: Option<&[&str]>) -> DescribeConfigsResult {
    let resource = DescribeConfigsResource {
        resource_type: RESOURCE_GROUP,
        resource_name: group.into(),
        configuration_keys: keys.map(|keys| keys.iter().map(|key| (*key).into()).collect()),
        ..Default::default()
    };
    let request = DescribeConfigsRequest {
        resources: vec![resource],
        include_synonyms: true,
        include_documentation: true,
        ..Default::default()
    };
    client.ask(&request).await.results.remove(0)
}

async fn shown(client: &Client, group: &str, key: &str) -> (String, i8) {
    let config = describe(client, group, Some(&[key])).await.configs.remove(0);
    (config.value.unwrap().to_string(), config.config_source)
}

/// Changes single configs; the outcome.
async fn change(
    client: &Client,
    group: &str,
    changes: &[Change<'_>],
    validate_only: bool,
) -> (ErrorCode, String) {
    let config = |&(name, operation, value): &Change<'_>| AlterableConfig {
        name: name.into(),
        config_operation: operation,
        value: value.map(Into::into),
        ..Default::default()
    };
    let resource = AlterConfigsResource {
        resource_type: RESOURCE_GROUP,
        resource_name: group.into(),
        configs: changes.iter().map(config).collect(),
        ..Default::default()
    };
    let request = IncrementalAlterConfigsRequest {
        resources: vec![resource],
        validate_only,
        ..Default::default()
    };
    let outcome = client.ask(&request).await.responses.remove(0);
    let message = outcome.error_message.map(String::from).unwrap_or_default();
    (error(outcome.error_code), message)
}

async fn set(client: &Client, group: &str, configs: &[(&str, &str)]) {
    client.configure(RESOURCE_GROUP, group, configs).await;
}

/// Replaces all configs; the outcome.
async fn replace(client: &Client, group: &str, configs: &[(&str, &str)]) -> ErrorCode {
    let config = |(name, value): &(&str, &str)| ReplacedConfig {
        name: (*name).into(),
        value: Some((*value).into()),
        ..Default::default()
    };
    let resource = ReplacedResource {
        resource_type: RESOURCE_GROUP,
        resource_name: group.into(),
        configs: configs.iter().map(config).collect(),
        ..Default::default()
    };
    let request = AlterConfigsRequest { resources: vec![resource], ..Default::default() };
    error(client.ask(&request).await.responses[0].error_code)
}

async fn listed(client: &Client) -> Vec<String> {
    let request =
        ListConfigResourcesRequest { resource_types: vec![RESOURCE_GROUP], ..Default::default() };
    let resources = client.ask(&request).await.config_resources.into_iter();
    resources.map(|resource| resource.resource_name.to_string()).collect()
}

async fn join(client: &Client, group: &str) -> ConsumerGroupHeartbeatResponse {
    let request = ConsumerGroupHeartbeatRequest { group_id: group.into(), ..consumer_join("mine") };
    let joined = client.ask(&request).await;
    assert_eq!(error(joined.error_code), ErrorCode::None, "{:?}", joined.error_message);
    joined
}

async fn stay(client: &Client, group: &str) -> ConsumerGroupHeartbeatResponse {
    let request = ConsumerGroupHeartbeatRequest {
        group_id: group.into(),
        member_id: "mine".into(),
        member_epoch: 1,
        ..Default::default()
    };
    client.ask(&request).await
}

fn synonyms(config: &DescribeConfigsResourceResult) -> Vec<(&str, Option<&str>, i8)> {
    let entries = config.synonyms.iter();
    entries.map(|it| (it.name.as_str(), it.value.as_deref(), it.source)).collect()
}

#[tokio::test]
async fn a_group_shows_what_it_sets_before_what_the_broker_has_for_all() {
    let node = Node::with(&["group.consumer.session.timeout.ms=50000"]).await;
    let client = node.connect().await;
    // It need not be there.
    let all = describe(&client, GROUP, None).await;
    assert_eq!(error(all.error_code), ErrorCode::None);
    let names: Vec<_> = all.configs.iter().map(|config| config.name.as_str()).collect();
    assert_eq!(names, [HEARTBEAT, SESSION]);
    for config in &all.configs {
        assert!(!config.read_only && !config.is_sensitive && config.config_type == 3);
        assert!(config.documentation.as_ref().is_some_and(|text| !text.is_empty()));
    }
    assert_eq!(shown(&client, GROUP, SESSION).await, ("50000".to_owned(), STATIC_BROKER_CONFIG));
    assert_eq!(shown(&client, GROUP, HEARTBEAT).await, ("5000".to_owned(), DEFAULT_CONFIG));
    set(&client, GROUP, &[(SESSION, "55000")]).await;
    let own = describe(&client, GROUP, Some(&[SESSION, "no.such"])).await.configs;
    assert_eq!((own.len(), own[0].value.as_deref()), (1, Some("55000")));
    assert_eq!(own[0].config_source, GROUP_CONFIG);
    let expected = [
        (SESSION, Some("55000"), GROUP_CONFIG),
        ("group.consumer.session.timeout.ms", Some("50000"), STATIC_BROKER_CONFIG),
        ("group.consumer.session.timeout.ms", Some("45000"), DEFAULT_CONFIG),
    ];
    assert_eq!(synonyms(&own[0]), expected);
    assert_eq!(shown(&client, "another", SESSION).await.1, STATIC_BROKER_CONFIG);
}

#[tokio::test]
async fn what_a_group_may_not_set_is_refused_with_the_reason() {
    let (_node, client) = Node::client().await;
    let good = (HEARTBEAT, SET, Some("6000"));
    for (bad, code, word) in [
        ((SESSION, SET, Some("44999")), ErrorCode::InvalidConfig, "greater than or equal to"),
        ((SESSION, SET, Some("60001")), ErrorCode::InvalidConfig, "less than or equal to"),
        ((SESSION, SET, Some("soon")), ErrorCode::InvalidConfig, "Not a number"),
        ((SESSION, SET, Some("-1")), ErrorCode::InvalidConfig, "at least 1"),
        ((SESSION, SET, None), ErrorCode::InvalidRequest, "Null value"),
        ((SESSION, APPEND, Some("50000")), ErrorCode::InvalidConfig, "not LIST"),
        ((SESSION, SUBTRACT, Some("50000")), ErrorCode::InvalidConfig, "not LIST"),
        ((SESSION, 9, Some("50000")), ErrorCode::InvalidRequest, "operation"),
        ((HEARTBEAT, SET, Some("7000")), ErrorCode::InvalidRequest, "duplicate"),
        (("consumer.sessions", SET, Some("1")), ErrorCode::InvalidConfig, "Unknown group config"),
        (("retention.ms", SET, Some("1")), ErrorCode::InvalidConfig, "Unknown group config"),
        (
            ("share.session.timeout.ms", SET, Some("50000")),
            ErrorCode::InvalidConfig,
            "no effect here",
        ),
    ] {
        let (found, message) = change(&client, GROUP, &[good, bad], false).await;
        assert_eq!(found, code, "{bad:?}: {message}");
        assert!(message.contains(word), "{bad:?}: {message}");
    }
    for name in ["", &"g".repeat(32_768)] {
        let (code, message) = change(&client, name, &[good], false).await;
        assert_eq!(code, ErrorCode::InvalidRequest, "{message}");
    }
    assert_eq!(error(describe(&client, "", None).await.error_code), ErrorCode::InvalidRequest);
    assert_eq!(replace(&client, GROUP, &[(SESSION, "1")]).await, ErrorCode::InvalidConfig);
    assert_eq!(replace(&client, "", &[(SESSION, "50000")]).await, ErrorCode::InvalidRequest);
    assert_eq!(listed(&client).await, Vec::<String>::new(), "nothing was set");
    // To take away what was never set is no error.
    let (code, message) = change(&client, GROUP, &[(SESSION, DELETE, None)], false).await;
    assert_eq!(code, ErrorCode::None, "{message}");
}

#[tokio::test]
async fn to_validate_sets_nothing_and_to_replace_takes_the_rest_away() {
    let (_node, client) = Node::client().await;
    let wanted = [(SESSION, SET, Some("50000"))];
    assert_eq!(change(&client, GROUP, &wanted, true).await.0, ErrorCode::None);
    let wrong = [(SESSION, SET, Some("5"))];
    assert_eq!(change(&client, GROUP, &wrong, true).await.0, ErrorCode::InvalidConfig);
    assert_eq!(listed(&client).await, Vec::<String>::new());
    set(&client, GROUP, &[(SESSION, "50000"), (HEARTBEAT, "6000")]).await;
    set(&client, "another", &[(HEARTBEAT, "7000")]).await;
    assert_eq!(listed(&client).await, ["another", GROUP]);
    assert_eq!(replace(&client, GROUP, &[(SESSION, "51000")]).await, ErrorCode::None);
    assert_eq!(shown(&client, GROUP, SESSION).await, ("51000".to_owned(), GROUP_CONFIG));
    assert_eq!(shown(&client, GROUP, HEARTBEAT).await, ("5000".to_owned(), DEFAULT_CONFIG));
    let gone = [(SESSION, DELETE, None)];
    assert_eq!(change(&client, GROUP, &gone, false).await.0, ErrorCode::None);
    assert_eq!(listed(&client).await, ["another"]);
}

#[tokio::test]
async fn a_group_that_runs_is_told_its_new_interval_with_the_next_heartbeat() {
    let (_node, client) = coordinator().await;
    assert_eq!(join(&client, GROUP).await.heartbeat_interval_ms, 5_000);
    set(&client, GROUP, &[(HEARTBEAT, "6000")]).await;
    assert_eq!(stay(&client, GROUP).await.heartbeat_interval_ms, 6_000);
    let gone = [(HEARTBEAT, DELETE, None)];
    assert_eq!(change(&client, GROUP, &gone, false).await.0, ErrorCode::None);
    assert_eq!(stay(&client, GROUP).await.heartbeat_interval_ms, 5_000);
    // Set before the group is there.
    set(&client, "later", &[(HEARTBEAT, "7000")]).await;
    assert_eq!(join(&client, "later").await.heartbeat_interval_ms, 7_000);
}

#[tokio::test]
async fn the_session_of_a_group_is_its_own() {
    // The broker's own session is longer than this test waits.
    let low = [
        "group.consumer.session.timeout.ms=600000",
        "group.consumer.max.session.timeout.ms=600000",
        "group.consumer.min.session.timeout.ms=50",
        "group.consumer.min.heartbeat.interval.ms=10",
    ];
    let (mut node, client) = coordinator_with(&low).await;
    join(&client, "patient").await;
    join(&client, GROUP).await;
    set(&client, GROUP, &[(SESSION, "100"), (HEARTBEAT, "50")]).await;
    // The timer follows when the member is next heard of.
    assert_eq!(stay(&client, GROUP).await.heartbeat_interval_ms, 50);
    emptied(&client, GROUP).await;
    assert_eq!(error(stay(&client, "patient").await.error_code), ErrorCode::None);
    // A broker that comes back gives each member a session of its group's length.
    set(&client, "patient", &[(SESSION, "100"), (HEARTBEAT, "50")]).await;
    let client = node.restart().await;
    client.find_coordinator().await;
    emptied(&client, "patient").await;
}

/// Waits until a group has lost its member, long before the broker's own session is over.
async fn emptied(client: &Client, group: &str) {
    let request =
        ConsumerGroupDescribeRequest { group_ids: vec![group.into()], ..Default::default() };
    eventually("the silent member is given up", async || {
        let described = client.ask(&request).await.groups.remove(0);
        (&*described.group_state == "Empty").then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_is_set_lasts_over_restarts_and_snapshots() {
    let often = ["metadata.log.max.record.bytes.between.snapshots=1"];
    let (mut node, client) = coordinator_with(&often).await;
    set(&client, GROUP, &[(SESSION, "50000"), (HEARTBEAT, "6000")]).await;
    set(&client, "snapshot", &[(SESSION, "51000")]).await;
    for dropped in [false, true] {
        let client = if dropped { node.drop_and_restart().await } else { node.restart().await };
        assert_eq!(shown(&client, GROUP, SESSION).await, ("50000".to_owned(), GROUP_CONFIG));
        client.find_coordinator().await;
        assert_eq!(join(&client, GROUP).await.heartbeat_interval_ms, 6_000);
        assert_eq!(listed(&client).await, [GROUP, "snapshot"]);
    }
}
