//! Configs described, changed and listed: a broker's at that broker, all others together at any.

use std::collections::BTreeMap;
use std::future::Future;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource,
};
use duramen_protocol::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use duramen_protocol::messages::list_config_resources::ListConfigResourcesRequest;
use duramen_protocol::messages::{AlterConfigsRequest, alter_configs};
use duramen_protocol::text::Text;

use super::{ConfigChange, ConfigEntry, Resource, ResourceKind, entry_of};
use crate::admin::spread::{Batches, Open, call_each, in_order};
use crate::admin::{Admin, Outcome, check, outcomes};
use crate::connection::Connection;
use crate::error::ClientError;

/// The first version that tells types and documentation.
const WITH_DOCUMENTATION: i16 = 3;
/// The first version of ListConfigResources that knows of anything but clients' metrics.
const WITH_KINDS: i16 = 1;

/// Answers by resource.
type Told<T> = BTreeMap<Resource, Result<T, ClientError>>;
/// The answers to a request, in its order.
type Answers<T> = Result<Vec<Result<T, ClientError>>, ClientError>;

impl Admin {
    /// The configs of resources with what else would apply, and if asked for, what each is for. A
    /// broker's are asked of that broker.
    ///
    /// # Errors
    /// Only when the runtime stops; each resource has its own outcome.
    pub async fn describe_configs(
        &self,
        resources: &[Resource],
        documentation: bool,
    ) -> Result<Vec<Outcome<Resource, Vec<ConfigEntry>>>, ClientError> {
        let ask = move |connection, asked| describe(connection, asked, documentation);
        let asked: Vec<_> = resources.iter().map(|resource| (resource.clone(), ())).collect();
        Ok(outcomes(resources, self.at_places(&asked, ask).await?))
    }

    /// Changes configs of resources: of each all that is listed, or nothing. With `validate_only` the
    /// broker only says whether it would.
    ///
    /// # Errors
    /// Only when the runtime stops; each resource has its own outcome.
    pub async fn alter_configs(
        &self,
        changes: &[(Resource, Vec<ConfigChange>)],
        validate_only: bool,
    ) -> Result<Vec<Outcome<Resource, ()>>, ClientError> {
        let ask = move |connection, asked| alter(connection, asked, validate_only);
        let altered = self.at_places(changes, ask).await?;
        Ok(outcomes(changes.iter().map(|(resource, _)| resource), altered))
    }

    /// Replaces the configs of resources: those that are not named go back to their defaults. Kafka
    /// advises against it, since two who do it undo each other's changes; see [`Admin::alter_configs`].
    ///
    /// # Errors
    /// Only when the runtime stops; each resource has its own outcome.
    pub async fn replace_configs(
        &self,
        configs: &[(Resource, Vec<(Text, Text)>)],
        validate_only: bool,
    ) -> Result<Vec<Outcome<Resource, ()>>, ClientError> {
        let ask = move |connection, asked| replace(connection, asked, validate_only);
        let replaced = self.at_places(configs, ask).await?;
        Ok(outcomes(configs.iter().map(|(resource, _)| resource), replaced))
    }

    /// What has configs, of these kinds or of all when none is named; of groups only those for which
    /// something is set.
    ///
    /// # Errors
    /// When no broker answers, or it is older than Kafka 4.1, which only knows of
    /// [`ResourceKind::ClientMetrics`].
    pub async fn list_config_resources(
        &self,
        kinds: &[ResourceKind],
    ) -> Result<Vec<Resource>, ClientError> {
        let resources = || async move {
            let connection = self.cluster.any().await?;
            let version = connection.version_of::<ListConfigResourcesRequest>(i16::MAX)?;
            if version < WITH_KINDS && kinds != [ResourceKind::ClientMetrics] {
                let code = ErrorCode::UnsupportedVersion;
                return Err(ClientError::refused("list config resources", code, None));
            }
            let codes = kinds.iter().map(|kind| kind.code()).filter(|_| version >= WITH_KINDS);
            let request = ListConfigResourcesRequest { resource_types: codes.collect() };
            let answer = connection.call(&request).await?;
            check("list config resources", answer.error_code, None)?;
            Ok(answer.config_resources)
        };
        let told = self.cluster.retrying("list config resources", resources).await?;
        let resource = |told: duramen_protocol::messages::list_config_resources::ConfigResource| {
            Resource::from_wire(told.resource_type, told.resource_name)
        };
        Ok(told.into_iter().filter_map(resource).collect())
    }

    /// Asks about resources, each at its place; what failed in passing is asked again.
    async fn at_places<D, T, F>(
        &self,
        resources: &[(Resource, D)],
        ask: impl Fn(Connection, Vec<(Resource, D)>) -> F + Clone + Send + 'static,
    ) -> Answers<T>
    where
        D: Clone + Send + 'static,
        T: Send + 'static,
        F: Future<Output = Answers<T>> + Send,
    {
        let mut open = Open::fixed(&self.cluster, resources.len());
        loop {
            let left = open.left(&self.cluster).await;
            if left.is_empty() {
                return Ok(open.done());
            }
            let mut batches = Batches::new();
            // Kafka refuses a resource that stands twice in one request.
            let mut rounds: BTreeMap<&Resource, u32> = BTreeMap::new();
            for at in left {
                let Some(asked) = resources.get(at) else { continue };
                let round = rounds.entry(&asked.0).or_default();
                let batch = batches.entry((*round, asked.0.place())).or_default();
                batch.push((at, asked.clone()));
                *round += 1;
            }
            call_each(&self.cluster, batches, &mut open, ask.clone()).await?;
        }
    }
}

async fn describe(
    connection: Connection,
    asked: Vec<(Resource, ())>,
    documentation: bool,
) -> Answers<Vec<ConfigEntry>> {
    let version = connection.version_of::<DescribeConfigsRequest>(i16::MAX)?;
    let resources = asked.iter().map(|(resource, ())| {
        let (resource_type, resource_name) = resource.wire();
        DescribeConfigsResource { resource_type, resource_name, configuration_keys: None }
    });
    let request = DescribeConfigsRequest {
        resources: resources.collect(),
        include_synonyms: true,
        include_documentation: documentation && version >= WITH_DOCUMENTATION,
    };
    let mut told = Told::new();
    for result in connection.call(&request).await?.results {
        let resource = Resource::from_wire(result.resource_type, result.resource_name);
        let Some(resource) = resource else { continue };
        let checked = check(&resource.words(), result.error_code, result.error_message.as_ref());
        let entries = || result.configs.into_iter().map(entry_of).collect();
        told.insert(resource, checked.map(|()| entries()));
    }
    Ok(in_order(asked.into_iter().map(|(resource, ())| resource), &told, "DescribeConfigs"))
}

async fn alter(
    connection: Connection,
    asked: Vec<(Resource, Vec<ConfigChange>)>,
    validate_only: bool,
) -> Answers<()> {
    let config = |change: &ConfigChange| {
        let (config_operation, value) = change.operation.wire();
        AlterableConfig { name: change.name.clone(), config_operation, value }
    };
    let resources = asked.iter().map(|(resource, changes)| {
        let (resource_type, resource_name) = resource.wire();
        let configs = changes.iter().map(config).collect();
        AlterConfigsResource { resource_type, resource_name, configs }
    });
    let request = IncrementalAlterConfigsRequest { resources: resources.collect(), validate_only };
    let answer = connection.call(&request).await?.responses.into_iter().map(|told| {
        let about = (told.resource_type, told.resource_name);
        (about, told.error_code, told.error_message)
    });
    Ok(altered(asked, answer, "IncrementalAlterConfigs"))
}

async fn replace(
    connection: Connection,
    asked: Vec<(Resource, Vec<(Text, Text)>)>,
    validate_only: bool,
) -> Answers<()> {
    let config = |(name, value): &(Text, Text)| alter_configs::AlterableConfig {
        name: name.clone(),
        value: Some(value.clone()),
    };
    let resources = asked.iter().map(|(resource, configs)| {
        let (resource_type, resource_name) = resource.wire();
        let configs = configs.iter().map(config).collect();
        alter_configs::AlterConfigsResource { resource_type, resource_name, configs }
    });
    let request = AlterConfigsRequest { resources: resources.collect(), validate_only };
    let answer = connection.call(&request).await?.responses.into_iter().map(|told| {
        let about = (told.resource_type, told.resource_name);
        (about, told.error_code, told.error_message)
    });
    Ok(altered(asked, answer, "AlterConfigs"))
}

/// What came of changes, in their order.
fn altered<D>(
    asked: Vec<(Resource, D)>,
    answer: impl Iterator<Item = ((i8, Text), i16, Option<Text>)>,
    api: &'static str,
) -> Vec<Result<(), ClientError>> {
    let mut told = Told::new();
    for ((kind, name), code, message) in answer {
        let Some(resource) = Resource::from_wire(kind, name) else { continue };
        let result = check(&resource.words(), code, message.as_ref());
        told.insert(resource, result);
    }
    in_order(asked.into_iter().map(|(resource, _)| resource), &told, api)
}
