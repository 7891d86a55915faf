//! AlterConfigs: all settings of a resource at once.

use duramen_protocol::error::ErrorCode;
use duramen_protocol::ids::{RESOURCE_BROKER, RESOURCE_TOPIC};
use duramen_protocol::messages::alter_configs::{
    AlterConfigsRequest, AlterConfigsResource, AlterableConfig,
};

use crate::support::client::{error, versions};
use crate::support::{Batch, Client, Node, eventually};

fn resource(kind: i8, name: &str, configs: &[(&str, Option<&str>)]) -> AlterConfigsResource {
    let config = |&(name, value): &(&str, Option<&str>)| AlterableConfig {
        name: name.into(),
        value: value.map(Into::into),
        ..Default::default()
    };
    AlterConfigsResource {
        resource_type: kind,
        resource_name: name.into(),
        configs: configs.iter().map(config).collect(),
        ..Default::default()
    }
}

fn request(resources: Vec<AlterConfigsResource>) -> AlterConfigsRequest {
    AlterConfigsRequest { resources, ..Default::default() }
}

async fn alter(
    client: &Client,
    kind: i8,
    name: &str,
    configs: &[(&str, Option<&str>)],
) -> (ErrorCode, String) {
    let outcome =
        client.ask(&request(vec![resource(kind, name, configs)])).await.responses.remove(0);
    (error(outcome.error_code), outcome.error_message.map(String::from).unwrap_or_default())
}

async fn settles(client: &Client, batch: &Batch, expected: ErrorCode) {
    let batch = batch.build();
    eventually(&format!("the batch is answered with {expected:?}"), async || {
        let code = client.produce("orders", 0, &batch).await.error_code;
        (error(code) == expected).then_some(())
    })
    .await;
}

#[tokio::test]
async fn every_version_replaces_all_settings() {
    let (_node, client) = Node::client().await;
    let configs = [("max.message.bytes", "500"), ("cleanup.policy", "compact")];
    for version in versions::<AlterConfigsRequest>() {
        client.create_with("orders", 1, &configs).await;
        let large = Batch::noise(700);
        settles(&client, &large, ErrorCode::MessageTooLarge).await;
        let all = [("max.message.bytes", Some("800"))];
        let response = client.call(version, &request(vec![resource(2, "orders", &all)])).await;
        let outcome = &response.responses[0];
        assert_eq!(error(outcome.error_code), ErrorCode::None, "v{version}");
        assert_eq!((outcome.resource_type, outcome.resource_name.as_str()), (2, "orders"));
        // What was not named is back at its default: keys are no longer asked for.
        settles(&client, &large, ErrorCode::None).await;
        settles(&client, &Batch::noise(900), ErrorCode::MessageTooLarge).await;
        let response = client.call(version, &request(vec![resource(2, "orders", &[])])).await;
        assert_eq!(response.responses[0].error_code, 0);
        settles(&client, &Batch::noise(900), ErrorCode::None).await;
        client.delete("orders").await;
    }
}

#[tokio::test]
async fn a_broker_and_the_cluster_are_changed_too() {
    let (_node, client) = Node::client().await;
    client.create("orders", 1).await;
    let limit = |value| [("message.max.bytes", Some(value))];
    let large = Batch::noise(700);
    assert_eq!(alter(&client, RESOURCE_BROKER, "", &limit("500")).await.0, ErrorCode::None);
    settles(&client, &large, ErrorCode::MessageTooLarge).await;
    assert_eq!(alter(&client, RESOURCE_BROKER, "1", &limit("2000")).await.0, ErrorCode::None);
    settles(&client, &large, ErrorCode::None).await;
    assert_eq!(alter(&client, RESOURCE_BROKER, "1", &[]).await.0, ErrorCode::None);
    settles(&client, &large, ErrorCode::MessageTooLarge).await;
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let (_node, client) = Node::client().await;
    client.create("orders", 1).await;
    for (kind, name, config, expected) in [
        (RESOURCE_TOPIC, "orders", ("retention.ms", Some("soon")), ErrorCode::InvalidConfig),
        (RESOURCE_TOPIC, "orders", ("retention.ms", None), ErrorCode::InvalidRequest),
        (RESOURCE_TOPIC, "orders", ("no.such", Some("1")), ErrorCode::InvalidConfig),
        (RESOURCE_TOPIC, "none", ("retention.ms", Some("1")), ErrorCode::UnknownTopicOrPartition),
        (RESOURCE_TOPIC, "", ("retention.ms", Some("1")), ErrorCode::InvalidRequest),
        (RESOURCE_TOPIC, "a b", ("retention.ms", Some("1")), ErrorCode::InvalidTopicException),
        (RESOURCE_BROKER, "x", ("message.max.bytes", Some("1")), ErrorCode::InvalidRequest),
        (RESOURCE_BROKER, "9", ("message.max.bytes", Some("1")), ErrorCode::BrokerIdNotRegistered),
        (RESOURCE_BROKER, "1", ("node.id", Some("1")), ErrorCode::InvalidRequest),
        (77, "orders", ("retention.ms", Some("1")), ErrorCode::InvalidRequest),
    ] {
        let (code, message) = alter(&client, kind, name, &[config]).await;
        assert_eq!(code, expected, "{kind} {name} {config:?}: {message}");
    }
    let twice = [("retention.ms", Some("1")), ("retention.ms", Some("2"))];
    assert_eq!(alter(&client, 2, "orders", &twice).await.0, ErrorCode::InvalidRequest);
}

#[tokio::test]
async fn to_validate_only_changes_nothing() {
    let (_node, client) = Node::client().await;
    client.create("orders", 1).await;
    for version in versions::<AlterConfigsRequest>() {
        let request = AlterConfigsRequest {
            validate_only: true,
            ..request(vec![
                resource(2, "orders", &[("max.message.bytes", Some("500"))]),
                resource(2, "none", &[]),
            ])
        };
        let response = client.call(version, &request).await;
        let codes: Vec<_> = response.responses.iter().map(|r| error(r.error_code)).collect();
        assert_eq!(codes, [ErrorCode::None, ErrorCode::UnknownTopicOrPartition]);
    }
    assert_eq!(client.produce("orders", 0, &Batch::noise(700).build()).await.error_code, 0);
}
