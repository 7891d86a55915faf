//! The cluster as a whole: its brokers, and the features that it runs.

use duramen_protocol::messages::describe_cluster::DescribeClusterBroker;
use duramen_protocol::messages::{ApiVersionsRequest, DescribeClusterRequest};
use duramen_protocol::text::Text;

use super::{Admin, check};
use crate::cluster::Broker;
use crate::error::ClientError;
use crate::transport::Address;

/// The first version that tells of fenced brokers.
const WITH_FENCED: i16 = 2;
/// The endpoints asked for are those of brokers.
const BROKERS: i8 = 1;

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
    /// Registered brokers that are fenced: stopped, cut off or not ready yet. Empty when the broker is too
    /// old to say.
    pub fenced: Vec<Broker>,
}

/// What a cluster may run, and does (KIP-584).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Features {
    /// What the broker that was asked could run.
    pub supported: Vec<FeatureRange>,
    /// What is in force in the whole cluster.
    pub finalized: Vec<FeatureRange>,
    /// Since when, in epochs of the metadata log; `None` when the broker does not know.
    pub finalized_epoch: Option<i64>,
}

/// A feature and its levels.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FeatureRange {
    /// Kafka's name, as `metadata.version`.
    pub name: Text,
    /// The lowest level.
    pub min: i16,
    /// The highest level.
    pub max: i16,
}

impl Admin {
    /// The cluster's id and brokers.
    ///
    /// # Errors
    /// When no broker answers.
    pub async fn describe_cluster(&self) -> Result<ClusterDescription, ClientError> {
        let answer = self
            .cluster
            .retrying("describe cluster", || async move {
                let connection = self.cluster.any().await?;
                let version = connection.version_of::<DescribeClusterRequest>(i16::MAX)?;
                let request = DescribeClusterRequest {
                    endpoint_type: BROKERS,
                    include_fenced_brokers: version >= WITH_FENCED,
                    ..DescribeClusterRequest::default()
                };
                let answer = connection.call(&request).await?;
                check("cluster", answer.error_code, answer.error_message.as_ref())?;
                Ok(answer)
            })
            .await?;
        let (fenced, live): (Vec<_>, Vec<_>) =
            answer.brokers.into_iter().partition(|broker| broker.is_fenced);
        Ok(ClusterDescription {
            cluster_id: answer.cluster_id,
            controller: Some(answer.controller_id).filter(|id| *id >= 0),
            brokers: live.into_iter().map(broker).collect(),
            fenced: fenced.into_iter().map(broker).collect(),
        })
    }

    /// The features that a broker supports and the cluster runs.
    ///
    /// # Errors
    /// When no broker answers.
    pub async fn describe_features(&self) -> Result<Features, ClientError> {
        let request = &ApiVersionsRequest {
            client_software_name: Text::from("duramen-client"),
            client_software_version: Text::from(env!("CARGO_PKG_VERSION")),
        };
        let answer = self
            .cluster
            .retrying("describe features", || async move {
                let answer = self.cluster.any().await?.call(request).await?;
                check("features", answer.error_code, None)?;
                Ok(answer)
            })
            .await?;
        let supported = answer.supported_features.into_iter().map(|told| FeatureRange {
            name: told.name,
            min: told.min_version,
            max: told.max_version,
        });
        let finalized = answer.finalized_features.into_iter().map(|told| FeatureRange {
            name: told.name,
            min: told.min_version_level,
            max: told.max_version_level,
        });
        Ok(Features {
            supported: supported.collect(),
            finalized: finalized.collect(),
            finalized_epoch: Some(answer.finalized_features_epoch).filter(|epoch| *epoch >= 0),
        })
    }
}

fn broker(told: DescribeClusterBroker) -> Broker {
    Broker {
        id: told.broker_id,
        address: Address {
            host: told.host.to_string(),
            port: u16::try_from(told.port).unwrap_or(0),
        },
        rack: told.rack,
    }
}
