//! Connections to brokers, one shared per broker, made when first needed and again when broken. An
//! address that does not answer has its circuit opened (`breaker.rs`).

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout};
use tracing::Instrument;

use super::ClusterOptions;
use super::breaker::{Breaker, Circuit};
use super::view::ClusterView;
use crate::backoff::Backoff;
use crate::connection::{Connection, ConnectionOptions};
use crate::error::ClientError;
use crate::metrics::Meter;
use crate::random::Random;
use crate::transport::{Address, Connector, Target};

/// See the top of the file.
#[derive(Debug)]
pub(super) struct Pool {
    bootstrap: Vec<Address>,
    dialer: Dialer,
    slots: Mutex<HashMap<Address, Arc<Slot>>>,
    /// Whose turn it is to be asked where any broker will do.
    turn: AtomicUsize,
}

/// Brokers that are connected so that not one alone is asked where any will do.
const SPREAD: usize = 3;
/// How long one of these is waited for where another is connected.
const SPREAD_PATIENCE: Duration = Duration::from_millis(500);

/// One address.
#[derive(Debug, Default)]
struct Slot {
    /// The connection there; locked by whoever makes it.
    connection: tokio::sync::Mutex<Option<Connection>>,
    breaker: Mutex<Breaker>,
    last_failure: Mutex<Failure>,
}

/// What an attempt met with.
#[derive(Debug, Clone)]
enum Failure {
    /// Nobody could be reached.
    Unreachable(String),
    /// The broker does not take this client as it is.
    Refused(ClientError),
}

impl Default for Failure {
    fn default() -> Self {
        Self::Unreachable(String::new())
    }
}

impl Failure {
    fn of(self, address: &Address) -> ClientError {
        match self {
            Self::Unreachable(last) => unreachable(std::slice::from_ref(address), last),
            Self::Refused(error) => error,
        }
    }
}

#[derive(Debug)]
struct Dialer {
    meter: Arc<Meter>,
    connector: Connector,
    connection: ConnectionOptions,
    connect_timeout: Duration,
    backoff: Backoff,
    random: Mutex<Random>,
}

impl Pool {
    pub(super) fn new(bootstrap: Vec<Address>, options: &ClusterOptions) -> Self {
        let dialer = Dialer {
            meter: Arc::default(),
            connector: options.connector.clone(),
            connection: options.connection.clone(),
            connect_timeout: options.connect_timeout,
            backoff: options.reconnect,
            random: Mutex::new(Random::from_entropy()),
        };
        Self { bootstrap, dialer, slots: Mutex::default(), turn: AtomicUsize::new(0) }
    }

    /// Any broker, not the same each time: one that lags behind is not to serve every caller. Takes turns
    /// among those that the cluster named, of which up to [`SPREAD`] are connected for this; else one that is
    /// connected, else whichever can be, those given at the start included.
    pub(super) async fn any(
        self: &Arc<Self>,
        view: &ClusterView,
    ) -> Result<Connection, ClientError> {
        let targets = self.targets(view);
        let named = targets.get(..view.brokers.len()).unwrap_or_default();
        let open = named.iter().filter(|target| self.open(&target.address).is_some()).count();
        let mut refused = None;
        for target in named {
            let connected = self.open(&target.address).is_some();
            let slot = self.slot(&target.address);
            let answers = slot.breaker().circuit() == Circuit::Closed;
            let is_tried = slot.connection.try_lock().is_err();
            if !connected && (open >= SPREAD || !answers || open > 0 && is_tried) {
                continue;
            }
            let made = match connected || open == 0 {
                true => self.connect(target).await,
                false => self.connect_soon(target).await,
            };
            match made {
                Ok(connection) => return Ok(connection),
                Err(Failure::Unreachable(_)) => {}
                Err(Failure::Refused(error)) => refused = Some(error),
            }
        }
        if let Some(connection) = targets.iter().find_map(|target| self.open(&target.address)) {
            return Ok(connection);
        }
        if let Some(error) = refused {
            return Err(error);
        }
        let addresses: Vec<Address> = targets.iter().map(|it| it.address.clone()).collect();
        self.wait_for_one(&addresses).await;
        let mut last = String::new();
        for target in &targets {
            match self.connect(target).await {
                Ok(connection) => return Ok(connection),
                Err(Failure::Unreachable(words)) => last = format!("{}: {words}", target.address),
                Err(Failure::Refused(error)) => return Err(error),
            }
        }
        Err(unreachable(&addresses, last))
    }

    /// The brokers that the cluster named, from the one whose turn it is, then the other addresses given at
    /// the start.
    fn targets(&self, view: &ClusterView) -> Vec<Target> {
        let named = view.brokers.values();
        let named = named.map(|it| Target { address: it.address.clone(), broker: Some(it.id) });
        let mut targets: Vec<Target> = named.collect();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % targets.len().max(1);
        targets.rotate_left(turn);
        for address in &self.bootstrap {
            if !targets.iter().any(|target| target.address == *address) {
                targets.push(Target { address: address.clone(), broker: None });
            }
        }
        targets
    }

    /// Waits until one of the addresses may be tried: with nowhere else to go, being refused at once
    /// would help nobody.
    async fn wait_for_one(&self, addresses: &[Address]) {
        let now = Instant::now();
        let mut earliest = None;
        for address in addresses {
            let slot = self.slot(address);
            let breaker = slot.breaker();
            if !breaker.refuses(now) {
                return;
            }
            let until = breaker.until().unwrap_or(now);
            earliest = Some(earliest.map_or(until, |at: Instant| at.min(until)));
        }
        if let Some(earliest) = earliest {
            tokio::time::sleep_until(earliest).await;
        }
    }

    pub(super) async fn shared(
        &self,
        view: &ClusterView,
        id: i32,
    ) -> Result<Connection, ClientError> {
        let target = target_of(view, id)?;
        self.connect(&target).await.map_err(|failure| failure.of(&target.address))
    }

    pub(super) async fn dedicated(
        &self,
        view: &ClusterView,
        id: i32,
    ) -> Result<Connection, ClientError> {
        let target = target_of(view, id)?;
        let slot = self.slot(&target.address);
        self.attempt(&slot, &target).await.map_err(|failure| failure.of(&target.address))
    }

    /// How a broker is dealt with; one that was never called is [`Circuit::Closed`].
    pub(super) fn circuit(&self, view: &ClusterView, id: i32) -> Circuit {
        let address = view.brokers.get(&id).map(|broker| &broker.address);
        address.map_or(Circuit::Closed, |address| self.slot(address).breaker().circuit())
    }

    pub(super) fn meter(&self) -> &Arc<Meter> {
        &self.dialer.meter
    }

    fn slot(&self, address: &Address) -> Arc<Slot> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(slots.entry(address.clone()).or_default())
    }

    /// The connection to an address if it is open and nobody is making it just now.
    fn open(&self, address: &Address) -> Option<Connection> {
        let slot = self.slot(address);
        let connection = slot.connection.try_lock().ok()?;
        connection.clone().filter(|connection| connection.ended().is_none())
    }

    /// The shared connection to an address; callers that come together wait for one attempt.
    async fn connect(&self, target: &Target) -> Result<Connection, Failure> {
        if let Some(connection) = self.open(&target.address) {
            return Ok(connection);
        }
        let slot = self.slot(&target.address);
        // Whoever would be refused does not wait for another's attempt either.
        if slot.breaker().refuses(Instant::now()) {
            return Err(slot.last_failure().clone());
        }
        let mut connection = slot.connection.lock().await;
        if let Some(connection) = connection.as_ref().filter(|c| c.ended().is_none()) {
            return Ok(connection.clone());
        }
        *connection = None;
        let made = self.attempt(&slot, target).await?;
        *connection = Some(made.clone());
        Ok(made)
    }

    /// The same for who has another one: it goes on to be made when that takes long, as with a broker that is
    /// silent.
    async fn connect_soon(self: &Arc<Self>, target: &Target) -> Result<Connection, Failure> {
        let (pool, target) = (Arc::clone(self), target.clone());
        let making = async move { pool.connect(&target).await }.in_current_span();
        match timeout(SPREAD_PATIENCE, tokio::spawn(making)).await {
            Ok(Ok(made)) => made,
            _ => Err(Failure::default()),
        }
    }

    /// Makes a connection, if the breaker lets this caller.
    async fn attempt(&self, slot: &Slot, target: &Target) -> Result<Connection, Failure> {
        if !slot.breaker().begin(Instant::now()) {
            return Err(slot.last_failure().clone());
        }
        let attempt = Attempt { slot, known: false };
        let span = tracing::debug_span!("connect", address = %target.address);
        let dialled = self.dialer.dial(target).instrument(span).await;
        attempt.known();
        match dialled {
            Ok(connection) => {
                slot.breaker().succeeded();
                self.dialer.meter.connections_made.add(1);
                Ok(connection)
            }
            Err(error) => {
                self.dialer.meter.connections_failed.add(1);
                slot.breaker().failed(Instant::now(), |failures| self.dialer.wait(failures));
                slot.last_failure().clone_from(&error);
                Err(error)
            }
        }
    }
}

impl Slot {
    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn last_failure(&self) -> MutexGuard<'_, Failure> {
        self.last_failure.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An attempt whose caller may go away while it runs.
struct Attempt<'a> {
    slot: &'a Slot,
    known: bool,
}

impl Attempt<'_> {
    fn known(mut self) {
        self.known = true;
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if !self.known {
            self.slot.breaker().abandoned();
        }
    }
}

impl Dialer {
    /// Connects, asks what the broker speaks, and says who we are where that is wanted.
    async fn dial(&self, target: &Target) -> Result<Connection, Failure> {
        let made = timeout(self.connect_timeout, async {
            let connection = self.stream(target).await;
            let connection = connection.map_err(|error| Failure::Unreachable(describe(&error)))?;
            let negotiated = connection.negotiate().await;
            negotiated.map_err(|error| Failure::Unreachable(error.to_string()))?;
            self.authenticate(target, &connection).await?;
            Ok(connection)
        });
        made.await.unwrap_or_else(|_| {
            let words = format!("no connection within {} ms", self.connect_timeout.as_millis());
            Err(Failure::Unreachable(words))
        })
    }

    async fn stream(&self, target: &Target) -> io::Result<Connection> {
        let (options, meter) = (self.connection.clone(), Arc::clone(&self.meter));
        if self.connector.is_tcp() {
            return Ok(Connection::start_metered(target.tcp().await?, options, meter));
        }
        let stream = self.connector.connect(target.clone()).await?;
        Ok(Connection::start_metered(stream, options, meter))
    }

    async fn authenticate(&self, target: &Target, fresh: &Connection) -> Result<(), Failure> {
        let Some(how) = self.connector.authenticator() else { return Ok(()) };
        let span = tracing::debug_span!("authenticate");
        let done = how.authenticate(target, fresh).instrument(span).await;
        done.map_err(|error| match error.is_retriable() {
            true => Failure::Unreachable(error.to_string()),
            false => Failure::Refused(error),
        })
    }

    fn wait(&self, failures: u32) -> Duration {
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        self.backoff.wait(failures, &mut random)
    }
}

fn target_of(view: &ClusterView, id: i32) -> Result<Target, ClientError> {
    let address = view.brokers.get(&id).map(|broker| broker.address.clone());
    let address = address.ok_or_else(|| ClientError::Unreachable {
        addresses: vec![format!("broker {id}")],
        last: "the cluster lists no live broker with this id".to_owned(),
    })?;
    Ok(Target { address, broker: Some(id) })
}

fn unreachable(addresses: &[Address], last: String) -> ClientError {
    ClientError::Unreachable { addresses: addresses.iter().map(Address::to_string).collect(), last }
}

/// The words of an I/O error without its number.
fn describe(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::TimedOut => "timed out".to_owned(),
        _ => error.to_string(),
    }
}
