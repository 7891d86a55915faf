//! The composition root: what is started in which order, in which order a metadata change is
//! applied, and how everything stops. Nothing else knows all the floors.
//!
//! Start: log directories → metadata log → loader → controller → this broker's registration →
//! groups → listeners. A listener's port is taken first, so that a port in use is told before any work.
//! Stop: the reverse, after everything in flight has been answered.

mod applier;
mod cleaning;
mod start;
mod upkeep;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use start::StartError;

use crate::config::{BrokerConfig, ConfigError, Settings};
use crate::coordinator::Coordinator;
use crate::env::Env;
use crate::replication::Replicas;

/// A running broker. Stop it with [`Broker::stop`]; dropping it without that is like a crash of
/// this broker alone: what was acknowledged is safe, and the next start recovers.
#[derive(Debug)]
pub struct Broker {
    addresses: Vec<(String, SocketAddr)>,
    http_address: Option<SocketAddr>,
    cluster_id: String,
    parts: Parts,
}

/// What runs, in the order in which it is stopped.
#[derive(Debug)]
struct Parts {
    /// Listeners, their connections, and HTTP.
    doors: Group,
    groups: Arc<Coordinator>,
    /// The controller.
    controller: Group,
    /// Loader, applier, upkeep, compaction.
    followers: Group,
    /// The metadata log's driver.
    raft: Group,
    replicas: Arc<Replicas>,
}

/// Tasks that stop together.
#[derive(Debug, Default)]
struct Group {
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Group {
    fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.push(tokio::spawn(task));
    }

    /// Tells the tasks to stop and waits until they have.
    async fn stop(&mut self) {
        self.stop.cancel();
        for task in self.tasks.drain(..) {
            // A task that panicked has said so already, and there is nothing left of it to stop.
            let _ = task.await;
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Broker {
    /// Starts a broker on this machine with `settings`, and returns once clients are served.
    ///
    /// # Errors
    ///
    /// [`StartError`], each in one line that says what to do.
    pub async fn start(settings: Settings) -> Result<Self, StartError> {
        Self::start_in(Env::real(), settings).await
    }

    /// Starts a broker in a given world; see [`Broker::start`].
    ///
    /// # Errors
    ///
    /// As [`Broker::start`].
    pub async fn start_in(env: Env, settings: Settings) -> Result<Self, StartError> {
        start::start(env, settings).await
    }

    /// What the settings come to, without starting anything.
    ///
    /// # Errors
    ///
    /// As [`BrokerConfig::resolve`].
    pub fn check(settings: &Settings) -> Result<BrokerConfig, ConfigError> {
        BrokerConfig::resolve(settings)
    }

    /// Names and addresses of the listeners; a port that was asked for as 0 has its number here.
    pub fn addresses(&self) -> &[(String, SocketAddr)] {
        &self.addresses
    }

    /// The address of the first listener, for a client in this process.
    pub fn bootstrap(&self) -> String {
        self.addresses.first().map(|(_, address)| address.to_string()).unwrap_or_default()
    }

    /// Where metrics and health are served, unless that is switched off.
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.http_address
    }

    /// The cluster's id.
    pub fn cluster_id(&self) -> &str {
        &self.cluster_id
    }

    /// Stops: no new requests, everything in flight answered, logs closed so that the next start
    /// trusts them.
    pub async fn stop(mut self) {
        self.parts.doors.stop().await;
        self.parts.groups.stop().await;
        self.parts.controller.stop().await;
        self.parts.followers.stop().await;
        self.parts.raft.stop().await;
        let replicas = Arc::clone(&self.parts.replicas);
        // Closing syncs every log.
        let _ = tokio::task::spawn_blocking(move || replicas.close()).await;
        tracing::info!("broker stopped");
    }
}
