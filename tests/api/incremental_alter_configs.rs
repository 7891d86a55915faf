//! IncrementalAlterConfigs.

use duramen_protocol::error::ErrorCode;
use duramen_protocol::ids::{
    RESOURCE_BROKER, RESOURCE_BROKER_LOGGER, RESOURCE_CLIENT_METRICS, RESOURCE_TOPIC,
};
use duramen_protocol::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};

use crate::support::client::{error, versions};
use crate::support::{Batch, Client, Node, eventually, now_ms};

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

type Change<'a> = (&'a str, i8, Option<&'a str>);

fn resource(kind: i8, name: &str, changes: &[Change<'_>]) -> AlterConfigsResource {
    let config = |&(name, operation, value): &Change<'_>| AlterableConfig {
        name: name.into(),
        config_operation: operation,
        value: value.map(Into::into),
        ..Default::default()
    };
    AlterConfigsResource {
        resource_type: kind,
        resource_name: name.into(),
        configs: changes.iter().map(config).collect(),
        ..Default::default()
    }
}

fn request(resources: Vec<AlterConfigsResource>) -> IncrementalAlterConfigsRequest {
    IncrementalAlterConfigsRequest { resources, ..Default::default() }
}

/// The outcome of changing one resource.
async fn change(
    client: &Client,
    kind: i8,
    name: &str,
    changes: &[Change<'_>],
) -> (ErrorCode, String) {
    let response = client.ask(&request(vec![resource(kind, name, changes)])).await;
    let outcome = &response.responses[0];
    assert_eq!((outcome.resource_type, outcome.resource_name.as_str()), (kind, name));
    let message = outcome.error_message.clone().map(String::from).unwrap_or_default();
    (error(outcome.error_code), message)
}

/// Changes a resource that can be changed so.
async fn changed(client: &Client, kind: i8, name: &str, changes: &[Change<'_>]) {
    let (code, message) = change(client, kind, name, changes).await;
    assert_eq!(code, ErrorCode::None, "{message}");
}

/// Waits until a batch of 700 bytes gets this outcome.
async fn settles(client: &Client, topic: &str, expected: ErrorCode) {
    let batch = Batch::noise(700).build();
    eventually(&format!("700 bytes into {topic} are answered with {expected:?}"), async || {
        let code = client.produce(topic, 0, &batch).await.error_code;
        (error(code) == expected).then_some(())
    })
    .await;
}

#[tokio::test]
async fn every_version_sets_and_deletes() {
    let (_node, client) = Node::client().await;
    client.create("orders", 1).await;
    for version in versions::<IncrementalAlterConfigsRequest>() {
        for (operation, value, expected) in
            [(SET, Some("500"), ErrorCode::MessageTooLarge), (DELETE, None, ErrorCode::None)]
        {
            let change = [("max.message.bytes", operation, value)];
            let request = request(vec![resource(RESOURCE_TOPIC, "orders", &change)]);
            let response = client.call(version, &request).await;
            assert_eq!(error(response.responses[0].error_code), ErrorCode::None);
            settles(&client, "orders", expected).await;
        }
    }
}

#[tokio::test]
async fn lists_are_added_to_and_taken_from() {
    let (_node, client) = Node::client().await;
    client.create("orders", 1).await;
    let unkeyed = Batch::of(["no key"]).build();
    for (operation, expected) in [
        (APPEND, ErrorCode::InvalidRecord),
        (APPEND, ErrorCode::InvalidRecord),
        (SUBTRACT, ErrorCode::None),
    ] {
        changed(
            &client,
            RESOURCE_TOPIC,
            "orders",
            &[("cleanup.policy", operation, Some("compact"))],
        )
        .await;
        eventually("the policy holds", async || {
            let code = client.produce("orders", 0, &unkeyed).await.error_code;
            (error(code) == expected).then_some(())
        })
        .await;
    }
    for operation in [APPEND, SUBTRACT] {
        let change_of = [("retention.ms", operation, Some("5"))];
        let (code, message) = change(&client, RESOURCE_TOPIC, "orders", &change_of).await;
        assert_eq!(code, ErrorCode::InvalidConfig);
        assert!(message.contains("not LIST"), "{message}");
    }
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_as_a_whole() {
    let (_node, client) = Node::client().await;
    client.create("orders", 1).await;
    let good = ("max.message.bytes", SET, Some("500"));
    for (bad, expected) in [
        (("retention.ms", SET, Some("soon")), ErrorCode::InvalidConfig),
        (("no.such.config", SET, Some("1")), ErrorCode::InvalidConfig),
        (("segment.bytes", SET, Some("1")), ErrorCode::InvalidConfig),
        (("retention.ms", SET, None), ErrorCode::InvalidRequest),
        (("retention.ms", 9, Some("1")), ErrorCode::InvalidRequest),
        (("max.message.bytes", DELETE, None), ErrorCode::InvalidRequest),
    ] {
        let (code, message) = change(&client, RESOURCE_TOPIC, "orders", &[good, bad]).await;
        assert_eq!(code, expected, "{bad:?}: {message}");
        assert!(!message.is_empty());
    }
    let batch = Batch::noise(700).build();
    assert_eq!(client.produce("orders", 0, &batch).await.error_code, 0);
}

#[tokio::test]
async fn resources_that_are_not_there_are_named() {
    let (_node, client) = Node::client().await;
    client.create("orders", 1).await;
    let some = [("max.message.bytes", SET, Some("500"))];
    for (kind, name, expected) in [
        (RESOURCE_TOPIC, "none", ErrorCode::UnknownTopicOrPartition),
        (RESOURCE_TOPIC, "a/b", ErrorCode::InvalidTopicException),
        (RESOURCE_TOPIC, "", ErrorCode::InvalidRequest),
        (RESOURCE_BROKER, "seven", ErrorCode::InvalidRequest),
        (RESOURCE_BROKER, "-3", ErrorCode::InvalidRequest),
        (0, "orders", ErrorCode::InvalidRequest),
        (99, "orders", ErrorCode::InvalidRequest),
    ] {
        let (code, message) = change(&client, kind, name, &some).await;
        assert_eq!(code, expected, "{kind} {name}: {message}");
    }
    let some = [("message.max.bytes", SET, Some("500"))];
    let (code, _) = change(&client, RESOURCE_BROKER, "99", &some).await;
    assert_eq!(code, ErrorCode::BrokerIdNotRegistered);
    for kind in [RESOURCE_BROKER_LOGGER, RESOURCE_CLIENT_METRICS] {
        let (code, _) = change(&client, kind, "1", &some).await;
        assert_eq!(code, ErrorCode::InvalidRequest, "{kind}");
    }
}

#[tokio::test]
async fn each_resource_is_its_own_and_none_comes_twice() {
    let (_node, client) = Node::client().await;
    client.create("orders", 1).await;
    client.create("bills", 1).await;
    let some = [("max.message.bytes", SET, Some("500"))];
    let of = |name| resource(RESOURCE_TOPIC, name, &some);
    let response = client.ask(&request(vec![of("orders"), of("none")])).await;
    let codes: Vec<_> = response.responses.iter().map(|r| error(r.error_code)).collect();
    assert_eq!(codes, [ErrorCode::None, ErrorCode::UnknownTopicOrPartition]);
    settles(&client, "orders", ErrorCode::MessageTooLarge).await;
    let response = client.ask(&request(vec![of("bills"), of("bills")])).await;
    let codes: Vec<_> = response.responses.iter().map(|r| error(r.error_code)).collect();
    assert!(codes.iter().all(|code| *code == ErrorCode::InvalidRequest), "{codes:?}");
}

#[tokio::test]
async fn to_validate_only_changes_nothing() {
    let (_node, client) = Node::client().await;
    client.create("orders", 1).await;
    let some = [("max.message.bytes", SET, Some("500"))];
    let bad = [("max.message.bytes", SET, Some("x"))];
    let request = IncrementalAlterConfigsRequest {
        validate_only: true,
        ..request(vec![resource(RESOURCE_TOPIC, "orders", &some)])
    };
    assert_eq!(client.ask(&request).await.responses[0].error_code, 0);
    let request = IncrementalAlterConfigsRequest {
        resources: vec![resource(RESOURCE_TOPIC, "orders", &bad)],
        ..request
    };
    let response = client.ask(&request).await;
    assert_eq!(error(response.responses[0].error_code), ErrorCode::InvalidConfig);
    let batch = Batch::noise(700).build();
    assert_eq!(client.produce("orders", 0, &batch).await.error_code, 0);
}

#[tokio::test]
async fn a_topic_outweighs_a_broker_outweighs_the_cluster() {
    let (_node, client) = Node::client().await;
    client.create("orders", 1).await;
    let limit = |value| [("message.max.bytes", SET, Some(value))];
    let gone = [("message.max.bytes", DELETE, None)];
    changed(&client, RESOURCE_BROKER, "", &limit("500")).await;
    settles(&client, "orders", ErrorCode::MessageTooLarge).await;
    changed(&client, RESOURCE_BROKER, "1", &limit("2000")).await;
    settles(&client, "orders", ErrorCode::None).await;
    changed(&client, RESOURCE_TOPIC, "orders", &[("max.message.bytes", SET, Some("600"))]).await;
    settles(&client, "orders", ErrorCode::MessageTooLarge).await;
    client.create("fresh", 1).await;
    settles(&client, "fresh", ErrorCode::None).await;
    changed(&client, RESOURCE_BROKER, "1", &gone).await;
    settles(&client, "fresh", ErrorCode::MessageTooLarge).await;
    changed(&client, RESOURCE_BROKER, "", &gone).await;
    settles(&client, "fresh", ErrorCode::None).await;
    settles(&client, "orders", ErrorCode::MessageTooLarge).await;
}

#[tokio::test]
async fn a_broker_keeps_what_it_can_not_change_while_it_runs() {
    let (_node, client) = Node::client().await;
    for (name, changes, expected) in [
        ("1", ("node.id", SET, Some("7")), ErrorCode::InvalidRequest),
        ("", ("log.dirs", SET, Some("/tmp")), ErrorCode::InvalidRequest),
        ("1", ("no.such.config", SET, Some("7")), ErrorCode::InvalidConfig),
        ("1", ("message.max.bytes", SET, Some("many")), ErrorCode::InvalidRequest),
    ] {
        let (code, message) = change(&client, RESOURCE_BROKER, name, &[changes]).await;
        assert_eq!(code, expected, "{message}");
    }
}

#[tokio::test]
async fn a_new_segment_size_holds_for_the_next_batches() {
    let (node, client) = Node::client().await;
    client.create("orders", 1).await;
    for _ in 0..3 {
        client.send("orders", 0, &Batch::noise(500_000)).await;
    }
    assert_eq!(node.segments("orders", 0).len(), 1);
    changed(&client, RESOURCE_TOPIC, "orders", &[("segment.bytes", SET, Some("1048576"))]).await;
    for _ in 0..4 {
        client.send("orders", 0, &Batch::noise(500_000)).await;
    }
    assert!(node.segments("orders", 0).len() >= 2, "{:?}", node.segments("orders", 0));
    assert_eq!(client.read("orders", 0, 0).await.len(), 7);
}

#[tokio::test]
async fn a_new_retention_lets_old_segments_go() {
    let node = Node::with(&["log.retention.check.interval.ms=20"]).await;
    let client = node.connect().await;
    let configs = [("segment.bytes", "1048576"), ("file.delete.delay.ms", "0")];
    for topic in ["by-time", "by-size"] {
        client.create_with(topic, 1, &configs).await;
    }
    let old = now_ms() - 7_200_000;
    for at in [old, old + 1, old + 2, now_ms()] {
        client.send("by-time", 0, &Batch::timed(&[at])).await;
        client.send("by-time", 0, &Batch::noise(900_000)).await;
        client.send("by-size", 0, &Batch::noise(900_000)).await;
    }
    assert_eq!(client.start("by-size", 0).await, 0);
    changed(&client, RESOURCE_TOPIC, "by-size", &[("retention.bytes", SET, Some("1000000"))]).await;
    eventually("the oldest segments go by size", async || {
        (client.start("by-size", 0).await == 2).then_some(())
    })
    .await;
    assert_eq!(client.end("by-size", 0).await, 4);
    let below = client.fetch("by-size", 0, 1).await;
    assert_eq!(error(below.error_code), ErrorCode::OffsetOutOfRange);
    assert_eq!(client.read("by-size", 0, 2).await.len(), 2);

    // Everything was written a moment ago, by the clock of the producer of the noise.
    changed(&client, RESOURCE_TOPIC, "by-time", &[("retention.ms", SET, Some("1"))]).await;
    eventually("everything goes by time", async || {
        (client.start("by-time", 0).await == 8).then_some(())
    })
    .await;
    assert_eq!(client.send("by-time", 0, &Batch::timed(&[-1])).await, 8);
}

#[tokio::test]
async fn changes_last() {
    let (mut node, client) = Node::client().await;
    client.create("orders", 1).await;
    changed(&client, RESOURCE_TOPIC, "orders", &[("max.message.bytes", SET, Some("500"))]).await;
    changed(&client, RESOURCE_BROKER, "", &[("message.max.bytes", SET, Some("600"))]).await;
    drop(client);
    for dropped in [false, true] {
        let client = if dropped { node.drop_and_restart().await } else { node.restart().await };
        let batch = Batch::noise(700).build();
        client.refused("orders", &batch, ErrorCode::MessageTooLarge).await;
        let name = format!("fresh-{dropped}");
        client.create(&name, 1).await;
        client.refused(&name, &batch, ErrorCode::MessageTooLarge).await;
    }
}

#[tokio::test]
async fn a_topic_that_is_made_again_has_none_of_the_old_settings() {
    let (_node, client) = Node::client().await;
    client.create("orders", 1).await;
    changed(&client, RESOURCE_TOPIC, "orders", &[("max.message.bytes", SET, Some("500"))]).await;
    client.delete("orders").await;
    client.create("orders", 1).await;
    assert_eq!(client.produce("orders", 0, &Batch::noise(700).build()).await.error_code, 0);
}
