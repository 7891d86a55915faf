//! What a handler is given: who asks, and handles to the floors below.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use duramen_protocol::text::Text;

use super::budget::ByteBudget;
use super::connection::Limits;
use super::fetch_session::FetchSessions;
use super::metrics::Metrics;
use crate::config::BrokerConfig;
use crate::controller::Controller;
use crate::env::Env;
use crate::metadata::{MetadataImage, MetadataWatch};
use crate::replication::Replicas;

/// The bounds of the server as a whole.
#[derive(Debug, Clone)]
pub(crate) struct ServerLimits {
    /// The bounds of each connection.
    pub(crate) connection: Limits,
    /// Open connections at most (`max.connections`).
    pub(crate) connections_max: i64,
}

/// Handles to everything that serves requests; one per broker.
#[derive(Debug)]
pub(crate) struct Services {
    /// Time, disk, randomness.
    pub(crate) env: Env,
    /// The settings this broker was started with.
    pub(crate) config: Arc<BrokerConfig>,
    /// The partitions on this broker.
    pub(crate) replicas: Arc<Replicas>,
    /// The cluster as of the last applied metadata record.
    pub(crate) metadata: MetadataWatch,
    /// The active controller.
    pub(crate) controller: Controller,
    /// Incremental fetch sessions; held for short critical sections only.
    pub(crate) sessions: Mutex<FetchSessions>,
    /// What is counted.
    pub(crate) metrics: Arc<Metrics>,
    /// Memory for large frames.
    pub(crate) budget: ByteBudget,
    /// Bounds.
    pub(crate) limits: ServerLimits,
}

impl Services {
    /// The cluster as this broker sees it now.
    pub(crate) fn image(&self) -> Arc<MetadataImage> {
        self.metadata.current()
    }
}

/// The two ends of a connection.
#[derive(Debug)]
pub(crate) struct Peer {
    /// The address that the client connected to: what it is told to use, unless one is advertised.
    pub(crate) local: SocketAddr,
    /// Where the client is.
    pub(crate) remote: SocketAddr,
    /// Name of the listener.
    pub(crate) listener: Arc<str>,
}

/// One request's surroundings. Cloning is cheap.
#[derive(Debug, Clone)]
pub(crate) struct RequestContext {
    /// Handles to the floors below.
    pub(crate) services: Arc<Services>,
    /// Who asks.
    pub(crate) peer: Arc<Peer>,
    /// Version of the request, within the range served.
    pub(crate) api_version: i16,
    /// The name that the client gives itself.
    pub(crate) client_id: Option<Text>,
}
