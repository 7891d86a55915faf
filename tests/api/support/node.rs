//! One broker in this process, on a free port and in a directory of its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use duramen::Broker;
use duramen::broker::StartError;
use duramen::config::RawConfig;
use duramen_client::{Connection, ConnectionOptions};
use tempfile::TempDir;
use tokio::net::TcpStream;

use super::{Client, Raw, eventually};

pub struct Node {
    broker: Option<Broker>,
    typed: Vec<String>,
    folder: TempDir,
}

impl Node {
    /// A broker with the defaults.
    pub async fn start() -> Self {
        Self::with(&[]).await
    }

    /// A broker with `NAME=VALUE` settings over the defaults.
    pub async fn with(settings: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let typed = settings.iter().map(|setting| (*setting).to_owned()).collect();
        let mut node = Self { broker: None, typed, folder };
        node.broker = Some(node.begin().await.unwrap());
        node
    }

    /// A broker, and a client that is connected to it.
    pub async fn client() -> (Self, Client) {
        let node = Self::start().await;
        let client = node.connect().await;
        (node, client)
    }

    async fn begin(&self) -> Result<Broker, StartError> {
        let mut raw = RawConfig::new();
        let dir = format!("log.dirs={}", self.log_dir().display());
        let own = ["listeners=PLAINTEXT://127.0.0.1:0", "http.listener=off", &dir];
        for setting in own.into_iter().chain(self.typed.iter().map(String::as_str)) {
            raw.add_assignment(setting).unwrap();
        }
        Broker::start(raw.settings()).await
    }

    /// Tries to start another broker on the same directory.
    pub async fn second(&self) -> Result<Broker, StartError> {
        self.begin().await
    }

    /// Changes what the next start is given.
    pub fn set(&mut self, setting: &str) {
        self.typed.push(setting.to_owned());
    }

    pub fn broker(&self) -> &Broker {
        self.broker.as_ref().unwrap()
    }

    /// Address of the first listener.
    pub fn address(&self) -> SocketAddr {
        self.broker().addresses()[0].1
    }

    /// Where the broker keeps its logs.
    pub fn log_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The directory of a partition.
    pub fn partition_dir(&self, topic: &str, partition: i32) -> PathBuf {
        self.log_dir().join(format!("{topic}-{partition}"))
    }

    /// The segment files of a partition.
    pub fn segments(&self, topic: &str, partition: i32) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.partition_dir(topic, partition)).unwrap();
        let is_log = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "log");
        let mut found: Vec<_> = entries.map(|entry| entry.unwrap().path()).filter(is_log).collect();
        found.sort();
        found
    }

    /// A client with a connection of its own.
    pub async fn connect(&self) -> Client {
        self.connect_to(self.address()).await
    }

    pub async fn connect_to(&self, address: SocketAddr) -> Client {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let options = ConnectionOptions::default().request_timeout(super::PATIENCE);
        Client::new(Connection::start(stream, options).unwrap())
    }

    /// A connection to which any bytes can be written.
    pub async fn raw(&self) -> Raw {
        Raw::connect(self.address()).await
    }

    /// Stops the broker as an operator does.
    pub async fn stop(&mut self) {
        self.broker.take().unwrap().stop().await;
    }

    /// Starts a broker again where one was stopped.
    pub async fn again(&mut self) -> Client {
        assert!(self.broker.is_none(), "stop it first");
        self.broker = Some(self.begin().await.unwrap());
        self.connect().await
    }

    /// Stops the broker as an operator does, and starts it again.
    pub async fn restart(&mut self) -> Client {
        self.stop().await;
        self.again().await
    }

    /// Drops the broker without stopping it, and starts it again once it has let go of its files.
    pub async fn drop_and_restart(&mut self) -> Client {
        drop(self.broker.take());
        let begun = eventually("a dropped broker lets go of its directory", async || {
            match self.begin().await {
                Ok(broker) => Some(broker),
                Err(StartError::Open(_)) => None,
                Err(error) => panic!("{error}"),
            }
        });
        let broker = begun.await;
        self.broker = Some(broker);
        self.connect().await
    }

    /// Whether the broker was stopped properly.
    pub fn has_clean_marker(&self) -> bool {
        Path::exists(&self.log_dir().join(".kafka_cleanshutdown"))
    }
}
