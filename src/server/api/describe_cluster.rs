//! DescribeCluster (key 60): the cluster's id and its nodes (KIP-700, KIP-919).

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::describe_cluster::{
    DescribeClusterBroker, DescribeClusterRequest, DescribeClusterResponse,
};
use duramen_protocol::text::Text;

use crate::server::context::RequestContext;
use crate::server::endpoints;
use crate::server::operations;
use crate::server::reply::Reply;

/// `endpoint_type`: the addresses of brokers are wanted, not of controllers.
const BROKERS: i8 = 1;

/// Serves a request.
pub(crate) fn handle(
    context: &RequestContext,
    request: DescribeClusterRequest,
) -> Reply<DescribeClusterResponse> {
    let image = context.services.image();
    let mut response = DescribeClusterResponse {
        endpoint_type: request.endpoint_type,
        cluster_id: image.cluster_id().clone(),
        controller_id: context.services.node_id(),
        ..DescribeClusterResponse::default()
    };
    if request.endpoint_type != BROKERS {
        response.error_code = ErrorCode::MismatchedEndpointType.code();
        response.error_message =
            Some(Text::from("this is a broker's listener: ask for endpoint type 1"));
        return Reply::Now(response);
    }
    for broker in
        image.brokers().iter().filter(|broker| request.include_fenced_brokers || broker.is_active())
    {
        let Some(address) = endpoints::address(context, broker) else { continue };
        response.brokers.push(DescribeClusterBroker {
            broker_id: address.id,
            host: address.host,
            port: address.port,
            rack: address.rack,
            is_fenced: broker.fenced,
        });
    }
    if request.include_cluster_authorized_operations {
        response.cluster_authorized_operations = operations::CLUSTER;
    }
    Reply::Now(response)
}
