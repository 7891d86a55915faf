//! What can be wrong with settings.

use duramen_client::properties::text::EscapeError;

/// Why a setting is refused. The first four have Kafka's own wording, for they go to Kafka clients.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A value that its setting does not take.
    #[error("Invalid value {value} for configuration {name}: {reason}")]
    Value {
        /// The setting.
        name: String,
        /// The value as typed.
        value: String,
        /// What would be right.
        reason: String,
    },
    /// A list that its setting does not take.
    #[error("Configuration '{name}' {reason}")]
    List {
        /// The setting.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Settings that are right one by one but not together.
    #[error("{0}")]
    Conflict(String),
    /// A setting of a topic or group that does not exist.
    #[error("Unknown {of} config name: {name}{}", suggestion(.nearest.as_ref()))]
    UnknownOwn {
        /// `topic` or `group`.
        of: &'static str,
        /// As typed.
        name: String,
        /// What may have been meant.
        nearest: Option<String>,
    },
    /// A broker setting that does not exist.
    #[error("unknown setting `{name}`{}", suggestion(.nearest.as_ref()))]
    Unknown {
        /// As typed.
        name: String,
        /// What may have been meant.
        nearest: Option<String>,
    },
    /// Something typed that is no `NAME=VALUE`.
    #[error("`{0}` is not of the form NAME=VALUE")]
    NotNameValue(String),
    /// A malformed properties file.
    #[error(transparent)]
    Escape(EscapeError),
    /// Any of the above, with the place where the setting was typed.
    #[error("{place}: {error}")]
    At {
        /// File and line, variable, or flag.
        place: String,
        /// What is wrong there.
        error: Box<Self>,
    },
}

impl ConfigError {
    pub(super) fn value(name: &str, value: &str, reason: impl Into<String>) -> Self {
        Self::Value { name: name.to_owned(), value: value.to_owned(), reason: reason.into() }
    }

    pub(super) fn list(name: &str, reason: impl Into<String>) -> Self {
        Self::List { name: name.to_owned(), reason: reason.into() }
    }

    pub(super) fn at(self, place: impl Into<String>) -> Self {
        Self::At { place: place.into(), error: Box::new(self) }
    }
}

fn suggestion(nearest: Option<&String>) -> String {
    nearest.map_or_else(String::new, |nearest| format!("; did you mean `{nearest}`?"))
}
