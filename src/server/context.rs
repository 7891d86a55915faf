//! What a handler is given: who asks, and handles to the floors below.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use duramen_protocol::text::Text;
use tokio_util::sync::CancellationToken;

use super::budget::ByteBudget;
use super::cold_reads::ColdReads;
use super::connection::Limits;
use super::fetch_session::FetchSessions;
use super::in_process;
use super::metrics::Metrics;
use super::producer_ids::ProducerIds;
use super::software::{Counted, SoftwareCounts};
use crate::config::{BrokerConfig, Settings};
use crate::controller::Controller;
use crate::coordinator::Coordinator;
use crate::env::Env;
use crate::metadata::{MetadataImage, MetadataWatch};
use crate::replication::Replicas;

/// A frame that was begun must be complete within this time, plus what a slow link needs.
const FRAME_DEADLINE: Duration = Duration::from_secs(30);

/// The floors below, as the broker hands them over.
#[derive(Debug)]
pub(crate) struct Handles {
    /// Time, disk, randomness.
    pub(crate) env: Env,
    /// The settings this broker was started with.
    pub(crate) config: Arc<BrokerConfig>,
    /// The broker's settings with what was changed at run time.
    pub(crate) settings: Arc<RwLock<Settings>>,
    /// The partitions on this broker.
    pub(crate) replicas: Arc<Replicas>,
    /// The cluster as of the last applied metadata record.
    pub(crate) metadata: MetadataWatch,
    /// The active controller.
    pub(crate) controller: Controller,
    /// The groups that this broker looks after.
    pub(crate) groups: Arc<Coordinator>,
    /// Number of this broker's registration.
    pub(crate) broker_epoch: i64,
}

/// Everything that serves requests; one per broker.
#[derive(Debug)]
pub(crate) struct Services {
    /// Time, disk, randomness.
    pub(crate) env: Env,
    /// The settings this broker was started with.
    pub(crate) config: Arc<BrokerConfig>,
    settings: Arc<RwLock<Settings>>,
    /// The partitions on this broker.
    pub(crate) replicas: Arc<Replicas>,
    metadata: MetadataWatch,
    /// The active controller.
    pub(crate) controller: Controller,
    /// The groups that this broker looks after.
    pub(crate) groups: Arc<Coordinator>,
    /// Ids for idempotent producers.
    pub(crate) producer_ids: ProducerIds,
    /// Open connections by what clients say that they are.
    pub(crate) software: SoftwareCounts,
    /// The gate to the blocking pool for what is not in memory.
    pub(crate) cold_reads: ColdReads,
    /// What is counted.
    pub(crate) metrics: Metrics,
    /// Memory for large frames, and for what is in flight.
    pub(crate) budget: ByteBudget,
    /// The bounds of each connection.
    pub(crate) limits: Limits,
    sessions: Mutex<FetchSessions>,
}

impl Services {
    /// Serves with these handles.
    pub(crate) fn new(handles: Handles) -> Self {
        let Handles { env, config, settings, replicas, metadata, controller, groups, broker_epoch } =
            handles;
        let network = &config.network;
        let bytes = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        let limits = Limits {
            frame_bytes_max: bytes(network.request_max_bytes.into()),
            in_flight_max: bytes(network.inflight_requests_max.into()),
            in_flight_bytes_max: bytes(network.inflight_bytes_max),
            idle: network.idle_max.unwrap_or(Duration::MAX),
            frame_deadline: FRAME_DEADLINE,
        };
        Self {
            budget: ByteBudget::new(network.queued_bytes_max.map_or(usize::MAX, bytes)),
            sessions: Mutex::new(FetchSessions::new(bytes(network.fetch_sessions_max.into()))),
            producer_ids: ProducerIds::new(config.node_id, broker_epoch),
            software: SoftwareCounts::default(),
            cold_reads: ColdReads::default(),
            metrics: Metrics::new(),
            limits,
            env,
            config,
            settings,
            replicas,
            metadata,
            controller,
            groups,
        }
    }

    /// The cluster as this broker sees it now.
    pub(crate) fn image(&self) -> Arc<MetadataImage> {
        self.metadata.current()
    }

    /// The broker's settings as they are now.
    pub(crate) fn settings(&self) -> Settings {
        self.settings.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Incremental fetch sessions, for a short critical section.
    pub(crate) fn sessions(&self) -> MutexGuard<'_, FetchSessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `Ok` when clients can be served, else why not, in one line.
    pub(crate) fn health(&self) -> Result<(), String> {
        self.replicas.failure(|_| true).map_or(Ok(()), Err)
    }

    /// This node's id.
    pub(crate) fn node_id(&self) -> i32 {
        self.config.node_id
    }
}

/// One end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// A socket at this address.
    Socket(SocketAddr),
    /// Memory of this process ([`super::in_process`]).
    InProcess,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(address) => address.fmt(f),
            Self::InProcess => f.write_str(in_process::HOST),
        }
    }
}

/// The two ends of a connection.
#[derive(Debug)]
pub(crate) struct Peer {
    /// Where the client connected to: what it is told to use, unless something is advertised.
    pub(crate) local: End,
    /// Where the client is.
    pub(crate) remote: End,
    /// Name of the listener.
    pub(crate) listener: Arc<str>,
    /// Cancelled when the listener stops: what can be answered at once must no longer wait.
    pub(crate) stop: CancellationToken,
    /// What the client has said that it is.
    pub(crate) software: OnceLock<Counted>,
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
    /// What the client calls itself; may be empty.
    pub(crate) client_id: Text,
}
