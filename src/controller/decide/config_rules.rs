//! What may be configured, and to what: the tables of `crate::config`, asked on behalf of a client.
//! Pure.

use duramen_protocol::error::ErrorCode;
use duramen_protocol::ids::{RESOURCE_BROKER, RESOURCE_GROUP, RESOURCE_TOPIC};
use duramen_protocol::text::Text;

use super::View;
use crate::config::setting::{Kind, Level, Mode};
use crate::config::{ConfigError, ConsumerTimes, Settings, Texts, TopicConfig, table, value};
use crate::controller::command::Refusal;
use crate::metadata::ConfigResource;
use crate::metadata::image::configs::ConfigValues;

/// Bytes that one config value may have, as in Kafka.
const VALUE_MAX_BYTES: usize = 32_767;

/// Checks all configs that a resource would have.
///
/// # Errors
///
/// INVALID_CONFIG, or for what a broker can't change while it runs INVALID_REQUEST, as in Kafka.
pub(super) fn check(
    view: View<'_>,
    resource: &ConfigResource,
    wanted: &ConfigValues,
) -> Result<(), Refusal> {
    if wanted.values().any(|value| value.len() > VALUE_MAX_BYTES) {
        return Err(Refusal::new(
            ErrorCode::InvalidConfig,
            format!(
                "The configuration value cannot be added because it exceeds the maximum value \
                 size of {VALUE_MAX_BYTES} bytes."
            ),
        ));
    }
    match resource.kind {
        RESOURCE_TOPIC => TopicConfig::resolve(&layers(view), &texts(wanted))
            .map(|_| ())
            .map_err(|error| refusal(ErrorCode::InvalidConfig, &error)),
        RESOURCE_GROUP => ConsumerTimes::resolve(&view.settings.broker)
            .and_then(|times| times.checked(wanted))
            .map(|_| ())
            .map_err(|error| refusal(ErrorCode::InvalidConfig, &error)),
        RESOURCE_BROKER => check_broker(view, resource, wanted),
        kind => {
            Err(Refusal::new(ErrorCode::InvalidRequest, format!("Unknown resource type {kind}")))
        }
    }
}

/// The items of a config of type list while none was set for the resource; `None` for a config of
/// another type, or an unknown one.
pub(super) fn list_default(view: View<'_>, resource: &ConfigResource, name: &str) -> Option<Text> {
    let level = match resource.kind {
        RESOURCE_TOPIC => Level::Topic,
        RESOURCE_GROUP => Level::Group,
        _ => Level::Broker,
    };
    let row = table::find(level, name).filter(|row| row.kind == Kind::List)?;
    let value = match level {
        Level::Topic | Level::Group => layers(view).own_value(row, &Texts::new()),
        Level::Broker => layers(view).broker_value(row),
    };
    Some(value.ok().flatten().map(|value| value.canonical()).unwrap_or_default().into())
}

fn check_broker(
    view: View<'_>,
    resource: &ConfigResource,
    wanted: &ConfigValues,
) -> Result<(), Refusal> {
    let whole_cluster = resource.name.is_empty();
    let mut read_only = Vec::new();
    let mut per_broker = Vec::new();
    for (name, text) in wanted {
        let Some(row) = table::find(Level::Broker, name) else {
            if table::is_kafka_without_effect(name) {
                read_only.push(name.as_str());
                continue;
            }
            let nearest = table::nearest(Level::Broker, name).map(str::to_owned);
            let error = ConfigError::Unknown { name: name.to_string(), nearest };
            return Err(refusal(ErrorCode::InvalidConfig, &error));
        };
        match row.mode {
            Mode::ReadOnly => read_only.push(row.name),
            Mode::PerBroker if whole_cluster => per_broker.push(row.name),
            Mode::PerBroker | Mode::ClusterWide => {
                value::parse(row, text)
                    .map_err(|error| refusal(ErrorCode::InvalidRequest, &error))?;
            }
        }
    }
    for (names, how) in [(read_only, "dynamically"), (per_broker, "at default cluster level")] {
        if !names.is_empty() {
            return Err(Refusal::new(
                ErrorCode::InvalidRequest,
                format!("Cannot update these configs {how}: Set({})", names.join(", ")),
            ));
        }
    }
    check_topic_defaults(view, whole_cluster, wanted)
}

/// What is set for brokers is the default of topics: it must make sense there too.
fn check_topic_defaults(
    view: View<'_>,
    whole_cluster: bool,
    wanted: &ConfigValues,
) -> Result<(), Refusal> {
    let configs = view.image.configs();
    let changed = if whole_cluster {
        let own = texts(&configs.broker(view.settings.node_id));
        view.settings.broker.with_dynamic(texts(wanted), own)
    } else {
        view.settings.broker.with_dynamic(texts(&configs.cluster()), texts(wanted))
    };
    TopicConfig::resolve(&changed, &Texts::new())
        .map(|_| ())
        .map_err(|error| refusal(ErrorCode::InvalidRequest, &error))
}

/// What holds for a topic that sets nothing itself.
fn layers(view: View<'_>) -> Settings {
    let configs = view.image.configs();
    let own = configs.broker(view.settings.node_id);
    view.settings.broker.with_dynamic(texts(&configs.cluster()), texts(&own))
}

fn texts(values: &ConfigValues) -> Texts {
    values.clone()
}

fn refusal(code: ErrorCode, error: &ConfigError) -> Refusal {
    Refusal::new(code, error.to_string())
}
