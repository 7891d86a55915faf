//! Alter configs: replace them all, or change single ones (KIP-339). Pure. A resource is changed as
//! a whole or not at all. Errors, their order and their words are Kafka's (`ConfigAdminManager`,
//! `ConfigurationControlManager`).

use std::collections::{BTreeMap, BTreeSet};

use duramen_protocol::error::ErrorCode;
use duramen_protocol::ids::{RESOURCE_BROKER, RESOURCE_GROUP, RESOURCE_TOPIC};
use duramen_protocol::metadata::MetadataRecord;
use duramen_protocol::text::Text;

use super::config_rules::{check, list_default};
use super::names::check_topic_name;
use super::{Outcome, View};
use crate::controller::command::{AlterConfigs, ConfigChange, IncrementalAlterConfigs, Refusal};
use crate::metadata::image::configs::ConfigValues;
use crate::metadata::{ConfigResource, record};

/// A longer name can't stand in a record of `__consumer_offsets`: there is no such group.
const GROUP_NAME_MAX_BYTES: usize = 32_767;

type Decided = (Vec<MetadataRecord>, Vec<(ConfigResource, Outcome<()>)>);

/// Decides a change of all configs of resources.
pub fn alter(view: View<'_>, command: &AlterConfigs) -> Decided {
    each_resource(&command.resources, command.validate_only, |resource, configs| {
        check_keys(configs.iter().map(|(name, _)| name))?;
        let nulls = configs.iter().filter(|(_, value)| value.is_none()).map(|(name, _)| name);
        check_nulls(nulls)?;
        let wanted = configs
            .iter()
            .filter_map(|(name, value)| Some((name.clone(), value.clone()?)))
            .collect();
        change(view, resource, wanted)
    })
}

/// Decides changes of single configs of resources.
pub fn alter_incrementally(view: View<'_>, command: &IncrementalAlterConfigs) -> Decided {
    each_resource(&command.resources, command.validate_only, |resource, changes| {
        check_keys(changes.iter().map(|change| &change.name))?;
        let nulls = changes.iter().filter(|change| {
            Operation::of(change.operation) != Some(Operation::Delete) && change.value.is_none()
        });
        check_nulls(nulls.map(|change| &change.name))?;
        let mut wanted = (*view.image.configs().of(resource)).clone();
        for change in changes {
            apply(view, resource, change, &mut wanted)?;
        }
        change(view, resource, wanted)
    })
}

fn each_resource<C>(
    resources: &[(ConfigResource, C)],
    validate_only: bool,
    decide: impl Fn(&ConfigResource, &C) -> Outcome<Vec<MetadataRecord>>,
) -> Decided {
    let mut seen = BTreeSet::new();
    let repeated: BTreeSet<_> = resources
        .iter()
        .map(|(resource, _)| resource)
        .filter(|resource| !seen.insert(*resource))
        .collect();
    let mut records = Vec::new();
    let mut results = Vec::new();
    for (resource, wanted) in resources {
        let result = if repeated.contains(resource) {
            Err(invalid_request("Each resource must appear at most once."))
        } else {
            check_resource(resource).and_then(|()| decide(resource, wanted))
        };
        results.push((resource.clone(), result.map(|decided| records.extend(decided))));
    }
    if validate_only {
        records.clear();
    }
    (records, results)
}

fn invalid_request(message: impl Into<Text>) -> Refusal {
    Refusal::new(ErrorCode::InvalidRequest, message)
}

fn check_resource(resource: &ConfigResource) -> Outcome<()> {
    match resource.kind {
        RESOURCE_TOPIC if resource.name.is_empty() => {
            Err(invalid_request("Default topic resources are not allowed."))
        }
        RESOURCE_TOPIC => check_topic_name(&resource.name)
            .map_err(|message| Refusal::new(ErrorCode::InvalidTopicException, message)),
        RESOURCE_GROUP if resource.name.is_empty() => {
            Err(invalid_request("Default group resources are not allowed."))
        }
        // Whether there is such a group does not matter: it may come.
        RESOURCE_GROUP if resource.name.len() <= GROUP_NAME_MAX_BYTES => Ok(()),
        RESOURCE_GROUP => Err(invalid_request(format!(
            "A group's name has at most {GROUP_NAME_MAX_BYTES} bytes."
        ))),
        RESOURCE_BROKER if resource.name.is_empty() => Ok(()),
        RESOURCE_BROKER => match resource.name.parse::<i32>() {
            Ok(0..) => Ok(()),
            Ok(_) => Err(invalid_request("Invalid negative broker ID.")),
            Err(_) => Err(invalid_request("Unable to parse broker name as a base 10 number.")),
        },
        kind => Err(invalid_request(format!("Unknown resource type {kind}"))),
    }
}

fn check_keys<'a>(names: impl Iterator<Item = &'a Text>) -> Outcome<()> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(invalid_request("Error due to duplicate config keys"));
        }
    }
    Ok(())
}

fn check_nulls<'a>(nulls: impl Iterator<Item = &'a Text>) -> Outcome<()> {
    let nulls: Vec<_> = nulls.map(Text::as_str).collect();
    if nulls.is_empty() {
        return Ok(());
    }
    Err(invalid_request(format!("Null value not supported for : {}", nulls.join(", "))))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Set,
    Delete,
    Append,
    Subtract,
}

impl Operation {
    fn of(code: i8) -> Option<Self> {
        match code {
            0 => Some(Self::Set),
            1 => Some(Self::Delete),
            2 => Some(Self::Append),
            3 => Some(Self::Subtract),
            _ => None,
        }
    }
}

/// Makes one change to the configs that a resource is to have.
fn apply(
    view: View<'_>,
    resource: &ConfigResource,
    change: &ConfigChange,
    wanted: &mut ConfigValues,
) -> Outcome<()> {
    let name = &change.name;
    let value = change.value.clone().unwrap_or_default();
    let operation = Operation::of(change.operation)
        .ok_or_else(|| invalid_request(format!("Unknown operations type {}", change.operation)))?;
    match operation {
        Operation::Set => {
            wanted.insert(name.clone(), value);
        }
        Operation::Delete => {
            wanted.remove(name);
        }
        Operation::Append | Operation::Subtract => {
            let verb = if operation == Operation::Append { "APPEND" } else { "SUBTRACT" };
            let default = list_default(view, resource, name).ok_or_else(|| {
                Refusal::new(
                    ErrorCode::InvalidConfig,
                    format!("Can't {verb} to key {name} because its type is not LIST."),
                )
            })?;
            let present = wanted.get(name).unwrap_or(&default);
            let list = changed_list(present, &value, operation == Operation::Append);
            wanted.insert(name.clone(), list);
        }
    }
    Ok(())
}

/// A comma-separated list with the items of `value` added (each once), or taken out.
fn changed_list(present: &str, value: &str, append: bool) -> Text {
    let mut items: Vec<_> = present.split(',').filter(|item| !item.is_empty()).collect();
    for item in value.split(',') {
        if !append {
            items.retain(|known| *known != item);
        } else if !items.contains(&item) {
            items.push(item);
        }
    }
    items.join(",").into()
}

/// The metadata records that give `resource` the configs `wanted`, and no others.
fn change(
    view: View<'_>,
    resource: &ConfigResource,
    wanted: BTreeMap<Text, Text>,
) -> Outcome<Vec<MetadataRecord>> {
    check(view, resource, &wanted)?;
    check_exists(view, resource)?;
    let present = view.image.configs().of(resource);
    let set = wanted
        .iter()
        .filter(|(name, value)| present.get(*name) != Some(value))
        .map(|(name, value)| record::config(resource, name, Some(value)));
    let unset = present
        .keys()
        .filter(|name| !wanted.contains_key(*name))
        .map(|name| record::config(resource, name, None));
    Ok(set.chain(unset).collect())
}

fn check_exists(view: View<'_>, resource: &ConfigResource) -> Outcome<()> {
    let name = &resource.name;
    match resource.kind {
        RESOURCE_TOPIC if view.image.topics().by_name(name).is_none() => Err(Refusal::new(
            ErrorCode::UnknownTopicOrPartition,
            format!("The topic '{name}' does not exist."),
        )),
        RESOURCE_BROKER if !name.is_empty() => {
            let registered = name.parse().is_ok_and(|id| view.image.brokers().get(id).is_some());
            if registered {
                return Ok(());
            }
            Err(Refusal::new(
                ErrorCode::BrokerIdNotRegistered,
                format!("No broker with id {name} found."),
            ))
        }
        _ => Ok(()),
    }
}
