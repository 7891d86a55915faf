//! What can be wrong with properties.

use super::kind::Kind;
use super::text::EscapeError;

/// Why properties are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PropertiesError {
    /// A malformed file.
    #[error(transparent)]
    Escape(#[from] EscapeError),
    /// A name that neither Kafka's clients nor this one have.
    #[error("no client has a property {name}{}", suggestion(*nearest))]
    Unknown {
        /// As given.
        name: String,
        /// What may have been meant.
        nearest: Option<&'static str>,
    },
    /// A name that something else has.
    #[error("{name} belongs to {of}, not to {wanted}: leave it out here")]
    OfAnother {
        /// Kafka's name.
        name: &'static str,
        /// What it belongs to.
        of: Kind,
        /// What was to be made.
        wanted: Kind,
    },
    /// Something of Kafka's clients that this one does not do, and that can't be left out without harm.
    #[error("{name}: {why}")]
    NotHere {
        /// As given.
        name: String,
        /// What is missing, and what to do instead.
        why: &'static str,
    },
    /// A value that its property does not take.
    #[error("{name}: \"{value}\" is not understood; it takes {allowed}")]
    Value {
        /// Kafka's name.
        name: &'static str,
        /// As given.
        value: String,
        /// What it takes, with the unit.
        allowed: String,
    },
    /// A property without which nothing can be made.
    #[error("{name} is missing: {why}")]
    Missing {
        /// Kafka's name.
        name: &'static str,
        /// What it is needed for.
        why: &'static str,
    },
}

fn suggestion(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |nearest| format!("; did you mean {nearest}?"))
}
