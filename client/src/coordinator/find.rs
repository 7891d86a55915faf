//! FindCoordinator: which brokers look after groups.

use std::collections::BTreeMap;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::FindCoordinatorRequest;
use duramen_protocol::text::Text;

use crate::cluster::{Cluster, Topics};
use crate::error::ClientError;

/// What the keys of FindCoordinator are.
const GROUP: i8 = 0;
/// From this version on several keys are asked about at once.
const KEYS_SINCE: i16 = 4;

/// Broker ids by group, or why one is not known.
pub(crate) type Found = BTreeMap<Text, Result<i32, ClientError>>;

/// Asks any broker, once; the addresses of the coordinators are in the view then.
///
/// # Errors
/// When no broker answers; each group has its own answer.
pub(crate) async fn find(cluster: &Cluster, groups: &[Text]) -> Result<Found, ClientError> {
    let connection = cluster.any().await?;
    let version = connection.version_of::<FindCoordinatorRequest>(i16::MAX)?;
    let mut found = Found::new();
    let mut put = |group: Text, node: i32, code: i16, message: Option<Text>| {
        let node = match ErrorCode::from_code(code) {
            ErrorCode::None => Ok(node),
            code => Err(refused(&group, code, message)),
        };
        found.insert(group, node);
    };
    if version >= KEYS_SINCE {
        let request = FindCoordinatorRequest {
            key_type: GROUP,
            coordinator_keys: groups.to_vec(),
            ..FindCoordinatorRequest::default()
        };
        for told in connection.call(&request).await?.coordinators {
            put(told.key, told.node_id, told.error_code, told.error_message);
        }
    } else {
        for group in groups {
            let request = FindCoordinatorRequest {
                key: group.clone(),
                key_type: GROUP,
                ..FindCoordinatorRequest::default()
            };
            let told = connection.call(&request).await?;
            put(group.clone(), told.node_id, told.error_code, told.error_message);
        }
    }
    let nodes = found.values().filter_map(|node| node.as_ref().ok());
    let view = cluster.view();
    if nodes.into_iter().any(|node| !view.brokers.contains_key(node)) {
        cluster.fetch_metadata(Topics::None).await?;
    }
    Ok(found)
}

/// A refusal about a group.
pub(crate) fn refused(group: &Text, code: ErrorCode, message: Option<Text>) -> ClientError {
    ClientError::refused(format!("group {group}"), code, message)
}
