//! From a frame to its handler and back: header, version check against the table, decode, handle,
//! encode. Everything that can't be answered on the wire closes the connection with its reason.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use duramen_protocol::api::{self, ApiKey};
use duramen_protocol::header::{RequestHeader, ResponseHeader};
use duramen_protocol::messages::{Message, Request};
use duramen_protocol::primitives::{Decoder, Encoder};

use super::api as handlers;
use super::context::{Peer, RequestContext, Services};
use super::line::{Answer, CloseReason, EncodedReply};
use super::metrics::ApiMetrics;
use super::reply::Reply;

/// The function that serves the frames of one connection.
pub(crate) fn server(services: Arc<Services>, peer: Arc<Peer>) -> impl FnMut(Bytes) -> EncodedReply {
    move |frame| serve(&services, &peer, frame).unwrap_or_else(|reason| Reply::Close(reason.0))
}

fn serve(services: &Arc<Services>, peer: &Arc<Peer>, frame: Bytes) -> Result<EncodedReply, CloseReason> {
    let mut body = Decoder::new(frame);
    let header = RequestHeader::decode(&mut body).map_err(|error| CloseReason(error.to_string()))?;
    let context = RequestContext {
        services: Arc::clone(services),
        peer: Arc::clone(peer),
        api_version: header.api_version,
        client_id: header.client_id,
    };
    let call = Call {
        correlation_id: header.correlation_id,
        version: header.api_version,
        started: services.env.clock.now(),
        metrics: services.metrics.api(header.api_key).cloned(),
        context,
        body,
    };
    route(header.api_key, call)
}

/// One request on its way to its handler.
struct Call {
    correlation_id: i32,
    version: i16,
    started: Duration,
    metrics: Option<ApiMetrics>,
    context: RequestContext,
    body: Decoder,
}
