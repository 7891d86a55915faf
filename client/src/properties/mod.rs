//! Options from Kafka's property maps: of a `.properties` file, or of pairs from anywhere, by the names
//! that Kafka's Java clients have for them.
//!
//! | file | what lives there |
//! |---|---|
//! | [`text`] | the format of the files, pure |
//! | `table/` | one row a property: what it belongs to, what it takes, what it does, pure |
//! | `draft.rs` | what several properties come to together, pure |
//! | `nearest.rs` | what a mistyped name may mean, pure |
//!
//! Nothing is passed over in silence: a name that no client has is an error that names the nearest one, and
//! so are a value that is not understood, a property of something else, and what this client can't honour.
//! What has no effect here and does no harm is a warning. `docs/client.md` has the whole table.
//!
//! ```
//! use duramen_client::properties::Properties;
//!
//! let file = "\
//! bootstrap.servers=localhost:9092
//! linger.ms=20
//! compression.type=lz4
//! key.serializer=org.apache.kafka.common.serialization.StringSerializer
//! ";
//! let loaded = Properties::parse(file)?.set("client.id", "billing").producer()?;
//! assert_eq!(loaded.options.linger.as_millis(), 20);
//! assert_eq!(loaded.warnings.len(), 1, "keys are serialized in the program");
//!
//! let error = Properties::parse("linger=20")?.producer().unwrap_err();
//! assert_eq!(error.to_string(), "no client has a property linger; did you mean linger.ms?");
//! # Ok::<(), duramen_client::ClientError>(())
//! ```
//!
//! [`Loaded::cluster`] and the options then go to [`Producer::start`](crate::Producer::start) and the like.

mod draft;
mod error;
mod kind;
mod nearest;
mod table;
pub mod text;
mod value;

use std::fmt;

pub use error::PropertiesError;
pub use kind::Kind;
pub use nearest::nearest_name;
pub use table::markdown;

use crate::cluster::{Cluster, ClusterOptions};
use crate::consumer::ConsumerOptions;
use crate::consumer::group::GroupOptions;
use crate::error::ClientError;
use crate::producer::ProducerOptions;
use draft::Draft;

/// Names and values, in order; of a name that comes twice the last one holds.
#[derive(Clone, Default)]
pub struct Properties {
    pairs: Vec<(String, String)>,
}

/// What was made of properties.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Loaded<T> {
    /// `bootstrap.servers`, if it was there.
    pub bootstrap: Option<String>,
    /// Options of the cluster.
    pub connect: ClusterOptions,
    /// Options of what was wanted.
    pub options: T,
    /// Properties without effect, one line each: for a log.
    pub warnings: Vec<String>,
}

impl<T> Loaded<T> {
    /// The cluster; nothing is connected yet.
    ///
    /// # Errors
    /// [`PropertiesError::Missing`] without `bootstrap.servers`.
    pub fn cluster(&self) -> Result<Cluster, ClientError> {
        const MISSING: PropertiesError = PropertiesError::Missing {
            name: "bootstrap.servers",
            why: "say where a broker is, as localhost:9092",
        };
        Cluster::new(self.bootstrap.as_deref().ok_or(MISSING)?, self.connect.clone())
    }
}

impl Properties {
    /// Those of a file's text.
    ///
    /// # Errors
    /// [`PropertiesError::Escape`] for a malformed `\u`.
    pub fn parse(text: &str) -> Result<Self, ClientError> {
        let lines = text::parse(text).map_err(PropertiesError::from)?;
        Ok(lines.into_iter().map(|line| (line.name, line.value)).collect())
    }

    /// Sets one, over what was there.
    #[must_use]
    pub fn set(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.pairs.push((name.into(), value.into()));
        self
    }

    /// Options of a cluster, for admin calls.
    ///
    /// # Errors
    /// [`ClientError::Properties`], or [`ClientError::Options`] when they do not go together.
    pub fn client(&self) -> Result<Loaded<()>, ClientError> {
        Ok(self.load(Kind::Client)?.loaded(()))
    }

    /// Options of a producer.
    ///
    /// # Errors
    /// As [`Properties::client`].
    pub fn producer(&self) -> Result<Loaded<ProducerOptions>, ClientError> {
        let draft = self.load(Kind::Producer)?;
        draft.producer.check()?;
        let options = draft.producer.clone();
        Ok(draft.loaded(options))
    }

    /// Options of a consumer without a group.
    ///
    /// # Errors
    /// As [`Properties::client`].
    pub fn consumer(&self) -> Result<Loaded<ConsumerOptions>, ClientError> {
        let draft = self.load(Kind::Consumer)?;
        draft.consumer.check()?;
        let options = draft.consumer.clone();
        Ok(draft.loaded(options))
    }

    /// Options of a member of a group.
    ///
    /// # Errors
    /// As [`Properties::client`]; [`PropertiesError::Missing`] without `group.id`.
    pub fn group(&self) -> Result<Loaded<GroupOptions>, ClientError> {
        let draft = self.load(Kind::Group)?;
        if draft.group.group.is_empty() {
            let why = "give the group a name, or load a consumer without a group";
            return Err(PropertiesError::Missing { name: "group.id", why }.into());
        }
        draft.group.check()?;
        let options = draft.group.clone();
        Ok(draft.loaded(options))
    }

    fn load(&self, wanted: Kind) -> Result<Draft, ClientError> {
        let mut draft = Draft::new(wanted);
        for (at, (name, value)) in self.pairs.iter().enumerate() {
            let row = table::find(name, wanted)?;
            let is_last = !self.pairs.iter().skip(at + 1).any(|(later, _)| later == name);
            if is_last {
                row.read(name, value, &mut draft)?;
            }
        }
        draft.finish(|name| self.pairs.iter().any(|(given, _)| given == name));
        draft.cluster.check()?;
        Ok(draft)
    }
}

impl Draft {
    fn loaded<T>(self, options: T) -> Loaded<T> {
        let Self { bootstrap, cluster, warnings, .. } = self;
        Loaded { bootstrap, connect: cluster, options, warnings }
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Properties {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let pair = |(name, value): (N, V)| (name.into(), value.into());
        Self { pairs: pairs.into_iter().map(pair).collect() }
    }
}

impl fmt::Debug for Properties {
    /// The names only: values may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.pairs.iter().map(|(name, _)| name)).finish()
    }
}

#[cfg(test)]
mod tests;
