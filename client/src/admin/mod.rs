//! What an administrator asks of a cluster: topics, partitions, offsets, configs, groups. Typed, one outcome per
//! thing asked for, so that one topic's error does not hide the others'.

pub mod configs;
mod groups;
mod log_dirs;
pub mod offsets;
mod records;
mod topics;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::{DescribeClusterRequest, Request};
use duramen_protocol::text::Text;

pub use configs::{ConfigChange, ConfigEntry, ConfigSource, Operation, Resource};
pub use groups::{
    CommittedOffset, GroupDescription, GroupKind, GroupMember, ListedGroup, MemberName,
};
pub use log_dirs::{LogDir, ReplicaSize};
pub use offsets::{OffsetAnswer, OffsetQuestion};
pub use records::{DeletedRecords, RecordsBefore};
pub use topics::{CreatedTopic, NewTopic};

use crate::cluster::{Broker, Cluster, Topics};
use crate::consumer::Isolation;
use crate::error::ClientError;
use crate::transport::Address;

/// What was asked about, and how it went.
#[derive(Debug, Clone)]
pub struct Outcome<K, T> {
    /// The topic, partition or resource.
    pub about: K,
    /// What came of it.
    pub result: Result<T, ClientError>,
}

/// The brokers, as one of them tells.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClusterDescription {
    /// The cluster's id.
    pub cluster_id: Text,
    /// The broker that takes changes of topics and configs.
    pub controller: Option<i32>,
    /// The live brokers.
    pub brokers: Vec<Broker>,
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

    /// Offsets at times or ends of partitions; see [`offsets`].
    ///
    /// # Errors
    /// When no broker answers, or a topic does not exist.
    pub async fn list_offsets(
        &self,
        isolation: Isolation,
        questions: Vec<OffsetQuestion>,
    ) -> Result<Vec<OffsetAnswer>, ClientError> {
        offsets::list_offsets(&self.cluster, isolation, questions).await
    }

    /// The cluster's id and live brokers.
    ///
    /// # Errors
    /// When no broker answers.
    pub async fn describe_cluster(&self) -> Result<ClusterDescription, ClientError> {
        let request = &DescribeClusterRequest { endpoint_type: 1, ..Default::default() };
        let answer = self
            .cluster
            .retrying("describe cluster", || async move {
                let answer = self.cluster.any().await?.call(request).await?;
                check("cluster", answer.error_code, answer.error_message.as_ref())?;
                Ok(answer)
            })
            .await?;
        let brokers = answer.brokers.into_iter().map(|broker| Broker {
            id: broker.broker_id,
            address: Address {
                host: broker.host.to_string(),
                port: u16::try_from(broker.port).unwrap_or(0),
            },
            rack: broker.rack,
        });
        Ok(ClusterDescription {
            cluster_id: answer.cluster_id,
            controller: Some(answer.controller_id).filter(|id| *id >= 0),
            brokers: brokers.collect(),
        })
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
