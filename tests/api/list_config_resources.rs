//! ListConfigResources.

use duramen_protocol::error::ErrorCode;
use duramen_protocol::ids::{
    RESOURCE_BROKER, RESOURCE_BROKER_LOGGER, RESOURCE_CLIENT_METRICS, RESOURCE_GROUP,
    RESOURCE_TOPIC,
};
use duramen_protocol::messages::list_config_resources::ListConfigResourcesRequest;

use crate::support::client::error;
use crate::support::{Client, Node};

async fn listed(client: &Client, types: &[i8]) -> Vec<(i8, String)> {
    let request =
        ListConfigResourcesRequest { resource_types: types.to_vec(), ..Default::default() };
    let response = client.call(1, &request).await;
    assert_eq!(error(response.error_code), ErrorCode::None);
    let resources = response.config_resources.into_iter();
    let mut listed: Vec<_> =
        resources.map(|r| (r.resource_type, r.resource_name.to_string())).collect();
    listed.sort();
    listed
}

async fn two_topics() -> (Node, Client) {
    let node = Node::with(&["node.id=5"]).await;
    let client = node.connect().await;
    client.create("orders", 2).await;
    client.create("bills", 1).await;
    (node, client)
}

#[tokio::test]
async fn what_can_be_configured_is_listed_by_type() {
    let (_node, client) = two_topics().await;
    let topics = [(RESOURCE_TOPIC, "bills".to_owned()), (RESOURCE_TOPIC, "orders".to_owned())];
    assert_eq!(listed(&client, &[RESOURCE_TOPIC]).await, topics);
    let broker = [(RESOURCE_BROKER, "5".to_owned())];
    assert_eq!(listed(&client, &[RESOURCE_BROKER]).await, broker);
    let both = [&topics[..], &broker].concat();
    assert_eq!(listed(&client, &[RESOURCE_BROKER, RESOURCE_TOPIC]).await, both);
    assert_eq!(listed(&client, &[RESOURCE_CLIENT_METRICS, RESOURCE_GROUP]).await, []);
    let logger = (RESOURCE_BROKER_LOGGER, "5".to_owned());
    assert_eq!(listed(&client, &[]).await, [&both[..], &[logger]].concat());
}

#[tokio::test]
async fn a_type_that_is_named_twice_is_listed_once() {
    let (_node, client) = two_topics().await;
    assert_eq!(listed(&client, &[RESOURCE_TOPIC; 100]).await.len(), 2);
}

#[tokio::test]
async fn unknown_types_are_refused() {
    let (_node, client) = two_topics().await;
    for types in [vec![3], vec![RESOURCE_TOPIC, 0], vec![-1], vec![127]] {
        let request = ListConfigResourcesRequest { resource_types: types, ..Default::default() };
        let response = client.call(1, &request).await;
        assert_eq!(error(response.error_code), ErrorCode::UnsupportedVersion);
        assert_eq!(response.config_resources, []);
    }
}

#[tokio::test]
async fn version_0_knows_of_client_metrics_only() {
    let (_node, client) = two_topics().await;
    let response = client.call(0, &ListConfigResourcesRequest::default()).await;
    assert_eq!((response.error_code, response.config_resources), (0, Vec::new()));
}
