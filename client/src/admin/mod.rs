//! What an administrator asks of a cluster: topics, partitions, offsets, configs, groups. Typed, one outcome per
//! thing asked for, so that one topic's error does not hide the others'.

mod cluster;
pub mod configs;
mod epochs;
mod groups;
mod leaders;
mod log_dirs;
pub mod offsets;
mod partitions;
mod producers;
mod records;
mod spread;
mod topics;

use std::collections::BTreeMap;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::Request;
use duramen_protocol::text::Text;

pub use cluster::{ClusterDescription, FeatureRange, Features};
pub use configs::{
    ConfigChange, ConfigEntry, ConfigKind, ConfigSource, ConfigSynonym, Operation, Resource,
    ResourceKind,
};
pub use epochs::{EpochEnd, EpochQuestion};
pub use groups::{
    CommittedOffset, GroupDescription, GroupKind, GroupListing, GroupMember, ListedGroup,
    MemberName,
};
pub use log_dirs::{LogDir, ReplicaSize};
pub use offsets::{OffsetAnswer, OffsetQuestion, OffsetSpec};
pub use partitions::{PageStart, PartitionDescription, PartitionsPage, TopicDescription};
pub use producers::ActiveProducer;
pub use records::{DeletedRecords, RecordsBefore};
pub use topics::{CreatedTopic, NewPartitions, NewTopic};

use crate::cluster::{Cluster, Topics};
use crate::error::ClientError;

/// What was asked about, and how it went.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Outcome<K, T> {
    /// The topic, partition or resource.
    pub about: K,
    /// What came of it.
    pub result: Result<T, ClientError>,
}

impl<K, T> Outcome<K, T> {
    /// How something went.
    pub fn new(about: K, result: Result<T, ClientError>) -> Self {
        Self { about, result }
    }
}

/// Admin calls on a cluster.
#[derive(Debug, Clone)]
pub struct Admin {
    cluster: Cluster,
}

impl Admin {
    /// Admin calls on this cluster.
    #[must_use]
    pub fn new(cluster: &Cluster) -> Self {
        Self { cluster: cluster.clone() }
    }

    /// The cluster.
    #[must_use]
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Sends a request to the controller, and again when it has moved. `build` makes the request for a
    /// version; `code` finds an error that stands for the whole answer.
    async fn on_controller<R: Request>(
        &self,
        what: &str,
        build: impl Fn(i16) -> R,
        code: impl Fn(&R::Response) -> Option<i16>,
    ) -> Result<R::Response, ClientError> {
        let (build, code) = (&build, &code);
        self.cluster
            .retrying(what, || async move {
                let connection = self.cluster.controller().await?;
                let version = connection.version_of::<R>(i16::MAX)?;
                let timeout = self.cluster.options().connection.request_timeout;
                let answer = connection.call_version(version, &build(version), timeout).await?;
                let moved = code(&answer).map(ErrorCode::from_code);
                if let Some(code @ ErrorCode::NotController) = moved {
                    self.cluster.fetch_metadata(Topics::None).await?;
                    return Err(ClientError::refused(what, code, None));
                }
                Ok(answer)
            })
            .await
    }
}

/// What was asked about, each with how it went.
fn outcomes<'a, K: Clone + 'a, T>(
    asked: impl IntoIterator<Item = &'a K>,
    results: Vec<Result<T, ClientError>>,
) -> Vec<Outcome<K, T>> {
    asked
        .into_iter()
        .cloned()
        .zip(results)
        .map(|(about, result)| Outcome { about, result })
        .collect()
}

/// The same from answers in any order; `api` names what left one out.
fn told_of<K: Clone + Ord, T: Clone>(
    asked: &[K],
    told: impl Iterator<Item = (K, Result<T, ClientError>)>,
    api: &'static str,
) -> Vec<Outcome<K, T>> {
    let told: BTreeMap<K, _> = told.collect();
    outcomes(asked, spread::in_order(asked.iter().cloned(), &told, api))
}

/// An error of an answer, about `what`.
fn check(what: &str, code: i16, message: Option<&Text>) -> Result<(), ClientError> {
    match ErrorCode::from_code(code) {
        ErrorCode::None => Ok(()),
        code => Err(ClientError::refused(what, code, message.cloned())),
    }
}

/// Milliseconds for a request's own timeout field.
fn timeout_ms(cluster: &Cluster) -> i32 {
    i32::try_from(cluster.options().connection.request_timeout.as_millis()).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests;
