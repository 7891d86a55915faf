//! DescribeConfigs (key 32): values, where they come from, and what else would apply (KIP-226).

use std::collections::HashSet;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::ids::{
    RESOURCE_BROKER, RESOURCE_BROKER_LOGGER, RESOURCE_CLIENT_METRICS, RESOURCE_GROUP,
    RESOURCE_TOPIC,
};
use duramen_protocol::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult,
    DescribeConfigsResponse, DescribeConfigsResult, DescribeConfigsSynonym,
};
use duramen_protocol::text::Text;

use crate::config::describe::ConfigEntry;
use crate::controller::Refusal;
use crate::metadata::image::configs::ConfigValues;
use crate::server::context::RequestContext;
use crate::server::reply::Reply;

/// Serves a request.
pub(crate) fn handle(
    context: &RequestContext,
    request: DescribeConfigsRequest,
) -> Reply<DescribeConfigsResponse> {
    // Each once, however often it is named: the answer for one has all its settings.
    let mut answered = HashSet::new();
    let named = |resource: &&DescribeConfigsResource| {
        answered.insert((resource.resource_type, resource.resource_name.clone()))
    };
    let results = request.resources.iter().filter(named).map(|resource| {
        let described = describe(context, resource);
        result(resource, described, request.include_synonyms, request.include_documentation)
    });
    Reply::Now(DescribeConfigsResponse { results: results.collect(), ..Default::default() })
}

fn describe(
    context: &RequestContext,
    resource: &DescribeConfigsResource,
) -> Result<Vec<ConfigEntry>, Refusal> {
    let entries = match resource.resource_type {
        RESOURCE_TOPIC => topic(context, &resource.resource_name)?,
        RESOURCE_BROKER => broker(context, &resource.resource_name)?,
        RESOURCE_GROUP => group(context, &resource.resource_name)?,
        // Nothing of these kinds can be set, so nothing is set.
        RESOURCE_BROKER_LOGGER | RESOURCE_CLIENT_METRICS => Vec::new(),
        kind => {
            let message = format!("resource type {kind} is not known");
            return Err(Refusal::new(ErrorCode::InvalidRequest, message));
        }
    };
    let wanted = |entry: &ConfigEntry| match &resource.configuration_keys {
        Some(names) => names.iter().any(|name| name == entry.name),
        None => true,
    };
    Ok(entries.into_iter().filter(wanted).collect())
}

fn topic(context: &RequestContext, name: &Text) -> Result<Vec<ConfigEntry>, Refusal> {
    let services = &context.services;
    let image = services.image();
    if image.topics().by_name(name).is_none() {
        return Err(Refusal::plain(ErrorCode::UnknownTopicOrPartition));
    }
    Ok(services.settings().describe_topic(&image.configs().topic(name)))
}

/// A group need not be there: what is set holds when it comes.
fn group(context: &RequestContext, name: &Text) -> Result<Vec<ConfigEntry>, Refusal> {
    if name.is_empty() {
        return Err(Refusal::new(ErrorCode::InvalidRequest, "Group name must not be empty"));
    }
    let services = &context.services;
    let image = services.image();
    let nothing = ConfigValues::new();
    Ok(services.settings().describe_group(image.configs().group(name).unwrap_or(&nothing)))
}

/// The empty name is the default of the whole cluster.
fn broker(context: &RequestContext, name: &Text) -> Result<Vec<ConfigEntry>, Refusal> {
    let services = &context.services;
    match name.parse::<i32>() {
        _ if name.is_empty() => Ok(services.settings().describe_cluster()),
        Ok(id) if id == services.node_id() => Ok(services.settings().describe_broker()),
        Ok(_) => {
            let message =
                format!("this is broker {}: ask broker {name} itself", services.node_id());
            Err(Refusal::new(ErrorCode::InvalidRequest, message))
        }
        Err(_) => {
            let message = format!("broker id must be a number, but it is: {name}");
            Err(Refusal::new(ErrorCode::InvalidRequest, message))
        }
    }
}

fn result(
    resource: &DescribeConfigsResource,
    described: Result<Vec<ConfigEntry>, Refusal>,
    synonyms: bool,
    documentation: bool,
) -> DescribeConfigsResult {
    let mut result = DescribeConfigsResult {
        resource_type: resource.resource_type,
        resource_name: resource.resource_name.clone(),
        ..Default::default()
    };
    match described {
        Ok(entries) => {
            let show = |entry: &ConfigEntry| config(entry, synonyms, documentation);
            result.configs = entries.iter().map(show).collect();
        }
        Err(refusal) => {
            result.error_code = refusal.code.code();
            result.error_message = Some(refusal.message);
        }
    }
    result
}

fn config(
    entry: &ConfigEntry,
    synonyms: bool,
    documentation: bool,
) -> DescribeConfigsResourceResult {
    let synonym = |synonym: &crate::config::describe::ConfigSynonym| DescribeConfigsSynonym {
        name: Text::from(synonym.name),
        value: Some(synonym.value.clone()),
        source: synonym.source.code(),
    };
    DescribeConfigsResourceResult {
        name: Text::from(entry.name),
        value: entry.value.clone(),
        read_only: entry.read_only,
        config_source: entry.source.code(),
        is_sensitive: entry.sensitive,
        synonyms: if synonyms { entry.synonyms.iter().map(synonym).collect() } else { Vec::new() },
        config_type: entry.kind.code(),
        documentation: documentation.then(|| Text::from(entry.documentation)),
    }
}
