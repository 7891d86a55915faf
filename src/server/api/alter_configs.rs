//! AlterConfigs (key 33): replaces all settings of a resource.

use duramen_protocol::messages::alter_configs::{
    AlterConfigsRequest, AlterConfigsResource, AlterConfigsResourceResponse, AlterConfigsResponse,
};
use duramen_protocol::text::Text;

use crate::controller::command::{AlterConfigs, Command, Refusal, Reply as ControlReply};
use crate::metadata::ConfigResource;
use crate::server::context::RequestContext;
use crate::server::control::{self, mismatched, outcome};
use crate::server::reply::Reply;

/// How long the controller may take, in milliseconds: the request carries no time of its own.
pub(super) const TIMEOUT_MS: i32 = 30_000;

/// Serves a request.
pub(crate) fn handle(
    context: &RequestContext,
    request: AlterConfigsRequest,
) -> Reply<AlterConfigsResponse> {
    let context = context.clone();
    Reply::exclusive(async move {
        let asked: Vec<ConfigResource> = request.resources.iter().map(resource).collect();
        let resources = request.resources.into_iter().map(values).collect();
        let command =
            Command::AlterConfigs(AlterConfigs { resources, validate_only: request.validate_only });
        let results = match control::submit(&context, command, TIMEOUT_MS).await {
            Ok(ControlReply::AlterConfigs(results)) => results,
            Ok(_) => refuse(asked, &mismatched()),
            Err(refusal) => refuse(asked, &refusal),
        };
        let responses =
            results.into_iter().map(|(resource, result)| answer(resource, &result)).collect();
        AlterConfigsResponse { responses, ..AlterConfigsResponse::default() }
    })
}

fn resource(resource: &AlterConfigsResource) -> ConfigResource {
    ConfigResource { kind: resource.resource_type, name: resource.resource_name.clone() }
}

fn values(changed: AlterConfigsResource) -> (ConfigResource, Vec<(Text, Option<Text>)>) {
    let resource = resource(&changed);
    (resource, changed.configs.into_iter().map(|config| (config.name, config.value)).collect())
}

/// The same refusal for every resource asked for.
pub(super) fn refuse(
    asked: Vec<ConfigResource>,
    refusal: &Refusal,
) -> Vec<(ConfigResource, Result<(), Refusal>)> {
    asked.into_iter().map(|resource| (resource, Err(refusal.clone()))).collect()
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
