//! Metadata.

use duramen_protocol::error::ErrorCode;
use duramen_protocol::ids::{NO_AUTHORIZED_OPERATIONS, TopicId};
use duramen_protocol::messages::metadata::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse,
};

use crate::support::client::{error, versions};
use crate::support::{Batch, Client, Node};

/// First version in which an empty array asks for no topics.
const NULL_IS_ALL: i16 = 1;
/// First version in which a client may say that nothing is to be created.
const CREATION_IS_A_CHOICE: i16 = 4;
/// First version that names topics by id.
const BY_ID: i16 = 12;

fn named(name: &str) -> MetadataRequestTopic {
    MetadataRequestTopic { name: Some(name.into()), ..Default::default() }
}

fn by_id(topic_id: TopicId) -> MetadataRequestTopic {
    MetadataRequestTopic { topic_id, name: None, ..Default::default() }
}

/// Asks for these topics, and for nothing to be created.
fn asking(topics: Option<Vec<MetadataRequestTopic>>) -> MetadataRequest {
    MetadataRequest { topics, allow_auto_topic_creation: false, ..Default::default() }
}

fn names(response: &MetadataResponse) -> Vec<&str> {
    response.topics.iter().map(|topic| topic.name.as_deref().unwrap_or("?")).collect()
}

async fn two_topics() -> (Node, Client, TopicId) {
    let (node, client) = Node::client().await;
    let id = client.create("orders", 3).await;
    client.create("bills", 1).await;
    (node, client, id)
}

#[tokio::test]
async fn every_version_tells_of_the_cluster_and_a_topic() {
    let (node, client, id) = two_topics().await;
    for version in versions::<MetadataRequest>() {
        let mut request = asking(Some(vec![named("orders")]));
        request.allow_auto_topic_creation = version < CREATION_IS_A_CHOICE;
        let response = client.call(version, &request).await;
        assert_eq!(response.brokers.len(), 1);
        let broker = &response.brokers[0];
        assert_eq!(broker.node_id, 1);
        let address = node.address();
        assert_eq!((broker.host.as_str(), broker.port), ("127.0.0.1", address.port().into()));
        if version >= 1 {
            assert_eq!(response.controller_id, 1);
        }
        if version >= 2 {
            assert_eq!(response.cluster_id.as_deref(), Some(node.broker().cluster_id()));
        }
        assert_eq!(names(&response), ["orders"]);
        let topic = &response.topics[0];
        assert_eq!((error(topic.error_code), topic.is_internal), (ErrorCode::None, false));
        assert_eq!(topic.topic_id, if version >= 10 { id } else { TopicId::nil() });
        let indexes: Vec<_> = topic.partitions.iter().map(|p| p.partition_index).collect();
        assert_eq!(indexes, [0, 1, 2]);
        for partition in &topic.partitions {
            assert_eq!((partition.error_code, partition.leader_id), (0, 1));
            assert_eq!(partition.leader_epoch, if version >= 7 { 0 } else { -1 });
            assert_eq!((&*partition.replica_nodes, &*partition.isr_nodes), (&[1][..], &[1][..]));
            assert!(partition.offline_replicas.is_empty());
        }
    }
}

#[tokio::test]
async fn all_topics_and_none() {
    let (_node, client, _) = two_topics().await;
    for version in versions::<MetadataRequest>() {
        let mut nothing = asking(Some(Vec::new()));
        nothing.allow_auto_topic_creation = version < CREATION_IS_A_CHOICE;
        let all = MetadataRequest { topics: None, ..nothing.clone() };
        let everything = if version < NULL_IS_ALL { &nothing } else { &all };
        let response = client.call(version, everything).await;
        let mut found = names(&response);
        found.sort_unstable();
        assert_eq!(found, ["bills", "orders"], "v{version}");
        if version >= NULL_IS_ALL {
            let response = client.call(version, &nothing).await;
            assert_eq!((response.topics.len(), response.brokers.len()), (0, 1), "v{version}");
        }
    }
}

#[tokio::test]
async fn topics_are_found_by_id() {
    let (_node, client, id) = two_topics().await;
    let stranger = uuid::Uuid::new_v4();
    for version in versions::<MetadataRequest>().filter(|version| *version >= BY_ID) {
        let request = asking(Some(vec![by_id(id), by_id(stranger)]));
        let response = client.call(version, &request).await;
        let found = response.topics.iter().find(|topic| topic.topic_id == id).unwrap();
        assert_eq!((error(found.error_code), found.partitions.len()), (ErrorCode::None, 3));
        assert_eq!(found.name.as_deref(), Some("orders"));
        let missing = response.topics.iter().find(|topic| topic.topic_id == stranger).unwrap();
        assert_eq!(error(missing.error_code), ErrorCode::UnknownTopicId);
        assert_eq!((&missing.name, missing.partitions.len()), (&None, 0));
    }
}

#[tokio::test]
async fn ids_before_version_12_are_an_invalid_request() {
    let (_node, client, id) = two_topics().await;
    for version in [10, 11] {
        let topic = MetadataRequestTopic { topic_id: id, ..named("orders") };
        let response = client.call(version, &asking(Some(vec![topic]))).await;
        assert_eq!(error(response.topics[0].error_code), ErrorCode::InvalidRequest);
    }
}

#[tokio::test]
async fn an_unknown_topic_is_unknown_when_it_may_not_be_created() {
    let (_node, client, _) = two_topics().await;
    for version in versions::<MetadataRequest>().filter(|v| *v >= CREATION_IS_A_CHOICE) {
        let response = client.call(version, &asking(Some(vec![named("none")]))).await;
        assert_eq!(names(&response), ["none"]);
        let topic = &response.topics[0];
        assert_eq!(error(topic.error_code), ErrorCode::UnknownTopicOrPartition, "v{version}");
        assert_eq!((topic.topic_id, topic.partitions.len()), (TopicId::nil(), 0));
    }
    assert_eq!(client.ask(&asking(None)).await.topics.len(), 2);
}

#[tokio::test]
async fn an_unknown_topic_is_created_and_usable_at_once() {
    let node = Node::with(&["num.partitions=4"]).await;
    let client = node.connect().await;
    for version in versions::<MetadataRequest>() {
        let name = format!("made-in-{version}");
        let request =
            MetadataRequest { allow_auto_topic_creation: true, ..asking(Some(vec![named(&name)])) };
        let response = client.call(version, &request).await;
        let topic = &response.topics[0];
        assert_eq!(error(topic.error_code), ErrorCode::None, "v{version}");
        assert_eq!(topic.partitions.len(), 4);
        assert_eq!(client.send(&name, 3, &Batch::of(["first"])).await, 0);
    }
}

#[tokio::test]
async fn nothing_is_created_when_the_broker_does_not_want_it() {
    let node = Node::with(&["auto.create.topics.enable=false"]).await;
    let client = node.connect().await;
    for version in versions::<MetadataRequest>() {
        let request = MetadataRequest {
            allow_auto_topic_creation: true,
            ..asking(Some(vec![named("none")]))
        };
        let response = client.call(version, &request).await;
        let code = error(response.topics[0].error_code);
        assert_eq!(code, ErrorCode::UnknownTopicOrPartition, "v{version}");
    }
    assert_eq!(client.ask(&asking(None)).await.topics.len(), 0);
}

#[tokio::test]
async fn names_that_no_topic_can_have_are_invalid() {
    let (_node, client, _) = two_topics().await;
    let long = "x".repeat(250);
    for name in ["", ".", "..", "a b", "a/b", "ä", "a\0b", &long] {
        for create in [false, true] {
            let request = MetadataRequest {
                allow_auto_topic_creation: create,
                ..asking(Some(vec![named(name), named("orders")]))
            };
            let response = client.ask(&request).await;
            let of = |wanted: &str| {
                let topic = response.topics.iter().find(|t| t.name.as_deref() == Some(wanted));
                error(topic.unwrap().error_code)
            };
            assert_eq!(of(name), ErrorCode::InvalidTopicException, "{name:?}, create: {create}");
            assert_eq!(of("orders"), ErrorCode::None);
        }
    }
    assert_eq!(client.ask(&asking(None)).await.topics.len(), 2);
}

#[tokio::test]
async fn a_topic_that_is_named_twice_is_told_once() {
    let (_node, client, id) = two_topics().await;
    let response = client.ask(&asking(Some(vec![named("orders"); 50]))).await;
    assert_eq!(names(&response), ["orders"]);
    let response = client.ask(&asking(Some(vec![by_id(id); 50]))).await;
    assert_eq!(names(&response), ["orders"]);
    let request = MetadataRequest {
        allow_auto_topic_creation: true,
        ..asking(Some(vec![named("fresh"), named("fresh")]))
    };
    let response = client.ask(&request).await;
    assert_eq!(names(&response), ["fresh"]);
    assert_eq!(response.topics[0].error_code, 0);
}

#[tokio::test]
async fn authorized_operations_are_told_when_asked_for() {
    let (_node, client, _) = two_topics().await;
    for version in versions::<MetadataRequest>().filter(|version| *version >= 8) {
        for asked in [false, true] {
            let request = MetadataRequest {
                include_topic_authorized_operations: asked,
                include_cluster_authorized_operations: asked && version <= 10,
                ..asking(Some(vec![named("orders")]))
            };
            let response = client.call(version, &request).await;
            let topic = response.topics[0].topic_authorized_operations;
            let cluster = response.cluster_authorized_operations;
            // READ, WRITE, CREATE, DELETE, ALTER, DESCRIBE, DESCRIBE_CONFIGS, ALTER_CONFIGS.
            assert_eq!(topic, if asked { 0b1101_1111_1000 } else { NO_AUTHORIZED_OPERATIONS });
            match asked && version <= 10 {
                true => assert_ne!(cluster, NO_AUTHORIZED_OPERATIONS),
                false => assert_eq!(cluster, NO_AUTHORIZED_OPERATIONS),
            }
        }
    }
}

/// The address in the answer to a client that connected to `host`.
async fn told(node: &Node, host: &str) -> (String, i32) {
    let address = (host, node.address().port());
    let address = tokio::net::lookup_host(address).await.unwrap().next().unwrap();
    let client = node.connect_to(address).await;
    let response = client.ask(&asking(Some(Vec::new()))).await;
    (response.brokers[0].host.to_string(), response.brokers[0].port)
}

#[tokio::test]
async fn a_client_is_told_the_address_that_it_connected_to() {
    let node = Node::with(&["listeners=PLAINTEXT://0.0.0.0:0"]).await;
    let port = node.address().port().into();
    for host in ["127.0.0.1", "127.0.0.2", "127.1.2.3"] {
        assert_eq!(told(&node, host).await, (host.to_owned(), port));
    }
}

#[tokio::test]
async fn an_advertised_address_is_told_to_all() {
    let advertised = "advertised.listeners=PLAINTEXT://broker.example:19092";
    let node = Node::with(&["listeners=PLAINTEXT://0.0.0.0:0", advertised]).await;
    for host in ["127.0.0.1", "127.0.0.2"] {
        assert_eq!(told(&node, host).await, ("broker.example".to_owned(), 19092));
    }
}

#[tokio::test]
async fn each_listener_has_its_own_address() {
    let node = Node::with(&[
        "listeners=IN://127.0.0.1:0,OUT://127.0.0.1:0",
        "listener.security.protocol.map=IN:PLAINTEXT,OUT:PLAINTEXT",
        "inter.broker.listener.name=IN",
        "advertised.listeners=OUT://outside.example:9093",
    ])
    .await;
    let addresses = node.broker().addresses();
    let of = |name: &str| addresses.iter().find(|(known, _)| known == name).unwrap().1;
    for (name, expected) in [
        ("IN", ("127.0.0.1".to_owned(), i32::from(of("IN").port()))),
        ("OUT", ("outside.example".to_owned(), 9093)),
    ] {
        let client = node.connect_to(of(name)).await;
        let broker = client.ask(&asking(Some(Vec::new()))).await.brokers.remove(0);
        assert_eq!((broker.host.to_string(), broker.port), expected, "{name}");
    }
}

#[tokio::test]
async fn the_rack_is_told() {
    let node = Node::with(&["broker.rack=shelf-7", "node.id=12"]).await;
    let client = node.connect().await;
    let response = client.ask(&asking(Some(Vec::new()))).await;
    assert_eq!(response.brokers[0].rack.as_deref(), Some("shelf-7"));
    assert_eq!((response.brokers[0].node_id, response.controller_id), (12, 12));
}
