//! Connections to brokers, one shared per broker, made when first needed and again when broken.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::ClusterOptions;
use super::view::ClusterView;
use crate::backoff::Backoff;
use crate::connection::{Connection, ConnectionOptions};
use crate::error::ClientError;
use crate::random::Random;
use crate::transport::{Address, Connector, connect_tcp};

/// See the top of the file.
#[derive(Debug)]
pub(super) struct Pool {
    bootstrap: Vec<Address>,
    dialer: Dialer,
    slots: Mutex<HashMap<Address, Arc<Slot>>>,
}

/// One address: the connection there, or when it may be tried again.
#[derive(Debug, Default)]
struct Slot {
    state: tokio::sync::Mutex<SlotState>,
}

#[derive(Debug, Default)]
struct SlotState {
    connection: Option<Connection>,
    failures: u32,
    not_before: Option<Instant>,
}

#[derive(Debug)]
struct Dialer {
    connector: Connector,
    connection: ConnectionOptions,
    connect_timeout: Duration,
    backoff: Backoff,
    random: Mutex<Random>,
}

impl Pool {
    pub(super) fn new(bootstrap: Vec<Address>, options: &ClusterOptions) -> Self {
        let dialer = Dialer {
            connector: options.connector.clone(),
            connection: options.connection.clone(),
            connect_timeout: options.connect_timeout,
            backoff: options.backoff,
            random: Mutex::new(Random::from_entropy()),
        };
        Self { bootstrap, dialer, slots: Mutex::default() }
    }

    /// Any broker: one that is connected, else one the cluster named, else those given at the start.
    pub(super) async fn any(&self, view: &ClusterView) -> Result<Connection, ClientError> {
        let mut addresses: Vec<Address> = Vec::new();
        let known = view.brokers.values().map(|broker| &broker.address);
        for address in known.chain(&self.bootstrap) {
            if !addresses.contains(address) {
                addresses.push(address.clone());
            }
        }
        for address in &addresses {
            if let Some(connection) = self.open(address) {
                return Ok(connection);
            }
        }
        let mut last = String::new();
        for address in &addresses {
            match self.connect(address).await {
                Ok(connection) => return Ok(connection),
                Err(error) => last = format!("{address}: {error}"),
            }
        }
        Err(unreachable(&addresses, last))
    }

    pub(super) async fn shared(
        &self,
        view: &ClusterView,
        id: i32,
    ) -> Result<Connection, ClientError> {
        let address = address_of(view, id)?;
        self.connect(address)
            .await
            .map_err(|error| unreachable(std::slice::from_ref(address), error))
    }

    pub(super) async fn dedicated(
        &self,
        view: &ClusterView,
        id: i32,
    ) -> Result<Connection, ClientError> {
        let address = address_of(view, id)?;
        self.dialer
            .dial(address)
            .await
            .map_err(|error| unreachable(std::slice::from_ref(address), error))
    }

    fn slot(&self, address: &Address) -> Arc<Slot> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(slots.entry(address.clone()).or_default())
    }

    /// The connection to an address if it is open and nobody is making it just now.
    fn open(&self, address: &Address) -> Option<Connection> {
        let slot = self.slot(address);
        let state = slot.state.try_lock().ok()?;
        state.connection.clone().filter(|connection| connection.ended().is_none())
    }

    /// The shared connection to an address; callers that come together wait for one attempt.
    async fn connect(&self, address: &Address) -> Result<Connection, String> {
        let slot = self.slot(address);
        let mut state = slot.state.lock().await;
        if let Some(connection) = state.connection.as_ref().filter(|c| c.ended().is_none()) {
            return Ok(connection.clone());
        }
        state.connection = None;
        if let Some(not_before) = state.not_before {
            tokio::time::sleep_until(not_before).await;
        }
        match self.dialer.dial(address).await {
            Ok(connection) => {
                *state = SlotState { connection: Some(connection.clone()), ..SlotState::default() };
                Ok(connection)
            }
            Err(error) => {
                state.failures += 1;
                state.not_before = Some(Instant::now() + self.dialer.wait(state.failures));
                Err(error)
            }
        }
    }
}

impl Dialer {
    /// Connects and asks what the broker speaks.
    async fn dial(&self, address: &Address) -> Result<Connection, String> {
        let made = timeout(self.connect_timeout, async {
            let connection = self.stream(address).await.map_err(|error| describe(&error))?;
            connection.negotiate().await.map_err(|error| error.to_string())?;
            Ok(connection)
        });
        made.await.unwrap_or_else(|_| {
            Err(format!("no connection within {} ms", self.connect_timeout.as_millis()))
        })
    }

    async fn stream(&self, address: &Address) -> io::Result<Connection> {
        let options = self.connection.clone();
        match &self.connector {
            Connector::Tcp => Ok(Connection::start(connect_tcp(address).await?, options)),
            Connector::Custom(connect) => {
                let stream = connect(&address.host, address.port).await?;
                Ok(Connection::start(stream, options))
            }
        }
    }

    fn wait(&self, failures: u32) -> Duration {
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        self.backoff.wait(failures, &mut random)
    }
}

fn address_of(view: &ClusterView, id: i32) -> Result<&Address, ClientError> {
    view.brokers.get(&id).map(|broker| &broker.address).ok_or_else(|| ClientError::Unreachable {
        addresses: vec![format!("broker {id}")],
        last: "the cluster lists no live broker with this id".to_owned(),
    })
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
