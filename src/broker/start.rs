//! Starting, step by step.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, PoisonError, RwLock, Weak};
use std::time::Duration;

use duramen_protocol::ids::TopicPartition;
use duramen_protocol::text::Text;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tracing::{error, info};

use super::applier::Applier;
use super::{Broker, Group, Parts, cleaning, upkeep};
use crate::config::listeners::HostPort;
use crate::config::{BrokerConfig, ConfigError, Settings};
use crate::controller::task::Bootstrap;
use crate::controller::{self, Command, Controller, ControllerError, RegisterBroker, Reply};
use crate::coordinator::{Coordinator, CoordinatorParts};
use crate::env::Env;
use crate::http;
use crate::metadata::MetadataWatch;
use crate::metadata::image::brokers::Endpoint;
use crate::metadata::loader::{self, LoaderOptions};
use crate::raft::log::{FlushSignal, metadata_log_config, metadata_partition};
use crate::raft::single::{self, SingleOptions};
use crate::replication::Replicas;
use crate::server::in_process::{self, Caller};
use crate::server::listener::{self, Door};
use crate::server::{self, Handles, Services};
use crate::storage::{
    Hooks, Log, LogDir, LogDirOptions, OpenError, SpaceMarks, StorageError, UnrecoveredLog,
};

/// How long the parts of one process may take to find each other.
const START_TIMEOUT: Duration = Duration::from_secs(600);

/// How long a start that failed waits for the error behind its error.
const CAUSE_TIMEOUT: Duration = Duration::from_secs(1);

/// How often a start looks whether the disk of the metadata log still works.
const FAILURE_CHECK: Duration = Duration::from_millis(50);

/// Why a broker did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The settings are wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A port can't be had.
    #[error("cannot listen on {address}: {reason}")]
    Listen {
        /// What was asked for.
        address: String,
        /// Why not, and what to do.
        reason: String,
    },
    /// A directory for a broker that need not last can't be made.
    #[error("no temporary directory: {0}")]
    Temporary(#[from] std::io::Error),
    /// A log directory can't be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A log can't be read or written.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// There are logs, but nothing that tells whose they are.
    #[error(
        "there are logs of {logs} partitions, {example} among them, but no metadata log at {}: put \
         that directory back from a copy, or move the logs away to begin anew",
        missing.display()
    )]
    MetadataLost {
        /// How many logs there are.
        logs: usize,
        /// One of them.
        example: TopicPartition,
        /// Where the metadata log should be.
        missing: PathBuf,
    },
    /// The metadata can't be brought up to date.
    #[error("{0}")]
    Metadata(String),
}

impl From<ControllerError> for StartError {
    fn from(error: ControllerError) -> Self {
        Self::Metadata(error.to_string())
    }
}

/// Log directories that are open, and what lies in them.
struct Opened {
    dirs: Vec<LogDir>,
    found: Vec<UnrecoveredLog>,
    metadata_log: Log,
    cluster_id: String,
}

/// Those who must hear from the threads of the log directories, once they exist.
#[derive(Debug, Clone, Default)]
struct Listening {
    replicas: Arc<OnceLock<Weak<Replicas>>>,
    metadata: FlushSignal,
}

/// Everything that is bound before any work is done.
struct Doors {
    clients: Vec<(String, TcpListener)>,
    http: Option<TcpListener>,
}

pub(super) async fn start(env: Env, settings: Settings) -> Result<Broker, StartError> {
    let began = env.clock.now();
    let config = Arc::new(BrokerConfig::resolve(&settings)?);
    let doors = bind(&config).await?;
    let listening = Listening::default();
    let opened = {
        let (env, config, listening) = (env.clone(), Arc::clone(&config), listening.clone());
        tokio::task::spawn_blocking(move || open(&env, &config, &listening))
            .await
            .map_err(|error| StartError::Metadata(error.to_string()))??
    };
    let Opened { dirs, found, metadata_log, cluster_id } = opened;
    let expiration_ms = config.log.producer_expiration_ms;
    let replicas = Arc::new(Replicas::new(config.node_id, expiration_ms, dirs, found));
    // Set once, here.
    let _ = listening.replicas.set(Arc::downgrade(&replicas));

    let shared = Arc::new(RwLock::new(settings));
    let groups = coordinator(&env, &config, &replicas);
    let planning = Planning {
        env: &env,
        config: &config,
        settings: &shared,
        replicas: &replicas,
        groups: &groups,
    };
    let mut plane = planning.start(metadata_log, listening.metadata, &cluster_id);
    let broker_epoch = enrol(&planning, &mut plane, &cluster_id, &doors).await?;
    // This broker's registration is behind all that was written before.
    groups.open();
    let stop = plane.followers.stop.clone();
    plane.followers.spawn(upkeep::run(
        env.clone(),
        config.log.clone(),
        Arc::clone(&replicas),
        stop,
    ));
    let cleaned = (Arc::clone(&shared), Arc::clone(&replicas));
    plane.followers.spawn(cleaning::run(env.clone(), cleaned, plane.followers.stop.clone()));
    let services = Arc::new(Services::new(Handles {
        env: env.clone(),
        config,
        settings: shared,
        replicas: Arc::clone(&replicas),
        metadata: plane.metadata,
        controller: plane.controller,
        groups: Arc::clone(&groups),
        broker_epoch,
    }));
    let opened = open_doors(doors, &services)?;
    let ms = u64::try_from(env.clock.now().saturating_sub(began).as_millis()).unwrap_or(u64::MAX);
    info!(
        version = env!("CARGO_PKG_VERSION"), node = services.node_id(), cluster = %cluster_id,
        partitions = replicas.all().len(), ms, "broker started"
    );
    let Plane { raft, followers, controllers, .. } = plane;
    let OpenDoors { doors, addresses, http_address, caller } = opened;
    let parts = Parts { doors, groups, controller: controllers, followers, raft, replicas };
    let directory = services.config.log.dirs.first().cloned().unwrap_or_default();
    Ok(Broker { addresses, http_address, cluster_id, directory, caller, parts })
}

/// Makes this broker known, and finds the reason when that fails; its broker epoch.
async fn enrol(
    planning: &Planning<'_>,
    plane: &mut Plane,
    cluster_id: &str,
    doors: &Doors,
) -> Result<i64, StartError> {
    let Planning { env, config, replicas, .. } = planning;
    let registered = tokio::select! {
        // Without its disk the metadata log can't go on, and only the disk says why.
        failure = failure_of(replicas, &config.metadata.dir) => {
            return Err(StartError::Metadata(failure));
        }
        registered = register(env, config, &plane.controller, cluster_id, doors) => registered,
    };
    match registered {
        Ok(epoch) => Ok(epoch),
        Err(error) => {
            let of_disk = replicas.failure(|path| path == config.metadata.dir);
            Err(match of_disk {
                Some(failure) => StartError::Metadata(failure),
                None => plane.cause_of(error).await,
            })
        }
    }
}

/// The coordinator of groups, which begins nothing yet.
fn coordinator(env: &Env, config: &BrokerConfig, replicas: &Arc<Replicas>) -> Arc<Coordinator> {
    Arc::new(Coordinator::new(CoordinatorParts {
        env: env.clone(),
        node_id: config.node_id,
        config: config.groups.clone(),
        replicas: Arc::clone(replicas),
    }))
}

/// Completes when the directory fails, with the reason.
async fn failure_of(replicas: &Replicas, dir: &Path) -> String {
    loop {
        if let Some(failure) = replicas.failure(|path| path == dir) {
            return failure;
        }
        tokio::time::sleep(FAILURE_CHECK).await;
    }
}

/// What the metadata plane is made of.
struct Planning<'a> {
    env: &'a Env,
    config: &'a Arc<BrokerConfig>,
    settings: &'a Arc<RwLock<Settings>>,
    replicas: &'a Arc<Replicas>,
    groups: &'a Arc<Coordinator>,
}

/// The metadata log, those who follow it, and the controller that writes to it.
struct Plane {
    raft: Group,
    followers: Group,
    controllers: Group,
    metadata: MetadataWatch,
    controller: Controller,
    /// Tells why metadata changes are no longer followed.
    unfollowed: oneshot::Receiver<String>,
}

impl Plane {
    /// What is behind the controller's error: without metadata it can do nothing, and says only that.
    async fn cause_of(&mut self, error: StartError) -> StartError {
        match tokio::time::timeout(CAUSE_TIMEOUT, &mut self.unfollowed).await {
            Ok(Ok(cause)) => StartError::Metadata(cause),
            _ => error,
        }
    }
}

impl Planning<'_> {
    fn start(&self, log: Log, flushed: FlushSignal, cluster_id: &str) -> Plane {
        let (mut raft, mut followers, mut controllers) =
            (Group::default(), Group::default(), Group::default());
        let (handle, committed, driver) = single::new(SingleOptions {
            node_id: self.config.node_id,
            env: self.env.clone(),
            dir: self.config.metadata.dir.join(metadata_partition().to_string()),
            log,
            flushed,
        });
        raft.spawn(driver.run(raft.stop.clone()));

        let (deltas, to_apply) = mpsc::channel(1);
        let snapshot_after_bytes = self.config.metadata.snapshot_bytes;
        let options = LoaderOptions { snapshot_after_bytes };
        let (metadata, loader) = loader::new(committed, handle.clone(), deltas, options);
        let applier = Applier {
            node_id: self.config.node_id,
            replicas: Arc::clone(self.replicas),
            settings: Arc::clone(self.settings),
            groups: Arc::clone(self.groups),
            fallback: self.config.topic_defaults.clone(),
        };
        followers.spawn(applier.run(to_apply, followers.stop.clone()));
        let stop = followers.stop.clone();
        let (tell, unfollowed) = oneshot::channel();
        followers.spawn(async move {
            if let Err(error) = loader.run(stop).await {
                error!(%error, "metadata changes are no longer followed; restart the broker");
                // Only a start that failed wants to know.
                let _ = tell.send(error.to_string());
            }
        });

        let (random, settings) = (self.env.random.clone(), self.controller_settings());
        let (controller, task) = controller::task::new(handle, metadata.clone(), settings, random);
        let bootstrap = Bootstrap { cluster_id: cluster_id.to_owned(), features: Vec::new() };
        let stop = controllers.stop.clone();
        controllers.spawn(async move {
            if let Err(error) = task.run(bootstrap, stop).await {
                error!(%error, "the controller has stopped; restart the broker");
            }
        });
        Plane { raft, followers, controllers, metadata, controller, unfollowed }
    }

    fn controller_settings(&self) -> controller::decide::Settings {
        let topics = &self.config.topics;
        controller::decide::Settings {
            num_partitions: topics.partitions,
            default_replication_factor: topics.replication_factor,
            delete_topic_enable: topics.delete_enable,
            node_id: self.config.node_id,
            broker: self.settings.read().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}

async fn bind(config: &BrokerConfig) -> Result<Doors, StartError> {
    let mut clients = Vec::new();
    for listener in &config.listeners.clients {
        let name = if listener.name.is_empty() { "PLAINTEXT" } else { &listener.name };
        clients.push((name.to_owned(), bind_one(&listener.address, "--listen").await?));
    }
    let http = match &config.listeners.http {
        Some(address) => Some(bind_one(address, "--http").await?),
        None => None,
    };
    Ok(Doors { clients, http })
}

async fn bind_one(address: &HostPort, option: &str) -> Result<TcpListener, StartError> {
    let host = if address.host.is_empty() { "0.0.0.0" } else { &address.host };
    TcpListener::bind((host, address.port)).await.map_err(|error| {
        let reason = match error.kind() {
            std::io::ErrorKind::AddrInUse => {
                format!("the port is in use; stop what uses it, or choose another with {option}")
            }
            std::io::ErrorKind::PermissionDenied => {
                format!("this user may not use the port; choose one above 1023 with {option}")
            }
            std::io::ErrorKind::AddrNotAvailable => {
                format!("this machine has no such address; choose another with {option}")
            }
            _ => error.to_string(),
        };
        StartError::Listen { address: address.to_string(), reason }
    })
}

/// Opens the log directories and recovers the metadata log. Blocks.
fn open(env: &Env, config: &BrokerConfig, listening: &Listening) -> Result<Opened, StartError> {
    let mut opened: Vec<LogDir> = Vec::new();
    let mut found = Vec::new();
    let mut paths = config.log.dirs.clone();
    if !paths.contains(&config.metadata.dir) {
        paths.push(config.metadata.dir.clone());
    }
    for path in &paths {
        let cluster_id = opened.first().map(|dir| dir.meta().cluster_id.clone());
        let options = LogDirOptions {
            node_id: config.node_id,
            cluster_id,
            hooks: listening.hooks(),
            space: SpaceMarks { low: config.log.free_low_bytes, high: config.log.free_high_bytes },
            ..LogDirOptions::default()
        };
        let dir = LogDir::open(env, path, options)?;
        found.extend(dir.unrecovered()?);
        opened.push(dir);
    }
    let cluster_id = opened.first().map(|dir| dir.meta().cluster_id.clone()).unwrap_or_default();
    let at = found.iter().position(|log| *log.topic_partition() == metadata_partition());
    let log_config = metadata_log_config(config.metadata.segment_bytes);
    let id = duramen_protocol::ids::METADATA_TOPIC_ID;
    let metadata_log = match at {
        Some(at) => found.swap_remove(at).recover(id, log_config)?.log,
        // Taken for strays, all of them would be lost from sight.
        None if !found.is_empty() => {
            let example = found.swap_remove(0).topic_partition().clone();
            let missing = config.metadata.dir.join(metadata_partition().to_string());
            return Err(StartError::MetadataLost { logs: found.len() + 1, example, missing });
        }
        None => {
            let home = opened.iter().find(|dir| dir.path() == config.metadata.dir);
            let home = home.ok_or(StorageError::Closed)?;
            let log = home.create_log(&metadata_partition(), id, log_config)?;
            // What Raft keeps beside it must last before its first record does.
            home.sync_names()?;
            log
        }
    };
    Ok(Opened { dirs: opened, found, metadata_log, cluster_id })
}

impl Listening {
    fn hooks(&self) -> Hooks {
        let (durable, offline) = (self.clone(), self.clone());
        Hooks {
            durable: Some(Arc::new(move |partition, _| {
                if *partition == metadata_partition() {
                    durable.metadata.wake();
                } else if let Some(replicas) = durable.replicas() {
                    replicas.on_durable(partition);
                }
            })),
            offline: Some(Arc::new(move |path, _| {
                offline.metadata.wake();
                // The write that failed may have been made under a partition's lock, which this takes.
                if let Some(replicas) = offline.replicas() {
                    let path = path.to_owned();
                    std::thread::spawn(move || replicas.on_offline(&path));
                }
            })),
        }
    }

    fn replicas(&self) -> Option<Arc<Replicas>> {
        self.replicas.get().and_then(Weak::upgrade)
    }
}

/// Makes this broker known to the cluster; returns its broker epoch.
async fn register(
    env: &Env,
    config: &BrokerConfig,
    controller: &Controller,
    cluster_id: &str,
    doors: &Doors,
) -> Result<i64, StartError> {
    let endpoints = doors.clients.iter().map(|(name, listener)| {
        let bound = listener.local_addr().ok();
        let advertised = config.listeners.advertised_for(name);
        let port = advertised.map_or(bound.map_or(0, |address| address.port()), |it| it.port);
        let host = advertised.map_or_else(
            || bound.map(|address| address.ip().to_string()).unwrap_or_default(),
            |it| it.host.clone(),
        );
        Endpoint { name: Text::from(name.as_str()), host: host.into(), port, security_protocol: 0 }
    });
    let command = Command::RegisterBroker(RegisterBroker {
        id: config.node_id,
        cluster_id: Text::from(cluster_id),
        incarnation_id: env.random.uuid(),
        endpoints: endpoints.collect(),
        features: BTreeMap::new(),
        rack: config.rack.as_deref().map(Text::from),
        log_dirs: Vec::new(),
    });
    match controller.submit_within(command, START_TIMEOUT).await? {
        Reply::RegisterBroker(Ok(registered)) => Ok(registered.broker_epoch),
        Reply::RegisterBroker(Err(refusal)) => {
            Err(StartError::Metadata(refusal.message.to_string()))
        }
        _ => Err(StartError::Metadata(
            "the controller gave an answer to another question".to_owned(),
        )),
    }
}

/// What lets clients in.
struct OpenDoors {
    doors: Group,
    addresses: Vec<(String, SocketAddr)>,
    http_address: Option<SocketAddr>,
    caller: Caller,
}

/// Lets clients in.
fn open_doors(doors: Doors, services: &Arc<Services>) -> Result<OpenDoors, StartError> {
    let unusable = |error: std::io::Error| StartError::Listen {
        address: "a listener".to_owned(),
        reason: error.to_string(),
    };
    let mut group = Group::default();
    let mut addresses = Vec::new();
    let mut open = |name: &str, door| {
        let (services, stop) = (Arc::clone(services), group.stop.clone());
        group.spawn(listener::serve(door, name.into(), services, stop));
    };
    for (name, listener) in doors.clients {
        let address = listener.local_addr().map_err(unusable)?;
        info!(listener = %name, %address, "serving kafka clients");
        open(&name, Door::Socket(listener));
        addresses.push((name, address));
    }
    let (caller, calls) = in_process::pair();
    open(in_process::LISTENER, Door::InProcess(calls));
    let mut http_address = None;
    if let Some(listener) = doors.http {
        let address = listener.local_addr().map_err(unusable)?;
        info!(%address, "serving metrics and health over http");
        http_address = Some(address);
        let stop = group.stop.clone();
        let probe = probe(services);
        group.spawn(async move {
            if let Err(error) = http::serve(listener, probe, stop.cancelled_owned()).await {
                error!(%error, "the http listener has stopped");
            }
        });
    }
    Ok(OpenDoors { doors: group, addresses, http_address, caller })
}

/// What the HTTP listener shows of the server.
fn probe(services: &Arc<Services>) -> http::Probe {
    let health = Arc::clone(services);
    let runtime = tokio::runtime::Handle::current().metrics();
    http::Probe {
        metrics: server::registry(Arc::clone(services), runtime),
        ready: Box::new(move || health.health()),
    }
}
