//! IncrementalAlterConfigs (key 44): changes single settings of a resource (KIP-339).

use duramen_protocol::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterConfigsResourceResponse, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
};

use super::alter_configs::{TIMEOUT_MS, refuse};
use crate::controller::{
    Command, ConfigChange, IncrementalAlterConfigs, Refusal, Reply as ControlReply,
};
use crate::metadata::ConfigResource;
use crate::server::context::RequestContext;
use crate::server::control::{self, mismatched, outcome};
use crate::server::reply::Reply;

/// Serves a request.
pub(crate) fn handle(
    context: &RequestContext,
    request: IncrementalAlterConfigsRequest,
) -> Reply<IncrementalAlterConfigsResponse> {
    let context = context.clone();
    Reply::exclusive(async move {
        let asked: Vec<ConfigResource> = request.resources.iter().map(resource).collect();
        let resources = request.resources.into_iter().map(changes).collect();
        let command = Command::IncrementalAlterConfigs(IncrementalAlterConfigs {
            resources,
            validate_only: request.validate_only,
        });
        let results = match control::submit(&context, command, TIMEOUT_MS).await {
            Ok(ControlReply::IncrementalAlterConfigs(results)) => results,
            Ok(_) => refuse(asked, &mismatched()),
            Err(refusal) => refuse(asked, &refusal),
        };
        let responses =
            results.into_iter().map(|(resource, result)| answer(resource, &result)).collect();
        IncrementalAlterConfigsResponse { responses, ..IncrementalAlterConfigsResponse::default() }
    })
}

fn resource(resource: &AlterConfigsResource) -> ConfigResource {
    ConfigResource { kind: resource.resource_type, name: resource.resource_name.clone() }
}

fn changes(changed: AlterConfigsResource) -> (ConfigResource, Vec<ConfigChange>) {
    let resource = resource(&changed);
    let change =
        |config: duramen_protocol::messages::incremental_alter_configs::AlterableConfig| {
            ConfigChange {
                name: config.name,
                operation: config.config_operation,
                value: config.value,
            }
        };
    (resource, changed.configs.into_iter().map(change).collect())
}

fn answer(resource: ConfigResource, result: &Result<(), Refusal>) -> AlterConfigsResourceResponse {
    let (error_code, error_message) = outcome(result);
    AlterConfigsResourceResponse {
        error_code,
        error_message,
        resource_type: resource.kind,
        resource_name: resource.name,
    }
}
