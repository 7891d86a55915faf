//! FindCoordinator.

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::find_coordinator::FindCoordinatorRequest;

use crate::support::Node;
use crate::support::client::{error, versions};

/// First version that asks for several at once.
const BATCH: i16 = 4;

#[tokio::test]
async fn whoever_asks_is_told_in_words_that_there_is_none_yet() {
    let (_node, client) = Node::client().await;
    for version in versions::<FindCoordinatorRequest>() {
        for (key_type, words) in [(0, "consumer groups"), (1, "transactions")] {
            if version == 0 && key_type > 0 {
                continue;
            }
            let mut request = FindCoordinatorRequest { key_type, ..Default::default() };
            match version >= BATCH {
                true => request.coordinator_keys = vec!["mine".into(), "yours".into()],
                false => request.key = "mine".into(),
            }
            let response = client.call(version, &request).await;
            let (code, message) = match version >= BATCH {
                true => {
                    let keys: Vec<_> = response.coordinators.iter().map(|c| &*c.key).collect();
                    assert_eq!(keys, ["mine", "yours"]);
                    let first = &response.coordinators[0];
                    assert_eq!((first.node_id, first.port), (-1, -1));
                    (first.error_code, first.error_message.clone())
                }
                false => {
                    assert_eq!((response.node_id, response.port), (-1, -1));
                    (response.error_code, response.error_message)
                }
            };
            assert_eq!(error(code), ErrorCode::CoordinatorNotAvailable, "v{version}");
            if version >= 1 {
                let message = message.unwrap();
                assert!(message.contains(words) && message.contains("not available"), "{message}");
            }
        }
    }
}

#[tokio::test]
async fn no_keys_no_answers() {
    let (_node, client) = Node::client().await;
    let response = client.ask(&FindCoordinatorRequest::default()).await;
    assert_eq!(response.coordinators, []);
}
