//! Reads settings by name into Rust types, for the typed structs.

use std::time::Duration;

use super::error::ConfigError;
use super::setting::Level;
use super::settings::{Settings, Texts};
use super::table;
use super::value::Value;

/// Reads the settings of a broker, or of a topic on it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a> {
    settings: &'a Settings,
    topic: Option<&'a Texts>,
}

impl<'a> Reader<'a> {
    pub(super) fn broker(settings: &'a Settings) -> Self {
        Self { settings, topic: None }
    }

    pub(super) fn topic(settings: &'a Settings, own: &'a Texts) -> Self {
        Self { settings, topic: Some(own) }
    }

    pub(super) fn optional(&self, name: &str) -> Result<Option<Value>, ConfigError> {
        let level = if self.topic.is_some() { Level::Topic } else { Level::Broker };
        let unknown = || ConfigError::Unknown { name: name.to_owned(), nearest: None };
        let setting = table::find(level, name).ok_or_else(unknown)?;
        match self.topic {
            Some(own) => self.settings.own_value(setting, own),
            None => self.settings.broker_value(setting),
        }
    }

    /// The value, which the table gives a default and which `take` makes a Rust value of.
    fn value<T>(&self, name: &str, take: impl Fn(Value) -> Option<T>) -> Result<T, ConfigError> {
        let value = self.optional(name)?.and_then(take);
        value.ok_or_else(|| ConfigError::value(name, "null", "Value must be non-null"))
    }

    pub(super) fn boolean(&self, name: &str) -> Result<bool, ConfigError> {
        self.value(name, |value| if let Value::Boolean(value) = value { Some(value) } else { None })
    }

    pub(super) fn long(&self, name: &str) -> Result<i64, ConfigError> {
        self.value(name, number)
    }

    pub(super) fn int(&self, name: &str) -> Result<i32, ConfigError> {
        self.value(name, |value| i32::try_from(number(value)?).ok())
    }

    pub(super) fn optional_int(&self, name: &str) -> Result<Option<i32>, ConfigError> {
        let value = self.optional(name)?;
        Ok(value.and_then(number).and_then(|number| i32::try_from(number).ok()))
    }

    /// A number that the table bounds to be at least 0.
    pub(super) fn size(&self, name: &str) -> Result<u32, ConfigError> {
        self.value(name, |value| u32::try_from(number(value)?).ok())
    }

    /// Bytes; `None` when the number is negative, which stands for no limit.
    pub(super) fn bytes(&self, name: &str) -> Result<Option<u64>, ConfigError> {
        Ok(u64::try_from(self.long(name)?).ok())
    }

    /// Milliseconds; `None` when the number is negative or the largest, which stands for never.
    pub(super) fn duration(&self, name: &str) -> Result<Option<Duration>, ConfigError> {
        let ms = Some(self.long(name)?).filter(|ms| *ms < i64::MAX);
        Ok(ms.and_then(|ms| u64::try_from(ms).ok()).map(Duration::from_millis))
    }

    pub(super) fn double(&self, name: &str) -> Result<f64, ConfigError> {
        self.value(name, |value| if let Value::Double(value) = value { Some(value) } else { None })
    }

    pub(super) fn text(&self, name: &str) -> Result<String, ConfigError> {
        self.value(name, |value| if let Value::Text(value) = value { Some(value) } else { None })
    }

    pub(super) fn list(&self, name: &str) -> Result<Vec<String>, ConfigError> {
        self.value(name, |value| if let Value::List(value) = value { Some(value) } else { None })
    }
}

fn number(value: Value) -> Option<i64> {
    if let Value::Number(number) = value { Some(number) } else { None }
}
