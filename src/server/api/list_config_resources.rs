//! ListConfigResources (key 74): what can be configured (KIP-714, KIP-1142).

use std::collections::BTreeSet;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::ids::{
    RESOURCE_BROKER, RESOURCE_BROKER_LOGGER, RESOURCE_CLIENT_METRICS, RESOURCE_GROUP,
    RESOURCE_TOPIC,
};
use duramen_protocol::messages::list_config_resources::{
    ConfigResource, ListConfigResourcesRequest, ListConfigResourcesResponse,
};
use duramen_protocol::text::Text;

use crate::server::context::RequestContext;
use crate::server::reply::Reply;

/// Every type that a request may name; an empty list asks for all of them.
const TYPES: [i8; 5] = [
    RESOURCE_TOPIC,
    RESOURCE_BROKER,
    RESOURCE_BROKER_LOGGER,
    RESOURCE_CLIENT_METRICS,
    RESOURCE_GROUP,
];

/// Serves a request.
pub(crate) fn handle(
    context: &RequestContext,
    request: ListConfigResourcesRequest,
) -> Reply<ListConfigResourcesResponse> {
    let mut response = ListConfigResourcesResponse::default();
    // A set: the answer must not grow with how often a type is named.
    let wanted: BTreeSet<i8> = match (context.api_version, request.resource_types.as_slice()) {
        (0, _) => BTreeSet::from([RESOURCE_CLIENT_METRICS]),
        (_, []) => TYPES.into(),
        (_, types) => types.iter().copied().collect(),
    };
    if wanted.iter().any(|kind| !TYPES.contains(kind)) {
        response.error_code = ErrorCode::UnsupportedVersion.code();
        return Reply::Now(response);
    }
    let image = context.services.image();
    let mut add = |resource_type: i8, resource_name: Text| {
        response.config_resources.push(ConfigResource { resource_name, resource_type });
    };
    for kind in wanted {
        match kind {
            RESOURCE_TOPIC => {
                image.topics().iter().for_each(|topic| add(kind, topic.name().clone()))
            }
            RESOURCE_BROKER | RESOURCE_BROKER_LOGGER => {
                image.brokers().iter().for_each(|broker| add(kind, broker.id.to_string().into()));
            }
            // Only those for which something is set: groups come and go.
            RESOURCE_GROUP => {
                let set = image.configs().iter().filter(|(resource, _)| resource.kind == kind);
                set.for_each(|(resource, _)| add(kind, resource.name.clone()));
            }
            // Nothing is configured for client metrics.
            _ => {}
        }
    }
    Reply::Now(response)
}
