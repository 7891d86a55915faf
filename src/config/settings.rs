//! What is set, where, and what therefore holds: the layers of settings and the chains of synonyms.
//!
//! Layers, the strongest first: a topic's or group's own settings; those given at run time to this broker;
//! those given at run time to all brokers; those typed before the start; the defaults.

use std::collections::BTreeMap;
use std::sync::Arc;

use duramen_protocol::text::Text;

use super::error::ConfigError;
use super::setting::{Level, Setting, Synonym};
use super::table;
use super::value::{Value, parse};

/// Settings by name, as typed.
pub type Texts = BTreeMap<Text, Text>;

/// Where a value comes from, with Kafka's code in `DescribeConfigs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i8)]
pub enum Source {
    /// `DYNAMIC_TOPIC_CONFIG`: set for the topic.
    Topic = 1,
    /// `DYNAMIC_BROKER_CONFIG`: set at run time for this broker.
    DynamicBroker = 2,
    /// `DYNAMIC_DEFAULT_BROKER_CONFIG`: set at run time for all brokers.
    DynamicDefault = 3,
    /// `STATIC_BROKER_CONFIG`: typed before the start.
    Static = 4,
    /// `DEFAULT_CONFIG`: set nowhere.
    Default = 5,
    /// `DYNAMIC_GROUP_CONFIG`: set for the group.
    Group = 8,
}

impl Source {
    /// Kafka's code.
    pub const fn code(self) -> i8 {
        self as i8
    }
}

/// One place that gives a setting a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// The setting there, perhaps a synonym.
    pub name: &'static str,
    /// The value as it stands there, in that setting's unit.
    pub value: Text,
    /// Which layer.
    pub source: Source,
    /// How many units of the asked setting one unit of this one is.
    pub factor: i64,
}

/// The broker's layers. Cheap to clone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    typed: Arc<Texts>,
    all_brokers: Arc<Texts>,
    this_broker: Arc<Texts>,
}

impl Settings {
    /// The layers with nothing but what was typed before the start.
    pub fn new(typed: Texts) -> Self {
        Self { typed: Arc::new(typed), ..Self::default() }
    }

    /// The same start with other run-time layers: those for all brokers and those for this one.
    #[must_use]
    pub fn with_dynamic(&self, all_brokers: Texts, this_broker: Texts) -> Self {
        Self {
            typed: Arc::clone(&self.typed),
            all_brokers: Arc::new(all_brokers),
            this_broker: Arc::new(this_broker),
        }
    }

    /// What was given at run time to all brokers.
    pub fn all_brokers(&self) -> &Texts {
        &self.all_brokers
    }

    /// All places that give the broker settings of `chain` a value, the one that holds first.
    pub fn given(&self, chain: &[Synonym]) -> Vec<Given> {
        let layers = [
            (Source::DynamicBroker, &self.this_broker),
            (Source::DynamicDefault, &self.all_brokers),
            (Source::Static, &self.typed),
        ];
        let mut places = Vec::new();
        for (source, layer) in layers {
            for link in chain {
                if let Some(value) = layer.get(link.name) {
                    let (name, factor) = (link.name, link.factor);
                    places.push(Given { name, value: value.clone(), source, factor });
                }
            }
        }
        for link in chain {
            let row = table::find(Level::Broker, link.name);
            if let Some(value) = row.and_then(|row| row.default) {
                let (name, factor, source) = (link.name, link.factor, Source::Default);
                places.push(Given { name, value: value.into(), source, factor });
            }
        }
        places
    }

    /// The value of a broker setting, its synonyms in other units not considered; `None` when it
    /// is set nowhere and has no default.
    ///
    /// # Errors
    /// [`ConfigError`] when it is set to something it does not take.
    pub fn broker_value(&self, setting: &Setting) -> Result<Option<Value>, ConfigError> {
        let chain = [Synonym { name: setting.name, factor: 1 }];
        let value = self.given(&chain).into_iter().next().map(|given| given.value);
        value.map(|value| parse(setting, &value)).transpose()
    }

    /// The value that a topic or group with the settings `own` has for one of its settings: its own,
    /// or what the broker's synonyms give, converted to that setting's unit.
    ///
    /// # Errors
    /// [`ConfigError`] when it is set to something it does not take.
    pub fn own_value(&self, setting: &Setting, own: &Texts) -> Result<Option<Value>, ConfigError> {
        if let Some(value) = own.get(setting.name) {
            return parse(setting, value).map(Some);
        }
        match self.given(setting.from).into_iter().next() {
            Some(given) => converted(setting, &given).map(Some),
            None => setting.default.map(|value| parse(setting, value)).transpose(),
        }
    }
}

/// What a broker setting's value means for the setting that it is a synonym of.
fn converted(setting: &Setting, given: &Given) -> Result<Value, ConfigError> {
    let row = table::find(Level::Broker, given.name).unwrap_or(setting);
    match parse(row, &given.value)? {
        // Negative stays what it is (-1 is no limit), whatever the unit.
        Value::Number(number) if number >= 0 => {
            Ok(Value::Number(number.saturating_mul(given.factor)))
        }
        // Any negative time means no limit in the broker's settings; the topic's knows only -1.
        Value::Number(_) if setting.name == "retention.ms" => Ok(Value::Number(-1)),
        value => Ok(value),
    }
}

/// The broker settings among which the one called `name` is found, the strongest first: itself,
/// or a family like `log.retention.{ms,minutes,hours}`.
pub fn chain_of(name: &str) -> Vec<Synonym> {
    let family = table::settings(Level::Topic)
        .map(|topic| topic.from)
        .filter(|from| from.len() > 1)
        .find(|from| from.iter().any(|link| link.name == name));
    match family {
        // The scheduler's interval has a meaning of its own.
        Some(family) if name != "log.flush.scheduler.interval.ms" => family.to_vec(),
        _ => table::find(Level::Broker, name)
            .map(|row| vec![Synonym { name: row.name, factor: 1 }])
            .unwrap_or_default(),
    }
}
