//! FindCoordinator.

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::find_coordinator::FindCoordinatorRequest;

use crate::support::Node;
use crate::support::client::{error, versions};

/// First version that asks for several at once.
const BATCH: i16 = 4;

fn request(version: i16, key_type: i8) -> FindCoordinatorRequest {
    let mut request = FindCoordinatorRequest { key_type, ..Default::default() };
    match version >= BATCH {
        true => request.coordinator_keys = vec!["mine".into(), "yours".into()],
        false => request.key = "mine".into(),
    }
    request
}

#[tokio::test]
async fn a_group_has_its_coordinator_at_once_and_at_the_address_that_was_used() {
    for version in versions::<FindCoordinatorRequest>() {
        // Each version meets a broker on which nobody has asked before.
        let (node, client) = Node::client().await;
        let response = client.call(version, &request(version, 0)).await;
        let port = i32::from(node.address().port());
        if version < BATCH {
            assert_eq!(error(response.error_code), ErrorCode::None, "v{version}");
            assert_eq!((response.node_id, &*response.host, response.port), (1, "127.0.0.1", port));
            continue;
        }
        let keys: Vec<_> = response.coordinators.iter().map(|found| &*found.key).collect();
        assert_eq!(keys, ["mine", "yours"]);
        for found in &response.coordinators {
            assert_eq!(error(found.error_code), ErrorCode::None, "v{version}");
            assert_eq!((found.node_id, &*found.host, found.port), (1, "127.0.0.1", port));
        }
    }
}

#[tokio::test]
async fn the_topic_is_made_as_the_settings_say_and_once() {
    let settings = ["offsets.topic.num.partitions=7", "offsets.topic.segment.bytes=2097152"];
    let node = Node::with(&settings).await;
    let (one, two) = (node.connect().await, node.connect().await);
    let (request_one, request_two) = (request(6, 0), request(6, 0));
    let (first, second) = tokio::join!(one.ask(&request_one), two.ask(&request_two));
    for found in first.coordinators.iter().chain(&second.coordinators) {
        assert_eq!(error(found.error_code), ErrorCode::None);
    }
    for partition in 0..7 {
        assert!(node.partition_dir("__consumer_offsets", partition).is_dir());
    }
    assert!(!node.partition_dir("__consumer_offsets", 7).exists());
    let configs = one.configs_of("__consumer_offsets").await;
    assert_eq!(configs["cleanup.policy"], "compact");
    assert_eq!(configs["segment.bytes"], "2097152");
}

#[tokio::test]
async fn whoever_asks_for_what_is_not_there_yet_is_told_in_words() {
    let (_node, client) = Node::client().await;
    for version in versions::<FindCoordinatorRequest>().skip(1) {
        for (key_type, expected, words) in [
            (1, ErrorCode::CoordinatorNotAvailable, "transactions are not available"),
            (2, ErrorCode::CoordinatorNotAvailable, "share groups are not available"),
            (9, ErrorCode::InvalidRequest, "no such type"),
        ] {
            let response = client.call(version, &request(version, key_type)).await;
            let (code, message, node) = match version >= BATCH {
                true => {
                    let first = &response.coordinators[0];
                    (first.error_code, first.error_message.clone(), first.node_id)
                }
                false => (response.error_code, response.error_message, response.node_id),
            };
            assert_eq!((error(code), node), (expected, -1), "v{version}");
            let message = message.unwrap();
            assert!(message.contains(words), "{message}");
        }
    }
}

#[tokio::test]
async fn no_keys_no_answers() {
    let (node, client) = Node::client().await;
    let response = client.ask(&FindCoordinatorRequest::default()).await;
    assert_eq!(response.coordinators, []);
    assert!(!node.partition_dir("__consumer_offsets", 0).exists(), "and nothing was made");
}
