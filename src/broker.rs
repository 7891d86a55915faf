//! The composition root: what is started in which order, in which order a metadata change is
//! applied, and how everything stops. Nothing else knows all the floors.
//!
//! `builder.rs` is the way in for a program that has a broker inside; `duramen serve` comes with settings.
//!
//! Start: log directories → metadata log → loader → controller → this broker's registration →
//! groups → listeners. A listener's port is taken first, so that a port in use is told before any work.
//! Stop: the reverse, after everything in flight has been answered.

mod applier;
mod builder;
mod cleaning;
mod start;
mod upkeep;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use duramen_client::transport::{Address, Connector};
use duramen_client::{ClientError, Cluster, ClusterOptions};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use builder::BrokerBuilder;
pub use start::StartError;

use crate::config::{BrokerConfig, ConfigError, Settings};
use crate::coordinator::Coordinator;
use crate::env::Env;
use crate::replication::Replicas;
use crate::server::in_process::{self, Caller};

/// A running broker, on the runtime in which it was started: [`Broker::builder`] for one inside a
/// program or a test. It installs no log subscriber, signal handler or panic hook, and several may run
/// in one process, each on directories of its own.
///
/// Stop it with [`Broker::stop`]. Dropped, it stops too, without waiting: its tasks end as soon as their
/// runtime looks at them, or with it, and let go of ports, threads and directories. That is like a crash
/// of this broker alone: what was acknowledged is safe, and the next start on its directory recovers. A
/// temporary directory is gone with it either way.
#[derive(Debug)]
pub struct Broker {
    addresses: Vec<(String, SocketAddr)>,
    http_address: Option<SocketAddr>,
    cluster_id: String,
    directory: PathBuf,
    caller: Caller,
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
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Broker {
    /// A broker inside this program: temporary and without a port, unless the builder is told
    /// otherwise.
    ///
    /// A test has a broker of its own, as real as any, and is rid of it at its end:
    ///
    /// ```
    /// use duramen::Broker;
    /// use duramen_client::{Producer, ProducerOptions, ProducerRecord};
    ///
    /// # /* not a test harness here: `main` runs it
    /// #[tokio::test]
    /// # */
    /// async fn an_order_gets_the_next_offset() {
    ///     let broker = Broker::builder().default_partitions(1).start().await.unwrap();
    ///     let producer = Producer::start(&broker.client(), ProducerOptions::default()).unwrap();
    ///     for expected in 0..3 {
    ///         let sent = producer.send(ProducerRecord::new("orders", b"apple")).await.unwrap();
    ///         assert_eq!(sent.offset, expected);
    ///     }
    /// }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() { an_order_gets_the_next_offset().await }
    /// ```
    ///
    /// It works on runtimes of one and of many threads. Paused time (`start_paused`) is not for it: its disk
    /// is real, and the clock would run ahead of it.
    ///
    /// One that stays, with a port for anyone:
    ///
    /// ```
    /// use std::time::Duration;
    /// use duramen::Broker;
    /// use duramen::config::Durability;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path();
    /// let broker = Broker::builder()
    ///     .directory(path)
    ///     .listen("127.0.0.1:0")
    ///     .durability(Durability::Disk)
    ///     .retention(Duration::from_secs(24 * 3600))
    ///     .set("compression.type", "zstd")
    ///     .start()
    ///     .await?;
    /// println!("bootstrap.servers={}", broker.bootstrap());
    /// broker.stop().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder() -> BrokerBuilder {
        BrokerBuilder::default()
    }

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

    /// The address of the first listener, for clients of any language; empty when there is none.
    pub fn bootstrap(&self) -> String {
        self.addresses.first().map(|(_, address)| address.to_string()).unwrap_or_default()
    }

    /// A client of this broker, without a socket: for producers, consumers and admin calls. It may
    /// outlive the broker; its calls fail then.
    pub fn client(&self) -> Cluster {
        let address = Address::new(in_process::HOST, in_process::PORT);
        Cluster::through(self.connector(), address)
    }

    /// [`Broker::client`] with options; their connector is replaced.
    ///
    /// # Errors
    /// When the options do not go together.
    pub fn client_with(&self, options: ClusterOptions) -> Result<Cluster, ClientError> {
        let address = Address::new(in_process::HOST, in_process::PORT);
        Cluster::at(address, options.connector(self.connector()))
    }

    /// Connects a client to this broker without a socket, whatever address it asks for.
    pub fn connector(&self) -> Connector {
        let caller = self.caller.clone();
        Connector::by(move |_| {
            let caller = caller.clone();
            async move { caller.connect().await }
        })
    }

    /// The first of its log directories.
    pub fn directory(&self) -> &Path {
        &self.directory
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
    /// trusts them. When this future is dropped before its end, it is as if the broker had been.
    pub async fn stop(self) {
        let Parts { mut doors, groups, mut controller, mut followers, mut raft, replicas } =
            self.parts;
        doors.stop().await;
        groups.stop().await;
        controller.stop().await;
        followers.stop().await;
        raft.stop().await;
        // Closing syncs every log; the last handle of a temporary directory removes it.
        let close = move || {
            replicas.close();
            drop((groups, replicas));
        };
        let _ = tokio::task::spawn_blocking(close).await;
        tracing::info!("broker stopped");
    }
}
