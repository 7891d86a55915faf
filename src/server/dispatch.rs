//! From a frame to its handler and back: header, version check against the table, decode, handle,
//! encode. Everything that can't be answered on the wire closes the connection with its reason.

use std::sync::Arc;

use bytes::Bytes;
use duramen_protocol::api::{self, ApiKey};
use duramen_protocol::frame;
use duramen_protocol::header::RequestHeader;
use duramen_protocol::messages::{Message, Request};
use duramen_protocol::primitives::Decoder;

use super::api as handlers;
use super::context::{Peer, RequestContext, Services};
use super::line::{Answer, CloseReason, EncodedReply};
use super::metrics::InFlight;
use super::reply::Reply;

/// The function that serves the frames of one connection.
pub(crate) fn server(
    services: Arc<Services>,
    peer: Arc<Peer>,
) -> impl FnMut(Bytes) -> EncodedReply {
    move |frame| serve(&services, &peer, frame).unwrap_or_else(|reason| Reply::Close(reason.0))
}

fn serve(
    services: &Arc<Services>,
    peer: &Arc<Peer>,
    frame: Bytes,
) -> Result<EncodedReply, CloseReason> {
    let mut body = Decoder::new(frame);
    let header =
        RequestHeader::decode(&mut body).map_err(|error| CloseReason(error.to_string()))?;
    let spec = api::spec(header.api)
        .ok_or_else(|| CloseReason(format!("{} is not served here", header.api)))?;
    if !spec.serves(header.version) {
        if header.api == ApiKey::ApiVersions {
            let answer = handlers::api_versions::unsupported();
            return Ok(Reply::Now(encode(header.correlation_id, 0, &answer)));
        }
        let (api, version) = (header.api, header.version);
        return Err(CloseReason(format!("{api} v{version} is not served, {} is", spec.versions())));
    }
    let context = RequestContext {
        services: Arc::clone(services),
        peer: Arc::clone(peer),
        api_version: header.version,
        client_id: header.client_id.unwrap_or_default(),
    };
    let call = Call {
        correlation_id: header.correlation_id,
        in_flight: InFlight::begin(&context, header.api),
        context,
        body,
    };
    route(header.api, call)
}

macro_rules! routes {
    ($( $key:ident => $module:ident, )*) => {
        /// Hands a call to the handler of its API.
        fn route(api: ApiKey, call: Call) -> Result<EncodedReply, CloseReason> {
            match api {
                $( ApiKey::$key => call.run(handlers::$module::handle), )*
                other => Err(CloseReason(format!("{other} is not served here"))),
            }
        }

        /// The APIs that have a handler.
        #[cfg(test)]
        const ROUTED: &[ApiKey] = &[$( ApiKey::$key ),*];
    };
}

routes! {
    Produce => produce,
    Fetch => fetch,
    ListOffsets => list_offsets,
    Metadata => metadata,
    OffsetCommit => offset_commit,
    OffsetFetch => offset_fetch,
    FindCoordinator => find_coordinator,
    JoinGroup => join_group,
    Heartbeat => heartbeat,
    LeaveGroup => leave_group,
    SyncGroup => sync_group,
    DescribeGroups => describe_groups,
    ListGroups => list_groups,
    ApiVersions => api_versions,
    CreateTopics => create_topics,
    DeleteTopics => delete_topics,
    DeleteRecords => delete_records,
    InitProducerId => init_producer_id,
    OffsetForLeaderEpoch => offset_for_leader_epoch,
    DescribeConfigs => describe_configs,
    AlterConfigs => alter_configs,
    DescribeLogDirs => describe_log_dirs,
    CreatePartitions => create_partitions,
    DeleteGroups => delete_groups,
    IncrementalAlterConfigs => incremental_alter_configs,
    OffsetDelete => offset_delete,
    DescribeCluster => describe_cluster,
    DescribeProducers => describe_producers,
    ConsumerGroupHeartbeat => consumer_group_heartbeat,
    ConsumerGroupDescribe => consumer_group_describe,
    ListConfigResources => list_config_resources,
    DescribeTopicPartitions => describe_topic_partitions,
}

/// One request on its way to its handler.
struct Call {
    correlation_id: i32,
    in_flight: InFlight,
    context: RequestContext,
    body: Decoder,
}

impl Call {
    fn run<Q: Request + 'static>(
        mut self,
        handle: impl FnOnce(&RequestContext, Q) -> Reply<Q::Response>,
    ) -> Result<EncodedReply, CloseReason>
    where
        Q::Response: Send + 'static,
    {
        let version = self.context.api_version;
        let request =
            Q::decode(&mut self.body, version).map_err(|error| CloseReason(error.to_string()))?;
        let reply = handle(&self.context, request);
        let Self { correlation_id, in_flight, .. } = self;
        Ok(reply.map(move |response| {
            in_flight.answered(&response);
            encode(correlation_id, version, &response)
        }))
    }
}

fn encode<M: Message>(
    correlation_id: i32,
    version: i16,
    response: &M,
) -> Result<Answer, CloseReason> {
    frame::response(version, correlation_id, response)
        .map(|chunks| chunks.into_vec())
        // Ours alone: a handler filled a field that this version can't carry.
        .map_err(|error| CloseReason(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_api_of_the_table_has_a_handler_and_no_other() {
        let served: Vec<ApiKey> = api::TABLE.iter().map(|spec| spec.key).collect();
        assert_eq!(served, ROUTED);
    }
}
