//! DescribeCluster.

use duramen_protocol::error::ErrorCode;
use duramen_protocol::ids::NO_AUTHORIZED_OPERATIONS;
use duramen_protocol::messages::describe_cluster::DescribeClusterRequest;

use crate::support::Node;
use crate::support::client::{error, versions};

#[tokio::test]
async fn every_version_tells_of_the_cluster() {
    let node = Node::with(&["broker.rack=shelf-7"]).await;
    let client = node.connect().await;
    for version in versions::<DescribeClusterRequest>() {
        for fenced in [false, version >= 2] {
            let request =
                DescribeClusterRequest { include_fenced_brokers: fenced, ..Default::default() };
            let response = client.call(version, &request).await;
            assert_eq!(error(response.error_code), ErrorCode::None);
            assert_eq!(response.cluster_id, node.broker().cluster_id());
            assert_eq!((response.controller_id, response.endpoint_type), (1, 1));
            assert_eq!(response.cluster_authorized_operations, NO_AUTHORIZED_OPERATIONS);
            assert_eq!(response.brokers.len(), 1);
            let broker = &response.brokers[0];
            assert_eq!((broker.broker_id, broker.host.as_str()), (1, "127.0.0.1"));
            assert_eq!(broker.port, i32::from(node.address().port()));
            assert_eq!((broker.rack.as_deref(), broker.is_fenced), (Some("shelf-7"), false));
        }
    }
}

#[tokio::test]
async fn operations_are_told_when_asked_for() {
    let (_node, client) = Node::client().await;
    for version in versions::<DescribeClusterRequest>() {
        let request = DescribeClusterRequest {
            include_cluster_authorized_operations: true,
            ..Default::default()
        };
        let response = client.call(version, &request).await;
        // CREATE, ALTER, DESCRIBE, CLUSTER_ACTION, DESCRIBE_CONFIGS, ALTER_CONFIGS, IDEMPOTENT_WRITE.
        assert_eq!(response.cluster_authorized_operations, 0b1_1111_1010_0000);
    }
}

#[tokio::test]
async fn controllers_are_not_told_of_here() {
    let (_node, client) = Node::client().await;
    for version in 1..=2 {
        for endpoint_type in [2, 0, -1, 9] {
            let request = DescribeClusterRequest { endpoint_type, ..Default::default() };
            let response = client.call(version, &request).await;
            assert_ne!(error(response.error_code), ErrorCode::None, "{endpoint_type}");
            assert_eq!(response.brokers, []);
            assert!(response.error_message.is_some());
        }
        let request = DescribeClusterRequest { endpoint_type: 2, ..Default::default() };
        let response = client.call(version, &request).await;
        assert_eq!(error(response.error_code), ErrorCode::MismatchedEndpointType);
    }
}

#[tokio::test]
async fn the_cluster_id_lasts() {
    let (mut node, client) = Node::client().await;
    let before = client.ask(&DescribeClusterRequest::default()).await.cluster_id;
    assert_eq!(before.len(), 22, "{before}");
    drop(client);
    let client = node.restart().await;
    assert_eq!(client.ask(&DescribeClusterRequest::default()).await.cluster_id, before);
}
